/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Arduino UNO Q: keeps a model in RAM, since its core offers a sketch no flash of its own, and takes
 * patches for it over D0 and D1. After a reset the model of the sketch runs again, and every update is
 * lost. README.md says what that means, what keeps models on this board, how to make the three files
 * that this sketch includes, and how to send a patch.
 */
#include <TinyMLDelta.h>

#if __has_include("tmd_contract.h")
#include "tmd_contract.h"
#include "tmd_model_digits.h"
#else
#error "run `tmd codegen` first, as README.md says: it writes tmd_contract.h beside this sketch"
#endif

/* The port that a PC is at: D0 and D1. `Serial` goes to the board's Linux side, which owns it. */
#define PORT Serial1

static const uint32_t UNIT_BYTES = 1024;
static const uint32_t SLOT_BYTES = 8 * UNIT_BYTES;
static const uint32_t RECORDS_BYTES = 2 * UNIT_BYTES;

alignas(16) static uint8_t memory[2 * SLOT_BYTES + RECORDS_BYTES];
static struct tmd_ram flash;
static struct tmd_store_config config;
static TinyMLDeltaSerial device;

/* Here an interpreter would be made for device.model().at, and the one before thrown away. */
static void use_model()
{
	PORT.print("model of ");
	PORT.print(device.model().bytes);
	PORT.println(" bytes; updates last until the next reset");
}

void setup()
{
	PORT.begin(115200);
	tmd_ram_init(&flash, memory, sizeof(memory) / UNIT_BYTES, UNIT_BYTES);
	config.contract = &tmd_contract;
	config.model = TMD_MODEL_DIGITS;
	config.compiled_in = tmd_model_digits;
	config.trial_starts = 3;
	config.slot[0] = {&flash.flash, 0, SLOT_BYTES};
	config.slot[1] = {&flash.flash, SLOT_BYTES, SLOT_BYTES};
	config.records = {&flash.flash, 2 * SLOT_BYTES, RECORDS_BYTES};
	device.start(PORT, config);
	use_model();
}

void loop()
{
	/* Here the model would run. Between two inferences: */
	if (device.poll()) {
		use_model();
	}
}

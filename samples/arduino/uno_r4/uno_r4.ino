/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Arduino UNO R4 Minima or WiFi: keeps a model in code flash, and takes patches for it over USB.
 * README.md says how to make the three files that this sketch includes, and how to send a patch.
 */
#include <TinyMLDelta.h>

#if __has_include("tmd_contract.h")
#include "tmd_contract.h"
#include "tmd_model_digits.h"
#else
#error "run `tmd codegen` first, as README.md says: it writes tmd_contract.h beside this sketch"
#endif

/* The last 96 KB of 256: the sketch may be up to 144 KB long, and the bootloader has the first 16. */
static const uint32_t FIRST = 0x28000;
static const uint32_t SLOT_BYTES = 0x8000;
static const uint32_t STAGING_BYTES = 0x6000;
static const uint32_t RECORDS_BYTES = 0x2000;
static const uint32_t BYTES = 2 * SLOT_BYTES + STAGING_BYTES + RECORDS_BYTES;

static struct tmd_ra4m1 flash;
static struct tmd_store_config config;
static TinyMLDeltaSerial device;

/* Here an interpreter would be made for device.model().at, and the one before thrown away. */
static void use_model()
{
	Serial.print("model of ");
	Serial.print(device.model().bytes);
	Serial.println(device.model().at == nullptr ? " bytes, to be copied" : " bytes");
}

void setup()
{
	Serial.begin(115200);
	TinyMLDeltaSerial::need(Serial, tmd_ra4m1_init(&flash, FIRST, BYTES));
	config.contract = &tmd_contract;
	config.model = TMD_MODEL_DIGITS;
	config.compiled_in = tmd_model_digits;
	config.trial_starts = 3;
	config.progress_bytes = 4096;
	config.slot[0] = {&flash.flash, 0, SLOT_BYTES};
	config.slot[1] = {&flash.flash, SLOT_BYTES, SLOT_BYTES};
	config.staging = {&flash.flash, 2 * SLOT_BYTES, STAGING_BYTES};
	config.records = {&flash.flash, 2 * SLOT_BYTES + STAGING_BYTES, RECORDS_BYTES};
	device.start(Serial, config);
	use_model();
}

void loop()
{
	/* Here the model would run. Between two inferences: */
	if (device.poll()) {
		use_model();
	}
}

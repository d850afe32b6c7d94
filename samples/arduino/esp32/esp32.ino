/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * ESP32, also C3, S3 and others: keeps a model in partitions of its own, and takes patches for it over
 * the serial port. README.md says how to make the three files that this sketch includes, and how to send
 * a patch; partitions.csv beside the sketch has the partitions.
 */
#include <TinyMLDelta.h>

#if __has_include("tmd_contract.h")
#include "tmd_contract.h"
#include "tmd_model_digits.h"
#else
#error "run `tmd codegen` first, as README.md says: it writes tmd_contract.h beside this sketch"
#endif

static struct tmd_esp_partition slot0, slot1, staging, records;
static struct tmd_store_config config;
static TinyMLDeltaSerial device;

static struct tmd_region region_of(struct tmd_esp_partition &partition, const char *label)
{
	TinyMLDeltaSerial::need(Serial, tmd_esp_partition_init(&partition, label), label);
	return {&partition.flash, 0, (uint32_t)partition.partition->size};
}

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
	config.contract = &tmd_contract;
	config.model = TMD_MODEL_DIGITS;
	config.compiled_in = tmd_model_digits;
	config.trial_starts = 3;
	config.progress_bytes = 16384;
	config.slot[0] = region_of(slot0, "tmd_slot0");
	config.slot[1] = region_of(slot1, "tmd_slot1");
	config.staging = region_of(staging, "tmd_staging");
	config.records = region_of(records, "tmd_records");
	device.start(Serial, config);
	use_model();
}

void loop()
{
	/* Here the model would run. Between two inferences: */
	if (device.poll()) {
		use_model();
	}
	delay(1); /* lets the idle task run, which the watchdog looks after */
}

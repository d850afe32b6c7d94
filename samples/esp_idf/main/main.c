/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Keeps a model in partitions of its own, and takes patches for it over UART 0, where the log is too:
 * samples/arduino/send.py passes over what is no answer.
 */
#include <inttypes.h>
#include <stdio.h>

#include "driver/uart.h"
#include "esp_err.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"

#include <tinymldelta/tinymldelta.h>

#include "tmd_contract.h"
#include "tmd_esp_partition.h"
#include "tmd_model_digits.h"
#include "tmd_serial.h"

#define PORT UART_NUM_0
#define RECEIVE_BYTES 1024

static struct tmd_esp_partition slot0, slot1, staging, records;
static struct tmd_store_config config;
static struct tmd_serial serial;

/* A whole partition as a region; NULL for its flash if there is none. */
static struct tmd_region region_of(struct tmd_esp_partition *partition, const char *label)
{
	const char *wrong = tmd_esp_partition_init(partition, label);
	struct tmd_region region = {NULL, 0, 0};

	if (wrong != NULL) {
		printf("%s: %s\n", label, wrong);
		return region;
	}
	region.flash = &partition->flash;
	region.bytes = partition->partition->size;
	return region;
}

static int start(void)
{
	int err;

	config.contract = &tmd_contract;
	config.model = TMD_MODEL_DIGITS;
	config.compiled_in = tmd_model_digits;
	config.trial_starts = 3;
	config.progress_bytes = 16384;
	config.slot[0] = region_of(&slot0, "tmd_slot0");
	config.slot[1] = region_of(&slot1, "tmd_slot1");
	config.staging = region_of(&staging, "tmd_staging");
	config.records = region_of(&records, "tmd_records");
	err = tmd_serial_begin(&serial, &config);
	return err != TMD_OK ? err : tmd_serial_open(&serial);
}

static void use_model(void)
{
	/* Here an interpreter would be made for serial.model.at, and the one before thrown away. */
	printf("model of %" PRIu32 " bytes%s\n", serial.model.bytes,
	       serial.model.at == NULL ? ", to be copied" : "");
}

/* Answer what has come; stay for the rest of a frame that has begun. */
static void poll_port(void)
{
	uint32_t stay = 10;
	uint8_t bytes[128];
	int n;

	do {
		/* The driver waits for as many as are asked for: for one, and takes what is there. */
		n = uart_read_bytes(PORT, bytes, 1, pdMS_TO_TICKS(stay));
		if (n > 0) {
			n += uart_read_bytes(PORT, bytes + 1, sizeof(bytes) - 1u, 0);
		}
		for (int i = 0; i < n; i++) {
			const uint32_t now = (uint32_t)(esp_timer_get_time() / 1000);
			const uint32_t reply_bytes = tmd_serial_take(&serial, bytes[i], now);

			if (reply_bytes > 0u) {
				(void)uart_write_bytes(PORT, serial.reply, reply_bytes);
			}
		}
		stay = TMD_SERIAL_STAY;
	} while (n > 0 && tmd_serial_waits(&serial));
}

void app_main(void)
{
	uint32_t opened;
	int err;

	ESP_ERROR_CHECK(uart_driver_install(PORT, RECEIVE_BYTES, 0, 0, NULL, 0));
	err = start();
	if (err != TMD_OK) {
		printf("no model: %s\n", tmd_status_text(err));
		return;
	}
	use_model();
	opened = serial.opened;
	for (;;) {
		/* Here the model would run. Between two inferences: */
		poll_port();
		if (serial.opened != opened) {
			opened = serial.opened;
			use_model();
		}
	}
}

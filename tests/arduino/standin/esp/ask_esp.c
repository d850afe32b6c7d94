/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The ESP32 port against the stand-in's partitions: what it does, and what it says. The table is given.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tmd_esp_partition.h>

#define CHECK(holds)                                                                               \
	do {                                                                                       \
		if (!(holds)) {                                                                    \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds);          \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static struct tmd_esp_partition port;

static bool says(const char *label, const char *word)
{
	const char *wrong = tmd_esp_partition_init(&port, label);

	return wrong != NULL && strstr(wrong, word) != NULL && port.flash.read == NULL;
}

static void writes_and_erases(void)
{
	const uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	uint8_t read[7];
	void *const ctx = port.flash.ctx;

	CHECK(port.flash.runs_n == 1 && port.flash.runs[0].bytes == 4096 &&
	      port.flash.runs[0].count == 4 && port.flash.write_bytes == 4);
	CHECK(port.flash.erase(ctx, 0x1000, 0x1000) == 0);
	CHECK(port.flash.write(ctx, 0x1004, data, sizeof(data)) == 0);
	CHECK(port.flash.read(ctx, 0x1005, read, sizeof(read)) == 0);
	CHECK(memcmp(read, data + 1, sizeof(read)) == 0);
	standin_fails(true);
	CHECK(port.flash.read(ctx, 0, read, 1) != 0);
	CHECK(port.flash.write(ctx, 0x2000, data, sizeof(data)) != 0);
	CHECK(port.flash.erase(ctx, 0x2000, 0x1000) != 0);
	standin_fails(false);
}

int main(int argc, char **argv)
{
	const uint8_t data[4] = {9, 8, 7, 6};

	CHECK(argc == 2);
	standin_partitions(argv[1], NULL);
	CHECK(says("nothing", "no data partition"));
	CHECK(says("app", "no data partition"));
	CHECK(says("secret", "encrypted"));
	CHECK(says("fixed", "read-only"));
	CHECK(says("crooked", "whole sectors"));

	CHECK(tmd_esp_partition_init(&port, "good") == NULL);
	writes_and_erases();
	CHECK(port.flash.write(port.flash.ctx, 0x3000, data, sizeof(data)) == 0);
	CHECK(memcmp(port.flash.map(port.flash.ctx, 0x3000, 4), data, 4) == 0);

	/* Where it cannot be mapped, models are read instead. */
	standin_no_pages(true);
	CHECK(tmd_esp_partition_init(&port, "good") == NULL && port.flash.map == NULL);
	standin_no_pages(false);
	standin_encryption(true);
	CHECK(tmd_esp_partition_init(&port, "good") == NULL && port.flash.map == NULL);
	(void)puts("done");
	return 0;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tmd_ram.h"

#include <string.h>

#define ERASED 0xFF
#define WRITE_BYTES 4u

static int read_ram(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	const struct tmd_ram *ram = ctx;

	memcpy(buf, ram->bytes + offset, bytes);
	return 0;
}

static int write_ram(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	const struct tmd_ram *ram = ctx;

	memcpy(ram->bytes + offset, buf, bytes);
	return 0;
}

static int erase_ram(void *ctx, uint32_t offset, uint32_t bytes)
{
	const struct tmd_ram *ram = ctx;

	memset(ram->bytes + offset, ERASED, bytes);
	return 0;
}

static const void *map_ram(void *ctx, uint32_t offset, uint32_t bytes)
{
	const struct tmd_ram *ram = ctx;

	(void)bytes;
	return ram->bytes + offset;
}

void tmd_ram_init(struct tmd_ram *ram, void *bytes, uint32_t units, uint32_t unit_bytes)
{
	memset(ram, 0, sizeof(*ram));
	memset(bytes, ERASED, (size_t)units * unit_bytes);
	ram->bytes = bytes;
	ram->run.bytes = unit_bytes;
	ram->run.count = units;
	ram->flash.read = read_ram;
	ram->flash.write = write_ram;
	ram->flash.erase = erase_ram;
	ram->flash.map = map_ram;
	ram->flash.ctx = ram;
	ram->flash.runs = &ram->run;
	ram->flash.runs_n = 1;
	ram->flash.write_bytes = WRITE_BYTES;
	ram->flash.erased_value = ERASED;
}

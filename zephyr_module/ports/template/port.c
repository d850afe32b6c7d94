/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The port itself: what flash.h promises the store, made of what hardware.c can do. Nothing has to
 * be changed here, unless a chip programs longer pieces much faster than single units (then give
 * hardware.c the whole piece).
 */
#include "port.h"

#define UNITS(n) ((n) * PORT_ERASE_BYTES)
#define PORT_BYTES UNITS(PORT_ERASE_UNITS)

static const struct tmd_flash_run runs[] = {PORT_RUNS};

uint32_t port_unit_bytes(uint32_t offset)
{
	uint32_t start = 0;

	for (uint32_t i = 0; i < port_flash.runs_n; i++) {
		const uint32_t bytes = runs[i].bytes * runs[i].count;

		if (offset - start < bytes) {
			return (offset - start) % runs[i].bytes == 0u ? runs[i].bytes : 0u;
		}
		start += bytes;
	}
	return 0;
}

/* The store keeps within bounds. A port that trusts it saves nothing, and loses more. */
static int is_inside(uint32_t offset, uint32_t bytes)
{
	return offset <= PORT_BYTES && bytes <= PORT_BYTES - offset;
}

static int port_read(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	(void)ctx;
	return is_inside(offset, bytes) ? hardware_read(PORT_START + offset, buf, bytes) : -1;
}

/* The first unit that fails ends it: what was written before stays. */
static int port_write(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	const uint8_t *from = buf;
	int err = is_inside(offset, bytes) ? 0 : -1;

	(void)ctx;
	for (uint32_t at = 0; at < bytes && err == 0; at += port_flash.write_bytes) {
		if (port_flash.write_bytes == 0u) {
			return -1; /* TODO 1 is still to be done */
		}
		err = hardware_program(PORT_START + offset + at, &from[at]);
	}
	return err;
}

static int port_erase(void *ctx, uint32_t offset, uint32_t bytes)
{
	(void)ctx;
	return is_inside(offset, bytes) && bytes == port_unit_bytes(offset)
		       ? hardware_erase(PORT_START + offset)
		       : -1;
}

static const void *port_map(void *ctx, uint32_t offset, uint32_t bytes)
{
	(void)ctx;
	return is_inside(offset, bytes) ? hardware_address(PORT_START + offset) : NULL;
}

const struct tmd_flash port_flash = {
	.read = port_read,
	.write = port_write,
	.erase = port_erase,
	.map = port_map,
	.runs = runs,
	.runs_n = sizeof(runs) / sizeof(runs[0]),
	.write_bytes = PORT_WRITE_BYTES,
	.erased_value = PORT_ERASED,
	.flags = PORT_FLAGS,
};

_Static_assert((PORT_SLOT_AT + 2u * PORT_SLOT_UNITS <= PORT_ERASE_UNITS &&
		PORT_RECORD_AT + PORT_RECORD_UNITS <= PORT_ERASE_UNITS &&
		PORT_STAGING_AT + PORT_STAGING_UNITS <= PORT_ERASE_UNITS) ||
		       PORT_ERASE_UNITS == 0u,
	       "slots, records and staging are more than PORT_ERASE_UNITS");

const struct tmd_region port_all = {&port_flash, 0, PORT_BYTES};
const struct tmd_region port_slot[2] = {
	{&port_flash, UNITS(PORT_SLOT_AT), UNITS(PORT_SLOT_UNITS)},
	{&port_flash, UNITS(PORT_SLOT_AT + PORT_SLOT_UNITS), UNITS(PORT_SLOT_UNITS)},
};
const struct tmd_region port_records = {&port_flash, UNITS(PORT_RECORD_AT),
					UNITS(PORT_RECORD_UNITS)};
const struct tmd_region port_staging = {PORT_STAGING_UNITS == 0u ? NULL : &port_flash,
					UNITS(PORT_STAGING_AT), UNITS(PORT_STAGING_UNITS)};

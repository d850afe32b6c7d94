/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum unit_state {
	UNIT_ERASED,
	UNIT_PROGRAMMED,
	UNIT_TORN,
};

#define FAILED (-1)

const struct tmd_sim_geometry tmd_sim_geometries[] = {
	{"stm32u5", "STM32U5: pages of 8 KB, 16-byte units with ECC, written once",
	 {{8192, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE},
	{"nrf52", "nRF52: pages of 4 KB, 4-byte words", {{4096, 1}}, 1, 4, 0xFF, 0},
	{"rram", "nRF54L: RRAM, 16-byte units, no erase", {{4096, 1}}, 1, 16, 0xFF, TMD_FLASH_NO_ERASE},
	{"rp2350", "RP2350: external NOR, sectors of 4 KB, pages of 256 bytes",
	 {{4096, 1}}, 1, 256, 0xFF, 0},
	{"esp32", "ESP32: external NOR, sectors of 4 KB, 4-byte words", {{4096, 1}}, 1, 4, 0xFF, 0},
	{"stm32h7", "STM32H7: sectors of 128 KB, 32-byte words with ECC, written once",
	 {{131072, 1}}, 1, 32, 0xFF, TMD_SIM_WRITE_ONCE},
	{"ra4m1", "RA4M1 data flash: blocks of 1 KB, single bytes", {{1024, 1}}, 1, 1, 0xFF, 0},
	{"stm32l0", "STM32L0: pages of 128 bytes, 4-byte words, erased to zero",
	 {{128, 1}}, 1, 4, 0x00, 0},
	{"eeprom", "EEPROM: single bytes, no erase", {{256, 1}}, 1, 1, 0xFF, TMD_FLASH_NO_ERASE},
	{"unequal", "Sectors of 2, 2 and 8 KB, 8-byte words with ECC, written once",
	 {{2048, 2}, {8192, 1}}, 2, 8, 0xFF, TMD_SIM_WRITE_ONCE},
	{NULL, NULL, {{0, 0}}, 0, 0, 0, 0},
};

/* xorshift64: torn contents must be the same in every run with the same seed. */
static uint64_t next_random(struct tmd_sim *sim)
{
	sim->random ^= sim->random << 13;
	sim->random ^= sim->random >> 7;
	sim->random ^= sim->random << 17;
	return sim->random;
}

uint32_t tmd_sim_pattern_bytes(const struct tmd_sim_geometry *geometry)
{
	uint32_t bytes = 0;

	if (geometry->pattern_n > TMD_SIM_RUNS_MAX) {
		return 0;
	}
	for (uint32_t i = 0; i < geometry->pattern_n; i++) {
		bytes += geometry->pattern[i].bytes * geometry->pattern[i].count;
	}
	return bytes;
}

static int illegal(struct tmd_sim *sim, const char *what, uint32_t offset, uint32_t bytes)
{
	if (sim->counts.illegal++ == 0u) {
		(void)snprintf(sim->illegal_text, sizeof(sim->illegal_text),
			       "%s at 0x%lx, %lu bytes", what, (unsigned long)offset,
			       (unsigned long)bytes);
	}
	return FAILED;
}

static bool is_inside(const struct tmd_sim *sim, uint32_t offset, uint32_t bytes)
{
	return bytes > 0u && offset <= sim->size && bytes <= sim->size - offset;
}

/* The erase unit that contains `offset`, which lies inside the device. */
static uint32_t unit_of(const struct tmd_sim *sim, uint32_t offset, uint32_t *bytes)
{
	uint32_t start = 0;

	for (uint32_t i = 0; i < sim->flash.runs_n; i++) {
		const struct tmd_flash_run *run = &sim->runs[i];
		const uint32_t end = start + run->bytes * run->count;

		if (offset < end) {
			*bytes = run->bytes;
			return offset - (offset - start) % run->bytes;
		}
		start = end;
	}
	*bytes = 0;
	return 0;
}

bool tmd_sim_is_weak(const struct tmd_sim *sim, uint32_t offset, uint32_t bytes)
{
	const uint32_t unit = sim->flash.write_bytes;

	for (uint32_t u = offset / unit; u <= (offset + bytes - 1u) / unit; u++) {
		if (sim->state[u] == (uint8_t)UNIT_TORN) {
			return true;
		}
	}
	return false;
}

bool tmd_sim_faults(const struct tmd_sim *sim, uint32_t offset, uint32_t bytes)
{
	return (sim->geometry.flags & TMD_SIM_WRITE_ONCE) != 0u &&
	       tmd_sim_is_weak(sim, offset, bytes);
}

static int sim_read(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	struct tmd_sim *sim = ctx;

	if (!sim->powered) {
		return FAILED;
	}
	if (!is_inside(sim, offset, bytes)) {
		return illegal(sim, "read out of bounds", offset, bytes);
	}
	sim->counts.reads++;
	sim->counts.bytes_read += bytes;
	/* What a torn unit holds may look right: an ECC error comes with the data, not instead. */
	memcpy(buf, &sim->bytes[offset], bytes);
	return tmd_sim_faults(sim, offset, bytes) ? FAILED : 0;
}

static const void *sim_map(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct tmd_sim *sim = ctx;

	if (!sim->powered || !is_inside(sim, offset, bytes) ||
	    tmd_sim_faults(sim, offset, bytes)) {
		return NULL;
	}
	return &sim->bytes[offset];
}

/*
 * Program one write unit; a torn one keeps some of its old bits. One that kept them all, on flash
 * that would not show it, was not touched: nobody could ever know.
 */
static void program_unit(struct tmd_sim *sim, uint32_t offset, const uint8_t *buf, bool torn)
{
	const uint32_t unit = sim->flash.write_bytes;
	uint8_t *state = &sim->state[offset / unit];
	bool changed = !torn || (sim->geometry.flags & TMD_SIM_WRITE_ONCE) != 0u;

	for (uint32_t i = 0; i < unit; i++) {
		const uint8_t keep = torn ? (uint8_t)next_random(sim) : 0u;
		uint8_t *cell = &sim->bytes[offset + i];
		const uint8_t next = (uint8_t)((*cell & keep) | (buf[i] & (uint8_t)~keep));

		changed = changed || next != *cell;
		*cell = next;
	}
	if (!changed) {
		return;
	}
	if (*state != (uint8_t)UNIT_ERASED && (sim->flash.flags & TMD_FLASH_NO_ERASE) == 0u) {
		sim->counts.rewrites++;
	}
	*state = (uint8_t)(torn ? UNIT_TORN : UNIT_PROGRAMMED);
}

static bool can_program(const struct tmd_sim *sim, uint32_t offset, const uint8_t *buf,
			uint32_t bytes)
{
	const uint32_t unit = sim->flash.write_bytes;

	if ((sim->flash.flags & TMD_FLASH_NO_ERASE) != 0u) {
		return true;
	}
	for (uint32_t i = 0; i < bytes; i++) {
		const uint8_t change = (uint8_t)(sim->bytes[offset + i] ^ buf[i]);

		/* Only from the erased value away, never back. */
		if ((change & (sim->bytes[offset + i] ^ sim->flash.erased_value)) != 0u ||
		    ((sim->geometry.flags & TMD_SIM_WRITE_ONCE) != 0u &&
		     sim->state[(offset + i) / unit] != (uint8_t)UNIT_ERASED)) {
			return false;
		}
	}
	return true;
}

/* Does the power go during the operation that was just counted? */
static bool is_cut(const struct tmd_sim *sim)
{
	return sim->cut_at != 0u && sim->counts.operations == sim->cut_at;
}

static enum tmd_sim_fault fault_now(const struct tmd_sim *sim)
{
	return sim->fault_at != 0u && sim->counts.operations == sim->fault_at
		       ? (enum tmd_sim_fault)sim->fault
		       : TMD_SIM_FAULT_NONE;
}

/* How many of `units` the cut operation has done. */
static uint32_t part_of(struct tmd_sim *sim, uint32_t units)
{
	return sim->cut_part == TMD_SIM_ANY ? (uint32_t)(next_random(sim) % units)
					    : sim->cut_part % units;
}

static int cut_write(struct tmd_sim *sim, uint32_t offset, const uint8_t *buf, uint32_t bytes)
{
	const uint32_t unit = sim->flash.write_bytes;
	const uint32_t units = bytes / unit;
	uint32_t whole = 0;
	uint32_t torn = 0;

	switch ((enum tmd_sim_cut)sim->cut) {
	case TMD_SIM_CUT_PREFIX:
		whole = part_of(sim, units);
		break;
	case TMD_SIM_CUT_TORN:
		whole = part_of(sim, units);
		torn = 1;
		break;
	case TMD_SIM_CUT_SUBSET:
		torn = units;
		break;
	case TMD_SIM_CUT_AFTER:
		whole = units;
		break;
	default:
		break;
	}
	for (uint32_t u = 0; u < whole + torn; u++) {
		program_unit(sim, offset + u * unit, &buf[u * unit], u >= whole);
	}
	sim->powered = false;
	return FAILED;
}

static int sim_write(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	struct tmd_sim *sim = ctx;
	const uint32_t unit = sim->flash.write_bytes;
	enum tmd_sim_fault fault;
	uint32_t start;
	uint32_t unit_bytes;

	if (!sim->powered) {
		return FAILED;
	}
	if (!is_inside(sim, offset, bytes) || offset % unit != 0u || bytes % unit != 0u) {
		return illegal(sim, "write out of bounds or unaligned", offset, bytes);
	}
	start = unit_of(sim, offset, &unit_bytes);
	if (bytes > start + unit_bytes - offset) {
		return illegal(sim, "write across erase units", offset, bytes);
	}
	if (!can_program(sim, offset, buf, bytes)) {
		return illegal(sim, "write to what is not erased", offset, bytes);
	}
	sim->counts.operations++;
	if (is_cut(sim)) {
		return cut_write(sim, offset, buf, bytes);
	}
	fault = fault_now(sim);
	if (fault == TMD_SIM_FAULT_ERROR || fault == TMD_SIM_FAULT_LIE) {
		return fault == TMD_SIM_FAULT_ERROR ? FAILED : 0;
	}
	sim->counts.writes++;
	sim->counts.bytes_written += bytes;
	for (uint32_t at = 0; at < bytes; at += unit) {
		program_unit(sim, offset + at, (const uint8_t *)buf + at, false);
	}
	if (fault == TMD_SIM_FAULT_FLIP) {
		const uint64_t r = next_random(sim);

		sim->bytes[offset + (uint32_t)((r >> 3) % bytes)] ^= (uint8_t)(1u << (r & 7u));
	}
	return 0;
}

static void erase_bytes(struct tmd_sim *sim, uint32_t offset, uint32_t bytes)
{
	const uint32_t unit = sim->flash.write_bytes;

	memset(&sim->bytes[offset], sim->flash.erased_value, bytes);
	memset(&sim->state[offset / unit], UNIT_ERASED, (bytes + unit - 1u) / unit);
}

static int cut_erase(struct tmd_sim *sim, uint32_t offset, uint32_t bytes)
{
	const uint32_t unit = sim->flash.write_bytes;

	if (sim->cut == (uint8_t)TMD_SIM_CUT_PREFIX) {
		erase_bytes(sim, offset, part_of(sim, bytes / unit) * unit);
	} else if (sim->cut == (uint8_t)TMD_SIM_CUT_TORN) {
		/* Any bits are left; or it reads as erased, and does not hold. */
		const bool weak = (next_random(sim) & 1u) != 0u;

		for (uint32_t i = 0; i < bytes; i++) {
			sim->bytes[offset + i] =
				weak ? sim->flash.erased_value : (uint8_t)next_random(sim);
		}
		memset(&sim->state[offset / unit], UNIT_TORN, bytes / unit);
	} else if (sim->cut == (uint8_t)TMD_SIM_CUT_SUBSET) {
		for (uint32_t i = 0; i < bytes; i++) {
			const uint8_t keep = (uint8_t)next_random(sim);
			uint8_t *cell = &sim->bytes[offset + i];

			*cell = (uint8_t)((*cell & keep) |
					  (sim->flash.erased_value & (uint8_t)~keep));
		}
		memset(&sim->state[offset / unit], UNIT_TORN, bytes / unit);
	} else if (sim->cut == (uint8_t)TMD_SIM_CUT_AFTER) {
		erase_bytes(sim, offset, bytes);
	}
	sim->powered = false;
	return FAILED;
}

static int sim_erase(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct tmd_sim *sim = ctx;
	enum tmd_sim_fault fault;
	uint32_t unit_bytes;

	if (!sim->powered) {
		return FAILED;
	}
	if (!is_inside(sim, offset, bytes) || unit_of(sim, offset, &unit_bytes) != offset ||
	    bytes != unit_bytes) {
		return illegal(sim, "erase of what is not one erase unit", offset, bytes);
	}
	if ((sim->flash.flags & TMD_FLASH_NO_ERASE) != 0u) {
		return illegal(sim, "erase of flash that has none", offset, bytes);
	}
	sim->counts.operations++;
	if (is_cut(sim)) {
		return cut_erase(sim, offset, bytes);
	}
	fault = fault_now(sim);
	if (fault == TMD_SIM_FAULT_ERROR || fault == TMD_SIM_FAULT_LIE) {
		return fault == TMD_SIM_FAULT_ERROR ? FAILED : 0;
	}
	sim->counts.erases++;
	erase_bytes(sim, offset, bytes);
	if (fault == TMD_SIM_FAULT_FLIP) {
		const uint64_t r = next_random(sim);

		sim->bytes[offset + (uint32_t)((r >> 3) % bytes)] ^= (uint8_t)(1u << (r & 7u));
	}
	return 0;
}

bool tmd_sim_init(struct tmd_sim *sim, const struct tmd_sim_geometry *geometry, uint32_t patterns)
{
	const uint32_t pattern = tmd_sim_pattern_bytes(geometry);
	const uint32_t runs = geometry->pattern_n * patterns;

	memset(sim, 0, sizeof(*sim));
	if (pattern == 0u || patterns == 0u || patterns > 0x40000000u / pattern ||
	    geometry->write_bytes == 0u) {
		return false;
	}
	sim->geometry = *geometry;
	sim->size = pattern * patterns;
	sim->random = 0x9E3779B97F4A7C15u;
	sim->cut_part = TMD_SIM_ANY;
	sim->runs = calloc(runs, sizeof(*sim->runs));
	sim->bytes = malloc(sim->size);
	sim->state = calloc(sim->size / geometry->write_bytes + 1u, 1);
	if (sim->runs == NULL || sim->bytes == NULL || sim->state == NULL) {
		tmd_sim_free(sim);
		return false;
	}
	for (uint32_t i = 0; i < runs; i++) {
		sim->runs[i] = geometry->pattern[i % geometry->pattern_n];
	}
	memset(sim->bytes, geometry->erased_value, sim->size);
	sim->flash.read = sim_read;
	sim->flash.write = sim_write;
	sim->flash.erase = sim_erase;
	sim->flash.map = sim_map;
	sim->flash.ctx = sim;
	sim->flash.runs = sim->runs;
	sim->flash.runs_n = runs;
	sim->flash.write_bytes = geometry->write_bytes;
	sim->flash.erased_value = geometry->erased_value;
	sim->flash.flags = geometry->flags & TMD_FLASH_NO_ERASE;
	sim->powered = true;
	return true;
}

void tmd_sim_free(struct tmd_sim *sim)
{
	free(sim->runs);
	free(sim->bytes);
	free(sim->state);
	memset(sim, 0, sizeof(*sim));
}

void tmd_sim_power_on(struct tmd_sim *sim)
{
	sim->powered = true;
	sim->cut_part = TMD_SIM_ANY;
	sim->cut_at = 0;
	sim->fault_at = 0;
}

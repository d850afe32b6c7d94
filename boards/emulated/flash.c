/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "flash.h"

#include <string.h>

#define PIECE 64u
#define CUT_DONE 100u

static struct {
	struct flash_counts counts;
	uint32_t cut_at; /* 0: never */
	uint32_t cut_percent;
	bool trace;
} state;

_Noreturn void flash_illegal(const char *what, uint32_t offset, uint32_t bytes)
{
	board_print("illegal flash operation: ");
	board_print(what);
	board_print(" at ");
	board_print_number(offset);
	board_print(", ");
	board_print_number(bytes);
	board_print(" bytes\n");
	board_exit(FLASH_STATUS_ILLEGAL);
}

_Noreturn void flash_no_file(void)
{
	board_print("the flash's file cannot be used: " FLASH_FILE "\n");
	board_exit(FLASH_STATUS_ILLEGAL);
}

bool flash_power_on(void)
{
	memset(&state, 0, sizeof(state));
	return part_power_on();
}

void flash_cut_at(uint32_t number, uint32_t percent)
{
	state.cut_at = number;
	state.cut_percent = percent;
}

void flash_trace(void)
{
	state.trace = true;
}

const struct flash_counts *flash_counts(void)
{
	return &state.counts;
}

static void demand_inside(const char *what, uint32_t offset, uint32_t bytes)
{
	if (bytes == 0u || offset > FLASH_BYTES || bytes > FLASH_BYTES - offset) {
		flash_illegal(what, offset, bytes);
	}
}

/* Counts it. True if the power goes during it. */
static bool is_cut(const char *what, uint32_t offset, uint32_t bytes)
{
	state.counts.operations++;
	if (state.trace) {
		board_print("op ");
		board_print_number(state.counts.operations);
		board_print(what);
		board_print_number(offset);
		board_print(" ");
		board_print_number(bytes);
		board_print("\n");
	}
	return state.counts.operations == state.cut_at;
}

static _Noreturn void lose_power(const char *during, uint32_t offset)
{
	board_print("power cut during ");
	board_print(during);
	board_print(" at ");
	board_print_number(offset);
	board_print("\n");
	board_exit(FLASH_STATUS_CUT);
}

/* Which cells have changed when the power goes is chance; here, the same one in every run. */
static uint8_t chance(uint32_t offset)
{
	uint32_t x = (offset + 1u) * 2654435761u ^ state.cut_at * 40503u;

	x ^= x >> 15;
	x *= 2246822519u;
	return (uint8_t)(x >> 24);
}

static int port_read(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	(void)ctx;
	demand_inside("read out of bounds", offset, bytes);
	return part_read(offset, buf, bytes) ? 0 : -1;
}

static const void *port_map(void *ctx, uint32_t offset, uint32_t bytes)
{
	(void)ctx;
	demand_inside("map out of bounds", offset, bytes);
	return part_map(offset, bytes);
}

static void demand_erased(uint32_t offset, uint32_t bytes)
{
	uint8_t piece[PIECE];

	for (uint32_t at = 0; at < bytes;) {
		const uint32_t n = bytes - at < PIECE ? bytes - at : PIECE;

		if (!part_read(offset + at, piece, n)) {
			flash_illegal("write to a unit that faults", offset, bytes);
		}
		for (uint32_t i = 0; i < n; i++) {
			if (piece[i] != FLASH_ERASED) {
				flash_illegal("write to what is not erased", offset, bytes);
			}
		}
		at += n;
	}
}

/* Whole units, then one of which some bits were programmed and some not. */
static _Noreturn void cut_write(uint32_t offset, const uint8_t *buf, uint32_t bytes)
{
	const uint32_t units = bytes / FLASH_WRITE;
	const uint32_t done = units * state.cut_percent / CUT_DONE * FLASH_WRITE;
	uint8_t torn[FLASH_WRITE];

	if (done > 0u) {
		(void)part_program(offset, buf, done);
	}
	if (state.cut_percent != 0u && done < bytes) {
		for (uint32_t i = 0; i < FLASH_WRITE; i++) {
			torn[i] = (uint8_t)(buf[done + i] | chance(offset + done + i));
		}
		part_leave(offset + done, torn, FLASH_WRITE);
	}
	lose_power("a write", offset);
}

static int port_write(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	(void)ctx;
	demand_inside("write out of bounds", offset, bytes);
	if (offset % FLASH_WRITE != 0u || bytes % FLASH_WRITE != 0u ||
	    (uintptr_t)buf % (FLASH_WRITE < 8u ? FLASH_WRITE : 8u) != 0u) {
		flash_illegal("unaligned write", offset, bytes);
	}
	if (bytes > FLASH_ERASE - offset % FLASH_ERASE) {
		flash_illegal("write across erase units", offset, bytes);
	}
	demand_erased(offset, bytes);
	if (is_cut(" write ", offset, bytes)) {
		cut_write(offset, buf, bytes);
	}
	state.counts.writes++;
	state.counts.written += bytes;
	return part_program(offset, buf, bytes) ? 0 : -1;
}

/* Some of it erased; of the rest some bits are, and some are as they were. */
static _Noreturn void cut_erase(uint32_t offset)
{
	const uint32_t done = FLASH_ERASE / PIECE * state.cut_percent / CUT_DONE * PIECE;
	uint8_t piece[PIECE];

	if (state.cut_percent == CUT_DONE) {
		(void)part_erase(offset);
	} else if (state.cut_percent != 0u) {
		for (uint32_t at = 0; at < FLASH_ERASE; at += PIECE) {
			(void)part_read(offset + at, piece, PIECE);
			for (uint32_t i = 0; i < PIECE; i++) {
				const uint8_t bits = at < done ? 0xFFu : chance(offset + at + i);

				piece[i] = (uint8_t)(piece[i] | bits);
			}
			part_leave(offset + at, piece, PIECE);
		}
	}
	lose_power("an erase", offset);
}
_Static_assert(FLASH_ERASE % PIECE == 0u && FLASH_ERASED == 0xFFu, "as torn cells are made here");

static int port_erase(void *ctx, uint32_t offset, uint32_t bytes)
{
	(void)ctx;
	demand_inside("erase out of bounds", offset, bytes);
	if (offset % FLASH_ERASE != 0u || bytes != FLASH_ERASE) {
		flash_illegal("erase of what is not one erase unit", offset, bytes);
	}
	if (is_cut(" erase ", offset, bytes)) {
		cut_erase(offset);
	}
	state.counts.erases++;
	return part_erase(offset) ? 0 : -1;
}

static const struct tmd_flash_run runs[1] = {{FLASH_ERASE, FLASH_BYTES / FLASH_ERASE}};

const struct tmd_flash flash_port = {
	.read = port_read,
	.write = port_write,
	.erase = port_erase,
	.map = port_map,
	.runs = runs,
	.runs_n = 1,
	.write_bytes = FLASH_WRITE,
	.erased_value = FLASH_ERASED,
};

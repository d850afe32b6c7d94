/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Flash in RAM, for boards whose machine in QEMU has no flash controller: cells of which it is
 * known what they are, so that it can be as strict as the part whose geometry it has (emulated.py).
 * A unit is programmed once per erase. With FLASH_ECC, one that was left half-written, or
 * half-erased, faults on reading, as its check bits do not fit.
 *
 * FLASH_AT: the contents, then a byte for each write unit that says what it is. The host's file
 * holds the same; QEMU's loader puts it there at power-on, and each operation is written back
 * before it is reported as done. Units are marked torn first, so that QEMU may be killed at any
 * time.
 */
#include "flash.h"

#include <string.h>

enum unit {
	UNIT_ERASED,
	UNIT_PROGRAMMED,
	UNIT_TORN,
};

static uint8_t *const cells = (uint8_t *)FLASH_AT;
static uint8_t *const units = (uint8_t *)FLASH_AT + FLASH_BYTES;
static int file = -1;

/* Does the memory hold what the file holds, there? */
static bool was_loaded(uint32_t offset)
{
	uint8_t piece[64];

	return board_file_read(file, offset, piece, sizeof(piece)) &&
	       memcmp(piece, &cells[offset], sizeof(piece)) == 0;
}

bool part_power_on(void)
{
	const uint32_t bytes = FLASH_BYTES + FLASH_BYTES / FLASH_WRITE;

	file = board_file_open(FLASH_FILE, BOARD_FILE_CHANGE);
	return file >= 0 && board_file_bytes(file) == (int32_t)bytes && was_loaded(0) &&
	       was_loaded(bytes - 64u);
}

static void keep(const uint8_t *at, uint32_t bytes)
{
	if (!board_file_write(file, (uint32_t)(at - cells), at, bytes)) {
		flash_no_file();
	}
}

static void mark(uint32_t offset, uint32_t bytes, enum unit what)
{
	memset(&units[offset / FLASH_WRITE], (int)what, bytes / FLASH_WRITE);
	keep(&units[offset / FLASH_WRITE], bytes / FLASH_WRITE);
}

static bool faults(uint32_t offset, uint32_t bytes)
{
	const uint32_t last = (offset + bytes - 1u) / FLASH_WRITE;

	for (uint32_t u = offset / FLASH_WRITE; FLASH_ECC != 0 && u <= last; u++) {
		if (units[u] == (uint8_t)UNIT_TORN) {
			return true;
		}
	}
	return false;
}

/* The data of a unit that faults come all the same: a port must not let them pass as good. */
bool part_read(uint32_t offset, void *buf, uint32_t bytes)
{
	memcpy(buf, &cells[offset], bytes);
	return !faults(offset, bytes);
}

const void *part_map(uint32_t offset, uint32_t bytes)
{
	return FLASH_MAPPED == 0 || faults(offset, bytes) ? NULL : &cells[offset];
}

bool part_program(uint32_t offset, const void *buf, uint32_t bytes)
{
	for (uint32_t u = offset / FLASH_WRITE; u < (offset + bytes) / FLASH_WRITE; u++) {
		if (units[u] == (uint8_t)UNIT_PROGRAMMED) {
			flash_illegal("unit programmed twice", offset, bytes);
		}
	}
	mark(offset, bytes, UNIT_TORN);
	memcpy(&cells[offset], buf, bytes);
	keep(&cells[offset], bytes);
	mark(offset, bytes, UNIT_PROGRAMMED);
	return true;
}

bool part_erase(uint32_t offset)
{
	mark(offset, FLASH_ERASE, UNIT_TORN);
	memset(&cells[offset], FLASH_ERASED, FLASH_ERASE);
	keep(&cells[offset], FLASH_ERASE);
	mark(offset, FLASH_ERASE, UNIT_ERASED);
	return true;
}

/* Torn is all of the unit that was in work, also what reads as erased. */
void part_leave(uint32_t offset, const void *buf, uint32_t bytes)
{
	mark(offset, bytes, UNIT_TORN);
	memcpy(&cells[offset], buf, bytes);
	keep(&cells[offset], bytes);
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * NOR flash with the Intel command set (JEDEC JESD68 and JEP137, "Intel/Sharp extended"), the
 * second of the two banks of QEMU's `virt`: two chips of 16 bits side by side, so a word of 32 bits
 * takes each command twice, and what the query says of one chip counts double. A command turns a
 * bank from memory into a status register, for all addresses, until it is told to be memory again:
 * the firmware runs from RAM. Blocks come up locked in many such parts, so each is unlocked before
 * it is changed.
 *
 * QEMU (hw/block/pflash_cfi01.c) writes the bank through to its file, a buffer or a block at a
 * time. It knows the commands and the status, and nothing of cells: it would program 1 over 0,
 * which flash.c does not allow, it never reports an error but for write protection, and no time
 * passes.
 */
#include "flash.h"

#include <string.h>

#define BOTH(command) ((uint32_t)(command) | (uint32_t)(command) << 16)
#define READ_ARRAY BOTH(0xFFu)
#define READ_QUERY BOTH(0x98u)
#define CLEAR_STATUS BOTH(0x50u)
#define LOCK_SETUP BOTH(0x60u)
#define ERASE_SETUP BOTH(0x20u)
#define BUFFER_SETUP BOTH(0xE8u)
#define CONFIRM BOTH(0xD0u)

#define STATUS_READY BOTH(0x80u)
/* Erase or sequence, program, voltage, locked. */
#define STATUS_ERRORS BOTH(0x20u | 0x10u | 0x08u | 0x02u)

/* Offsets of the query, in words. */
#define QUERY_QRY 0x10u
#define QUERY_COMMANDS 0x13u
#define QUERY_BUFFER 0x2Au  /* bytes of it, as a power of two */
#define QUERY_REGIONS 0x2Cu /* of blocks of one size */
#define QUERY_BLOCKS 0x2Du  /* of the region, less one */
#define QUERY_BLOCK 0x2Fu   /* bytes of one, in 256 */
#define INTEL_EXTENDED 1u

#define CHIPS 2u

static uint32_t buffer_bytes;

static volatile uint32_t *at(uint32_t offset)
{
	return (volatile uint32_t *)(FLASH_AT + offset);
}

static uint32_t asked(uint32_t what)
{
	return *at(what * sizeof(uint32_t)) & 0xFFu;
}

static uint32_t asked_two(uint32_t what)
{
	return asked(what) | asked(what + 1u) << 8;
}

bool part_power_on(void)
{
	bool good;

	*at(0) = READ_QUERY;
	good = asked(QUERY_QRY) == 'Q' && asked(QUERY_QRY + 1u) == 'R' &&
	       asked(QUERY_QRY + 2u) == 'Y' && asked(QUERY_COMMANDS) == INTEL_EXTENDED &&
	       asked(QUERY_REGIONS) == 1u &&
	       asked_two(QUERY_BLOCK) * 256u * CHIPS == FLASH_ERASE &&
	       asked_two(QUERY_BLOCKS) + 1u >= FLASH_BYTES / FLASH_ERASE;
	buffer_bytes = CHIPS << asked(QUERY_BUFFER);
	*at(0) = READ_ARRAY;
	return good && buffer_bytes >= FLASH_WRITE;
}

/* What the command comes to; the bank is memory again. */
static bool done(uint32_t offset)
{
	uint32_t status;

	do {
		status = *at(offset);
	} while ((status & STATUS_READY) != STATUS_READY);
	*at(offset) = CLEAR_STATUS;
	*at(offset) = READ_ARRAY;
	return (status & STATUS_ERRORS) == 0u;
}

static bool unlock(uint32_t offset)
{
	*at(offset) = LOCK_SETUP;
	*at(offset) = CONFIRM;
	return done(offset);
}

bool part_read(uint32_t offset, void *buf, uint32_t bytes)
{
	memcpy(buf, (const uint8_t *)FLASH_AT + offset, bytes);
	return true;
}

const void *part_map(uint32_t offset, uint32_t bytes)
{
	(void)bytes;
	return (const uint8_t *)FLASH_AT + offset;
}

static bool program_buffer(uint32_t offset, const uint32_t *words, uint32_t n)
{
	do {
		*at(offset) = BUFFER_SETUP;
	} while ((*at(offset) & STATUS_READY) != STATUS_READY);
	*at(offset) = BOTH(n - 1u);
	for (uint32_t i = 0; i < n; i++) {
		*at(offset + i * FLASH_WRITE) = words[i];
	}
	*at(offset) = CONFIRM;
	return done(offset);
}

bool part_program(uint32_t offset, const void *buf, uint32_t bytes)
{
	const uint32_t *words = buf;
	bool good = unlock(offset);

	/* A buffer does not reach across a multiple of its own length. */
	while (bytes > 0u && good) {
		const uint32_t room = buffer_bytes - offset % buffer_bytes;
		const uint32_t n = bytes < room ? bytes : room;

		good = program_buffer(offset, words, n / FLASH_WRITE);
		words += n / FLASH_WRITE;
		offset += n;
		bytes -= n;
	}
	return good;
}

bool part_erase(uint32_t offset)
{
	if (!unlock(offset)) {
		return false;
	}
	*at(offset) = ERASE_SETUP;
	*at(offset) = CONFIRM;
	return done(offset);
}

/* There are no half operations in QEMU: what is left goes into its file, behind its back. */
void part_leave(uint32_t offset, const void *buf, uint32_t bytes)
{
	const int file = board_file_open(FLASH_FILE, BOARD_FILE_CHANGE);

	if (file < 0 || !board_file_write(file, offset, buf, bytes)) {
		flash_no_file();
	}
	board_file_close(file);
}

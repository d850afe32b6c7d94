/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The flash of an nRF51 behind the firmware, by its controller, the NVMC (nRF51 Series Reference
 * Manual, "Non-Volatile Memory Controller"): 1 KB pages, words of 32 bits. A word is programmed by
 * storing it while CONFIG allows writing; bits go from 1 to 0 only. A page is erased by writing its
 * address to ERASEPAGE while CONFIG allows erasing. The processor waits meanwhile, as it runs from
 * the same flash, so READY is seen at 0 by nobody; it is asked all the same.
 *
 * QEMU has this controller, with bits that only clear and stores of words alone, but no time
 * passes. It forgets the flash when it ends: the host's file is written after each operation, from
 * what the flash then reads, and put behind the firmware by QEMU's loader at the next power-on.
 */
#include "flash.h"

#include <string.h>

#define NVMC_READY (*(volatile uint32_t *)0x4001E400u)
#define NVMC_CONFIG (*(volatile uint32_t *)0x4001E504u)
#define NVMC_ERASEPAGE (*(volatile uint32_t *)0x4001E508u)
#define CONFIG_READ 0u
#define CONFIG_WRITE 1u
#define CONFIG_ERASE 2u

/* Factory information: what the part says of itself. */
#define FICR_CODEPAGESIZE (*(volatile uint32_t *)0x10000010u)
#define FICR_CODESIZE (*(volatile uint32_t *)0x10000014u) /* in pages */

#define CELLS ((const uint8_t *)FLASH_AT)

static int file = -1;

static void allow(uint32_t what)
{
	NVMC_CONFIG = what;
	while ((NVMC_READY & 1u) == 0u) {
	}
}

bool part_power_on(void)
{
	file = board_file_open(FLASH_FILE, BOARD_FILE_CHANGE);
	return file >= 0 && board_file_bytes(file) == (int32_t)FLASH_BYTES &&
	       FICR_CODEPAGESIZE == FLASH_ERASE &&
	       FICR_CODEPAGESIZE * FICR_CODESIZE == FLASH_AT + FLASH_BYTES;
}

static void keep(uint32_t offset, const void *from, uint32_t bytes)
{
	if (!board_file_write(file, offset, from, bytes)) {
		flash_no_file();
	}
}

bool part_read(uint32_t offset, void *buf, uint32_t bytes)
{
	memcpy(buf, &CELLS[offset], bytes);
	return true;
}

const void *part_map(uint32_t offset, uint32_t bytes)
{
	(void)bytes;
	return &CELLS[offset];
}

bool part_program(uint32_t offset, const void *buf, uint32_t bytes)
{
	volatile uint32_t *to = (volatile uint32_t *)(FLASH_AT + offset);
	const uint32_t *from = buf;

	allow(CONFIG_WRITE);
	for (uint32_t i = 0; i < bytes / FLASH_WRITE; i++) {
		to[i] = from[i];
		while ((NVMC_READY & 1u) == 0u) {
		}
	}
	allow(CONFIG_READ);
	keep(offset, &CELLS[offset], bytes);
	return true;
}

bool part_erase(uint32_t offset)
{
	allow(CONFIG_ERASE);
	NVMC_ERASEPAGE = FLASH_AT + offset;
	allow(CONFIG_READ);
	keep(offset, &CELLS[offset], FLASH_ERASE);
	return true;
}

/* The controller has no half operations: what is left goes into the file, which survives. */
void part_leave(uint32_t offset, const void *buf, uint32_t bytes)
{
	keep(offset, buf, bytes);
}

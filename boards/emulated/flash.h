/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The flash of an emulated board, as a port for the store (tinymldelta/flash.h), in two halves.
 * flash.c demands of each operation what the flash demands, counts it, and loses the power in the
 * middle of one if told to. The part below does it: the controller that QEMU emulates, or
 * flash_ram.c.
 *
 * emulated.py says what the part is (FLASH_*) and how its contents outlive QEMU: a process of QEMU
 * is one power-on, and the host's file flash.bin the cells.
 */
#ifndef TMD_EMULATED_FLASH_H
#define TMD_EMULATED_FLASH_H

#include <tinymldelta/flash.h>

#include "board.h"

#define FLASH_FILE "flash.bin"

/* Exit status of a power cut, and of an operation that the flash cannot do as asked. */
#define FLASH_STATUS_CUT 88
#define FLASH_STATUS_ILLEGAL 97

/* ---- for the firmware ---- */

struct flash_counts {
	uint32_t operations; /* writes and erases since power-on */
	uint32_t writes;
	uint32_t erases;
	uint32_t written; /* bytes */
};

/* The port. Its functions take no notice of their ctx. */
extern const struct tmd_flash flash_port;

/* To be called first. False if the part is not there, or not the one that this was built for. */
bool flash_power_on(void);

/*
 * The power goes during operation `number` of this power-on, counted from 1, when so many percent
 * of it are done. Of a write, that many of its units are written and the next one is left in
 * between, of an erase that many of its bytes are erased and the others left in between; 0: nothing
 * was done yet; 100: all was, and nobody learnt of it.
 */
void flash_cut_at(uint32_t number, uint32_t percent);

/* Print a line for each operation. */
void flash_trace(void);

const struct flash_counts *flash_counts(void);

/* ---- for the parts ---- */

bool part_power_on(void);
/* False if a byte of it is in a unit that faults on reading. */
bool part_read(uint32_t offset, void *buf, uint32_t bytes);
/* Where the offset is in memory, or NULL. */
const void *part_map(uint32_t offset, uint32_t bytes);
/* Whole units of erased flash, within one erase unit. False if the part reported an error. */
bool part_program(uint32_t offset, const void *buf, uint32_t bytes);
bool part_erase(uint32_t offset);
/* The power is gone, and this is what the cells hold: neither what was nor what was to be. */
void part_leave(uint32_t offset, const void *buf, uint32_t bytes);

/* Ends the run: the store asked for what the flash cannot do. */
_Noreturn void flash_illegal(const char *what, uint32_t offset, uint32_t bytes);
/* Ends the run: the host's file cannot be used. */
_Noreturn void flash_no_file(void);

#endif /* TMD_EMULATED_FLASH_H */

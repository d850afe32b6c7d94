/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A model of the RA4M1's flash sequencer, as its manual describes it.
 */
#ifndef STANDIN_SEQUENCER_H
#define STANDIN_SEQUENCER_H

#include <stdint.h>

/* What the next command does instead of what it is told. */
enum fault { FAULT_NONE, FAULT_REPORTED, FAULT_SILENT, FAULT_HANGS };

/*
 * Code flash from 0x20000 to 0x40000, at these very addresses: the contents of the file, or erased if
 * `path` is NULL. Whoever touches it while it cannot be read is ended by the system. A step out of order
 * ends the program, with a word.
 */
void standin_flash(const char *path);
void standin_fault(enum fault fault);
void standin_clock(uint32_t processor_hertz, uint32_t flash_hertz, uint32_t operating_mode);
/* As another library would leave it in the middle of its work. */
void standin_busy(void);
/* Writes and erases since the start; those that ended well. */
uint32_t standin_operations(void);
bool standin_is_readable(void);

#endif

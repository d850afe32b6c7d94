/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What bare-metal firmware asks of an emulated board: text and files on the host, by semihosting,
 * and two measures: instructions and stack. arm.c and riscv.c set up the processor and call main();
 * its result is QEMU's exit status. Where code and RAM lie, emulated.py knows.
 */
#ifndef TMD_EMULATED_BOARD_H
#define TMD_EMULATED_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int main(void);

/* ---- the host ---- */

/* A call of the host, by its number in the semihosting specification; the result is the host's. */
uintptr_t board_semihosting(uintptr_t operation, const void *argument);

void board_print(const char *text);
void board_print_number(uint32_t value);

/* End QEMU with this exit status, 0 to 255. A power cut, too: nothing is put away. */
_Noreturn void board_exit(int status);

/*
 * The command line that the firmware was started with: what stands behind its own name, without the
 * end mark's byte at most `size - 1` characters. False if there is none, or it is longer, own name
 * included.
 */
bool board_arguments(char *text, size_t size);

enum board_file_mode {
	BOARD_FILE_READ = 1,    /* "rb" */
	BOARD_FILE_CHANGE = 3,  /* "r+b": it exists, and is changed in place */
	BOARD_FILE_REPLACE = 5, /* "wb" */
};

/* A file of the host, in the folder that QEMU runs in. -1 if it cannot be opened. */
int board_file_open(const char *name, enum board_file_mode mode);
void board_file_close(int file);
/* Its length, or -1. */
int32_t board_file_bytes(int file);
/* All of `bytes` at `offset`; false if that was not possible. */
bool board_file_read(int file, uint32_t offset, void *buf, uint32_t bytes);
bool board_file_write(int file, uint32_t offset, const void *buf, uint32_t bytes);

/* ---- measures ---- */

/*
 * Instructions since the first call, as QEMU counts them with `-icount shift=0`. On Arm in steps of
 * emulated.py's `tick`; it has to be called at least once in 2^24 ticks, a round of the counter.
 *
 * Rounds since the first call, in firmware that is compiled with BOARD_ROUNDS: what was counted in
 * fewer has lost some. On RISC-V 0, as the counter has 64 bits.
 */
uint64_t board_instructions(void);
uint32_t board_rounds(void);

/* Paint the stack below what is in use; then, how many bytes of it were used since. */
void board_paint_stack(void);
uint32_t board_stack_used(void);

#endif /* TMD_EMULATED_BOARD_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Start of a RISC-V hart in machine mode.
 */
#include <string.h>

#include "board.h"

#define STATUS_OF_A_FAULT 99

extern uint32_t data_start, data_end, data_from;
extern uint32_t bss_start, bss_end;

void reset(void);

/* mtvec wants an address that 4 divides. */
__attribute__((aligned(4), used)) static void fault(void)
{
	board_print("processor fault\n");
	board_exit(STATUS_OF_A_FAULT);
}

/* There is no stack yet, nor a global pointer, which the linker's relaxation counts on. */
__attribute__((naked, section(".vectors"), used)) void enter(void)
{
	__asm__ volatile(".option push\n\t"
			 ".option norelax\n\t"
			 ".option arch, +zicsr\n\t"
			 "la gp, __global_pointer$\n\t"
			 "la sp, stack_top\n\t"
			 "la t0, fault\n\t"
			 "csrw mtvec, t0\n\t"
			 ".option pop\n\t"
			 "j reset");
}

/* The host knows the call by the three instructions, which are uncompressed and in one page. */
__attribute__((noinline, aligned(16))) uintptr_t board_semihosting(uintptr_t operation,
								    const void *argument)
{
	register uintptr_t a0 __asm__("a0") = operation;
	register const void *a1 __asm__("a1") = argument;

	__asm__ volatile(".option push\n\t"
			 ".option norvc\n\t"
			 ".balign 16\n\t"
			 "slli x0, x0, 0x1f\n\t"
			 "ebreak\n\t"
			 "srai x0, x0, 7\n\t"
			 ".option pop"
			 : "+r"(a0)
			 : "r"(a1)
			 : "memory");
	return a0;
}

static uint64_t retired(void)
{
	uint32_t high, low, again;

	do {
		__asm__ volatile(".option push\n\t"
				 ".option arch, +zicsr\n\t"
				 "csrr %0, minstreth\n\t"
				 "csrr %1, minstret\n\t"
				 "csrr %2, minstreth\n\t"
				 ".option pop"
				 : "=r"(high), "=r"(low), "=r"(again));
	} while (high != again);
	return ((uint64_t)high << 32) | low;
}

uint64_t board_instructions(void)
{
	static uint64_t first;

	if (first == 0u) {
		first = retired();
	}
	return retired() - first;
}

uint32_t board_rounds(void)
{
	return 0;
}

void reset(void)
{
	memcpy(&data_start, &data_from, (uintptr_t)&data_end - (uintptr_t)&data_start);
	memset(&bss_start, 0, (uintptr_t)&bss_end - (uintptr_t)&bss_start);
	board_exit(main());
}

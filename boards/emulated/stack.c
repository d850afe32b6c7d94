/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The stack that was used, seen by what is left of a pattern. The stack grows down, to the end of
 * .bss.
 */
#include "board.h"

#define PAINT 0xA5A5A5A5u
#define OWN_BYTES 32u /* what painting itself has on the stack, at most */

extern uint32_t stack_limit;

__attribute__((noinline)) void board_paint_stack(void)
{
	const uintptr_t end = (uintptr_t)__builtin_frame_address(0) - OWN_BYTES;

	for (volatile uint32_t *p = &stack_limit; (uintptr_t)p < end; p++) {
		*p = PAINT;
	}
}

__attribute__((noinline)) uint32_t board_stack_used(void)
{
	const uintptr_t end = (uintptr_t)__builtin_frame_address(0);
	const volatile uint32_t *p = &stack_limit;

	while ((uintptr_t)p < end && *p == PAINT) {
		p++;
	}
	return (uint32_t)(end - (uintptr_t)p);
}

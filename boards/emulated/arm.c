/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Start of a Cortex-M. The vector table has the system exceptions alone: nothing here uses
 * interrupts, but for SysTick's, which with BOARD_ROUNDS counts how often its counter went round.
 */
#include <string.h>

#include "board.h"

/* Armv6-M to Armv8-M: SysTick, the coprocessor access register. */
#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#ifndef SYST_MAX /* tests make it smaller */
#define SYST_MAX 0xFFFFFFu
#endif
#define SYST_ENABLE 1u
#if defined(BOARD_ROUNDS)
#define SYST_INTERRUPT 2u
#else
#define SYST_INTERRUPT 0u
#endif
#define SYST_BY_PROCESSOR_CLOCK 4u
#define CPACR (*(volatile uint32_t *)0xE000ED88u)
#define CPACR_FPU (0xFu << 20)

#define STATUS_OF_A_FAULT 99

extern uint32_t stack_top;
extern uint32_t data_start, data_end, data_from;
extern uint32_t bss_start, bss_end;

void reset(void);

static void fault(void)
{
	board_print("processor fault\n");
	board_exit(STATUS_OF_A_FAULT);
}

#if defined(BOARD_ROUNDS)
static volatile uint32_t rounds;

static void count_round(void)
{
	rounds++;
}

uint32_t board_rounds(void)
{
	return rounds;
}
#else
#define count_round fault
#endif

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
	(void (*)(void))&stack_top, reset, fault, fault, fault, fault, fault, fault,
	fault, fault, fault, fault, fault, fault, fault, count_round,
};

uintptr_t board_semihosting(uintptr_t operation, const void *argument)
{
	register uintptr_t r0 __asm__("r0") = operation;
	register const void *r1 __asm__("r1") = argument;

	__asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
	return r0;
}

uint64_t board_instructions(void)
{
	static uint32_t before;
	static uint64_t passed;
	uint32_t now;

	if ((SYST_CSR & SYST_ENABLE) == 0u) {
		SYST_RVR = SYST_MAX;
		SYST_CVR = 0; /* whatever is written */
		SYST_CSR = SYST_ENABLE | SYST_INTERRUPT | SYST_BY_PROCESSOR_CLOCK;
		before = SYST_CVR;
	}
	now = SYST_CVR;
	passed += (before - now) & SYST_MAX;
	before = now;
	/* In halves, as a tick of 62.5 ns is no whole number of them. */
	return passed * BOARD_TICK_HALVES / 2u;
}

void reset(void)
{
	memcpy(&data_start, &data_from, (uintptr_t)&data_end - (uintptr_t)&data_start);
	memset(&bss_start, 0, (uintptr_t)&bss_end - (uintptr_t)&bss_start);
#if defined(__ARM_FP)
	CPACR |= CPACR_FPU;
	__asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
	board_exit(main());
}

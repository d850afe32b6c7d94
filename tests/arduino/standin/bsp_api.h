/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the RA4M1 port uses of Renesas's headers, a stand-in of our own. In C, for compilers: registers at
 * their addresses (hardware manual R01UH0887). In C++, for running: registers that do something, see
 * sequencer.cpp.
 */
#ifndef STANDIN_BSP_API_H
#define STANDIN_BSP_API_H

#include <stddef.h>
#include <stdint.h>

#define BSP_MCU_GROUP_RA4M1 (1)
#define BSP_ROM_SIZE_BYTES (262144)

typedef enum { FSP_PRIV_CLOCK_ICLK = 24, FSP_PRIV_CLOCK_FCLK = 28 } fsp_priv_clock_t;

#ifdef __cplusplus

enum name {
	DFLCTL, FPMCR, FASR, FSARL, FSARH, FCR, FEARL, FEARH, FRESETR, FSTATR1, FWBL0, FWBH0, FWBL1,
	FWBH1, FPR, FISR, FSTATR2, FENTRYR, FCACHEE, FCACHEIV, OPCCR, AIRCR, NAMES
};

uint32_t standin_get(enum name name);
void standin_put(enum name name, uint32_t value);

template <enum name N> struct Register {
	operator uint32_t() const
	{
		return standin_get(N);
	}
	Register &operator=(uint32_t value)
	{
		standin_put(N, value);
		return *this;
	}
};

struct Sequencer {
	Register<name::DFLCTL> DFLCTL;
	Register<name::FPMCR> FPMCR;
	Register<name::FASR> FASR;
	Register<name::FSARL> FSARL;
	Register<name::FSARH> FSARH;
	Register<name::FCR> FCR;
	Register<name::FEARL> FEARL;
	Register<name::FEARH> FEARH;
	Register<name::FRESETR> FRESETR;
	Register<name::FSTATR1> FSTATR1;
	Register<name::FWBL0> FWBL0;
	Register<name::FWBH0> FWBH0;
	Register<name::FWBL1> FWBL1;
	Register<name::FWBH1> FWBH1;
	Register<name::FPR> FPR;
	Register<name::FISR> FISR;
	Register<name::FSTATR2> FSTATR2;
	Register<name::FENTRYR> FENTRYR;
};
struct Cache {
	Register<name::FCACHEE> FCACHEE;
	Register<name::FCACHEIV> FCACHEIV;
};
struct System {
	Register<name::OPCCR> OPCCR;
};
struct Control {
	Register<name::AIRCR> AIRCR;
};

extern struct Sequencer standin_sequencer;
extern struct Cache standin_cache;
extern struct System standin_system;
extern struct Control standin_control;
#define R_FACI_LP (&standin_sequencer)
#define R_FCACHE (&standin_cache)
#define R_SYSTEM (&standin_system)
#define SCB (&standin_control)

uint32_t R_FSP_SystemClockHzGet(fsp_priv_clock_t clock);
void __disable_irq(void);
uint32_t __get_PRIMASK(void);
void __set_PRIMASK(uint32_t mask);
#define __DSB() (void)0
#define __ISB() (void)0

#else

typedef struct {
	uint8_t before_dflctl[0x90];
	volatile uint8_t DFLCTL; /* 0x090 */
	uint8_t before_fpmcr[0x6F];
	volatile uint8_t FPMCR; /* 0x100 */
	uint8_t before_fasr[3];
	volatile uint8_t FASR; /* 0x104 */
	uint8_t before_fsarl[3];
	volatile uint16_t FSARL; /* 0x108 */
	uint8_t before_fsarh[6];
	volatile uint16_t FSARH; /* 0x110 */
	uint8_t before_fcr[2];
	volatile uint8_t FCR; /* 0x114 */
	uint8_t before_fearl[3];
	volatile uint16_t FEARL; /* 0x118 */
	uint8_t before_fearh[6];
	volatile uint32_t FEARH; /* 0x120 */
	volatile uint32_t FRESETR;
	volatile uint32_t FSTATR00;
	volatile const uint32_t FSTATR1; /* 0x12C */
	volatile uint32_t FWBL0;
	uint32_t before_fwbh0;
	volatile uint32_t FWBH0; /* 0x138 */
	volatile uint32_t FSTATR01;
	volatile uint32_t FWBL1; /* 0x140 */
	volatile uint32_t FWBH1;
	uint8_t before_fpr[0x38];
	volatile uint32_t FPR; /* 0x180 */
	uint8_t before_fisr[0x54];
	volatile uint32_t FISR; /* 0x1D8 */
	uint8_t before_fstatr2[0x14];
	volatile const uint32_t FSTATR2; /* 0x1F0 */
	uint8_t before_fentryr[0x3DBE];
	volatile uint16_t FENTRYR; /* 0x3FB2 */
} R_FACI_LP_Type;

typedef struct {
	uint8_t before_fcachee[0x100];
	volatile uint16_t FCACHEE;
	uint8_t before_fcacheiv[2];
	volatile uint16_t FCACHEIV; /* 0x104 */
} R_FCACHE_Type;

typedef struct {
	uint8_t before_opccr[0xA0];
	volatile uint8_t OPCCR;
} R_SYSTEM_Type;

typedef struct {
	uint8_t before_aircr[0xC];
	volatile uint32_t AIRCR;
} SCB_Type;

_Static_assert(offsetof(R_FACI_LP_Type, FSTATR1) == 0x12C, "as the manual has it");
_Static_assert(offsetof(R_FACI_LP_Type, FPR) == 0x180, "as the manual has it");
_Static_assert(offsetof(R_FACI_LP_Type, FISR) == 0x1D8, "as the manual has it");
_Static_assert(offsetof(R_FACI_LP_Type, FSTATR2) == 0x1F0, "as the manual has it");
_Static_assert(offsetof(R_FACI_LP_Type, FENTRYR) == 0x3FB2, "as the manual has it");

#define R_FACI_LP ((R_FACI_LP_Type *)0x407EC000u)
#define R_FCACHE ((R_FCACHE_Type *)0x4001C000u)
#define R_SYSTEM ((R_SYSTEM_Type *)0x4001E000u)
#define SCB ((SCB_Type *)0xE000ED00u)

extern uint32_t SystemCoreClock;

static inline uint32_t R_FSP_SystemClockHzGet(fsp_priv_clock_t clock)
{
	(void)clock;
	return SystemCoreClock;
}

static inline __attribute__((always_inline)) void __disable_irq(void)
{
	__asm volatile("cpsid i" ::: "memory");
}

static inline __attribute__((always_inline)) uint32_t __get_PRIMASK(void)
{
	uint32_t mask;

	__asm volatile("mrs %0, primask" : "=r"(mask)::"memory");
	return mask;
}

static inline __attribute__((always_inline)) void __set_PRIMASK(uint32_t mask)
{
	__asm volatile("msr primask, %0" ::"r"(mask) : "memory");
}

#define __DSB() __asm volatile("dsb 0xF" ::: "memory")
#define __ISB() __asm volatile("isb 0xF" ::: "memory")

#endif

#endif

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Order of steps, waits and limits: "RA4M1 Group User's Manual: Hardware" (R01UH0887), chapter Flash
 * Memory: changing from read mode to code flash P/E mode and back, programming, block erase; flash cache:
 * invalidate after programming. Renesas's own driver (FSP, r_flash_lp.c) does the same.
 */
/* Arduino's own build defines both, PlatformIO's the second alone; the board is told from the MCU. */
#if defined(ARDUINO_ARCH_RENESAS_UNO) || defined(ARDUINO_ARCH_RENESAS)
#include "bsp_api.h"
#endif

#if defined(BSP_MCU_GROUP_RA4M1)
#include <string.h>

#include "tmd_ra4m1.h"

/* Called while flash does not answer: lies in RAM, and calls nothing that does not. */
#define RAM_FUNCTION static __attribute__((noinline, used, section(".code_in_ram")))
#define IN_RAM static inline __attribute__((always_inline))

#define ENTRY_READ 0xAA00u /* FENTRYR, with its key in the upper byte */
#define ENTRY_CODE 0xAA01u
#define ENTRY_DATA 0xAA80u
#define ENTRY_ANY 0x0081u
#define MODE_READ 0x08u /* FPMCR */
#define MODE_DATA 0x10u
#define MODE_DISCHARGE_1 0x12u
#define MODE_DISCHARGE_2 0x92u
#define MODE_CODE 0x82u
#define MODE_LOW_VOLTAGE 0x40u /* unless in high-speed mode */
#define UNLOCK_MODE 0xA5u      /* FPR */
#define COMMAND_CLEAR 0x00u    /* FCR */
#define COMMAND_WRITE 0x81u
#define COMMAND_ERASE 0x84u
#define READY 0x40u         /* FSTATR1 */
#define ERASE_FAILED 0x11u  /* FSTATR2: erase error, illegal command */
#define WRITE_FAILED 0x12u  /* FSTATR2: program error, illegal command */
#define CLOCK_MASK 0x1Fu    /* FISR.PCKA: MHz of the flash's clock, less 1 */
#define OPERATING_MODE 0x3u /* OPCCR.OPCM; 0: high speed */
#define RESET_REQUEST 0x05FA0004u /* AIRCR */
#define RESET_GROUPS 0x0700u

/* Microseconds. Waits are at least these; the others are the longest, at the slowest clock. */
#define WAIT_DISCHARGE 3u
#define WAIT_MODE 6u
#define LONGEST_WRITE 1411u
#define LONGEST_ERASE 355000u
#define LONGEST_CHANGE 100u

#define FLASH_MHZ_MAX 32u

/* What the functions in RAM are given: they can read neither constants nor switch tables in flash. */
struct job {
	uint32_t mhz;       /* of the processor */
	uint32_t flash_mhz; /* of the flash */
	uint32_t address;
	uint32_t bytes;
	const uint8_t *data; /* NULL: erase */
};

enum result { RESULT_DONE, RESULT_FAILED };

/* At least so long: a turn takes two cycles or more. */
IN_RAM void wait(const struct job *job, uint32_t microseconds)
{
	for (uint32_t n = microseconds * job->mhz; n > 0u; n--) {
		__asm volatile("" ::: "memory");
	}
}

/* A turn of the loops below reads a register of the flash, which takes longer than 3 cycles. */
IN_RAM uint32_t turns(const struct job *job, uint32_t microseconds)
{
	return microseconds * job->mhz / 3u;
}

IN_RAM void set_mode(uint32_t mode)
{
	R_FACI_LP->FPR = UNLOCK_MODE;
	R_FACI_LP->FPMCR = (uint8_t)mode;
	R_FACI_LP->FPMCR = (uint8_t)~mode;
	R_FACI_LP->FPMCR = (uint8_t)mode;
}

IN_RAM uint32_t low_voltage(void)
{
	return (R_SYSTEM->OPCCR & OPERATING_MODE) == 0u ? 0u : MODE_LOW_VOLTAGE;
}

/* Flash cannot be read, and with it no code but this: start again, where it can. */
IN_RAM void restart(void)
{
	SCB->AIRCR = RESET_REQUEST | (SCB->AIRCR & RESET_GROUPS);
	for (;;) {
	}
}

IN_RAM void leave(const struct job *job)
{
	uint32_t left = turns(job, LONGEST_CHANGE);

	set_mode(MODE_READ);
	wait(job, WAIT_MODE);
	R_FACI_LP->FENTRYR = ENTRY_READ;
	while (R_FACI_LP->FENTRYR != 0u) {
		if (left == 0u) {
			restart();
		}
		left--;
	}
}

IN_RAM void enter_code(const struct job *job)
{
	R_FACI_LP->FENTRYR = ENTRY_CODE;
	set_mode(MODE_DISCHARGE_1);
	wait(job, WAIT_DISCHARGE);
	set_mode(MODE_DISCHARGE_2 | low_voltage());
	set_mode(MODE_CODE | low_voltage());
	wait(job, WAIT_MODE);
}

IN_RAM void leave_code(const struct job *job)
{
	set_mode(MODE_DISCHARGE_2);
	wait(job, WAIT_DISCHARGE);
	set_mode(MODE_DISCHARGE_1);
	leave(job);
}

/* Wait for the command that was given. After a failure the sequencer is reset, as it asks for. */
IN_RAM enum result finish(const struct job *job, uint32_t longest, uint32_t failed)
{
	uint32_t left = turns(job, longest);

	while ((R_FACI_LP->FSTATR1 & READY) == 0u && left > 0u) {
		left--;
	}
	if (left > 0u) {
		R_FACI_LP->FCR = COMMAND_CLEAR;
		left = turns(job, LONGEST_CHANGE);
		while ((R_FACI_LP->FSTATR1 & READY) != 0u && left > 0u) {
			left--;
		}
	}
	if (left == 0u || (R_FACI_LP->FSTATR2 & failed) != 0u) {
		R_FACI_LP->FRESETR = 1u;
		R_FACI_LP->FRESETR = 0u;
		return RESULT_FAILED;
	}
	return RESULT_DONE;
}

IN_RAM enum result erase_block(const struct job *job)
{
	const uint32_t last = job->address + job->bytes - 1u;

	R_FACI_LP->FASR = 0u;
	R_FACI_LP->FSARH = (uint16_t)(job->address >> 16);
	R_FACI_LP->FSARL = (uint16_t)job->address;
	R_FACI_LP->FEARH = (uint16_t)(last >> 16);
	R_FACI_LP->FEARL = (uint16_t)last;
	R_FACI_LP->FCR = COMMAND_ERASE;
	return finish(job, LONGEST_ERASE, ERASE_FAILED);
}

IN_RAM uint32_t two_bytes(const uint8_t *data)
{
	return (uint32_t)data[0] | (uint32_t)data[1] << 8;
}

IN_RAM enum result write_units(const struct job *job)
{
	enum result result = RESULT_DONE;

	R_FACI_LP->FASR = 0u;
	for (uint32_t at = 0; at < job->bytes && result == RESULT_DONE;
	     at += TMD_RA4M1_WRITE_BYTES) {
		const uint8_t *data = job->data + at;
		const uint32_t address = job->address + at;

		R_FACI_LP->FSARH = (uint16_t)(address >> 16);
		R_FACI_LP->FSARL = (uint16_t)address;
		R_FACI_LP->FWBL0 = two_bytes(data);
		R_FACI_LP->FWBH0 = two_bytes(data + 2);
		R_FACI_LP->FWBL1 = two_bytes(data + 4);
		R_FACI_LP->FWBH1 = two_bytes(data + 6);
		R_FACI_LP->FCR = COMMAND_WRITE;
		result = finish(job, LONGEST_WRITE, WRITE_FAILED);
	}
	return result;
}

/*
 * Erase or write. The cache is off meanwhile and emptied before it is on again, or it would give out
 * what flash held before.
 */
RAM_FUNCTION enum result do_job(const struct job *job)
{
	const uint32_t cached = R_FCACHE->FCACHEE;
	enum result result;

	R_FCACHE->FCACHEE = 0u;
	enter_code(job);
	result = job->data == NULL ? erase_block(job) : write_units(job);
	leave_code(job);
	R_FCACHE->FCACHEIV = 1u;
	while (R_FCACHE->FCACHEIV != 0u) {
	}
	R_FCACHE->FCACHEE = (uint16_t)cached;
	__DSB();
	__ISB();
	return result;
}

/* Tell the sequencer its clock, which can be set only while flash is about to be written. */
RAM_FUNCTION enum result announce_clock(const struct job *job)
{
	if (R_FACI_LP->DFLCTL != 1u) {
		R_FACI_LP->DFLCTL = 1u;
		wait(job, WAIT_MODE);
	}
	R_FACI_LP->FENTRYR = ENTRY_DATA;
	wait(job, WAIT_MODE);
	set_mode(MODE_DATA | low_voltage());
	R_FACI_LP->FISR = (R_FACI_LP->FISR & ~(uint32_t)CLOCK_MASK) | (job->flash_mhz - 1u);
	leave(job);
	return RESULT_DONE;
}

/* ---- from here on in flash ---- */

/* End of code and constants; what .data is initialised with follows, with at most this between. */
#define ALIGNED_BY 64u

extern const uint8_t __etext[];
extern const uint8_t __data_start__[];
extern const uint8_t __data_end__[];

uint32_t tmd_ra4m1_sketch_end(void)
{
	return (uint32_t)(uintptr_t)__etext +
	       (uint32_t)((uintptr_t)__data_end__ - (uintptr_t)__data_start__) + ALIGNED_BY;
}

/* Hertz to MHz, up: a clock that is said to be faster is waited for longer. */
static uint32_t to_mhz(uint32_t hertz)
{
	return (hertz + 999999u) / 1000000u;
}

/* With interrupts off, whose handlers lie in flash. Another operation, of data flash, may be open. */
static int run(enum result (*function)(const struct job *), struct job *job)
{
	uint32_t masked;
	enum result result = RESULT_FAILED;

	job->mhz = to_mhz(R_FSP_SystemClockHzGet(FSP_PRIV_CLOCK_ICLK));
	job->flash_mhz = to_mhz(R_FSP_SystemClockHzGet(FSP_PRIV_CLOCK_FCLK));
	masked = __get_PRIMASK();
	__disable_irq();
	if ((R_FACI_LP->FENTRYR & ENTRY_ANY) == 0u) {
		result = function(job);
	}
	__set_PRIMASK(masked);
	return result == RESULT_DONE ? 0 : -1;
}

static int read_flash(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	const struct tmd_ra4m1 *ra4m1 = (const struct tmd_ra4m1 *)ctx;

	memcpy(buf, (const void *)(uintptr_t)(ra4m1->first + offset), bytes);
	return 0;
}

static int write_flash(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	const struct tmd_ra4m1 *ra4m1 = (const struct tmd_ra4m1 *)ctx;
	struct job job = {0, 0, ra4m1->first + offset, bytes, (const uint8_t *)buf};

	/* What is written must not lie in flash either. */
	if ((uintptr_t)buf < BSP_ROM_SIZE_BYTES) {
		return -1;
	}
	return run(do_job, &job);
}

static int erase_flash(void *ctx, uint32_t offset, uint32_t bytes)
{
	const struct tmd_ra4m1 *ra4m1 = (const struct tmd_ra4m1 *)ctx;
	struct job job = {0, 0, ra4m1->first + offset, bytes, NULL};

	return run(do_job, &job);
}

static const void *map_flash(void *ctx, uint32_t offset, uint32_t bytes)
{
	const struct tmd_ra4m1 *ra4m1 = (const struct tmd_ra4m1 *)ctx;

	(void)bytes;
	return (const void *)(uintptr_t)(ra4m1->first + offset);
}

const char *tmd_ra4m1_init(struct tmd_ra4m1 *ra4m1, uint32_t first, uint32_t bytes)
{
	const uint32_t flash_hertz = R_FSP_SystemClockHzGet(FSP_PRIV_CLOCK_FCLK);
	struct job job = {0, 0, 0, 0, NULL};

	memset(ra4m1, 0, sizeof(*ra4m1));
	if (first % TMD_RA4M1_BLOCK_BYTES != 0u || bytes % TMD_RA4M1_BLOCK_BYTES != 0u ||
	    bytes == 0u || first > BSP_ROM_SIZE_BYTES || bytes > BSP_ROM_SIZE_BYTES - first) {
		return "the flash for models is no row of whole blocks of 2 KB within code flash";
	}
	if (first < tmd_ra4m1_sketch_end()) {
		return "the sketch reaches into the flash for models: begin that later, or make it smaller";
	}
	/* Below 4 MHz only whole ones are allowed, which no Arduino core sets. */
	if (flash_hertz < 4000000u || to_mhz(flash_hertz) > FLASH_MHZ_MAX) {
		return "the flash's clock is not from 4 to 32 MHz";
	}
	if (run(announce_clock, &job) != 0) {
		return "the flash is being written by another library";
	}
	ra4m1->first = first;
	ra4m1->run.bytes = TMD_RA4M1_BLOCK_BYTES;
	ra4m1->run.count = bytes / TMD_RA4M1_BLOCK_BYTES;
	ra4m1->flash.read = read_flash;
	ra4m1->flash.write = write_flash;
	ra4m1->flash.erase = erase_flash;
	ra4m1->flash.map = map_flash;
	ra4m1->flash.ctx = ra4m1;
	ra4m1->flash.runs = &ra4m1->run;
	ra4m1->flash.runs_n = 1;
	ra4m1->flash.write_bytes = TMD_RA4M1_WRITE_BYTES;
	ra4m1->flash.erased_value = 0xFF;
	return NULL;
}
#endif

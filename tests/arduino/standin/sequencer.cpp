/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * With TMD_CUT_AT=n the program ends in the middle of the nth write unit or erased block, as a board does
 * whose power goes.
 */
#include "sequencer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bsp_api.h"

#define FIRST 0x20000u
#define END 0x40000u
#define BLOCK 2048u
#define UNIT 8u
#define POLLS 5 /* until a command is done */

struct Sequencer standin_sequencer;
struct Cache standin_cache;
struct System standin_system;
struct Control standin_control;

static uint32_t values[NAMES];
static uint8_t *const memory = reinterpret_cast<uint8_t *>(FIRST);
static uint32_t processor_hertz = 48000000, flash_hertz = 24000000;
static uint32_t masked;
static enum fault fault;
static uint32_t operations, cut_at;
static int polls;
static bool dirty;     /* flash has changed, and the cache does not know */
static bool clock_set; /* FISR has been told the clock */
static bool failed;    /* the last command did, and the sequencer was not reset since */

/* Modes: what was asked for by FENTRYR, and which steps of FPMCR followed. */
static enum { READ, DATA, CODE } entry;
static uint8_t steps[8];
static unsigned int steps_n;
static uint8_t halves[3];
static unsigned int halves_n;

static void demand(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "sequencer: %s\n", what);
		abort();
	}
}

static void protect(int how)
{
	demand(mprotect(memory, END - FIRST, how) == 0, "mprotect");
}

void standin_flash(const char *path)
{
	const char *n = getenv("TMD_CUT_AT");
	const bool is_new = path == nullptr || access(path, F_OK) != 0;
	int flags = MAP_FIXED_NOREPLACE | (path == nullptr ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
	int file = path == nullptr ? -1 : open(path, O_RDWR | O_CREAT, 0600);

	demand(path == nullptr || (file >= 0 && ftruncate(file, END - FIRST) == 0), "file of the flash");
	demand(mmap(memory, END - FIRST, PROT_READ | PROT_WRITE, flags, file, 0) == memory,
	       "cannot map memory at 0x20000: see vm.mmap_min_addr");
	if (is_new) {
		memset(memory, 0xFF, END - FIRST);
	}
	protect(PROT_READ);
	cut_at = n == nullptr ? 0 : static_cast<uint32_t>(strtoul(n, nullptr, 10));
	values[FCACHEE] = 1;
	values[FISR] = 0x40; /* start-up area select, which must stay */
}

void standin_fault(enum fault next)
{
	fault = next;
}

void standin_clock(uint32_t processor, uint32_t flash, uint32_t operating_mode)
{
	processor_hertz = processor;
	flash_hertz = flash;
	values[OPCCR] = operating_mode;
}

void standin_busy(void)
{
	values[FENTRYR] = 0x80;
	entry = DATA;
}

uint32_t standin_operations(void)
{
	return operations;
}

bool standin_is_readable(void)
{
	return entry == READ && values[FCACHEE] == 1 && !dirty && masked == 0;
}

uint32_t R_FSP_SystemClockHzGet(fsp_priv_clock_t clock)
{
	return clock == FSP_PRIV_CLOCK_ICLK ? processor_hertz : flash_hertz;
}

void __disable_irq(void)
{
	masked = 1;
}

uint32_t __get_PRIMASK(void)
{
	return masked;
}

void __set_PRIMASK(uint32_t mask)
{
	demand(entry != CODE, "interrupts are on while flash cannot be read");
	masked = mask;
}

/* Were the steps since FENTRYR just these? `voltage` is OR'ed to those that allow it. */
static bool went(const uint8_t *wanted, unsigned int n)
{
	return steps_n == n && memcmp(steps, wanted, n) == 0;
}

static bool in_code_mode()
{
	const uint8_t low = values[OPCCR] == 0u ? 0x00 : 0x40;
	const uint8_t wanted[] = {0x12, static_cast<uint8_t>(0x92 | low),
				  static_cast<uint8_t>(0x82 | low)};

	return entry == CODE && went(wanted, 3);
}

static bool in_data_mode()
{
	const uint8_t wanted[] = {static_cast<uint8_t>(0x10 | (values[OPCCR] == 0u ? 0x00 : 0x40))};

	return entry == DATA && went(wanted, 1);
}

static void enter(uint32_t value)
{
	if (value == 0xAA00u) {
		const uint8_t from_code[] = {0x92, 0x12, 0x08};
		const uint8_t from_data[] = {0x08};

		demand(entry == CODE ? steps_n == 6 && memcmp(steps + 3, from_code, 3) == 0
				     : steps_n == 2 && memcmp(steps + 1, from_data, 1) == 0,
		       "left in another order than the manual's");
		demand(!failed, "left after a failure without a reset");
		entry = READ;
		protect(PROT_READ);
	} else {
		demand(entry == READ, "entered twice");
		demand(value == 0xAA01u || value == 0xAA80u, "FENTRYR without its key");
		entry = value == 0xAA01u ? CODE : DATA;
		if (entry == CODE) {
			demand(masked == 1, "interrupts are on");
			demand(values[FCACHEE] == 0, "the cache is on");
			demand(clock_set, "the clock was not announced");
			protect(PROT_NONE);
		}
	}
	values[FENTRYR] = value & 0xFFu;
	steps_n = 0;
}

/* FPMCR is written in three parts behind an unlock. */
static void step(uint8_t value)
{
	demand(halves_n < 3 && values[FPR] == 0xA5u, "FPMCR is not unlocked");
	halves[halves_n++] = value;
	if (halves_n == 3) {
		demand(halves[0] == halves[2] && halves[1] == static_cast<uint8_t>(~halves[0]),
		       "FPMCR is not written as value, inverse, value");
		demand(steps_n < sizeof(steps), "too many steps");
		steps[steps_n++] = halves[0];
		values[FPR] = 0;
	}
}

static void end_of_power(uint8_t *at, const uint8_t *data, uint32_t bytes)
{
	if (++operations != cut_at) {
		return;
	}
	for (uint32_t i = 0; i < bytes / 2u; i++) {
		at[i] = data == nullptr ? 0xFF : static_cast<uint8_t>(at[i] & data[i]);
	}
	_exit(9);
}

static void erase(uint32_t from, uint32_t to)
{
	demand(from % BLOCK == 0 && to == from + BLOCK - 1u, "an erase is not of one block");
	demand(from >= FIRST && to < END, "an erase outside of the flash for models");
	end_of_power(memory + (from - FIRST), nullptr, BLOCK);
	if (fault == FAULT_NONE) {
		memset(memory + (from - FIRST), 0xFF, BLOCK);
	}
}

static void write_unit(uint32_t at)
{
	uint8_t data[UNIT];
	uint8_t *unit = memory + (at - FIRST);

	demand(at % UNIT == 0 && at >= FIRST && at <= END - UNIT, "a write is not of one unit");
	for (uint32_t i = 0; i < UNIT; i += 2) {
		const uint32_t half = values[i == 0 ? FWBL0 : i == 2 ? FWBH0 : i == 4 ? FWBL1 : FWBH1];

		demand(half <= 0xFFFFu, "a write buffer has 16 bits");
		data[i] = static_cast<uint8_t>(half);
		data[i + 1] = static_cast<uint8_t>(half >> 8);
	}
	for (uint32_t i = 0; i < UNIT; i++) {
		demand(unit[i] == 0xFF, "a unit is written twice");
	}
	end_of_power(unit, data, UNIT);
	if (fault == FAULT_NONE) {
		memcpy(unit, data, UNIT);
	}
}

static void command(uint32_t value)
{
	const uint32_t from = values[FSARH] << 16 | values[FSARL];

	if (value == 0u) {
		polls = 0;
		values[FSTATR1] = 0;
		return;
	}
	demand(in_code_mode(), "a command outside of code flash P/E mode");
	demand(values[FASR] == 0 && (values[FSTATR1] & 0x40u) == 0, "a command before its time");
	protect(PROT_READ | PROT_WRITE);
	if (value == 0x84u) {
		erase(from, values[FEARH] << 16 | values[FEARL]);
	} else {
		demand(value == 0x81u, "an unknown command");
		write_unit(from);
	}
	protect(PROT_NONE);
	values[FSTATR2] = fault == FAULT_REPORTED ? (value == 0x84u ? 0x01u : 0x02u) : 0u;
	polls = fault == FAULT_HANGS ? -1 : POLLS;
	failed = fault == FAULT_REPORTED || fault == FAULT_HANGS;
	fault = FAULT_NONE;
	dirty = true;
}

uint32_t standin_get(enum name name)
{
	if (name == FSTATR1 && polls > 0 && --polls == 0) {
		values[FSTATR1] = 0x40;
	}
	return values[name];
}

void standin_put(enum name name, uint32_t value)
{
	switch (name) {
	case FENTRYR:
		enter(value);
		return;
	case FPR:
		halves_n = 0;
		break;
	case FPMCR:
		step(static_cast<uint8_t>(value));
		return;
	case FCR:
		command(value);
		return;
	case FISR:
		demand(in_data_mode() && values[DFLCTL] == 1, "the clock is announced in data flash P/E mode");
		demand((value & ~0x1Fu) == (values[FISR] & ~0x1Fu), "FISR has other bits too");
		demand((value & 0x1Fu) + 1u == (flash_hertz + 999999u) / 1000000u, "another clock");
		clock_set = true;
		break;
	case FRESETR:
		if (value == 1u) {
			failed = false;
			values[FSTATR2] = 0;
			values[FSTATR1] = 0;
			polls = 0;
		}
		return;
	case FCACHEIV:
		demand(value == 1u && entry == READ, "the cache is emptied while flash cannot be read");
		dirty = false;
		return; /* done at once: reads as 0 */
	case FCACHEE:
		demand(value == 0u || !dirty, "the cache is on with what flash held before");
		break;
	case AIRCR:
		_exit(8);
	default:
		break;
	}
	values[name] = value;
}

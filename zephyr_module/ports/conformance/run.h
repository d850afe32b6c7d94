/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Private to ports/conformance: one run of the test, and what its parts give each other.
 *
 *	conformance.c   geometry, the rounds, what outlasts a reset: the order of the whole
 *	writing.c       writes, and why one did not do what it should
 *	erasing.c       erases, likewise
 *	reading.c       reads of every kind, and as memory
 *	look.c          findings, what should be where, and what is there: under all of them
 *
 * Offsets are those of the device; a range ends before `end`.
 */
#ifndef TMD_PORTS_CONFORMANCE_RUN_H
#define TMD_PORTS_CONFORMANCE_RUN_H

#include "conformance.h"

#define GUARD 8u          /* bytes before and behind a buffer that nobody may touch */
#define ALIGNMENT 8u      /* of a uint64_t: what flash.h promises drivers at most */
#define READ_MAX 512u     /* bytes of the longest read */
#define PIECE 256u        /* bytes of a plain read */
#define ALIAS_BYTES 8u    /* so many are compared with what belongs elsewhere; 4 at least */
#define BUFFER_STEPS 16u  /* addresses of write buffers are taken modulo this */
#define ALIVE_READS 64u   /* after so many, the watchdog is fed; and before each erase */
#define ALIVE_BYTES 4096u /* looked at as memory */
#define NOWHERE UINT32_MAX

/* What a place should hold. */
enum content {
	ERASED,
	FIRST,  /* the bytes of its address */
	SECOND, /* their complement, but for the begin of the last unit: erased bytes, written */
};

/* An erase unit. */
struct unit {
	uint32_t start; /* on the device */
	uint32_t bytes;
};

struct run {
	const struct tmd_region *region;
	const struct tmd_flash *flash;
	const struct tmd_conformance_options *options;
	struct tmd_conformance_result *result;
	uint8_t *in;      /* what is read, shift + bytes of a read, between guards */
	uint8_t *out;     /* what is written, likewise */
	uint32_t end;     /* of the region, on the device */
	struct unit last; /* the unit that is erased once more: its first half is `blank` */
	uint32_t blank;   /* bytes */
	bool rewrites;    /* flash without erase */
	bool stop;        /* what comes now would build on what is broken */
};

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t round_up(uint32_t offset, uint32_t to)
{
	return (offset + to - 1u) / to * to;
}

/* What an area holds before it is used; with another `turn`, other bytes everywhere. */
static inline uint8_t filler(uint32_t i, uint8_t turn)
{
	return (uint8_t)(i * 37u + 0x6Bu) ^ turn;
}

/* ---- findings ---- */

/* Note that a rule is broken: where to say the rest, or NULL if it was noted before. */
struct tmd_conformance_finding *tmd_run_found(struct run *run, enum tmd_conformance_rule rule,
					      uint32_t offset, uint32_t bytes);

/* An operation returned an error. */
void tmd_run_found_error(struct run *run, enum tmd_conformance_rule rule, uint32_t offset,
			 uint32_t bytes);

void tmd_run_found_bytes(struct run *run, enum tmd_conformance_rule rule, uint32_t offset,
			 uint32_t bytes, uint8_t want, uint8_t got);

/* What is read at `at` belongs to `from`. */
void tmd_run_found_alias(struct run *run, uint32_t at, uint32_t bytes, uint8_t want, uint8_t got,
			 uint32_t from);

/* Something changed that nobody wrote to: at `at` stands `got`. Ends the run. */
void tmd_run_found_change(struct run *run, enum tmd_conformance_rule rule, uint32_t at,
			  uint32_t bytes, enum content content, uint8_t got);

/* The rule was looked at on the whole region, unless the run has ended. */
void tmd_run_looked_at(struct run *run, enum tmd_conformance_rule rule);

void tmd_run_stay_alive(const struct run *run);

/* ---- what should be where, and what is there ---- */

uint8_t tmd_run_wanted(const struct run *run, enum content content, uint32_t offset);

/* The erase unit that contains `offset`; 0 bytes if none does. The runs have been checked. */
struct unit tmd_run_unit_at(const struct tmd_flash *flash, uint32_t offset);

/* Call the port, into `in` + shift, which held filler before. False if it returned an error. */
bool tmd_run_read(struct run *run, uint32_t offset, uint32_t bytes, uint32_t shift, uint8_t turn);

/* Does byte `i` of the buffer hold what it held before that read, whatever that was? */
bool tmd_run_is_untouched(struct run *run, uint32_t offset, uint32_t bytes, uint32_t shift,
			  uint32_t i);

/*
 * Read into `in`, plainly. If it fails, or leaves the buffer as it was, nothing can be said any
 * more: false, and the run ends.
 */
bool tmd_run_get(struct run *run, uint32_t offset, uint32_t bytes);

/*
 * The first place of a range that does not hold what it should, or NOWHERE. Then that is in `in`,
 * with as much of the range behind it as was read with it: *bytes.
 */
uint32_t tmd_run_first_wrong(struct run *run, uint32_t offset, uint32_t end, enum content content,
			     uint32_t *bytes);

/* Does all of the range hold what it should? Not if it cannot be read, which ends the run. */
bool tmd_run_holds(struct run *run, uint32_t offset, uint32_t end, enum content content);

/* The erase unit at `start`, if it lies in the region, holds all it should; else `rule`. */
void tmd_run_check_unit(struct run *run, uint32_t start, enum content content,
			enum tmd_conformance_rule rule);

/* CRC-32 of what is read; what cannot be read counts as zeros. */
uint32_t tmd_run_crc_of(struct run *run, uint32_t from, uint32_t to);

/*
 * A cache of one line should hold what is looked at first after the next operation. What is there
 * may be half-written, and fail.
 */
void tmd_run_fill_cache(struct run *run, uint32_t offset, uint32_t bytes);

/* ---- why something is not as it should be ---- */

/*
 * Where that belongs which is read at `at`, if the two addresses differ in one bit: NOWHERE if that
 * was not found.
 */
uint32_t tmd_run_alias_of(struct run *run, uint32_t at);

/* Is a place right if it is read with what stands around it, from an aligned offset? */
bool tmd_run_is_misread(struct run *run, uint32_t at, enum content content);

/*
 * A place holds what it held before. Is it only read wrong? Then it reads right once all else was
 * read, or through memory, or after a reset.
 */
bool tmd_run_is_stale(struct run *run, uint32_t offset, uint32_t end, enum content content);

/* ---- the parts: each notes what it finds, and ends the run where that spoils what follows ---- */

/* Write a unit that is erased: FIRST, in single write units. */
void tmd_run_write_units(struct run *run, const struct unit *unit);

/* Write a unit that is erased: SECOND, in writes of every length. `turn` goes on from unit to unit. */
void tmd_run_write_lengths(struct run *run, const struct unit *unit, uint32_t *turn);

/* Flash without erase is written to read as erased: from what was there to something else. */
void tmd_run_overwrite(struct run *run, const struct unit *unit);

/* Erase a unit, or overwrite it, and see that it is erased. */
void tmd_run_clear_unit(struct run *run, const struct unit *unit);

/* Read the region, which holds FIRST, in every way. */
void tmd_run_check_reads(struct run *run);

/*
 * The whole region as memory, and what begins within: all of it was written, and read without an
 * error. Where a cache was filled before that, and not invalidated, it shows.
 */
void tmd_run_check_map(struct run *run, enum content content);

#endif /* TMD_PORTS_CONFORMANCE_RUN_H */

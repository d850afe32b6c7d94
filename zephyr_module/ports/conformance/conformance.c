/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * How it goes: every unit is erased. Then all of the region is written in single write units, each
 * place with bytes of its own, which are looked at with reads of every kind and through memory.
 * Then one unit after the other is erased between neighbours that have to stay, and written again
 * with the complement, in writes of every length. So every byte has been erased, and something
 * else, twice; but for the first half of the last unit, which is written with erased bytes the
 * second time: see last_erase.
 *
 * Where a promise is broken, further operations tell which one: nobody finds a cache that was not
 * invalidated by reading "WRITE_DONE".
 */
#include <string.h>

#include "run.h"

#define READ_AREA (GUARD + ALIGNMENT + READ_MAX + GUARD) /* of `in`; `out` is behind it */

_Static_assert(READ_AREA + GUARD + BUFFER_STEPS + 256u + GUARD <= TMD_CONFORMANCE_WORK,
	       "both buffers fit the working memory");
_Static_assert(TMD_WRITE_BUFFER <= 256 && READ_AREA % ALIGNMENT == 0u, "as laid out above");
_Static_assert(TMD_CONFORMANCE_RULES_N <= 32, "a bit for each rule");

/* ---- geometry ---- */

static uint32_t device_bytes(const struct tmd_flash *flash)
{
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < flash->runs_n; i++) {
		bytes += flash->runs[i].bytes * flash->runs[i].count;
	}
	return bytes;
}

static enum tmd_conformance_geometry wrong_region(const struct tmd_region *region, uint32_t *units)
{
	const struct tmd_flash *flash = region->flash;
	const uint32_t device = device_bytes(flash);

	*units = 0;
	if (region->offset > device || region->bytes > device - region->offset ||
	    (region->bytes != 0u &&
	     tmd_run_unit_at(flash, region->offset).start != region->offset)) {
		return TMD_CONFORMANCE_REGION_BAD;
	}
	for (uint32_t at = 0; at < region->bytes; (*units)++) {
		const struct unit unit = tmd_run_unit_at(flash, region->offset + at);

		if (unit.bytes > region->bytes - at) {
			return TMD_CONFORMANCE_REGION_BAD;
		}
		at += unit.bytes;
	}
	return *units < 2u ? TMD_CONFORMANCE_REGION_SMALL : 0;
}

static enum tmd_conformance_geometry wrong_geometry(const struct tmd_region *region,
						    uint32_t *units)
{
	const struct tmd_flash *flash = region->flash;
	const bool erases = (flash->flags & TMD_FLASH_NO_ERASE) == 0u;
	uint32_t total = 0;

	if (flash->read == NULL || flash->write == NULL || (erases && flash->erase == NULL)) {
		return TMD_CONFORMANCE_NO_FUNCTION;
	}
	if (flash->write_bytes == 0u || flash->write_bytes > TMD_WRITE_UNIT_MAX ||
	    TMD_WRITE_BUFFER % flash->write_bytes != 0u) {
		return TMD_CONFORMANCE_WRITE_BYTES_BAD;
	}
	if (flash->erased_value != 0xFFu && flash->erased_value != 0x00u) {
		return TMD_CONFORMANCE_ERASED_BAD;
	}
	if ((flash->flags & (uint8_t)~(unsigned int)TMD_FLASH_NO_ERASE) != 0u) {
		return TMD_CONFORMANCE_FLAGS_BAD;
	}
	if (flash->runs == NULL || flash->runs_n == 0u) {
		return TMD_CONFORMANCE_RUNS_BAD;
	}
	for (uint32_t i = 0; i < flash->runs_n; i++) {
		const struct tmd_flash_run *run = &flash->runs[i];

		if (run->bytes == 0u || run->count == 0u ||
		    run->count > (TMD_MODEL_MAX - total) / run->bytes) {
			return TMD_CONFORMANCE_RUNS_BAD;
		}
		if (run->bytes % flash->write_bytes != 0u) {
			return TMD_CONFORMANCE_UNIT_BAD;
		}
		total += run->bytes * run->count;
	}
	return wrong_region(region, units);
}

/* ---- the rounds ---- */

/* What the first phase left is still there. */
static void check_persists(struct run *run)
{
	const uint32_t last = run->last.start;
	uint32_t n;
	enum content content = SECOND;
	uint32_t at = tmd_run_first_wrong(run, run->region->offset, last, content, &n);

	if (at == NOWHERE && !run->stop) {
		content = ERASED;
		at = tmd_run_first_wrong(run, last, run->end, content, &n);
	}
	if (at != NOWHERE) {
		tmd_run_found_bytes(run, TMD_CONFORMANCE_PERSIST, at, n,
				    tmd_run_wanted(run, content, at), run->in[0]);
	}
	tmd_run_looked_at(run, TMD_CONFORMANCE_PERSIST);
}

/* Everything erased, and then written with what belongs there. */
static void first_round(struct run *run)
{
	struct unit unit;

	for (uint32_t at = run->region->offset; at < run->end && !run->stop; at += unit.bytes) {
		unit = tmd_run_unit_at(run->flash, at);
		tmd_run_clear_unit(run, &unit);
	}
	for (uint32_t at = run->region->offset; at < run->end && !run->stop; at += unit.bytes) {
		unit = tmd_run_unit_at(run->flash, at);
		tmd_run_write_units(run, &unit);
	}
	for (uint32_t at = run->region->offset; at < run->end && !run->stop; at += unit.bytes) {
		unit = tmd_run_unit_at(run->flash, at);
		tmd_run_check_unit(run, at, FIRST, TMD_CONFORMANCE_WRITE_ONLY);
	}
	tmd_run_looked_at(run, TMD_CONFORMANCE_WRITE_UNIT);
	tmd_run_looked_at(run, TMD_CONFORMANCE_WRITE_BUFFER);
}

static enum tmd_conformance_rule only(const struct run *run)
{
	return run->rewrites ? TMD_CONFORMANCE_WRITE_ONLY : TMD_CONFORMANCE_ERASE_ONLY;
}

/* Each unit erased among others, and written with the complement. */
static void second_round(struct run *run)
{
	struct unit unit = {0, 0};
	uint32_t turn = 0;

	for (uint32_t at = run->region->offset; at < run->end && !run->stop; at += unit.bytes) {
		const uint32_t before = unit.start;

		unit = tmd_run_unit_at(run->flash, at);
		tmd_run_check_unit(run, at, FIRST, only(run));
		if (run->stop) {
			return;
		}
		tmd_run_clear_unit(run, &unit);
		tmd_run_check_unit(run, at + unit.bytes, FIRST, only(run));
		if (at != run->region->offset) {
			tmd_run_check_unit(run, before, SECOND, only(run));
		}
		tmd_run_write_lengths(run, &unit, &turn);
	}
	for (uint32_t at = run->region->offset; at < run->end && !run->stop; at += unit.bytes) {
		unit = tmd_run_unit_at(run->flash, at);
		tmd_run_check_unit(run, at, SECOND, only(run));
	}
	tmd_run_looked_at(run, TMD_CONFORMANCE_WRITE_LENGTH);
}

/*
 * Leave the last unit erased: that has to outlast a reset as well. It begins with erased bytes, as a
 * model may: a driver that takes such a unit for erased, and spares the erase, shows.
 */
static void last_erase(struct run *run)
{
	const uint32_t before = tmd_run_unit_at(run->flash, run->last.start - 1u).start;

	if (run->stop) {
		return;
	}
	tmd_run_clear_unit(run, &run->last);
	tmd_run_check_unit(run, before, SECOND, only(run));
	tmd_run_check_unit(run, run->region->offset, SECOND, only(run));
}

static void whole_test(struct run *run)
{
	static const enum tmd_conformance_rule on_the_way[] = {
		TMD_CONFORMANCE_READ,        TMD_CONFORMANCE_READ_WHOLE,
		TMD_CONFORMANCE_READ_FRESH,  TMD_CONFORMANCE_WRITE,
		TMD_CONFORMANCE_WRITE_DONE,  TMD_CONFORMANCE_WRITE_WHOLE,
		TMD_CONFORMANCE_WRITE_BYTES, TMD_CONFORMANCE_WRITE_ONLY,
		TMD_CONFORMANCE_MEMORY,      TMD_CONFORMANCE_ADDRESS,
	};
	static const enum tmd_conformance_rule of_erases[] = {
		TMD_CONFORMANCE_ERASE, TMD_CONFORMANCE_ERASE_DONE, TMD_CONFORMANCE_ERASE_WHOLE,
		TMD_CONFORMANCE_ERASE_ONLY, TMD_CONFORMANCE_ERASED_VALUE,
	};
	const uint32_t device = device_bytes(run->flash);
	uint32_t before = 0;
	uint32_t behind = 0;

	if (run->options->outside) {
		before = tmd_run_crc_of(run, 0, run->region->offset);
		behind = tmd_run_crc_of(run, run->end, device);
	}
	first_round(run);
	if (!run->stop) {
		tmd_run_check_reads(run);
		tmd_run_check_map(run, FIRST);
	}
	second_round(run);
	if (!run->stop) {
		tmd_run_check_map(run, SECOND);
	}
	last_erase(run);
	for (uint32_t i = 0; i < sizeof(on_the_way) / sizeof(on_the_way[0]); i++) {
		tmd_run_looked_at(run, on_the_way[i]);
	}
	for (uint32_t i = 0; !run->rewrites && i < sizeof(of_erases) / sizeof(of_erases[0]); i++) {
		tmd_run_looked_at(run, of_erases[i]);
	}
	if (run->rewrites) {
		tmd_run_looked_at(run, TMD_CONFORMANCE_REWRITE);
	}
	if (run->options->outside) {
		if (tmd_run_crc_of(run, 0, run->region->offset) != before) {
			tmd_run_found(run, TMD_CONFORMANCE_OUTSIDE, 0, run->region->offset);
		}
		if (tmd_run_crc_of(run, run->end, device) != behind) {
			tmd_run_found(run, TMD_CONFORMANCE_OUTSIDE, run->end, device - run->end);
		}
		if (run->region->bytes < device) {
			tmd_run_looked_at(run, TMD_CONFORMANCE_OUTSIDE);
		}
	}
	if (run->options->power_cycle != NULL && !run->stop) {
		if (run->options->power_cycle(run->options->ctx) != 0) {
			tmd_run_found_error(run, TMD_CONFORMANCE_PERSIST, run->region->offset,
					    run->region->bytes);
		} else {
			check_persists(run);
		}
	}
}

int tmd_conformance(const struct tmd_region *region, const struct tmd_conformance_options *options,
		    struct tmd_conformance_result *result)
{
	struct run run;
	enum tmd_conformance_geometry wrong;

	if (region == NULL || region->flash == NULL || options == NULL || result == NULL ||
	    options->work == NULL || (uintptr_t)options->work % ALIGNMENT != 0u) {
		return TMD_ERR_ARGUMENT;
	}
	memset(result, 0, sizeof(*result));
	memset(&run, 0, sizeof(run));
	run.region = region;
	run.flash = region->flash;
	run.options = options;
	run.result = result;
	run.in = (uint8_t *)options->work + GUARD;
	run.out = (uint8_t *)options->work + READ_AREA + GUARD;
	wrong = wrong_geometry(region, &result->units);
	result->checked = (uint32_t)1 << TMD_CONFORMANCE_GEOMETRY;
	if (wrong != 0) {
		struct tmd_conformance_finding *finding = tmd_run_found(
				&run, TMD_CONFORMANCE_GEOMETRY, region->offset, region->bytes);

		if (finding != NULL) {
			finding->detail = (uint8_t)wrong;
		}
		return TMD_ERR_GEOMETRY;
	}
	run.end = region->offset + region->bytes;
	run.last = tmd_run_unit_at(region->flash, run.end - 1u);
	run.blank = run.last.bytes / region->flash->write_bytes / 2u * region->flash->write_bytes;
	run.rewrites = (region->flash->flags & TMD_FLASH_NO_ERASE) != 0u;
	if (options->after_reset) {
		check_persists(&run);
	} else {
		whole_test(&run);
	}
	return result->broken == 0u ? TMD_OK : TMD_ERR_FLASH_VERIFY;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What should be where, what is there, and why they differ.
 */
#include <string.h>

#include <tinymldelta/digest.h>

#include "run.h"

/* ---- findings ---- */

struct tmd_conformance_finding *tmd_run_found(struct run *run, enum tmd_conformance_rule rule,
					      uint32_t offset, uint32_t bytes)
{
	struct tmd_conformance_result *result = run->result;
	const uint32_t bit = (uint32_t)1 << rule;
	struct tmd_conformance_finding *finding = &result->findings[result->findings_n];

	if ((result->broken & bit) != 0u) {
		return NULL;
	}
	result->broken |= bit;
	result->findings_n++;
	finding->rule = (uint8_t)rule;
	finding->offset = offset;
	finding->bytes = bytes;
	finding->from = NOWHERE;
	return finding;
}

void tmd_run_found_error(struct run *run, enum tmd_conformance_rule rule, uint32_t offset,
			 uint32_t bytes)
{
	struct tmd_conformance_finding *finding = tmd_run_found(run, rule, offset, bytes);

	if (finding != NULL) {
		finding->error = true;
	}
}

void tmd_run_found_bytes(struct run *run, enum tmd_conformance_rule rule, uint32_t offset,
			 uint32_t bytes, uint8_t want, uint8_t got)
{
	struct tmd_conformance_finding *finding = tmd_run_found(run, rule, offset, bytes);

	if (finding != NULL) {
		finding->want = want;
		finding->got = got;
	}
}

void tmd_run_looked_at(struct run *run, enum tmd_conformance_rule rule)
{
	if (!run->stop) {
		run->result->checked |= (uint32_t)1 << rule;
	}
}

void tmd_run_stay_alive(const struct run *run)
{
	if (run->options->alive != NULL) {
		run->options->alive(run->options->ctx);
	}
}

/* ---- what should be where ---- */

/*
 * A byte that tells its address: two places whose addresses differ in one bit, or a few, have other
 * bytes. Never 0x00 or 0xFF, so that what is erased is told from what was written.
 */
static uint8_t address_byte(uint32_t offset)
{
	uint32_t x = offset * 2654435761u; /* spreads low bits upwards: 2^32 by the golden ratio */
	uint8_t byte;

	x ^= x >> 15; /* and high bits back down */
	x *= 2246822519u;
	x ^= x >> 13;
	byte = (uint8_t)(x >> 8);
	return byte == 0x00u || byte == 0xFFu ? 0x69u : byte;
}

uint8_t tmd_run_wanted(const struct run *run, enum content content, uint32_t offset)
{
	const bool blank = content == SECOND && offset >= run->last.start &&
			   offset - run->last.start < run->blank;

	if (content == ERASED || blank) {
		return run->flash->erased_value;
	}
	return content == FIRST ? address_byte(offset) : (uint8_t)~address_byte(offset);
}

struct unit tmd_run_unit_at(const struct tmd_flash *flash, uint32_t offset)
{
	struct unit unit = {0, 0};
	uint32_t start = 0;

	for (uint32_t i = 0; i < flash->runs_n; i++) {
		const struct tmd_flash_run *at = &flash->runs[i];
		const uint32_t end = start + at->bytes * at->count;

		if (offset < end) {
			unit.start = offset - (offset - start) % at->bytes;
			unit.bytes = at->bytes;
			return unit;
		}
		start = end;
	}
	return unit;
}

/* ---- reading ---- */

bool tmd_run_read(struct run *run, uint32_t offset, uint32_t bytes, uint32_t shift,
		  uint8_t turn)
{
	uint8_t *area = run->in - GUARD;
	uint8_t *buf = &run->in[shift];
	const uint32_t area_bytes = GUARD + shift + bytes + GUARD;
	bool good;

	for (uint32_t i = 0; i < area_bytes; i++) {
		area[i] = filler(i, turn);
	}
	for (uint32_t i = 0; i < bytes; i++) {
		buf[i] = filler(i, turn);
	}
	if (run->result->reads % ALIVE_READS == 0u) {
		tmd_run_stay_alive(run);
	}
	run->result->reads++;
	good = run->flash->read(run->flash->ctx, offset, buf, bytes) == 0;
	for (uint32_t i = 0; i < area_bytes; i++) {
		const bool inside = i >= GUARD + shift && i < GUARD + shift + bytes;

		if (!inside && area[i] != filler(i, turn)) {
			tmd_run_found_bytes(run, TMD_CONFORMANCE_MEMORY, offset, bytes,
					    filler(i, turn), area[i]);
			break;
		}
	}
	return good;
}

bool tmd_run_is_untouched(struct run *run, uint32_t offset, uint32_t bytes, uint32_t shift,
			  uint32_t i)
{
	const uint8_t *buf = &run->in[shift];
	bool untouched = buf[i] == filler(i, 0);

	if (untouched) {
		(void)tmd_run_read(run, offset, bytes, shift, 0xFF);
		untouched = buf[i] == filler(i, 0xFF);
		(void)tmd_run_read(run, offset, bytes, shift, 0);
	}
	return untouched;
}

/* Can the range be read if it is made a multiple of ALIGNMENT on both sides, and was not before? */
static bool reads_aligned(struct run *run, uint32_t offset, uint32_t bytes)
{
	const uint32_t start = offset / ALIGNMENT * ALIGNMENT;
	const uint32_t end = round_up(offset + bytes, ALIGNMENT);

	return (start != offset || end != offset + bytes) &&
	       tmd_run_read(run, start, end - start, 0, 0);
}

bool tmd_run_get(struct run *run, uint32_t offset, uint32_t bytes)
{
	if (!tmd_run_read(run, offset, bytes, 0, 0)) {
		tmd_run_found_error(run,
				    reads_aligned(run, offset, bytes) ? TMD_CONFORMANCE_READ_ANY
								      : TMD_CONFORMANCE_READ,
				    offset, bytes);
		run->stop = true;
	} else if (tmd_run_is_untouched(run, offset, bytes, 0, 0) ||
		   tmd_run_is_untouched(run, offset, bytes, 0, bytes - 1u)) {
		tmd_run_found(run, TMD_CONFORMANCE_READ_WHOLE, offset, bytes);
		run->stop = true;
	}
	return !run->stop;
}

uint32_t tmd_run_first_wrong(struct run *run, uint32_t offset, uint32_t end, enum content content,
			     uint32_t *bytes)
{
	for (uint32_t at = offset; at < end;) {
		const uint32_t n = min_u32(PIECE, end - at);

		if (!tmd_run_get(run, at, n)) {
			return NOWHERE;
		}
		for (uint32_t i = 0; i < n; i++) {
			if (run->in[i] != tmd_run_wanted(run, content, at + i)) {
				memmove(run->in, &run->in[i], n - i);
				*bytes = n - i;
				return at + i;
			}
		}
		at += n;
	}
	return NOWHERE;
}

bool tmd_run_holds(struct run *run, uint32_t offset, uint32_t end, enum content content)
{
	uint32_t bytes;

	return tmd_run_first_wrong(run, offset, end, content, &bytes) == NOWHERE && !run->stop;
}

/* ---- why something is not as it should be ---- */

/* Do these bytes, read at `at`, belong to `other`? Of erased ones nobody can tell. */
static bool is_of(const struct run *run, uint32_t other, uint32_t bytes, enum content content)
{
	uint32_t n = 0;

	while (n < bytes && run->in[n] != run->flash->erased_value &&
	       run->in[n] == tmd_run_wanted(run, content, other + n)) {
		n++;
	}
	return n == bytes;
}

uint32_t tmd_run_alias_of(struct run *run, uint32_t at)
{
	const uint32_t n = min_u32(run->end - at, ALIAS_BYTES);

	if (n < 4u || !tmd_run_read(run, at, n, 0, 0)) {
		return NOWHERE;
	}
	for (uint32_t bit = 1; bit != 0u && bit < run->end; bit <<= 1) {
		if (is_of(run, at ^ bit, n, FIRST) || is_of(run, at ^ bit, n, SECOND)) {
			return at ^ bit;
		}
	}
	return NOWHERE;
}

bool tmd_run_is_misread(struct run *run, uint32_t at, enum content content)
{
	const uint32_t start = at / ALIGNMENT * ALIGNMENT;

	return tmd_run_read(run, start, ALIGNMENT, 0, 0) &&
	       run->in[at - start] == tmd_run_wanted(run, content, at);
}

void tmd_run_found_alias(struct run *run, uint32_t at, uint32_t bytes, uint8_t want, uint8_t got,
			 uint32_t from)
{
	struct tmd_conformance_finding *finding =
		tmd_run_found(run, TMD_CONFORMANCE_ADDRESS, at, bytes);

	if (finding != NULL) {
		finding->want = want;
		finding->got = got;
		finding->from = from;
	}
}

void tmd_run_found_change(struct run *run, enum tmd_conformance_rule rule, uint32_t at,
			  uint32_t bytes, enum content content, uint8_t got)
{
	const uint8_t want = tmd_run_wanted(run, content, at);
	const uint32_t from = tmd_run_alias_of(run, at);

	if (from != NOWHERE) {
		tmd_run_found_alias(run, at, bytes, want, got, from);
	} else {
		tmd_run_found_bytes(
			run,
			tmd_run_is_misread(run, at, content) ? TMD_CONFORMANCE_READ_ANY : rule, at,
			bytes, want, got);
	}
	run->stop = true;
}

bool tmd_run_is_stale(struct run *run, uint32_t offset, uint32_t end, enum content content)
{
	const struct tmd_flash *flash = run->flash;
	bool stale;

	for (uint32_t at = run->region->offset; at < run->end; at += PIECE) {
		(void)tmd_run_read(run, at, min_u32(PIECE, run->end - at), 0, 0);
	}
	stale = tmd_run_holds(run, offset, end, content);
	/* What is erased is never asked for through memory: on some flash it faults. */
	if (!stale && content != ERASED && flash->map != NULL) {
		const uint8_t *bytes = flash->map(flash->ctx, offset, end - offset);

		stale = bytes != NULL;
		for (uint32_t i = 0; stale && i < end - offset; i++) {
			stale = bytes[i] == tmd_run_wanted(run, content, offset + i);
		}
	}
	if (!stale && run->options->power_cycle != NULL) {
		stale = run->options->power_cycle(run->options->ctx) == 0 &&
			tmd_run_holds(run, offset, end, content);
	}
	return stale;
}

void tmd_run_fill_cache(struct run *run, uint32_t offset, uint32_t bytes)
{
	(void)tmd_run_read(run, offset, min_u32(bytes, ALIAS_BYTES), 0, 0);
}

uint32_t tmd_run_crc_of(struct run *run, uint32_t from, uint32_t to)
{
	uint32_t crc = 0;

	for (uint32_t at = from; at < to;) {
		const uint32_t n = min_u32(PIECE, to - at);

		if (!tmd_run_read(run, at, n, 0, 0)) {
			memset(run->in, 0, n);
		}
		crc = tmd_crc32(crc, run->in, n);
		at += n;
	}
	return crc;
}

void tmd_run_check_unit(struct run *run, uint32_t start, enum content content,
			enum tmd_conformance_rule rule)
{
	const struct unit unit = tmd_run_unit_at(run->flash, start);
	uint32_t n;
	uint32_t at;

	if (run->stop || start < run->region->offset || start >= run->end) {
		return;
	}
	at = tmd_run_first_wrong(run, unit.start, unit.start + unit.bytes, content, &n);
	if (at != NOWHERE) {
		tmd_run_found_change(run, rule, at, n, content, run->in[0]);
	}
}

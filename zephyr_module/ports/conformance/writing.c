/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Writing: the port called with guards around its bytes, in units and in pieces of every length,
 * and why a write did not do what it should.
 */
#include "run.h"

#define NEAR_BYTES 16u /* looked at on both sides of a write */

/* One write: FIRST in single units, SECOND in longer pieces. */
struct write {
	uint32_t offset;
	uint32_t bytes;
	uint32_t shift; /* of the buffer's address */
	enum content content;
};

/* Call the port with the bytes that belong there, from `out` + shift. False: an error. */
static bool call_write(struct run *run, uint32_t offset, uint32_t bytes, enum content content,
		       uint32_t shift)
{
	uint8_t *area = run->out - GUARD;
	uint8_t *buf = &run->out[shift];
	const uint32_t area_bytes = GUARD + shift + bytes + GUARD;
	bool good;

	for (uint32_t i = 0; i < area_bytes; i++) {
		area[i] = filler(i, 0);
	}
	for (uint32_t i = 0; i < bytes; i++) {
		buf[i] = tmd_run_wanted(run, content, offset + i);
	}
	run->result->writes++;
	run->result->bytes_written += bytes;
	good = run->flash->write(run->flash->ctx, offset, buf, bytes) == 0;
	for (uint32_t i = 0; i < area_bytes; i++) {
		const uint32_t into = i - GUARD - shift; /* wraps before the buffer */
		const uint8_t want = into < bytes ? tmd_run_wanted(run, content, offset + into)
						  : filler(i, 0);

		if (area[i] != want) {
			tmd_run_found_bytes(run, TMD_CONFORMANCE_MEMORY, offset, bytes, want,
					    area[i]);
			break;
		}
	}
	return good;
}

static bool writes_right(struct run *run, uint32_t offset, uint32_t bytes, enum content content)
{
	return call_write(run, offset, bytes, content, 0) &&
	       tmd_run_holds(run, offset, offset + bytes, content);
}

/*
 * A write unit was refused or lost. Is the real one longer? Then a longer write works at an erased
 * place. Returns its length, or 0.
 */
static uint32_t longer_unit(struct run *run, uint32_t offset, enum content content)
{
	const struct unit unit = tmd_run_unit_at(run->flash, offset);
	uint32_t at = offset;

	for (uint32_t m = 2u * run->flash->write_bytes; m <= TMD_WRITE_BUFFER; m *= 2u) {
		at = round_up(at, m);
		if (at + m > unit.start + unit.bytes) {
			break;
		}
		/* What is not erased any more tells nothing: a part was programmed after all. */
		if ((content == ERASED || tmd_run_holds(run, at, at + m, ERASED)) &&
		    writes_right(run, at, m, content)) {
			return m;
		}
	}
	return 0;
}

/* A piece was written. Can the next one be, and the first stays? */
static bool are_apart(struct run *run, uint32_t offset, uint32_t bytes, enum content content)
{
	return writes_right(run, offset + bytes, bytes, content) &&
	       tmd_run_holds(run, offset, offset + bytes, content);
}

/*
 * The second unit of a row was refused or lost, or spoilt the first. Does that happen elsewhere
 * too, and not if a longer piece is written at once? Returns its length, or 0.
 */
static uint32_t shared_unit(struct run *run, uint32_t offset, enum content content)
{
	const uint32_t n = run->flash->write_bytes;
	const struct unit unit = tmd_run_unit_at(run->flash, offset);
	uint32_t at = offset + n;

	for (uint32_t m = 2u * n; m <= TMD_WRITE_BUFFER; m *= 2u) {
		const uint32_t first = round_up(at, m);
		const uint32_t pair = round_up(first + m, 2u * m);

		if (pair + 2u * m > unit.start + unit.bytes) {
			break;
		}
		if (!writes_right(run, first, n, content) ||
		    are_apart(run, first, n, content)) {
			return 0;
		}
		if (writes_right(run, pair, m, content) && are_apart(run, pair, m, content)) {
			return m;
		}
		at = pair + 2u * m;
	}
	return 0;
}

static uint32_t real_unit(struct run *run, uint32_t offset, enum content content, bool lost)
{
	uint32_t bytes = 0;

	if (run->flash->write_bytes >= TMD_WRITE_BUFFER) {
		return 0;
	}
	if (content != ERASED && offset / run->flash->write_bytes % 2u != 0u) {
		bytes = shared_unit(run, offset, content);
	}
	if (bytes == 0u && lost) {
		bytes = longer_unit(run, offset, content);
	}
	return bytes;
}

/*
 * A write at `offset` has gone to another place before it, where something stands already: it
 * differs in one address bit. NOWHERE if that was not found.
 */
static uint32_t gone_to(struct run *run, uint32_t offset, uint32_t bytes)
{
	for (uint32_t bit = run->flash->write_bytes; bit <= offset; bit <<= 1) {
		const uint32_t other = offset ^ bit;

		if (other < offset && other >= run->region->offset &&
		    offset - other >= bytes && !tmd_run_holds(run, other, other + bytes, FIRST)) {
			return other;
		}
	}
	return NOWHERE;
}

/* A single unit does not hold what was written: `at` is the first wrong place, and in `in`. */
static void found_wrong_unit(struct run *run, const struct write *write, uint32_t at, uint32_t n)
{
	const uint8_t want = tmd_run_wanted(run, FIRST, at);
	const uint8_t got = run->in[0];
	const uint32_t next = write->offset + write->bytes;
	const struct unit unit = tmd_run_unit_at(run->flash, write->offset);
	enum tmd_conformance_rule rule = TMD_CONFORMANCE_WRITE_WHOLE;
	uint32_t bytes = write->bytes;
	uint32_t real;
	bool nothing;

	for (uint32_t i = 0; i < n; i++) {
		if (run->in[i] != run->flash->erased_value &&
		    run->in[i] != tmd_run_wanted(run, FIRST, at + i)) {
			rule = TMD_CONFORMANCE_WRITE_BYTES;
		}
	}
	nothing = tmd_run_holds(run, write->offset, next, ERASED);
	real = real_unit(run, write->offset, FIRST, nothing);
	if (real != 0u) {
		rule = TMD_CONFORMANCE_WRITE_UNIT;
		bytes = real;
	} else if (write->shift != 0u && next + write->bytes <= unit.start + unit.bytes &&
		   writes_right(run, next, write->bytes, FIRST)) {
		rule = TMD_CONFORMANCE_WRITE_BUFFER;
	} else if (nothing) {
		const uint32_t other = gone_to(run, write->offset, write->bytes);

		rule = TMD_CONFORMANCE_WRITE_DONE;
		if (other != NOWHERE) {
			tmd_run_found_alias(run, at, bytes, want, got, other);
			return;
		}
	}
	tmd_run_found_bytes(run, rule, at, bytes, want, got);
}

/* A write returned 0, and the range does not hold it: `at` is the first wrong place, as `in`. */
static void found_wrong_write(struct run *run, const struct write *write, uint32_t at, uint32_t n)
{
	const enum content content = write->content;
	const uint32_t end = write->offset + write->bytes;
	const uint8_t want = tmd_run_wanted(run, content, at);
	const uint8_t got = run->in[0];
	const bool stale = tmd_run_holds(run, write->offset, end, ERASED) &&
			   tmd_run_is_stale(run, write->offset, end, content);
	const uint32_t from = tmd_run_alias_of(run, at);

	if (stale) {
		tmd_run_found_bytes(run, TMD_CONFORMANCE_READ_FRESH, at, write->bytes, want, got);
	} else if (from != NOWHERE && (from < write->offset || from >= end)) {
		tmd_run_found_alias(run, at, write->bytes, want, got, from);
	} else if (tmd_run_is_misread(run, at, content)) {
		tmd_run_found_bytes(run, TMD_CONFORMANCE_READ_ANY, at, write->bytes, want, got);
	} else if (content == SECOND) {
		tmd_run_found_bytes(run, TMD_CONFORMANCE_WRITE_LENGTH, at, write->bytes, want, got);
	} else if (tmd_run_read(run, at, n, 0, 0)) {
		found_wrong_unit(run, write, at, n);
	}
	run->stop = true;
}

static void found_failed_write(struct run *run, const struct write *write)
{
	const uint32_t real = write->content == SECOND
				      ? 0u
				      : real_unit(run, write->offset, write->content, true);
	enum tmd_conformance_rule rule = TMD_CONFORMANCE_WRITE;

	if (real != 0u) {
		rule = TMD_CONFORMANCE_WRITE_UNIT;
	} else if (write->content == SECOND) {
		rule = TMD_CONFORMANCE_WRITE_LENGTH;
	}
	tmd_run_found_error(run, rule, write->offset, real != 0u ? real : write->bytes);
	run->stop = true;
}

/* The same unit beside what was just written: what stood there, and what is still erased. */
static void check_near(struct run *run, const struct unit *unit, const struct write *write)
{
	const uint32_t before = min_u32(write->offset - unit->start, NEAR_BYTES);
	const uint32_t end = write->offset + write->bytes;
	const uint32_t behind = min_u32(unit->start + unit->bytes - end, NEAR_BYTES);
	uint32_t n;
	uint32_t at = tmd_run_first_wrong(run, write->offset - before, write->offset,
					  write->content, &n);
	const uint8_t got = run->in[0];

	if (at != NOWHERE && write->content == SECOND) {
		tmd_run_found_change(run, TMD_CONFORMANCE_WRITE_LENGTH, at, n, SECOND, got);
	} else if (at != NOWHERE) {
		const uint32_t real = real_unit(run, write->offset, FIRST, false);

		tmd_run_found_change(
			run, real != 0u ? TMD_CONFORMANCE_WRITE_UNIT : TMD_CONFORMANCE_WRITE_ONLY,
			at, real != 0u ? real : n, FIRST, got);
	} else if (!run->stop) {
		at = tmd_run_first_wrong(run, end, end + behind, ERASED, &n);
		if (at != NOWHERE) {
			tmd_run_found_change(run, TMD_CONFORMANCE_WRITE_ONLY, at, n, ERASED,
					     run->in[0]);
		}
	}
}

/* Write a piece of an erased unit; look at it and around it. */
static void write_piece(struct run *run, const struct unit *unit, const struct write *write)
{
	const uint32_t end = write->offset + write->bytes;
	uint32_t n;
	uint32_t at = tmd_run_first_wrong(run, write->offset, end, ERASED, &n);

	if (run->stop) {
		return;
	}
	if (at != NOWHERE) {
		/* It was erased: something that was written elsewhere has gone here. */
		tmd_run_found_change(run, TMD_CONFORMANCE_WRITE_ONLY, at, n, ERASED, run->in[0]);
		return;
	}
	tmd_run_fill_cache(run, write->offset, write->bytes);
	if (!call_write(run, write->offset, write->bytes, write->content, write->shift)) {
		found_failed_write(run, write);
		return;
	}
	at = tmd_run_first_wrong(run, write->offset, end, write->content, &n);
	if (at != NOWHERE) {
		found_wrong_write(run, write, at, n);
	} else if (!run->stop) {
		check_near(run, unit, write);
	}
}

void tmd_run_write_units(struct run *run, const struct unit *unit)
{
	const uint32_t step = min_u32(run->flash->write_bytes, ALIGNMENT);
	struct write write = {unit->start, run->flash->write_bytes, 0, FIRST};

	while (write.offset < unit->start + unit->bytes && !run->stop) {
		if (write.offset % PIECE == 0u) {
			tmd_run_stay_alive(run);
		}
		write_piece(run, unit, &write);
		write.offset += write.bytes;
		write.shift = (write.shift + step) % BUFFER_STEPS;
	}
}

/*
 * The longest, the shortest, the longest but one, and so on; so that they cross whatever the flash
 * has for pages.
 */
void tmd_run_write_lengths(struct run *run, const struct unit *unit, uint32_t *turn)
{
	const uint32_t step = min_u32(run->flash->write_bytes, ALIGNMENT);
	const uint32_t most = TMD_WRITE_BUFFER / run->flash->write_bytes;
	const uint32_t end = unit->start + unit->bytes;
	struct write write = {unit->start, 0, 0, SECOND};

	while (write.offset < end && !run->stop) {
		const uint32_t half = *turn / 2u % most;
		const uint32_t units = *turn % 2u == 0u ? most - half : 1u + half;

		tmd_run_stay_alive(run);
		write.bytes = min_u32(units * run->flash->write_bytes, end - write.offset);
		write.shift = *turn * step % BUFFER_STEPS;
		write_piece(run, unit, &write);
		write.offset += write.bytes;
		(*turn)++;
	}
}

void tmd_run_overwrite(struct run *run, const struct unit *unit)
{
	struct write write = {unit->start, run->flash->write_bytes, 0, ERASED};

	while (write.offset < unit->start + unit->bytes && !run->stop) {
		if (write.offset % PIECE == 0u) {
			tmd_run_stay_alive(run);
		}
		if (!call_write(run, write.offset, write.bytes, ERASED, 0)) {
			found_failed_write(run, &write);
		}
		write.offset += write.bytes;
	}
}

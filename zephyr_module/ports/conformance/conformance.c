/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * How it goes: every unit is erased. Then all of the region is written in single write units, each
 * place with bytes of its own, which are looked at with reads of every kind and through memory.
 * Then one unit after the other is erased between neighbours that have to stay, and written again
 * with the complement, in writes of every length. So every byte has been erased, and something
 * else, twice.
 *
 * Where a promise is broken, further operations tell which one: nobody finds a cache that was not
 * invalidated by reading "WRITE_DONE".
 */
#include <string.h>

#include <tinymldelta/digest.h>

#include "conformance.h"

#define GUARD 8u        /* bytes before and behind a buffer that nobody may touch */
#define ALIGNMENT 8u    /* of a uint64_t: what flash.h promises drivers at most */
#define READ_MAX 512u   /* bytes of the longest read */
#define PIECE 256u      /* bytes of a plain read */
#define ALIAS_BYTES 8u  /* so many are compared with what belongs elsewhere; 4 at least */
#define NEAR_BYTES 16u  /* looked at on both sides of a write */
#define BUFFER_STEPS 16u /* addresses of write buffers are taken modulo this */
#define NOWHERE UINT32_MAX

#define READ_AREA (GUARD + ALIGNMENT + READ_MAX + GUARD)
_Static_assert(READ_AREA + GUARD + BUFFER_STEPS + 256u + GUARD <= TMD_CONFORMANCE_WORK,
	       "both buffers fit the working memory");
_Static_assert(TMD_WRITE_BUFFER <= 256 && READ_AREA % ALIGNMENT == 0u, "as laid out above");
_Static_assert(TMD_CONFORMANCE_RULES_N <= 32, "a bit for each rule");

/* What a place should hold. */
enum content {
	ERASED,
	FIRST,  /* the bytes of its address */
	SECOND, /* their complement */
};

struct run {
	const struct tmd_region *region;
	const struct tmd_flash *flash;
	const struct tmd_conformance_options *options;
	struct tmd_conformance_result *result;
	uint8_t *in;  /* what is read, shift + bytes of a read, between guards */
	uint8_t *out; /* what is written, likewise */
	uint32_t end; /* of the region, on the device */
	bool rewrites; /* flash without erase */
	bool stop;     /* what comes now would build on what is broken */
};

struct unit {
	uint32_t start; /* on the device */
	uint32_t bytes;
};

/* One write: FIRST in single units, SECOND in longer pieces. */
struct write {
	uint32_t offset;
	uint32_t bytes;
	uint32_t shift; /* of the buffer's address */
	enum content content;
};

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ---- findings ---- */

static struct tmd_conformance_finding *found(struct run *run, enum tmd_conformance_rule rule,
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

/* An operation returned an error. */
static void found_error(struct run *run, enum tmd_conformance_rule rule, uint32_t offset,
			uint32_t bytes)
{
	struct tmd_conformance_finding *finding = found(run, rule, offset, bytes);

	if (finding != NULL) {
		finding->error = true;
	}
}

static void found_bytes(struct run *run, enum tmd_conformance_rule rule, uint32_t offset,
			uint32_t bytes, uint8_t want, uint8_t got)
{
	struct tmd_conformance_finding *finding = found(run, rule, offset, bytes);

	if (finding != NULL) {
		finding->want = want;
		finding->got = got;
	}
}

static void looked_at(struct run *run, enum tmd_conformance_rule rule)
{
	if (!run->stop) {
		run->result->checked |= (uint32_t)1 << rule;
	}
}

static void stay_alive(const struct run *run)
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

static uint8_t wanted(const struct run *run, enum content content, uint32_t offset)
{
	if (content == ERASED) {
		return run->flash->erased_value;
	}
	return content == FIRST ? address_byte(offset) : (uint8_t)~address_byte(offset);
}

/* The erase unit that contains `offset`; 0 bytes if none does. The runs have been checked. */
static struct unit unit_at(const struct tmd_flash *flash, uint32_t offset)
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

static uint32_t device_bytes(const struct tmd_flash *flash)
{
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < flash->runs_n; i++) {
		bytes += flash->runs[i].bytes * flash->runs[i].count;
	}
	return bytes;
}

/* ---- reading ---- */

/* What a buffer holds before it is read into; with another `turn`, other bytes everywhere. */
static uint8_t filler(uint32_t i, uint8_t turn)
{
	return (uint8_t)(i * 37u + 0x6Bu) ^ turn;
}

/* Call the port, into `in` + shift, which held filler before. False if it returned an error. */
static bool call_read(struct run *run, uint32_t offset, uint32_t bytes, uint32_t shift,
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
	run->result->reads++;
	good = run->flash->read(run->flash->ctx, offset, buf, bytes) == 0;
	for (uint32_t i = 0; i < area_bytes; i++) {
		const bool inside = i >= GUARD + shift && i < GUARD + shift + bytes;

		if (!inside && area[i] != filler(i, turn)) {
			found_bytes(run, TMD_CONFORMANCE_MEMORY, offset, bytes, filler(i, turn),
				    area[i]);
			break;
		}
	}
	return good;
}

/* Does the byte of the buffer hold what it held before the read, whatever that was? */
static bool is_untouched(struct run *run, uint32_t offset, uint32_t bytes, uint32_t shift,
			 uint32_t i)
{
	const uint8_t *buf = &run->in[shift];
	bool untouched = buf[i] == filler(i, 0);

	if (untouched) {
		(void)call_read(run, offset, bytes, shift, 0xFF);
		untouched = buf[i] == filler(i, 0xFF);
		(void)call_read(run, offset, bytes, shift, 0);
	}
	return untouched;
}

static uint32_t round_up(uint32_t offset, uint32_t to)
{
	return (offset + to - 1u) / to * to;
}

/* Can the range be read if it is made a multiple of ALIGNMENT on both sides, and was not before? */
static bool reads_aligned(struct run *run, uint32_t offset, uint32_t bytes)
{
	const uint32_t start = offset / ALIGNMENT * ALIGNMENT;
	const uint32_t end = round_up(offset + bytes, ALIGNMENT);

	return (start != offset || end != offset + bytes) &&
	       call_read(run, start, end - start, 0, 0);
}

/* Read, plainly. If it fails, or leaves the buffer as it was, nothing can be said any more. */
static bool get(struct run *run, uint32_t offset, uint32_t bytes)
{
	if (!call_read(run, offset, bytes, 0, 0)) {
		found_error(run,
			    reads_aligned(run, offset, bytes) ? TMD_CONFORMANCE_READ_ANY
							      : TMD_CONFORMANCE_READ,
			    offset, bytes);
		run->stop = true;
	} else if (is_untouched(run, offset, bytes, 0, 0) ||
		   is_untouched(run, offset, bytes, 0, bytes - 1u)) {
		found(run, TMD_CONFORMANCE_READ_WHOLE, offset, bytes);
		run->stop = true;
	}
	return !run->stop;
}

/*
 * The first place of a range that does not hold what it should, or NOWHERE. Then that is in `in`,
 * with as much of the range behind it as was read with it: *bytes.
 */
static uint32_t first_wrong(struct run *run, uint32_t offset, uint32_t end, enum content content,
			    uint32_t *bytes)
{
	for (uint32_t at = offset; at < end;) {
		const uint32_t n = min_u32(PIECE, end - at);

		if (!get(run, at, n)) {
			return NOWHERE;
		}
		for (uint32_t i = 0; i < n; i++) {
			if (run->in[i] != wanted(run, content, at + i)) {
				memmove(run->in, &run->in[i], n - i);
				*bytes = n - i;
				return at + i;
			}
		}
		at += n;
	}
	return NOWHERE;
}

static bool holds(struct run *run, uint32_t offset, uint32_t end, enum content content)
{
	uint32_t bytes;

	return first_wrong(run, offset, end, content, &bytes) == NOWHERE && !run->stop;
}

/* ---- why something is not as it should be ---- */

/* Do these bytes, read at `at`, belong to `other`? */
static bool is_of(const struct run *run, uint32_t other, uint32_t bytes, enum content content)
{
	uint32_t n = 0;

	while (n < bytes && run->in[n] == wanted(run, content, other + n)) {
		n++;
	}
	return n == bytes;
}

/*
 * Where that belongs which is read at `at`, if the two addresses differ in one bit: NOWHERE if that
 * was not found.
 */
static uint32_t alias_of(struct run *run, uint32_t at)
{
	const uint32_t n = min_u32(run->end - at, ALIAS_BYTES);

	if (n < 4u || !call_read(run, at, n, 0, 0)) {
		return NOWHERE;
	}
	for (uint32_t bit = 1; bit != 0u && bit < run->end; bit <<= 1) {
		if (is_of(run, at ^ bit, n, FIRST) || is_of(run, at ^ bit, n, SECOND)) {
			return at ^ bit;
		}
	}
	return NOWHERE;
}

/* Is a place right if it is read with what stands around it, from an aligned offset? */
static bool is_misread(struct run *run, uint32_t at, enum content content)
{
	const uint32_t start = at / ALIGNMENT * ALIGNMENT;

	return call_read(run, start, ALIGNMENT, 0, 0) &&
	       run->in[at - start] == wanted(run, content, at);
}

static void found_alias(struct run *run, uint32_t at, uint32_t bytes, uint8_t want, uint8_t got,
			uint32_t from)
{
	struct tmd_conformance_finding *finding = found(run, TMD_CONFORMANCE_ADDRESS, at, bytes);

	if (finding != NULL) {
		finding->want = want;
		finding->got = got;
		finding->from = from;
	}
}

/* Something changed that nobody wrote to: at `at` stands `got`. */
static void found_change(struct run *run, enum tmd_conformance_rule rule, uint32_t at,
			 uint32_t bytes, enum content content, uint8_t got)
{
	const uint8_t want = wanted(run, content, at);
	const uint32_t from = alias_of(run, at);

	if (from != NOWHERE) {
		found_alias(run, at, bytes, want, got, from);
	} else {
		found_bytes(run, is_misread(run, at, content) ? TMD_CONFORMANCE_READ_ANY : rule, at,
			    bytes, want, got);
	}
	run->stop = true;
}

/*
 * A place holds what it held before. Is it only read wrong? Then it reads right once all else was
 * read, or through memory, or after a reset.
 */
static bool is_stale(struct run *run, uint32_t offset, uint32_t end, enum content content)
{
	const struct tmd_flash *flash = run->flash;
	bool stale;

	for (uint32_t at = run->region->offset; at < run->end; at += PIECE) {
		(void)call_read(run, at, min_u32(PIECE, run->end - at), 0, 0);
	}
	stale = holds(run, offset, end, content);
	/* What is erased is never asked for through memory: on some flash it faults. */
	if (!stale && content != ERASED && flash->map != NULL) {
		const uint8_t *bytes = flash->map(flash->ctx, offset, end - offset);

		stale = bytes != NULL;
		for (uint32_t i = 0; stale && i < end - offset; i++) {
			stale = bytes[i] == wanted(run, content, offset + i);
		}
	}
	if (!stale && run->options->power_cycle != NULL) {
		stale = run->options->power_cycle(run->options->ctx) == 0 &&
			holds(run, offset, end, content);
	}
	return stale;
}

/* ---- writing ---- */

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
		buf[i] = wanted(run, content, offset + i);
	}
	run->result->writes++;
	run->result->bytes_written += bytes;
	good = run->flash->write(run->flash->ctx, offset, buf, bytes) == 0;
	for (uint32_t i = 0; i < area_bytes; i++) {
		const uint32_t into = i - GUARD - shift; /* wraps before the buffer */
		const uint8_t want = into < bytes ? wanted(run, content, offset + into)
						  : filler(i, 0);

		if (area[i] != want) {
			found_bytes(run, TMD_CONFORMANCE_MEMORY, offset, bytes, want, area[i]);
			break;
		}
	}
	return good;
}

static bool writes_right(struct run *run, uint32_t offset, uint32_t bytes, enum content content)
{
	return call_write(run, offset, bytes, content, 0) &&
	       holds(run, offset, offset + bytes, content);
}

/*
 * A write unit was refused or lost. Is the real one longer? Then a longer write works at an erased
 * place. Returns its length, or 0.
 */
static uint32_t longer_unit(struct run *run, uint32_t offset, enum content content)
{
	const struct unit unit = unit_at(run->flash, offset);
	uint32_t at = offset;

	for (uint32_t m = 2u * run->flash->write_bytes; m <= TMD_WRITE_BUFFER; m *= 2u) {
		at = round_up(at, m);
		if (at + m > unit.start + unit.bytes) {
			break;
		}
		/* What is not erased any more tells nothing: a part was programmed after all. */
		if ((content == ERASED || holds(run, at, at + m, ERASED)) &&
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
	       holds(run, offset, offset + bytes, content);
}

/*
 * The second unit of a row was refused or lost, or spoilt the first. Does that happen elsewhere
 * too, and not if a longer piece is written at once? Returns its length, or 0.
 */
static uint32_t shared_unit(struct run *run, uint32_t offset, enum content content)
{
	const uint32_t n = run->flash->write_bytes;
	const struct unit unit = unit_at(run->flash, offset);
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
		    offset - other >= bytes && !holds(run, other, other + bytes, FIRST)) {
			return other;
		}
	}
	return NOWHERE;
}

/* A single unit does not hold what was written: `at` is the first wrong place, and in `in`. */
static void found_wrong_unit(struct run *run, const struct write *write, uint32_t at, uint32_t n)
{
	const uint8_t want = wanted(run, FIRST, at);
	const uint8_t got = run->in[0];
	const uint32_t next = write->offset + write->bytes;
	const struct unit unit = unit_at(run->flash, write->offset);
	enum tmd_conformance_rule rule = TMD_CONFORMANCE_WRITE_WHOLE;
	uint32_t bytes = write->bytes;
	uint32_t real;
	bool nothing;

	for (uint32_t i = 0; i < n; i++) {
		if (run->in[i] != run->flash->erased_value &&
		    run->in[i] != wanted(run, FIRST, at + i)) {
			rule = TMD_CONFORMANCE_WRITE_BYTES;
		}
	}
	nothing = holds(run, write->offset, next, ERASED);
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
			found_alias(run, at, bytes, want, got, other);
			return;
		}
	}
	found_bytes(run, rule, at, bytes, want, got);
}

/* A write returned 0, and the range does not hold it: `at` is the first wrong place, as `in`. */
static void found_wrong_write(struct run *run, const struct write *write, uint32_t at, uint32_t n)
{
	const enum content content = write->content;
	const uint32_t end = write->offset + write->bytes;
	const uint8_t want = wanted(run, content, at);
	const uint8_t got = run->in[0];
	const bool stale = holds(run, write->offset, end, ERASED) &&
			   is_stale(run, write->offset, end, content);
	const uint32_t from = alias_of(run, at);

	if (stale) {
		found_bytes(run, TMD_CONFORMANCE_READ_FRESH, at, write->bytes, want, got);
	} else if (from != NOWHERE && (from < write->offset || from >= end)) {
		found_alias(run, at, write->bytes, want, got, from);
	} else if (is_misread(run, at, content)) {
		found_bytes(run, TMD_CONFORMANCE_READ_ANY, at, write->bytes, want, got);
	} else if (content == SECOND) {
		found_bytes(run, TMD_CONFORMANCE_WRITE_LENGTH, at, write->bytes, want, got);
	} else if (call_read(run, at, n, 0, 0)) {
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
	found_error(run, rule, write->offset, real != 0u ? real : write->bytes);
	run->stop = true;
}

/* The same unit beside what was just written: what stood there, and what is still erased. */
static void check_near(struct run *run, const struct unit *unit, const struct write *write)
{
	const uint32_t before = min_u32(write->offset - unit->start, NEAR_BYTES);
	const uint32_t end = write->offset + write->bytes;
	const uint32_t behind = min_u32(unit->start + unit->bytes - end, NEAR_BYTES);
	uint32_t n;
	uint32_t at = first_wrong(run, write->offset - before, write->offset, write->content, &n);
	const uint8_t got = run->in[0];

	if (at != NOWHERE && write->content == SECOND) {
		found_change(run, TMD_CONFORMANCE_WRITE_LENGTH, at, n, SECOND, got);
	} else if (at != NOWHERE) {
		const uint32_t real = real_unit(run, write->offset, FIRST, false);

		found_change(run,
			     real != 0u ? TMD_CONFORMANCE_WRITE_UNIT : TMD_CONFORMANCE_WRITE_ONLY,
			     at, real != 0u ? real : n, FIRST, got);
	} else if (!run->stop) {
		at = first_wrong(run, end, end + behind, ERASED, &n);
		if (at != NOWHERE) {
			found_change(run, TMD_CONFORMANCE_WRITE_ONLY, at, n, ERASED, run->in[0]);
		}
	}
}

/*
 * A cache of one line should hold what is looked at first after the next operation. What is there
 * may be half-written, and fail.
 */
static void fill_cache(struct run *run, uint32_t offset, uint32_t bytes)
{
	(void)call_read(run, offset, min_u32(bytes, ALIAS_BYTES), 0, 0);
}

/* Write a piece of an erased unit; look at it and around it. */
static void write_piece(struct run *run, const struct unit *unit, const struct write *write)
{
	const uint32_t end = write->offset + write->bytes;
	uint32_t n;
	uint32_t at = first_wrong(run, write->offset, end, ERASED, &n);

	if (run->stop) {
		return;
	}
	if (at != NOWHERE) {
		/* It was erased: something that was written elsewhere has gone here. */
		found_change(run, TMD_CONFORMANCE_WRITE_ONLY, at, n, ERASED, run->in[0]);
		return;
	}
	fill_cache(run, write->offset, write->bytes);
	if (!call_write(run, write->offset, write->bytes, write->content, write->shift)) {
		found_failed_write(run, write);
		return;
	}
	at = first_wrong(run, write->offset, end, write->content, &n);
	if (at != NOWHERE) {
		found_wrong_write(run, write, at, n);
	} else if (!run->stop) {
		check_near(run, unit, write);
	}
}

/* The whole unit in single write units. */
static void write_units(struct run *run, const struct unit *unit)
{
	const uint32_t step = min_u32(run->flash->write_bytes, ALIGNMENT);
	struct write write = {unit->start, run->flash->write_bytes, 0, FIRST};

	while (write.offset < unit->start + unit->bytes && !run->stop) {
		if (write.offset % PIECE == 0u) {
			stay_alive(run);
		}
		write_piece(run, unit, &write);
		write.offset += write.bytes;
		write.shift = (write.shift + step) % BUFFER_STEPS;
	}
}

/*
 * The whole unit in writes of every length: the longest, the shortest, the longest but one, and so
 * on; so that they cross whatever the flash has for pages. `turn` goes on from unit to unit.
 */
static void write_lengths(struct run *run, const struct unit *unit, uint32_t *turn)
{
	const uint32_t step = min_u32(run->flash->write_bytes, ALIGNMENT);
	const uint32_t most = TMD_WRITE_BUFFER / run->flash->write_bytes;
	const uint32_t end = unit->start + unit->bytes;
	struct write write = {unit->start, 0, 0, SECOND};

	while (write.offset < end && !run->stop) {
		const uint32_t half = *turn / 2u % most;
		const uint32_t units = *turn % 2u == 0u ? most - half : 1u + half;

		stay_alive(run);
		write.bytes = min_u32(units * run->flash->write_bytes, end - write.offset);
		write.shift = *turn * step % BUFFER_STEPS;
		write_piece(run, unit, &write);
		write.offset += write.bytes;
		(*turn)++;
	}
}

/* ---- erasing ---- */

/* CRC-32 of what is read; what cannot be read counts as such. */
static uint32_t crc_of(struct run *run, uint32_t from, uint32_t to)
{
	uint32_t crc = 0;

	for (uint32_t at = from; at < to;) {
		const uint32_t n = min_u32(PIECE, to - at);

		if (at % 4096u == 0u) {
			stay_alive(run);
		}
		if (!call_read(run, at, n, 0, 0)) {
			memset(run->in, 0, n);
		}
		crc = tmd_crc32(crc, run->in, n);
		at += n;
	}
	return crc;
}

/* Does all of the unit read as one value? */
static bool is_uniform(struct run *run, const struct unit *unit)
{
	bool uniform = get(run, unit->start, 1);
	const uint8_t value = run->in[0];

	for (uint32_t at = 0; uniform && at < unit->bytes;) {
		const uint32_t n = min_u32(PIECE, unit->bytes - at);

		uniform = get(run, unit->start + at, n);
		for (uint32_t i = 0; uniform && i < n; i++) {
			uniform = run->in[i] == value;
		}
		at += n;
	}
	return uniform;
}

/*
 * Flash that is said to need no erase does not take erased bytes. Does it take anything? All bits
 * the other way can be written by every flash.
 */
static enum tmd_conformance_rule why_not_rewritten(struct run *run, uint32_t offset)
{
	uint8_t *buf = run->out;
	const uint32_t n = run->flash->write_bytes;
	const uint8_t other = run->flash->erased_value ^ 0xFFu;
	uint32_t done = 0;

	memset(buf, other, n);
	run->result->writes++;
	run->result->bytes_written += n;
	if (run->flash->write(run->flash->ctx, offset, buf, n) == 0 && get(run, offset, n)) {
		for (uint32_t i = 0; i < n; i++) {
			done += run->in[i] == other ? 1u : 0u;
		}
	}
	if (done == 0u) {
		return TMD_CONFORMANCE_WRITE_DONE;
	}
	return done == n ? TMD_CONFORMANCE_REWRITE : TMD_CONFORMANCE_WRITE_WHOLE;
}

/* `got`: the first wrong byte. `unchanged`: the unit holds what it held. */
static enum tmd_conformance_rule why_not_erased(struct run *run, const struct unit *unit,
						uint8_t got, bool unchanged)
{
	const bool uniform = is_uniform(run, unit);

	/* What was there may have been one value throughout, but hardly that of an erase. */
	if (uniform && (!unchanged || got == 0x00u || got == 0xFFu)) {
		return TMD_CONFORMANCE_ERASED_VALUE;
	}
	return unchanged ? TMD_CONFORMANCE_ERASE_DONE : TMD_CONFORMANCE_ERASE_WHOLE;
}

static void found_wrong_erase(struct run *run, const struct unit *unit, uint32_t at, uint32_t crc)
{
	const uint8_t got = run->in[0];
	const uint32_t unit_of_at = at / run->flash->write_bytes * run->flash->write_bytes;
	const bool unchanged = crc_of(run, unit->start, unit->start + unit->bytes) == crc;
	enum tmd_conformance_rule rule;

	if (is_stale(run, unit->start, unit->start + unit->bytes, ERASED)) {
		rule = TMD_CONFORMANCE_READ_FRESH;
	} else if (is_misread(run, at, ERASED)) {
		rule = TMD_CONFORMANCE_READ_ANY;
	} else if (run->rewrites) {
		rule = why_not_rewritten(run, unit_of_at);
	} else {
		rule = why_not_erased(run, unit, got, unchanged);
	}
	found_bytes(run, rule, at, unit->bytes, run->flash->erased_value, got);
	run->stop = true;
}

/* Flash without erase is written to read as erased: from what was there to something else. */
static void overwrite(struct run *run, const struct unit *unit)
{
	struct write write = {unit->start, run->flash->write_bytes, 0, ERASED};

	while (write.offset < unit->start + unit->bytes && !run->stop) {
		if (write.offset % PIECE == 0u) {
			stay_alive(run);
		}
		if (!call_write(run, write.offset, write.bytes, ERASED, 0)) {
			found_failed_write(run, &write);
		}
		write.offset += write.bytes;
	}
}

/* Erase a unit, and see that it is. */
static void clear_unit(struct run *run, const struct unit *unit)
{
	const struct tmd_flash *flash = run->flash;
	const uint32_t end = unit->start + unit->bytes;
	const uint32_t crc = crc_of(run, unit->start, end);
	uint32_t n;
	uint32_t at;

	stay_alive(run);
	fill_cache(run, unit->start, unit->bytes);
	if (run->rewrites) {
		overwrite(run, unit);
	} else {
		run->result->erases++;
		if (flash->erase(flash->ctx, unit->start, unit->bytes) != 0) {
			found_error(run, TMD_CONFORMANCE_ERASE, unit->start, unit->bytes);
			run->stop = true;
		}
	}
	if (run->stop) {
		return;
	}
	at = first_wrong(run, unit->start, end, ERASED, &n);
	if (at != NOWHERE) {
		found_wrong_erase(run, unit, at, crc);
	}
}

/* The unit at `start`, if it lies in the region, holds all it should. */
static void check_unit(struct run *run, uint32_t start, enum content content,
		       enum tmd_conformance_rule rule)
{
	const struct unit unit = unit_at(run->flash, start);
	uint32_t n;
	uint32_t at;

	if (run->stop || start < run->region->offset || start >= run->end) {
		return;
	}
	at = first_wrong(run, unit.start, unit.start + unit.bytes, content, &n);
	if (at != NOWHERE) {
		found_change(run, rule, at, n, content, run->in[0]);
	}
}

static enum tmd_conformance_rule only(const struct run *run)
{
	return run->rewrites ? TMD_CONFORMANCE_WRITE_ONLY : TMD_CONFORMANCE_ERASE_ONLY;
}

/* ---- reading, in every way ---- */

static const uint16_t lengths[] = {1,  2,  3,  4,  5,  7,  8,   9,   12,  15,  16, 17,
				   31, 33, 63, 64, 65, 127, 128, 129, 255, 257, 511, 512};

/* One read of what holds FIRST, into a buffer of any alignment. */
static void read_once(struct run *run, uint32_t offset, uint32_t bytes, uint32_t shift)
{
	const uint8_t *buf = &run->in[shift];

	if (!call_read(run, offset, bytes, shift, 0)) {
		found_error(run, TMD_CONFORMANCE_READ_ANY, offset, bytes);
		return;
	}
	for (uint32_t i = 0; i < bytes; i++) {
		const uint8_t got = buf[i];
		const uint8_t want = wanted(run, FIRST, offset + i);

		if (got != want) {
			const bool untouched = is_untouched(run, offset, bytes, shift, i);

			found_bytes(run,
				    untouched ? TMD_CONFORMANCE_READ_WHOLE
					      : TMD_CONFORMANCE_READ_ANY,
				    offset, bytes, want, got);
			return;
		}
	}
}

/* Reads of all lengths that begin around a place, at every alignment of offset and buffer. */
static void read_around(struct run *run, uint32_t place, bool every_buffer)
{
	stay_alive(run);
	for (uint32_t i = 0; i < 2u * ALIGNMENT; i++) {
		const uint32_t offset = place - ALIGNMENT + i;

		if (offset < run->region->offset || offset >= run->end) {
			continue;
		}
		for (uint32_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
			const uint32_t bytes = min_u32(lengths[l], run->end - offset);

			for (uint32_t shift = 0; shift < (every_buffer ? ALIGNMENT : 1u); shift++) {
				read_once(run, offset, bytes, (shift + i + l) % ALIGNMENT);
			}
		}
	}
}

/* Reads that end around a place, and begin far before it. */
static void read_across(struct run *run, uint32_t place)
{
	for (uint32_t i = 0; i < 2u * ALIGNMENT; i++) {
		const uint32_t end = min_u32(place - ALIGNMENT + i, run->end);
		const uint32_t bytes = min_u32(READ_MAX, end - run->region->offset);

		if (end > run->region->offset) {
			read_once(run, end - bytes, bytes, i % ALIGNMENT);
		}
	}
}

static void check_reads(struct run *run)
{
	struct unit unit;

	for (uint32_t at = run->region->offset; at < run->end; at += unit.bytes) {
		unit = unit_at(run->flash, at);
		read_around(run, unit.start + unit.bytes, at == run->region->offset);
		read_across(run, unit.start + unit.bytes);
	}
	read_around(run, run->region->offset + ALIGNMENT, false);
	looked_at(run, TMD_CONFORMANCE_READ_ANY);
}

/* ---- reading as memory ---- */

/* Through memory, `bytes` hold what they should; false if the port does not map them. */
static bool check_mapped(struct run *run, uint32_t offset, uint32_t bytes, enum content content)
{
	const struct tmd_flash *flash = run->flash;
	const uint8_t *mapped = flash->map(flash->ctx, offset, bytes);

	for (uint32_t i = 0; mapped != NULL && i < bytes; i++) {
		const uint8_t got = mapped[i];

		if (got != wanted(run, content, offset + i)) {
			found_bytes(run, TMD_CONFORMANCE_MAP, offset + i, bytes,
				    wanted(run, content, offset + i), got);
			break;
		}
	}
	return mapped != NULL;
}

/*
 * The whole region, and what begins within: all of it was written, and read without an error. Where
 * a cache was filled before that, and not invalidated, it shows.
 */
static void check_map(struct run *run, enum content content)
{
	bool mapped = false;

	if (run->stop || run->flash->map == NULL) {
		return;
	}
	mapped = check_mapped(run, run->region->offset, run->region->bytes, content);
	for (uint32_t at = run->region->offset; at < run->end;) {
		const struct unit unit = unit_at(run->flash, at);

		stay_alive(run);
		mapped = check_mapped(run, at, unit.bytes, content) || mapped;
		mapped = check_mapped(run, at + 1u, unit.bytes - 1u, content) || mapped;
		at += unit.bytes;
	}
	if (mapped) {
		looked_at(run, TMD_CONFORMANCE_MAP);
	}
}

/* ---- the whole ---- */

static enum tmd_conformance_geometry wrong_region(const struct tmd_region *region, uint32_t *units)
{
	const struct tmd_flash *flash = region->flash;
	const uint32_t device = device_bytes(flash);

	*units = 0;
	if (region->offset > device || region->bytes > device - region->offset ||
	    (region->bytes != 0u && unit_at(flash, region->offset).start != region->offset)) {
		return TMD_CONFORMANCE_REGION_BAD;
	}
	for (uint32_t at = 0; at < region->bytes; (*units)++) {
		const struct unit unit = unit_at(flash, region->offset + at);

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

/* Where the last unit begins: it is left erased. */
static uint32_t last_unit(const struct run *run)
{
	return unit_at(run->flash, run->end - 1u).start;
}

/* What the first phase left is still there. */
static void check_persists(struct run *run)
{
	const uint32_t last = last_unit(run);
	uint32_t n;
	enum content content = SECOND;
	uint32_t at = first_wrong(run, run->region->offset, last, content, &n);

	if (at == NOWHERE && !run->stop) {
		content = ERASED;
		at = first_wrong(run, last, run->end, content, &n);
	}
	if (at != NOWHERE) {
		found_bytes(run, TMD_CONFORMANCE_PERSIST, at, n, wanted(run, content, at),
			    run->in[0]);
	}
	looked_at(run, TMD_CONFORMANCE_PERSIST);
}

/* Everything erased, and then written with what belongs there. */
static void first_round(struct run *run)
{
	struct unit unit;

	for (uint32_t at = run->region->offset; at < run->end && !run->stop; at += unit.bytes) {
		unit = unit_at(run->flash, at);
		clear_unit(run, &unit);
	}
	for (uint32_t at = run->region->offset; at < run->end && !run->stop; at += unit.bytes) {
		unit = unit_at(run->flash, at);
		write_units(run, &unit);
	}
	for (uint32_t at = run->region->offset; at < run->end && !run->stop; at += unit.bytes) {
		unit = unit_at(run->flash, at);
		check_unit(run, at, FIRST, TMD_CONFORMANCE_WRITE_ONLY);
	}
	looked_at(run, TMD_CONFORMANCE_WRITE_UNIT);
	looked_at(run, TMD_CONFORMANCE_WRITE_BUFFER);
}

/* Each unit erased among others, and written with the complement. */
static void second_round(struct run *run)
{
	struct unit unit = {0, 0};
	uint32_t turn = 0;

	for (uint32_t at = run->region->offset; at < run->end && !run->stop; at += unit.bytes) {
		const uint32_t before = unit.start;

		unit = unit_at(run->flash, at);
		check_unit(run, at, FIRST, only(run));
		if (run->stop) {
			return;
		}
		clear_unit(run, &unit);
		check_unit(run, at + unit.bytes, FIRST, only(run));
		if (at != run->region->offset) {
			check_unit(run, before, SECOND, only(run));
		}
		write_lengths(run, &unit, &turn);
	}
	for (uint32_t at = run->region->offset; at < run->end && !run->stop; at += unit.bytes) {
		unit = unit_at(run->flash, at);
		check_unit(run, at, SECOND, only(run));
	}
	looked_at(run, TMD_CONFORMANCE_WRITE_LENGTH);
}

/* Leave the last unit erased: that has to outlast a reset as well. */
static void last_erase(struct run *run)
{
	const uint32_t last = last_unit(run);
	const struct unit unit = unit_at(run->flash, last);

	if (run->stop) {
		return;
	}
	clear_unit(run, &unit);
	check_unit(run, unit_at(run->flash, last - 1u).start, SECOND, only(run));
	check_unit(run, run->region->offset, SECOND, only(run));
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
		before = crc_of(run, 0, run->region->offset);
		behind = crc_of(run, run->end, device);
	}
	first_round(run);
	if (!run->stop) {
		check_reads(run);
		check_map(run, FIRST);
	}
	second_round(run);
	if (!run->stop) {
		check_map(run, SECOND);
	}
	last_erase(run);
	for (uint32_t i = 0; i < sizeof(on_the_way) / sizeof(on_the_way[0]); i++) {
		looked_at(run, on_the_way[i]);
	}
	for (uint32_t i = 0; !run->rewrites && i < sizeof(of_erases) / sizeof(of_erases[0]); i++) {
		looked_at(run, of_erases[i]);
	}
	if (run->rewrites) {
		looked_at(run, TMD_CONFORMANCE_REWRITE);
	}
	if (run->options->outside) {
		if (crc_of(run, 0, run->region->offset) != before) {
			found(run, TMD_CONFORMANCE_OUTSIDE, 0, run->region->offset);
		}
		if (crc_of(run, run->end, device) != behind) {
			found(run, TMD_CONFORMANCE_OUTSIDE, run->end, device - run->end);
		}
		if (run->region->bytes < device) {
			looked_at(run, TMD_CONFORMANCE_OUTSIDE);
		}
	}
	if (run->options->power_cycle != NULL && !run->stop) {
		if (run->options->power_cycle(run->options->ctx) != 0) {
			found_error(run, TMD_CONFORMANCE_PERSIST, run->region->offset,
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
		struct tmd_conformance_finding *finding = found(
			&run, TMD_CONFORMANCE_GEOMETRY, region->offset, region->bytes);

		if (finding != NULL) {
			finding->detail = (uint8_t)wrong;
		}
		return TMD_ERR_GEOMETRY;
	}
	run.end = region->offset + region->bytes;
	run.rewrites = (region->flash->flags & TMD_FLASH_NO_ERASE) != 0u;
	if (options->after_reset) {
		check_persists(&run);
	} else {
		whole_test(&run);
	}
	return result->broken == 0u ? TMD_OK : TMD_ERR_FLASH_VERIFY;
}

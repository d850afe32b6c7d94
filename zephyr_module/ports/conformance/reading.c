/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading what was written in every way: any offset, length and buffer, and as memory.
 */
#include "run.h"

/* ---- reading, in every way ---- */

static const uint16_t lengths[] = {1,  2,  3,  4,  5,  7,  8,   9,   12,  15,  16, 17,
				   31, 33, 63, 64, 65, 127, 128, 129, 255, 257, 511, 512};

/* One read of what holds FIRST, into a buffer of any alignment. */
static void read_once(struct run *run, uint32_t offset, uint32_t bytes, uint32_t shift)
{
	const uint8_t *buf = &run->in[shift];

	if (!tmd_run_read(run, offset, bytes, shift, 0)) {
		tmd_run_found_error(run, TMD_CONFORMANCE_READ_ANY, offset, bytes);
		return;
	}
	for (uint32_t i = 0; i < bytes; i++) {
		const uint8_t got = buf[i];
		const uint8_t want = tmd_run_wanted(run, FIRST, offset + i);

		if (got != want) {
			const bool untouched = tmd_run_is_untouched(run, offset, bytes, shift, i);

			tmd_run_found_bytes(run,
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

void tmd_run_check_reads(struct run *run)
{
	struct unit unit;

	for (uint32_t at = run->region->offset; at < run->end; at += unit.bytes) {
		unit = tmd_run_unit_at(run->flash, at);
		read_around(run, unit.start + unit.bytes, at == run->region->offset);
		read_across(run, unit.start + unit.bytes);
	}
	read_around(run, run->region->offset + ALIGNMENT, false);
	tmd_run_looked_at(run, TMD_CONFORMANCE_READ_ANY);
}

/* ---- reading as memory ---- */

/* Through memory, `bytes` hold what they should; false if the port does not map them. */
static bool check_mapped(struct run *run, uint32_t offset, uint32_t bytes, enum content content)
{
	const struct tmd_flash *flash = run->flash;
	const uint8_t *mapped = flash->map(flash->ctx, offset, bytes);

	for (uint32_t i = 0; mapped != NULL && i < bytes; i++) {
		const uint8_t got = mapped[i];

		if (i % ALIVE_BYTES == 0u) {
			tmd_run_stay_alive(run);
		}
		if (got != tmd_run_wanted(run, content, offset + i)) {
			tmd_run_found_bytes(run, TMD_CONFORMANCE_MAP, offset + i, bytes,
					    tmd_run_wanted(run, content, offset + i), got);
			break;
		}
	}
	return mapped != NULL;
}

void tmd_run_check_map(struct run *run, enum content content)
{
	bool mapped = false;

	if (run->stop || run->flash->map == NULL) {
		return;
	}
	mapped = check_mapped(run, run->region->offset, run->region->bytes, content);
	for (uint32_t at = run->region->offset; at < run->end;) {
		const struct unit unit = tmd_run_unit_at(run->flash, at);

		mapped = check_mapped(run, at, unit.bytes, content) || mapped;
		mapped = check_mapped(run, at + 1u, unit.bytes - 1u, content) || mapped;
		at += unit.bytes;
	}
	if (mapped) {
		tmd_run_looked_at(run, TMD_CONFORMANCE_MAP);
	}
}

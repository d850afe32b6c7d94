/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Erasing: a unit emptied, and why it was not.
 */
#include <string.h>

#include "run.h"

/* Does all of the unit read as one value? */
static bool is_uniform(struct run *run, const struct unit *unit)
{
	bool uniform = tmd_run_get(run, unit->start, 1);
	const uint8_t value = run->in[0];

	for (uint32_t at = 0; uniform && at < unit->bytes;) {
		const uint32_t n = min_u32(PIECE, unit->bytes - at);

		uniform = tmd_run_get(run, unit->start + at, n);
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
	if (run->flash->write(run->flash->ctx, offset, buf, n) == 0 &&
	    tmd_run_get(run, offset, n)) {
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
	const bool unchanged = tmd_run_crc_of(run, unit->start, unit->start + unit->bytes) == crc;
	enum tmd_conformance_rule rule;

	if (tmd_run_is_stale(run, unit->start, unit->start + unit->bytes, ERASED)) {
		rule = TMD_CONFORMANCE_READ_FRESH;
	} else if (tmd_run_is_misread(run, at, ERASED)) {
		rule = TMD_CONFORMANCE_READ_ANY;
	} else if (run->rewrites) {
		rule = why_not_rewritten(run, unit_of_at);
	} else {
		rule = why_not_erased(run, unit, got, unchanged);
	}
	tmd_run_found_bytes(run, rule, at, unit->bytes, run->flash->erased_value, got);
	run->stop = true;
}

void tmd_run_clear_unit(struct run *run, const struct unit *unit)
{
	const struct tmd_flash *flash = run->flash;
	const uint32_t end = unit->start + unit->bytes;
	const uint32_t crc = tmd_run_crc_of(run, unit->start, end);
	uint32_t n;
	uint32_t at;

	tmd_run_stay_alive(run);
	tmd_run_fill_cache(run, unit->start, unit->bytes);
	if (run->rewrites) {
		tmd_run_overwrite(run, unit);
	} else {
		run->result->erases++;
		if (flash->erase(flash->ctx, unit->start, unit->bytes) != 0) {
			tmd_run_found_error(run, TMD_CONFORMANCE_ERASE, unit->start, unit->bytes);
			run->stop = true;
		}
	}
	if (run->stop) {
		return;
	}
	at = tmd_run_first_wrong(run, unit->start, end, ERASED, &n);
	if (at != NOWHERE) {
		found_wrong_erase(run, unit, at, crc);
	}
}

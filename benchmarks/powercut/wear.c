/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Erases and bytes of an update, and the bound that the README publishes for them.
 */
#define _POSIX_C_SOURCE 199309L /* for clock_gettime */

#include "level.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Does an erase unit of the slot, from `at` on, hold other bytes of target or metadata? */
static bool differs(const struct level *level, const struct tmd_region *slot, uint32_t at, uint32_t n,
		    const struct tmd_patch_info *head)
{
	const uint8_t *bytes = &level->device.sim.bytes[slot->offset];
	const struct blob *target = &level->run->row->pair->target;
	const uint32_t kept_at = round_up(target->n, level->flash.write_bytes);

	for (uint32_t i = at; i < at + n; i++) {
		if (i < target->n ? bytes[i] != target->at[i]
				  : i >= kept_at && bytes[i] != head->kept[i - kept_at]) {
			return true;
		}
	}
	return false;
}

/*
 * The erases and bytes that go to the slot for the target and what `head` says of it: of all units, or
 * of those that differ.
 */
static void slot_cost(struct level *level, const struct tmd_region *slot, bool only_changed,
		      const struct tmd_patch_info *head, struct cost *cost)
{
	const uint32_t write = level->flash.write_bytes;
	const uint32_t end = round_up(level->run->row->pair->target.n, write) + head->kept_bytes;
	uint32_t number = 0;

	for (uint32_t at = 0; at < end; number++) {
		const uint32_t unit = unit_at(slot, at);
		const uint32_t n = end - at < unit ? end - at : unit;

		if (!only_changed || number >= TMD_PAGES_MAX || differs(level, slot, at, n, head)) {
			cost->erases++;
			cost->bytes += round_up(n, write);
		}
		at += unit;
	}
}

/* The bound that the README publishes. */
static struct cost bound_of(struct level *level)
{
	const struct row *row = level->run->row;
	const struct tmd_store *store = &level->device.store;
	const struct tmd_store_config *config = &level->device.config;
	const struct tmd_region *slot = &config->slot[store->active.slot == 0u ? 1 : 0];
	const uint32_t write = level->flash.write_bytes;
	const uint32_t stride = ceil_of(TMD_RECORD_SIZE, write) * write;
	const struct tmd_patch_info *head = &level->run->heads[OF_FORWARD];
	const uint32_t end = round_up(row->pair->target.n, write) + head->kept_bytes;
	uint32_t smallest = UINT32_MAX;
	uint32_t notes = 1;
	uint32_t records;
	struct cost cost = {0, 0};
	/* Only what a whole model is known to lie in is compared with the target. */
	const bool compares = row->mode != MODE_STREAMED &&
			      (row->place == PLACE_UPDATED || row->place == PLACE_OLDER);

	slot_cost(level, slot, compares, head, &cost);
	/* A note for each progress_bytes, and at most one for each unit; one even if none changes. */
	notes += row->progress_bytes != 0u ? (end - 1u) / row->progress_bytes : 0u;
	notes = notes < cost.erases ? notes : largest(cost.erases, 1u);
	records = notes + 1u; /* the switch */
	for (uint32_t at = 0; at < config->records.bytes;) {
		const uint32_t unit = unit_at(&config->records, at);

		smallest = unit < smallest ? unit : smallest;
		at += unit;
	}
	cost.erases += ceil_of(records, smallest / stride);
	cost.bytes += records * stride;
	if (row->mode == MODE_REGION) {
		const uint32_t blocks = 1u + ceil_of(row->pair->forward.n, TMD_WRITE_BUFFER - 4u);

		for (uint32_t at = 0; at < blocks * TMD_WRITE_BUFFER;) {
			cost.erases++;
			at += unit_at(&config->staging, at);
		}
		cost.bytes += blocks * TMD_WRITE_BUFFER;
	}
	if ((level->flash.flags & TMD_FLASH_NO_ERASE) != 0u) {
		cost.erases = 0;
	}
	return cost;
}

static uint64_t nanoseconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void campaign_wear(const struct row *row, uint32_t times, struct wear *wear)
{
	struct run *run = malloc(sizeof(*run));

	must_be(run != NULL, "out of memory");
	memset(wear, 0, sizeof(*wear));
	wear->nanoseconds = UINT64_MAX;
	for (uint32_t n = 0; n < times; n++) {
		static const struct tmd_patch_info nothing_said;
		struct tally tally = {0};
		struct level *level = &run->levels[0];
		const struct tmd_sim_counts *counts = &level->device.sim.counts;
		struct tmd_sim_counts before;
		uint64_t time;

		run_set_up(run, row, &tally);
		wear->bound = bound_of(level);
		wear->copy = (struct cost){0, 0};
		slot_cost(level, &level->device.config.slot[0], false, &nothing_said, &wear->copy);
		if ((level->flash.flags & TMD_FLASH_NO_ERASE) != 0u) {
			wear->copy.erases = 0;
		}
		before = *counts;
		time = nanoseconds();
		must_be(level_send(level, &row->pair->forward) == TMD_OK, "the update fails");
		time = nanoseconds() - time;
		wear->nanoseconds = time < wear->nanoseconds ? time : wear->nanoseconds;
		wear->update.erases = (uint32_t)(counts->erases - before.erases);
		wear->update.bytes = (uint32_t)(counts->bytes_written - before.bytes_written);
		wear->read = (uint32_t)(counts->bytes_read - before.bytes_read);
		run_tear_down(run);
	}
	free(run);
}

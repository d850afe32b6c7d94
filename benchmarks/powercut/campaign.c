/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A device does an update, starts the new model and confirms it. Before each write and erase, its
 * port copies the flash to a second device, does a part of the operation there, and cuts the power;
 * the second device then boots with noise in its RAM, is checked, and has to come to the confirmed
 * target, and from there back to the base. Its own operations are cut the same way on a third one.
 */
#include "level.h"

#include <stdlib.h>

void campaign_run(const struct row *row, struct tally *tally, bool stop)
{
	struct run *run = malloc(sizeof(*run));
	struct level *level;
	uint64_t before;
	int err;

	must_be(run != NULL, "out of memory");
	run_set_up(run, row, tally);
	run->stop = stop;
	level = &run->levels[0];

	/* Without a cut, on another device: how many operations there are. */
	level_copy_flash(&run->levels[1], level);
	must_be(level_boot(&run->levels[1], true, false), tally->first);
	before = run->levels[1].device.sim.counts.operations;
	err = level_finish(&run->levels[1]);
	if (err != TMD_OK) {
		level_fail(&run->levels[1], "the update fails: %s", tmd_status_name(err));
	}
	tally->operations = (uint32_t)(run->levels[1].device.sim.counts.operations - before);
	for (uint64_t at = 1; at <= tally->operations && !run_given_up(run); at++) {
		if (row->every > 1u && run_noise(run) % row->every != 0u) {
			continue;
		}
		for (int kind = TMD_SIM_FAULT_ERROR; kind <= (int)FAULT_DONE; kind++) {
			run_with_fault(run, at, kind, true);
			run_with_fault(run, at, kind, false);
		}
		if (row->second != 0u || at % 7u == 0u) {
			run_cuts_in_a_row(run, at);
		}
	}

	if (!run_given_up(run)) {
		run_scenarios(run);
	}
	level->phase = PHASE_UPDATE;
	level->armed = true;
	err = run_given_up(run) ? TMD_OK : level_finish(level);
	level->armed = false;
	if (err != TMD_OK) {
		level_fail(level, "the update fails: %s", tmd_status_name(err));
	}
	level_check(level);
	run_tear_down(run);
	free(run);
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is done to a device besides single cuts: cuts in a row, faults without a cut, crash loops, rot,
 * damaged patches, an inference that runs meanwhile.
 */
#include "level.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUTS_IN_A_ROW 200u

/* ---- cuts in a row, and faults ---- */

/* A battery that is just good enough for `at` operations, again and again; then a good one. */
void run_cuts_in_a_row(struct run *run, uint64_t at)
{
	struct level *level = &run->levels[1];
	struct tmd_sim *sim = &level->device.sim;
	bool done = false;

	level_copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "cuts in a row at operation %lu",
		       (unsigned long)at);
	for (uint32_t n = 0; n < CUTS_IN_A_ROW && !done && !run_given_up(run); n++) {
		if (!level_boot(level, true, true)) {
			return;
		}
		sim->cut = (uint8_t)(n % TMD_SIM_CUT_AFTER); /* never the one that is done */
		sim->random = run->row->seed + 2u * n + 1u;
		sim->cut_at = sim->counts.operations + at;
		done = level_finish(level) == TMD_OK;
		run->tally->in_rows += sim->powered ? 0u : 1u;
	}
	if (level_boot(level, !done, true) && level_finish(level) != TMD_OK) {
		level_fail(level, "no way out after cuts in a row");
	}
}

/*
 * An operation fails, or is not done, or leaves a wrong bit, or is done and fails, and nobody cuts the
 * power. The application goes on, or starts the device again.
 */
void run_with_fault(struct run *run, uint64_t at, int kind, bool resets)
{
	struct level *level = &run->levels[1];
	struct tmd_sim *sim = &level->device.sim;
	struct tmd_store_info info;
	int err;

	level_copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "fault %d at operation %lu%s", kind,
		       (unsigned long)at, resets ? "" : ", without a reset");
	if (!level_boot(level, true, false)) {
		return;
	}
	sim->random = run->row->seed + 2u * at + 1u;
	if (kind == (int)FAULT_DONE) {
		level->done_at = sim->counts.operations + at;
	} else {
		sim->fault = (uint8_t)kind;
		sim->fault_at = sim->counts.operations + at;
	}
	run->tally->faults++;
	err = level_finish(level);
	if (err == TMD_OK && !level_is_model(level, &run->row->pair->target)) {
		level_fail(level, "success was reported, and the target is not there");
	}
	if (level->excused) {
		sim->counts.illegal = 0;
		sim->counts.rewrites = 0;
		level->excused = false;
	}
	if (err != TMD_OK && !resets) {
		level_check(level);
		err = level_finish(level);
		if (err != TMD_OK) {
			level_fail(level, "a second try fails: %s", tmd_status_name(err));
		}
	}
	level->done_at = 0;
	/* What was reported as done stays; a trial whose start could not be counted has ended. */
	if (!level_boot(level, err != TMD_OK, true)) {
		return;
	}
	tmd_store_get_info(&level->device.store, &info);
	if (err == TMD_OK && info.trial) {
		level_fail(level, "it was confirmed, and is on trial again");
	}
	err = level_finish(level);
	if (err != TMD_OK) {
		level_fail(level, "no way out: %s", tmd_status_name(err));
		return;
	}
	level_go_back(level);
}

/* ---- what is not about single operations ---- */

/* One attempt to start whatever is active. True if it was the model on trial. */
static bool start_once(struct level *level)
{
	const struct pair *pair = level->run->row->pair;
	struct tmd_model opened;
	const int err = tmd_store_open(&level->device.store, &opened);

	if (err == TMD_OK) {
		const bool is_target = is_opened(&opened, &pair->target);

		if (!is_target && !is_opened(&opened, &pair->base)) {
			level_fail(level, "open gives out what is no model");
		}
		tmd_store_close(&level->device.store, &opened);
		return is_target;
	}
	if (level->device.sim.powered) {
		level_fail(level, "open ends with %s", tmd_status_name(err));
	}
	return false;
}

/*
 * Nobody confirms: the model on trial crashes the device each time, or the application opens it again
 * and again. It is given out TRIAL_STARTS times at most, even if the power fails while a start is
 * counted, and then it is gone.
 */
static void crash_loop(struct run *run, uint32_t cut_at, enum tmd_sim_cut shape, bool resets)
{
	const struct pair *pair = run->row->pair;
	struct level *level = &run->levels[1];
	struct tmd_sim *sim = &level->device.sim;
	struct tmd_store *store = &level->device.store;
	uint32_t starts = 0;
	int err;

	level_copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "no confirmation%s, cut of shape %u at start %u",
		       resets ? ", resets" : "", (unsigned int)shape, (unsigned int)cut_at);
	if (!level_boot(level, true, false)) {
		return;
	}
	err = level_send(level, &pair->forward);
	if (err != TMD_OK) {
		level_fail(level, "the update fails: %s", tmd_status_name(err));
		return;
	}
	if (tmd_update_begin(&level->device.update, store) != TMD_ERR_TRIAL) {
		level_fail(level, "an update begins during a trial");
	}
	sim->cut = (uint8_t)shape;
	sim->random = run->row->seed ^ (2u * cut_at + 1u);
	for (uint32_t n = 1; n <= 3u * TRIAL_STARTS; n++) {
		if (n == cut_at) {
			sim->cut_at = sim->counts.operations + 1u;
		}
		starts += start_once(level) ? 1u : 0u;
		/* Once they are used up, a reset is enough to be rid of it. */
		if ((resets || !sim->powered) &&
		    !level_boot(level, true, starts < TRIAL_STARTS || cut_at != 0u)) {
			return;
		}
	}
	sim->cut_at = 0; /* nothing was written at that start */
	run->tally->cuts += cut_at != 0u ? 1u : 0u;
	if (starts > TRIAL_STARTS || starts + 1u < TRIAL_STARTS) {
		level_fail(level, "the model on trial was started %u times", (unsigned int)starts);
	}
	if (!level_is_model(level, &pair->base)) {
		level_fail(level, "a model that nobody confirmed stays");
	}
	err = level_send(level, &pair->forward);
	if (err != TMD_ERR_REVERTED) {
		level_fail(level, "a model that failed its trial is sent again: %s", tmd_status_name(err));
	}
}

/*
 * A bit turns over at rest, of the model that is active or of the newest record: what is active then
 * is whole, or there is nothing.
 */
static void rot(struct run *run, bool of_record)
{
	const struct pair *pair = run->row->pair;
	struct level *level = &run->levels[1];
	struct tmd_store *store = &level->device.store;
	const struct tmd_store_config *config = &level->device.config;
	const uint64_t noise = run_noise(run);
	uint32_t at;
	int err;

	level_copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "a wrong bit in the %s",
		       of_record ? "newest record" : "active model");
	if (!level_boot(level, true, false) || level_finish(level) != TMD_OK) {
		level_fail(level, "the update fails");
		return;
	}
	if (of_record) {
		at = config->records.offset + store->newest + (uint32_t)(noise >> 8) % TMD_RECORD_SIZE;
	} else {
		at = (uint32_t)(noise >> 8) % (pair->target.n + level_kept_bytes(level));
		if (at >= pair->target.n) { /* behind it, metadata */
			at += round_up(pair->target.n, level->flash.write_bytes) - pair->target.n;
		}
		at += config->slot[store->active.slot].offset;
	}
	level->device.sim.bytes[at] ^= (uint8_t)(1u << (noise % 8u));
	run->tally->faults++;
	err = tmd_sim_device_boot(&level->device, noise);
	if (err == TMD_OK ? !level_is_model(level, &pair->base) &&
				    (!of_record || !level_is_model(level, &pair->target))
			  : of_record) {
		level_fail(level, "then mount says %s", tmd_status_name(err));
	}
	level->device.sim.bytes[at] ^= (uint8_t)(1u << (noise % 8u));
}

/* A patch with a wrong bit, then the right one: the first never becomes active, the second does. */
static void damaged_patch(struct run *run, uint32_t at)
{
	const struct pair *pair = run->row->pair;
	struct level *level = &run->levels[1];
	struct blob wrong = {malloc(pair->forward.n), pair->forward.n};
	int err;

	must_be(wrong.at != NULL, "out of memory");
	memcpy(wrong.at, pair->forward.at, wrong.n);
	wrong.at[at] ^= (uint8_t)(1u << (at % 8u));
	level_copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "a wrong bit in byte %u of the patch",
		       (unsigned int)at);
	if (level_boot(level, true, false)) {
		err = level_send(level, &wrong);
		if (err == TMD_OK ? !level_is_model(level, &pair->target) : !level_is_model(level, &pair->base)) {
			level_fail(level, "it made an active model");
		} else if (level_boot(level, err != TMD_OK, true)) {
			err = level_finish(level);
			if (err != TMD_OK) {
				level_fail(level, "the right patch is refused after it: %s",
				     tmd_status_name(err));
			}
		}
	}
	run->tally->faults++;
	free(wrong.at);
}

/* The application runs the base while updates come in: nothing is written to what it runs. */
static void running_inference(struct run *run)
{
	const struct pair *pair = run->row->pair;
	struct level *level = &run->levels[1];
	struct tmd_store *store = &level->device.store;
	struct tmd_model running;
	struct tmd_model next;

	level_copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "a running inference");
	if (!level_boot(level, true, false)) {
		return;
	}
	if (tmd_store_open(store, &running) != TMD_OK || level_send(level, &pair->forward) != TMD_OK ||
	    tmd_store_open(store, &next) != TMD_OK || tmd_store_confirm(store) != TMD_OK) {
		level_fail(level, "the update fails");
		return;
	}
	if (!tmd_store_changed(store, &running) || !is_opened(&running, &pair->base) ||
	    !is_opened(&next, &pair->target)) {
		level_fail(level, "open models are not what they were");
	}
	if (running.slot < 2u && level_send(level, &pair->backward) != TMD_ERR_BUSY) {
		level_fail(level, "a slot is written while it is open");
	}
	if (!is_opened(&running, &pair->base)) {
		level_fail(level, "the running model was written to");
	}
	tmd_store_close(store, &running);
	if (level_send(level, &pair->backward) != TMD_OK) {
		level_fail(level, "no update after the running model was closed");
	}
}

/* A confirmation is reported as failed and was written; then the application reverts. */
static void undecided(struct run *run, uint32_t at)
{
	struct level *level = &run->levels[1];
	struct tmd_store *store = &level->device.store;
	struct tmd_model opened;
	int err;

	level_copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "a revert after a confirmation that failed");
	if (!level_boot(level, true, false)) {
		return;
	}
	if (level_send(level, &run->row->pair->forward) != TMD_OK || tmd_store_open(store, &opened) != TMD_OK) {
		level_fail(level, "the update fails");
		return;
	}
	tmd_store_close(store, &opened);
	level->done_at = level->device.sim.counts.operations + at;
	level->dies = true;
	err = tmd_store_confirm(store);
	level->done_at = 0;
	level->dies = false;
	if (err == TMD_OK) {
		return; /* it took more operations than that */
	}
	if (tmd_store_revert(store) != TMD_OK) {
		level_fail(level, "no revert");
	}
	(void)level_boot(level, true, false);
}

void run_scenarios(struct run *run)
{
	const uint32_t n = run->row->pair->forward.n;

	running_inference(run);
	undecided(run, 1);
	undecided(run, 2);
	crash_loop(run, 0, TMD_SIM_CUT_BEFORE, true);
	crash_loop(run, 0, TMD_SIM_CUT_BEFORE, false);
	for (uint32_t at = 1; at <= TRIAL_STARTS + 1u; at++) {
		for (int shape = 0; shape < (int)TMD_SIM_CUTS_N; shape++) {
			crash_loop(run, at, (enum tmd_sim_cut)shape, true);
			crash_loop(run, at, (enum tmd_sim_cut)shape, false);
		}
	}
	for (uint32_t i = 0; i < 8u && !run_given_up(run); i++) {
		rot(run, false);
		rot(run, true);
	}
	for (uint32_t i = 1; i <= 16u && !run_given_up(run); i++) {
		damaged_patch(run, i * (n - 1u) / 16u);
	}
}

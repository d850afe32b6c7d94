/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A device between two models: what must hold of it, and its way to the confirmed target and back.
 */
#include "level.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PIECE 61u

uint64_t run_noise(struct run *run)
{
	uint64_t z = (run->noise += 0x9E3779B97F4A7C15u);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

void level_fail(struct level *level, const char *format, ...)
{
	struct tally *tally = level->run->tally;
	char what[120];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if (tally->failures++ == 0u) {
		(void)snprintf(tally->first, sizeof(tally->first), "%s%s%s: %s",
			       level->index > 0u ? level->run->levels[1].text : "",
			       level->index > 1u ? " then " : "",
			       level->index > 1u ? level->text : "", what);
	}
}

bool run_given_up(const struct run *run)
{
	return run->stop && run->tally->failures != 0u;
}

/* ---- what must hold ---- */

bool level_is_model(struct level *level, const struct blob *model)
{
	const struct tmd_store *store = &level->device.store;
	uint8_t piece[512];

	if (store->active.bytes != model->n) {
		return false;
	}
	for (uint32_t at = 0; at < model->n;) {
		const uint32_t left = model->n - at;
		const uint32_t n = left < sizeof(piece) ? left : (uint32_t)sizeof(piece);

		if (tmd_store_read(store, at, piece, n) != TMD_OK ||
		    memcmp(piece, &model->at[at], n) != 0) {
			return false;
		}
		at += n;
	}
	return true;
}

/* Metadata behind the active model, which is in a slot. */
uint32_t level_kept_bytes(const struct level *level)
{
	const struct tmd_store *store = &level->device.store;

	return store->record[TMD_RECORD_SLOT0 + store->active.slot * TMD_ENTRY_SIZE +
			     TMD_ENTRY_META_BYTES];
}

/* Where they end. */
static uint32_t end_of_active(const struct level *level)
{
	const struct tmd_active *active = &level->device.store.active;
	const uint32_t kept = level_kept_bytes(level);

	return kept == 0u ? active->bytes
			  : round_up(active->bytes, level->flash.write_bytes) + kept;
}

/* Is this what the flash holds behind the active model? */
static bool is_kept(const struct level *level, const struct tmd_patch_info *head)
{
	const struct tmd_sim *sim = &level->device.sim;
	const struct tmd_active *active = &level->device.store.active;

	return level_kept_bytes(level) == head->kept_bytes &&
	       memcmp(&sim->bytes[level->device.config.slot[active->slot].offset +
				  round_up(active->bytes, sim->flash.write_bytes)],
		      head->kept, head->kept_bytes) == 0;
}

/* What is said of the active model is what a patch to it says; of the factory's it is nothing. */
static bool is_said(const struct level *level)
{
	const struct run *run = level->run;
	const struct tmd_active *active = &level->device.store.active;
	bool comes_by_patch = false;

	for (uint32_t i = 0; i < PATCHES_N; i++) {
		const struct tmd_patch_info *head = &run->heads[i];

		if (head->format != 0u &&
		    memcmp(head->target_digest, active->sha256, head->target_digest_bytes) == 0) {
			comes_by_patch = true;
			if (is_kept(level, head)) {
				return true;
			}
		}
	}
	return level_kept_bytes(level) == 0u &&
	       (!comes_by_patch ||
		memcmp(active->sha256, run->model.model_sha256, sizeof(active->sha256)) == 0);
}

void level_check(struct level *level)
{
	const struct tmd_sim *sim = &level->device.sim;
	const struct tmd_active *active = &level->device.store.active;

	if (sim->counts.illegal != 0u && !level->excused) {
		level_fail(level, "illegal: %s", sim->illegal_text);
	}
	if (sim->counts.rewrites != 0u && !level->excused) {
		level_fail(level, "a write unit was programmed twice");
	}
	if (active->slot >= 2u) {
		return;
	}
	if (tmd_sim_is_weak(sim, level->device.config.slot[active->slot].offset,
			    end_of_active(level))) {
		level_fail(level, "the active model stands on cells that a cut left half-written, mode %d slot %d",
		     (int)level->mode, (int)active->slot);
	}
	if (!is_said(level)) {
		level_fail(level, "what is said of the active model is of none of its patches");
	}
}

/* Power on: the active model is exactly one of those that it may be. */
bool level_boot(struct level *level, bool may_be_base, bool may_be_target)
{
	struct run *run = level->run;
	const int err = tmd_sim_device_boot(&level->device, run_noise(run));

	run->tally->boots++;
	if (err != TMD_OK) {
		level_fail(level, "mount says %s", tmd_status_name(err));
		return false;
	}
	level_check(level);
	if ((may_be_base && level_is_model(level, &run->row->pair->base)) ||
	    (may_be_target && level_is_model(level, &run->row->pair->target))) {
		return true;
	}
	level_fail(level, "the active model is %s",
	     level_is_model(level, &run->row->pair->base)     ? "the base, after it was left behind"
	     : level_is_model(level, &run->row->pair->target) ? "the target, before its time"
							: "none that it may be");
	return false;
}

/* ---- the scenario ---- */

int level_send(struct level *level, const struct blob *patch)
{
	struct tmd_sim_device *d = &level->device;

	switch (level->mode) {
	case MODE_STREAMED:
		return tmd_sim_device_stream(d, patch->at, patch->n, PIECE);
	case MODE_STAGED:
		return tmd_sim_device_staged(d, patch->at, patch->n);
	default:
		return tmd_sim_device_stage(d, patch->at, patch->n, PIECE, NULL);
	}
}

/* To the target. What comes of it says what was sent, and not what an earlier try left. */
static int send_forward(struct level *level)
{
	const struct run *run = level->run;
	const struct pair *pair = run->row->pair;
	const uint32_t head = level->forward == &pair->again ? OF_AGAIN : OF_FORWARD;
	int err = level_send(level, level->forward);

	if (err == TMD_ERR_TARGET && level->mixed) {
		err = level_send(level, level->forward); /* it found what the other one had written */
	}
	if (err == TMD_OK && !is_kept(level, &run->heads[head])) {
		level_fail(level, "the update is done, and says what it does not say");
	}
	return err;
}

bool is_opened(const struct tmd_model *opened, const struct blob *model)
{
	return opened->bytes == model->n &&
	       (opened->at == NULL || memcmp(opened->at, model->at, model->n) == 0);
}

/*
 * Start the model on trial, as the application does, and confirm it. False if that failed, or the
 * trial ended before, because its start could not be counted or its starts were used up.
 */
bool level_confirm(struct level *level, const struct blob *model)
{
	const struct pair *pair = level->run->row->pair;
	struct tmd_store *store = &level->device.store;
	struct tmd_model opened;
	struct tmd_store_info info;
	int err = tmd_store_open(store, &opened);

	if (err != TMD_OK) {
		return false;
	}
	if (!is_opened(&opened, &pair->base) && !is_opened(&opened, &pair->target) &&
	    !is_opened(&opened, model)) {
		level_fail(level, "open gives out what is no model");
		return false;
	}
	tmd_store_get_info(store, &info);
	if (info.trial) {
		err = tmd_store_confirm(store);
	}
	tmd_store_close(store, &opened);
	return err == TMD_OK && level_is_model(level, model);
}

/*
 * From wherever the device is to the confirmed target. With an error the power is gone, or a fault
 * hit; without one, the target is there.
 */
int level_finish(struct level *level)
{
	struct tmd_sim_device *d = &level->device;
	const struct pair *pair = level->run->row->pair;
	int err = level->mode == MODE_REGION ? tmd_sim_device_resume(d) : TMD_OK;

	if (err == TMD_OK && level_is_model(level, &pair->base)) {
		err = send_forward(level);
		if (err == TMD_ERR_REVERTED) { /* its starts went to cuts */
			err = tmd_store_forget(&d->store);
			if (err == TMD_OK) {
				err = send_forward(level);
			}
		}
	}
	if (err != TMD_OK) {
		return err;
	}
	level->phase = PHASE_TRIAL;
	if (!level_confirm(level, &pair->target)) {
		return TMD_ERR_STATE;
	}
	level->phase = PHASE_DONE;
	return level_is_model(level, &pair->target) ? TMD_OK : TMD_ERR_TARGET;
}

/* From the confirmed target back to the base, which shows that the store works on. */
void level_go_back(struct level *level)
{
	const struct pair *pair = level->run->row->pair;
	const int err = level_send(level, &pair->backward);

	if (err != TMD_OK || !level_confirm(level, &pair->base)) {
		level_fail(level, "a further update fails: %s", tmd_status_name(err));
		return;
	}
	(void)level_boot(level, true, false);
}

/*
 * Another update than the one that was cut: to a model that shares a part with its target, and back
 * to the base. What was half-written then must not pass for a part of it.
 */
static int detour(struct level *level)
{
	const struct pair *pair = level->run->row->pair;
	int err = level_send(level, &pair->detour);

	if (err == TMD_OK && (!level_confirm(level, &pair->other) || level->device.sim.counts.rewrites)) {
		err = TMD_ERR_STATE;
	}
	level_check(level);
	if (err == TMD_OK) {
		err = level_send(level, &pair->back);
	}
	return err == TMD_OK && !level_confirm(level, &pair->base) ? TMD_ERR_STATE : err;
}

/* The power was cut on this level, in `phase` of the one before: boot, and come to an end. */
void level_recover(struct level *level, enum phase phase)
{
	struct run *run = level->run;
	const struct pair *pair = run->row->pair;
	int err = TMD_OK;

	/* Instead of the patch that was cut short, another one to the same target may come. */
	if (pair->again.at != NULL && run_noise(run) % 4u == 0u) {
		level->forward = level->forward == &pair->again ? &pair->forward : &pair->again;
		level->mixed = true;
	}
	/* A patch that was cut short in one way may be sent again in the other. */
	level->mode = run->row->mode;
	if (level->mode != MODE_REGION && run_noise(run) % 4u == 0u) {
		level->mode = level->mode == MODE_STREAMED ? MODE_STAGED : MODE_STREAMED;
	}

	/* Right after the switch the target is there, and stays: its starts are not used up. */
	if (!level_boot(level, phase == PHASE_UPDATE, true)) {
		return;
	}
	level->phase = PHASE_UPDATE;
	if (pair->detour.at != NULL && run_noise(run) % 4u == 0u && level->mode != MODE_REGION &&
	    level_is_model(level, &pair->base)) {
		err = detour(level);
	}
	level->armed = level->index + 1u < LEVELS && run->row->second != 0u;
	if (err == TMD_OK) {
		err = level_finish(level);
	}
	level->armed = false;
	if (err != TMD_OK) {
		level_fail(level, "recovery ends with %s", tmd_status_name(err));
		return;
	}
	level_check(level);
	level_go_back(level);
}

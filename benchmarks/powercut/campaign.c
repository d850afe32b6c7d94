/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A device does an update, starts the new model and confirms it. Before each write and erase, its
 * port copies the flash to a second device, does a part of the operation there, and cuts the power;
 * the second device then boots with noise in its RAM, is checked, and has to come to the confirmed
 * target, and from there back to the base. Its own operations are cut the same way on a third one.
 */
#define _POSIX_C_SOURCE 199309L /* for clock_gettime */

#include "campaign.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LEVELS 3u
#define PIECE 61u
#define TRIAL_STARTS 3u
#define CUTS_IN_A_ROW 200u
#define FAILED (-1)
#define FAULT_DONE TMD_SIM_FAULTS_N /* done, and reported as failed */
#define PATCHES_N 6u

/* Of the patches, those to the target. */
enum { OF_FORWARD, OF_AGAIN };

/* How far the scenario has come, for what a cut may take back. */
enum phase {
	PHASE_UPDATE, /* base or target */
	PHASE_TRIAL,  /* the update has reported success: the target */
	PHASE_DONE,   /* the target is confirmed */
};

struct level {
	struct tmd_sim_device device;
	struct tmd_flash flash; /* in front of device.sim.flash */
	struct run *run;
	uint32_t index;
	enum phase phase;
	enum mode mode;    /* how patches are sent now */
	const struct blob *forward; /* what is sent to come to the target */
	bool mixed;        /* another patch to the target was sent before */
	bool armed;        /* operations are cut */
	bool excused;      /* an erase was not what the port said: what follows may be illegal */
	uint64_t done_at;  /* the operation that is done, and reported as failed; 0: none */
	bool dies;         /* and all later ones fail without being done */
	char text[96];     /* the cut that made this level */
};

struct run {
	const struct row *row;
	struct tally *tally;
	struct level levels[LEVELS];
	struct tmd_contract contract;
	struct tmd_model_contract model;
	struct tmd_patch_info heads[PATCHES_N]; /* what the patches say of themselves */
	uint64_t noise;
	uint64_t counter; /* of cuts, for taking one in so many */
	bool stop;
};

static uint64_t next_noise(struct run *run)
{
	uint64_t z = (run->noise += 0x9E3779B97F4A7C15u);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

static void fail(struct level *level, const char *format, ...)
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

static bool given_up(const struct run *run)
{
	return run->stop && run->tally->failures != 0u;
}

/* ---- what must hold ---- */

static bool is_model(struct level *level, const struct blob *model)
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

static uint32_t round_up(uint32_t bytes, uint32_t unit)
{
	return (bytes + unit - 1u) / unit * unit;
}

/* Metadata behind the active model, which is in a slot. */
static uint32_t kept_bytes(const struct level *level)
{
	const struct tmd_store *store = &level->device.store;

	return store->record[TMD_RECORD_SLOT0 + store->active.slot * TMD_ENTRY_SIZE +
			     TMD_ENTRY_META_BYTES];
}

/* Where they end. */
static uint32_t end_of_active(const struct level *level)
{
	const struct tmd_active *active = &level->device.store.active;
	const uint32_t kept = kept_bytes(level);

	return kept == 0u ? active->bytes
			  : round_up(active->bytes, level->flash.write_bytes) + kept;
}

/* Is this what the flash holds behind the active model? */
static bool is_kept(const struct level *level, const struct tmd_patch_info *head)
{
	const struct tmd_sim *sim = &level->device.sim;
	const struct tmd_active *active = &level->device.store.active;

	return kept_bytes(level) == head->kept_bytes &&
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
	return kept_bytes(level) == 0u &&
	       (!comes_by_patch ||
		memcmp(active->sha256, run->model.model_sha256, sizeof(active->sha256)) == 0);
}

static void check_flash(struct level *level)
{
	const struct tmd_sim *sim = &level->device.sim;
	const struct tmd_active *active = &level->device.store.active;

	if (sim->counts.illegal != 0u && !level->excused) {
		fail(level, "illegal: %s", sim->illegal_text);
	}
	if (sim->counts.rewrites != 0u && !level->excused) {
		fail(level, "a write unit was programmed twice");
	}
	if (active->slot >= 2u) {
		return;
	}
	if (tmd_sim_is_weak(sim, level->device.config.slot[active->slot].offset,
			    end_of_active(level))) {
		fail(level, "the active model stands on cells that a cut left half-written, mode %d slot %d",
		     (int)level->mode, (int)active->slot);
	}
	if (!is_said(level)) {
		fail(level, "what is said of the active model is of none of its patches");
	}
}

/* Power on: the active model is exactly one of those that it may be. */
static bool boot(struct level *level, bool may_be_base, bool may_be_target)
{
	struct run *run = level->run;
	const int err = tmd_sim_device_boot(&level->device, next_noise(run));

	run->tally->boots++;
	if (err != TMD_OK) {
		fail(level, "mount says %s", tmd_status_name(err));
		return false;
	}
	check_flash(level);
	if ((may_be_base && is_model(level, &run->row->pair->base)) ||
	    (may_be_target && is_model(level, &run->row->pair->target))) {
		return true;
	}
	fail(level, "the active model is %s",
	     is_model(level, &run->row->pair->base)     ? "the base, after it was left behind"
	     : is_model(level, &run->row->pair->target) ? "the target, before its time"
							: "none that it may be");
	return false;
}

/* ---- the scenario ---- */

static int send(struct level *level, const struct blob *patch)
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
	int err = send(level, level->forward);

	if (err == TMD_ERR_TARGET && level->mixed) {
		err = send(level, level->forward); /* it found what the other one had written */
	}
	if (err == TMD_OK && !is_kept(level, &run->heads[head])) {
		fail(level, "the update is done, and says what it does not say");
	}
	return err;
}

static bool is_at(const struct tmd_model *opened, const struct blob *model)
{
	return opened->bytes == model->n &&
	       (opened->at == NULL || memcmp(opened->at, model->at, model->n) == 0);
}

/*
 * Start the model on trial, as the application does, and confirm it. False if that failed, or the
 * trial ended before, because its start could not be counted or its starts were used up.
 */
static bool confirm(struct level *level, const struct blob *model)
{
	const struct pair *pair = level->run->row->pair;
	struct tmd_store *store = &level->device.store;
	struct tmd_model opened;
	struct tmd_store_info info;
	int err = tmd_store_open(store, &opened);

	if (err != TMD_OK) {
		return false;
	}
	if (!is_at(&opened, &pair->base) && !is_at(&opened, &pair->target) &&
	    !is_at(&opened, model)) {
		fail(level, "open gives out what is no model");
		return false;
	}
	tmd_store_get_info(store, &info);
	if (info.trial) {
		err = tmd_store_confirm(store);
	}
	tmd_store_close(store, &opened);
	return err == TMD_OK && is_model(level, model);
}

/*
 * From wherever the device is to the confirmed target. With an error the power is gone, or a fault
 * hit; without one, the target is there.
 */
static int finish(struct level *level)
{
	struct tmd_sim_device *d = &level->device;
	const struct pair *pair = level->run->row->pair;
	int err = level->mode == MODE_REGION ? tmd_sim_device_resume(d) : TMD_OK;

	if (err == TMD_OK && is_model(level, &pair->base)) {
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
	if (!confirm(level, &pair->target)) {
		return TMD_ERR_STATE;
	}
	level->phase = PHASE_DONE;
	return is_model(level, &pair->target) ? TMD_OK : TMD_ERR_TARGET;
}

/* From the confirmed target back to the base, which shows that the store works on. */
static void go_back(struct level *level)
{
	const struct pair *pair = level->run->row->pair;
	const int err = send(level, &pair->backward);

	if (err != TMD_OK || !confirm(level, &pair->base)) {
		fail(level, "a further update fails: %s", tmd_status_name(err));
		return;
	}
	(void)boot(level, true, false);
}

/*
 * Another update than the one that was cut: to a model that shares a part with its target, and back
 * to the base. What was half-written then must not pass for a part of it.
 */
static int detour(struct level *level)
{
	const struct pair *pair = level->run->row->pair;
	int err = send(level, &pair->detour);

	if (err == TMD_OK && (!confirm(level, &pair->other) || level->device.sim.counts.rewrites)) {
		err = TMD_ERR_STATE;
	}
	check_flash(level);
	if (err == TMD_OK) {
		err = send(level, &pair->back);
	}
	return err == TMD_OK && !confirm(level, &pair->base) ? TMD_ERR_STATE : err;
}

/* The power was cut on this level, in `phase` of the one before: boot, and come to an end. */
static void recover(struct level *level, enum phase phase)
{
	struct run *run = level->run;
	const struct pair *pair = run->row->pair;
	int err = TMD_OK;

	/* Instead of the patch that was cut short, another one to the same target may come. */
	if (pair->again.at != NULL && next_noise(run) % 4u == 0u) {
		level->forward = level->forward == &pair->again ? &pair->forward : &pair->again;
		level->mixed = true;
	}
	/* A patch that was cut short in one way may be sent again in the other. */
	level->mode = run->row->mode;
	if (level->mode != MODE_REGION && next_noise(run) % 4u == 0u) {
		level->mode = level->mode == MODE_STREAMED ? MODE_STAGED : MODE_STREAMED;
	}

	/* Right after the switch the target is there, and stays: its starts are not used up. */
	if (!boot(level, phase == PHASE_UPDATE, true)) {
		return;
	}
	level->phase = PHASE_UPDATE;
	if (pair->detour.at != NULL && next_noise(run) % 4u == 0u && level->mode != MODE_REGION &&
	    is_model(level, &pair->base)) {
		err = detour(level);
	}
	level->armed = level->index + 1u < LEVELS && run->row->second != 0u;
	if (err == TMD_OK) {
		err = finish(level);
	}
	level->armed = false;
	if (err != TMD_OK) {
		fail(level, "recovery ends with %s", tmd_status_name(err));
		return;
	}
	check_flash(level);
	go_back(level);
}

/* ---- the port ---- */

static void copy_flash(struct level *to, const struct level *from)
{
	const struct tmd_sim *source = &from->device.sim;
	struct tmd_sim *sim = &to->device.sim;

	memcpy(sim->bytes, source->bytes, source->size);
	memcpy(sim->state, source->state, source->size / source->flash.write_bytes);
	sim->counts = source->counts;
	to->mode = from->mode;
	to->forward = from->forward;
	to->mixed = from->mixed;
	tmd_sim_power_on(sim);
}

/* Cut this operation in one way on the next level. `data` is NULL for an erase. */
static void cut(struct level *level, enum tmd_sim_cut shape, uint32_t part, uint32_t offset,
		const void *data, uint32_t bytes)
{
	struct run *run = level->run;
	struct level *next = &run->levels[level->index + 1u];
	struct tmd_sim *sim = &next->device.sim;
	const uint32_t one_in = level->index == 0u ? run->row->every : run->row->second;

	run->counter++;
	if (given_up(run) || (one_in > 1u && next_noise(run) % one_in != 0u)) {
		return;
	}
	copy_flash(next, level);
	(void)snprintf(next->text, sizeof(next->text), "cut at operation %lu (%s at 0x%lx), shape %u, part %u",
		       (unsigned long)(level->device.sim.counts.operations + 1u),
		       data != NULL ? "write" : "erase", (unsigned long)offset,
		       (unsigned int)shape, (unsigned int)part);
	sim->random = run->row->seed ^ (run->counter * 0x2545F4914F6CDD1Du) ^ 1u;
	sim->cut = (uint8_t)shape;
	sim->cut_part = part;
	sim->cut_at = sim->counts.operations + 1u;
	if (data != NULL) {
		(void)sim->flash.write(sim, offset, data, bytes);
	} else {
		(void)sim->flash.erase(sim, offset, bytes);
	}
	run->tally->cuts++;
	run->tally->seconds += level->index > 0u ? 1u : 0u;
	recover(next, level->phase);
}

static void cut_in_all_ways(struct level *level, uint32_t offset, const void *data, uint32_t bytes)
{
	const uint32_t units = bytes / level->flash.write_bytes;
	const uint32_t parts = level->run->row->parts;
	const uint32_t step = parts == 0u || parts >= units ? 1u : units / parts;

	if (!level->armed) {
		return;
	}
	level->armed = false;
	cut(level, TMD_SIM_CUT_BEFORE, 0, offset, data, bytes);
	cut(level, TMD_SIM_CUT_AFTER, 0, offset, data, bytes);
	cut(level, TMD_SIM_CUT_SUBSET, 0, offset, data, bytes);
	if (data == NULL) {
		/* An erase is cut after a quarter, a half and three quarters, and left torn or weak. */
		for (uint32_t quarter = 1; quarter < 4u; quarter++) {
			cut(level, TMD_SIM_CUT_PREFIX, units * quarter / 4u, offset, data, bytes);
		}
		cut(level, TMD_SIM_CUT_TORN, 0, offset, data, bytes);
		cut(level, TMD_SIM_CUT_TORN, 1, offset, data, bytes);
	} else {
		for (uint32_t part = 0; part < units; part += step) {
			if (part > 0u) {
				cut(level, TMD_SIM_CUT_PREFIX, part, offset, data, bytes);
			}
			cut(level, TMD_SIM_CUT_TORN, part, offset, data, bytes);
		}
	}
	level->armed = true;
}

static int front_read(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	struct level *level = ctx;

	return level->device.sim.flash.read(&level->device.sim, offset, buf, bytes);
}

/* Was this the operation that is done, and reported as failed? */
static bool is_done_badly(const struct level *level)
{
	return level->done_at != 0u && level->device.sim.counts.operations == level->done_at;
}

static bool is_dead(const struct level *level)
{
	return level->dies && level->device.sim.counts.operations >= level->done_at;
}

static int front_write(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	struct level *level = ctx;

	int err;

	if (is_dead(level)) {
		return FAILED;
	}
	cut_in_all_ways(level, offset, buf, bytes);
	err = level->device.sim.flash.write(&level->device.sim, offset, buf, bytes);
	return is_done_badly(level) ? FAILED : err;
}

static int front_erase(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct level *level = ctx;

	int err;

	if (is_dead(level)) {
		return FAILED;
	}
	cut_in_all_ways(level, offset, NULL, bytes);
	err = level->device.sim.flash.erase(&level->device.sim, offset, bytes);
	if (level->device.sim.counts.operations == level->device.sim.fault_at) {
		level->excused = true;
	}
	return is_done_badly(level) ? FAILED : err;
}

static const void *front_map(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct level *level = ctx;

	return level->device.sim.flash.map(&level->device.sim, offset, bytes);
}

/* ---- setting up ---- */

static void must_be(bool holds, const char *what)
{
	if (!holds) {
		(void)fprintf(stderr, "campaign: %s\n", what);
		exit(2);
	}
}

static uint32_t largest(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static void sha256_of(const struct blob *model, uint8_t out[32])
{
	struct tmd_sha256 sha;

	tmd_sha256_init(&sha);
	tmd_sha256_update(&sha, model->at, model->n);
	(void)tmd_sha256_final(&sha, out);
}

/* What the device leaves the factory with. */
static const struct blob *factory_of(const struct row *row)
{
	switch (row->place) {
	case PLACE_UPDATED:
	case PLACE_FULL:
		return &row->pair->target;
	case PLACE_OLDER:
		return &row->pair->older;
	default:
		return &row->pair->base;
	}
}

/* What the device has to come to by each patch: its head, which the contract takes. */
static void read_heads(struct run *run)
{
	const struct pair *pair = run->row->pair;
	const struct blob *patches[PATCHES_N] = {[OF_FORWARD] = &pair->forward,
						 [OF_AGAIN] = &pair->again,
						 &pair->backward,
						 &pair->renewal,
						 &pair->detour,
						 &pair->back};

	for (uint32_t i = 0; i < PATCHES_N; i++) {
		static struct tmd_patch state;
		size_t used;

		if (patches[i]->at != NULL) {
			tmd_patch_init(&state);
			must_be(tmd_patch_head(&state, &run->contract, patches[i]->at, patches[i]->n,
					       &used) == TMD_OK,
				"a patch has no head");
			run->heads[i] = state.info;
		}
	}
}

/* The one that the patches of format 2 need. */
static const struct tmd_operator operator = {9, 1, 2, 0x01};

static void make_contract(struct run *run)
{
	const struct row *row = run->row;
	const struct pair *pair = row->pair;
	const struct blob *first = factory_of(row);
	uint32_t unit = 0;

	for (uint32_t i = 0; i < row->geometry->pattern_n; i++) {
		unit = largest(unit, row->geometry->pattern[i].bytes);
	}
	run->model = (struct tmd_model_contract){
		.name = "campaign",
		.id = 0x1234u,
		.tensors = pair->io,
		.quantisation = pair->opset,
		.arena_bytes = pair->arena,
		.opset_hash = pair->opset,
		.io_hash = pair->io,
		.slot_bytes = largest(largest(first->n, pair->other.n),
				      largest(pair->base.n, pair->target.n)),
		.model_bytes = first->n,
	};
	sha256_of(first, run->model.model_sha256);
	if (pair->again.at != NULL) {
		run->model.slot_bytes = round_up(run->model.slot_bytes, row->geometry->write_bytes) +
					TMD_META_KEPT;
	}
	run->contract = (struct tmd_contract){
		.wire_version = TMD_WIRE_VERSION,
		.formats = (1u << TMD_FORMAT_1) | (1u << TMD_FORMAT_2),
		.decoder = TMD_DECODER,
		.tflm_abi = (uint16_t)pair->abi,
		.kernels = pair->abi,
		.meta_kept = TMD_META_KEPT,
		.operators_n = 1,
		.operators = &operator,
		.erase_bytes = unit,
		.write_bytes = row->geometry->write_bytes,
		.models_n = 1,
		.models = &run->model,
	};
}

static void make_level(struct run *run, uint32_t index)
{
	const struct row *row = run->row;
	struct level *level = &run->levels[index];
	struct tmd_store_config *config = &level->device.config;
	struct tmd_sim_options options = {
		.trial_starts = TRIAL_STARTS,
		.progress_bytes = row->progress_bytes,
	};
	const uint32_t patch = largest(largest(row->pair->forward.n, row->pair->backward.n),
				       row->pair->renewal.n);

	if (row->mode == MODE_REGION) {
		/* As many blocks as it takes, and some that cuts may use up. */
		options.staging_bytes = (patch / (TMD_WRITE_BUFFER - 4u) + 6u) * TMD_WRITE_BUFFER;
	}
	memset(level, 0, sizeof(*level));
	must_be(tmd_sim_device_init(&level->device, row->geometry, &run->contract, 0, &options) ==
			TMD_OK,
		"no such device");
	level->run = run;
	level->index = index;
	level->mode = row->mode;
	level->forward = &row->pair->forward;
	level->flash = level->device.sim.flash;
	level->flash.read = front_read;
	level->flash.write = front_write;
	level->flash.erase = front_erase;
	level->flash.map = front_map;
	level->flash.ctx = level;
	config->slot[0].flash = &level->flash;
	config->slot[1].flash = &level->flash;
	config->records.flash = &level->flash;
	config->staging.flash = row->mode == MODE_REGION ? &level->flash : NULL;
}

static uint32_t ceil_of(uint32_t a, uint32_t b)
{
	return (a + b - 1u) / b;
}

/* The erase unit of a region that begins at `offset`, or contains it. */
static uint32_t unit_of(const struct tmd_region *region, uint32_t offset)
{
	uint32_t at = region->offset + offset;

	for (uint32_t i = 0; i < region->flash->runs_n; i++) {
		const struct tmd_flash_run *run = &region->flash->runs[i];

		if (at < run->bytes * run->count) {
			return run->bytes;
		}
		at -= run->bytes * run->count;
	}
	return region->bytes;
}

/* Where the erase unit ends that contains `offset`. */
static uint32_t unit_end(const struct tmd_region *region, uint32_t offset)
{
	uint32_t end = 0;

	while (end <= offset) {
		end += unit_of(region, end);
	}
	return end;
}

/* A record that changes nothing, with this number. */
static void append_record(struct level *level, uint32_t sequence)
{
	struct tmd_store *store = &level->device.store;
	const uint32_t before = sequence - 1u;

	for (uint32_t i = 0; i < 4u; i++) {
		store->record[TMD_RECORD_SEQUENCE + i] = (uint8_t)(before >> (8u * i));
	}
	must_be(tmd_store_forget(store) == TMD_OK, "no record is taken");
}

/*
 * Append records that change nothing, until the next one has to erase a unit and the next but one has
 * a number beyond the wrap. Twice around the region, so that all numbers can be compared.
 */
static void fill_records(struct level *level)
{
	const struct tmd_store *store = &level->device.store;
	const struct tmd_region *records = &store->config->records;
	const uint32_t write = records->flash->write_bytes;
	const uint32_t stride = ceil_of(TMD_RECORD_SIZE, write) * write;
	const uint32_t round = records->bytes / stride;
	uint32_t sequence = 0x7FFF0000u;

	for (uint32_t n = 0; n < 2u * round; n++) {
		append_record(level, sequence + n);
		if (n + 1u == round) {
			sequence = 0xFFFE0000u;
		}
	}
	sequence += 2u * round;
	while (store->newest + 3u * stride <= unit_end(records, store->newest)) {
		append_record(level, sequence++);
	}
	do {
		append_record(level, 0xFFFFFFFEu);
	} while (store->newest + 2u * stride <= unit_end(records, store->newest));
}

static void put_base(struct run *run)
{
	const struct row *row = run->row;
	const struct pair *pair = row->pair;
	const struct blob *first = factory_of(row);
	struct level *level = &run->levels[0];

	if (row->place == PLACE_COMPILED_IN) {
		for (uint32_t i = 0; i < LEVELS; i++) {
			must_be(tmd_sim_device_compile_in(&run->levels[i].device, first->at,
							  first->n),
				"out of memory");
		}
		return;
	}
	must_be(tmd_sim_device_factory(&level->device, first->at, first->n) == TMD_OK,
		"the first model does not go into slot 0");
	if (row->place == PLACE_FACTORY) {
		return;
	}
	must_be(tmd_sim_device_boot(&level->device, 1) == TMD_OK, "the device does not start");
	must_be(send(level, row->place == PLACE_OLDER ? &pair->renewal : &pair->backward) ==
				TMD_OK &&
			confirm(level, &pair->base),
		"the base does not go into slot 1");
	if (row->place == PLACE_FULL) {
		fill_records(level);
	}
}

static void set_up(struct run *run, const struct row *row, struct tally *tally)
{
	memset(run, 0, sizeof(*run));
	run->row = row;
	run->tally = tally;
	run->noise = row->seed;
	make_contract(run);
	read_heads(run);
	for (uint32_t i = 0; i < LEVELS; i++) {
		make_level(run, i);
	}
	put_base(run);
	must_be(boot(&run->levels[0], true, false), tally->first);
}

static void tear_down(struct run *run)
{
	for (uint32_t i = 0; i < LEVELS; i++) {
		tmd_sim_device_free(&run->levels[i].device);
	}
}

/* ---- cuts in a row, and faults ---- */

/* A battery that is just good enough for `at` operations, again and again; then a good one. */
static void cut_in_a_row(struct run *run, uint64_t at)
{
	struct level *level = &run->levels[1];
	struct tmd_sim *sim = &level->device.sim;
	bool done = false;

	copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "cuts in a row at operation %lu",
		       (unsigned long)at);
	for (uint32_t n = 0; n < CUTS_IN_A_ROW && !done && !given_up(run); n++) {
		if (!boot(level, true, true)) {
			return;
		}
		sim->cut = (uint8_t)(n % TMD_SIM_CUT_AFTER); /* never the one that is done */
		sim->random = run->row->seed + 2u * n + 1u;
		sim->cut_at = sim->counts.operations + at;
		done = finish(level) == TMD_OK;
		run->tally->in_rows += sim->powered ? 0u : 1u;
	}
	if (boot(level, !done, true) && finish(level) != TMD_OK) {
		fail(level, "no way out after cuts in a row");
	}
}

/*
 * An operation fails, or is not done, or leaves a wrong bit, or is done and fails, and nobody cuts the
 * power. The application goes on, or starts the device again.
 */
static void fault(struct run *run, uint64_t at, int kind, bool resets)
{
	struct level *level = &run->levels[1];
	struct tmd_sim *sim = &level->device.sim;
	struct tmd_store_info info;
	int err;

	copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "fault %d at operation %lu%s", kind,
		       (unsigned long)at, resets ? "" : ", without a reset");
	if (!boot(level, true, false)) {
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
	err = finish(level);
	if (err == TMD_OK && !is_model(level, &run->row->pair->target)) {
		fail(level, "success was reported, and the target is not there");
	}
	if (level->excused) {
		sim->counts.illegal = 0;
		sim->counts.rewrites = 0;
		level->excused = false;
	}
	if (err != TMD_OK && !resets) {
		check_flash(level);
		err = finish(level);
		if (err != TMD_OK) {
			fail(level, "a second try fails: %s", tmd_status_name(err));
		}
	}
	level->done_at = 0;
	/* What was reported as done stays; a trial whose start could not be counted has ended. */
	if (!boot(level, err != TMD_OK, true)) {
		return;
	}
	tmd_store_get_info(&level->device.store, &info);
	if (err == TMD_OK && info.trial) {
		fail(level, "it was confirmed, and is on trial again");
	}
	err = finish(level);
	if (err != TMD_OK) {
		fail(level, "no way out: %s", tmd_status_name(err));
		return;
	}
	go_back(level);
}

/* ---- what is not about single operations ---- */

/* One attempt to start whatever is active. True if it was the model on trial. */
static bool start_once(struct level *level)
{
	const struct pair *pair = level->run->row->pair;
	struct tmd_model opened;
	const int err = tmd_store_open(&level->device.store, &opened);

	if (err == TMD_OK) {
		const bool is_target = is_at(&opened, &pair->target);

		if (!is_target && !is_at(&opened, &pair->base)) {
			fail(level, "open gives out what is no model");
		}
		tmd_store_close(&level->device.store, &opened);
		return is_target;
	}
	if (level->device.sim.powered) {
		fail(level, "open ends with %s", tmd_status_name(err));
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

	copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "no confirmation%s, cut of shape %u at start %u",
		       resets ? ", resets" : "", (unsigned int)shape, (unsigned int)cut_at);
	if (!boot(level, true, false)) {
		return;
	}
	err = send(level, &pair->forward);
	if (err != TMD_OK) {
		fail(level, "the update fails: %s", tmd_status_name(err));
		return;
	}
	if (tmd_update_begin(&level->device.update, store) != TMD_ERR_TRIAL) {
		fail(level, "an update begins during a trial");
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
		    !boot(level, true, starts < TRIAL_STARTS || cut_at != 0u)) {
			return;
		}
	}
	sim->cut_at = 0; /* nothing was written at that start */
	run->tally->cuts += cut_at != 0u ? 1u : 0u;
	if (starts > TRIAL_STARTS || starts + 1u < TRIAL_STARTS) {
		fail(level, "the model on trial was started %u times", (unsigned int)starts);
	}
	if (!is_model(level, &pair->base)) {
		fail(level, "a model that nobody confirmed stays");
	}
	err = send(level, &pair->forward);
	if (err != TMD_ERR_REVERTED) {
		fail(level, "a model that failed its trial is sent again: %s", tmd_status_name(err));
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
	const uint64_t noise = next_noise(run);
	uint32_t at;
	int err;

	copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "a wrong bit in the %s",
		       of_record ? "newest record" : "active model");
	if (!boot(level, true, false) || finish(level) != TMD_OK) {
		fail(level, "the update fails");
		return;
	}
	if (of_record) {
		at = config->records.offset + store->newest + (uint32_t)(noise >> 8) % TMD_RECORD_SIZE;
	} else {
		at = (uint32_t)(noise >> 8) % (pair->target.n + kept_bytes(level));
		if (at >= pair->target.n) { /* behind it, metadata */
			at += round_up(pair->target.n, level->flash.write_bytes) - pair->target.n;
		}
		at += config->slot[store->active.slot].offset;
	}
	level->device.sim.bytes[at] ^= (uint8_t)(1u << (noise % 8u));
	run->tally->faults++;
	err = tmd_sim_device_boot(&level->device, noise);
	if (err == TMD_OK ? !is_model(level, &pair->base) &&
				    (!of_record || !is_model(level, &pair->target))
			  : of_record) {
		fail(level, "then mount says %s", tmd_status_name(err));
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
	copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "a wrong bit in byte %u of the patch",
		       (unsigned int)at);
	if (boot(level, true, false)) {
		err = send(level, &wrong);
		if (err == TMD_OK ? !is_model(level, &pair->target) : !is_model(level, &pair->base)) {
			fail(level, "it made an active model");
		} else if (boot(level, err != TMD_OK, true)) {
			err = finish(level);
			if (err != TMD_OK) {
				fail(level, "the right patch is refused after it: %s",
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

	copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "a running inference");
	if (!boot(level, true, false)) {
		return;
	}
	if (tmd_store_open(store, &running) != TMD_OK || send(level, &pair->forward) != TMD_OK ||
	    tmd_store_open(store, &next) != TMD_OK || tmd_store_confirm(store) != TMD_OK) {
		fail(level, "the update fails");
		return;
	}
	if (!tmd_store_changed(store, &running) || !is_at(&running, &pair->base) ||
	    !is_at(&next, &pair->target)) {
		fail(level, "open models are not what they were");
	}
	if (running.slot < 2u && send(level, &pair->backward) != TMD_ERR_BUSY) {
		fail(level, "a slot is written while it is open");
	}
	if (!is_at(&running, &pair->base)) {
		fail(level, "the running model was written to");
	}
	tmd_store_close(store, &running);
	if (send(level, &pair->backward) != TMD_OK) {
		fail(level, "no update after the running model was closed");
	}
}

/* A confirmation is reported as failed and was written; then the application reverts. */
static void undecided(struct run *run, uint32_t at)
{
	struct level *level = &run->levels[1];
	struct tmd_store *store = &level->device.store;
	struct tmd_model opened;
	int err;

	copy_flash(level, &run->levels[0]);
	(void)snprintf(level->text, sizeof(level->text), "a revert after a confirmation that failed");
	if (!boot(level, true, false)) {
		return;
	}
	if (send(level, &run->row->pair->forward) != TMD_OK || tmd_store_open(store, &opened) != TMD_OK) {
		fail(level, "the update fails");
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
		fail(level, "no revert");
	}
	(void)boot(level, true, false);
}

static void run_scenarios(struct run *run)
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
	for (uint32_t i = 0; i < 8u && !given_up(run); i++) {
		rot(run, false);
		rot(run, true);
	}
	for (uint32_t i = 1; i <= 16u && !given_up(run); i++) {
		damaged_patch(run, i * (n - 1u) / 16u);
	}
}

void campaign_run(const struct row *row, struct tally *tally, bool stop)
{
	struct run *run = malloc(sizeof(*run));
	struct level *level;
	uint64_t before;
	int err;

	must_be(run != NULL, "out of memory");
	set_up(run, row, tally);
	run->stop = stop;
	level = &run->levels[0];

	/* Without a cut, on another device: how many operations there are. */
	copy_flash(&run->levels[1], level);
	must_be(boot(&run->levels[1], true, false), tally->first);
	before = run->levels[1].device.sim.counts.operations;
	err = finish(&run->levels[1]);
	if (err != TMD_OK) {
		fail(&run->levels[1], "the update fails: %s", tmd_status_name(err));
	}
	tally->operations = (uint32_t)(run->levels[1].device.sim.counts.operations - before);
	for (uint64_t at = 1; at <= tally->operations && !given_up(run); at++) {
		if (row->every > 1u && next_noise(run) % row->every != 0u) {
			continue;
		}
		for (int kind = TMD_SIM_FAULT_ERROR; kind <= (int)FAULT_DONE; kind++) {
			fault(run, at, kind, true);
			fault(run, at, kind, false);
		}
		if (row->second != 0u || at % 7u == 0u) {
			cut_in_a_row(run, at);
		}
	}

	if (!given_up(run)) {
		run_scenarios(run);
	}
	level->phase = PHASE_UPDATE;
	level->armed = true;
	err = given_up(run) ? TMD_OK : finish(level);
	level->armed = false;
	if (err != TMD_OK) {
		fail(level, "the update fails: %s", tmd_status_name(err));
	}
	check_flash(level);
	tear_down(run);
	free(run);
}

/* ---- bounds ---- */

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
		const uint32_t unit = unit_of(slot, at);
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
		const uint32_t unit = unit_of(&config->records, at);

		smallest = unit < smallest ? unit : smallest;
		at += unit;
	}
	cost.erases += ceil_of(records, smallest / stride);
	cost.bytes += records * stride;
	if (row->mode == MODE_REGION) {
		const uint32_t blocks = 1u + ceil_of(row->pair->forward.n, TMD_WRITE_BUFFER - 4u);

		for (uint32_t at = 0; at < blocks * TMD_WRITE_BUFFER;) {
			cost.erases++;
			at += unit_of(&config->staging, at);
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

		set_up(run, row, &tally);
		wear->bound = bound_of(level);
		wear->copy = (struct cost){0, 0};
		slot_cost(level, &level->device.config.slot[0], false, &nothing_said, &wear->copy);
		if ((level->flash.flags & TMD_FLASH_NO_ERASE) != 0u) {
			wear->copy.erases = 0;
		}
		before = *counts;
		time = nanoseconds();
		must_be(send(level, &row->pair->forward) == TMD_OK, "the update fails");
		time = nanoseconds() - time;
		wear->nanoseconds = time < wear->nanoseconds ? time : wear->nanoseconds;
		wear->update.erases = (uint32_t)(counts->erases - before.erases);
		wear->update.bytes = (uint32_t)(counts->bytes_written - before.bytes_written);
		wear->read = (uint32_t)(counts->bytes_read - before.bytes_read);
		tear_down(run);
	}
	free(run);
}

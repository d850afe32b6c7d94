/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The devices of a row as they are before the update: contract, flash, records and base.
 */
#include "level.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void must_be(bool holds, const char *what)
{
	if (!holds) {
		(void)fprintf(stderr, "campaign: %s\n", what);
		exit(2);
	}
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
	level_be_in_front(level);
	config->slot[0].flash = &level->flash;
	config->slot[1].flash = &level->flash;
	config->records.flash = &level->flash;
	config->staging.flash = row->mode == MODE_REGION ? &level->flash : NULL;
}

/* The erase unit of a region that begins at `offset`, or contains it. */
uint32_t unit_at(const struct tmd_region *region, uint32_t offset)
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
		end += unit_at(region, end);
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
	must_be(level_send(level, row->place == PLACE_OLDER ? &pair->renewal : &pair->backward) ==
				TMD_OK &&
			level_confirm(level, &pair->base),
		"the base does not go into slot 1");
	if (row->place == PLACE_FULL) {
		fill_records(level);
	}
}

void run_set_up(struct run *run, const struct row *row, struct tally *tally)
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
	must_be(level_boot(&run->levels[0], true, false), tally->first);
}

void run_tear_down(struct run *run)
{
	for (uint32_t i = 0; i < LEVELS; i++) {
		tmd_sim_device_free(&run->levels[i].device);
	}
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Giving the active model out, with the trial of a new one: starts are counted in flash before the
 * model is given out, so that one which crashes the device is not started again and again.
 */
#include <string.h>

#include "model.h"
#include "records.h"
#include "region.h"

/* ---- reading ---- */

static bool is_within(uint32_t total, uint32_t offset, uint32_t bytes)
{
	return offset <= total && bytes <= total - offset;
}

int tmd_model_read(const struct tmd_store *store, const struct tmd_model *model, uint32_t offset,
		   void *buf, uint32_t bytes)
{
	if (!is_within(model->total_bytes, offset, bytes)) {
		return TMD_ERR_ARGUMENT;
	}
	return bytes == 0u ? TMD_OK : tmd_slot_read(store, model->slot, offset, buf, bytes);
}

int tmd_store_read(const struct tmd_store *store, uint32_t offset, void *buf, uint32_t bytes)
{
	const struct tmd_active *active = &store->active;

	if (active->slot == TMD_SLOT_NONE || !is_within(active->bytes, offset, bytes)) {
		return TMD_ERR_ARGUMENT;
	}
	return bytes == 0u ? TMD_OK : tmd_slot_read(store, active->slot, offset, buf, bytes);
}

/* Where a slot can be read as memory. It was verified by reads that may fail, so no access faults. */
static const void *map(const struct tmd_store *store, uint8_t slot, uint32_t bytes)
{
	const struct tmd_region *region;

	if (slot == TMD_SLOT_COMPILED_IN) {
		return store->config->compiled_in;
	}
	region = &store->config->slot[slot];
	if (region->flash->map == NULL) {
		return NULL;
	}
	return region->flash->map(region->flash->ctx, region->offset, bytes);
}

/* ---- open and close ---- */

static void give_out(struct tmd_store *store, struct tmd_model *model)
{
	const struct tmd_active *active = &store->active;

	model->slot = active->slot;
	model->total_bytes = active->bytes;
	model->bytes = active->bytes;
	if (active->slot != TMD_SLOT_COMPILED_IN) {
		model->bytes = tmd_get_u32(
			&tmd_entry(store->record, active->slot)[TMD_ENTRY_MODEL_BYTES]);
		store->open[active->slot]++;
	}
	model->at = map(store, active->slot, active->bytes);
}

void tmd_store_close(struct tmd_store *store, struct tmd_model *model)
{
	if (model->slot < TMD_ACTIVE_COMPILED_IN && store->open[model->slot] > 0u) {
		store->open[model->slot]--;
	}
	model->slot = TMD_SLOT_NONE;
	model->at = NULL;
	model->total_bytes = 0;
}

bool tmd_store_changed(const struct tmd_store *store, const struct tmd_model *model)
{
	return model->slot != store->active.slot;
}

/*
 * Write the state as it is now. If that fails, RAM knows what flash does not: it is said again with
 * the next record, and until then each mount comes to the same.
 */
static int write_state(struct tmd_store *store)
{
	(void)tmd_records_draft(store);
	return tmd_records_append(store);
}

#if TMD_TRIAL

static int count_start(struct tmd_store *store)
{
	tmd_entry(tmd_records_draft(store), store->active.slot)[TMD_ENTRY_STARTS]++;
	return tmd_records_append(store);
}

/* The model on trial has failed. */
static int end_trial(struct tmd_store *store)
{
	const uint8_t slot = store->record[TMD_RECORD_ACTIVE] & TMD_ACTIVE_SLOT;
	int err;
	int failed;

	tmd_entry(store->record, slot)[TMD_ENTRY_STATE] = TMD_SLOT_IS_REVERTED;
	store->started = false;
	err = tmd_store_pick(store);
	failed = write_state(store);
	return err != TMD_OK ? err : failed;
}

/* One start of the model on trial. If that is TMD_OK, and the trial goes on, the model may run. */
static int start_trial(struct tmd_store *store, struct tmd_model *model)
{
	int err;

	/* Starts are left: who used them up is not on trial any more (tmd_store_pick). */
	if (count_start(store) != TMD_OK) {
		/* What cannot be counted must not be started. */
		err = end_trial(store);
		return store->active.slot == TMD_SLOT_NONE ? err : TMD_OK;
	}
	store->started = true;
#if TMD_SELF_TEST
	give_out(store, model);
	err = tmd_self_test(store, model);
	tmd_store_close(store, model);
	if (err != TMD_OK) {
		err = end_trial(store);
		return store->active.slot == TMD_SLOT_NONE ? err : TMD_OK;
	}
#else
	(void)model;
#endif
	return TMD_OK;
}

int tmd_store_confirm(struct tmd_store *store)
{
	uint8_t *draft;

	if (!tmd_store_on_trial(store) || !store->started) {
		return TMD_ERR_STATE;
	}
	draft = tmd_records_draft(store);
	draft[TMD_RECORD_ACTIVE] &= TMD_ACTIVE_SLOT;
	tmd_store_raise_floor(store, draft);
	return tmd_records_append(store);
}

int tmd_store_revert(struct tmd_store *store)
{
	return tmd_store_on_trial(store) ? end_trial(store) : TMD_ERR_STATE;
}

#endif

int tmd_store_open(struct tmd_store *store, struct tmd_model *model)
{
	int err = store->active.slot == TMD_SLOT_NONE ? TMD_ERR_NO_MODEL : TMD_OK;

	model->slot = TMD_SLOT_NONE;
	model->at = NULL;
	model->total_bytes = 0;
	if (err == TMD_OK && !store->fresh) {
		err = tmd_store_pick(store);
	}
#if TMD_TRIAL
	if (err == TMD_OK && tmd_store_on_trial(store)) {
		err = start_trial(store, model);
	}
#endif
	if (err != TMD_OK) {
		return err;
	}
	if (store->newest == UINT32_MAX && store->active.slot == 0u && !store->updating) {
		/* A later firmware describes another model: say now what this one is. */
		(void)write_state(store);
	}
	store->fresh = false;
	give_out(store, model);
	return TMD_OK;
}

/* ---- what people ask ---- */

void tmd_store_interrupt(struct tmd_store *store)
{
	tmd_store_end_turn(store, tmd_store_take_turn(store));
}

int tmd_store_forget(struct tmd_store *store)
{
	uint8_t *draft;

	if (store->updating) {
		return TMD_ERR_BUSY;
	}
	if (tmd_store_on_trial(store)) {
		return TMD_ERR_TRIAL;
	}
	draft = tmd_records_draft(store);
	for (uint32_t slot = 0; slot < TMD_ACTIVE_COMPILED_IN; slot++) {
		if (slot != (draft[TMD_RECORD_ACTIVE] & TMD_ACTIVE_SLOT)) {
			tmd_entry(draft, slot)[TMD_ENTRY_STATE] = TMD_SLOT_IS_NONE;
		}
	}
	return tmd_records_append(store);
}

/* Where TLVs are: in a slot, or in the firmware. */
struct metadata {
	const struct tmd_region *slot; /* NULL: at `tlvs` */
	const uint8_t *tlvs;
	uint32_t at; /* in the slot */
	uint32_t bytes;
};

static struct metadata metadata_of(const struct tmd_store *store)
{
	const struct tmd_model_contract *own =
		&store->config->contract->models[store->config->model];
	const struct tmd_active *active = &store->active;
	struct metadata m = {NULL, own->meta, 0, own->meta_bytes};

	if (active->slot < TMD_ACTIVE_COMPILED_IN) {
		const uint8_t *entry =
			&store->record[TMD_RECORD_SLOT0 + active->slot * TMD_ENTRY_SIZE];

		if (entry[TMD_ENTRY_META_BYTES] != 0u) {
			m.slot = &store->config->slot[active->slot];
			m.at = tmd_metadata_offset(store, active->bytes);
			m.bytes = entry[TMD_ENTRY_META_BYTES];
		} else if (memcmp(active->sha256, own->model_sha256, sizeof(active->sha256)) != 0) {
			m.bytes = 0; /* by a patch that said nothing, or from an earlier firmware */
		}
	}
	return m;
}

static int read_metadata(const struct metadata *m, uint32_t at, void *buf, uint32_t bytes)
{
	if (bytes == 0u) {
		return TMD_OK;
	}
	if (m->slot != NULL) {
		return tmd_region_read(m->slot, m->at + at, buf, bytes);
	}
	memcpy(buf, &m->tlvs[at], bytes);
	return TMD_OK;
}

int tmd_store_metadata(const struct tmd_store *store, uint8_t tag, void *buf, uint32_t size)
{
	struct metadata m;

	if (store->active.slot == TMD_SLOT_NONE) {
		return TMD_ERR_NO_MODEL;
	}
	m = metadata_of(store);
	/* One TLV after the other, since nothing here has room for all of them. */
	for (uint32_t at = 0; m.bytes - at >= 2u;) {
		uint8_t head[2];
		int err = read_metadata(&m, at, head, sizeof(head));

		at += 2u;
		if (err == TMD_OK && head[1] > m.bytes - at) {
			err = TMD_ERR_METADATA;
		}
		if (err == TMD_OK && head[0] == tag) {
			err = read_metadata(&m, at, buf, tmd_min_u32(head[1], size));
			return err == TMD_OK ? head[1] : err;
		}
		if (err != TMD_OK) {
			return err;
		}
		at += head[1];
	}
	return 0;
}

int tmd_store_metadata_block(const struct tmd_store *store, void *buf, uint32_t size)
{
	struct metadata m;
	int err = TMD_OK;

	if (store->active.slot == TMD_SLOT_NONE) {
		return TMD_ERR_NO_MODEL;
	}
	m = metadata_of(store);
	if (m.bytes != 0u) {
		err = read_metadata(&m, 0, buf, tmd_min_u32(m.bytes, size));
	}
	return err == TMD_OK ? (int)m.bytes : err;
}

void tmd_store_get_info(const struct tmd_store *store, struct tmd_store_info *info)
{
	const uint8_t *record = store->record;
	const uint8_t slot = record[TMD_RECORD_ACTIVE] & TMD_ACTIVE_SLOT;

	info->starts = 0;
	info->version = store->config->contract->models[store->config->model].version;
	for (uint32_t i = 0; i < TMD_ACTIVE_COMPILED_IN; i++) {
		const uint8_t *entry = &record[TMD_RECORD_SLOT0 + i * TMD_ENTRY_SIZE];

		info->slot_state[i] = entry[TMD_ENTRY_STATE];
		if (i == slot) {
			info->starts = entry[TMD_ENTRY_STARTS];
			info->version = tmd_get_u32(&entry[TMD_ENTRY_VERSION]);
		}
	}
	info->floor = tmd_get_u32(&record[TMD_RECORD_FLOOR]);
	info->sequence = tmd_get_u32(&record[TMD_RECORD_SEQUENCE]);
	info->updates = tmd_get_u32(&record[TMD_RECORD_UPDATES]);
	info->erases = (store->config->records.flash->flags & TMD_FLASH_NO_ERASE) == 0u
			       ? store->erases
			       : 0u;
	info->written = store->written;
	info->trial = tmd_store_on_trial(store);
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Finding the active model, and giving it out.
 */
#include <string.h>

#include <tinymldelta/guard.h>

#include "../core/metadata.h"
#include "model.h"
#include "records.h"
#include "region.h"

_Static_assert(TMD_WRITE_BUFFER >= TMD_RECORD_SIZE && TMD_WRITE_BUFFER <= TMD_WRITE_UNIT_MAX,
	       "TMD_WRITE_BUFFER has to hold a record, and at most the largest write unit");
_Static_assert(!TMD_SELF_TEST || TMD_TRIAL, "TMD_SELF_TEST needs TMD_TRIAL");

static bool overlap(const struct tmd_region *a, const struct tmd_region *b)
{
	return a->flash == b->flash && a->offset < b->offset + b->bytes &&
	       b->offset < a->offset + a->bytes;
}

static bool slot_fits(const struct tmd_region *slot, const struct tmd_contract *contract,
		      const struct tmd_model_contract *model)
{
	struct tmd_region_shape shape;

	return tmd_region_is_valid(slot, &shape) && slot->bytes >= model->slot_bytes &&
	       shape.largest == contract->erase_bytes &&
	       slot->flash->write_bytes == contract->write_bytes;
}

static bool geometry_fits(const struct tmd_store_config *c)
{
	const struct tmd_contract *contract = c->contract;
	const struct tmd_model_contract *model = &contract->models[c->model];
	const struct tmd_region *const regions[] = {&c->slot[0], &c->slot[1], &c->records,
						    &c->staging};
	const uint32_t n = TMD_STAGING && c->staging.flash != NULL ? 4u : 3u;

	for (uint32_t i = 1; i < n; i++) {
		for (uint32_t j = 0; j < i; j++) {
			if (overlap(regions[i], regions[j])) {
				return false;
			}
		}
	}
	return slot_fits(&c->slot[0], contract, model) && slot_fits(&c->slot[1], contract, model) &&
	       tmd_records_fit(&c->records) && model->model_bytes <= model->slot_bytes;
}

static const struct tmd_model_contract *contract_of(const struct tmd_store *store)
{
	return &store->config->contract->models[store->config->model];
}

int tmd_slot_read(const struct tmd_store *store, uint8_t slot, uint32_t offset, void *buf,
		  uint32_t bytes)
{
	if (slot == TMD_SLOT_COMPILED_IN) {
		memcpy(buf, store->config->compiled_in + offset, bytes);
		return TMD_OK;
	}
	if (slot >= TMD_ACTIVE_COMPILED_IN) { /* it was there, and has decayed */
		return TMD_ERR_NO_MODEL;
	}
	return tmd_region_read(&store->config->slot[slot], offset, buf, bytes);
}

int tmd_slot_fingerprint(const struct tmd_store *store, uint8_t slot, uint32_t bytes, uint8_t kind,
			 struct tmd_fingerprint *print)
{
	/* Not store->buf: a model may be opened while an update gathers bytes there. */
	uint8_t piece[TMD_READ_PIECE];

	tmd_fingerprint_init(print, kind);
	for (uint32_t at = 0; at < bytes;) {
		const uint32_t n = tmd_min_u32(bytes - at, sizeof(piece));
		const int err = tmd_slot_read(store, slot, at, piece, n);

		if (err != TMD_OK) {
			return err;
		}
		tmd_fingerprint_update(print, piece, n);
		at += n;
	}
	return TMD_OK;
}

/* ---- which model is active ---- */

/* Make it the active model if the slot holds `bytes` whose SHA-256 begins like this. */
static bool activate(struct tmd_store *store, uint8_t slot, uint32_t bytes,
		     const uint8_t sha256[TMD_ENTRY_DIGEST])
{
	struct tmd_active *active = &store->active;
	struct tmd_fingerprint print;

	if (bytes == 0u ||
	    tmd_slot_fingerprint(store, slot, bytes, TMD_DIGEST_SHA256, &print) != TMD_OK ||
	    !tmd_fingerprint_matches(&print, sha256, TMD_ENTRY_DIGEST, active->sha256)) {
		return false;
	}
	active->bytes = bytes;
	active->slot = slot;
	return true;
}

#define VALUE(tag) ((tag) - 1u)
_Static_assert(TMD_ENTRY_MODEL_BYTES == TMD_ENTRY_VALUES + 4u * VALUE(TMD_TLV_SELF_TEST) &&
		       VALUE(TMD_TLV_SELF_TEST) + 1u == TMD_RECORD_NUMBERS_N,
	       "an entry has a place for each of the first TLVs, in the order of tags");

void tmd_entry_fill(uint8_t *entry, const struct tmd_patch_info *info, const uint8_t sha256[32])
{
	for (uint32_t i = 0; i < TMD_RECORD_NUMBERS_N; i++) {
		tmd_put_u32(&entry[TMD_ENTRY_VALUES + 4u * i], info->value[i]);
	}
	if ((info->present & (1u << VALUE(TMD_TLV_SELF_TEST))) == 0u) {
		tmd_put_u32(&entry[TMD_ENTRY_MODEL_BYTES], info->target_bytes);
	}
	tmd_put_u32(&entry[TMD_ENTRY_BYTES], info->target_bytes);
	memcpy(&entry[TMD_ENTRY_SHA256], sha256, TMD_ENTRY_DIGEST);
	entry[TMD_ENTRY_PRESENT] = (uint8_t)info->present;
	entry[TMD_ENTRY_STATE] = TMD_SLOT_IS_COMPLETE;
	entry[TMD_ENTRY_STARTS] = 0;
	entry[TMD_ENTRY_META_BYTES] = 0;
#if TMD_DECODER != TMD_DECODER_NONE
	entry[TMD_ENTRY_PRESENT] &= (1u << TMD_RECORD_NUMBERS_N) - 1u;
	entry[TMD_ENTRY_META_BYTES] = info->kept_bytes;
	if (info->kept_bytes != 0u) {
		tmd_put_u32(&entry[TMD_ENTRY_META_CRC],
			    tmd_crc32(0, info->kept, info->kept_bytes));
	}
#endif
}

#if TMD_DECODER != TMD_DECODER_NONE

/* The metadata that a slot holds behind its target, as the patch had them. False if they have decayed. */
static bool read_metadata(const struct tmd_store *store, uint8_t slot, const uint8_t *entry,
			  struct tmd_patch_info *info)
{
	const uint8_t bytes = entry[TMD_ENTRY_META_BYTES];

	info->format = TMD_FORMAT_2;
	info->kept_bytes = bytes;
	return tmd_region_read(&store->config->slot[slot],
			       tmd_metadata_offset(store, info->target_bytes), info->kept,
			       bytes) == TMD_OK &&
	       tmd_crc32(0, info->kept, bytes) == tmd_get_u32(&entry[TMD_ENTRY_META_CRC]) &&
	       tmd_kept_load(info);
}

#endif

/* What the patch said of a slot's model. False if nobody knows any more. */
static bool recall(const struct tmd_store *store, uint8_t slot, const uint8_t *entry,
		   struct tmd_patch_info *info)
{
	info->target_bytes = tmd_get_u32(&entry[TMD_ENTRY_BYTES]);
#if TMD_DECODER != TMD_DECODER_NONE
	info->format = TMD_FORMAT_1;
	info->kept_bytes = 0;
	if (entry[TMD_ENTRY_META_BYTES] != 0u) {
		return read_metadata(store, slot, entry, info);
	}
#else
	(void)store;
	(void)slot;
#endif
	for (uint32_t i = 0; i < TMD_RECORD_NUMBERS_N; i++) {
		info->value[i] = tmd_get_u32(&entry[TMD_ENTRY_VALUES + 4u * i]);
	}
	info->present = entry[TMD_ENTRY_PRESENT];
	return true;
}

int tmd_store_admits(const struct tmd_store *store, const struct tmd_patch_info *info)
{
	uint32_t version = info->value[VALUE(TMD_TLV_MODEL_VERSION)];

	if (version < contract_of(store)->lowest_version) {
		return TMD_ERR_VERSION;
	}
#if TMD_VERIFY
	/* The exception that its signer made: up to this floor, it counts as if it were as high. */
	if (tmd_tlv_u32(info, TMD_TLV_DOWNGRADE) > version) {
		version = tmd_tlv_u32(info, TMD_TLV_DOWNGRADE);
	}
#endif
	return version < tmd_get_u32(&store->record[TMD_RECORD_FLOOR]) ? TMD_ERR_VERSION : TMD_OK;
}

#if TMD_DECODER != TMD_DECODER_NONE
static bool has_anti_rollback(const struct tmd_store *store)
{
	return (store->config->contract->accept & TMD_ANTI_ROLLBACK) != 0u;
}
#endif

static void raise_to(uint8_t *record, uint32_t floor)
{
	if (floor > tmd_get_u32(&record[TMD_RECORD_FLOOR])) {
		tmd_put_u32(&record[TMD_RECORD_FLOOR], floor);
	}
}

void tmd_store_raise_floor(const struct tmd_store *store, uint8_t *record)
{
	const uint8_t *entry = tmd_entry(record, record[TMD_RECORD_ACTIVE]);

	raise_to(record, tmd_get_u32(&entry[TMD_ENTRY_FLOOR]));
#if TMD_DECODER != TMD_DECODER_NONE
	if (has_anti_rollback(store)) {
		raise_to(record, tmd_get_u32(&entry[TMD_ENTRY_VERSION]));
	}
#else
	(void)store;
#endif
}

/*
 * A slot's model, as a candidate: whole, not failed, allowed by this firmware as its patch was, and
 * with the right digest. Under a new firmware a model may be none any more; it stays known.
 */
static bool activate_slot(struct tmd_store *store, uint8_t slot)
{
	uint8_t *entry = tmd_entry(store->record, slot);
	struct tmd_patch_info info;

	if (entry[TMD_ENTRY_STATE] != TMD_SLOT_IS_COMPLETE ||
	    tmd_get_u32(&entry[TMD_ENTRY_MODEL_BYTES]) > tmd_get_u32(&entry[TMD_ENTRY_BYTES])) {
		return false;
	}
#if TMD_KEPT_N < 255
	if (entry[TMD_ENTRY_META_BYTES] > TMD_KEPT_N) {
		return false; /* of a firmware that keeps more */
	}
#endif
	if (!recall(store, slot, entry, &info)) {
		entry[TMD_ENTRY_STATE] = TMD_SLOT_IS_NONE;
		return false;
	}
	if (tmd_guard_check(store->config->contract, store->config->model, &info) != TMD_OK ||
	    tmd_store_admits(store, &info) != TMD_OK) {
		return false;
	}
	if (!activate(store, slot, info.target_bytes, &entry[TMD_ENTRY_SHA256])) {
		entry[TMD_ENTRY_STATE] = TMD_SLOT_IS_NONE;
		return false;
	}
	return true;
}

/*
 * The model that the contract describes. No version floor counts for it: it came with the firmware.
 * In the factory slot it gets an entry, so that a later firmware, which describes another one, knows
 * what it is.
 */
static bool activate_base(struct tmd_store *store)
{
	const struct tmd_model_contract *model = contract_of(store);
	const bool compiled_in = store->config->compiled_in != NULL;

	if (!activate(store, compiled_in ? TMD_SLOT_COMPILED_IN : 0u, model->model_bytes,
		      model->model_sha256)) {
		return false;
	}
	if (!compiled_in) {
		const struct tmd_patch_info info = {
			.format = TMD_FORMAT_1, /* by its hashes: nothing stands behind it */
			.target_bytes = model->model_bytes,
			.value = {model->arena_bytes, store->config->contract->tflm_abi,
				  model->opset_hash, model->io_hash, model->version, 0, 0},
			.present = (1u << VALUE(TMD_TLV_VERSION_FLOOR)) - 1u,
		};

		tmd_entry_fill(tmd_entry(store->record, 0), &info, store->active.sha256);
	}
	return true;
}

#if TMD_TRIAL
/* A trial that is used up has ended, and so has one under a firmware that knows no trials. */
static void settle_trial(struct tmd_store *store)
{
	uint8_t *record = store->record;
	const uint8_t slot = record[TMD_RECORD_ACTIVE] & TMD_ACTIVE_SLOT;

	if (slot >= TMD_ACTIVE_COMPILED_IN || store->config->trial_starts == 0u) {
		record[TMD_RECORD_ACTIVE] = slot;
	} else if (tmd_store_on_trial(store) &&
		   tmd_entry(record, slot)[TMD_ENTRY_STARTS] >= store->config->trial_starts) {
		tmd_entry(record, slot)[TMD_ENTRY_STATE] = TMD_SLOT_IS_REVERTED;
	}
}
#endif

int tmd_store_pick(struct tmd_store *store)
{
	uint8_t *active = &store->record[TMD_RECORD_ACTIVE];
	uint8_t slot;

#if TMD_TRIAL
	settle_trial(store);
#endif
	store->fresh = true;
	slot = *active & TMD_ACTIVE_SLOT;
	if (slot < TMD_ACTIVE_COMPILED_IN) {
		if (activate_slot(store, slot)) {
#if TMD_TRIAL && TMD_DECODER != TMD_DECODER_NONE
			if (!tmd_store_on_trial(store)) {
				/* Its trial may have ended only by a firmware that has none. */
				tmd_store_raise_floor(store, store->record);
			}
#endif
			return TMD_OK; /* as the record says, on trial or not */
		}
#if TMD_TRIAL
		if (tmd_store_on_trial(store) &&
		    tmd_entry(store->record, slot)[TMD_ENTRY_STATE] == TMD_SLOT_IS_COMPLETE) {
			/* This firmware may not run it. Left without its trial, it must not come back. */
			tmd_entry(store->record, slot)[TMD_ENTRY_STATE] = TMD_SLOT_IS_NONE;
		}
#endif
		slot ^= 1u;
		*active = slot;
		if (activate_slot(store, slot)) {
			return TMD_OK;
		}
	}
	*active = TMD_ACTIVE_COMPILED_IN;
	if (activate_base(store)) {
		if (store->active.slot == 0u) {
			*active = 0;
		}
#if TMD_DECODER != TMD_DECODER_NONE
		if (has_anti_rollback(store)) {
			raise_to(store->record, contract_of(store)->version);
		}
#endif
		return TMD_OK;
	}
	/* The firmware has lost its own: any model is better than none. */
	for (slot = 0; slot < TMD_ACTIVE_COMPILED_IN; slot++) {
		*active = slot;
		if (activate_slot(store, slot)) {
			return TMD_OK;
		}
	}
	store->active.slot = TMD_SLOT_NONE;
	return TMD_ERR_NO_MODEL;
}

/* Keys that this build of the core does not look at would keep nobody out. */
static bool is_understood(const struct tmd_contract *contract)
{
#if TMD_VERIFY
	return contract->wire_version == TMD_WIRE_VERSION;
#else
	return contract->wire_version == TMD_WIRE_VERSION && contract->keys_n == 0u;
#endif
}

int tmd_store_mount(struct tmd_store *store, const struct tmd_store_config *config)
{
	const struct tmd_contract *contract = config->contract;

	memset(store, 0, sizeof(*store));
	store->config = config;
	store->active.slot = TMD_SLOT_NONE;
	if (contract == NULL || !is_understood(contract) || config->model >= contract->models_n) {
		return TMD_ERR_ARGUMENT;
	}
	if (!geometry_fits(config)) {
		return TMD_ERR_GEOMETRY;
	}
	tmd_records_load(store);
	return tmd_store_pick(store);
}

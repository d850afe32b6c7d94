/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include <tinymldelta/store.h>

#include "../core/bytes.h"
#include "model.h"
#include "records.h"
#include "region.h"

_Static_assert(TMD_WRITE_BUFFER >= TMD_RECORD_SIZE && TMD_WRITE_BUFFER <= TMD_WRITE_UNIT_MAX,
	       "TMD_WRITE_BUFFER has to hold a record, and at most the largest write unit");
_Static_assert(TMD_PAGES_MAX % 8u == 0u, "TMD_PAGES_MAX counts bits of whole bytes");

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

	return slot_fits(&c->slot[0], contract, model) && slot_fits(&c->slot[1], contract, model) &&
	       tmd_records_fit(&c->records) &&
	       model->model_bytes <= model->slot_bytes && !overlap(&c->slot[0], &c->slot[1]) &&
	       !overlap(&c->slot[0], &c->records) && !overlap(&c->slot[1], &c->records);
}

int tmd_model_read(const struct tmd_store *store, uint8_t slot, uint32_t offset, void *buf,
		   uint32_t bytes)
{
	if (slot == TMD_SLOT_COMPILED_IN) {
		memcpy(buf, store->config->compiled_in + offset, bytes);
		return TMD_OK;
	}
	return tmd_region_read(&store->config->slot[slot], offset, buf, bytes);
}

int tmd_model_fingerprint(struct tmd_store *store, uint8_t slot, uint32_t bytes, uint8_t kind,
			  struct tmd_fingerprint *print)
{
	tmd_fingerprint_init(print, kind);
	for (uint32_t at = 0; at < bytes;) {
		const uint32_t n = tmd_min_u32(bytes - at, TMD_WRITE_BUFFER);
		const int err = tmd_model_read(store, slot, at, store->buf, n);

		if (err != TMD_OK) {
			return err;
		}
		tmd_fingerprint_update(print, store->buf, n);
		at += n;
	}
	return TMD_OK;
}

/* Make it the active model if the slot holds `bytes` with this SHA-256. */
static bool activate(struct tmd_store *store, uint8_t slot, uint32_t bytes,
		     const uint8_t sha256[32])
{
	struct tmd_active *active = &store->active;
	struct tmd_fingerprint print;

	if (bytes == 0u ||
	    tmd_model_fingerprint(store, slot, bytes, TMD_DIGEST_SHA256, &print) != TMD_OK ||
	    !tmd_fingerprint_matches(&print, sha256, TMD_DIGEST_SHA256_SIZE, active->sha256)) {
		return false;
	}
	active->bytes = bytes;
	active->slot = slot;
	return true;
}

int tmd_store_mount(struct tmd_store *store, const struct tmd_store_config *config)
{
	const struct tmd_contract *contract = config->contract;
	const struct tmd_model_contract *model;
	struct tmd_record record;

	memset(store, 0, sizeof(*store));
	store->config = config;
	store->newest = UINT32_MAX;
	store->active.slot = TMD_SLOT_NONE;
	if (contract == NULL || contract->wire_version != TMD_WIRE_VERSION ||
	    config->model >= contract->models_n) {
		return TMD_ERR_ARGUMENT;
	}
	if (!geometry_fits(config)) {
		return TMD_ERR_GEOMETRY;
	}

	if (tmd_records_newest(&config->records, TMD_SLOT_NONE, &record)) {
		store->newest = record.offset;
		store->sequence = record.sequence;
		if (activate(store, record.slot, record.bytes, record.sha256)) {
			return TMD_OK;
		}
		/* The slot no longer holds what the record says: back to the model before it. */
		if (tmd_records_newest(&config->records, record.slot ^ 1u, &record) &&
		    activate(store, record.slot, record.bytes, record.sha256)) {
			/* Go on behind this one: its erase unit is the one to spare. */
			store->newest = record.offset;
			return TMD_OK;
		}
	}
	model = &contract->models[config->model];
	if (activate(store, config->compiled_in != NULL ? TMD_SLOT_COMPILED_IN : 0u,
		     model->model_bytes, model->model_sha256)) {
		return TMD_OK;
	}
	return TMD_ERR_NO_MODEL;
}

int tmd_store_read(const struct tmd_store *store, uint32_t offset, void *buf, uint32_t bytes)
{
	if (store->active.slot == TMD_SLOT_NONE || offset > store->active.bytes ||
	    bytes > store->active.bytes - offset) {
		return TMD_ERR_ARGUMENT;
	}
	return bytes == 0u ? TMD_OK : tmd_model_read(store, store->active.slot, offset, buf, bytes);
}

const void *tmd_store_map(const struct tmd_store *store)
{
	const struct tmd_region *slot;

	if (store->active.slot == TMD_SLOT_COMPILED_IN) {
		return store->config->compiled_in;
	}
	if (store->active.slot == TMD_SLOT_NONE) {
		return NULL;
	}
	slot = &store->config->slot[store->active.slot];
	if (slot->flash->map == NULL) {
		return NULL;
	}
	return slot->flash->map(slot->flash->ctx, slot->offset, store->active.bytes);
}

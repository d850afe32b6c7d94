/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include <tinymldelta/guard.h>
#include <tinymldelta/update.h>

#include "../core/bytes.h"
#include "model.h"
#include "records.h"
#include "region.h"
#include "writer.h"

enum step {
	STEP_IDLE, /* zero, so that a struct that was cleared is not mistaken for a running update */
	STEP_RUNNING,
	STEP_DONE,
};

/* Bytes of a staged patch that are read at a time, on the stack. */
#define SOURCE_PIECE 64u

static int read_base(void *ctx, uint32_t offset, uint8_t *buf, uint32_t bytes)
{
	const struct tmd_update *u = ctx;

	/* It may have decayed meanwhile, and a shorter one, compiled in, taken its place. */
	if (offset + bytes > u->store->active.bytes) {
		return TMD_ERR_NO_MODEL;
	}
	return tmd_slot_read(u->store, u->store->active.slot, offset, buf, bytes);
}

/* Where test vectors begin is within the target; and the firmware can run them, and will. */
static int check_vectors(const struct tmd_store *store, const struct tmd_patch_info *info)
{
	const uint32_t at = info->value[TMD_TLV_SELF_TEST - 1u];
	const struct tmd_store_config *config = store->config;

	if ((info->present & (1u << (TMD_TLV_SELF_TEST - 1u))) == 0u) {
		return TMD_OK;
	}
	if (at == 0u || at >= info->target_bytes) {
		return TMD_ERR_METADATA;
	}
	return TMD_SELF_TEST && config->inference != NULL && config->trial_starts != 0u
		       ? TMD_OK
		       : TMD_ERR_SELF_TEST;
}

#if TMD_TRIAL
/* A model that failed its trial here is not tried again. */
static int check_reverted(const struct tmd_store *store, const struct tmd_patch_info *info)
{
	for (uint32_t slot = 0; slot < TMD_ACTIVE_COMPILED_IN; slot++) {
		const uint8_t *entry = &store->record[TMD_RECORD_SLOT0 + slot * TMD_ENTRY_SIZE];

		if (entry[TMD_ENTRY_STATE] == TMD_SLOT_IS_REVERTED &&
		    info->target_digest_bytes >= TMD_ENTRY_DIGEST &&
		    memcmp(&entry[TMD_ENTRY_SHA256], info->target_digest, TMD_ENTRY_DIGEST) == 0) {
			return TMD_ERR_REVERTED;
		}
	}
	return TMD_OK;
}
#endif

/* What the store has against the patch, guardrails first. */
static int check_rules(const struct tmd_store *store, const struct tmd_patch_info *info)
{
	int err = tmd_guard_check(store->config->contract, store->config->model, info);

	if (err == TMD_OK) {
		err = tmd_store_admits(store, info);
	}
	if (err == TMD_OK && info->value[TMD_TLV_VERSION_FLOOR - 1u] >
				     info->value[TMD_TLV_MODEL_VERSION - 1u]) {
		err = TMD_ERR_METADATA; /* it would shut itself out */
	}
	if (err == TMD_OK) {
		err = check_vectors(store, info);
	}
#if TMD_TRIAL
	if (err == TMD_OK) {
		err = check_reverted(store, info);
	}
#endif
	return err;
}

/* Rules, and the base as it is in flash now: the last thing before anything is written. */
static int check_head(struct tmd_update *u)
{
	const struct tmd_store *store = u->store;
	const struct tmd_patch_info *info = &u->patch.info;
	uint8_t sha256[32];
	int err = TMD_OK;

#if TMD_VERIFY
	err = tmd_patch_verify(&u->patch, store->config->contract, store->config->crypto);
#endif
	if (err == TMD_OK) {
		err = check_rules(store, info);
	}

	if (err != TMD_OK) {
		return err;
	}
	if (info->base_bytes != store->active.bytes) {
		return TMD_ERR_BASE;
	}
	err = tmd_slot_fingerprint(u->store, store->active.slot, store->active.bytes,
				    info->digest_kind, &u->print);
	if (err != TMD_OK) {
		return err;
	}
	if (!tmd_fingerprint_matches(&u->print, info->base_digest,
				     info->base_digest_bytes, sha256)) {
		return TMD_ERR_BASE;
	}
	tmd_fingerprint_init(&u->print, info->digest_kind); /* from here on it is of the target */
#if TMD_RESUME
	if (u->pass == (uint8_t)TMD_PASS_STREAMED) {
		tmd_writer_recall(u);
	}
#endif
	return TMD_OK;
}

static TMD_NOINLINE void start_pass(struct tmd_update *u, enum tmd_pass pass)
{
	tmd_patch_init(&u->patch);
#if TMD_DECRYPT
	memset(&u->sealed, 0, sizeof(u->sealed));
#endif
	tmd_writer_begin(u, pass);
	u->step = STEP_RUNNING;
	u->turn = tmd_store_take_turn(u->store);
}

/* The update has come to its end, good or bad: the store's buffer is free. */
static int end_update(struct tmd_update *u, int status)
{
	u->step = STEP_DONE;
	u->status = status;
	tmd_store_end_turn(u->store, u->turn);
#if TMD_DECRYPT
	tmd_wipe(&u->sealed, sizeof(u->sealed));
#endif
#if TMD_RESUME
	/* A patch that was refused after all may have brought anything into the slot. */
	if (status <= TMD_ERR_TRUNCATED) {
		tmd_writer_spoil(u);
	}
#endif
	return status;
}

/* The slot that no model is active in. Of two, one that the application does not have open. */
static uint8_t slot_to_write(const struct tmd_store *store)
{
	if (store->active.slot < TMD_ACTIVE_COMPILED_IN) {
		return store->active.slot ^ 1u;
	}
	return (uint8_t)(store->open[0] == 0u ? 0 : 1);
}

int tmd_update_begin(struct tmd_update *u, struct tmd_store *store)
{
	memset(u, 0, sizeof(*u));
	u->store = store;
	u->slot = slot_to_write(store);
	if (store->active.slot == TMD_SLOT_NONE) {
		u->status = TMD_ERR_NO_MODEL;
#if TMD_TRIAL
	} else if (tmd_store_on_trial(store)) {
		u->status = TMD_ERR_TRIAL;
#endif
	} else if (store->open[u->slot] != 0u) {
		u->status = TMD_ERR_BUSY;
	} else {
		u->region = &store->config->slot[u->slot];
		start_pass(u, TMD_PASS_STREAMED);
	}
	return u->status;
}

static int take(struct tmd_update *u, const uint8_t *data, size_t bytes)
{
	const struct tmd_patch_io io = {read_base, tmd_writer_emit, u};
	size_t used = 0;

	if (!tmd_patch_head_complete(&u->patch)) {
		int err = tmd_patch_head(&u->patch, u->store->config->contract, data, bytes, &used);

		if (err == TMD_OK && tmd_patch_head_complete(&u->patch)) {
			err = check_head(u);
		}
		if (err != TMD_OK) {
			return err;
		}
	}
	return bytes == used ? TMD_OK
			     : tmd_patch_body(&u->patch, &io, data + used, bytes - used);
}

/* The same, of a patch as it comes: it may be encrypted. */
static int take_any(struct tmd_update *u, const uint8_t *data, size_t bytes)
{
#if TMD_DECRYPT
	const struct tmd_store_config *config = u->store->config;

	while (bytes > 0u && !tmd_sealed_is_plain(&u->sealed, config->contract, *data)) {
		const uint8_t *plain;
		size_t n;
		int err = tmd_sealed_open(&u->sealed, config->contract, config->crypto, &data,
					  &bytes, &plain, &n);

		if (err == TMD_OK) {
			err = take(u, plain, n);
		}
		if (err != TMD_OK) {
			return err;
		}
	}
#endif
	return take(u, data, bytes);
}

/*
 * Is it running, and has no other update begun since? Nor may the slot that it writes have become the
 * active one: it can, while it holds what it held, if the active one cannot be read for a moment.
 */
static int may_go_on(const struct tmd_update *u)
{
	if (u->step != STEP_RUNNING) {
		return TMD_ERR_ARGUMENT;
	}
	return u->turn == u->store->turn && u->slot != u->store->active.slot ? TMD_OK
									     : TMD_ERR_BUSY;
}

int tmd_update_write(struct tmd_update *u, const void *data, size_t bytes)
{
	int err = u->status;

	if (err == TMD_OK) {
		err = may_go_on(u);
		if (err == TMD_OK) {
			err = take_any(u, data, bytes);
		}
		if (err != TMD_OK && u->step == STEP_RUNNING) {
			(void)end_update(u, err);
		}
	}
	return err;
}

/* What counts is what flash holds, not what was sent to it. */
static int read_back(struct tmd_update *u)
{
	const struct tmd_patch_info *info = &u->patch.info;

#if TMD_DECODER != TMD_DECODER_NONE
	/* Units that an earlier try has written may hold other metadata of the same target. */
	if (!tmd_region_equals(u->region, tmd_metadata_offset(u->store, info->target_bytes),
			       info->kept, info->kept_bytes)) {
		return TMD_ERR_TARGET;
	}
#endif
	return tmd_slot_fingerprint(u->store, u->slot, info->target_bytes, info->digest_kind,
				    &u->print);
}

/* All of the patch is there: end the decoding and check what came out of it. */
static int end_pass(struct tmd_update *u, struct tmd_active *target)
{
	const struct tmd_patch_io io = {read_base, tmd_writer_emit, u};
	const struct tmd_patch_info *info = &u->patch.info;
	int err = tmd_patch_end(&u->patch, &io);

#if TMD_DECRYPT
	if (err == TMD_OK && tmd_sealed_is_open(&u->sealed)) {
		err = TMD_ERR_TRUNCATED;
	}
#endif
#if TMD_DECODER != TMD_DECODER_NONE
	if (err == TMD_OK) {
		err = tmd_writer_metadata(u);
	}
#endif
	if (err == TMD_OK && u->pass != (uint8_t)TMD_PASS_CHECK) {
		err = tmd_writer_flush(u);
		if (err == TMD_OK) {
			err = read_back(u);
		}
	}
	if (err != TMD_OK) {
		return err;
	}
	target->slot = u->slot;
	target->bytes = info->target_bytes;
	if (!tmd_fingerprint_matches(&u->print, info->target_digest,
				     info->target_digest_bytes, target->sha256)) {
		return TMD_ERR_TARGET;
	}
	return TMD_OK;
}

/*
 * The switch: one record that says what the slot holds, and that it is active. `sha256` is that of
 * the slot as it was read back.
 */
static int switch_model(struct tmd_update *u, const struct tmd_active *target)
{
	struct tmd_store *store = u->store;
	uint8_t *draft = tmd_records_draft(store);
	int err;

	tmd_entry_fill(tmd_entry(draft, u->slot), &u->patch.info, target->sha256);
	draft[TMD_RECORD_ACTIVE] = u->slot;
#if TMD_TRIAL
	store->started = false;
	if (store->config->trial_starts != 0u) {
		draft[TMD_RECORD_ACTIVE] |= TMD_ACTIVE_TRIAL;
	} else {
		tmd_store_raise_floor(store, draft);
	}
#else
	tmd_store_raise_floor(store, draft);
#endif
	tmd_put_u32(&draft[TMD_RECORD_UPDATES], tmd_get_u32(&draft[TMD_RECORD_UPDATES]) + 1u);
	err = tmd_records_append(store);
	if (err == TMD_OK) {
		store->active = *target;
		store->fresh = true;
	}
	return err;
}

int tmd_update_finish(struct tmd_update *u)
{
	struct tmd_active target;
	int err = u->status;

	if (err == TMD_OK) {
		err = may_go_on(u);
	}
	if (err != TMD_OK) {
		u->status = err;
		return err;
	}
	err = end_pass(u, &target);
	if (err == TMD_OK) {
		err = switch_model(u, &target);
	}
	return end_update(u, err);
}

void tmd_update_abort(struct tmd_update *u)
{
	if (u->step == STEP_RUNNING) {
		tmd_store_end_turn(u->store, u->turn);
	}
#if TMD_DECRYPT
	tmd_wipe(&u->sealed, sizeof(u->sealed));
#endif
	u->step = STEP_DONE;
}

static int feed(struct tmd_update *u, const struct tmd_source *source)
{
	uint8_t piece[SOURCE_PIECE];
	int err = TMD_OK;

	for (uint32_t at = 0; at < source->bytes && err == TMD_OK;) {
		const uint32_t n = tmd_min_u32(source->bytes - at, SOURCE_PIECE);

		err = source->read(source->ctx, at, piece, n) != 0 ? TMD_ERR_FLASH_READ
								   : take_any(u, piece, n);
		at += n;
	}
	return err;
}

/* Decode without writing. The update goes on if that is TMD_OK. */
static int check(struct tmd_update *u, struct tmd_store *store, const struct tmd_source *source)
{
	struct tmd_active target;
	int err = tmd_update_begin(u, store);

	if (err != TMD_OK) {
		return err;
	}
	start_pass(u, TMD_PASS_CHECK);
	err = feed(u, source);
	if (err == TMD_OK) {
		err = end_pass(u, &target);
	}
	return err;
}

int tmd_update_check(struct tmd_update *u, struct tmd_store *store, const struct tmd_source *source)
{
	const int err = check(u, store, source);

	if (u->step == STEP_RUNNING) {
		(void)end_update(u, err);
	}
	return err;
}

int tmd_update_staged(struct tmd_update *u, struct tmd_store *store,
		      const struct tmd_source *source)
{
	enum tmd_pass pass = TMD_PASS_STAGED;
	int err = check(u, store, source);

	if (u->step != STEP_RUNNING) {
		return err;
	}
#if TMD_RESUME
	if (err == TMD_OK) {
		err = tmd_writer_plan(u, &pass);
	}
#endif
	if (err == TMD_OK) {
		start_pass(u, pass);
		err = feed(u, source);
	}
	if (err != TMD_OK) {
		return end_update(u, err);
	}
	return tmd_update_finish(u);
}

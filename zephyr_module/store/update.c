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

enum step {
	STEP_IDLE, /* zero, so that a struct that was cleared is not mistaken for a running update */
	STEP_RUNNING,
	STEP_DONE,
};

enum pass {
	PASS_STREAMED, /* decode and write, every unit */
	PASS_CHECK,    /* decode only: digest, and which erase units would change */
	PASS_STAGED,   /* decode and write the units that change */
};

/* Bytes of a staged patch that are read at a time, on the stack. */
#define SOURCE_PIECE 64u

/* ---- the forward writer: gathers bytes, erases on entry to a unit, programs each place once ---- */

static bool must_write(const struct tmd_update *u)
{
	if (u->pass != PASS_STAGED || u->unit >= TMD_PAGES_MAX) {
		return true;
	}
	return (u->changed[u->unit / 8u] & (1u << (u->unit % 8u))) != 0u;
}

/* Step into the next erase unit. `position` stands at its start. */
static int enter_unit(struct tmd_update *u)
{
	uint32_t start; /* is u->position */
	const uint32_t bytes = tmd_region_unit(u->region, u->position, &start);

	if (bytes == 0u) { /* cannot be: guardrail SLOT and mount's geometry keep us inside */
		return TMD_ERR_ARGUMENT;
	}
	if (u->position != 0u) {
		u->unit++;
	}
	u->unit_end = u->position + bytes;
	if (u->pass == PASS_CHECK || !must_write(u)) {
		return TMD_OK;
	}
	return tmd_region_erase(u->region, u->position, bytes);
}

/* Program what was gathered; the last write unit is filled up with the erased value. */
static int flush(struct tmd_update *u)
{
	const struct tmd_flash *flash = u->region->flash;
	const uint32_t start = u->position - u->fill;
	uint32_t bytes = u->fill;

	if (bytes == 0u) {
		return TMD_OK;
	}
	while (bytes % flash->write_bytes != 0u) {
		u->store->buf[bytes++] = flash->erased_value;
	}
	u->fill = 0;
	return tmd_region_write(u->region, start, u->store->buf, bytes);
}

static int write_piece(struct tmd_update *u, const uint8_t *data, uint32_t bytes)
{
	int err = TMD_OK;

	if (must_write(u)) {
		memcpy(&u->store->buf[u->fill], data, bytes);
		u->fill = (uint16_t)(u->fill + bytes);
	}
	u->position += bytes;
	if (u->fill == TMD_WRITE_BUFFER || u->position == u->unit_end) {
		err = flush(u);
	}
	return err;
}

static void check_piece(struct tmd_update *u, const uint8_t *data, uint32_t bytes)
{
	tmd_fingerprint_update(&u->print, data, bytes);
	if (u->unit < TMD_PAGES_MAX && !tmd_region_equals(u->region, u->position, data, bytes)) {
		u->changed[u->unit / 8u] =
			(uint8_t)(u->changed[u->unit / 8u] | (1u << (u->unit % 8u)));
	}
	u->position += bytes;
}

/* The decoder's output, cut at the bounds of erase units and of the buffer. */
static int emit(void *ctx, const uint8_t *buf, uint32_t bytes)
{
	struct tmd_update *u = ctx;

	while (bytes > 0u) {
		uint32_t n;
		int err = TMD_OK;

		if (u->position == u->unit_end) {
			err = enter_unit(u);
			if (err != TMD_OK) {
				return err;
			}
		}
		n = tmd_min_u32(bytes, u->unit_end - u->position);
		if (u->pass == PASS_CHECK) {
			check_piece(u, buf, n);
		} else {
			n = tmd_min_u32(n, TMD_WRITE_BUFFER - u->fill);
			err = write_piece(u, buf, n);
		}
		if (err != TMD_OK) {
			return err;
		}
		buf += n;
		bytes -= n;
	}
	return TMD_OK;
}

static int read_base(void *ctx, uint32_t offset, uint8_t *buf, uint32_t bytes)
{
	const struct tmd_update *u = ctx;

	return tmd_model_read(u->store, u->store->active.slot, offset, buf, bytes);
}

/* ---- the update ---- */

/* Guardrails, and the base as it is in flash now: the last thing before anything is written. */
static int check_head(struct tmd_update *u)
{
	const struct tmd_store *store = u->store;
	const struct tmd_patch_info *info = &u->patch.info;
	uint8_t sha256[32];
	int err = tmd_guard_check(store->config->contract, store->config->model, info);

	if (err != TMD_OK) {
		return err;
	}
	if (info->base_bytes != store->active.bytes) {
		return TMD_ERR_BASE;
	}
	err = tmd_model_fingerprint(u->store, store->active.slot, store->active.bytes,
				    info->digest_kind, &u->print);
	if (err != TMD_OK) {
		return err;
	}
	if (!tmd_fingerprint_matches(&u->print, info->base_digest,
				     info->base_digest_bytes, sha256)) {
		return TMD_ERR_BASE;
	}
	tmd_fingerprint_init(&u->print, info->digest_kind); /* from here on it is of the target */
	return TMD_OK;
}

static TMD_NOINLINE void start_pass(struct tmd_update *u, enum pass pass)
{
	tmd_patch_init(&u->patch);
	u->position = 0;
	u->unit_end = 0;
	u->unit = 0;
	u->fill = 0;
	u->pass = (uint8_t)pass;
	u->step = STEP_RUNNING;
}

int tmd_update_begin(struct tmd_update *u, struct tmd_store *store)
{
	memset(u, 0, sizeof(*u));
	u->store = store;
	if (store->active.slot == TMD_SLOT_NONE) {
		u->status = TMD_ERR_NO_MODEL;
		return u->status;
	}
	u->slot = store->active.slot == 0u ? 1u : 0u;
	u->region = &store->config->slot[u->slot];
	start_pass(u, PASS_STREAMED);
	return TMD_OK;
}

static int take(struct tmd_update *u, const uint8_t *data, size_t bytes)
{
	const struct tmd_patch_io io = {read_base, emit, u};
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

int tmd_update_write(struct tmd_update *u, const void *data, size_t bytes)
{
	if (u->status == TMD_OK) {
		u->status = u->step == STEP_RUNNING ? take(u, data, bytes) : TMD_ERR_ARGUMENT;
	}
	return u->status;
}

/* All of the patch is there: end the decoding and check what came out of it. */
static int end_pass(struct tmd_update *u, struct tmd_active *target)
{
	const struct tmd_patch_io io = {read_base, emit, u};
	const struct tmd_patch_info *info = &u->patch.info;
	int err = tmd_patch_end(&u->patch, &io);

	if (err == TMD_OK && u->pass != PASS_CHECK) {
		err = flush(u);
		if (err == TMD_OK) {
			/* What counts is what flash holds, not what was sent to it. */
			err = tmd_model_fingerprint(u->store, u->slot, info->target_bytes,
						    info->digest_kind, &u->print);
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

int tmd_update_finish(struct tmd_update *u)
{
	struct tmd_active target;
	int err = u->status;

	if (err == TMD_OK && u->step != STEP_RUNNING) {
		err = TMD_ERR_ARGUMENT;
	}
	if (err == TMD_OK) {
		err = end_pass(u, &target);
	}
	if (err == TMD_OK) {
		err = tmd_records_append(u->store, &target);
	}
	if (err == TMD_OK) {
		u->store->active = target;
	}
	u->step = STEP_DONE;
	u->status = err;
	return err;
}

void tmd_update_abort(struct tmd_update *u)
{
	u->step = STEP_DONE;
}

static int feed(struct tmd_update *u, const struct tmd_source *source)
{
	uint8_t piece[SOURCE_PIECE];

	for (uint32_t at = 0; at < source->bytes && u->status == TMD_OK;) {
		const uint32_t n = tmd_min_u32(source->bytes - at, SOURCE_PIECE);

		if (source->read(source->ctx, at, piece, n) != 0) {
			u->status = TMD_ERR_FLASH_READ;
		} else {
			u->status = take(u, piece, n);
		}
		at += n;
	}
	return u->status;
}

int tmd_update_check(struct tmd_update *u, struct tmd_store *store, const struct tmd_source *source)
{
	struct tmd_active target;
	int err = tmd_update_begin(u, store);

	if (err != TMD_OK) {
		return err;
	}
	start_pass(u, PASS_CHECK);
	if (feed(u, source) == TMD_OK) {
		u->status = end_pass(u, &target);
	}
	u->step = STEP_DONE;
	return u->status;
}

int tmd_update_staged(struct tmd_update *u, struct tmd_store *store,
		      const struct tmd_source *source)
{
	const int err = tmd_update_check(u, store, source);

	if (err != TMD_OK) {
		return err;
	}
	start_pass(u, PASS_STAGED);
	(void)feed(u, source); /* a failure stays in u->status, which finish returns */
	return tmd_update_finish(u);
}

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "model.h"
#include "records.h"
#include "region.h"
#include "writer.h"

#if TMD_RESUME

_Static_assert(TMD_PAGES_MAX / 8u == TMD_ENTRY_PRESENT - TMD_ENTRY_VALUES,
	       "a plan fits where a complete slot has its metadata");

/* ---- notes: what the record of the slot says while it is being written ---- */

/*
 * Does the record tell of an update to this target, in this state? Only digests that are long enough
 * tell targets apart.
 */
static bool is_noted(const struct tmd_update *u, uint8_t state)
{
	const uint8_t *entry = tmd_entry(u->store->record, u->slot);
	const struct tmd_patch_info *info = &u->patch.info;

	return entry[TMD_ENTRY_STATE] == state && info->target_digest_bytes >= TMD_ENTRY_DIGEST &&
	       tmd_get_u32(&entry[TMD_ENTRY_BYTES]) == info->target_bytes &&
	       memcmp(&entry[TMD_ENTRY_SHA256], info->target_digest, TMD_ENTRY_DIGEST) == 0;
}

/* Begin a record that says so. Returns the slot's entry in it. */
static uint8_t *draft_note(struct tmd_update *u, uint8_t state)
{
	const struct tmd_patch_info *info = &u->patch.info;
	uint8_t *entry = tmd_entry(tmd_records_draft(u->store), u->slot);

	memset(entry, 0, TMD_ENTRY_SIZE);
	tmd_put_u32(&entry[TMD_ENTRY_BYTES], info->target_bytes);
	memcpy(&entry[TMD_ENTRY_SHA256], info->target_digest, TMD_ENTRY_DIGEST);
	entry[TMD_ENTRY_STATE] = state;
	return entry;
}

static int append_note(struct tmd_update *u)
{
	const int err = tmd_records_append(u->store);

	u->noted = err == TMD_OK;
	return err;
}

void tmd_writer_recall(struct tmd_update *u)
{
	u->kept = 0;
	u->noted = is_noted(u, TMD_SLOT_IS_STREAMED);
	if (u->noted) {
		u->kept = tmd_get_u32(
			&tmd_entry(u->store->record, u->slot)[TMD_ENTRY_VALUES]);
	}
}

/*
 * Entering a unit that is to be written. The note says which unit comes next, before that is touched:
 * those before it have been written and read back. Without a note of this update nothing is touched,
 * so that nobody takes the slot for what the last record says of it.
 */
static int note_progress(struct tmd_update *u)
{
	const uint32_t step = u->store->config->progress_bytes;
	uint8_t *entry;

	if (u->noted != 0u && u->position < u->note_at) {
		return TMD_OK;
	}
	u->note_at = step != 0u && step < TMD_MODEL_MAX ? u->position + step : UINT32_MAX;
	if (u->noted != 0u && u->unit == u->kept) {
		return TMD_OK; /* this is what the newest note says */
	}
	if (u->pass == (uint8_t)TMD_PASS_STREAMED) {
		entry = draft_note(u, TMD_SLOT_IS_STREAMED);
		tmd_put_u32(&entry[TMD_ENTRY_VALUES], u->unit);
	} else {
		/* The plan stands; it tells of no later units than its last. */
		entry = tmd_entry(tmd_records_draft(u->store), u->slot);
		entry[TMD_ENTRY_STARTS] = (uint8_t)tmd_min_u32(u->unit, TMD_PAGES_MAX);
	}
	return append_note(u);
}

void tmd_writer_spoil(struct tmd_update *u)
{
	if (u->noted != 0u) {
		u->noted = 0;
		tmd_entry(tmd_records_draft(u->store), u->slot)[TMD_ENTRY_STATE] =
			TMD_SLOT_IS_NONE;
		/* If that fails too, the next try fails at the digest, and spoils it then. */
		(void)tmd_records_append(u->store);
	}
}

/* ---- plans: which erase units a staged update writes ---- */

static bool has_bit(const uint8_t *bits, uint32_t n)
{
	return (bits[n / 8u] & (1u << (n % 8u))) != 0u;
}

_Static_assert(TMD_SLOT_IS_COMPLETE > TMD_SLOT_IS_NONE &&
		       TMD_SLOT_IS_COMPLETE > TMD_SLOT_IS_STREAMED &&
		       TMD_SLOT_IS_COMPLETE > TMD_SLOT_IS_PLANNED &&
		       TMD_SLOT_IS_COMPLETE < TMD_SLOT_IS_REVERTED,
	       "from COMPLETE on, a slot holds a whole model");

static void set_bit(uint8_t *bits, uint32_t n)
{
	bits[n / 8u] = (uint8_t)(bits[n / 8u] | (1u << (n % 8u)));
}

/* Of the target's erase units, those that a plan can tell of. The check has ended in the last one. */
static uint32_t units_planned(const struct tmd_update *u)
{
	return tmd_min_u32(u->unit + 1u, TMD_PAGES_MAX);
}

/*
 * A cut stopped an update that had a plan: units that were all different then, written one after the
 * other. Those before the one that the note names are done. From there on, what reads right is right,
 * but for the last such unit before the first that is not: it may have been in work, and a unit that
 * was in work can read right without holding.
 */
static void doubt_last(struct tmd_update *u, const uint8_t *plan)
{
	uint32_t last = TMD_PAGES_MAX;

	for (uint32_t n = u->kept; n < units_planned(u); n++) {
		if (has_bit(plan, n)) {
			if (has_bit(u->changed, n)) {
				break;
			}
			last = n;
		}
	}
	if (last < TMD_PAGES_MAX) {
		set_bit(u->changed, last);
	}
}

/*
 * Nobody knows what was going on in the slot. Where all of it is to be written, that does not matter;
 * a unit that happens to be right would be trusted, now or after a cut.
 */
static bool all_change(const struct tmd_update *u)
{
	for (uint32_t n = 0; n < units_planned(u); n++) {
		if (!has_bit(u->changed, n)) {
			return false;
		}
	}
	return true;
}

/*
 * Take up the plan that the record tells of, if it holds still. It does not if a unit has changed that
 * was right when it was made, or done: then nothing of the slot is trusted.
 */
static bool take_up_plan(struct tmd_update *u, const uint8_t *entry)
{
	const uint8_t *plan = &entry[TMD_ENTRY_VALUES];

	for (uint32_t n = 0; n < units_planned(u); n++) {
		if (has_bit(u->changed, n) &&
		    (n < entry[TMD_ENTRY_STARTS] || !has_bit(plan, n))) {
			return false;
		}
	}
	u->kept = entry[TMD_ENTRY_STARTS];
	u->noted = 1;
	doubt_last(u, plan);
	return true;
}

int tmd_writer_plan(struct tmd_update *u, enum tmd_pass *pass)
{
	const uint8_t *entry = tmd_entry(u->store->record, u->slot);
	uint8_t *note;

	*pass = TMD_PASS_STAGED;
	if (is_noted(u, TMD_SLOT_IS_PLANNED) && take_up_plan(u, entry)) {
		return TMD_OK;
	}
	if (entry[TMD_ENTRY_STATE] < TMD_SLOT_IS_COMPLETE && !all_change(u)) {
		*pass = TMD_PASS_STREAMED; /* with notes of progress instead of a plan */
		return TMD_OK;
	}
	while (u->kept < units_planned(u) && !has_bit(u->changed, u->kept)) {
		u->kept++;
	}
	note = draft_note(u, TMD_SLOT_IS_PLANNED);
	memcpy(&note[TMD_ENTRY_VALUES], u->changed, sizeof(u->changed));
	note[TMD_ENTRY_STARTS] = (uint8_t)u->kept;
	return append_note(u);
}

#endif

/* ---- writing ---- */

void tmd_writer_begin(struct tmd_update *u, enum tmd_pass pass)
{
	u->position = 0;
	u->unit_end = 0;
	u->unit = 0;
	u->fill = 0;
	u->pass = (uint8_t)pass;
}

static bool must_write(const struct tmd_update *u)
{
#if TMD_RESUME
	if (u->pass == TMD_PASS_STREAMED) {
		return u->unit >= u->kept;
	}
	return u->unit >= TMD_PAGES_MAX || has_bit(u->changed, u->unit);
#else
	(void)u;
	return true;
#endif
}

/* Step into the next erase unit. `position` stands at its start. */
static int enter_unit(struct tmd_update *u)
{
	struct tmd_store *store = u->store;
	uint32_t start; /* is u->position */
	const uint32_t bytes = tmd_region_unit(u->region, u->position, &start);
	int err = TMD_OK;

	/* Cannot be: guardrail SLOT and mount's geometry keep us inside. But nothing is worse. */
	if (bytes == 0u) {
		return TMD_ERR_ARGUMENT;
	}
	if (u->position != 0u) {
		u->unit++;
	}
	u->unit_end = u->position + bytes;
	u->writes = u->pass != TMD_PASS_CHECK && must_write(u);
	if (u->writes == 0u) {
		return TMD_OK;
	}
#if TMD_RESUME
	err = note_progress(u);
#endif
	if (err == TMD_OK) {
		store->erases++;
		err = tmd_region_erase(u->region, u->position, bytes);
	}
	return err;
}

int tmd_writer_flush(struct tmd_update *u)
{
	struct tmd_store *store = u->store;
	const struct tmd_flash *flash = u->region->flash;
	const uint32_t start = u->position - u->fill;
	uint32_t bytes = u->fill;

	if (bytes == 0u) {
		return TMD_OK;
	}
	/* The last write unit is filled up with the erased value. */
	while (bytes % flash->write_bytes != 0u) {
		store->buf[bytes++] = flash->erased_value;
	}
	u->fill = 0;
	store->written += bytes;
	return tmd_region_write(u->region, start, store->buf, bytes);
}

static int write_piece(struct tmd_update *u, const uint8_t *data, uint32_t bytes)
{
	if (u->writes != 0u) {
		memcpy(&u->store->buf[u->fill], data, bytes);
		u->fill = (uint16_t)(u->fill + bytes);
	}
	u->position += bytes;
	return u->fill == TMD_WRITE_BUFFER || u->position == u->unit_end ? tmd_writer_flush(u)
									  : TMD_OK;
}

static void check_piece(struct tmd_update *u, const uint8_t *data, uint32_t bytes)
{
#if TMD_RESUME
	if (u->unit < TMD_PAGES_MAX && !tmd_region_equals(u->region, u->position, data, bytes)) {
		set_bit(u->changed, u->unit);
	}
#else
	(void)data;
#endif
	u->position += bytes;
}

/* Cuts what comes at the bounds of erase units and of the buffer. */
static int put(struct tmd_update *u, const uint8_t *buf, uint32_t bytes)
{
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
		if (u->pass == (uint8_t)TMD_PASS_CHECK) {
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

int tmd_writer_emit(void *ctx, const uint8_t *buf, uint32_t bytes)
{
	struct tmd_update *u = ctx;

	if (u->pass == (uint8_t)TMD_PASS_CHECK) {
		tmd_fingerprint_update(&u->print, buf, bytes);
	}
	return put(u, buf, bytes);
}

#if TMD_DECODER != TMD_DECODER_NONE

int tmd_writer_metadata(struct tmd_update *u)
{
	const struct tmd_patch_info *info = &u->patch.info;
	const int err = tmd_writer_flush(u);

	if (err != TMD_OK || info->kept_bytes == 0u) {
		return err;
	}
	/* In a write unit of their own, since each is programmed once. */
	u->position = tmd_metadata_offset(u->store, u->position);
	return put(u, info->kept, info->kept_bytes);
}

#endif

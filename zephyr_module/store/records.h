/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The log of records (SPEC.md). Each holds all that the store knows, so the newest valid one is
 * enough, and one append is the switch.
 */
#ifndef TMD_STORE_RECORDS_H
#define TMD_STORE_RECORDS_H

#include <tinymldelta/store.h>

#include "../core/bytes.h"

/* What the active field says, beside the number of a slot. */
#define TMD_ACTIVE_COMPILED_IN 2u
#define TMD_ACTIVE_SLOT 0x7Fu
#define TMD_ACTIVE_TRIAL 0x80u

/* Bytes of a slot's digest that a record holds. */
#define TMD_ENTRY_DIGEST (TMD_ENTRY_ARENA - TMD_ENTRY_SHA256)

/* Where a slot's metadata begins: a number for each of the first TLVs, in the order of tags. */
#define TMD_ENTRY_VALUES TMD_ENTRY_ARENA

/* Of what the slot holds behind the target, if there is anything, instead of OPSET_HASH. */
#define TMD_ENTRY_META_CRC TMD_ENTRY_OPSET

/* Is the region well-formed, with at least two erase units, each of which takes a record? */
bool tmd_records_fit(const struct tmd_region *region);

/*
 * Find the newest valid record of this model, and make it the state. Places that cannot be read or
 * hold no valid record are passed over. If there is none: no slot is known, the compiled-in model
 * is active. Uses store->buf.
 */
void tmd_records_load(struct tmd_store *store);

/* The state, copied to store->buf, to be changed there and appended. */
uint8_t *tmd_records_draft(struct tmd_store *store);

/*
 * Append the draft in store->buf behind the newest record. It is the state once that is done; the
 * sequence number is used up in any case, because a record that is reported as failed may be there.
 */
int tmd_records_append(struct tmd_store *store);

static inline bool tmd_store_on_trial(const struct tmd_store *store)
{
	return (store->record[TMD_RECORD_ACTIVE] & TMD_ACTIVE_TRIAL) != 0u;
}

/* Updates take turns: one that begins takes store->buf from the one before, which cannot go on. */
static inline uint16_t tmd_store_take_turn(struct tmd_store *store)
{
	store->updating = true;
	return ++store->turn;
}

static inline void tmd_store_end_turn(struct tmd_store *store, uint16_t turn)
{
	if (store->turn == turn) {
		store->updating = false;
	}
}

/* What a record says of a slot. */
static inline uint8_t *tmd_entry(uint8_t *record, uint32_t slot)
{
	return &record[TMD_RECORD_SLOT0 + slot * TMD_ENTRY_SIZE];
}

#endif /* TMD_STORE_RECORDS_H */

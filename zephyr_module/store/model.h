/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Models where they are: in a slot or compiled in. And which one of them is active.
 */
#ifndef TMD_STORE_MODEL_H
#define TMD_STORE_MODEL_H

#include <tinymldelta/patch.h>
#include <tinymldelta/store.h>

#include "../core/bytes.h"

/* `slot` is 0, 1 or TMD_SLOT_COMPILED_IN; the range must lie within it. */
int tmd_slot_read(const struct tmd_store *store, uint8_t slot, uint32_t offset, void *buf,
		  uint32_t bytes);

/* Read `bytes` of the slot from its start into `print`, begun for digest `kind`. */
int tmd_slot_fingerprint(const struct tmd_store *store, uint8_t slot, uint32_t bytes, uint8_t kind,
			 struct tmd_fingerprint *print);

/*
 * Find the active model by store->record, verify it, and make both say the same: a slot that does
 * not verify is not known any more, and a trial that is used up has ended. Writes nothing.
 */
int tmd_store_pick(struct tmd_store *store);

/* May a model with these numbers be taken, besides what guardrails say? */
int tmd_store_admits(const struct tmd_store *store, const struct tmd_patch_info *info);

/* The active slot's model in a record is there to stay: let its version floor count. */
void tmd_store_raise_floor(const struct tmd_store *store, uint8_t *record);

/* Where metadata stand in a slot: behind the target, at the next write unit. */
static inline uint32_t tmd_metadata_offset(const struct tmd_store *store, uint32_t target_bytes)
{
	return tmd_round_up(target_bytes, store->config->contract->write_bytes);
}

/* Fill a record's entry for a slot with what a patch said of the target that it now holds. */
void tmd_entry_fill(uint8_t *entry, const struct tmd_patch_info *info, const uint8_t sha256[32]);

#if TMD_SELF_TEST
/* Run the test vectors of an opened model, if it has any. TMD_ERR_SELF_TEST if one fails. */
int tmd_self_test(const struct tmd_store *store, const struct tmd_model *model);
#endif

#endif /* TMD_STORE_MODEL_H */

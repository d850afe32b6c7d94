/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The log of records (SPEC.md): which slot is active. One append is the switch.
 */
#ifndef TMD_STORE_RECORDS_H
#define TMD_STORE_RECORDS_H

#include <tinymldelta/store.h>

struct tmd_record {
	uint32_t sequence;
	uint32_t offset; /* where it stands in the record region */
	uint32_t bytes;  /* of the model */
	uint8_t sha256[32];
	uint8_t slot;
};

/* Is the region well-formed, with at least two erase units, each of which takes a record? */
bool tmd_records_fit(const struct tmd_region *region);

/*
 * Find the newest valid record, of those that name `slot`, or of all if it is TMD_SLOT_NONE.
 * Places that cannot be read or hold no valid record are passed over. False if there is none.
 */
bool tmd_records_newest(const struct tmd_region *region, uint8_t slot, struct tmd_record *record);

/*
 * Append a record that makes `active` the active model, behind store->newest, and update
 * store->newest; store->sequence rises in any case. Uses store->buf.
 */
int tmd_records_append(struct tmd_store *store, const struct tmd_active *active);

#endif /* TMD_STORE_RECORDS_H */

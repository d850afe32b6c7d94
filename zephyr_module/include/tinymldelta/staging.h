/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Keeping a patch in a region of flash until it is complete, and applying it from there.
 *
 *	tmd_staging_begin(&staging, &store, bytes, id);    send on from staging.next
 *	tmd_staging_write(&staging, piece, n);             pieces of any size
 *	tmd_staging_apply(&staging, &update);              once staging.next is bytes
 *
 * After a power cut, once the store is mounted:
 *
 *	tmd_staging_resume(&staging, &store, &update);
 *
 * finishes what was complete. What was not goes on with tmd_staging_begin, which says where.
 */
#ifndef TINYMLDELTA_STAGING_H
#define TINYMLDELTA_STAGING_H

#include "update.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

struct tmd_staging {
	struct tmd_store *store;
	uint32_t bytes; /* length of the patch; 0: there is none */
	uint32_t id;    /* what the sender calls the patch: its CRC-32 */
	uint32_t next;  /* bytes that are there: the sender goes on with this one */
	/* Private: */
	uint32_t place; /* number of the place where the next block goes, or the last was found */
	uint32_t block; /* number of the block that is there; reading only */
	uint16_t fill;  /* bytes gathered in store->buf */
	uint16_t turn;  /* store->turn, as long as no other update has begun */
};

#if TMD_STAGING

/*
 * Make ready for a patch of `bytes` that the sender calls `id`. If the region holds a part of this
 * very patch, staging->next says how much: that is at most one block less than was sent. Nothing is
 * erased or written but the region. TMD_ERR_STAGING if it has no room, TMD_ERR_TRIAL as with
 * tmd_update_begin.
 */
int tmd_staging_begin(struct tmd_staging *staging, struct tmd_store *store, uint32_t bytes,
		      uint32_t id) TMD_MUST_CHECK;

/*
 * Take the next bytes of the patch. After an error, begin again. TMD_ERR_BUSY if another update has
 * begun on the store since.
 */
int tmd_staging_write(struct tmd_staging *staging, const void *data, size_t bytes) TMD_MUST_CHECK;

/* Give up for now. What is there stays, and tmd_staging_begin goes on with it. */
void tmd_staging_abort(struct tmd_staging *staging);

/*
 * Check and apply the patch (tmd_update_staged). A patch that is refused, or done, is not looked at
 * again; one that could not be applied for the flash's sake stays.
 */
int tmd_staging_apply(struct tmd_staging *staging, struct tmd_update *update) TMD_MUST_CHECK;

/*
 * After mount: find the patch that is staged, if any, and apply it if it is complete. TMD_OK if there
 * was none (staging->bytes is 0), none that was complete (staging->next is less), or it was applied.
 */
int tmd_staging_resume(struct tmd_staging *staging, struct tmd_store *store,
		       struct tmd_update *update) TMD_MUST_CHECK;

/* What the region holds is not looked at again. One record, which counts as an update. */
int tmd_staging_forget(struct tmd_store *store) TMD_MUST_CHECK;

#endif

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_STAGING_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Applying a patch to a store.
 *
 * Streamed: the patch is consumed as it arrives and is gone.
 *
 *	tmd_update_begin(&update, &store);
 *	tmd_update_write(&update, piece, bytes);    pieces of any size
 *	tmd_update_finish(&update);                 TMD_OK: the target is the active model
 *
 * Staged: the patch can be read twice; it is decoded once without writing, so that a patch which is
 * refused changes nothing at all, and erase units that hold their new content are left alone.
 *
 *	tmd_update_staged(&update, &store, &source);
 *
 * A patch that is kept in flash until it is applied: staging.h.
 *
 * In both, nothing is written before header, metadata, guardrails and the base's digest are
 * checked, and the active model and the records stay as they are until the last step, which is one
 * record. The first error stays: later calls return it again.
 *
 * No update begins while a model is on trial (TMD_ERR_TRIAL), or while the slot that would be
 * written is open (TMD_ERR_BUSY). After a power cut both start again from the patch's first byte,
 * and do not write again what had been written (tmd_store_config.progress_bytes).
 */
#ifndef TINYMLDELTA_UPDATE_H
#define TINYMLDELTA_UPDATE_H

#include "patch.h"
#include "sealed.h"
#include "store.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

/* What is used at every byte stands first: a Cortex-M reaches it with the short instructions. */
struct tmd_update {
	struct tmd_store *store;
	const struct tmd_region *region; /* the slot that is written */
	uint32_t position;               /* bytes of the target so far */
	uint32_t unit_end;               /* where the slot's current erase unit ends */
	uint32_t unit;                   /* its number in the slot */
	int status;                      /* the first error */
	uint16_t fill;                   /* bytes gathered in store->buf */
	uint8_t slot;                    /* number of the slot that is written */
	uint8_t step;
	uint8_t pass;
	uint16_t turn;  /* store->turn, as long as no other update has begun */
	uint8_t writes; /* is the current erase unit written? */
#if TMD_RESUME
	uint8_t noted;   /* does the newest record tell of this update? */
	uint32_t kept;   /* where the newest note says that erase units are done before this one */
	uint32_t note_at; /* where the next note of progress is due */
	uint8_t changed[TMD_PAGES_MAX / 8u]; /* staged, bit n: erase unit n must be written */
#endif
#if TMD_DECRYPT
	struct tmd_sealed sealed; /* if the patch comes encrypted */
#endif
	struct tmd_patch patch;
	struct tmd_fingerprint print; /* of the base, then of the target */
};

/* A patch that can be read at any offset. read returns 0, or any other value on failure. */
struct tmd_source {
	int (*read)(void *ctx, uint32_t offset, void *buf, uint32_t bytes);
	void *ctx;
	uint32_t bytes; /* length of the patch */
};

int tmd_update_begin(struct tmd_update *update, struct tmd_store *store) TMD_MUST_CHECK;
int tmd_update_write(struct tmd_update *update, const void *data, size_t bytes) TMD_MUST_CHECK;
int tmd_update_finish(struct tmd_update *update) TMD_MUST_CHECK;

/* Give up. The active model is what it was; the same patch, sent again, goes on with what is there. */
void tmd_update_abort(struct tmd_update *update);

int tmd_update_staged(struct tmd_update *update, struct tmd_store *store,
		      const struct tmd_source *source) TMD_MUST_CHECK;

/* The first half of tmd_update_staged: would the patch be taken? Writes nothing. */
int tmd_update_check(struct tmd_update *update, struct tmd_store *store,
		     const struct tmd_source *source) TMD_MUST_CHECK;

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_UPDATE_H */

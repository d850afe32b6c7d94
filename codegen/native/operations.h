/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Writes the operations of format 2's body, with the context models that the decoder has too.
 *
 * What is written here is right: base offsets, target position and models go on as the decoder's will.
 * Lengths and offsets are the caller's to have checked.
 */
#ifndef TMD_NATIVE_OPERATIONS_H
#define TMD_NATIVE_OPERATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "coder.h"
#include "encoder.h"

struct encoder {
	struct tmd_f2 f2; /* first, because the models are handed a pointer to it */
	const uint8_t *base;
	uint8_t *view; /* the base with the words that have been changed ahead */
	uint32_t base_bytes;
	const uint8_t *target;
	uint32_t target_bytes;

	struct tmd_coder coder;
	uint64_t cost;   /* in 1/65536 bit */
	uint32_t *costs; /* of a decision, by the probability of what happened */
	bool trial;      /* nothing is written and only the cost counts */

	uint8_t before;      /* the operation before the one that is being written */
	uint32_t table_from; /* changed words in a row that are tried as a table */
	uint32_t copy;       /* bytes of a copy that has not been written, because it may grow */
};

/* How a tensor's elements are predicted. */
struct choice {
	uint8_t mode;
	const int32_t *gains; /* of each row; NULL in any other mode than TMD_F2_GAINED */
};

/* The models know nothing yet. The caller has set all pointers and lengths, and f2.lean. */
void tmd_write_start(struct encoder *e);

/*
 * Between these two, nothing is written and only the cost counts. begin returns what end brings back,
 * or NULL if memory is short; then nothing has changed. end returns the cost in 1/65536 bit.
 */
struct encoder *tmd_trial_begin(struct encoder *e);
uint64_t tmd_trial_end(struct encoder *e, struct encoder *kept);

/* Bytes of the base as a copy brings them out, or an edit starts from, at this place of the patch. */
void tmd_copied_bytes(struct encoder *e, uint32_t at, uint8_t *buf, uint32_t bytes);
void tmd_edited_bytes(struct encoder *e, uint32_t at, uint8_t *buf, uint32_t bytes);

/* Go on in base and target by n bytes that are copied: written with those that may still follow. */
void tmd_add_copy(struct encoder *e, uint32_t n);
/* Write what has been added, if anything. Every other operation does it first. */
void tmd_write_copy(struct encoder *e);

void tmd_write_seek(struct encoder *e, uint32_t at);
void tmd_write_edit(struct encoder *e, uint32_t n);
/* n bytes that the base does not have: inserted, or repeated where they have been inserted before. */
void tmd_write_new(struct encoder *e, uint32_t n);

/* What a hint of its kind says. slot: of the range with the scales, for a mode that needs it. */
void tmd_write_range(struct encoder *e, const struct tmd_hint *h);
void tmd_write_tensor(struct encoder *e, const struct tmd_hint *h, const struct choice *c,
		      uint32_t slot);
/* Scales that stand here: copied, if the decoder has brought them out right by itself. */
void tmd_write_words(struct encoder *e, const struct tmd_hint *h);

/*
 * What writing the tensor so would cost, in 1/65536 bit; UINT64_MAX if memory is short. Everything is
 * as it was before.
 */
uint64_t tmd_tensor_cost(struct encoder *e, const struct tmd_hint *h, const struct choice *c,
			 uint32_t slot);

#endif /* TMD_NATIVE_OPERATIONS_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The forward writer: takes the target from front to back and brings it into a slot. It gathers
 * bytes, erases each unit as it enters it, programs each place once, and notes in records how far
 * it has come.
 */
#ifndef TMD_STORE_WRITER_H
#define TMD_STORE_WRITER_H

#include <tinymldelta/update.h>

enum tmd_pass {
	TMD_PASS_STREAMED, /* write, but for what an earlier try has written */
	TMD_PASS_CHECK,    /* do not write: digest, and which erase units would change */
	TMD_PASS_STAGED,   /* write the units that change */
};

/* Begin a pass, at the start of the slot. */
void tmd_writer_begin(struct tmd_update *u, enum tmd_pass pass);

/* The decoder's output: `ctx` is the update. */
int tmd_writer_emit(void *ctx, const uint8_t *buf, uint32_t bytes);

/* Program what is gathered. */
int tmd_writer_flush(struct tmd_update *u);

#if TMD_DECODER != TMD_DECODER_NONE
/* The target has come to its end: what the patch says of it goes behind it. */
int tmd_writer_metadata(struct tmd_update *u);
#endif

#if TMD_RESUME
/* The head was taken: does the slot hold a part of this target? */
void tmd_writer_recall(struct tmd_update *u);

/*
 * After TMD_PASS_CHECK: settle which erase units are written, and note it. `*pass` is how: by the plan,
 * or, in a slot of which nothing is known, as if the patch were streamed.
 */
int tmd_writer_plan(struct tmd_update *u, enum tmd_pass *pass);

/* What was written is not the target: let nobody go on with it. */
void tmd_writer_spoil(struct tmd_update *u);
#endif

#endif /* TMD_STORE_WRITER_H */

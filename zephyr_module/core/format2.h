/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The reader of format 2, as core/patch.c calls it. See patch.h for what each does.
 */
#ifndef TMD_CORE_FORMAT2_H
#define TMD_CORE_FORMAT2_H

#include "head.h"

#if TMD_DECODER != TMD_DECODER_NONE

/* What comes before the TLVs. */
int tmd_f2_head(struct tmd_patch *patch, const struct tmd_contract *contract,
		struct tmd_input *in) TMD_MUST_CHECK;
/* The head is complete: what held it becomes the decoder. */
void tmd_f2_begin(struct tmd_patch *patch);
int tmd_f2_body(struct tmd_patch *patch, const struct tmd_patch_io *io, const uint8_t *data,
		size_t bytes) TMD_MUST_CHECK;
int tmd_f2_end(struct tmd_patch *patch, const struct tmd_patch_io *io) TMD_MUST_CHECK;

#else /* no patch of this format is taken, so none of these is called */

static inline int tmd_f2_head(struct tmd_patch *patch, const struct tmd_contract *contract,
			      struct tmd_input *in)
{
	(void)patch;
	(void)contract;
	(void)in;
	return TMD_ERR_FORMAT;
}

static inline void tmd_f2_begin(struct tmd_patch *patch)
{
	(void)patch;
}

static inline int tmd_f2_body(struct tmd_patch *patch, const struct tmd_patch_io *io,
			      const uint8_t *data, size_t bytes)
{
	(void)patch;
	(void)io;
	(void)data;
	(void)bytes;
	return TMD_ERR_FORMAT;
}

static inline int tmd_f2_end(struct tmd_patch *patch, const struct tmd_patch_io *io)
{
	(void)patch;
	(void)io;
	return TMD_ERR_FORMAT;
}

#endif

#endif /* TMD_CORE_FORMAT2_H */

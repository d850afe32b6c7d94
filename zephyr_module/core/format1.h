/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The reader of format 1, as core/patch.c calls it. See patch.h for what each does.
 */
#ifndef TMD_CORE_FORMAT1_H
#define TMD_CORE_FORMAT1_H

#include "head.h"

#if TMD_WITH_FORMAT_1

/* The 80 bytes before the metadata. */
int tmd_f1_head(struct tmd_patch *patch, const struct tmd_contract *contract,
		struct tmd_input *in) TMD_MUST_CHECK;
int tmd_f1_body(struct tmd_patch *patch, const struct tmd_patch_io *io, const uint8_t *data,
		size_t bytes) TMD_MUST_CHECK;
int tmd_f1_end(struct tmd_patch *patch, const struct tmd_patch_io *io) TMD_MUST_CHECK;

#else /* no patch of this format is taken, so none of these is called */

static inline int tmd_f1_head(struct tmd_patch *patch, const struct tmd_contract *contract,
			      struct tmd_input *in)
{
	(void)patch;
	(void)contract;
	(void)in;
	return TMD_ERR_FORMAT;
}

static inline int tmd_f1_body(struct tmd_patch *patch, const struct tmd_patch_io *io,
			      const uint8_t *data, size_t bytes)
{
	(void)patch;
	(void)io;
	(void)data;
	(void)bytes;
	return TMD_ERR_FORMAT;
}

static inline int tmd_f1_end(struct tmd_patch *patch, const struct tmd_patch_io *io)
{
	(void)patch;
	(void)io;
	return TMD_ERR_FORMAT;
}

#endif

#endif /* TMD_CORE_FORMAT1_H */

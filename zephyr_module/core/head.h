/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the readers of the formats share with core/patch.c, which reads the TLVs of all.
 */
#ifndef TMD_CORE_HEAD_H
#define TMD_CORE_HEAD_H

#include <tinymldelta/patch.h>

struct tmd_input {
	const uint8_t *data;
	size_t bytes;
};

enum {
	TMD_HEAD_LAYOUT, /* what the format has before its TLVs */
	TMD_HEAD_TLVS,   /* that is complete */
	TMD_HEAD_TLV_HEAD,
	TMD_HEAD_TLV_VALUE,
	TMD_HEAD_CRC, /* format 2: of all before it */
	TMD_HEAD_SIGNATURE, /* of a signed patch */
};

/* Collect `want` bytes in scratch, over as many calls as it takes. True when they are there. */
bool tmd_gather(struct tmd_patch *patch, struct tmd_input *in, uint8_t want);

static inline bool tmd_is_model_length(uint32_t bytes)
{
	return bytes >= 1u && bytes <= TMD_MODEL_MAX;
}

#endif /* TMD_CORE_HEAD_H */

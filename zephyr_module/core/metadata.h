/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The metadata of format 2, which stay with the model that they came with.
 */
#ifndef TMD_CORE_METADATA_H
#define TMD_CORE_METADATA_H

#include <tinymldelta/patch.h>

static inline bool tmd_has_tlv(const struct tmd_patch_info *info, uint32_t tag)
{
	return (info->present & (1u << (tag - 1u))) != 0u;
}

#if TMD_DECODER == TMD_DECODER_NONE

/* Of format 1 they are numbers of four bytes, but for one. */
static inline bool tmd_tlv_is_known(uint8_t format, uint32_t tag, uint32_t bytes)
{
	(void)format;
	return tag - 1u < TMD_RECORD_NUMBERS_N && bytes == (tag == TMD_TLV_TFLM_ABI ? 2u : 4u);
}

#else

/* May a TLV with this tag, below the vendors' range, stand in the format with a value so long? */
bool tmd_tlv_is_known(uint8_t format, uint32_t tag, uint32_t bytes);

/* Where in TLVs the value of one lies, which is there once at most; NULL if it is not. */
const uint8_t *tmd_tlv_find(const uint8_t *tlvs, uint32_t tlvs_bytes, uint32_t tag, uint32_t *bytes);

/* The value of a TLV of four bytes that is no number by its tag; 0 if it is not there. */
uint32_t tmd_tlv_u32(const struct tmd_patch_info *info, uint32_t tag);

/*
 * Take numbers and `present` from `kept`, as a slot holds it. False if a patch would have been refused
 * for it.
 */
bool tmd_kept_load(struct tmd_patch_info *info);

#endif

#endif /* TMD_CORE_METADATA_H */

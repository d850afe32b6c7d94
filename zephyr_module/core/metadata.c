/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "metadata.h"

#include "bytes.h"
#include "operators.h"

#if TMD_DECODER != TMD_DECODER_NONE

bool tmd_tlv_is_known(uint8_t format, uint32_t tag, uint32_t bytes)
{
	static const uint8_t least[TMD_TLVS_N] = TMD_TLV_LEAST;
	static const uint8_t most[TMD_TLVS_N] = TMD_TLV_MOST;
	const uint32_t known = format == TMD_FORMAT_1 ? TMD_F1_TLVS : TMD_F2_TLVS;
	const uint32_t n = tag - 1u;

	return n < TMD_TLVS_N && (known & (1u << n)) != 0u && bytes >= least[n] && bytes <= most[n];
}

const uint8_t *tmd_tlv_find(const uint8_t *tlvs, uint32_t tlvs_bytes, uint32_t tag, uint32_t *bytes)
{
	for (uint32_t at = 0; at + 2u <= tlvs_bytes;) {
		*bytes = tlvs[at + 1u];
		at += 2u;
		if (*bytes > tlvs_bytes - at) {
			break;
		}
		if (tlvs[at - 2u] == tag) {
			return &tlvs[at];
		}
		at += *bytes;
	}
	*bytes = 0;
	return NULL;
}

uint32_t tmd_tlv_u32(const struct tmd_patch_info *info, uint32_t tag)
{
	uint32_t bytes;
	const uint8_t *value = tmd_tlv_find(info->kept, info->kept_bytes, tag, &bytes);

	return value == NULL ? 0u : tmd_get_u32(value);
}

bool tmd_kept_load(struct tmd_patch_info *info)
{
	info->present = 0;
	memset(info->value, 0, sizeof(info->value));
	for (uint32_t at = 0; at < info->kept_bytes;) {
		const uint8_t *tlv = &info->kept[at];
		const uint32_t left = info->kept_bytes - at;

		if (left < 2u || tlv[1] > left - 2u ||
		    !tmd_tlv_is_known(TMD_FORMAT_2, tlv[0], tlv[1]) || tmd_has_tlv(info, tlv[0])) {
			return false;
		}
		info->present |= 1u << (tlv[0] - 1u);
		if (tlv[0] <= TMD_VALUES_N) {
			info->value[tlv[0] - 1u] = tmd_get_u32(&tlv[2]);
		} else if (tlv[0] == TMD_TLV_OPERATORS && !tmd_operators_are_valid(&tlv[2], tlv[1])) {
			return false;
		}
		at += 2u + tlv[1];
	}
	return true;
}

#endif

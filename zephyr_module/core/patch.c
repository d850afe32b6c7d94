/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What all formats have in common: the first byte says which one a patch is.
 */
#include <string.h>

#include <tinymldelta/digest.h>
#include <tinymldelta/patch.h>

#include "format1.h"
#include "format2.h"

#include "bytes.h"
#include "metadata.h"
#include "operators.h"
#include "signature.h"

#define FORMAT(first) ((first) & 15u)

_Static_assert(TMD_META_KEPT >= 64 && TMD_META_KEPT <= 255,
	       "TMD_META_KEPT: lengths of metadata that stay with a model are bytes");

/* Where only one format is built, nothing has to be told apart. */
static bool is_format1(const struct tmd_patch *patch)
{
	return TMD_WITH_FORMAT_1 &&
	       (TMD_DECODER == TMD_DECODER_NONE || patch->info.format == TMD_FORMAT_1);
}

/* Nothing that a head says may be followed before its signature is seen to hold. */
static bool is_unverified(const struct tmd_patch *patch)
{
#if TMD_VERIFY
	return patch->head.unverified != 0u;
#else
	(void)patch;
	return false;
#endif
}

void tmd_patch_init(struct tmd_patch *patch)
{
	memset(patch, 0, offsetof(struct tmd_patch, scratch)); /* the rest is not read before it is set */
}

bool tmd_patch_head_complete(const struct tmd_patch *patch)
{
	return patch->head.complete != 0u;
}

bool tmd_gather(struct tmd_patch *patch, struct tmd_input *in, uint8_t want)
{
	struct tmd_head *h = &patch->head;

	while (h->fill < want) {
		if (in->bytes == 0u) {
			return false;
		}
		patch->scratch[h->fill++] = *in->data++;
		in->bytes--;
	}
	h->fill = 0;
#if TMD_DECODER != TMD_DECODER_NONE
	if (!is_format1(patch) && h->step != TMD_HEAD_CRC) {
		h->crc = tmd_crc32(h->crc, patch->scratch, want);
	}
#endif
#if TMD_VERIFY
	if (h->unverified != 0u && h->step != TMD_HEAD_SIGNATURE) {
		tmd_sha256_update(&patch->sha, patch->scratch, want);
	}
#endif
	return true;
}

/* After each TLV: on to the next one, or to the end of the metadata. */
static TMD_NOINLINE int next_tlv(struct tmd_patch *patch)
{
	struct tmd_head *h = &patch->head;

	if (h->left == 0u) {
		if (is_format1(patch)) {
			h->complete = 1;
		} else {
			h->step = TMD_HEAD_CRC;
		}
		return TMD_OK;
	}
	h->step = TMD_HEAD_TLV_HEAD;
	return h->left == 1u ? TMD_ERR_METADATA : TMD_OK;
}

#if TMD_DECODER != TMD_DECODER_NONE

/* Metadata of format 2 stay with the model, as they are; not those of vendors, which nobody reads. */
static void keep(struct tmd_patch *patch, const uint8_t *bytes, uint8_t n)
{
	struct tmd_patch_info *info = &patch->info;

	if (!is_format1(patch) && patch->head.tag < TMD_TLV_VENDOR_FIRST) {
		memcpy(&info->kept[info->kept_bytes], bytes, n);
		info->kept_bytes = (uint8_t)(info->kept_bytes + n);
	}
}

/* Rotated: behind the CRC-32 itself, that of the whole patch, its name, would be the same for any head. */
static int check_crc(struct tmd_patch *patch)
{
	const uint32_t crc = patch->head.crc;

#if TMD_VERIFY
	if (patch->head.unverified != 0u) {
		patch->head.step = TMD_HEAD_SIGNATURE;
	} else {
		patch->head.complete = 1;
	}
#else
	patch->head.complete = 1;
#endif
	return tmd_get_u32(patch->scratch) == (crc << 1 | crc >> 31) ? TMD_OK : TMD_ERR_METADATA;
}

#endif

/* An exception from the version floor counts only if somebody has signed it. */
static bool is_out_of_place(const struct tmd_head *head, uint8_t tag)
{
#if TMD_VERIFY
	return tag == TMD_TLV_DOWNGRADE && head->unverified == 0u;
#else
	(void)head;
	return TMD_DECODER != TMD_DECODER_NONE && tag == TMD_TLV_DOWNGRADE;
#endif
}

/* Tag and length are in scratch. */
static int read_tlv_head(struct tmd_patch *patch, const struct tmd_contract *contract)
{
	struct tmd_head *h = &patch->head;
	const uint8_t tag = patch->scratch[0];
	const uint8_t bytes = patch->scratch[1];

	h->left = (uint16_t)(h->left - 2u);
	if (bytes > h->left) {
		return TMD_ERR_METADATA;
	}
	h->left = (uint16_t)(h->left - bytes);
	h->tag = tag;
	h->value_left = bytes;
	h->step = TMD_HEAD_TLV_VALUE;
	if (tag >= TMD_TLV_VENDOR_FIRST) {
		return TMD_OK;
	}
	if (!tmd_tlv_is_known(patch->info.format, tag, bytes) || tmd_has_tlv(&patch->info, tag) ||
	    is_out_of_place(h, tag)) {
		return TMD_ERR_METADATA;
	}
	patch->info.present |= 1u << (tag - 1u);
#if TMD_DECODER != TMD_DECODER_NONE
	if (!is_format1(patch) && patch->info.kept_bytes + 2u + bytes >
					  tmd_min_u32(contract->meta_kept, TMD_META_KEPT)) {
		return TMD_ERR_METADATA;
	}
	keep(patch, patch->scratch, 2);
#else
	(void)contract;
#endif
	return TMD_OK;
}

/* A piece of a TLV's value is in scratch: all of it if it is a number. */
static int read_tlv_value(struct tmd_patch *patch, uint8_t bytes)
{
	struct tmd_patch_info *info = &patch->info;
	struct tmd_head *h = &patch->head;

	h->value_left = (uint8_t)(h->value_left - bytes);
	if (h->tag <= TMD_VALUES_N) {
		info->value[h->tag - 1u] = bytes == 4u ? tmd_get_u32(patch->scratch)
						       : tmd_get_u16(patch->scratch);
	}
#if TMD_DECODER != TMD_DECODER_NONE
	keep(patch, patch->scratch, bytes);
	if (h->tag == TMD_TLV_OPERATORS && h->value_left == 0u) {
		uint32_t n;
		const uint8_t *list = tmd_tlv_find(info->kept, info->kept_bytes, h->tag, &n);

		if (!tmd_operators_are_valid(list, n)) {
			return TMD_ERR_METADATA;
		}
	}
#endif
	return h->value_left == 0u ? next_tlv(patch) : TMD_OK;
}

/* Read the TLVs as far as the input reaches. The head is complete when they are. */
static int read_tlvs(struct tmd_patch *patch, const struct tmd_contract *contract,
		     struct tmd_input *in)
{
	struct tmd_head *h = &patch->head;
	int err = h->step == TMD_HEAD_TLVS ? next_tlv(patch) : TMD_OK;

	while (err == TMD_OK && h->complete == 0u) {
		uint8_t want = 2;

		if (h->step == TMD_HEAD_TLV_VALUE) {
			want = (uint8_t)tmd_min_u32(h->value_left, sizeof(patch->scratch));
#if TMD_DECODER != TMD_DECODER_NONE
		} else if (h->step == TMD_HEAD_CRC) {
			want = TMD_F2_CRC_SIZE;
#endif
#if TMD_VERIFY
		} else if (h->step == TMD_HEAD_SIGNATURE) {
			want = tmd_signature_size(contract->keys[h->key].kind);
#endif
		}
		if (!tmd_gather(patch, in, want)) {
			break;
		}
		if (h->step == TMD_HEAD_TLV_HEAD) {
			err = read_tlv_head(patch, contract);
#if TMD_DECODER != TMD_DECODER_NONE
		} else if (h->step == TMD_HEAD_CRC) {
			err = check_crc(patch);
#endif
#if TMD_VERIFY
		} else if (h->step == TMD_HEAD_SIGNATURE) {
			h->complete = 1; /* and the signature is in scratch */
#endif
		} else {
			err = read_tlv_value(patch, want);
		}
	}
	return err;
}

/* The first byte says which format it is; of format 1, it is nothing else. */
static bool is_taken(uint8_t first, const struct tmd_contract *contract)
{
	if (first == TMD_FORMAT_1 && TMD_WITH_FORMAT_1) {
		return (contract->formats & (1u << TMD_FORMAT_1)) != 0u;
	}
	return FORMAT(first) == TMD_FORMAT_2 && TMD_DECODER != TMD_DECODER_NONE &&
	       contract->decoder != TMD_DECODER_NONE && (contract->formats & (1u << TMD_FORMAT_2)) != 0u;
}

int tmd_patch_head(struct tmd_patch *patch, const struct tmd_contract *contract,
		   const uint8_t *data, size_t bytes, size_t *used)
{
	struct tmd_input in = {data, bytes};
	int err = TMD_OK;

	*used = 0;
	if (bytes == 0u || patch->head.complete != 0u) {
		return TMD_OK;
	}
	if (patch->info.format == 0u) {
		if (!is_taken(data[0], contract)) {
			return TMD_ERR_FORMAT;
		}
		patch->info.format = FORMAT(data[0]);
#if TMD_VERIFY
		if (contract->keys_n != 0u && is_format1(patch)) {
			return TMD_ERR_UNSIGNED;
		}
#endif
	}
	if (patch->head.step == TMD_HEAD_LAYOUT) {
		err = is_format1(patch) ? tmd_f1_head(patch, contract, &in)
					: tmd_f2_head(patch, contract, &in);
	}
	if (err == TMD_OK && patch->head.step != TMD_HEAD_LAYOUT) {
		err = read_tlvs(patch, contract, &in);
	}
	if (err == TMD_OK && patch->head.complete != 0u && !is_format1(patch) &&
	    !is_unverified(patch)) {
		tmd_f2_begin(patch);
	}
	*used = bytes - in.bytes;
	return err;
}

#if TMD_VERIFY
int tmd_patch_verify(struct tmd_patch *patch, const struct tmd_contract *contract,
		     const struct tmd_crypto *crypto)
{
	const struct tmd_key *key;
	uint8_t digest[32];
	int err = TMD_ERR_KEY;

	if (patch->head.complete == 0u) {
		return TMD_ERR_ARGUMENT;
	}
	if (!is_unverified(patch)) {
		return TMD_OK;
	}
	key = &contract->keys[patch->head.key];
	if (!tmd_signature_is_formed(key->kind, patch->scratch)) {
		return TMD_ERR_SIGNATURE;
	}
	if (!tmd_sha256_final(&patch->sha, digest)) {
		return TMD_ERR_CRYPTO;
	}
	if (crypto != NULL && crypto->verify != NULL) {
		err = crypto->verify(crypto->ctx, key, digest, patch->scratch);
	}
	if (err == TMD_OK) {
		patch->head.unverified = 0;
		tmd_f2_begin(patch);
	}
	return err;
}
#endif

int tmd_patch_body(struct tmd_patch *patch, const struct tmd_patch_io *io, const uint8_t *data,
		   size_t bytes)
{
	if (patch->head.complete == 0u || is_unverified(patch)) {
		return TMD_ERR_ARGUMENT;
	}
#if TMD_VERIFY
	patch->head.body_crc = tmd_crc32(patch->head.body_crc, data, bytes);
#endif
	return is_format1(patch) ? tmd_f1_body(patch, io, data, bytes)
				 : tmd_f2_body(patch, io, data, bytes);
}

int tmd_patch_end(struct tmd_patch *patch, const struct tmd_patch_io *io)
{
	int err;

	if (patch->head.complete == 0u) {
		return TMD_ERR_TRUNCATED;
	}
	if (is_unverified(patch)) {
		return TMD_ERR_ARGUMENT;
	}
	err = is_format1(patch) ? tmd_f1_end(patch, io) : tmd_f2_end(patch, io);
#if TMD_VERIFY
	if (err == TMD_OK && (patch->head.flags & TMD_F2_SIGNED) != 0u &&
	    patch->head.body_crc != patch->head.body_crc_want) {
		err = TMD_ERR_BODY; /* other bytes than the signed ones, though they build the target */
	}
#endif
	return err;
}

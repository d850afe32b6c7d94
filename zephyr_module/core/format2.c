/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The head of format 2. SPEC.md numbers the checks; their order is part of the format.
 */
#include <string.h>

#include "format2.h"

#include "bytes.h"
#include "signature.h"

#if TMD_DECODER != TMD_DECODER_NONE

enum step {
	STEP_FIRST,
	STEP_TARGET_BYTES,
	STEP_BASE_BYTES,
	STEP_DIGESTS,
	STEP_SIGNER,
	STEP_META_BYTES,
};

static int read_first(struct tmd_patch *patch, const struct tmd_contract *contract)
{
	const uint8_t first = patch->scratch[0];

	if ((first & TMD_F2_RESERVED) != 0u) {
		return TMD_ERR_HEADER;
	}
	if (((first & TMD_F2_LEAN) != 0u) != (contract->decoder == TMD_DECODER_LEAN) ||
	    (!TMD_TAKES_LEAN && contract->decoder != TMD_DECODER)) {
		return TMD_ERR_DECODER;
	}
	if ((first & TMD_F2_SIGNED) != 0u) {
#if TMD_VERIFY
		if (contract->keys_n == 0u) {
			return TMD_ERR_KEY;
		}
		patch->head.unverified = 1;
		tmd_sha256_init(&patch->sha);
		tmd_sha256_update(&patch->sha, TMD_SIGNED_INFO, sizeof(TMD_SIGNED_INFO) - 1u);
		tmd_sha256_update(&patch->sha, &first, 1);
	} else if (contract->keys_n != 0u) {
		return TMD_ERR_UNSIGNED;
#else
		return TMD_ERR_KEY;
#endif
	}
	patch->head.flags = first;
	patch->head.field =
		(first & TMD_F2_SAME_LENGTH) != 0u ? STEP_BASE_BYTES : STEP_TARGET_BYTES;
	return TMD_OK;
}

/*
 * One more byte of a number: 7 bits each, the lowest first, the highest bit of all but the last set.
 * Only the shortest form counts. True when it is complete.
 */
static int read_number(struct tmd_patch *patch, uint32_t *number, bool *complete)
{
	struct tmd_head *h = &patch->head;
	const uint32_t byte = patch->scratch[0];

	h->number |= (byte & 127u) << h->shift;
	*complete = byte < 128u;
	if ((*complete && byte == 0u && h->shift > 0u) || (h->shift == 28u && byte > 7u)) {
		return TMD_ERR_HEADER;
	}
	h->shift = (uint8_t)(h->shift + 7u);
	if (*complete) {
		*number = h->number;
		h->number = 0;
		h->shift = 0;
	}
	return TMD_OK;
}

static TMD_NOINLINE int read_length(struct tmd_patch *patch, uint32_t *length, enum step next)
{
	bool complete;
	const int err = read_number(patch, length, &complete);

	if (err == TMD_OK && complete) {
		patch->head.field = (uint8_t)next;
		return tmd_is_model_length(*length) ? TMD_OK : TMD_ERR_HEADER;
	}
	return err;
}

static int read_meta_bytes(struct tmd_patch *patch)
{
	uint32_t bytes = 0;
	bool complete;
	const int err = read_number(patch, &bytes, &complete);

	if (err != TMD_OK || !complete) {
		return err;
	}
	if (bytes > TMD_META_MAX) {
		return TMD_ERR_METADATA;
	}
	patch->info.meta_bytes = (uint16_t)bytes;
	patch->head.left = (uint16_t)bytes;
	patch->head.step = TMD_HEAD_TLVS;
	return TMD_OK;
}

static bool is_signed(const struct tmd_patch *patch)
{
	return TMD_VERIFY && (patch->head.flags & TMD_F2_SIGNED) != 0u;
}

static uint8_t target_digest_size(const struct tmd_patch *patch)
{
	return is_signed(patch) ? TMD_F2_SIGNED_TARGET_DIGEST_SIZE : TMD_F2_TARGET_DIGEST_SIZE;
}

#if TMD_VERIFY
/* Who signed it, and what the body is going to be. */
static int read_signer(struct tmd_patch *patch, const struct tmd_contract *contract)
{
	const uint8_t *signer = patch->scratch;
	const uint16_t key = tmd_key_find(contract->keys, contract->keys_n,
					  signer[TMD_F2_SIGNER_KIND], &signer[TMD_F2_SIGNER_KEY]);

	if (key >= contract->keys_n || key > UINT8_MAX) {
		return TMD_ERR_KEY;
	}
	patch->head.key = (uint8_t)key;
	patch->head.body_crc_want = tmd_get_u32(&signer[TMD_F2_SIGNER_BODY_CRC]);
	patch->head.field = STEP_META_BYTES;
	return TMD_OK;
}
#endif

static int read_field(struct tmd_patch *patch, const struct tmd_contract *contract)
{
	struct tmd_patch_info *info = &patch->info;
	int err;

	switch (patch->head.field) {
	case STEP_FIRST:
		return read_first(patch, contract);
	case STEP_TARGET_BYTES:
		return read_length(patch, &info->target_bytes, STEP_BASE_BYTES);
	case STEP_BASE_BYTES:
		err = read_length(patch, &info->base_bytes, STEP_DIGESTS);
		if ((patch->head.flags & TMD_F2_SAME_LENGTH) != 0u) {
			info->target_bytes = info->base_bytes;
		}
		return err;
	case STEP_DIGESTS:
		memcpy(info->base_digest, patch->scratch, TMD_F2_BASE_DIGEST_SIZE);
		memcpy(info->target_digest, &patch->scratch[TMD_F2_BASE_DIGEST_SIZE],
		       target_digest_size(patch));
		info->digest_kind = TMD_DIGEST_SHA256;
		info->base_digest_bytes = TMD_F2_BASE_DIGEST_SIZE;
		info->target_digest_bytes = target_digest_size(patch);
		patch->head.field = is_signed(patch) ? STEP_SIGNER : STEP_META_BYTES;
		return TMD_OK;
#if TMD_VERIFY
	case STEP_SIGNER:
		return read_signer(patch, contract);
#endif
	default:
		return read_meta_bytes(patch);
	}
}

int tmd_f2_head(struct tmd_patch *patch, const struct tmd_contract *contract, struct tmd_input *in)
{
	int err = TMD_OK;

	while (err == TMD_OK && patch->head.step == TMD_HEAD_LAYOUT) {
		uint8_t want = 1;

		if (patch->head.field == STEP_DIGESTS) {
			want = (uint8_t)(TMD_F2_BASE_DIGEST_SIZE + target_digest_size(patch));
		} else if (TMD_VERIFY && patch->head.field == STEP_SIGNER) {
			want = TMD_F2_SIGNER_SIZE;
		}
		if (!tmd_gather(patch, in, want)) {
			break;
		}
		err = read_field(patch, contract);
	}
	return err;
}

void tmd_f2_begin(struct tmd_patch *patch)
{
	memset(&patch->f2, 0, sizeof(patch->f2));
	patch->f2.step = TMD_F2_BEGIN;
	patch->f2.lean = patch->head.flags & TMD_F2_LEAN;
}

#endif

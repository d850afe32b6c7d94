/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What all formats have in common: the first byte says which one a patch is.
 */
#include <string.h>

#include <tinymldelta/patch.h>

#include "format1.h"
#include "format2.h"

#include "bytes.h"

#define FORMAT(first) ((first) & 15u)

static const uint8_t tlv_sizes[TMD_TLVS_N] = TMD_TLV_SIZES;

/* Where only one format is built, nothing has to be told apart. */
static bool is_format1(const struct tmd_patch *patch)
{
	return TMD_WITH_FORMAT_1 &&
	       (TMD_DECODER == TMD_DECODER_NONE || patch->info.format == TMD_FORMAT_1);
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
	return true;
}

/* After each TLV: on to the next one, or to the end of the head. */
static TMD_NOINLINE int next_tlv(struct tmd_patch *patch)
{
	struct tmd_head *h = &patch->head;

	if (h->left == 0u) {
		h->complete = 1;
		return TMD_OK;
	}
	h->step = TMD_HEAD_TLV_HEAD;
	return h->left == 1u ? TMD_ERR_METADATA : TMD_OK;
}

/* Tag and length are in scratch. */
static int read_tlv_head(struct tmd_patch *patch)
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
	if (tag < TMD_TLV_VENDOR_FIRST) {
		const unsigned int rule = tag - 1u;

		if (rule >= TMD_TLVS_N || bytes != tlv_sizes[rule] ||
		    (patch->info.present & (1u << rule)) != 0u) {
			return TMD_ERR_METADATA;
		}
		patch->info.present = (uint8_t)(patch->info.present | (1u << rule));
	}
	return TMD_OK;
}

/* The value of a TLV is in scratch; of a vendor's, which nobody reads, a piece of it. */
static void read_tlv_value(struct tmd_patch *patch)
{
	const struct tmd_head *h = &patch->head;

	if (h->tag < TMD_TLV_VENDOR_FIRST) {
		patch->info.value[h->tag - 1u] = h->value_left == 4u ? tmd_get_u32(patch->scratch)
								     : tmd_get_u16(patch->scratch);
	}
}

/* Read the TLVs as far as the input reaches. The head is complete when they are. */
static int read_tlvs(struct tmd_patch *patch, struct tmd_input *in)
{
	struct tmd_head *h = &patch->head;
	int err = h->step == TMD_HEAD_TLVS ? next_tlv(patch) : TMD_OK;

	while (err == TMD_OK && h->complete == 0u) {
		const uint8_t want =
			h->step == TMD_HEAD_TLV_HEAD
				? 2u
				: (uint8_t)tmd_min_u32(h->value_left, sizeof(patch->scratch));

		if (!tmd_gather(patch, in, want)) {
			break;
		}
		if (h->step == TMD_HEAD_TLV_HEAD) {
			err = read_tlv_head(patch);
			continue;
		}
		read_tlv_value(patch);
		h->value_left = (uint8_t)(h->value_left - want);
		if (h->value_left == 0u) {
			err = next_tlv(patch);
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
	}
	if (patch->head.step == TMD_HEAD_LAYOUT) {
		err = is_format1(patch) ? tmd_f1_head(patch, contract, &in)
					: tmd_f2_head(patch, contract, &in);
	}
	if (err == TMD_OK && patch->head.step != TMD_HEAD_LAYOUT) {
		err = read_tlvs(patch, &in);
	}
	if (err == TMD_OK && patch->head.complete != 0u && !is_format1(patch)) {
		tmd_f2_begin(patch);
	}
	*used = bytes - in.bytes;
	return err;
}

int tmd_patch_body(struct tmd_patch *patch, const struct tmd_patch_io *io, const uint8_t *data,
		   size_t bytes)
{
	if (patch->head.complete == 0u) {
		return TMD_ERR_ARGUMENT;
	}
	return is_format1(patch) ? tmd_f1_body(patch, io, data, bytes)
				 : tmd_f2_body(patch, io, data, bytes);
}

int tmd_patch_end(struct tmd_patch *patch, const struct tmd_patch_io *io)
{
	if (patch->head.complete == 0u) {
		return TMD_ERR_TRUNCATED;
	}
	return is_format1(patch) ? tmd_f1_end(patch, io) : tmd_f2_end(patch, io);
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The reader of format 1. SPEC.md numbers the checks; their order is part of the format, because
 * every implementation has to name the same first fault.
 */
#include <string.h>

#include <tinymldelta/digest.h>

#include "format1.h"

#include "bytes.h"
#include "head.h"

#if TMD_WITH_FORMAT_1

enum step {
	STEP_CHUNK_HEAD,
	STEP_CHUNK_CRC,
	STEP_RAW, /* the payload, by its encoding: STEP_RAW + TMD_F1_RLE is STEP_RLE */
	STEP_RLE,
	STEP_END,
};

/* Bytes on the stack that copies and runs go through. */
#define PIECE 64u

/* By kind; CMAC, the kind behind these, is not taken. */
static const uint8_t digest_sizes[] = {
	TMD_DIGEST_NONE_SIZE,
	TMD_DIGEST_CRC32_SIZE,
	TMD_DIGEST_SHA256_SIZE,
};

static bool all_zero(const uint8_t *p, size_t bytes)
{
	uint8_t any = 0;

	while (bytes-- > 0u) {
		any |= *p++;
	}
	return any == 0u;
}

/* Step 2 of SPEC.md: the 80 bytes of the header are in scratch. */
static int read_header(struct tmd_patch *patch, const struct tmd_contract *contract)
{
	struct tmd_patch_info *info = &patch->info;
	const uint8_t *h = patch->scratch;
	size_t digest_bytes;

	info->digest_kind = h[TMD_F1_HEADER_DIGEST_KIND];
	if (info->digest_kind >= sizeof(digest_sizes) ||
	    (info->digest_kind == TMD_DIGEST_NONE &&
	     (contract->accept & TMD_ACCEPT_NO_DIGEST) == 0u)) {
		return TMD_ERR_DIGEST_KIND;
	}
	digest_bytes = digest_sizes[info->digest_kind];
	info->base_digest_bytes = (uint8_t)digest_bytes;
	info->target_digest_bytes = (uint8_t)digest_bytes;

	info->chunks_n = tmd_get_u16(&h[TMD_F1_HEADER_CHUNKS_N]);
	info->base_bytes = tmd_get_u32(&h[TMD_F1_HEADER_BASE_BYTES]);
	info->target_bytes = tmd_get_u32(&h[TMD_F1_HEADER_TARGET_BYTES]);
	info->meta_bytes = tmd_get_u16(&h[TMD_F1_HEADER_META_BYTES]);
	memcpy(info->base_digest, &h[TMD_F1_HEADER_BASE_DIGEST], sizeof(info->base_digest));
	memcpy(info->target_digest, &h[TMD_F1_HEADER_TARGET_DIGEST], sizeof(info->target_digest));

	if (tmd_get_u16(&h[TMD_F1_HEADER_FLAGS]) != 0u || !tmd_is_model_length(info->base_bytes) ||
	    !tmd_is_model_length(info->target_bytes) ||
	    !all_zero(&info->base_digest[digest_bytes], sizeof(info->base_digest) - digest_bytes) ||
	    !all_zero(&info->target_digest[digest_bytes],
		      sizeof(info->target_digest) - digest_bytes) ||
	    (info->digest_kind == TMD_DIGEST_NONE && info->chunks_n == 0u)) {
		return TMD_ERR_HEADER;
	}
	if (info->meta_bytes > TMD_META_MAX) {
		return TMD_ERR_METADATA;
	}
	return TMD_OK;
}

int tmd_f1_head(struct tmd_patch *patch, const struct tmd_contract *contract, struct tmd_input *in)
{
	struct tmd_f1 *f = &patch->f1;
	int err;

	if (!tmd_gather(patch, in, TMD_F1_HEADER_SIZE)) {
		return TMD_OK;
	}
	err = read_header(patch, contract);
	f->chunks_left = patch->info.chunks_n;
	f->step = f->chunks_left > 0u ? STEP_CHUNK_HEAD : STEP_END;
	patch->head.left = patch->info.meta_bytes;
	patch->head.step = TMD_HEAD_TLVS;
	return err;
}

static int emit(struct tmd_f1 *f, const struct tmd_patch_io *io, const uint8_t *buf, uint32_t bytes)
{
	f->position += bytes;
	return io->emit(io->ctx, buf, bytes);
}

/* Copy [position, end) from the base; the caller has checked that the base is long enough. */
static int copy_to(struct tmd_f1 *f, const struct tmd_patch_io *io, uint32_t end)
{
	uint8_t piece[PIECE];

	while (f->position < end) {
		const uint32_t n = tmd_min_u32(end - f->position, PIECE);
		int err = io->read_base(io->ctx, f->position, piece, n);

		if (err == TMD_OK) {
			err = emit(f, io, piece, n);
		}
		if (err != TMD_OK) {
			return err;
		}
	}
	return TMD_OK;
}

/* Step 5 of SPEC.md: a chunk header is in scratch. Copies the base up to the chunk. */
static TMD_NOINLINE int read_chunk_head(struct tmd_patch *patch, const struct tmd_patch_io *io)
{
	struct tmd_f1 *f = &patch->f1;
	const struct tmd_patch_info *info = &patch->info;
	const uint32_t offset = tmd_get_u32(&patch->scratch[TMD_F1_CHUNK_OFFSET]);

	f->left = tmd_get_u16(&patch->scratch[TMD_F1_CHUNK_PAYLOAD_BYTES]);
	f->encoding = patch->scratch[TMD_F1_CHUNK_ENCODING];
	f->has_crc = patch->scratch[TMD_F1_CHUNK_HAS_CRC];
	if (f->encoding > TMD_F1_RLE || f->has_crc > 1u || f->left == 0u ||
	    (f->encoding == TMD_F1_RLE && (f->left & 1u) != 0u)) {
		return TMD_ERR_CHUNK_ENCODING;
	}
	if (offset < f->position) {
		return TMD_ERR_CHUNK_ORDER;
	}
	if (offset >= info->target_bytes ||
	    (f->encoding == TMD_F1_RAW && f->left > info->target_bytes - offset)) {
		return TMD_ERR_CHUNK_BOUNDS;
	}
	if (offset > info->base_bytes && offset != f->position) {
		return TMD_ERR_GAP;
	}
	f->crc = 0;
	f->step = (uint8_t)(f->has_crc != 0u ? STEP_CHUNK_CRC : STEP_RAW + f->encoding);
	return copy_to(f, io, offset);
}

/* Step 7: the payload has ended. */
static int end_chunk(struct tmd_f1 *f)
{
	if (f->has_crc != 0u && f->crc != f->crc_want) {
		return TMD_ERR_CHUNK_CRC;
	}
	f->chunks_left--;
	f->step = f->chunks_left > 0u ? STEP_CHUNK_HEAD : STEP_END;
	return TMD_OK;
}

static int raw_payload(struct tmd_f1 *f, const struct tmd_patch_io *io, struct tmd_input *in)
{
	const uint32_t n = in->bytes < f->left ? (uint32_t)in->bytes : f->left;
	const uint8_t *data = in->data;
	int err;

	in->data += n;
	in->bytes -= n;
	f->left = (uint16_t)(f->left - n);
	f->crc = tmd_crc32(f->crc, data, n);
	err = emit(f, io, data, n);
	return err == TMD_OK && f->left == 0u ? end_chunk(f) : err;
}

/* Step 6: a pair of count and byte is in scratch. */
static int rle_pair(struct tmd_patch *patch, const struct tmd_patch_io *io)
{
	struct tmd_f1 *f = &patch->f1;
	uint32_t run = patch->scratch[0] != 0u ? patch->scratch[0] : 256u;
	uint8_t piece[PIECE];

	if (run > patch->info.target_bytes - f->position) {
		return TMD_ERR_CHUNK_BOUNDS;
	}
	f->crc = tmd_crc32(f->crc, patch->scratch, 2);
	f->left = (uint16_t)(f->left - 2u);
	memset(piece, patch->scratch[1], sizeof(piece));
	while (run > 0u) {
		const uint32_t n = tmd_min_u32(run, PIECE);
		const int err = emit(f, io, piece, n);

		if (err != TMD_OK) {
			return err;
		}
		run -= n;
	}
	return f->left == 0u ? end_chunk(f) : TMD_OK;
}

int tmd_f1_body(struct tmd_patch *patch, const struct tmd_patch_io *io, const uint8_t *data,
		size_t bytes)
{
	struct tmd_f1 *f = &patch->f1;
	struct tmd_input in = {data, bytes};
	int err = TMD_OK;

	while (err == TMD_OK && in.bytes > 0u) {
		switch (f->step) {
		case STEP_CHUNK_HEAD:
			if (tmd_gather(patch, &in, TMD_F1_CHUNK_SIZE)) {
				err = read_chunk_head(patch, io);
			}
			break;
		case STEP_CHUNK_CRC:
			if (tmd_gather(patch, &in, 4)) {
				f->crc_want = tmd_get_u32(patch->scratch);
				f->step = (uint8_t)(STEP_RAW + f->encoding);
			}
			break;
		case STEP_RAW:
			err = raw_payload(f, io, &in);
			break;
		case STEP_RLE:
			if (tmd_gather(patch, &in, 2)) {
				err = rle_pair(patch, io);
			}
			break;
		default:
			err = TMD_ERR_TRAILING;
			break;
		}
	}
	return err;
}

int tmd_f1_end(struct tmd_patch *patch, const struct tmd_patch_io *io)
{
	struct tmd_f1 *f = &patch->f1;

	if (f->step != STEP_END) {
		return TMD_ERR_TRUNCATED;
	}
	if (f->position < patch->info.target_bytes &&
	    patch->info.target_bytes > patch->info.base_bytes) {
		return TMD_ERR_GAP;
	}
	return copy_to(f, io, patch->info.target_bytes);
}

#endif

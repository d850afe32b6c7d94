/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * TinyMLDelta's decoder, as the store calls it.
 */
#include <tinymldelta/patch.h>

#include "decoder.h"

static int read_base(void *ctx, uint32_t offset, uint8_t *buf, uint32_t bytes)
{
	(void)ctx;
	return bench_read_base(offset, buf, bytes) ? TMD_OK : TMD_ERR_FLASH_READ;
}

static int emit(void *ctx, const uint8_t *buf, uint32_t bytes)
{
	(void)ctx;
	return bench_emit(buf, bytes) ? TMD_OK : TMD_ERR_FLASH_WRITE;
}

int bench_decode(void)
{
	static const struct tmd_contract any = {.accept = 0xFFFF, .formats = 0xFFFF,
						.decoder = TMD_DECODER,
						.meta_kept = TMD_META_KEPT};
	static const struct tmd_patch_io io = {read_base, emit, NULL};
	struct tmd_patch *patch = bench_allocate(sizeof(*patch));
	const uint8_t *piece;
	uint32_t bytes;
	int err = TMD_OK;

	if (patch == NULL) {
		return TMD_ERR_ARGUMENT;
	}
	tmd_patch_init(patch);
	while (err == TMD_OK && (piece = bench_piece(&bytes)) != NULL) {
		size_t used = 0;

		if (!tmd_patch_head_complete(patch)) {
			err = tmd_patch_head(patch, &any, piece, bytes, &used);
		}
		if (err == TMD_OK && used < bytes) {
			err = tmd_patch_body(patch, &io, piece + used, bytes - used);
		}
	}
	return err == TMD_OK ? tmd_patch_end(patch, &io) : err;
}

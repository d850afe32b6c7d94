/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What all formats have in common: the first byte says which one a patch is.
 */
#include <string.h>

#include <tinymldelta/patch.h>

#include "format1.h"

void tmd_patch_init(struct tmd_patch *patch)
{
	memset(patch, 0, sizeof(*patch));
}

bool tmd_patch_head_complete(const struct tmd_patch *patch)
{
	return patch->head_complete != 0u;
}

int tmd_patch_head(struct tmd_patch *patch, const struct tmd_contract *contract,
		   const uint8_t *data, size_t bytes, size_t *used)
{
	*used = 0;
	if (bytes == 0u || patch->head_complete != 0u) {
		return TMD_OK;
	}
	if (patch->info.format == 0u) {
		if (data[0] != TMD_FORMAT_1 || (contract->formats & (1u << TMD_FORMAT_1)) == 0u) {
			return TMD_ERR_FORMAT;
		}
		patch->info.format = data[0];
	}
	return tmd_f1_head(patch, contract, data, bytes, used);
}

int tmd_patch_body(struct tmd_patch *patch, const struct tmd_patch_io *io, const uint8_t *data,
		   size_t bytes)
{
	if (patch->head_complete == 0u) {
		return TMD_ERR_ARGUMENT;
	}
	return tmd_f1_body(patch, io, data, bytes);
}

int tmd_patch_end(struct tmd_patch *patch, const struct tmd_patch_io *io)
{
	if (patch->head_complete == 0u) {
		return TMD_ERR_TRUNCATED;
	}
	return tmd_f1_end(patch, io);
}

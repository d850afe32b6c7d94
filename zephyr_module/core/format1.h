/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The reader of format 1 (SPEC.md), behind core/patch.c.
 */
#ifndef TMD_CORE_FORMAT1_H
#define TMD_CORE_FORMAT1_H

#include <tinymldelta/digest.h>
#include <tinymldelta/patch.h>

/* As tmd_patch_head, tmd_patch_body and tmd_patch_end. */
int tmd_f1_head(struct tmd_patch *patch, const struct tmd_contract *contract, const uint8_t *data,
		size_t bytes, size_t *used);
int tmd_f1_body(struct tmd_patch *patch, const struct tmd_patch_io *io, const uint8_t *data,
		size_t bytes);
int tmd_f1_end(struct tmd_patch *patch, const struct tmd_patch_io *io);

#endif /* TMD_CORE_FORMAT1_H */

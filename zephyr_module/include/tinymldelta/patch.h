/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading a patch as it arrives: a head (header and metadata) and a body. Pure functions over bytes:
 * no flash, no allocation, and all state in one struct without pointers, in the caller's hands.
 *
 *	tmd_patch_init(&p);
 *	tmd_patch_head(&p, contract, data, n, &used);     until tmd_patch_head_complete(&p)
 *	tmd_guard_check(contract, model, &p.info);        and compare the base's digest
 *	tmd_patch_body(&p, &io, data, n);                 as often as there are bytes
 *	tmd_patch_end(&p, &io);
 *
 * After a function returned an error the state is good for nothing but tmd_patch_init.
 */
#ifndef TINYMLDELTA_PATCH_H
#define TINYMLDELTA_PATCH_H

#ifndef TMD_CDEF
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#include "config.h"
#include "contract.h"
#include "wire.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

/* What a patch says of itself, whatever its format. Valid once the head is complete. */
struct tmd_patch_info {
	uint32_t base_bytes;
	uint32_t target_bytes;
	uint32_t value[TMD_TLVS_N]; /* by rule; valid if that bit of `present` is set */
	uint16_t chunks_n;
	uint16_t meta_bytes;
	uint8_t format;
	uint8_t digest_kind;       /* TMD_DIGEST_* */
	uint8_t present;           /* bit r is set if the patch carries the TLV that rule r reads */
	uint8_t base_digest[32];   /* the first bytes of it, as digest_kind says */
	uint8_t target_digest[32]; /* likewise */
};

/* Decoder of format 1. Private to core/format1.c. */
struct tmd_f1 {
	uint32_t position; /* end of what has been decoded, as an offset into the target */
	uint32_t crc;      /* of the payload so far */
	uint32_t crc_want;
	uint16_t chunks_left;
	uint16_t left; /* bytes left of the metadata, or of the payload */
	uint8_t step;
	uint8_t fill; /* bytes in scratch */
	uint8_t tag;
	uint8_t value_left;
	uint8_t encoding;
	uint8_t has_crc;
};

struct tmd_patch {
	struct tmd_f1 f1;
	uint8_t head_complete;
	struct tmd_patch_info info;
	uint8_t scratch[TMD_F1_HEADER_SIZE]; /* what has come of a header */
};

/* What a decoder needs from its surroundings. The functions return a status. */
struct tmd_patch_io {
	/* Read `bytes` of the base from `offset`; the range lies within the base. */
	int (*read_base)(void *ctx, uint32_t offset, uint8_t *buf, uint32_t bytes);
	/* Take the next `bytes` of the target. `buf` is only valid during the call. */
	int (*emit)(void *ctx, const uint8_t *buf, uint32_t bytes);
	void *ctx;
};

void tmd_patch_init(struct tmd_patch *patch);

/*
 * Take bytes of the head. `*used` of the `bytes` were consumed: all of them, or up to the head's
 * end, after which the rest belongs to tmd_patch_body. The contract says which formats and kinds of
 * digest are taken.
 */
int tmd_patch_head(struct tmd_patch *patch, const struct tmd_contract *contract,
		   const uint8_t *data, size_t bytes, size_t *used) TMD_MUST_CHECK;

bool tmd_patch_head_complete(const struct tmd_patch *patch);

/* Decode bytes of the body; the target comes out of io->emit from front to back. */
int tmd_patch_body(struct tmd_patch *patch, const struct tmd_patch_io *io, const uint8_t *data,
		   size_t bytes) TMD_MUST_CHECK;

/* The patch has ended: emit what remains. Then exactly info.target_bytes have been emitted. */
int tmd_patch_end(struct tmd_patch *patch, const struct tmd_patch_io *io) TMD_MUST_CHECK;

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_PATCH_H */

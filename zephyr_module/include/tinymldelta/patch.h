/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading a patch as it arrives: a head (header and metadata) and a body. Pure functions over bytes:
 * no flash, no allocation, and all state in one struct without pointers, in the caller's hands.
 *
 *	tmd_patch_init(&p);
 *	tmd_patch_head(&p, contract, data, n, &used);     until tmd_patch_head_complete(&p)
 *	tmd_patch_verify(&p, contract, crypto);           with TMD_VERIFY: who signed it
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
#include "crypto.h"
#include "wire.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

/* Format 2 carries less of the digests. */
#if TMD_WITH_FORMAT_1
#define TMD_BASE_DIGEST_MAX 32
#define TMD_TARGET_DIGEST_MAX 32
#elif TMD_VERIFY
#define TMD_BASE_DIGEST_MAX 8
#define TMD_TARGET_DIGEST_MAX 32
#else
#define TMD_BASE_DIGEST_MAX 8
#define TMD_TARGET_DIGEST_MAX 16
#endif

/* Metadata that are numbers, and that stay with a model. A record in flash knows those of format 1. */
#if TMD_DECODER != TMD_DECODER_NONE
#define TMD_VALUES_N TMD_TLV_NUMBERS_N
#define TMD_KEPT_N TMD_META_KEPT
#else
#define TMD_VALUES_N TMD_RECORD_NUMBERS_N
#define TMD_KEPT_N 1
#endif

/* What a patch says of itself, whatever its format. Valid once the head is complete. */
struct tmd_patch_info {
	uint32_t base_bytes;
	uint32_t target_bytes;
	uint32_t present;             /* bit n is set if the patch carries the TLV with tag n + 1 */
	uint32_t value[TMD_VALUES_N]; /* numbers by tag - 1; 0 if the patch does not carry them */
	uint16_t chunks_n;
	uint16_t meta_bytes;
	uint8_t format;
	uint8_t digest_kind;       /* TMD_DIGEST_* */
	uint8_t base_digest_bytes; /* how much of it the patch carries */
	uint8_t target_digest_bytes;
	uint8_t kept_bytes;        /* of `kept`; 0 in format 1 */
	uint8_t base_digest[TMD_BASE_DIGEST_MAX];     /* the first bytes of it, as digest_kind says */
	uint8_t target_digest[TMD_TARGET_DIGEST_MAX]; /* likewise */
	uint8_t kept[TMD_KEPT_N];  /* the TLVs of format 2, but for vendors' ones, as the patch has them */
};

/* Decoder of format 1. Private to core/format1.c. */
struct tmd_f1 {
	uint32_t position; /* end of what has been decoded, as an offset into the target */
	uint32_t crc;      /* of the payload so far */
	uint32_t crc_want;
	uint16_t chunks_left;
	uint16_t left; /* bytes left of the payload */
	uint8_t step;
	uint8_t encoding;
	uint8_t has_crc;
};

/* Reader of a head, of either format. Private to core/. */
struct tmd_head {
	uint32_t number; /* what has come of one */
#if TMD_DECODER != TMD_DECODER_NONE
	uint32_t crc;    /* of the head so far */
#endif
	uint16_t left;   /* bytes left of the metadata */
	uint8_t step;
	uint8_t field;
	uint8_t flags;
	uint8_t shift;
	uint8_t fill; /* bytes in scratch */
	uint8_t tag;
	uint8_t value_left;
	uint8_t complete;
#if TMD_VERIFY
	uint8_t key;       /* that signed it: index into contract->keys */
	uint8_t unverified; /* it is signed, and nobody has looked at the signature yet */
	uint32_t body_crc_want;
	uint32_t body_crc;
#endif
};

#if TMD_DECODER != TMD_DECODER_NONE

/* What a step of the decoder can be, beside an operation that it goes on with. */
enum {
	TMD_F2_OPERATION = 8,
	TMD_F2_ELEMENTS,
	TMD_F2_RANGE_WORDS,
	TMD_F2_BEGIN,
};


/*
 * A lean decoder has one opinion where the default one mixes three. It knows neither scales nor
 * repetitions, and of the element types only the most common ones.
 */
#define TMD_F2_FULL (TMD_DECODER == TMD_DECODER_DEFAULT)
#if TMD_F2_FULL && TMD_TAKES_LEAN
#define TMD_F2_IS_LEAN(state) ((state)->lean != 0u)
#else
#define TMD_F2_IS_LEAN(state) (!TMD_F2_FULL)
#endif

/*
 * Scales of a layer, which the patch changes before their place in the file comes, because other
 * things are predicted from them: a vector of words, the two vectors of limits behind it, and a
 * vector elsewhere that is a factor times the first one.
 */
struct tmd_f2_range {
	uint32_t at;      /* offset into the base */
	uint32_t product; /* of the vector that is multiplied */
	uint32_t factor;  /* as the target has it */
	uint16_t n;       /* words of each vector */
	uint16_t pool;    /* where in the pool the changes of the first vector start */
	uint8_t parts;    /* bits TMD_F2_HAS_*; 0: not in use */
};

/* Contexts for words, by what decides: see core/models.h. */
struct tmd_f2_words {
	int32_t level;
	uint8_t seen;
	uint8_t last;
	uint8_t last_sign;
	uint16_t zero[15];
	uint16_t place[11 * 4];
	uint16_t top[4 * 4];
	uint16_t sign[3];
#if TMD_F2_FULL
	uint16_t after[11 * 5];
	uint16_t across[11 * 5];
#endif
};

/*
 * Decoder of format 2. Private to core/; the encoder on the PC has the same. What is used most comes
 * first, because processors reach it with shorter instructions.
 */
struct tmd_f2 {
	/* where it stands: step and operation, field of a description, and of what */
	uint8_t step;
	uint8_t op;
	uint8_t field;
	uint8_t type;
	uint8_t mode;       /* how elements are predicted: TMD_F2_PLAIN ... */
	uint8_t by_channel; /* scales belong to the last dimension, not to the first */
	uint8_t lean;       /* the patch was made for a lean decoder */
	/* bytes in the buffers */
	uint8_t in_at;
	uint8_t in_n;
	uint8_t out_n;
	uint8_t window_n;
	uint8_t beyond; /* bytes that were read behind the end, as 0 */
	uint8_t ended;  /* no more will come */
	uint8_t back;   /* how far back in what was inserted a repetition starts */
	uint8_t sign;   /* of the last residual: 0 down, 1 none, 2 up */
#if TMD_F2_FULL
	uint8_t slot;
	uint8_t renewed; /* the factor follows */
	uint8_t range_n; /* where the next range goes */
	uint8_t cached_n;
	uint8_t history_at;
#endif
	uint16_t seen8;
	uint16_t last; /* distances of the last two weights, in 1/256 */
	uint16_t before;
#if TMD_F2_FULL
	uint16_t pool_used;
#endif
	uint32_t interval; /* of the range coder */
	uint32_t code;
	uint32_t position; /* in the target */
	uint32_t at;       /* in the base */
	uint32_t left;     /* of the operation: bytes, words or fields */
	uint32_t i[3];     /* where in the tensor, and its dimensions in target and base */
	uint32_t d[3];
	uint32_t e[3];
	uint32_t ratio; /* of the prediction to the base's element, in 1/65536 */
	int32_t gain;   /* of the row: by how much the ratio differs from 1, in 1/256 */
	int32_t row_level;
	int32_t drift;
	int32_t level8;
	uint32_t rows[2]; /* of the last weights or range, and of the one before */
	uint32_t places;  /* the middle dimension of the last weights */
	uint32_t window_at;
	uint8_t in[TMD_F2_INPUT];
	uint8_t out[TMD_F2_OUTPUT];
	uint8_t window[TMD_F2_WINDOW];

	/* models: 8-bit weights, words, bytes, and the patch's own numbers */
	uint16_t channel[TMD_F2_CHANNELS];
	uint16_t low[8];
	uint16_t shape[5 * 10 * 6];
	uint16_t plan[TMD_F2_PLAN]; /* operations, lengths, descriptions: F2_PLAN_* */
	struct tmd_f2_words words[2];
#if TMD_F2_FULL
	uint16_t literal[256];
	uint16_t column[TMD_F2_COLUMNS];
	uint16_t near[5 * 6 * 6];
	uint16_t far[5 * 6 * 6];
	int32_t weight[5 + 2 * 3][3]; /* of each opinion: on weights, then on words */

	/* words of the base that have changed */
	struct tmd_f2_range ranges[TMD_F2_RANGES];
	struct tmd_f2_range range; /* that is being described */
	uint32_t count;            /* its words */
	uint32_t range_end;        /* near where the next one is likely to be */
	uint32_t factor_at;        /* of the range, and of the one before it */
	uint32_t factor_to;        /* the encoder's: of the one that is being described */
	uint32_t gap[3];           /* between such places, the last time */
	uint32_t overlaid;
	uint32_t cached[TMD_F2_CACHED][2];
	uint32_t pool[TMD_F2_POOL];
	uint8_t history[TMD_F2_HISTORY]; /* the bytes inserted last */
#else
	uint16_t literal[32];
#endif
};
#endif

struct tmd_patch {
	struct tmd_head head;
	struct tmd_patch_info info;
	union {
		struct {
			struct tmd_f1 f1;
			uint8_t scratch[TMD_F1_HEADER_SIZE]; /* what has come of a header */
#if TMD_VERIFY
			struct tmd_sha256 sha; /* of the head so far, or what came of it */
#endif
		};
#if TMD_DECODER != TMD_DECODER_NONE
		struct tmd_f2 f2; /* once the head is complete */
#endif
	};
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

#if TMD_VERIFY
/*
 * The head is complete: is the signature that of one of the contract's keys? To be asked before
 * anything in the head is believed; no byte of the body of a signed patch is decoded before it was.
 * TMD_OK too for an unsigned patch, which tmd_patch_head takes only if the contract has no keys.
 */
int tmd_patch_verify(struct tmd_patch *patch, const struct tmd_contract *contract,
		     const struct tmd_crypto *crypto) TMD_MUST_CHECK;
#endif

/* Decode bytes of the body; the target comes out of io->emit from front to back. */
int tmd_patch_body(struct tmd_patch *patch, const struct tmd_patch_io *io, const uint8_t *data,
		   size_t bytes) TMD_MUST_CHECK;

/* The patch has ended: emit what remains. Then exactly info.target_bytes have been emitted. */
int tmd_patch_end(struct tmd_patch *patch, const struct tmd_patch_io *io) TMD_MUST_CHECK;

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_PATCH_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The encoder of format 2's body. Runs on a PC; its context models are the decoder's own.
 */
#ifndef TMD_NATIVE_ENCODER_H
#define TMD_NATIVE_ENCODER_H

#ifndef TMD_CDEF
#include <stddef.h>
#include <stdint.h>
#endif

#include <tinymldelta/patch.h>

/*
 * Something that the encoder is told of the two files, in the order of the target. Offsets are in
 * bytes, lengths in elements.
 */
struct tmd_hint {
	uint8_t kind; /* TMD_HINT_* */
	uint8_t type; /* TMD_F2_* element type of a tensor */
	uint8_t by_channel;
	uint8_t parts;      /* range: bits TMD_F2_HAS_* */
	int32_t range;      /* tensor: hint that is the range of its scales, or -1 */
	uint32_t target_at; /* tensor and words: where; range: where its new words stand */
	uint32_t base_at;   /* where the counterpart in the base is */
	uint32_t n;         /* words, or words of each vector of a range */
	uint32_t d[3];      /* tensor: dimensions in the target */
	uint32_t e[3];      /* tensor: dimensions in the base */
	uint32_t product;   /* range: offset into the base */
	uint32_t factor;    /* range with a product: offset into the base */
	uint32_t factor_to; /* and where the target has that word */
};

enum { TMD_HINT_TENSOR, TMD_HINT_WORDS, TMD_HINT_RANGE };

enum { TMD_PRICE_LISTS = 3 };

struct tmd_encoder_result {
	uint32_t bytes;      /* of the body */
	uint32_t skeleton;   /* of these, bytes for what is no tensor and no scale */
	uint32_t scales;     /* bytes for scales */
	uint32_t tensors;    /* bytes for tensors, with their description */
};

/*
 * Encode the body of a patch. lean: for a lean decoder. prices: which list is used to
 * cut up what no hint is for, below TMD_PRICE_LISTS. out holds `room` bytes. progress is called
 * with bytes of the target that are done, now and then, and ends the encoding if it returns other than
 * 0; it may be NULL. Returns a status: TMD_ERR_ARGUMENT if a hint reaches beyond its file, `room` is too
 * small, memory is short or progress ended it.
 */
int tmd_encode(const uint8_t *base, uint32_t base_bytes, const uint8_t *target,
	       uint32_t target_bytes, const struct tmd_hint *hints, uint32_t hints_n, int lean,
	       uint32_t prices, uint8_t *out, uint32_t room, int (*progress)(uint32_t done),
	       struct tmd_encoder_result *result);

#endif /* TMD_NATIVE_ENCODER_H */

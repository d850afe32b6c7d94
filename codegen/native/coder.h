/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The range coder of format 2's body, and what a decision costs.
 */
#ifndef TMD_NATIVE_CODER_H
#define TMD_NATIVE_CODER_H

#include <stdbool.h>
#include <stdint.h>

/* The caller sets out and room. */
struct tmd_coder {
	uint8_t *out;
	uint32_t room; /* bytes that out holds */
	uint32_t written;
	bool full;         /* out was too small for what has been coded */
	uint32_t interval; /* how wide */
	uint64_t low;      /* and where it starts */
};

/* Nothing has been written yet. */
void tmd_coder_start(struct tmd_coder *c);

/* One binary decision, whose chance to be 1 is p of 4096, 1 to 4095. bit: 0 or 1. */
void tmd_coder_bit(struct tmd_coder *c, uint32_t p, uint32_t bit);

/* n (0 to 32) decisions that cannot be foretold: the lower n of `bits`, highest first. */
void tmd_coder_even(struct tmd_coder *c, uint32_t n, uint32_t bits);

/* As few bytes as still say which interval it is; the decoder reads zeros behind them. */
void tmd_coder_end(struct tmd_coder *c);

/*
 * What a decision costs by the chance of what happened, of 4096, in 1/65536 bit: 4097 numbers, which
 * the caller frees. NULL if memory is short.
 */
uint32_t *tmd_decision_costs(void);

#endif /* TMD_NATIVE_CODER_H */

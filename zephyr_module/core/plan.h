/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The patch's own numbers in format 2: lengths, ways and dimensions. Decoder and encoder both include
 * this file.
 */
#ifndef TMD_CORE_PLAN_H
#define TMD_CORE_PLAN_H

#include "models.h"

/*
 * A copy's length: 0 is to the end. Files are made of words, so most are multiples of 4, but not
 * behind an edit. `before` is the operation before the copy.
 */
static uint32_t code_length(struct tmd_f2 *s, uint32_t before, uint32_t n)
{
	const uint32_t set = before == TMD_F2_TENSOR ? 1u : before == TMD_F2_EDIT ? 2u : 0u;
	const uint32_t words = code_number(s, F2_NUMBER_COPY + set, n >> 2);

	return words << 2 | code_tree(s, &s->plan[F2_PLAN_ODD + 4u * set], 2, n & 3u);
}

/*
 * A byte, or the difference of an edit: its lower bits are not foretold. A lean decoder makes less of
 * the upper ones.
 */
static uint8_t code_byte(struct tmd_f2 *s, uint8_t byte)
{
	const uint32_t even = TMD_F2_IS_LEAN(s) ? 3u : 1u;
	uint16_t *tree = &s->literal[even == 1u && s->op == TMD_F2_EDIT ? 128u : 0u];
	const uint32_t upper = code_tree(s, tree, 8u - even, (uint32_t)byte >> even);

	return (uint8_t)(upper << even | code_even(s, even, byte & ((1u << even) - 1u)));
}

/* Remember inserted bytes, because names repeat. */
static void keep(struct tmd_f2 *s, uint8_t byte)
{
#if TMD_F2_FULL
	s->history[s->history_at++] = byte;
#else
	(void)s;
	(void)byte;
#endif
}

/* A count of rows, which the next tensors and ranges are likely to have too. */
static TMD_NOINLINE void note_rows(struct tmd_f2 *s, uint32_t rows)
{
	if (rows > 1u && rows != s->rows[0]) {
		s->rows[1] = s->rows[0];
		s->rows[0] = rows;
	}
}

/* A dimension that is usually `usual`. */
static uint32_t code_usual(struct tmd_f2 *s, uint32_t flag, uint32_t usual, uint32_t kind,
			   uint32_t v)
{
	if (code_bit(s, &s->plan[flag], v != usual) == 0u) {
		return usual;
	}
	return code_number(s, kind, v - 1u) + 1u;
}

#endif /* TMD_CORE_PLAN_H */

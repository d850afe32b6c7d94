/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tensors in the body of format 2: their description, and element by element what the base lets
 * expect. Decoder and encoder both include this file, after overlay.h.
 */
#ifndef TMD_CORE_ELEMENTS_H
#define TMD_CORE_ELEMENTS_H

#include "overlay.h"

/* ---- elements of a tensor: what the base's lets expect, and the contexts for the rest ---- */

/* Whether the element has a counterpart in the base, and where that lies behind the tensor's start. */
static bool counterpart(const struct tmd_f2 *s, uint32_t *offset)
{
	*offset = ((s->i[0] * s->e[1] + s->i[1]) * s->e[2] + s->i[2]) * f2_element_bytes[s->type];
	return s->i[0] < s->e[0] && s->i[1] < s->e[1] && s->i[2] < s->e[2];
}

/*
 * base and value: the element's bytes as a little-endian number; without a counterpart, base is 0. Of
 * 8 bytes, the lower 4. Of a scale, s->overlaid is what has been sent ahead in the base's place.
 */
static TMD_NOINLINE uint32_t code_element(struct tmd_f2 *s, uint32_t base, uint32_t value)
{
	uint32_t predicted = base;
	int32_t exponent = 0;

	if (s->type <= TMD_F2_U8) {
		const uint32_t flip = s->type == TMD_F2_U8 ? 0u : 128u;
		int32_t expected = (int32_t)(base ^ flip) - 128;

		expected = floor_shift((int32_t)((uint32_t)expected * (s->ratio >> 2)), 6);
		expected = clamp(expected, -128 * 256, 127 * 256);
		return (uint32_t)(code_weight(s, expected, (int32_t)(value ^ flip) - 128) +
				  128) ^
		       flip;
	}
	if (s->type >= TMD_F2_F32) {
		uint32_t bits = 32;
		uint32_t set = F2_WORDS_TENSOR;

		if (s->type == TMD_F2_F32) {
			exponent = (int32_t)(base >> 23 & 255u) - 127;
		} else if (s->type == TMD_F2_F16) {
			exponent = (int32_t)(base >> 10 & 31u) - 15;
			bits = 16;
		} else {
			set = F2_WORDS_SCALE;
#if TMD_F2_FULL
			predicted = s->overlaid;
#endif
		}
		value = from_ordinal(code_word(s, set, bits, ordinal(predicted, bits), exponent,
					       ordinal(value, bits)),
				     bits);
#if TMD_F2_FULL
		if (s->type == TMD_F2_SCALE && s->d[2] == 1u && !TMD_F2_IS_LEAN(s)) {
			remember(s, base, value);
		}
#endif
		return value;
	}
	predicted = (uint32_t)(((uint64_t)(base >> 31 != 0u ? 0u - base : base) * s->ratio + 32768u) >> 16);
	predicted = base >> 31 != 0u ? 0u - predicted : predicted;
	return code_word(s, F2_WORDS_TENSOR, s->type == TMD_F2_I16 ? 16 : 32, predicted, 0, value);
}

/* The upper 4 bytes of an element of 8: nearly always those of a small number. */
static uint32_t code_high(struct tmd_f2 *s, uint32_t low, uint32_t value)
{
	const uint32_t usual = low >> 31 != 0u ? 0xFFFFFFFFu : 0u;

	if (code_bit(s, &s->plan[F2_PLAN_HIGH], value != usual) == 0u) {
		return usual;
	}
	return code_even(s, 16, value >> 16) << 16 | code_even(s, 16, value & 0xFFFFu);
}

/* On to the next element. True while there is one. */
static bool next_element(struct tmd_f2 *s)
{
	for (uint32_t k = 3; k-- > 0u;) {
		s->i[k]++;
		if (s->i[k] < s->d[k]) {
			return true;
		}
		s->i[k] = 0;
	}
	return false;
}

/*
 * What comes before an element: the levels at the start of a row, the ratio of its scales where that
 * changes, and of a scale that the base has, `offset` behind the tensor's start, what has been sent
 * ahead in its place.
 */
static TMD_NOINLINE int begin_element(struct tmd_f2 *s, F2_ENV *env, bool known, uint32_t offset)
{
	const bool row = s->i[1] == 0u && s->i[2] == 0u;
	int err = TMD_OK;

	if (row && s->type <= TMD_F2_U8) {
		start_row8(s);
	}
	if (s->mode == TMD_F2_GAINED && row) {
		s->gain = code_signed(s, F2_NUMBER_GAIN, s->gain);
		s->ratio = 65536u + ((uint32_t)s->gain << F2_GAIN_BITS);
	}
#if TMD_F2_FULL
	if (s->mode == TMD_F2_SCALED && (row || s->by_channel != 0u)) {
		err = scale_ratio(s, env, &s->ratio);
	}
	s->overlaid = 0;
	if (err == TMD_OK && known && s->type == TMD_F2_SCALE) {
		uint8_t buf[4];

		err = overlaid_bytes(s, env, s->at + offset, buf, 4);
		s->overlaid = tmd_get_u32(buf);
	}
#else
	(void)env;
	(void)known;
	(void)offset;
#endif
	return err;
}

static uint32_t tensor_bytes(const struct tmd_f2 *s, const uint32_t *d)
{
	return d[0] * d[1] * d[2] * f2_element_bytes[s->type];
}

/* Where in the target and in the base the tensor starts is where the patch stands. */
static TMD_NOINLINE void begin_tensor(struct tmd_f2 *s)
{
	memset(s->i, 0, sizeof(s->i));
	s->window_n = 0;
	s->ratio = s->mode == TMD_F2_NEW ? 0u : 65536u;
	if (s->type <= TMD_F2_U8) {
		start_tensor8(s);
		note_rows(s, s->by_channel != 0u ? s->d[2] : s->d[0]);
		s->places = s->d[1];
	}
}

/* What a tensor is, and how it is predicted: its type, by_channel, mode and slot. */
static void code_tensor_kind(struct tmd_f2 *s)
{
	bool weights;

	s->type = (uint8_t)code_tree(s, &s->plan[F2_PLAN_TYPE], 3, s->type);
	weights = s->type <= TMD_F2_U8;
	s->by_channel = (uint8_t)(!weights || code_bit(s, &s->plan[F2_PLAN_BY_CHANNEL],
						       s->by_channel) != 0u);
	s->mode = (uint8_t)code_tree(s, &s->plan[F2_PLAN_MODE + (weights ? 4u : 0u)], 2, s->mode);
#if TMD_F2_FULL
	if (s->mode == TMD_F2_SCALED && !TMD_F2_IS_LEAN(s)) {
		const uint32_t newest = s->range_n + TMD_F2_RANGES - 1u;
		const uint32_t back = code_tree(s, &s->plan[F2_PLAN_SLOT], 3,
						(newest - s->slot) % TMD_F2_RANGES);

		s->slot = (uint8_t)((newest - back) % TMD_F2_RANGES);
	}
#endif
}

/* Dimension k is usually one that came before; of biases, as many as the weights before have rows. */
static uint32_t usual_dimension(const struct tmd_f2 *s, uint32_t k)
{
	if (s->type > TMD_F2_U8) {
		return k < 2u ? 1u : s->rows[0];
	}
	return k == 1u ? s->places : s->rows[k > 0u && s->d[0] == s->rows[0] ? 1 : 0];
}

/*
 * A tensor's description, field by field, so that each step uses little input: what it is, its
 * dimensions, and where the base's differ, those. Sets `left` to 0 after the last field.
 */
static TMD_NOINLINE void code_tensor_field(struct tmd_f2 *s)
{
	const uint32_t field = s->field++;
	const uint32_t k = field - (field > 3u ? 4u : 1u);

	if (field == 0u) {
		code_tensor_kind(s);
	} else if (field <= 3u) {
		s->d[k] = code_usual(s, F2_PLAN_D + (s->type > TMD_F2_U8 ? 3u : 0u) + k,
				     usual_dimension(s, k), F2_NUMBER_D + k, s->d[k]);
	} else {
		s->e[k] = code_usual(s, F2_PLAN_E + (field > 4u), s->d[k], F2_NUMBER_D + k, s->e[k]);
	}
	s->left = s->field < 7u;
}

/* Words of scales that stand here: how many. */
static TMD_NOINLINE void code_words(struct tmd_f2 *s)
{
	s->type = TMD_F2_SCALE;
	s->mode = TMD_F2_PLAIN;
	s->d[0] = s->d[1] = 1;
	s->d[2] = code_usual(s, F2_PLAN_WORDS, 1, F2_NUMBER_WORDS, s->d[2]);
	memcpy(s->e, s->d, sizeof(s->e));
}

#endif /* TMD_CORE_ELEMENTS_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The base as the body of format 2 sees it: with words that the patch has changed ahead of their
 * place. Decoder and encoder both include this file, after models.h.
 *
 * The includer defines, before it includes this:
 *	F2_ENV
 *		A type; what base_bytes needs besides.
 *	static int base_bytes(F2_ENV *env, uint32_t at, uint8_t *buf, uint32_t bytes);
 *		Read the base; the range lies within it. Returns a status.
 */
#ifndef TMD_CORE_OVERLAY_H
#define TMD_CORE_OVERLAY_H

#include "bytes.h"
#include "plan.h"

#if TMD_F2_FULL

/* The parts of a range: scales, their limits, and what is in proportion to them. */
enum { F2_SCALES_PART, F2_LIMITS_PART, F2_PRODUCT = 3, F2_RANGE_PARTS };

/* ---- scales ---- */

/*
 * a * b as IEEE 754 binary32 does it, to the nearest and of two to the even one. Only of normal
 * numbers; whatever else comes out or in is 0. Predictions rest on it, so that is no error.
 */
static uint32_t float_product(uint32_t a, uint32_t b)
{
	int32_t exponent = (int32_t)(a >> 23 & 255u) + (int32_t)(b >> 23 & 255u) - 127;
	const uint64_t product = (uint64_t)((a & 0x7FFFFFu) | 0x800000u) *
				 ((b & 0x7FFFFFu) | 0x800000u);
	uint32_t shift = 23;
	uint32_t mantissa, rest;

	if ((a >> 23 & 255u) == 0u || (b >> 23 & 255u) == 0u) {
		return 0;
	}
	if (product >> 47 != 0u) {
		shift = 24;
		exponent++;
	}
	mantissa = (uint32_t)(product >> shift);
	rest = (uint32_t)product & ((1u << shift) - 1u);
	mantissa += rest > 1u << (shift - 1u) ||
		    (rest == 1u << (shift - 1u) && (mantissa & 1u) != 0u);
	if (mantissa >> 24 != 0u) {
		mantissa >>= 1;
		exponent++;
	}
	if (exponent < 1 || exponent > 254) {
		return 0;
	}
	return ((a ^ b) & 0x80000000u) | (uint32_t)exponent << 23 | (mantissa & 0x7FFFFFu);
}

/* a / b in 1/65536, of positive normal floats less than 16 times apart; else 1. 16 bits are right. */
static uint32_t float_ratio(uint32_t a, uint32_t b)
{
	const int32_t apart = (int32_t)(a >> 23) - (int32_t)(b >> 23);
	const uint32_t quotient = (((a & 0x7FFFFFu) | 0x800000u) << 8) /
				  (((b & 0x7FFFFFu) | 0x800000u) >> 8);

	if (a >> 31 != 0u || b >> 31 != 0u || (a >> 23) == 0u || (b >> 23) == 0u || apart < -4 ||
	    apart > 3) {
		return 65536;
	}
	return apart < 0 ? quotient >> -apart : quotient << apart;
}

/* What a word of the base has become elsewhere, or the word itself. */
static TMD_NOINLINE uint32_t replaced(const struct tmd_f2 *s, uint32_t word)
{
	for (uint32_t k = 0; word != 0u && k < TMD_F2_CACHED; k++) {
		if (s->cached[k][0] == word) {
			return s->cached[k][1];
		}
	}
	return word;
}

/*
 * The end of a quantised range, as converters used to write it beside each scale: nothing runs on it.
 * It is the largest number there is of the type times the scale, or it is anything.
 */
static uint32_t limit_word(uint32_t base, uint32_t base_scale, uint32_t scale)
{
	static const uint32_t largest[] = {0x42FE0000u, 0x46FFFE00u}; /* 127 and 32767 */
	const uint32_t sign = base & 0x80000000u;

	for (uint32_t k = 0; k < 2u; k++) {
		const uint32_t is = float_product(largest[k], base_scale);

		if (is - (base ^ sign) + 4u <= 8u) {
			return float_product(largest[k], scale) ^ sign;
		}
	}
	return base;
}

/* Where the parts of a range start. */
static TMD_NOINLINE uint32_t part_at(const struct tmd_f2_range *r, uint32_t part)
{
	return part == F2_PRODUCT ? r->product : r->at + part * (4u * r->n + 4u);
}

/* Whether there is such a part, and the target has it otherwise than the base. */
static bool has_part(const struct tmd_f2_range *r, uint32_t part)
{
	return (r->parts >> (part == F2_PRODUCT ? TMD_F2_HAS_PRODUCT
			     : part > 0u	? TMD_F2_HAS_LIMITS
						: TMD_F2_HAS_CHANGED) & 1u) != 0u;
}

/* Word i of a part of a range, as the base has it and as the target is going to have it. */
static TMD_NOINLINE int part_word(struct tmd_f2 *s, F2_ENV *env, const struct tmd_f2_range *r,
				  uint32_t part, uint32_t i, uint32_t *base, uint32_t *word)
{
	uint8_t buf[8];
	uint32_t base_scale, scale;
	int err = base_bytes(env, r->at + 4u * i, buf, 4);

	if (err == TMD_OK) {
		err = base_bytes(env, part_at(r, part) + 4u * i, &buf[4], 4);
	}
	base_scale = tmd_get_u32(buf);
	*base = tmd_get_u32(&buf[4]);
	scale = base_scale;
	if (has_part(r, F2_SCALES_PART)) {
		scale = s->pool[r->pool + i];
	}
	*word = part == F2_PRODUCT ? float_product(r->factor, scale)
		: part > 0u	   ? limit_word(*base, base_scale, scale)
				   : scale;
	return err;
}

/* Put the changed words over `bytes` of the base from `at` on. */
static int lay_over(struct tmd_f2 *s, F2_ENV *env, uint32_t at, uint8_t *buf, uint32_t bytes)
{
	int err = TMD_OK;

	for (uint32_t k = 0; k < TMD_F2_RANGES * F2_RANGE_PARTS; k++) {
		const struct tmd_f2_range *r = &s->ranges[k / F2_RANGE_PARTS];
		const uint32_t start = part_at(r, k % F2_RANGE_PARTS);
		uint32_t i = at > start ? (at - start) / 4u : 0u;

		if (!has_part(r, k % F2_RANGE_PARTS)) {
			continue;
		}
		for (; err == TMD_OK && i < r->n && start + 4u * i < at + bytes; i++) {
			uint32_t base, word;

			err = part_word(s, env, r, k % F2_RANGE_PARTS, i, &base, &word);
			for (uint32_t b = 0; b < 4u; b++, word >>= 8) {
				const uint32_t place = start + 4u * i + b - at;

				if (place < bytes) { /* wraps below 0 to something large */
					buf[place] = (uint8_t)word;
				}
			}
		}
	}
	return err;
}

/* Bytes of the base as the target is going to have them, as far as that has been sent ahead. */
static int overlaid_bytes(struct tmd_f2 *s, F2_ENV *env, uint32_t at, uint8_t *buf, uint32_t bytes)
{
	const int err = base_bytes(env, at, buf, bytes);

	return err == TMD_OK ? lay_over(s, env, at, buf, bytes) : err;
}

/*
 * Bytes that a copy takes from the base: words that lie whole in [at, at + bytes), on offsets that 4
 * divides, and that have become another word elsewhere, become that here too.
 */
static int copied_bytes(struct tmd_f2 *s, F2_ENV *env, uint32_t at, uint8_t *buf, uint32_t bytes)
{
	const int err = base_bytes(env, at, buf, bytes);

	if (err != TMD_OK) {
		return err;
	}
	for (uint32_t i = (0u - at) & 3u; i + 4u <= bytes; i += 4u) {
		tmd_put_u32(&buf[i], replaced(s, tmd_get_u32(&buf[i])));
	}
	return lay_over(s, env, at, buf, bytes);
}

/* Remember that one word has become another. The next copies do the same. */
static TMD_NOINLINE void remember(struct tmd_f2 *s, uint32_t from, uint32_t to)
{
	s->cached[s->cached_n][0] = from;
	s->cached[s->cached_n][1] = to;
	s->cached_n = (uint8_t)((s->cached_n + 1u) % TMD_F2_CACHED);
}

/* How much larger the base's scale of element i[0], i[1], i[2] is than the target's. */
static int scale_ratio(struct tmd_f2 *s, F2_ENV *env, uint32_t *ratio)
{
	const struct tmd_f2_range *r = &s->ranges[s->slot];
	const uint32_t row = s->by_channel != 0u ? s->i[2] : s->i[0];
	const bool product = s->type > TMD_F2_U8 && has_part(r, F2_PRODUCT);
	uint32_t base, word;
	const int err = part_word(s, env, r, product ? F2_PRODUCT : F2_SCALES_PART,
				  tmd_min_u32(row, r->n - 1u), &base, &word);

	*ratio = float_ratio(base, word);
	return err;
}

/*
 * An offset into the base, by whole words from `from` and the gap that was there before, because
 * layers are alike.
 */
static TMD_NOINLINE uint32_t code_place(struct tmd_f2 *s, uint32_t kind, uint32_t from, uint32_t v)
{
	const uint32_t usual = from + s->gap[kind];

	v = usual + 4u * (uint32_t)code_signed(s, F2_NUMBER_AT + kind,
					       floor_shift((int32_t)(v - usual), 2));
	if (v - from + F2_GAP_MAX < 2u * F2_GAP_MAX) {
		s->gap[kind] = v - from;
	}
	return v;
}

/*
 * The description of a range, field by field: s->range, s->count, s->factor_at, s->renewed. Sets
 * `left` to 0 after the last field.
 */
static TMD_NOINLINE void code_range_field(struct tmd_f2 *s)
{
	struct tmd_f2_range *r = &s->range;
	const uint32_t field = s->field++;

	s->left = field < 3u;
	if (field == 0u) {
		r->parts = (uint8_t)code_tree(s, &s->plan[F2_PLAN_PARTS], 3, r->parts);
		r->at = code_place(s, 0, s->range_end, r->at);
	} else if (field == 1u) {
		s->count = code_usual(s, F2_PLAN_COUNT, s->rows[0], F2_NUMBER_COUNT, s->count);
		s->range_end = r->at + 12u * s->count;
		s->left = has_part(r, F2_PRODUCT);
	} else if (field == 2u) {
		r->product = code_place(s, 1, s->range_end, r->product);
		s->range_end = r->product + 12u * s->count;
	} else {
		s->factor_at = code_place(s, 2, s->factor_at == 0u ? r->at : s->factor_at,
					  s->factor_to);
		s->renewed = (uint8_t)code_bit(s, &s->plan[F2_PLAN_RENEWED], s->renewed);
	}
}

/* The range's description is complete and has been checked. Sets `left` to the words that come. */
static int begin_range(struct tmd_f2 *s, F2_ENV *env)
{
	struct tmd_f2_range *r = &s->range;
	uint8_t buf[4];
	int err = TMD_OK;

	s->left = 0;
	note_rows(s, s->count);
	if (has_part(r, F2_PRODUCT)) {
		err = base_bytes(env, s->factor_at, buf, 4);
		r->factor = replaced(s, tmd_get_u32(buf));
		s->left = s->renewed;
	}
	s->ranges[s->range_n].parts = 0; /* what stood here is gone */
	if (has_part(r, F2_SCALES_PART)) {
		if (s->count + s->pool_used > TMD_F2_POOL) {
			s->pool_used = 0;
		}
		r->pool = s->pool_used;
		s->pool_used = (uint16_t)(s->pool_used + s->count);
		s->left += s->count;
	}
	r->n = (uint16_t)s->count;
	return err;
}

static void end_range(struct tmd_f2 *s)
{
	s->ranges[s->range_n] = s->range;
	s->range_n = (uint8_t)((s->range_n + 1u) % TMD_F2_RANGES);
}

/* Where the word stands that the next one of a range replaces: first its factor's. */
static uint32_t renewed_at(const struct tmd_f2 *s)
{
	return s->renewed != 0u ? s->factor_at : s->range.at + 4u * (s->count - s->left);
}

/* That word, as base and target have it. */
static void code_renewed(struct tmd_f2 *s, uint32_t base, uint32_t value)
{
	const uint32_t word =
		from_ordinal(code_word(s, F2_WORDS_SCALE, 32, ordinal(base, 32), 0,
				       ordinal(value, 32)),
			     32);

	if (s->renewed != 0u || s->count == 1u) {
		remember(s, base, word);
	}
	if (s->renewed != 0u) {
		s->range.factor = word;
		s->renewed = 0;
	} else {
		s->pool[s->range.pool + s->count - s->left] = word;
	}
	s->left--;
}

#else /* a lean decoder sees the base as it is */

static int copied_bytes(struct tmd_f2 *s, F2_ENV *env, uint32_t at, uint8_t *buf, uint32_t bytes)
{
	(void)s;
	return base_bytes(env, at, buf, bytes);
}

static int overlaid_bytes(struct tmd_f2 *s, F2_ENV *env, uint32_t at, uint8_t *buf, uint32_t bytes)
{
	return copied_bytes(s, env, at, buf, bytes);
}

#endif

#endif /* TMD_CORE_OVERLAY_H */

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

/* In place of a factor: the words are in the pool; or they follow their scale (`limit_word`). */
#define POOLED 0xFFFFFFFFu
#define LIMITS 0xFFFFFFFEu

#if TMD_F2_FULL

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
static TMD_NOINLINE uint32_t float_ratio(uint32_t a, uint32_t b)
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
 * The word at offset `at` of the base, as the target is going to have it. Offsets go by 4; with the
 * lowest bit set, it is known to stay as it is, though another one like it has changed.
 */
static int pooled_word(struct tmd_f2 *s, F2_ENV *env, uint32_t at, uint32_t *word)
{
	uint8_t buf[4];
	int err;

	for (uint32_t i = 0; i < TMD_F2_RANGES; i++) {
		const struct tmd_f2_range *r = &s->ranges[i];

		if (r->factor == POOLED && at - r->at < 4u * r->n && (at - r->at) % 4u == 0u) {
			*word = r->n == 1u ? r->scale
					   : s->pool[(r->pool + (at - r->at) / 4u) % TMD_F2_POOL];
			return TMD_OK;
		}
	}
	err = base_bytes(env, at & ~3u, buf, 4);
	*word = tmd_get_u32(buf);
	if ((at & 1u) == 0u) {
		*word = replaced(s, *word);
	}
	return err;
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

/* Word i of a range. */
static int range_word(struct tmd_f2 *s, F2_ENV *env, const struct tmd_f2_range *r, uint32_t i,
		      uint32_t *word)
{
	uint8_t buf[8];
	uint32_t scale;
	int err;

	if (r->factor == POOLED) {
		*word = r->n == 1u ? r->scale : s->pool[(r->pool + i) % TMD_F2_POOL];
		return TMD_OK;
	}
	err = pooled_word(s, env, r->scale + 4u * i, &scale);
	if (err == TMD_OK && r->factor == LIMITS) {
		err = base_bytes(env, r->at + 4u * i, buf, 4);
		if (err == TMD_OK) {
			err = base_bytes(env, r->scale + 4u * i, &buf[4], 4);
		}
		*word = limit_word(tmd_get_u32(buf), tmd_get_u32(&buf[4]), scale);
	} else if (err == TMD_OK) {
		err = pooled_word(s, env, r->factor, word);
		*word = float_product(*word, scale);
	}
	return err;
}

/* Put the changed words over `bytes` of the base from `at` on. */
static int lay_over(struct tmd_f2 *s, F2_ENV *env, uint32_t at, uint8_t *buf, uint32_t bytes)
{
	for (uint32_t k = 0; k < TMD_F2_RANGES; k++) {
		const struct tmd_f2_range *r = &s->ranges[k];
		uint32_t i = at > r->at ? (at - r->at) / 4u : 0u;

		for (; i < r->n && r->at + 4u * i < at + bytes; i++) {
			uint32_t word = 0;
			const int err = range_word(s, env, r, i, &word);

			if (err != TMD_OK) {
				return err;
			}
			for (uint32_t b = 0; b < 4u; b++, word >>= 8) {
				const uint32_t place = r->at + 4u * i + b - at;

				if (place < bytes) { /* wraps below 0 to something large */
					buf[place] = (uint8_t)word;
				}
			}
		}
	}
	return TMD_OK;
}

/* Bytes of the base as the target is going to have them, as far as that has been sent ahead. */
static int overlaid_bytes(struct tmd_f2 *s, F2_ENV *env, uint32_t at, uint8_t *buf,
				       uint32_t bytes)
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
	const uint32_t i = r->n == 1u ? 0u : s->by_channel != 0u ? s->i[2] : s->i[0];
	uint8_t buf[4];
	uint32_t word = 0;
	int err;

	if (i >= r->n) {
		*ratio = 65536;
		return TMD_OK;
	}
	err = base_bytes(env, r->at + 4u * i, buf, 4);
	if (err == TMD_OK) {
		err = range_word(s, env, r, i, &word);
	}
	*ratio = float_ratio(tmd_get_u32(buf), word);
	return err;
}

/* Offsets go by whole words; the encoder uses no others. */
static int32_t words_apart(uint32_t a, uint32_t b)
{
	return floor_shift((int32_t)(a - b), 2);
}

/* An offset into the base, by whole words from another one. */
static uint32_t code_offset(struct tmd_f2 *s, uint32_t kind, uint32_t from, uint32_t v)
{
	return from + 4u * (uint32_t)code_signed(s, kind, words_apart(v, from));
}

/* An offset that is usually `usual`, else by whole words from where the range starts. */
static uint32_t code_reference(struct tmd_f2 *s, uint32_t flag, uint32_t usual, uint32_t kind,
			       uint32_t v)
{
	if (code_bit(s, &s->plan[flag], v != usual) == 0u) {
		return usual;
	}
	return code_offset(s, kind, s->range.at, v);
}

/*
 * The description of a range, field by field: s->derived, s->range, s->count. Words in the pool
 * follow it; products are usually of the two that were pooled last, limits of the scale that was
 * used last. Sets `left` to 0 after the last field.
 */
static TMD_NOINLINE void code_range_field(struct tmd_f2 *s)
{
	struct tmd_f2_range *r = &s->range;
	const uint32_t field = s->field++;

	if (field == 0u) {
		s->derived = (uint8_t)code_tree(s, &s->plan[F2_PLAN_KIND], 2, s->derived);
		r->at = code_offset(s, F2_NUMBER_AT + s->derived % 3u, s->range_end[s->derived % 3u],
				    r->at);
	} else if (field == 1u) {
		s->count = code_usual(s, F2_PLAN_COUNT + s->derived % 3u,
				      s->derived != 0u ? s->rows[0] : 1u, F2_NUMBER_COUNT,
				      s->count);
		if (s->derived != TMD_F2_PRODUCT) {
			r->factor = s->derived == TMD_F2_POOLED ? POOLED : LIMITS;
			s->field++;
		}
	} else if (field == 2u) {
		const uint32_t stays = r->factor & 1u;

		r->factor = code_reference(s, F2_PLAN_FACTOR, s->pooled[0], F2_NUMBER_FACTOR,
					   r->factor & ~3u);
		r->factor |= code_bit(s, &s->plan[F2_PLAN_STAYS], stays);
	} else {
		/* If the factor has not been pooled last, the other one has. */
		const uint32_t usual = s->derived != TMD_F2_PRODUCT ? s->scale
				       : r->factor == s->pooled[0]  ? s->pooled[1]
								    : s->pooled[0];

		r->scale = code_reference(s, F2_PLAN_SCALE + s->derived % 3u, usual,
					  F2_NUMBER_SCALE, r->scale);
	}
	s->left = s->field < (s->derived == TMD_F2_POOLED ? 2u : 4u);
}

/* The range's description is complete and has been checked. Sets `left` to the words that come. */
static TMD_NOINLINE void begin_range(struct tmd_f2 *s)
{
	struct tmd_f2_range *r = &s->range;

	s->range_end[s->derived] = r->at + 4u * s->count;
	if (s->derived != 0u) {
		s->scale = r->scale;
	}
	s->ranges[s->range_n].n = 0; /* what stood here is gone */
	s->left = 0;
	note_rows(s, s->count);
	if (r->factor == POOLED) {
		if (s->count > 1u) { /* one word stays with its range */
			if (s->count + s->pool_used > TMD_F2_POOL) {
				s->pool_used = 0;
			}
			r->pool = s->pool_used;
			s->pool_used = (uint16_t)(s->pool_used + s->count);
		}
		s->pooled[1] = s->pooled[0];
		s->pooled[0] = r->at;
		s->left = s->count;
	}
}

static void end_range(struct tmd_f2 *s)
{
	s->range.n = (uint16_t)s->count;
	s->ranges[s->range_n] = s->range;
	s->range_n = (uint8_t)((s->range_n + 1u) % TMD_F2_RANGES);
}

/* The next word of a range in the pool; base is the word that it replaces. */
static void code_pooled(struct tmd_f2 *s, uint32_t base, uint32_t value)
{
	const uint32_t i = s->range.pool + s->count - s->left;
	const uint32_t word =
		from_ordinal(code_word(s, F2_WORDS_SCALE, 32, ordinal(base, 32), 0,
				       ordinal(value, 32)),
			     32);

	s->left--;
	if (s->count == 1u) {
		s->range.scale = word;
		remember(s, base, word);
	} else {
		s->pool[i] = word;
	}
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

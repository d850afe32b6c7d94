/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The context models of format 2: what is expected next, and how sure that is. Decoder and encoder
 * both include this file, so that they cannot differ. SPEC.md says the same in words.
 *
 * The includer defines, before it includes this:
 *	static uint32_t code(struct tmd_f2 *s, uint32_t p, uint32_t bit);
 *		One binary decision, whose chance to be 1 is p of 4096. Returns the bit: the
 *		encoder's is the one given, the decoder ignores that and returns what it decoded.
 *	static uint32_t code_even(struct tmd_f2 *s, uint32_t n, uint32_t bits);
 *		n (0 to 32) decisions that cannot be foretold, highest bit first.
 * Functions here take the value to be coded and return it; a decoder passes anything.
 *
 * A context is 16 bits: 12 of probability, 4 that count how often it was used, because it learns
 * fast at first and slowly at last. The highest bit is kept inverted, so that 0 is a context that
 * knows nothing. Three contexts are mixed in the logistic domain, with weights that learn.
 */
#ifndef TMD_CORE_MODELS_H
#define TMD_CORE_MODELS_H

#include <string.h>

#include <tinymldelta/patch.h>

#include "tables.h"

/* The two sets of contexts for words. */
enum { F2_WORDS_SCALE, F2_WORDS_TENSOR };

/* The first decisions on a residual; those after ask whether it is more than 1, 2 ... */
enum { F2_IS_ZERO, F2_IS_POSITIVE };

/* v / 2^n, rounded down: a shift of a negative number is not defined in C. */
static TMD_INLINE int32_t floor_shift(int32_t v, uint32_t n)
{
	return v >= 0 ? (int32_t)((uint32_t)v >> n) : (int32_t)~(~(uint32_t)v >> n);
}

static inline int32_t clamp(int32_t v, int32_t low, int32_t high)
{
	return v < low ? low : v > high ? high : v;
}

static uint32_t bit_length(uint32_t v)
{
	uint32_t n = 0;

	while (v != 0u) {
		v >>= 1;
		n++;
	}
	return n;
}

/* Averages move by 1/1, 1/2, 1/4 ... of the difference: how far the shift has come after n. */
static uint32_t pace(uint32_t n, uint32_t most)
{
	const uint32_t k = bit_length(n);

	return k == 0u ? 0u : k - 1u < most ? k - 1u : most;
}

static TMD_INLINE uint32_t bucket(uint32_t v, const uint16_t *bounds, uint32_t n)
{
	uint32_t k = 0;

	while (k < n && v >= bounds[k]) {
		k++;
	}
	return k;
}

/* ---- contexts ---- */

static inline uint16_t context_of(uint32_t p, uint32_t count)
{
	return (uint16_t)((p ^ 2048u) << 4 | count);
}

/* The chance of a 1, of 4096. */
static inline int32_t probability(uint16_t context)
{
	return (context >> 4) ^ 2048;
}

/* Stays within 1 to 4095: only a context that was never used has a rate above one half. */
static void learn(uint16_t *context, uint32_t bit)
{
	const uint32_t n = *context & 15u;
	const uint32_t p = (uint32_t)probability(*context);
	const uint32_t error = bit != 0u ? 4096u - p : p;
	const uint32_t by = (error * f2_rates[n] + 32768u) >> 16;

	*context = context_of(bit != 0u ? p + by : p - by, n < 15u ? n + 1u : n);
}

static uint32_t code_bit(struct tmd_f2 *s, uint16_t *context, uint32_t bit)
{
	bit = code(s, (uint32_t)probability(*context), bit);
	learn(context, bit);
	return bit;
}

#if TMD_F2_FULL
/* ln(p / (1 - p)) in 1/256, of a context's probability. */
static int32_t stretch(const uint16_t *context)
{
	const uint32_t i = *context >> 9; /* the upper half of them is that below one half */

	return i < 64u ? f2_stretch[i] : -f2_stretch[127u - i];
}

static TMD_INLINE uint32_t squash(int32_t x)
{
	const uint32_t v = (uint32_t)(clamp(x, -2047, 2047) + 2048);
	const uint32_t i = v >> 7;
	const uint32_t part = v & 127u;

	return (f2_squash[i] * (128u - part) + f2_squash[i + 1u] * part + 64u) >> 7;
}
#endif

#if TMD_F2_FULL
/* One decision with three opinions on it. A patch for a lean decoder asks the first one only. */
static uint32_t code_mixed(struct tmd_f2 *s, uint16_t *a, uint16_t *b, uint16_t *c, int32_t *weight,
			   uint32_t bit)
{
	const int32_t x[3] = {stretch(a), stretch(b), stretch(c)};
	const int32_t sum = weight[0] * x[0] + weight[1] * x[1] + weight[2] * x[2] +
			    F2_WEIGHT_START * (x[0] + x[1] + x[2]);
	const uint32_t p = squash(floor_shift(sum, 16));
	int32_t error;

	if (TMD_F2_IS_LEAN(s)) {
		return code_bit(s, a, bit);
	}
	bit = code(s, (uint32_t)clamp((int32_t)p, 1, 4095), bit);
	error = ((bit != 0u ? 4096 : 0) - (int32_t)p) * F2_MIXER_RATE;
	for (uint32_t i = 0; i < 3u; i++) {
		weight[i] = clamp(weight[i] + floor_shift(x[i] * error + 8192, 14), -F2_WEIGHT_MAX,
				  F2_WEIGHT_MAX);
	}
	learn(a, bit);
	learn(b, bit);
	learn(c, bit);
	return bit;
}
#endif

/* ---- numbers: Exp-Golomb, with a context for each bit of the length and for the one after ---- */

static uint32_t code_number(struct tmd_f2 *s, uint32_t kind, uint32_t v)
{
	uint16_t *context = &s->plan[F2_PLAN_NUMBER + 10u * kind];
	const uint32_t length = bit_length(v + 1u);
	uint32_t n = 1;

	/* v + 1 has at most 31 bits: lengths and offsets are below MODEL_MAX. */
	while (n < 31u && code_bit(s, &context[n < F2_NUMBER_BITS ? n : F2_NUMBER_BITS], length > n)) {
		n++;
	}
	n--;
	v = (v + 1u) & ((1u << n) - 1u);
	if (n > 0u) {
		const uint32_t top = code_bit(s, &context[0], v >> (n - 1u));

		v = top << (n - 1u) | code_even(s, n - 1u, v & ((1u << (n - 1u)) - 1u));
	}
	return (1u << n | v) - 1u;
}

/* 0, -1, 1, -2, 2 ... */
static TMD_NOINLINE int32_t code_signed(struct tmd_f2 *s, uint32_t kind, int32_t v)
{
	const uint32_t u = code_number(s, kind, v < 0 ? ~(uint32_t)v << 1 | 1u : (uint32_t)v << 1);

	return (u & 1u) != 0u ? (int32_t)~(u >> 1) : (int32_t)(u >> 1);
}

/* A value of `bits` bits, decided from the highest on; `tree` has 1 << bits contexts. */
static uint32_t code_tree(struct tmd_f2 *s, uint16_t *tree, uint32_t bits, uint32_t v)
{
	uint32_t node = 1;

	for (uint32_t i = bits; i-- > 0u;) {
		node = node << 1 | code_bit(s, &tree[node], v >> i & 1u);
	}
	return node - (1u << bits);
}

/* ---- 8-bit weights: how far they lie from what the base lets expect ---- */

/* A running average: fast at first, by 1/2^most at last. n: how many it has seen before v. */
static int32_t approach(int32_t level, uint32_t n, uint32_t most, int32_t v)
{
	return level + floor_shift(v - level, pace(n + 1u, most));
}

/* What is expected of the next residual's size, in 1/256: of the whole, and how four others see it. */
struct outlook {
	uint32_t size;
	uint32_t part; /* where between two whole numbers the expected value lies */
	uint32_t scale;
	uint32_t place;      /* in the row */
	uint16_t *channel_at; /* where the channel's level is kept */
#if TMD_F2_FULL
	uint32_t local, row, column, channel;
	uint32_t leaning;
	uint16_t *column_at;
#endif
};

#if TMD_F2_FULL
/* Which way this row's weights have gone, against how far: 0 (down) to 4 (up). */
static uint32_t leaning(const struct tmd_f2 *s)
{
	const int32_t level = floor_shift(s->row_level, 4);
	const int32_t little = floor_shift(20 * level, 8);
	const int32_t much = floor_shift(77 * level, 8);

	return 0u + (s->drift >= -much) + (s->drift >= -little) + (s->drift >= little) +
	       (s->drift >= much);
}
#endif

/* expected in 1/256 */
static TMD_NOINLINE void look_out(struct tmd_f2 *s, int32_t expected, struct outlook *o)
{
	const uint32_t whole = (uint32_t)s->level8 >> 12;
	uint32_t row = (uint32_t)s->row_level >> 4;
	uint32_t local = ((2u * s->last + s->before) * 85u) >> 8;
	uint32_t channel = whole;
	uint32_t size;
#if TMD_F2_FULL
	uint32_t column = whole;
#endif

	o->place = s->i[1] * s->d[2] + s->i[2];
#if TMD_F2_FULL
	o->column_at = &s->column[o->place % TMD_F2_COLUMNS];
	if (!TMD_F2_IS_LEAN(s) && s->i[0] > 0u) {
		column = *o->column_at >> 4;
		if (s->i[0] == 1u) {
			column = (column + whole) / 2u;
		}
	}
#endif
	o->channel_at = &s->channel[s->i[2] % TMD_F2_CHANNELS];
	if (s->i[0] * s->d[1] + s->i[1] > 1u) {
		channel = *o->channel_at >> 4;
	}
	o->part = (uint32_t)(expected & 255);
	o->part = ((o->part ^ 128u) * F2_PARTS) >> 8;
	o->size = (179u * row + 38u * channel + 39u * local) >> 8;
	size = o->size;
#if TMD_F2_FULL
	if (!TMD_F2_IS_LEAN(s)) {
		/* As far as rows and columns differ from the whole, they multiply. */
		size = row * ((column + channel) / 2u) / (whole > F2_LEVEL_MIN ? whole : F2_LEVEL_MIN);
		size = size < F2_SIZE_MAX ? size : F2_SIZE_MAX;
		o->size = (102u * row + 77u * column + 38u * channel + 39u * local) >> 8;
	}
#endif
	o->scale = bucket(size, f2_scales, F2_SCALES - 1u);
#if TMD_F2_FULL
	o->local = bucket(local, f2_levels, F2_LEVELS - 1u);
	o->row = bucket(row, f2_levels, F2_LEVELS - 1u);
	o->column = bucket(column, f2_levels, F2_LEVELS - 1u);
	o->channel = bucket(channel, f2_levels, F2_LEVELS - 1u);
	o->leaning = leaning(s);
#endif
}

/* Decision `which` of a residual: is it 0, is it positive, is it more than 1, 2 ... (the last share). */
static TMD_NOINLINE uint32_t decide(struct tmd_f2 *s, uint32_t which, uint32_t part, const struct outlook *o,
		       uint32_t bit)
{
	const uint32_t w = which < F2_DECISIONS - 1u ? which : F2_DECISIONS - 1u;
	uint16_t *a = &s->shape[(w * F2_SCALES + o->scale) * F2_PARTS + part];
#if TMD_F2_FULL
	uint16_t *b = &s->near[(w * F2_LEVELS + o->local) * F2_LEVELS + o->row];
	uint16_t *c = &s->far[(w * F2_LEVELS + o->column) * F2_LEVELS + o->channel];

	if (w == F2_IS_POSITIVE) { /* sizes say nothing of the sign; which way the row goes does */
		b = &s->plan[F2_PLAN_TREND + o->leaning * 3u + s->sign];
		c = &s->plan[F2_PLAN_TREND + 15u + o->leaning];
	}
	return code_mixed(s, a, b, c, s->weight[w], bit);
#else
	return code_bit(s, a, bit);
#endif
}

/*
 * One element of 8 bits. expected: what the base lets expect, in 1/256, -128 to 127 whole. Large
 * distances are halved `k` times, so that few decisions are left; what that cuts off follows.
 */
static int32_t code_weight(struct tmd_f2 *s, int32_t expected, int32_t value)
{
	const int32_t nearest = floor_shift(expected + 128, 8);
	const int32_t residual = value - nearest;
	uint32_t positive = residual > 0;
	uint32_t size = (uint32_t)(residual < 0 ? -residual : residual);
	uint32_t k = 0, high, low;
	int32_t distance;
	struct outlook o;

	look_out(s, expected, &o);
	while (o.size >> (8u + k) >= F2_HALVE_FROM) {
		k++;
	}
	high = size >> k;
	low = size & ((1u << k) - 1u);
	if (decide(s, F2_IS_ZERO, o.part, &o, high == 0u) != 0u) {
		high = 0;
	} else {
		uint32_t n = 1;
		uint32_t part;

		positive = decide(s, F2_IS_POSITIVE, o.part, &o, positive);
		part = positive != 0u ? o.part : F2_PARTS - 1u - o.part;
		while (n < F2_UNARY_MAX && decide(s, F2_IS_POSITIVE + n, part, &o, high > n) != 0u) {
			n++;
		}
		if (n == F2_UNARY_MAX) {
			n += code_number(s, F2_NUMBER_ESCAPE, high - n);
		}
		high = n;
	}
	if (k > 0u) {
		uint16_t *context = &s->low[(k < 4u ? k : 4u) * 2u - (high > 0u ? 1u : 2u)];
		const uint32_t top = code_bit(s, context, low >> (k - 1u));

		low = top << (k - 1u) | code_even(s, k - 1u, low & ((1u << (k - 1u)) - 1u));
		if (high == 0u && low > 0u) {
			positive = code_even(s, 1, positive);
		}
	}
	size = (high << k) + low;
	value = (int32_t)(((uint32_t)nearest + (positive != 0u ? size : 0u - size) + 128u) & 255u) -
		128;

	distance = value * 256 - expected;
	s->sign = (uint8_t)(size == 0u ? 1u : positive != 0u ? 2u : 0u);
	s->drift = approach(s->drift, o.place + 1u, 5, distance);
	distance = distance < 0 ? -distance : distance;
	s->row_level = approach(s->row_level, o.place + 1u, 5, distance * 16);
	s->level8 = approach(s->level8, s->seen8, 8, distance * 4096);
	s->seen8 = (uint16_t)(s->seen8 + (s->seen8 < 256u ? 1u : 0u));
	s->before = s->last;
	s->last = (uint16_t)distance;
	distance = clamp(distance, 0, 4095) * 16;
	*o.channel_at = (uint16_t)approach(*o.channel_at, s->i[0] * s->d[1] + s->i[1], 4,
					   distance);
#if TMD_F2_FULL
	if (!TMD_F2_IS_LEAN(s)) {
		*o.column_at = (uint16_t)approach(*o.column_at, s->i[0], 4, distance);
	}
#endif
	return value;
}

static void start_row8(struct tmd_f2 *s)
{
	s->row_level = (s->row_level + (s->level8 >> 8)) / 2;
	s->drift = 0;
	s->sign = 1;
	s->last = s->before = (uint16_t)clamp(s->row_level >> 4, 0, 65535);
}

static void start_tensor8(struct tmd_f2 *s)
{
	s->seen8 = s->seen8 < 24u ? s->seen8 : 24u;
	s->row_level = s->level8 >> 8;
}

/* ---- words: floats, biases and scales, by how many bits their difference has ---- */

/*
 * Floats count as the whole numbers that stand in their order: of two neighbours the difference is
 * 1. `bits` is 16 or 32.
 */
static uint32_t ordinal(uint32_t v, uint32_t bits)
{
	const uint32_t top = 1u << (bits - 1u);

	return (v & top) != 0u ? ~(v & (top - 1u)) : v;
}

static uint32_t from_ordinal(uint32_t v, uint32_t bits)
{
	const uint32_t top = 1u << (bits - 1u);

	return (v & top) != 0u ? top | (~v & (top - 1u)) : v & (top - 1u);
}

/* Decision `which` on a class: is it above the expected one; then, one by one, is it further away. */
static TMD_NOINLINE uint32_t decide_class(struct tmd_f2 *s, struct tmd_f2_words *w, uint32_t which,
			     const uint32_t *q, uint32_t bit)
{
#if TMD_F2_FULL
	int32_t *weight = s->weight[F2_DECISIONS + (w == s->words ? 0u : 3u) + (which > 0u)];

	return code_mixed(s, &w->place[which * 4u + q[0]], &w->after[which * 5u + q[1]],
			  &w->across[which * 5u + q[2]], weight, bit);
#else
	return code_bit(s, &w->place[which * 4u + q[0]], bit);
#endif
}

/*
 * The difference between a word and its prediction, as a number of two's complement. Its class is the
 * number of its bits. `level`, `across`: two opinions on the class, in 1/16. Returns the difference,
 * and leaves the class in w->last.
 */
static TMD_NOINLINE uint32_t code_difference(struct tmd_f2 *s, struct tmd_f2_words *w, int32_t level,
				int32_t across, uint32_t difference)
{
	const uint32_t negative = difference >> 31;
	const uint32_t size = negative != 0u ? 0u - difference : difference;
	uint32_t k = bit_length(size);
	const uint32_t expected = (uint32_t)clamp(floor_shift(level + 8, 4), 0, 31);
	const uint32_t q[3] = {(uint32_t)(level + 8) >> 2 & 3u,
			       (uint32_t)clamp((int32_t)w->last - (int32_t)expected, -2, 2) + 2u,
			       (uint32_t)clamp(floor_shift(across - level + 4, 3), -2, 2) + 2u};
	uint16_t *zero = &w->zero[expected < 14u ? expected / 2u : 7u];
	uint32_t sign, above, distance, most, group, upper, n;

#if TMD_F2_FULL
	if (code_mixed(s, zero, &w->zero[8u + (w->last == 0u)], &w->zero[10u + q[2]],
		       s->weight[F2_DECISIONS + (w == s->words ? 2u : 5u)], k == 0u) != 0u) {
#else
	if (code_bit(s, zero, k == 0u) != 0u) {
#endif
		w->last = 0;
		return 0;
	}
	above = expected == 0u || decide_class(s, w, 0, q, k > expected) != 0u;
	distance = above ? k - expected - 1u : expected - k;
	most = above ? 31u - expected : expected - 1u;
	n = 0;
	while (n < most && decide_class(s, w, (above ? 1u : 6u) + (n < 4u ? n : 4u), q,
					distance > n) != 0u) {
		n++;
	}
	k = above ? expected + 1u + n : expected - n;
	group = (above ? 2u : 0u) + (n > 0u);
	sign = code_bit(s, &w->sign[w->last_sign], negative);
	w->last_sign = (uint8_t)(1u + sign);
	w->last = (uint8_t)k;
	/* Below the highest bit, which is 1: two that are foretold, the others even. */
	upper = k - 1u < 2u ? k - 1u : 2u;
	n = k - 1u - upper;
	k = code_tree(s, &w->top[group * 4u], upper,
		      size >> n & ((1u << upper) - 1u));
	k = ((1u << upper | k) << n) | code_even(s, n, size & ((1u << n) - 1u));
	return sign != 0u ? 0u - k : k;
}

/*
 * A word whose `bits` (16 or 32) lowest bits count. exponent: by how many bits the differences of
 * this word are smaller than those of others; for floats, that of the prediction.
 */
static uint32_t code_word(struct tmd_f2 *s, uint32_t kind, uint32_t bits, uint32_t predicted,
			  int32_t exponent, uint32_t value)
{
	struct tmd_f2_words *w = &s->words[kind];
	const uint32_t spare = 32u - bits;
	uint32_t difference = (value - predicted) << spare;
	const int32_t base = exponent * 16;
	int32_t across = w->level;
	int32_t seen;

	difference = (difference >> 31) != 0u ? ~(~difference >> spare) : difference >> spare;
#if TMD_F2_FULL
	uint16_t *column = &s->column[(s->i[1] * s->d[2] + s->i[2]) % TMD_F2_COLUMNS];

	if (s->step == TMD_F2_ELEMENTS && !TMD_F2_IS_LEAN(s) && s->i[0] > 0u) {
		across = *column - F2_COLUMN_ZERO;
	}
#endif
	difference = code_difference(s, w, w->level - base, across - base, difference);
	seen = ((w->last > 0u ? (int32_t)w->last : -1) + exponent) * 16;
	w->level = approach(w->level, w->seen, 4, seen);
	w->seen = (uint8_t)(w->seen + (w->seen < 16u ? 1u : 0u));
#if TMD_F2_FULL
	if (s->step == TMD_F2_ELEMENTS && !TMD_F2_IS_LEAN(s)) {
		*column = (uint16_t)clamp(approach(*column - F2_COLUMN_ZERO, s->i[0], 3, seen) +
						  F2_COLUMN_ZERO,
					  0, 65535);
	}
#endif
	return predicted + difference;
}

/* ---- the start ---- */

/* Where a context starts, from a byte: 5 bits of probability, 3 of how sure that is. */
static TMD_NOINLINE uint16_t started(uint8_t start)
{
	return context_of((start & 0xF8u) * 16u + 64u, f2_start_counts[start & 7u]);
}

/* The state is all zero before. */
static void start_models(struct tmd_f2 *s)
{
	for (uint32_t i = 0; i < TMD_F2_PLAN; i++) {
		s->plan[i] = started(f2_plan_start[i]);
	}
	for (uint32_t i = 0; i < 16u; i++) {
		s->words[0].top[i] = s->words[1].top[i] = started(f2_top_start[i]);
	}
	s->rows[0] = s->rows[1] = s->places = 1;
	s->level8 = F2_LEVEL_START << 12;
	s->seen8 = 1;
	s->words[F2_WORDS_SCALE].level = F2_SCALE_LEVEL_START;
	s->words[F2_WORDS_TENSOR].level = F2_TENSOR_LEVEL_START;
}

#endif /* TMD_CORE_MODELS_H */

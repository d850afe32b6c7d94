/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The encoder of format 2's body: writes operations, and where there is a choice, tries what each
 * would cost and takes the cheaper one. How the gaps between tensors are cut up is in match.c.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "encoder.h"
#include "match.h"

struct encoder {
	struct tmd_f2 f2; /* first, because the models are handed a pointer to it */
	const uint8_t *base;
	uint8_t *view; /* the base with the words that have been changed ahead */
	uint32_t base_bytes;
	const uint8_t *target;
	uint32_t target_bytes;

	/* the range coder; with `trial`, nothing is written and only the cost counts */
	uint64_t low;
	uint64_t cost; /* in 1/65536 bit */
	uint32_t *costs; /* of a decision, by the probability of what happened */
	uint8_t *out;
	uint32_t room;
	uint32_t written;
	bool trial;
	bool full;

	uint8_t before; /* the operation before the one that is being written */
	uint32_t table_from; /* changed words in a row that are tried as a table */
	uint32_t copy; /* bytes of a copy that has not been written, because it may grow */
};

#define F2_ENV struct encoder

static int base_bytes(struct encoder *e, uint32_t at, uint8_t *buf, uint32_t bytes)
{
	memcpy(buf, e->base + at, bytes);
	return TMD_OK;
}

static uint32_t code(struct tmd_f2 *s, uint32_t p, uint32_t bit);
static uint32_t code_even(struct tmd_f2 *s, uint32_t n, uint32_t bits);

#include "../../zephyr_module/core/elements.h"

/* ---- the range encoder ---- */

static void put_byte(struct encoder *e, uint8_t byte)
{
	if (e->written < e->room) {
		e->out[e->written++] = byte;
	} else {
		e->full = true;
	}
}

/* `low` has 32 bits of what is not final, and a carry above them. */
static void shift_out(struct encoder *e)
{
	if (e->low >> 32 != 0u) {
		uint32_t i = e->written;

		while (i > 0u && ++e->out[i - 1u] == 0u) {
			i--;
		}
		e->low &= 0xFFFFFFFFu;
	}
	put_byte(e, (uint8_t)(e->low >> 24));
	e->low = e->low << 8 & 0xFFFFFFFFu;
}

static void refill(struct encoder *e)
{
	while (e->f2.interval < 1u << 24) {
		e->f2.interval <<= 8;
		shift_out(e);
	}
}

static uint32_t code(struct tmd_f2 *s, uint32_t p, uint32_t bit)
{
	struct encoder *e = (struct encoder *)s;
	const uint32_t bound = (s->interval >> 12) * p;

	bit = bit != 0u;
	e->cost += e->costs[bit != 0u ? p : 4096u - p];
	if (e->trial) {
		return bit;
	}
	if (bit != 0u) {
		s->interval = bound;
	} else {
		e->low += bound;
		s->interval -= bound;
	}
	refill(e);
	return bit;
}

static uint32_t code_even(struct tmd_f2 *s, uint32_t n, uint32_t bits)
{
	struct encoder *e = (struct encoder *)s;

	e->cost += (uint64_t)n << 16;
	for (uint32_t i = n; i-- > 0u && !e->trial;) {
		s->interval >>= 1;
		if ((bits >> i & 1u) != 0u) {
			e->low += s->interval;
		}
		refill(e);
	}
	return bits;
}

/* As few bytes as still say which interval it is; the decoder reads zeros behind them. */
static void finish(struct encoder *e)
{
	const uint64_t high = e->low + e->f2.interval - 1u;

	for (uint32_t keep = 0; keep <= 4u; keep++) {
		const uint64_t mask = ((uint64_t)1 << (32u - 8u * keep)) - 1u;
		const uint64_t value = (e->low + mask) & ~mask;

		if (value <= high) {
			e->low = value;
			break;
		}
	}
	for (uint32_t i = 0; i < 4u; i++) {
		shift_out(e);
	}
	/* No more than the decoder reads beyond the end, though there may be zeros before these. */
	for (uint32_t i = 0; i < TMD_F2_BEYOND_MAX && e->written > 0u; i++) {
		if (e->out[e->written - 1u] != 0u) {
			break;
		}
		e->written--;
	}
}

/* ---- operations ---- */

/* Bytes that a repetition has to bring to be worth its description. */
#define REPEAT_MIN 4u

static void write_op(struct encoder *e, uint32_t op)
{
	struct tmd_f2 *s = &e->f2;

	(void)code_tree(s, &s->plan[F2_PLAN_OP + s->op * 8u], 3, op);
	e->before = s->op;
	s->op = (uint8_t)op;
	s->step = (uint8_t)op;
}

/* How many of the n bytes, which have just been passed, one copy brings out right. */
static uint32_t copies_right(struct encoder *e, uint32_t n)
{
	struct tmd_f2 *s = &e->f2;
	const uint8_t *target = &e->target[s->position - n];
	const uint32_t at = s->at - n;
	uint32_t done = 0;

	while (done < n) {
		uint8_t piece[64];
		uint32_t bytes = 64u - ((at + done) & 3u);

		bytes = tmd_min_u32(bytes, n - done);
		(void)copied_bytes(s, e, at + done, piece, bytes);
		for (uint32_t i = 0; i < bytes; i++) {
			if (piece[i] != target[done + i]) {
				return done + i;
			}
		}
		done += bytes;
	}
	return n;
}

/*
 * A copy may change a word that should stay as it is, because it became another one elsewhere. Then
 * it is cut in the midst of that word.
 */
static void write_copy(struct encoder *e)
{
	struct tmd_f2 *s = &e->f2;

	while (e->copy > 0u) {
		const uint32_t n = e->copy;
		const uint32_t right = copies_right(e, n);
		const uint32_t take = right == n ? n : ((s->at - n + right) & ~3u) + 1u - (s->at - n);

		e->copy -= take;
		write_op(e, TMD_F2_COPY);
		(void)code_length(s, e->before, e->copy == 0u && s->position == e->target_bytes ? 0u : take);
	}
}

static void write_seek(struct encoder *e, uint32_t at)
{
	struct tmd_f2 *s = &e->f2;

	if (at == s->at) {
		return;
	}
	write_copy(e);
	write_op(e, TMD_F2_SEEK);
	(void)code_signed(s, F2_NUMBER_SEEK, (int32_t)(at - s->at));
	s->at = at;
}

static void write_edit(struct encoder *e, uint32_t n)
{
	struct tmd_f2 *s = &e->f2;

	write_copy(e);
	write_op(e, TMD_F2_EDIT);
	(void)code_number(s, F2_NUMBER_EDIT, n - 1u);
	for (; n > 0u; n--, s->at++, s->position++) {
		uint8_t byte;

		(void)overlaid_bytes(s, e, s->at, &byte, 1);
		(void)code_byte(s, (uint8_t)(e->target[s->position] - byte));
	}
}

static void write_insert(struct encoder *e, uint32_t n)
{
	struct tmd_f2 *s = &e->f2;

	write_copy(e);
	write_op(e, TMD_F2_INSERT);
	(void)code_number(s, F2_NUMBER_INSERT, n - 1u);
	for (; n > 0u; n--, s->position++) {
		(void)code_byte(s, e->target[s->position]);
		keep(s, e->target[s->position]);
	}
}

/* back: 1 to 256 bytes */
static void write_repeat(struct encoder *e, uint32_t n, uint32_t back)
{
	struct tmd_f2 *s = &e->f2;

	write_copy(e);
	write_op(e, TMD_F2_REPEAT);
	(void)code_number(s, F2_NUMBER_REPEAT, n - 1u);
	(void)code_even(s, 8, back - 1u);
	for (; n > 0u; n--, s->position++) {
		keep(s, e->target[s->position]);
	}
}

/* The longest stretch of the n bytes from t on that the history has; 0 if none is worth it. */
static uint32_t longest_repeat(const struct tmd_f2 *s, const uint8_t *t, uint32_t n, uint32_t *back)
{
	uint32_t longest = 0;

	for (uint32_t b = 1; b <= TMD_F2_HISTORY && !s->lean; b++) {
		const uint32_t at = s->history_at - b;
		uint32_t k = 0;

		while (k < n && t[k] == (k < b ? s->history[(uint8_t)(at + k)] : t[k - b])) {
			k++;
		}
		if (k > longest) {
			longest = k;
			*back = b;
		}
	}
	return longest >= REPEAT_MIN ? longest : 0;
}

static void write_new(struct encoder *e, uint32_t n)
{
	const uint32_t end = e->f2.position + n;

	/* What repeats is found by looking ahead, byte by byte. */
	while (e->f2.position < end) {
		const uint32_t start = e->f2.position;
		struct tmd_f2 ahead = e->f2;
		uint32_t literals = 0, repeat = 0, back = 0;

		while (start + literals < end) {
			const uint8_t *t = &e->target[start + literals];

			repeat = longest_repeat(&ahead, t, end - start - literals, &back);
			if (repeat > 0u) {
				break;
			}
			keep(&ahead, *t);
			literals++;
		}
		if (literals > 0u) {
			write_insert(e, literals);
		}
		if (repeat > 0u) {
			write_repeat(e, repeat, back);
		}
	}
}

static void write_range(struct encoder *e, const struct tmd_hint *h)
{
	struct tmd_f2 *s = &e->f2;
	struct tmd_f2_range *r = &s->range;

	write_copy(e);
	write_op(e, TMD_F2_RANGE);
	r->parts = h->parts;
	r->at = h->base_at;
	r->product = h->product;
	s->count = h->n;
	s->factor_to = h->factor;
	s->renewed = has_part(r, F2_PRODUCT) &&
		     replaced(s, tmd_get_u32(&e->base[h->factor])) !=
			     tmd_get_u32(&e->target[h->factor_to]);
	s->field = 0;
	do {
		code_range_field(s);
	} while (s->left != 0u);
	(void)begin_range(s, e);
	while (s->left > 0u) {
		const uint32_t i = 4u * (s->count - s->left);
		const uint32_t to = s->renewed != 0u ? h->factor_to : h->target_at + i;

		code_renewed(s, tmd_get_u32(&e->base[renewed_at(s)]), tmd_get_u32(&e->target[to]));
	}
	end_range(s);
	for (uint32_t part = 0; part < F2_RANGE_PARTS; part++) {
		if (has_part(r, part)) {
			(void)overlaid_bytes(s, e, part_at(r, part), &e->view[part_at(r, part)],
					     4u * h->n);
		}
	}
}

/* ---- tensors ---- */

static uint32_t element_at(const uint8_t *p, uint32_t bytes)
{
	return bytes == 1u ? p[0] : bytes == 2u ? tmd_get_u16(p) : tmd_get_u32(p);
}

struct choice {
	uint8_t mode;
	const int32_t *gains; /* of each row */
};

/* The elements of a tensor that has been described. gains: of each row, if it has such. */
static void write_elements(struct encoder *e, const struct tmd_hint *h, const int32_t *gains)
{
	struct tmd_f2 *s = &e->f2;
	const uint32_t size = f2_element_bytes[s->type];
	bool more = true;

	s->step = TMD_F2_ELEMENTS;
	begin_tensor(s);
	while (more) {
		const uint8_t *t = &e->target[s->position];
		uint32_t offset, low = 0;
		const bool known = counterpart(s, &offset);

		s->gain = gains != NULL ? gains[s->i[0]] : 0;
		(void)begin_element(s, e, known, offset);
		if (known) {
			low = element_at(&e->base[h->base_at + offset], size);
		}
		low = code_element(s, low, element_at(t, size));
		if (s->type == TMD_F2_I64) {
			(void)code_high(s, low, tmd_get_u32(t + 4));
		}
		s->position += size;
		more = next_element(s);
	}
	s->at += tensor_bytes(s, s->e);
	s->step = TMD_F2_OPERATION;
}

/* slot is of the range with the scales, for a mode that needs it. */
static void write_tensor(struct encoder *e, const struct tmd_hint *h, const struct choice *c,
			 uint32_t slot)
{
	struct tmd_f2 *s = &e->f2;

	write_copy(e);
	write_op(e, TMD_F2_TENSOR);
	s->field = 0;
	s->type = h->type;
	memcpy(s->d, h->d, sizeof(s->d));
	memcpy(s->e, h->e, sizeof(s->e));
	s->mode = c->mode;
	s->slot = (uint8_t)slot;
	s->by_channel = h->by_channel;
	do {
		code_tensor_field(s);
	} while (s->left != 0u);
	write_elements(e, h, c->gains);
}

/* What writing the tensor so would cost, in 1/65536 bit. Everything is as it was before. */
static uint64_t tensor_cost(struct encoder *e, const struct tmd_hint *h, const struct choice *c,
			    uint32_t slot)
{
	struct encoder *kept = malloc(sizeof(*kept));
	uint64_t cost;

	if (kept == NULL) {
		return UINT64_MAX;
	}
	*kept = *e;
	e->trial = true;
	e->cost = 0;
	write_tensor(e, h, c, slot);
	cost = e->cost;
	*e = *kept;
	free(kept);
	return cost;
}

/* The weights that a row of the target and the same one of the base have in common. */
struct row {
	const uint8_t *base;
	const uint8_t *target;
	uint8_t flip;
	uint32_t d[2], e[2], n[2];
};

static struct row row_of(const struct encoder *e, const struct tmd_hint *h, uint32_t i)
{
	struct row row = {.flip = h->type == TMD_F2_U8 ? 128u : 0u};

	for (uint32_t k = 0; k < 2u; k++) {
		row.d[k] = h->d[k + 1u];
		row.e[k] = h->e[k + 1u];
		row.n[k] = i >= h->e[0] ? 0u : tmd_min_u32(row.d[k], row.e[k]);
	}
	row.target = &e->target[h->target_at + i * row.d[0] * row.d[1]];
	row.base = &e->base[h->base_at + (i >= h->e[0] ? 0u : i) * row.e[0] * row.e[1]];
	return row;
}

static double weight_of(uint8_t byte, const struct row *row)
{
	return (int8_t)(byte ^ row->flip);
}

/* About what a row costs in bits, with a gain. */
static double row_cost(const struct row *row, int32_t gain)
{
	const double factor = 1 + gain * ((1 << F2_GAIN_BITS) / 65536.0);
	double product = 1, cost = 0;

	for (uint32_t a = 0; a < row->n[0]; a++) {
		for (uint32_t c = 0; c < row->n[1]; c++) {
			const double b = weight_of(row->base[a * row->e[1] + c], row);
			const double t = weight_of(row->target[a * row->d[1] + c], row);

			product *= 0.3 + fabs(t - b * factor);
			if (product > 1e200 || product < 1e-200) { /* a logarithm for many at once */
				cost += log2(product);
				product = 1;
			}
		}
	}
	return cost + log2(product) + (gain == 0 ? 0 : 2 + 2 * log2(1 + abs(gain)));
}

/* Steps around the best one in the sense of least squares that are tried. */
#define GAINS_TRIED 6

static int32_t best_gain(const struct row *row)
{
	const double one = 65536.0 / (1 << F2_GAIN_BITS);
	double bb = 0, bt = 0, best = row_cost(row, 0), gain;
	int32_t best_at = 0;

	for (uint32_t a = 0; a < row->n[0]; a++) {
		for (uint32_t c = 0; c < row->n[1]; c++) {
			const double b = weight_of(row->base[a * row->e[1] + c], row);

			bb += b * b;
			bt += b * weight_of(row->target[a * row->d[1] + c], row);
		}
	}
	gain = bb > 0 ? floor((bt / bb - 1) * one + 0.5) : 0;
	gain = gain < -one ? -one : gain > 4 * one ? 4 * one : gain;
	for (int32_t k = -GAINS_TRIED; k <= GAINS_TRIED; k++) {
		const double cost = row_cost(row, (int32_t)gain + k);

		if (cost < best && gain + k > -one) {
			best = cost;
			best_at = (int32_t)gain + k;
		}
	}
	return best_at;
}

/* The gain of each row; NULL where memory is short. */
static int32_t *gains_of(const struct encoder *e, const struct tmd_hint *h)
{
	int32_t *gains = malloc(h->d[0] * sizeof(*gains));

	for (uint32_t i = 0; gains != NULL && i < h->d[0]; i++) {
		const struct row row = row_of(e, h, i);

		gains[i] = best_gain(&row);
	}
	return gains;
}

/* Weights of a row from which on a gain of its own can be worth it. */
#define GAIN_FROM 8u

static void encode_tensor(struct encoder *e, const struct tmd_hint *h, int32_t range)
{
	const bool weights = h->type <= TMD_F2_U8;
	const uint32_t slot = range >= 0 ? (uint32_t)range : 0u;
	struct choice choices[4] = {{TMD_F2_PLAIN, NULL}};
	uint64_t best_cost = UINT64_MAX;
	uint32_t n = 1, best = 0;
	int32_t *gains = NULL;

	write_seek(e, h->base_at);
	write_copy(e);
	if (weights) {
		choices[n++] = (struct choice){TMD_F2_NEW, NULL};
	}
	if (range >= 0 && (weights || h->type == TMD_F2_I32 || h->type == TMD_F2_I64)) {
		choices[n++] = (struct choice){TMD_F2_SCALED, NULL};
	}
	if (weights && !h->by_channel && h->d[1] * h->d[2] >= GAIN_FROM) {
		gains = gains_of(e, h);
		if (gains != NULL) {
			choices[n++] = (struct choice){TMD_F2_GAINED, gains};
		}
	}
	for (uint32_t k = 0; k < n && n > 1u; k++) {
		const uint64_t cost = tensor_cost(e, h, &choices[k], slot);

		if (cost < best_cost) {
			best_cost = cost;
			best = k;
		}
	}
	write_tensor(e, h, &choices[best], slot);
	free(gains);
}

/* ---- what lies between ---- */

struct piece {
	uint8_t op;
	uint32_t n;
	uint32_t at;
};

static void add_piece(struct piece *pieces, uint32_t *n, uint8_t op, uint32_t bytes, uint32_t at)
{
	struct piece *last = *n > 0u ? &pieces[*n - 1u] : NULL;

	if (last != NULL && last->op == op && (op == TMD_F2_INSERT || last->at + last->n == at)) {
		last->n += bytes;
	} else {
		pieces[(*n)++] = (struct piece){op, bytes, at};
	}
}

/* Bytes that an edit may take along as unchanged; less than that is cheaper than a copy between. */
#define BRIDGE 2u

/* Cut target[position, to) into copies, edits and insertions, along what matches. */
static uint32_t cut(struct encoder *e, const uint32_t *match, uint32_t to, struct piece *pieces)
{
	struct tmd_f2 *s = &e->f2;
	const uint32_t from = s->position;
	uint32_t n = 0, kept = 0;

	for (uint32_t i = 0; i < to - from;) {
		const uint32_t at = match[i];
		const uint8_t *t = &e->target[from + i];
		uint8_t buf[4];

		if (at == TMD_MATCH_NONE) {
			add_piece(pieces, &n, TMD_F2_INSERT, 1, 0);
			i++;
			continue;
		}
		if ((at & 3u) == 0u && to - from - i >= 4u && match[i + 3u] == at + 3u) {
			(void)copied_bytes(s, e, at, buf, 4);
			if (memcmp(buf, t, 4) == 0) {
				add_piece(pieces, &n, TMD_F2_COPY, 4, at);
				i += 4u;
				continue;
			}
		}
		(void)overlaid_bytes(s, e, at, buf, 1);
		add_piece(pieces, &n, buf[0] == t[0] ? TMD_F2_COPY : TMD_F2_EDIT, 1, at);
		i++;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct piece *last = kept > 0u ? &pieces[kept - 1u] : NULL;

		if (last != NULL && last->op == TMD_F2_EDIT && pieces[i].op == TMD_F2_COPY &&
		    pieces[i].n <= BRIDGE && i + 1u < n && pieces[i + 1u].op == TMD_F2_EDIT &&
		    last->at + last->n == pieces[i].at &&
		    pieces[i].at + pieces[i].n == pieces[i + 1u].at) {
			last->n += pieces[i].n + pieces[i + 1u].n;
			i++;
		} else {
			pieces[kept++] = pieces[i];
		}
	}
	return kept;
}

/* Encode up to target offset `to` in copies, edits and insertions, along what matches. */
static void encode_bytes(struct encoder *e, const uint32_t *match, uint32_t to, struct piece *pieces)
{
	struct tmd_f2 *s = &e->f2;
	const uint32_t n = cut(e, match, to, pieces);

	for (uint32_t i = 0; i < n; i++) {
		const struct piece *p = &pieces[i];

		if (p->op == TMD_F2_INSERT) {
			write_new(e, p->n);
			continue;
		}
		write_seek(e, p->at);
		if (p->op == TMD_F2_EDIT) {
			write_edit(e, p->n);
		} else {
			e->copy += p->n;
			s->at += p->n;
			s->position += p->n;
		}
	}
}

/* Words in a row that may be unchanged between changed ones. */
#define WORDS_BETWEEN 2u

/* Whether the 4 bytes from t on come from a word of the base; and if so, whether it has changed. */
static bool is_word(struct encoder *e, const uint32_t *match, const uint8_t *t, bool *changed)
{
	uint8_t buf[4];

	if (match[0] == TMD_MATCH_NONE || (match[0] & 3u) != 0u) {
		return false;
	}
	for (uint32_t b = 1; b < 4u; b++) {
		if (match[b] != match[0] + b) {
			return false;
		}
	}
	(void)copied_bytes(&e->f2, e, match[0], buf, 4);
	*changed = memcmp(buf, t, 4) != 0;
	return true;
}

/*
 * Tables of offsets change word by word. How many words that have changed stand in a row from t on,
 * with few others between them; 0 if these are too few.
 */
static uint32_t words_here(struct encoder *e, const uint32_t *match, const uint8_t *t, uint32_t bytes)
{
	uint32_t last = 0;
	bool changed = false;

	if (bytes < 4u || !is_word(e, match, t, &changed) || !changed) {
		return 0;
	}
	for (uint32_t w = 1; 4u * w + 4u <= bytes && w <= last + WORDS_BETWEEN + 1u; w++) {
		if (match[4u * w] != match[0] + 4u * w ||
		    !is_word(e, &match[4u * w], &t[4u * w], &changed)) {
			break;
		}
		last = changed ? w : last;
	}
	return last + 1u >= e->table_from ? last + 1u : 0u;
}

/* Encode so many words of whole numbers as a tensor, if that is cheaper than as bytes. */
static void encode_table(struct encoder *e, const uint32_t *match, uint32_t words,
			 struct piece *pieces)
{
	static const struct choice plain = {TMD_F2_PLAIN, NULL};
	const struct tmd_hint h = {.type = TMD_F2_I32,
				   .base_at = match[0],
				   .d = {1, 1, words},
				   .e = {1, 1, words}};
	struct encoder *kept = malloc(sizeof(*kept));
	const uint32_t to = e->f2.position + 4u * words;
	uint64_t as_bytes = 0;

	write_seek(e, match[0]);
	if (kept != NULL) {
		*kept = *e;
		e->trial = true;
		e->cost = 0;
		encode_bytes(e, match, to, pieces);
		write_copy(e);
		as_bytes = e->cost;
		*e = *kept;
		free(kept);
	}
	if (tensor_cost(e, &h, &plain, 0) < as_bytes) {
		write_tensor(e, &h, &plain, 0);
	} else {
		encode_bytes(e, match, to, pieces);
	}
}

/* Encode up to target offset `to`, where the base would go on at `base_at`. */
static int encode_gap(struct encoder *e, struct tmd_matcher *matcher, uint32_t to, uint32_t base_at)
{
	struct tmd_f2 *s = &e->f2;
	const uint32_t from = s->position;
	const uint32_t bytes = to - from;
	uint32_t *match;
	struct piece *pieces;
	int err = TMD_OK;

	if (bytes == 0u) {
		return TMD_OK;
	}
	match = malloc(bytes * sizeof(*match));
	pieces = malloc(bytes * sizeof(*pieces));
	if (match == NULL || pieces == NULL ||
	    tmd_match(matcher, e->target, from, to, s->at, base_at, match) != 0) {
		err = TMD_ERR_ARGUMENT;
	}
	while (err == TMD_OK && s->position < to) {
		const uint32_t *here = &match[s->position - from];
		uint32_t i = 0, words = 0;

		/* As bytes, up to where changed words stand in a row. */
		while (s->position + i < to && words == 0u) {
			words = words_here(e, &here[i], &e->target[s->position + i],
					   to - s->position - i);
			i += words == 0u ? 1u : 0u;
		}
		if (i > 0u) {
			encode_bytes(e, here, s->position + i, pieces);
		}
		if (words > 0u) {
			encode_table(e, &here[i], words, pieces);
		}
	}
	free(match);
	free(pieces);
	return err;
}

/* ---- the whole body ---- */

/* Scales that stand here: copied, if the decoder has brought them out right by itself. */
static void encode_words(struct encoder *e, const struct tmd_hint *h)
{
	struct tmd_f2 *s = &e->f2;

	write_seek(e, h->base_at);
	s->at += 4u * h->n;
	s->position += 4u * h->n;
	if (copies_right(e, 4u * h->n) == 4u * h->n) {
		e->copy += 4u * h->n;
		return;
	}
	s->at -= 4u * h->n;
	s->position -= 4u * h->n;
	write_copy(e);
	write_op(e, TMD_F2_WORDS);
	s->d[2] = h->n;
	code_words(s);
	write_elements(e, h, NULL);
}

static bool inside(uint32_t at, uint64_t bytes, uint32_t whole)
{
	return at <= whole && bytes <= whole - at;
}

#define HAS(part) (1u << TMD_F2_HAS_##part)

static bool hint_is_sound(const struct encoder *e, const struct tmd_hint *hints, uint32_t i)
{
	const struct tmd_hint *h = &hints[i];
	const uint64_t words = 4u * (uint64_t)h->n;
	uint64_t d = 1, b = 1;

	switch (h->kind) {
	case TMD_HINT_TENSOR:
		if (h->type > TMD_F2_F16 || h->range >= (int32_t)i ||
		    (h->range >= 0 && hints[h->range].kind != TMD_HINT_RANGE)) {
			return false;
		}
		for (uint32_t k = 0; k < 3u; k++) {
			d *= h->d[k];
			b *= h->e[k];
			if (h->d[k] == 0u || h->e[k] == 0u || d > e->target_bytes ||
			    b > e->base_bytes) {
				return false;
			}
		}
		return h->target_at >= e->f2.position &&
		       inside(h->target_at, d * f2_element_bytes[h->type], e->target_bytes) &&
		       inside(h->base_at, b * f2_element_bytes[h->type], e->base_bytes);
	case TMD_HINT_WORDS:
		return h->n > 0u && h->target_at >= e->f2.position &&
		       inside(h->target_at, words, e->target_bytes) &&
		       inside(h->base_at, words, e->base_bytes);
	case TMD_HINT_RANGE:
		return h->n > 0u && h->parts < 8u &&
		       h->n <= ((h->parts & HAS(CHANGED)) != 0u ? TMD_F2_POOL : TMD_F2_RANGE_MAX) &&
		       h->base_at % 4u == 0u && inside(h->target_at, words, e->target_bytes) &&
		       inside(h->base_at, (h->parts & HAS(LIMITS)) != 0u ? 3u * words + 8u : words,
			      e->base_bytes) &&
		       ((h->parts & HAS(PRODUCT)) == 0u ||
			((h->product | h->factor) % 4u == 0u &&
			 inside(h->product, words, e->base_bytes) &&
			 inside(h->factor, 4, e->base_bytes) &&
			 inside(h->factor_to, 4, e->target_bytes)));
	default:
		return false;
	}
}

/* What a lean decoder knows. */
static bool lean_takes(const struct tmd_hint *h)
{
	return h->kind == TMD_HINT_WORDS ||
	       (h->kind == TMD_HINT_TENSOR &&
		(h->type == TMD_F2_I8 || h->type == TMD_F2_I32 || h->type == TMD_F2_F32));
}

static int encode_hint(struct encoder *e, struct tmd_matcher *matcher,
		       const struct tmd_hint *hints, uint32_t i, int32_t *slots,
		       struct tmd_encoder_result *result)
{
	const struct tmd_hint *h = &hints[i];
	const uint64_t before = e->cost;
	uint64_t gap;
	int err;

	if (!hint_is_sound(e, hints, i)) {
		return TMD_ERR_ARGUMENT;
	}
	if (e->f2.lean && !lean_takes(h)) {
		return TMD_OK; /* its bytes are encoded as if nothing were known of them */
	}
	if (h->kind == TMD_HINT_RANGE) {
		slots[i] = e->f2.range_n;
		for (uint32_t k = 0; k < i; k++) { /* the one that stood in its place is gone */
			slots[k] = slots[k] == slots[i] ? -1 : slots[k];
		}
		write_range(e, h);
		result->scales += (uint32_t)((e->cost - before) >> 16);
		return TMD_OK;
	}
	err = encode_gap(e, matcher, h->target_at, h->base_at);
	gap = e->cost;
	result->skeleton += (uint32_t)((gap - before) >> 16);
	if (err == TMD_OK && h->kind == TMD_HINT_TENSOR) {
		encode_tensor(e, h, h->range >= 0 && !e->f2.lean ? slots[h->range] : -1);
		result->tensors += (uint32_t)((e->cost - gap) >> 16);
	} else if (err == TMD_OK) {
		encode_words(e, h);
		result->scales += (uint32_t)((e->cost - gap) >> 16);
	}
	return err;
}

static uint32_t *decision_costs(void)
{
	uint32_t *costs = malloc(4097 * sizeof(*costs));

	if (costs != NULL) {
		costs[0] = 0;
		for (uint32_t p = 1; p <= 4096u; p++) {
			costs[p] = (uint32_t)(65536 * -log2(p / 4096.0) + 0.5);
		}
	}
	return costs;
}

int tmd_encode(const uint8_t *base, uint32_t base_bytes_n, const uint8_t *target,
	       uint32_t target_bytes, const struct tmd_hint *hints, uint32_t hints_n, int lean,
	       uint32_t prices, uint8_t *out, uint32_t room, void (*progress)(uint32_t done),
	       struct tmd_encoder_result *result)
{
	struct encoder *e = calloc(1, sizeof(*e));
	uint8_t *view = malloc(base_bytes_n);
	struct tmd_matcher *matcher = NULL;
	int32_t *slots = calloc(hints_n + 1u, sizeof(*slots));
	int err = TMD_ERR_ARGUMENT;

	memset(result, 0, sizeof(*result));
	if (view != NULL && prices < TMD_PRICE_LISTS) {
		memcpy(view, base, base_bytes_n);
		matcher = tmd_matcher_new(view, base_bytes_n, prices);
	}
	if (e != NULL && matcher != NULL && slots != NULL && (e->costs = decision_costs()) != NULL) {
		e->base = base;
		e->view = view;
		e->base_bytes = base_bytes_n;
		e->target = target;
		e->target_bytes = target_bytes;
		e->out = out;
		e->room = room;
		e->f2.interval = 0xFFFFFFFFu;
		e->f2.lean = lean != 0;
		e->table_from = prices == TMD_PRICE_LISTS - 1u ? 1u : 2u;
		start_models(&e->f2);
		err = TMD_OK;
		for (uint32_t i = 0; err == TMD_OK && i < hints_n; i++) {
			err = encode_hint(e, matcher, hints, i, slots, result);
			if (progress != NULL) {
				progress(e->f2.position);
			}
		}
		if (err == TMD_OK) {
			const uint64_t before = e->cost;

			err = encode_gap(e, matcher, target_bytes, base_bytes_n);
			write_copy(e);
			result->skeleton += (uint32_t)((e->cost - before) >> 16);
		}
		finish(e);
		result->bytes = e->written;
		result->skeleton /= 8u;
		result->scales /= 8u;
		result->tensors /= 8u;
		if (e->full) {
			err = TMD_ERR_ARGUMENT;
		}
	}
	if (e != NULL) {
		free(e->costs);
	}
	free(e);
	free(view);
	free(slots);
	tmd_matcher_free(matcher);
	return err;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "operations.h"

#define F2_ENV struct encoder

static int base_bytes(struct encoder *e, uint32_t at, uint8_t *buf, uint32_t bytes)
{
	memcpy(buf, e->base + at, bytes);
	return TMD_OK;
}

static uint32_t code(struct tmd_f2 *s, uint32_t p, uint32_t bit);
static uint32_t code_even(struct tmd_f2 *s, uint32_t n, uint32_t bits);

#include "../../zephyr_module/core/elements.h"

/* ---- one decision ---- */

static uint32_t code(struct tmd_f2 *s, uint32_t p, uint32_t bit)
{
	struct encoder *e = (struct encoder *)s;

	bit = bit != 0u;
	e->cost += e->costs[bit != 0u ? p : 4096u - p];
	if (!e->trial) {
		tmd_coder_bit(&e->coder, p, bit);
	}
	return bit;
}

static uint32_t code_even(struct tmd_f2 *s, uint32_t n, uint32_t bits)
{
	struct encoder *e = (struct encoder *)s;

	e->cost += (uint64_t)n << 16;
	if (!e->trial) {
		tmd_coder_even(&e->coder, n, bits);
	}
	return bits;
}

void tmd_write_start(struct encoder *e)
{
	tmd_coder_start(&e->coder);
	start_models(&e->f2);
}

struct encoder *tmd_trial_begin(struct encoder *e)
{
	struct encoder *kept = malloc(sizeof(*kept));

	if (kept != NULL) {
		*kept = *e;
		e->trial = true;
		e->cost = 0;
	}
	return kept;
}

uint64_t tmd_trial_end(struct encoder *e, struct encoder *kept)
{
	const uint64_t cost = e->cost;

	*e = *kept;
	free(kept);
	return cost;
}

void tmd_copied_bytes(struct encoder *e, uint32_t at, uint8_t *buf, uint32_t bytes)
{
	(void)copied_bytes(&e->f2, e, at, buf, bytes);
}

void tmd_edited_bytes(struct encoder *e, uint32_t at, uint8_t *buf, uint32_t bytes)
{
	(void)overlaid_bytes(&e->f2, e, at, buf, bytes);
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
void tmd_write_copy(struct encoder *e)
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

void tmd_add_copy(struct encoder *e, uint32_t n)
{
	e->copy += n;
	e->f2.at += n;
	e->f2.position += n;
}

void tmd_write_seek(struct encoder *e, uint32_t at)
{
	struct tmd_f2 *s = &e->f2;

	if (at == s->at) {
		return;
	}
	tmd_write_copy(e);
	write_op(e, TMD_F2_SEEK);
	(void)code_signed(s, F2_NUMBER_SEEK, (int32_t)(at - s->at));
	s->at = at;
}

void tmd_write_edit(struct encoder *e, uint32_t n)
{
	struct tmd_f2 *s = &e->f2;

	tmd_write_copy(e);
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

	tmd_write_copy(e);
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

	tmd_write_copy(e);
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

void tmd_write_new(struct encoder *e, uint32_t n)
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

void tmd_write_range(struct encoder *e, const struct tmd_hint *h)
{
	struct tmd_f2 *s = &e->f2;
	struct tmd_f2_range *r = &s->range;

	tmd_write_copy(e);
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

void tmd_write_tensor(struct encoder *e, const struct tmd_hint *h, const struct choice *c,
		      uint32_t slot)
{
	struct tmd_f2 *s = &e->f2;

	tmd_write_copy(e);
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

uint64_t tmd_tensor_cost(struct encoder *e, const struct tmd_hint *h, const struct choice *c,
			 uint32_t slot)
{
	struct encoder *kept = tmd_trial_begin(e);

	if (kept == NULL) {
		return UINT64_MAX;
	}
	tmd_write_tensor(e, h, c, slot);
	return tmd_trial_end(e, kept);
}

void tmd_write_words(struct encoder *e, const struct tmd_hint *h)
{
	struct tmd_f2 *s = &e->f2;

	tmd_write_seek(e, h->base_at);
	s->at += 4u * h->n;
	s->position += 4u * h->n;
	if (copies_right(e, 4u * h->n) == 4u * h->n) {
		e->copy += 4u * h->n;
		return;
	}
	s->at -= 4u * h->n;
	s->position -= 4u * h->n;
	tmd_write_copy(e);
	write_op(e, TMD_F2_WORDS);
	s->d[2] = h->n;
	code_words(s);
	write_elements(e, h, NULL);
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The body of format 2: one range-coded stream of operations that build the target from front to
 * back. The decoder takes one small step at a time, and only when there is enough input for it, so
 * that no step has to be interrupted.
 */
#include <string.h>

#include "format2.h"

#if TMD_DECODER != TMD_DECODER_NONE

#define F2_ENV const struct tmd_patch_io

static TMD_INLINE uint32_t code(struct tmd_f2 *s, uint32_t p, uint32_t bit);
static uint32_t code_even(struct tmd_f2 *s, uint32_t n, uint32_t bits);

static int base_bytes(const struct tmd_patch_io *io, uint32_t at, uint8_t *buf, uint32_t bytes)
{
	return io->read_base(io->ctx, at, buf, bytes);
}

#include "elements.h"

/* ---- the range decoder ---- */

/*
 * More input than one step can use. The longest are the first element of a row, with its gain: up to
 * 86 bytes, as tests/codegen/test_step_input.py works out from the tables.
 */
#define STEP_INPUT 112u

/* Behind the end come zeros, which the encoder has left out; more than the coder holds are a fault. */
#define BEYOND_MAX TMD_F2_BEYOND_MAX

static uint32_t next_byte(struct tmd_f2 *s)
{
	if (s->in_n == 0u) {
		s->beyond = (uint8_t)(s->beyond + (s->beyond <= BEYOND_MAX ? 1u : 0u));
		return 0;
	}
	s->in_n--;
	return s->in[s->in_at++ % TMD_F2_INPUT];
}

static void refill(struct tmd_f2 *s)
{
	while (s->interval < 1u << 24) {
		s->interval <<= 8;
		s->code = s->code << 8 | next_byte(s);
	}
}

static TMD_INLINE uint32_t code(struct tmd_f2 *s, uint32_t p, uint32_t bit)
{
	const uint32_t bound = (s->interval >> 12) * p;

	bit = s->code < bound;
	if (bit != 0u) {
		s->interval = bound;
	} else {
		s->code -= bound;
		s->interval -= bound;
	}
	refill(s);
	return bit;
}

static uint32_t code_even(struct tmd_f2 *s, uint32_t n, uint32_t bits)
{
	for (bits = 0; n > 0u; n--) {
		s->interval >>= 1;
		bits <<= 1;
		if (s->code >= s->interval) {
			s->code -= s->interval;
			bits |= 1u;
		}
		refill(s);
	}
	return bits;
}

/* ---- output ---- */

static int flush(struct tmd_f2 *s, const struct tmd_patch_io *io)
{
	const uint32_t n = s->out_n;

	s->out_n = 0;
	return n == 0u ? TMD_OK : io->emit(io->ctx, s->out, n);
}

/* A little-endian number of `bytes` (1 to 4). */
static int put(struct tmd_f2 *s, const struct tmd_patch_io *io, uint32_t value, uint32_t bytes)
{
	int err = TMD_OK;

	if (s->out_n + bytes > sizeof(s->out)) {
		err = flush(s, io);
	}
	s->position += bytes;
	for (; bytes > 0u; bytes--, value >>= 8) {
		s->out[s->out_n++] = (uint8_t)value;
	}
	return err;
}

/* ---- operations ---- */

static uint32_t base_left(const struct tmd_patch *patch)
{
	return patch->info.base_bytes - patch->f2.at;
}

static uint32_t target_left(const struct tmd_patch *patch)
{
	return patch->info.target_bytes - patch->f2.position;
}

static TMD_NOINLINE bool tensor_fits(const struct tmd_f2 *s, const uint32_t *d, uint32_t bytes)
{
	const uint32_t most = bytes / f2_element_bytes[s->type];

	return d[0] <= most && d[1] <= most / d[0] && d[2] <= most / d[0] / d[1];
}

static bool decoder_takes(const struct tmd_f2 *s)
{
#if TMD_F2_FULL
	if (!TMD_F2_IS_LEAN(s)) {
		return s->mode != TMD_F2_SCALED || s->ranges[s->slot].n > 0u;
	}
#endif
	return s->mode != TMD_F2_SCALED && (s->type == TMD_F2_I8 || s->type == TMD_F2_I32 ||
					    s->type == TMD_F2_F32 || s->type == TMD_F2_SCALE);
}

/* A tensor's description is complete: its elements come. */
static int begin_elements(struct tmd_patch *patch)
{
	struct tmd_f2 *s = &patch->f2;

	s->step = TMD_F2_ELEMENTS;
	if (!tensor_fits(s, s->d, target_left(patch)) || !tensor_fits(s, s->e, base_left(patch)) ||
	    !decoder_takes(s)) {
		return TMD_ERR_BODY;
	}
	begin_tensor(s);
	return TMD_OK;
}

static int begin_operation(struct tmd_patch *patch)
{
	struct tmd_f2 *s = &patch->f2;
	const uint32_t before = s->op;
	const uint32_t op = code_tree(s, &s->plan[F2_PLAN_OP + before * 8u], 3, 0);
	uint32_t most = target_left(patch);

	s->op = (uint8_t)op;
	s->step = (uint8_t)op;
	s->field = 0;
	s->left = 1; /* until all fields have come */
	switch (op) {
	case TMD_F2_COPY:
		s->left = code_length(s, before, 0);
		s->left = s->left == 0u ? most : s->left;
		most = tmd_min_u32(most, base_left(patch));
		break;
	case TMD_F2_EDIT:
		most = tmd_min_u32(most, base_left(patch));
		/* fall through */
	case TMD_F2_INSERT:
	case TMD_F2_REPEAT:
		s->left = code_number(s, F2_NUMBER_EDIT + op - TMD_F2_EDIT, 0) + 1u;
		if (op == TMD_F2_REPEAT) {
			s->back = (uint8_t)(code_even(s, 8, 0) + 1u);
			most = TMD_F2_IS_LEAN(s) ? 0u : most;
		}
		break;
	case TMD_F2_SEEK:
		s->step = TMD_F2_OPERATION;
		s->at += (uint32_t)code_signed(s, F2_NUMBER_SEEK, 0);
		most = s->at <= patch->info.base_bytes;
		break;
	case TMD_F2_RANGE:
		most = !TMD_F2_IS_LEAN(s);
		break;
	case TMD_F2_WORDS:
		code_words(s);
		return begin_elements(patch);
	default:
		break;
	}
	return s->left <= most ? TMD_OK : TMD_ERR_BODY;
}

static TMD_NOINLINE int copy_piece(struct tmd_f2 *s, const struct tmd_patch_io *io)
{
	uint8_t piece[64];
	uint32_t n = sizeof(piece) - (s->at & 3u); /* no word is cut that need not be */
	int err = flush(s, io);

	n = tmd_min_u32(n, s->left);
	if (err == TMD_OK) {
		err = copied_bytes(s, io, s->at, piece, n);
	}
	s->at += n;
	s->position += n;
	s->left -= n;
	return err == TMD_OK ? io->emit(io->ctx, piece, n) : err;
}

/*
 * One byte of an edit, where it is the difference from the base's; of an insertion; or of a
 * repetition of what was inserted before.
 */
static TMD_NOINLINE int literal(struct tmd_f2 *s, const struct tmd_patch_io *io)
{
	uint8_t byte = 0;
	int err = TMD_OK;

	if (s->step == TMD_F2_EDIT) {
		err = overlaid_bytes(s, io, s->at++, &byte, 1);
	}
#if TMD_F2_FULL
	if (s->step == TMD_F2_REPEAT) {
		byte = s->history[(uint8_t)(s->history_at - s->back)];
	} else
#endif
	{
		byte = (uint8_t)(byte + code_byte(s, 0));
	}
	if (s->step != TMD_F2_EDIT) {
		keep(s, byte);
	}
	s->left--;
	return err == TMD_OK ? put(s, io, byte, 1) : err;
}

/* The next field of a tensor's description. */
static int tensor_field(struct tmd_patch *patch)
{
	struct tmd_f2 *s = &patch->f2;

	code_tensor_field(s);
	return s->left != 0u ? TMD_OK : begin_elements(patch);
}

/* The base's bytes of an element, through a window, because reading flash piecemeal is slow. */
static int base_element(struct tmd_patch *patch, const struct tmd_patch_io *io, uint32_t offset,
			uint32_t *low, uint32_t *high)
{
	struct tmd_f2 *s = &patch->f2;
	const uint32_t at = s->at + offset;
	const uint32_t bytes = f2_element_bytes[s->type];
	const uint8_t *p;

	if (at - s->window_at >= s->window_n || at - s->window_at + bytes > s->window_n) {
		int err;

		s->window_at = at;
		s->window_n = (uint8_t)tmd_min_u32(patch->info.base_bytes - at, sizeof(s->window));
		err = base_bytes(io, at, s->window, s->window_n);
		if (err != TMD_OK) {
			return err;
		}
	}
	p = &s->window[at - s->window_at];
	*low = bytes == 1u ? p[0] : bytes == 2u ? tmd_get_u16(p) : tmd_get_u32(p);
	*high = bytes == 8u ? tmd_get_u32(p + 4) : 0;
	return TMD_OK;
}

static int next_of_tensor(struct tmd_patch *patch, const struct tmd_patch_io *io)
{
	struct tmd_f2 *s = &patch->f2;
	uint32_t offset, low = 0, high = 0;
	const bool known = counterpart(s, &offset);
	int err = begin_element(s, io, known, offset);

	if (err == TMD_OK && known) {
		err = base_element(patch, io, offset, &low, &high);
	}
	if (err != TMD_OK) {
		return err;
	}
	low = code_element(s, low, 0);
	high = s->type == TMD_F2_I64 ? code_high(s, low, 0) : 0;
	if (!next_element(s)) {
		s->at += tensor_bytes(s, s->e);
		s->step = TMD_F2_OPERATION;
	}
	err = put(s, io, low, tmd_min_u32(f2_element_bytes[s->type], 4));
	return err == TMD_OK && s->type == TMD_F2_I64 ? put(s, io, high, 4) : err;
}

#if TMD_F2_FULL

static bool words_inside(const struct tmd_patch *patch, uint32_t at, uint32_t n)
{
	return at <= patch->info.base_bytes && n <= (patch->info.base_bytes - at) / 4u;
}

/* After the last word of a range that comes. */
static TMD_NOINLINE void range_done(struct tmd_f2 *s)
{
	if (s->left == 0u) {
		end_range(s);
		s->step = TMD_F2_OPERATION;
	}
}

/* The next field of a range. After the last one come its words, if it has any. */
static int range_field(struct tmd_patch *patch, const struct tmd_patch_io *io)
{
	struct tmd_f2 *s = &patch->f2;
	struct tmd_f2_range *r = &s->range;
	int err;

	code_range_field(s);
	if (s->left != 0u) {
		return TMD_OK;
	}
	if (s->count > (has_part(r, F2_SCALES_PART) ? TMD_F2_POOL : TMD_F2_RANGE_MAX) ||
	    !words_inside(patch, r->at, has_part(r, F2_LIMITS_PART) ? 3u * s->count + 2u : s->count) ||
	    (has_part(r, F2_PRODUCT) && (!words_inside(patch, r->product, s->count) ||
					 !words_inside(patch, s->factor_at, 1)))) {
		return TMD_ERR_BODY;
	}
	err = begin_range(s, io);
	s->step = TMD_F2_RANGE_WORDS;
	range_done(s);
	return err;
}

static TMD_NOINLINE int range_word(struct tmd_f2 *s, const struct tmd_patch_io *io)
{
	uint8_t buf[4];
	const int err = base_bytes(io, renewed_at(s), buf, 4);

	code_renewed(s, tmd_get_u32(buf), 0);
	range_done(s);
	return err;
}

#endif

static TMD_NOINLINE void begin_body(struct tmd_f2 *s)
{
	s->interval = 0xFFFFFFFFu;
	for (uint32_t i = 0; i < 4u; i++) {
		s->code = s->code << 8 | next_byte(s);
	}
	start_models(s);
	s->step = TMD_F2_OPERATION;
}

static int do_step(struct tmd_patch *patch, const struct tmd_patch_io *io)
{
	struct tmd_f2 *s = &patch->f2;
	int err;

	switch (s->step) {
	case TMD_F2_BEGIN:
		begin_body(s);
		return TMD_OK;
	case TMD_F2_OPERATION:
		return begin_operation(patch);
	case TMD_F2_TENSOR:
		return tensor_field(patch);
	case TMD_F2_ELEMENTS:
		return next_of_tensor(patch, io);
#if TMD_F2_FULL
	case TMD_F2_RANGE:
		return range_field(patch, io);
	case TMD_F2_RANGE_WORDS:
		return range_word(s, io);
#endif
	case TMD_F2_COPY:
		err = copy_piece(s, io);
		break;
	default:
		err = literal(s, io);
		break;
	}
	if (s->left == 0u) {
		s->step = TMD_F2_OPERATION;
	}
	return err;
}

/* As far as the input reaches. */
static int run(struct tmd_patch *patch, const struct tmd_patch_io *io)
{
	struct tmd_f2 *s = &patch->f2;
	int err = TMD_OK;

	while (err == TMD_OK && s->position < patch->info.target_bytes &&
	       (s->in_n >= STEP_INPUT || s->ended != 0u || s->step == TMD_F2_COPY)) {
		err = do_step(patch, io);
		if (err == TMD_OK && s->beyond > BEYOND_MAX) {
			err = TMD_ERR_TRUNCATED;
		}
	}
	if (err == TMD_OK && s->position == patch->info.target_bytes) {
		err = s->in_n > 0u ? TMD_ERR_TRAILING : flush(s, io);
	}
	return err;
}

int tmd_f2_body(struct tmd_patch *patch, const struct tmd_patch_io *io, const uint8_t *data,
		size_t bytes)
{
	struct tmd_f2 *s = &patch->f2;
	int err = TMD_OK;

	while (err == TMD_OK && bytes > 0u) {
		while (bytes > 0u && s->in_n < TMD_F2_INPUT) {
			s->in[(s->in_at + s->in_n++) % TMD_F2_INPUT] = *data++;
			bytes--;
		}
		err = run(patch, io);
	}
	return err;
}

int tmd_f2_end(struct tmd_patch *patch, const struct tmd_patch_io *io)
{
	patch->f2.ended = 1;
	return run(patch, io);
}

#endif

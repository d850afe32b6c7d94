/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The encoder of format 2's body, hint by hint. Where a tensor can be predicted in several ways, tries
 * what each would cost and takes the cheapest.
 */
#include "encoder.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../zephyr_module/core/tables.h"
#include "gains.h"
#include "gaps.h"
#include "match.h"
#include "operations.h"

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

	tmd_write_seek(e, h->base_at);
	tmd_write_copy(e);
	if (weights) {
		choices[n++] = (struct choice){TMD_F2_NEW, NULL};
	}
	if (range >= 0 && (weights || h->type == TMD_F2_I32 || h->type == TMD_F2_I64)) {
		choices[n++] = (struct choice){TMD_F2_SCALED, NULL};
	}
	if (weights && !h->by_channel && h->d[1] * h->d[2] >= GAIN_FROM) {
		gains = tmd_gains(e->base, e->target, h);
		if (gains != NULL) {
			choices[n++] = (struct choice){TMD_F2_GAINED, gains};
		}
	}
	for (uint32_t k = 0; k < n && n > 1u; k++) {
		const uint64_t cost = tmd_tensor_cost(e, h, &choices[k], slot);

		if (cost < best_cost) {
			best_cost = cost;
			best = k;
		}
	}
	tmd_write_tensor(e, h, &choices[best], slot);
	free(gains);
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
		tmd_write_range(e, h);
		result->scales += (uint32_t)((e->cost - before) >> 16);
		return TMD_OK;
	}
	err = tmd_encode_gap(e, matcher, h->target_at, h->base_at);
	gap = e->cost;
	result->skeleton += (uint32_t)((gap - before) >> 16);
	if (err == TMD_OK && h->kind == TMD_HINT_TENSOR) {
		encode_tensor(e, h, h->range >= 0 && !e->f2.lean ? slots[h->range] : -1);
		result->tensors += (uint32_t)((e->cost - gap) >> 16);
	} else if (err == TMD_OK) {
		tmd_write_words(e, h);
		result->scales += (uint32_t)((e->cost - gap) >> 16);
	}
	return err;
}

int tmd_encode(const uint8_t *base, uint32_t base_bytes_n, const uint8_t *target,
	       uint32_t target_bytes, const struct tmd_hint *hints, uint32_t hints_n, int lean,
	       uint32_t prices, uint8_t *out, uint32_t room, int (*progress)(uint32_t done),
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
	if (e != NULL && matcher != NULL && slots != NULL && (e->costs = tmd_decision_costs()) != NULL) {
		e->base = base;
		e->view = view;
		e->base_bytes = base_bytes_n;
		e->target = target;
		e->target_bytes = target_bytes;
		e->coder.out = out;
		e->coder.room = room;
		e->f2.lean = lean != 0;
		e->table_from = prices == TMD_PRICE_LISTS - 1u ? 1u : 2u;
		tmd_write_start(e);
		err = TMD_OK;
		for (uint32_t i = 0; err == TMD_OK && i < hints_n; i++) {
			err = encode_hint(e, matcher, hints, i, slots, result);
			if (err == TMD_OK && progress != NULL && progress(e->f2.position) != 0) {
				err = TMD_ERR_ARGUMENT;
			}
		}
		if (err == TMD_OK) {
			const uint64_t before = e->cost;

			err = tmd_encode_gap(e, matcher, target_bytes, base_bytes_n);
			tmd_write_copy(e);
			result->skeleton += (uint32_t)((e->cost - before) >> 16);
		}
		tmd_coder_end(&e->coder);
		result->bytes = e->coder.written;
		result->skeleton /= 8u;
		result->scales /= 8u;
		result->tensors /= 8u;
		if (e->coder.full) {
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

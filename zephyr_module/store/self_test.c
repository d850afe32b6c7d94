/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Test vectors: inputs, with the outputs that the model must have, within a tolerance (SPEC.md).
 */
#include <string.h>

#include "model.h"

#include "../core/bytes.h"
#include "region.h"

#if TMD_SELF_TEST

/* Element types, as TFLite's schema numbers them. Others have to be equal, byte for byte. */
#define TYPE_FLOAT32 0u
#define TYPE_UINT8 3u
#define TYPE_INT16 7u
#define TYPE_INT8 9u

struct vectors {
	const struct tmd_store *store;
	const struct tmd_model *model;
	const struct tmd_inference *inference;
	uint32_t at; /* offset into the slot */
	uint32_t input_bytes;
	uint32_t output_bytes;
	uint32_t tolerance;
	uint8_t type;
};

static uint32_t element_bytes(uint8_t type)
{
	return type == TYPE_FLOAT32 ? 4u : type == TYPE_INT16 ? 2u : 1u;
}

static bool is_float_near(const uint8_t *a, const uint8_t *b, uint32_t tolerance_bits)
{
	const uint32_t a_bits = tmd_get_u32(a);
	const uint32_t b_bits = tmd_get_u32(b);
	float x;
	float y;
	float tolerance;
	float off;

	memcpy(&x, &a_bits, sizeof(x));
	memcpy(&y, &b_bits, sizeof(y));
	memcpy(&tolerance, &tolerance_bits, sizeof(tolerance));
	off = x - y;
	/* Not the other way round: what is no number is not near. */
	return (off < 0.0f ? -off : off) <= tolerance;
}

static bool is_near(const struct vectors *v, const uint8_t *a, const uint8_t *b)
{
	int32_t x;
	int32_t y;

	switch (v->type) {
	case TYPE_FLOAT32:
		return is_float_near(a, b, v->tolerance);
	case TYPE_INT8:
		x = (int8_t)a[0];
		y = (int8_t)b[0];
		break;
	case TYPE_INT16:
		x = (int16_t)tmd_get_u16(a);
		y = (int16_t)tmd_get_u16(b);
		break;
	case TYPE_UINT8:
		x = a[0];
		y = b[0];
		break;
	default:
		return a[0] == b[0];
	}
	return (uint32_t)(x < y ? y - x : x - y) <= v->tolerance;
}

/* The output of the inference against what is expected, `v->at` on. */
static bool output_is_near(const struct vectors *v)
{
	uint8_t is[TMD_COMPARE_PIECE];
	uint8_t expected[TMD_COMPARE_PIECE];

	for (uint32_t at = 0; at < v->output_bytes;) {
		const uint32_t n = tmd_min_u32(v->output_bytes - at, TMD_COMPARE_PIECE);

		if (v->inference->output(v->inference->ctx, at, is, n) != 0 ||
		    tmd_model_read(v->store, v->model, v->at + at, expected, n) != TMD_OK) {
			return false;
		}
		for (uint32_t i = 0; i < n; i += element_bytes(v->type)) {
			if (!is_near(v, &is[i], &expected[i])) {
				return false;
			}
		}
		at += n;
	}
	return true;
}

static bool passes(const struct vectors *v)
{
	uint8_t piece[TMD_COMPARE_PIECE];

	for (uint32_t at = 0; at < v->input_bytes;) {
		const uint32_t n = tmd_min_u32(v->input_bytes - at, TMD_COMPARE_PIECE);

		if (tmd_model_read(v->store, v->model, v->at + at, piece, n) != TMD_OK ||
		    v->inference->input(v->inference->ctx, at, piece, n) != 0) {
			return false;
		}
		at += n;
	}
	return v->inference->invoke(v->inference->ctx) == 0;
}

static bool all_pass(struct vectors *v)
{
	uint8_t head[TMD_SELF_TEST_SIZE];
	uint32_t left = v->model->total_bytes - v->model->bytes;

	if (left < TMD_SELF_TEST_SIZE ||
	    tmd_model_read(v->store, v->model, v->at, head, sizeof(head)) != TMD_OK) {
		return false;
	}
	v->type = head[TMD_SELF_TEST_TYPE];
	v->input_bytes = tmd_get_u32(&head[TMD_SELF_TEST_INPUT_BYTES]);
	v->output_bytes = tmd_get_u32(&head[TMD_SELF_TEST_OUTPUT_BYTES]);
	v->tolerance = tmd_get_u32(&head[TMD_SELF_TEST_TOLERANCE]);
	v->at += TMD_SELF_TEST_SIZE;
	left -= TMD_SELF_TEST_SIZE;
	if (v->output_bytes == 0u || v->output_bytes % element_bytes(v->type) != 0u ||
	    v->inference->setup(v->inference->ctx, v->store, v->model) != 0) {
		return false;
	}
	for (uint32_t n = tmd_get_u16(&head[TMD_SELF_TEST_VECTORS_N]); n > 0u; n--) {
		if (v->input_bytes > left || v->output_bytes > left - v->input_bytes || !passes(v)) {
			return false;
		}
		v->at += v->input_bytes;
		if (!output_is_near(v)) {
			return false;
		}
		v->at += v->output_bytes;
		left -= v->input_bytes + v->output_bytes;
	}
	/* Not one vector, or something behind the last: these are no test vectors. */
	return left == 0u && v->at > v->model->bytes + TMD_SELF_TEST_SIZE;
}

int tmd_self_test(const struct tmd_store *store, const struct tmd_model *model)
{
	struct vectors v = {.store = store, .model = model, .at = model->bytes};

	if (model->bytes == model->total_bytes) {
		return TMD_OK;
	}
	/* A firmware that cannot run them takes no patch that has them; this one is older than it. */
	v.inference = store->config->inference;
	return v.inference != NULL && all_pass(&v) ? TMD_OK : TMD_ERR_SELF_TEST;
}

#endif

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "format2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <encoder.h>

static const struct tmd_operator operators[] = {
	{3, 1, 6, 0x03},
	{22, 1, 1, 0x03},
	{25, 1, 2, 0x02},
};

void format2_contract(struct tmd_contract *contract, struct tmd_model_contract *model)
{
	contract->formats |= 1u << 2;
	contract->decoder = TMD_DECODER;
	contract->accept = TMD_COMPARE_NAMES;
	contract->meta_kept = TMD_META_KEPT;
	contract->kernels = BENCH_KERNELS;
	contract->operators_n = sizeof(operators) / sizeof(operators[0]);
	contract->operators = operators;
	model->tensors = BENCH_TENSORS;
	model->quantisation = BENCH_QUANTISATION;
	model->tensor_names = BENCH_NAMES;
}

static uint8_t *grow(struct bytes *bytes, uint32_t n)
{
	bytes->at = realloc(bytes->at, bytes->n + n + 1u);
	if (bytes->at == NULL) {
		(void)fputs("format2: out of memory\n", stderr);
		exit(2);
	}
	bytes->n += n;
	return &bytes->at[bytes->n - n];
}

static void add(struct bytes *bytes, const void *data, uint32_t n)
{
	uint8_t *at = grow(bytes, n);

	if (n > 0u) {
		memcpy(at, data, n);
	}
}

void format2_text(struct bytes *tlvs, uint8_t tag, const void *value, uint32_t n)
{
	const uint8_t head[2] = {tag, (uint8_t)n};

	add(tlvs, head, sizeof(head));
	add(tlvs, value, n);
}

void format2_number(struct bytes *tlvs, uint8_t tag, uint32_t value)
{
	uint8_t bytes[4];

	put_u32(bytes, value);
	format2_text(tlvs, tag, bytes, sizeof(bytes));
}

struct bytes format2_needs(void)
{
	/* Operator 3 in version 6 for types 1, and 25 in version 2 for types 2. */
	static const uint8_t list[] = {4, 0x86, 0x01, 22, 0x82, 0x02};
	struct bytes tlvs = {NULL, 0};

	format2_text(&tlvs, 12, "bench", 5);
	format2_number(&tlvs, 1, BENCH_ARENA);
	format2_number(&tlvs, 8, BENCH_KERNELS);
	format2_text(&tlvs, 13, list, sizeof(list));
	format2_number(&tlvs, 9, BENCH_TENSORS);
	format2_number(&tlvs, 10, BENCH_QUANTISATION);
	format2_number(&tlvs, 11, BENCH_NAMES);
	return tlvs;
}

/* 7 bits a byte, the lowest first. */
static void add_number(struct bytes *bytes, uint32_t value)
{
	for (; value > 127u; value >>= 7) {
		*grow(bytes, 1) = (uint8_t)(value | 128u);
	}
	*grow(bytes, 1) = (uint8_t)value;
}

static void add_digest(struct bytes *bytes, const struct bytes *model, uint32_t n)
{
	struct tmd_sha256 sha;
	uint8_t digest[32];

	tmd_sha256_init(&sha);
	tmd_sha256_update(&sha, model->at, model->n);
	(void)tmd_sha256_final(&sha, digest);
	add(bytes, digest, n);
}

static void add_crc(struct bytes *head)
{
	uint8_t crc[4];

	const uint32_t plain = tmd_crc32(0, head->at, head->n);

	put_u32(crc, plain << 1 | plain >> 31);
	add(head, crc, sizeof(crc));
}

struct bytes format2_head(const struct bytes *base, const struct bytes *target,
			  const struct bytes *tlvs)
{
	struct bytes head = {NULL, 0};

	*grow(&head, 1) = TMD_DECODER == TMD_DECODER_LEAN ? 0x42 : 0x02;
	add_number(&head, target->n);
	add_number(&head, base->n);
	add_digest(&head, base, 8);
	add_digest(&head, target, 16);
	add_number(&head, tlvs->n);
	add(&head, tlvs->at, tlvs->n);
	add_crc(&head);
	return head;
}

struct bytes format2_patch(const struct bytes *base, const struct bytes *target,
			   const struct bytes *tlvs)
{
	struct bytes patch = format2_head(base, target, tlvs);
	const uint32_t head = patch.n;
	const uint32_t room = 2u * target->n + 64u;
	struct tmd_encoder_result result;

	if (tmd_encode(base->at, base->n, target->at, target->n, NULL, 0,
		       TMD_DECODER == TMD_DECODER_LEAN, 0, grow(&patch, room), room, NULL,
		       &result) != TMD_OK) {
		(void)fputs("format2: no body\n", stderr);
		exit(2);
	}
	patch.n = head + result.bytes;
	return patch;
}

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

static struct bytes head_of(const struct bytes *base, const struct bytes *target,
			    const struct bytes *tlvs, const uint8_t *signer)
{
	struct bytes head = {NULL, 0};

	*grow(&head, 1) = (uint8_t)((TMD_DECODER == TMD_DECODER_LEAN ? 0x42 : 0x02) |
				    (signer != NULL ? 0x10 : 0));
	add_number(&head, target->n);
	add_number(&head, base->n);
	add_digest(&head, base, 8);
	add_digest(&head, target, signer != NULL ? 32 : 16);
	if (signer != NULL) {
		add(&head, signer, 9);
	}
	add_number(&head, tlvs->n);
	add(&head, tlvs->at, tlvs->n);
	add_crc(&head);
	return head;
}

struct bytes format2_head(const struct bytes *base, const struct bytes *target,
			  const struct bytes *tlvs)
{
	return head_of(base, target, tlvs, NULL);
}

static struct bytes body_of(const struct bytes *base, const struct bytes *target)
{
	struct bytes body = {NULL, 0};
	const uint32_t room = 2u * target->n + 64u;
	struct tmd_encoder_result result;

	if (tmd_encode(base->at, base->n, target->at, target->n, NULL, 0,
		       TMD_DECODER == TMD_DECODER_LEAN, 0, grow(&body, room), room, NULL,
		       &result) != TMD_OK) {
		(void)fputs("format2: no body\n", stderr);
		exit(2);
	}
	body.n = result.bytes;
	return body;
}

struct bytes format2_patch(const struct bytes *base, const struct bytes *target,
			   const struct bytes *tlvs)
{
	struct bytes patch = format2_head(base, target, tlvs);
	struct bytes body = body_of(base, target);

	add(&patch, body.at, body.n);
	bytes_free(&body);
	return patch;
}

#if TMD_VERIFY

static const uint8_t secret[32] = {0x5E, 0xC2, 0xE7};

static void sha256(const uint8_t *data, uint32_t n, const uint8_t *more, uint32_t more_n,
		   uint8_t out[32])
{
	struct tmd_sha256 sha;

	tmd_sha256_init(&sha);
	tmd_sha256_update(&sha, data, n);
	tmd_sha256_update(&sha, more, more_n);
	(void)tmd_sha256_final(&sha, out);
}

static void sign(const uint8_t digest[32], uint8_t *signature)
{
	(void)tmd_hmac_sha256(secret, sizeof(secret), digest, 32, signature);
}

static int verify(void *ctx, const struct tmd_key *key, const uint8_t digest[32],
		  const uint8_t *signature)
{
	uint8_t right[32];

	(void)ctx;
	if (key->kind != 3u) {
		return TMD_ERR_KEY;
	}
	sign(digest, right);
	if (key->id[0] != format2_hmac.id[0]) {
		right[0] ^= 1u;
	}
	return tmd_is_equal(right, signature, sizeof(right)) ? TMD_OK : TMD_ERR_SIGNATURE;
}

static int agree(void *ctx, const struct tmd_key *key, const uint8_t *peer, uint8_t shared[32])
{
	(void)ctx;
	if (peer[0] == 0u) {
		return TMD_ERR_SIGNATURE;
	}
	sha256(peer, key->kind == 1u ? 32u : 64u, secret, sizeof(secret), shared);
	return TMD_OK;
}

static int aes128(void *ctx, const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
	uint8_t block[32];

	(void)ctx;
	sha256(key, 16, in, 16, block);
	memcpy(out, block, 16);
	return TMD_OK;
}

const struct format2_signer format2_hmac = {3, {0xA1, 2, 3, 4}, sign};
const struct tmd_crypto format2_crypto = {verify, agree, aes128, NULL};

static const struct tmd_key keys[] = {
	{NULL, 3, {0xA2, 2, 3, 4}},
	{NULL, 3, {0xA1, 2, 3, 4}},
	{NULL, 2, {0xA3, 2, 3, 4}},
};
static const struct tmd_key sealed_keys[] = {
	{NULL, 1, {0xB1, 2, 3, 4}},
	{NULL, 2, {0xB2, 2, 3, 4}},
};

void format2_keys(struct tmd_contract *contract)
{
	contract->keys = keys;
	contract->keys_n = sizeof(keys) / sizeof(keys[0]);
	contract->sealed_keys = sealed_keys;
	contract->sealed_keys_n = sizeof(sealed_keys) / sizeof(sealed_keys[0]);
}

static uint32_t signature_bytes(uint8_t kind)
{
	return kind == 3u ? 32u : kind == 4u ? 16u : 64u;
}

struct bytes format2_signed(const struct bytes *base, const struct bytes *target,
			    const struct bytes *tlvs, const struct format2_signer *signer)
{
	struct bytes body = body_of(base, target);
	struct bytes patch;
	uint8_t who[9];

	who[0] = signer->kind;
	memcpy(&who[1], signer->id, 4);
	put_u32(&who[5], tmd_crc32(0, body.at, body.n));
	patch = head_of(base, target, tlvs, who);
	memset(grow(&patch, signature_bytes(signer->kind)), 0, signature_bytes(signer->kind));
	add(&patch, body.at, body.n);
	bytes_free(&body);
	format2_repair(&patch, signer);
	return patch;
}

static uint32_t read_number(const struct bytes *patch, uint32_t *at)
{
	uint32_t number = 0;

	for (uint32_t shift = 0;; shift += 7u) {
		const uint8_t byte = patch->at[(*at)++];

		number |= (byte & 127u) << shift;
		if (byte < 128u) {
			return number;
		}
	}
}

uint32_t format2_head_end(const struct bytes *patch)
{
	uint32_t at = 1;

	(void)read_number(patch, &at);
	(void)read_number(patch, &at);
	at += 8u + 32u + 9u;
	at += read_number(patch, &at);
	return at + 4u;
}

void format2_repair(struct bytes *patch, const struct format2_signer *signer)
{
	static const char info[] = "tinymldelta signed patch 1";
	const uint32_t end = format2_head_end(patch);
	const uint32_t crc = tmd_crc32(0, patch->at, end - 4u);
	uint8_t digest[32];

	put_u32(&patch->at[end - 4u], crc << 1 | crc >> 31);
	if (signer != NULL) {
		sha256((const uint8_t *)info, sizeof(info) - 1u, patch->at, end, digest);
		signer->sign(digest, &patch->at[end]);
	}
}

struct bytes format2_sealed(const struct bytes *patch, uint8_t kind)
{
	static const uint8_t salt[32];
	struct bytes made = {NULL, 0};
	struct bytes info = {NULL, 0};
	const uint32_t public_n = kind == 1u ? 32u : 64u;
	uint8_t shared[32];
	uint8_t both[32]; /* keys: the cipher's, then that of the tags */

	*grow(&made, 1) = (uint8_t)(3u | (uint32_t)kind << 4);
	add(&made, sealed_keys[kind - 1u].id, 4);
	put_u32(grow(&made, 4), patch->n);
	memset(grow(&made, public_n), 0x77, public_n);
	(void)agree(NULL, &sealed_keys[kind - 1u], &made.at[9], shared);
	add(&info, "tinymldelta sealed patch 1", 26);
	add(&info, made.at, made.n);
	*grow(&info, 1) = 1;
	(void)tmd_hmac_sha256(salt, sizeof(salt), shared, 32, both);
	(void)tmd_hmac_sha256(both, sizeof(both), info.at, info.n, both);
	bytes_free(&info);
	for (uint32_t at = 0; at < patch->n; at += 256u) {
		const uint32_t n = patch->n - at < 256u ? patch->n - at : 256u;
		uint8_t chunk[4 + 256];
		uint8_t tag[32];

		put_u32(chunk, at / 256u);
		for (uint32_t i = 0; i < n; i++) {
			uint8_t counter[16] = {0};
			uint8_t block[16];

			counter[13] = (uint8_t)((at + i) >> 20);
			counter[14] = (uint8_t)((at + i) >> 12);
			counter[15] = (uint8_t)((at + i) >> 4);
			(void)aes128(NULL, both, counter, block);
			chunk[4u + i] = patch->at[at + i] ^ block[i % 16u];
		}
		(void)tmd_hmac_sha256(&both[16], 16, chunk, 4u + n, tag);
		add(&made, &chunk[4], n);
		add(&made, tag, 8);
	}
	return made;
}

#endif

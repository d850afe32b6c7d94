/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Envelopes for the harnesses, by a key agreement and a cipher that are none but quick: the secret is
 * the sender's public key, and the cipher does not look at its key. The tags depend on both.
 */
#ifndef TESTS_FUZZ_FUZZ_SEAL_H
#define TESTS_FUZZ_FUZZ_SEAL_H

#include <tinymldelta/sealed.h>

#include "fuzz.h"

/* Bytes of the envelope around n. */
#define FUZZ_SEALED_HEAD 41u
#define FUZZ_SEALED(n) \
	(FUZZ_SEALED_HEAD + (n) + \
	 ((n) + TMD_SEALED_CHUNK - 1u) / TMD_SEALED_CHUNK * TMD_SEALED_TAG_SIZE)

static const uint8_t fuzz_no_key[64];
static const struct tmd_key fuzz_sealing_key = {fuzz_no_key, TMD_AGREEMENT_X25519, {5, 6, 7, 8}};

static int fuzz_agree(void *ctx, const struct tmd_key *key, const uint8_t *peer, uint8_t shared[32])
{
	(void)ctx;
	(void)key;
	memcpy(shared, peer, 32);
	return peer[0] != 0u ? TMD_OK : TMD_ERR_SIGNATURE;
}

static int fuzz_aes128(void *ctx, const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
	(void)ctx;
	(void)key;
	for (uint32_t i = 0; i < 16u; i++) {
		out[i] = (uint8_t)(in[i] * 7u + i);
	}
	return TMD_OK;
}

/* An envelope to fuzz_sealing_key. Returns its length. */
static uint32_t fuzz_seal(uint8_t *out, const uint8_t *plain, uint32_t plain_n)
{
	static const uint8_t salt[32];
	static const uint8_t text[] = TMD_SEALED_INFO;
	uint8_t info[sizeof(text) + TMD_SEALED_HEAD_MAX];
	uint8_t keys[2u * TMD_SEALED_KEY_SIZE], tag[32];
	uint8_t numbered[4u + TMD_SEALED_CHUNK];
	uint8_t *p = out;
	bool well;

	*p++ = TMD_SEALED_FIRST | TMD_AGREEMENT_X25519 << 4;
	memcpy(p, fuzz_sealing_key.id, 4);
	put_u32(p + 4, plain_n);
	memset(p + 8, 9, 32);
	p += 40;
	memcpy(info, text, sizeof(text) - 1u);
	memcpy(&info[sizeof(text) - 1u], out, FUZZ_SEALED_HEAD);
	info[sizeof(text) - 1u + FUZZ_SEALED_HEAD] = 1;
	well = tmd_hmac_sha256(salt, sizeof(salt), p - 32, 32, keys) &&
	       tmd_hmac_sha256(keys, sizeof(keys), info, sizeof(text) + FUZZ_SEALED_HEAD, keys);
	for (uint32_t at = 0; at < plain_n; at += TMD_SEALED_CHUNK) {
		const uint32_t left = plain_n - at;
		const uint32_t n = left < TMD_SEALED_CHUNK ? left : TMD_SEALED_CHUNK;
		uint8_t stream[16];

		for (uint32_t i = 0; i < n; i++) {
			if (i % 16u == 0u) {
				const uint32_t block = (at + i) / 16u;
				const uint8_t counter[16] = {[14] = (uint8_t)(block >> 8),
							     [15] = (uint8_t)block};

				(void)fuzz_aes128(NULL, keys, counter, stream);
			}
			p[i] = plain[at + i] ^ stream[i % 16u];
		}
		put_u32(numbered, at / TMD_SEALED_CHUNK);
		memcpy(&numbered[4], p, n);
		well = well && tmd_hmac_sha256(&keys[TMD_SEALED_KEY_SIZE], TMD_SEALED_KEY_SIZE,
					       numbered, 4u + n, tag);
		memcpy(p + n, tag, TMD_SEALED_TAG_SIZE);
		p += n + TMD_SEALED_TAG_SIZE;
	}
	require(well, "an envelope");
	return (uint32_t)(p - out);
}

#endif /* TESTS_FUZZ_FUZZ_SEAL_H */

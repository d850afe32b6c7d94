/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include <tinymldelta/digest.h>

#include "bytes.h"

/* Bit by bit: a table would cost more flash than the speed is worth, as SHA-256 dwarfs it. */
uint32_t tmd_crc32(uint32_t crc, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	crc = ~crc;
	while (bytes-- > 0) {
		crc ^= *p++;
		for (unsigned int i = 0; i < 8u; i++) {
			crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
		}
	}
	return ~crc;
}

#if !TMD_SHA256_EXTERNAL

/* FIPS 180-4, 4.2.2: fractional parts of the cube roots of the first 64 primes. */
static const uint32_t sha_k[64] = {
	0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u,
	0xab1c5ed5u, 0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu,
	0x9bdc06a7u, 0xc19bf174u, 0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu,
	0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau, 0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u,
	0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u, 0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu,
	0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u, 0xa2bfe8a1u, 0xa81a664bu,
	0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u, 0x19a4c116u,
	0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
	0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u,
	0xc67178f2u,
};

/* FIPS 180-4, 5.3.3: fractional parts of the square roots of the first 8 primes. */
static const uint32_t sha_h[8] = {
	0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
	0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u,
};

static uint32_t rotr(uint32_t x, unsigned int n)
{
	return (x >> n) | (x << (32u - n));
}

/*
 * FIPS 180-4, 6.2.2. `w` is the block, and becomes the message schedule in a ring of 16 words.
 * s[0] to s[7] are a to h.
 */
static void sha_block(uint32_t state[8], uint32_t w[16])
{
	uint32_t s[8];

	memcpy(s, state, sizeof(s));
	for (unsigned int t = 0; t < 64u; t++) {
		uint32_t *word = &w[t & 15u];
		uint32_t t1;
		uint32_t t2;
		uint32_t next;

		if (t >= 16u) {
			const uint32_t w15 = w[(t + 1u) & 15u];
			const uint32_t w2 = w[(t + 14u) & 15u];

			*word += (rotr(w15, 7) ^ rotr(w15, 18) ^ (w15 >> 3)) + w[(t + 9u) & 15u] +
				 (rotr(w2, 17) ^ rotr(w2, 19) ^ (w2 >> 10));
		}
		t1 = s[7] + (rotr(s[4], 6) ^ rotr(s[4], 11) ^ rotr(s[4], 25)) +
		     (s[6] ^ (s[4] & (s[5] ^ s[6]))) + sha_k[t] + *word;
		t2 = (rotr(s[0], 2) ^ rotr(s[0], 13) ^ rotr(s[0], 22)) +
		     ((s[0] & s[1]) | (s[2] & (s[0] | s[1])));
		/* Each takes the place of the one behind it: d + t1 becomes e, t1 + t2 becomes a. */
		s[3] += t1;
		next = t1 + t2;
		for (unsigned int i = 0; i < 8u; i++) {
			const uint32_t old = s[i];

			s[i] = next;
			next = old;
		}
	}
	for (unsigned int i = 0; i < 8u; i++) {
		state[i] += s[i];
	}
}

void tmd_sha256_init(struct tmd_sha256 *sha)
{
	memset(sha, 0, sizeof(*sha));
	memcpy(sha->state, sha_h, sizeof(sha->state));
}

/* Four bytes push out of a word what was in it before. */
static void add_byte(struct tmd_sha256 *sha, uint8_t byte)
{
	uint32_t *word = &sha->block[(sha->total / 4u) & 15u];

	*word = (*word << 8) | byte;
	sha->total++;
	if ((sha->total & 63u) == 0u) {
		sha_block(sha->state, sha->block);
	}
}

void tmd_sha256_update(struct tmd_sha256 *sha, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	while (bytes-- > 0) {
		add_byte(sha, *p++);
	}
}

bool tmd_sha256_final(struct tmd_sha256 *sha, uint8_t out[32])
{
	const uint32_t total = sha->total;

	add_byte(sha, 0x80);
	while ((sha->total & 63u) != 56u) {
		add_byte(sha, 0);
	}
	/* The length in bits. */
	sha->block[14] = total >> 29;
	sha->block[15] = total << 3;
	sha_block(sha->state, sha->block);
	for (unsigned int i = 0; i < 32u; i++) {
		out[i] = (uint8_t)(sha->state[i / 4u] >> (24u - 8u * (i % 4u)));
	}
	return true;
}

#endif /* !TMD_SHA256_EXTERNAL */

void tmd_fingerprint_init(struct tmd_fingerprint *print, uint8_t kind)
{
	print->kind = kind;
	print->crc = 0;
	tmd_sha256_init(&print->sha);
}

void tmd_fingerprint_update(struct tmd_fingerprint *print, const void *data, size_t bytes)
{
	if (TMD_WITH_FORMAT_1 && print->kind == TMD_DIGEST_CRC32) {
		print->crc = tmd_crc32(print->crc, data, bytes);
	}
	tmd_sha256_update(&print->sha, data, bytes);
}

bool tmd_fingerprint_matches(struct tmd_fingerprint *print, const uint8_t *digest,
			     uint32_t bytes, uint8_t sha256[32])
{
	if (!tmd_sha256_final(&print->sha, sha256)) {
		return false;
	}
	if (!TMD_WITH_FORMAT_1) { /* format 2 has no other digest */
		return memcmp(digest, sha256, bytes) == 0;
	}
	switch (print->kind) {
	case TMD_DIGEST_NONE:
		return true;
	case TMD_DIGEST_CRC32:
		return tmd_get_u32(digest) == print->crc;
	case TMD_DIGEST_SHA256:
		return memcmp(digest, sha256, bytes) == 0;
	default:
		return false;
	}
}

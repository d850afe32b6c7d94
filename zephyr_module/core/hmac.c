/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include <tinymldelta/crypto.h>

#if TMD_VERIFY

#define BLOCK 64u

bool tmd_hmac_sha256(const uint8_t *key, size_t key_bytes, const void *data, size_t bytes,
		     uint8_t out[32])
{
	struct tmd_sha256 sha;
	uint8_t pad[BLOCK] = {0};

	if (key_bytes > BLOCK) {
		return false;
	}
	memcpy(pad, key, key_bytes);
	for (uint32_t i = 0; i < BLOCK; i++) {
		pad[i] ^= 0x36u;
	}
	tmd_sha256_init(&sha);
	tmd_sha256_update(&sha, pad, BLOCK);
	tmd_sha256_update(&sha, data, bytes);
	if (!tmd_sha256_final(&sha, out)) {
		return false;
	}
	for (uint32_t i = 0; i < BLOCK; i++) {
		pad[i] ^= 0x36u ^ 0x5Cu;
	}
	tmd_sha256_init(&sha);
	tmd_sha256_update(&sha, pad, BLOCK);
	tmd_sha256_update(&sha, out, 32);
	tmd_wipe(pad, sizeof(pad));
	return tmd_sha256_final(&sha, out);
}

void tmd_wipe(void *secret, size_t bytes)
{
	volatile uint8_t *p = secret;

	while (bytes-- > 0u) {
		*p++ = 0;
	}
}

bool tmd_is_equal(const uint8_t *a, const uint8_t *b, size_t bytes)
{
	volatile uint8_t differing = 0; /* or a compiler could leave the loop early */

	for (size_t i = 0; i < bytes; i++) {
		differing = (uint8_t)(differing | (a[i] ^ b[i]));
	}
	return differing == 0u;
}

#endif

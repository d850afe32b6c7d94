/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 by PSA Crypto.
 */
#include <string.h>

#include <psa/crypto.h>
#include <zephyr/sys/__assert.h>
#include <zephyr/toolchain.h>

#include <tinymldelta/digest.h>

BUILD_ASSERT(sizeof(psa_hash_operation_t) <= sizeof(struct tmd_sha256),
	     "raise CONFIG_TMD_SHA256_PSA_BYTES to sizeof(psa_hash_operation_t)");

static psa_hash_operation_t *operation_of(struct tmd_sha256 *sha)
{
	return (psa_hash_operation_t *)(void *)sha->opaque;
}

/* What was there before is noise, or an operation that was given up. */
void tmd_sha256_init(struct tmd_sha256 *sha)
{
	const psa_hash_operation_t fresh = PSA_HASH_OPERATION_INIT;

	memset(sha, 0, sizeof(*sha));
	memcpy(sha->opaque, &fresh, sizeof(fresh));
	if (psa_crypto_init() == PSA_SUCCESS) {
		/* A failure leaves the operation inactive, and all that follows fails with it. */
		(void)psa_hash_setup(operation_of(sha), PSA_ALG_SHA_256);
	}
}

void tmd_sha256_update(struct tmd_sha256 *sha, const void *data, size_t bytes)
{
	/* A failure puts the operation into an error state that lasts. */
	(void)psa_hash_update(operation_of(sha), data, bytes);
}

bool tmd_sha256_final(struct tmd_sha256 *sha, uint8_t out[32])
{
	size_t bytes = 0;

	if (psa_hash_finish(operation_of(sha), out, 32, &bytes) != PSA_SUCCESS) {
		(void)psa_hash_abort(operation_of(sha));
		return false;
	}
	return bytes == 32u;
}

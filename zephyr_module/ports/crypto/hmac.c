/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <tinymldelta/hmac.h>

#include "chain.h"

static int verify_hmac(const uint8_t *secret, const uint8_t digest[32], const uint8_t *signature)
{
	uint8_t mac[32];

	if (!tmd_hmac_sha256(secret, 32, digest, 32, mac)) {
		return TMD_ERR_CRYPTO;
	}
	return tmd_is_equal(mac, signature, sizeof(mac)) ? TMD_OK : TMD_ERR_SIGNATURE;
}

static int verify(void *ctx, const struct tmd_key *key, const uint8_t digest[32],
		  const uint8_t *signature)
{
	const struct tmd_hmac *hmac = ctx;

	for (uint8_t i = 0; key->kind == TMD_SIGNATURE_HMAC_SHA256 && i < hmac->secrets_n; i++) {
		if (hmac->secrets[i].number == tmd_key_number(key)) {
			return verify_hmac(hmac->secrets[i].secret, digest, signature);
		}
	}
	return tmd_chain_verify(hmac->next, TMD_ERR_KEY, key, digest, signature);
}

static int agree(void *ctx, const struct tmd_key *key, const uint8_t *peer, uint8_t shared[32])
{
	const struct tmd_hmac *hmac = ctx;

	return tmd_chain_agree(hmac->next, TMD_ERR_KEY, key, peer, shared);
}

static int aes128(void *ctx, const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
	const struct tmd_hmac *hmac = ctx;

	return hmac->next->aes128(hmac->next->ctx, key, in, out);
}

void tmd_hmac_init(struct tmd_crypto *crypto, struct tmd_hmac *hmac)
{
	const struct tmd_crypto *next = hmac->next;

	*crypto = (struct tmd_crypto){
		.verify = verify,
		.agree = next != NULL ? agree : NULL,
		.aes128 = next != NULL && next->aes128 != NULL ? aes128 : NULL,
		.ctx = hmac,
	};
}

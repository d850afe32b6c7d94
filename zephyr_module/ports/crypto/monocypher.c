/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include <monocypher-ed25519.h>
#include <monocypher.h>

#include <tinymldelta/monocypher.h>

#include "chain.h"

/* A y below 2^255 - 19, and no sign where x is 0 (RFC 8032, 5.1.3). */
static bool is_canonical(const uint8_t point[32])
{
	const uint8_t sign = point[31] & 0x80u;
	uint8_t ones = 0xFF;
	uint8_t zeros = (uint8_t)(point[31] & 0x7Fu);

	for (uint32_t i = 1; i < 31u; i++) {
		ones &= point[i];
		zeros |= point[i];
	}
	if (ones == 0xFFu && (point[31] & 0x7Fu) == 0x7Fu) {
		/* x is 0 too where y is -1. */
		return point[0] < 0xECu || (point[0] == 0xECu && sign == 0u);
	}
	return zeros != 0u || point[0] != 1u || sign == 0u;
}

/*
 * Is 8 A the neutral element? Asked of the equation 8 (s B - h A - R) = 0 with s = 0, h = 1, and the
 * neutral element for R. False too if A is no point.
 */
static bool is_small(const uint8_t public_key[32])
{
	static const uint8_t neutral_and_zero[64] = {1};
	static const uint8_t one[32] = {1};

	return crypto_eddsa_check_equation(neutral_and_zero, public_key, one) == 0;
}

static int verify_ed25519(const uint8_t *public_key, const uint8_t digest[32],
			  const uint8_t *signature)
{
	if (public_key == NULL) {
		return TMD_ERR_KEY;
	}
	return is_canonical(public_key) && is_canonical(signature) && !is_small(public_key) &&
			       crypto_ed25519_check(signature, public_key, digest, 32) == 0
		       ? TMD_OK
		       : TMD_ERR_SIGNATURE;
}

static int verify(void *ctx, const struct tmd_key *key, const uint8_t digest[32],
		  const uint8_t *signature)
{
	const struct tmd_monocypher *m = ctx;
	int err = TMD_ERR_KEY;

	if (key->kind == TMD_SIGNATURE_ED25519) {
		err = verify_ed25519(key->bytes, digest, signature);
	}
	return tmd_chain_verify(m->next, err, key, digest, signature);
}

static int agree_x25519(const uint8_t *secret, const uint8_t *peer, uint8_t shared[32])
{
	static const uint8_t zero[32];

	crypto_x25519(shared, secret, peer);
	return crypto_verify32(shared, zero) == 0 ? TMD_ERR_SIGNATURE : TMD_OK;
}

static int agree(void *ctx, const struct tmd_key *key, const uint8_t *peer, uint8_t shared[32])
{
	const struct tmd_monocypher *m = ctx;

	for (uint8_t i = 0; key->kind == TMD_AGREEMENT_X25519 && i < m->secrets_n; i++) {
		if (m->secrets[i].number == tmd_key_number(key)) {
			return agree_x25519(m->secrets[i].secret, peer, shared);
		}
	}
	return tmd_chain_agree(m->next, TMD_ERR_KEY, key, peer, shared);
}

static int aes128(void *ctx, const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
	const struct tmd_monocypher *m = ctx;

	return m->next->aes128(m->next->ctx, key, in, out);
}

void tmd_monocypher_init(struct tmd_crypto *crypto, struct tmd_monocypher *monocypher)
{
	const struct tmd_crypto *next = monocypher->next;

	*crypto = (struct tmd_crypto){
		.verify = verify,
		.agree = agree,
		.aes128 = next != NULL && next->aes128 != NULL ? aes128 : NULL,
		.ctx = monocypher,
	};
}

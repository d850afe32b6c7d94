/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include <tinymldelta/psa.h>

#include "chain.h"

#define POINT 64u /* X and Y on P-256 */

/* Older headers have none. */
#ifndef PSA_KEY_ID_NULL
#define PSA_KEY_ID_NULL ((psa_key_id_t)0)
#endif

static int status_of(psa_status_t status)
{
	switch (status) {
	case PSA_SUCCESS:
		return TMD_OK;
	case PSA_ERROR_INVALID_SIGNATURE:
		return TMD_ERR_SIGNATURE;
	case PSA_ERROR_INVALID_HANDLE:
	case PSA_ERROR_DOES_NOT_EXIST:
	case PSA_ERROR_NOT_PERMITTED:
		return TMD_ERR_KEY;
	default:
		return TMD_ERR_CRYPTO;
	}
}

/* As PSA takes a point of P-256: uncompressed (SEC 1, 2.3.3). */
static void to_point(uint8_t point[1u + POINT], const uint8_t *x_y)
{
	point[0] = 0x04;
	memcpy(&point[1], x_y, POINT);
}

static int verify_ecdsa(const uint8_t *public_key, const uint8_t digest[32],
			const uint8_t *signature)
{
	const psa_algorithm_t ecdsa = PSA_ALG_ECDSA(PSA_ALG_SHA_256);
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	uint8_t point[1u + POINT];
	psa_key_id_t key = PSA_KEY_ID_NULL;
	psa_status_t status;

	if (public_key == NULL) {
		return TMD_ERR_KEY;
	}
	to_point(point, public_key);
	psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_HASH);
	psa_set_key_algorithm(&attributes, ecdsa);
	status = psa_import_key(&attributes, point, sizeof(point), &key);
	if (status != PSA_SUCCESS) {
		return TMD_ERR_CRYPTO; /* the contract's key is none, or there is no room for it */
	}
	status = psa_verify_hash(key, ecdsa, digest, 32, signature, 64);
	return psa_destroy_key(key) == PSA_SUCCESS ? status_of(status) : TMD_ERR_CRYPTO;
}

/* PSA's key for one of the contract; PSA_KEY_ID_NULL: there is none. */
static psa_key_id_t find(const struct tmd_psa_key *keys, uint8_t keys_n, psa_key_id_t otherwise,
			 const struct tmd_key *key)
{
	const uint32_t number = tmd_key_number(key);

	for (uint8_t i = 0; i < keys_n; i++) {
		if (keys[i].number == number) {
			return keys[i].key;
		}
	}
	return otherwise;
}

/* Has PSA a key of that type, and of that many bits? If not, nothing else will say it as clearly. */
static int check_key(psa_key_id_t key, psa_key_type_t type, size_t bits)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	int err = TMD_ERR_KEY;

	if (key != PSA_KEY_ID_NULL) {
		err = status_of(psa_get_key_attributes(key, &attributes));
	}
	if (err == TMD_OK && (psa_get_key_type(&attributes) != type ||
			      psa_get_key_bits(&attributes) != bits)) {
		err = TMD_ERR_KEY;
	}
	psa_reset_key_attributes(&attributes);
	return err;
}

static int verify_mac(psa_key_id_t key, bool hmac, const uint8_t digest[32],
		      const uint8_t *signature)
{
	int err = hmac ? check_key(key, PSA_KEY_TYPE_HMAC, 256)
		       : check_key(key, PSA_KEY_TYPE_AES, 128);

	if (err == TMD_OK) {
		err = status_of(psa_mac_verify(
			key, hmac ? PSA_ALG_HMAC(PSA_ALG_SHA_256) : PSA_ALG_CMAC, digest, 32,
			signature, hmac ? 32u : 16u));
	}
	return err;
}

static int verify(void *ctx, const struct tmd_key *key, const uint8_t digest[32],
		  const uint8_t *signature)
{
	const struct tmd_psa *psa = ctx;
	int err = TMD_ERR_KEY;

	if (psa_crypto_init() != PSA_SUCCESS) {
		return TMD_ERR_CRYPTO;
	}
	if (key->kind == TMD_SIGNATURE_ECDSA_P256) {
		err = verify_ecdsa(key->bytes, digest, signature);
	} else if (key->kind == TMD_SIGNATURE_HMAC_SHA256 || key->kind == TMD_SIGNATURE_AES_CMAC) {
		err = verify_mac(find(psa->macs, psa->macs_n, psa->mac, key),
				 key->kind == TMD_SIGNATURE_HMAC_SHA256, digest, signature);
	}
	return tmd_chain_verify(psa->next, err, key, digest, signature);
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++) {
		any = (uint8_t)(any | bytes[i]);
	}
	return any == 0u;
}

static int agree_with(psa_key_id_t key, bool p256, const uint8_t *peer, uint8_t shared[32])
{
	const psa_ecc_family_t family = p256 ? PSA_ECC_FAMILY_SECP_R1 : PSA_ECC_FAMILY_MONTGOMERY;
	uint8_t point[1u + POINT];
	size_t bytes = 0;
	psa_status_t status;
	int err = check_key(key, PSA_KEY_TYPE_ECC_KEY_PAIR(family), p256 ? 256u : 255u);

	if (err != TMD_OK) {
		return err;
	}
	if (p256) {
		to_point(point, peer);
		status = psa_raw_key_agreement(PSA_ALG_ECDH, key, point, sizeof(point), shared, 32,
					       &bytes);
	} else {
		status = psa_raw_key_agreement(PSA_ALG_ECDH, key, peer, 32, shared, 32, &bytes);
	}
	if (status == PSA_ERROR_INVALID_ARGUMENT) {
		return TMD_ERR_SIGNATURE; /* the key is right, so the peer's is not */
	}
	if (status != PSA_SUCCESS) {
		return status_of(status);
	}
	if (bytes != 32u) {
		return TMD_ERR_CRYPTO;
	}
	return !p256 && is_zero(shared, 32) ? TMD_ERR_SIGNATURE : TMD_OK;
}

static int agree(void *ctx, const struct tmd_key *key, const uint8_t *peer, uint8_t shared[32])
{
	const struct tmd_psa *psa = ctx;
	int err = TMD_ERR_KEY;

	if (psa_crypto_init() != PSA_SUCCESS) {
		return TMD_ERR_CRYPTO;
	}
	if (key->kind == TMD_AGREEMENT_X25519 || key->kind == TMD_AGREEMENT_ECDH_P256) {
		err = agree_with(find(psa->pairs, psa->pairs_n, psa->pair, key),
				 key->kind == TMD_AGREEMENT_ECDH_P256, peer, shared);
	}
	return tmd_chain_agree(psa->next, err, key, peer, shared);
}

static int aes128(void *ctx, const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t id = PSA_KEY_ID_NULL;
	psa_status_t status;
	size_t bytes = 0;

	(void)ctx;
	psa_set_key_type(&attributes, PSA_KEY_TYPE_AES);
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_ENCRYPT);
	psa_set_key_algorithm(&attributes, PSA_ALG_ECB_NO_PADDING);
	if (psa_crypto_init() != PSA_SUCCESS ||
	    psa_import_key(&attributes, key, 16, &id) != PSA_SUCCESS) {
		return TMD_ERR_CRYPTO;
	}
	status = psa_cipher_encrypt(id, PSA_ALG_ECB_NO_PADDING, in, 16, out, 16, &bytes);
	return psa_destroy_key(id) == PSA_SUCCESS && status == PSA_SUCCESS && bytes == 16u
		       ? TMD_OK
		       : TMD_ERR_CRYPTO;
}

void tmd_psa_init(struct tmd_crypto *crypto, struct tmd_psa *psa)
{
	*crypto = (struct tmd_crypto){
		.verify = verify,
		.agree = agree,
		.aes128 = aes128,
		.ctx = psa,
	};
}

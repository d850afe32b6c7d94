/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * RFC 8032, 5.1.7: SHA-512 over R, A and the message, and Monocypher's check of the equation.
 */
#include <string.h>

#include <monocypher.h>
#include <psa/crypto.h>

#include "monocypher-ed25519.h"

#define MESSAGE_MAX 256u

int crypto_ed25519_check(const uint8_t signature[64], const uint8_t public_key[32],
			 const uint8_t *message, size_t message_size)
{
	uint8_t text[64u + MESSAGE_MAX];
	uint8_t hash[64];
	uint8_t scalar[32];
	size_t bytes = 0;

	if (message_size > MESSAGE_MAX) {
		return -1;
	}
	memcpy(text, signature, 32);
	memcpy(&text[32], public_key, 32);
	memcpy(&text[64], message, message_size);
	if (psa_hash_compute(PSA_ALG_SHA_512, text, 64u + message_size, hash, sizeof(hash),
			     &bytes) != PSA_SUCCESS) {
		return -1;
	}
	crypto_eddsa_reduce(scalar, hash);
	return crypto_eddsa_check_equation(signature, public_key, scalar);
}

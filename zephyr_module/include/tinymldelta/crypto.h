/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What signed and encrypted patches need of a platform: curves and ciphers, which the core has none
 * of. Ports that exist: ports/crypto (PSA, Monocypher). What the core does itself: SHA-256 and, on top
 * of it, HMAC and HKDF.
 */
#ifndef TINYMLDELTA_CRYPTO_H
#define TINYMLDELTA_CRYPTO_H

#include "contract.h"
#include "digest.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

/*
 * A crypto port. A function that is NULL, and one that does not know the key's kind, counts as
 * TMD_ERR_KEY. Nothing that it is given stays valid after the call.
 */
struct tmd_crypto {
	/*
	 * Is `signature`, as long as its kind has it, the one of these 32 bytes under `key`? TMD_OK;
	 * TMD_ERR_SIGNATURE: no; TMD_ERR_KEY: the port has no such key; TMD_ERR_CRYPTO: it could not
	 * be found out. What may not depend on the data in time: comparing a MAC. Of ECDSA, r and s
	 * are in range already, and s in its lower half.
	 */
	int (*verify)(void *ctx, const struct tmd_key *key, const uint8_t digest[32],
		      const uint8_t *signature);
	/*
	 * Key agreement between the device's secret for `key` and the public key `peer`, as long as its
	 * kind has it: the shared secret, as SPEC.md has it. TMD_ERR_SIGNATURE: `peer` is no key, or one
	 * of small order, with which anybody could agree.
	 */
	int (*agree)(void *ctx, const struct tmd_key *key, const uint8_t *peer, uint8_t shared[32]);
	/* One block of AES-128. */
	int (*aes128)(void *ctx, const uint8_t key[16], const uint8_t in[16], uint8_t out[16]);
	void *ctx;
};

/* HMAC-SHA-256 (RFC 2104) of one message; keys of up to 64 bytes. False as tmd_sha256_final. */
bool tmd_hmac_sha256(const uint8_t *key, size_t key_bytes, const void *data, size_t bytes,
		     uint8_t out[32]);

/* Are these bytes the same? In a time that depends on their number only. */
bool tmd_is_equal(const uint8_t *a, const uint8_t *b, size_t bytes);

/* Forget a secret: written over in a way that a compiler does not leave out. */
void tmd_wipe(void *secret, size_t bytes);

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_CRYPTO_H */

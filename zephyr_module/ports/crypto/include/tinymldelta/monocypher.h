/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Crypto port on Monocypher 4 (monocypher.c and optional/monocypher-ed25519.c): Ed25519, X25519. It has
 * neither P-256 nor AES; for those another port can stand behind it:
 *
 *	static struct tmd_psa psa;
 *	static struct tmd_crypto others, crypto;
 *	static struct tmd_monocypher monocypher = {.next = &others};
 *
 *	tmd_psa_init(&others, &psa);
 *	tmd_monocypher_init(&crypto, &monocypher);        then store_config.crypto = &crypto
 *
 * Ed25519 is verified with the cofactor, as RFC 8032, 5.1.7 has it, and moreover: A and R stand in the
 * one encoding that a point has by RFC 8032, 5.1.3, and A is not of small order. So a key that was never
 * set, such as one of zeros, signs nothing. No memory is allocated, and there is no static state.
 */
#ifndef TINYMLDELTA_MONOCYPHER_H
#define TINYMLDELTA_MONOCYPHER_H

#include <tinymldelta/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A secret of the device, for patches that are encrypted to it. */
struct tmd_monocypher_key {
	uint32_t number;       /* the contract's key id, its lowest byte first */
	const uint8_t *secret; /* 32 bytes, as RFC 7748 has them; the caller keeps and protects them */
};

/* What the port knows; the caller's, and to live as long as the port. */
struct tmd_monocypher {
	const struct tmd_monocypher_key *secrets; /* may be NULL if there are none */
	uint8_t secrets_n;
	const struct tmd_crypto *next; /* asked where this port has no key, and for AES; may be NULL */
};

/*
 * Make `crypto` this port, over `monocypher`; `monocypher->next`, if there is one, is complete
 * already. Its functions return what crypto.h says, and never TMD_ERR_CRYPTO of their own.
 */
void tmd_monocypher_init(struct tmd_crypto *crypto, struct tmd_monocypher *monocypher);

#ifdef __cplusplus
}
#endif

#endif /* TINYMLDELTA_MONOCYPHER_H */

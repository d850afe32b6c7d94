/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Crypto port on PSA Crypto (Mbed TLS from 2.28 on, TF-M, and what vendors have of it): ECDSA on P-256,
 * HMAC-SHA-256, AES-128-CMAC, X25519 and ECDH on P-256, AES-128.
 *
 *	static struct tmd_psa psa = {.mac = 0x4D31};      a persistent key of PSA
 *	static struct tmd_crypto crypto;
 *
 *	tmd_psa_init(&crypto, &psa);                      then store_config.crypto = &crypto
 *
 * Public keys come with the contract. They are imported for one call and destroyed, whatever becomes of
 * the call. Secrets stay where PSA has them: the port knows their ids only. They need the usage
 * PSA_KEY_USAGE_VERIFY_MESSAGE with PSA_ALG_HMAC(PSA_ALG_SHA_256) or PSA_ALG_CMAC, and
 * PSA_KEY_USAGE_DERIVE with PSA_ALG_ECDH. A MAC is compared by psa_mac_verify, so in a time that does
 * not depend on it wherever PSA keeps its promise.
 *
 * The functions call psa_crypto_init(), which is free after its first success. They may be called
 * by as many threads as the PSA implementation allows: in Mbed TLS before 3.6, by one at a time.
 */
#ifndef TINYMLDELTA_PSA_H
#define TINYMLDELTA_PSA_H

#include <psa/crypto.h>

#include <tinymldelta/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which of PSA's keys is a secret of the contract. */
struct tmd_psa_key {
	/*
	 * The contract's key id as a number, its lowest byte first: of a MAC the number that the fleet
	 * chose, of a key pair what `tmd keygen` prints.
	 */
	uint32_t number;
	psa_key_id_t key; /* persistent, or a handle that the application has got by an import */
};

/* What the port knows; the caller's, and to live as long as the port. */
struct tmd_psa {
	const struct tmd_psa_key *macs; /* by number; may be NULL if there are none */
	const struct tmd_psa_key *pairs;
	uint8_t macs_n;
	uint8_t pairs_n;
	psa_key_id_t mac;  /* for a MAC that `macs` does not have; PSA_KEY_ID_NULL: there is none */
	psa_key_id_t pair; /* likewise, for key agreement */
	const struct tmd_crypto *next; /* asked where this port has no key; may be NULL */
};

/*
 * Make `crypto` this port, over `psa`. What its functions return beside what crypto.h says: TMD_ERR_KEY
 * if PSA has no such key, or one of another type or policy; TMD_ERR_CRYPTO for every other failure of
 * PSA, such as a lack of memory or an algorithm that was not built in.
 */
void tmd_psa_init(struct tmd_crypto *crypto, struct tmd_psa *psa);

#ifdef __cplusplus
}
#endif

#endif /* TINYMLDELTA_PSA_H */

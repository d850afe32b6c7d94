/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Crypto port for HMAC-SHA-256 alone, by the core's own functions: for parts that have no other
 * cryptography. The smallest there is; the device's secret lies in memory that the application
 * protects.
 *
 *	static const struct tmd_hmac_key secrets[] = {{.number = 0, .secret = ...}};
 *	static struct tmd_hmac hmac = {.secrets = secrets, .secrets_n = 1};
 *	static struct tmd_crypto crypto;
 *
 *	tmd_hmac_init(&crypto, &hmac);                    then store_config.crypto = &crypto
 */
#ifndef TINYMLDELTA_HMAC_H
#define TINYMLDELTA_HMAC_H

#include <tinymldelta/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tmd_hmac_key {
	uint32_t number;       /* by which the fleet calls it */
	const uint8_t *secret; /* 32 bytes; the caller keeps and protects them */
};

/* What the port knows; the caller's, and to live as long as the port. */
struct tmd_hmac {
	const struct tmd_hmac_key *secrets;
	uint8_t secrets_n;
	const struct tmd_crypto *next; /* asked where this port has no key, and for AES; may be NULL */
};

/* Make `crypto` this port, over `hmac`; `hmac->next`, if there is one, is complete already. */
void tmd_hmac_init(struct tmd_crypto *crypto, struct tmd_hmac *hmac);

#ifdef __cplusplus
}
#endif

#endif /* TINYMLDELTA_HMAC_H */

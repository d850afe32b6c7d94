/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One crypto port behind another: what the first one has no key for is asked of the next.
 */
#ifndef TMD_PORTS_CRYPTO_CHAIN_H
#define TMD_PORTS_CRYPTO_CHAIN_H

#include <tinymldelta/crypto.h>

/* A key's id as a number, as people and the structs of the ports have it. */
static inline uint32_t tmd_key_number(const struct tmd_key *key)
{
	return (uint32_t)key->id[0] | (uint32_t)key->id[1] << 8 | (uint32_t)key->id[2] << 16 |
	       (uint32_t)key->id[3] << 24;
}

static inline int tmd_chain_verify(const struct tmd_crypto *next, int err,
				   const struct tmd_key *key, const uint8_t digest[32],
				   const uint8_t *signature)
{
	return err == TMD_ERR_KEY && next != NULL && next->verify != NULL
		       ? next->verify(next->ctx, key, digest, signature)
		       : err;
}

static inline int tmd_chain_agree(const struct tmd_crypto *next, int err, const struct tmd_key *key,
				  const uint8_t *peer, uint8_t shared[32])
{
	return err == TMD_ERR_KEY && next != NULL && next->agree != NULL
		       ? next->agree(next->ctx, key, peer, shared)
		       : err;
}

#endif /* TMD_PORTS_CRYPTO_CHAIN_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * CRC-32 and SHA-256, and the two together as the fingerprint of a model.
 */
#ifndef TINYMLDELTA_DIGEST_H
#define TINYMLDELTA_DIGEST_H

#ifndef TMD_CDEF
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#include "config.h"
#include "wire.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

/* CRC-32 of IEEE 802.3, as zlib computes it. Begin with crc = 0; feed pieces in turn. */
uint32_t tmd_crc32(uint32_t crc, const void *data, size_t bytes);

/* SHA-256 (FIPS 180-4). Messages shorter than 2^32 bytes. */
#if TMD_SHA256_EXTERNAL
struct tmd_sha256 {
	uint64_t opaque[(TMD_SHA256_EXTERNAL + 7) / 8];
};
#else
struct tmd_sha256 {
	uint32_t state[8];
	uint32_t total;     /* bytes so far */
	uint32_t block[16]; /* what of them is not in `state` yet */
};
#endif

void tmd_sha256_init(struct tmd_sha256 *sha);
void tmd_sha256_update(struct tmd_sha256 *sha, const void *data, size_t bytes);
/* False if it could not be computed, which only a platform's own can say. */
bool tmd_sha256_final(struct tmd_sha256 *sha, uint8_t out[32]);

/* The digest that a patch carries (TMD_DIGEST_*), and SHA-256, which the record always holds. */
struct tmd_fingerprint {
	uint8_t kind;
	uint32_t crc; /* with kind CRC32 */
	struct tmd_sha256 sha;
};

void tmd_fingerprint_init(struct tmd_fingerprint *print, uint8_t kind);
void tmd_fingerprint_update(struct tmd_fingerprint *print, const void *data, size_t bytes);

/*
 * Finish, leave the SHA-256 in `sha256`, and tell whether `digest` is that of the data: of a
 * SHA-256, its first `bytes`. With kind NONE it always is, with an unknown kind never.
 */
bool tmd_fingerprint_matches(struct tmd_fingerprint *print, const uint8_t *digest,
			     uint32_t bytes, uint8_t sha256[32]);

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_DIGEST_H */

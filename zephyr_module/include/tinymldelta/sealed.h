/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Encrypted patches: an envelope around a patch, opened chunk by chunk as it comes. It keeps the patch
 * secret on its way, also from who changes what comes and looks what the device makes of it. Who made
 * the patch, the signature inside says.
 */
#ifndef TINYMLDELTA_SEALED_H
#define TINYMLDELTA_SEALED_H

#include "crypto.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

#if TMD_DECRYPT

/*
 * Bytes of an envelope before its chunks, at most: first byte, id of the key, length, public key. And
 * what a chunk takes here: its number, the ciphertext, the tag.
 */
#define TMD_SEALED_HEAD_MAX 73
#define TMD_SEALED_ROOM 268

/* An envelope that is being opened. Cleared to 0 at the start of a patch, and when it has ended. */
struct tmd_sealed {
	uint32_t left;  /* bytes of the patch inside that have not come out yet */
	uint32_t chunk; /* number of the one that is coming */
	uint16_t fill;  /* bytes in head or room */
	uint16_t key;   /* to which it is encrypted: index into contract->sealed_keys */
	uint8_t step;
	union {
		uint8_t head[TMD_SEALED_HEAD_MAX];
		struct {
			uint8_t keys[2 * TMD_SEALED_KEY_SIZE]; /* the cipher's, and that of the tags */
			uint8_t room[TMD_SEALED_ROOM];
		};
	};
};

/* Is what comes from `first` on, the patch's first byte or a later one, a patch in the clear? */
bool tmd_sealed_is_plain(struct tmd_sealed *sealed, const struct tmd_contract *contract,
			 uint8_t first);

/*
 * Take bytes of an envelope up to the end of a chunk; `*data` and `*bytes` move on behind what was
 * taken. If a chunk is complete, `*plain` is what was in it, `*n` bytes that stay until the next call;
 * else `*n` is 0.
 */
int tmd_sealed_open(struct tmd_sealed *sealed, const struct tmd_contract *contract,
		    const struct tmd_crypto *crypto, const uint8_t **data, size_t *bytes,
		    const uint8_t **plain, size_t *n) TMD_MUST_CHECK;

/* Has an envelope begun that is not at its end? */
bool tmd_sealed_is_open(const struct tmd_sealed *sealed);

#endif

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_SEALED_H */

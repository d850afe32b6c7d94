/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include <tinymldelta/sealed.h>

#include "bytes.h"
#include "signature.h"

#if TMD_DECRYPT

#define KEY_AT 1u
#define LENGTH_AT 5u
#define PUBLIC_AT 9u
#define NUMBER 4u /* bytes of a chunk's number, which its tag begins with */
#define BLOCK 16u
#define INFO (sizeof(TMD_SEALED_INFO) - 1u)

_Static_assert(TMD_SEALED_HEAD_MAX == PUBLIC_AT + TMD_AGREEMENT_MAX,
	       "TMD_SEALED_HEAD_MAX: as long as the longest public key makes it");
_Static_assert(TMD_SEALED_ROOM == NUMBER + TMD_SEALED_CHUNK + TMD_SEALED_TAG_SIZE,
	       "TMD_SEALED_ROOM: a number, a chunk and its tag");
_Static_assert(TMD_SEALED_CHUNK % BLOCK == 0, "chunks are whole blocks, but for the last");

enum step {
	STEP_FIRST,
	STEP_PLAIN,
	STEP_HEAD,
	STEP_CHUNKS,
};

static const uint8_t sizes[TMD_AGREEMENT_KINDS_N] = TMD_AGREEMENT_SIZES;

bool tmd_sealed_is_plain(struct tmd_sealed *sealed, const struct tmd_contract *contract,
			 uint8_t first)
{
	if (sealed->step == STEP_FIRST) {
		sealed->step = (first & 15u) == TMD_SEALED_FIRST && contract->keys_n != 0u &&
					       contract->sealed_keys_n != 0u
				       ? STEP_HEAD
				       : STEP_PLAIN;
	}
	return sealed->step == STEP_PLAIN;
}

bool tmd_sealed_is_open(const struct tmd_sealed *sealed)
{
	return sealed->step == STEP_HEAD || (sealed->step == STEP_CHUNKS && sealed->left != 0u);
}

/* HKDF-SHA-256 (RFC 5869) without a salt, of one block: from the shared secret to both keys. */
static int derive(const uint8_t shared[32], const uint8_t *head, uint32_t head_bytes,
		  uint8_t keys[32])
{
	static const uint8_t salt[32];
	uint8_t info[INFO + TMD_SEALED_HEAD_MAX + 1u];

	memcpy(info, TMD_SEALED_INFO, INFO);
	memcpy(&info[INFO], head, head_bytes);
	info[INFO + head_bytes] = 1;
	return tmd_hmac_sha256(salt, sizeof(salt), shared, 32, keys) &&
			       tmd_hmac_sha256(keys, 32, info, INFO + head_bytes + 1u, keys)
		       ? TMD_OK
		       : TMD_ERR_CRYPTO;
}

/* The whole head is there: agree on a secret. */
static int agree(struct tmd_sealed *sealed, const struct tmd_contract *contract,
		 const struct tmd_crypto *crypto)
{
	uint8_t shared[32] = {0};
	uint8_t keys[2u * TMD_SEALED_KEY_SIZE];
	int err = TMD_ERR_KEY;

	if (crypto != NULL && crypto->agree != NULL && crypto->aes128 != NULL) {
		err = crypto->agree(crypto->ctx, &contract->sealed_keys[sealed->key],
				    &sealed->head[PUBLIC_AT], shared);
	}
	if (err == TMD_OK) {
		err = derive(shared, sealed->head, sealed->fill, keys);
	}
	if (err == TMD_OK) {
		memcpy(sealed->keys, keys, sizeof(keys));
		sealed->fill = 0;
		sealed->step = STEP_CHUNKS;
		tmd_wipe(keys, sizeof(keys));
	}
	tmd_wipe(shared, sizeof(shared));
	return err == TMD_ERR_SIGNATURE ? TMD_ERR_HEADER : err; /* the sender's key is none */
}

/* One more byte of the head. */
static int take_head(struct tmd_sealed *sealed, const struct tmd_contract *contract,
		     const struct tmd_crypto *crypto, uint8_t byte)
{
	const uint8_t kind = (uint8_t)((sealed->fill == 0u ? byte : sealed->head[0]) >> 4);

	sealed->head[sealed->fill++] = byte;
	if (kind == 0u || kind > TMD_AGREEMENT_KINDS_N) {
		return TMD_ERR_FORMAT;
	}
	if (sealed->fill == LENGTH_AT) {
		sealed->key = tmd_key_find(contract->sealed_keys, contract->sealed_keys_n, kind,
					   &sealed->head[KEY_AT]);
		return sealed->key < contract->sealed_keys_n ? TMD_OK : TMD_ERR_KEY;
	}
	if (sealed->fill == PUBLIC_AT) {
		sealed->left = tmd_get_u32(&sealed->head[LENGTH_AT]);
		return sealed->left != 0u ? TMD_OK : TMD_ERR_HEADER;
	}
	return sealed->fill == PUBLIC_AT + sizes[kind - 1u] ? agree(sealed, contract, crypto) : TMD_OK;
}

/* AES-128 in counter mode (SP 800-38A): the counter goes on from chunk to chunk. */
static int decrypt(const struct tmd_sealed *sealed, const struct tmd_crypto *crypto, uint8_t *data,
		   uint32_t n)
{
	uint32_t count = sealed->chunk * (TMD_SEALED_CHUNK / BLOCK);
	uint8_t stream[BLOCK] = {0};
	int err = TMD_OK;

	for (uint32_t i = 0; i < n && err == TMD_OK; i++) {
		if (i % BLOCK == 0u) {
			const uint8_t counter[BLOCK] = {[12] = (uint8_t)(count >> 24),
							[13] = (uint8_t)(count >> 16),
							[14] = (uint8_t)(count >> 8),
							[15] = (uint8_t)count};

			err = crypto->aes128(crypto->ctx, sealed->keys, counter, stream);
			count++;
		}
		data[i] ^= stream[i % BLOCK];
	}
	tmd_wipe(stream, sizeof(stream));
	return err;
}

/* A chunk of n bytes and its tag are there. */
static int open_chunk(struct tmd_sealed *sealed, const struct tmd_crypto *crypto, uint32_t n)
{
	uint8_t tag[32];
	int err;

	tmd_put_u32(sealed->room, sealed->chunk);
	if (!tmd_hmac_sha256(&sealed->keys[TMD_SEALED_KEY_SIZE], TMD_SEALED_KEY_SIZE, sealed->room,
			     NUMBER + n, tag)) {
		return TMD_ERR_CRYPTO;
	}
	if (!tmd_is_equal(tag, &sealed->room[NUMBER + n], TMD_SEALED_TAG_SIZE)) {
		return TMD_ERR_SEAL;
	}
	err = decrypt(sealed, crypto, &sealed->room[NUMBER], n);
	sealed->chunk++;
	sealed->left -= n;
	sealed->fill = 0;
	return err;
}

int tmd_sealed_open(struct tmd_sealed *sealed, const struct tmd_contract *contract,
		    const struct tmd_crypto *crypto, const uint8_t **data, size_t *bytes,
		    const uint8_t **plain, size_t *n)
{
	int err = TMD_OK;

	*n = 0;
	*plain = NULL;
	while (err == TMD_OK && *bytes > 0u && *n == 0u) {
		const uint8_t byte = **data;
		const uint32_t chunk = tmd_min_u32(sealed->left, TMD_SEALED_CHUNK);

		if (sealed->step != STEP_CHUNKS) {
			err = take_head(sealed, contract, crypto, byte);
		} else if (chunk == 0u) {
			err = TMD_ERR_TRAILING;
		} else {
			sealed->room[NUMBER + sealed->fill++] = byte;
			if (sealed->fill == chunk + TMD_SEALED_TAG_SIZE) {
				err = open_chunk(sealed, crypto, chunk);
				*plain = &sealed->room[NUMBER];
				*n = chunk;
			}
		}
		*data += 1;
		*bytes -= 1u;
	}
	return err;
}

#endif

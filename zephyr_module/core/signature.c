/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "signature.h"

#if TMD_VERIFY

#define SCALAR 32u

/* The order of P-256 (SP 800-186, 3.2.1.3) and half of it, the highest byte first. */
static const uint8_t order[SCALAR] = {
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};
static const uint8_t half_order[SCALAR] = {
	0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
};
static const uint8_t zero[SCALAR];

uint16_t tmd_key_find(const struct tmd_key *keys, uint16_t keys_n, uint8_t kind, const uint8_t id[4])
{
	uint16_t n = 0;

	while (n < keys_n && (keys[n].kind != kind || memcmp(keys[n].id, id, 4) != 0)) {
		n++;
	}
	return n;
}

uint8_t tmd_signature_size(uint8_t kind)
{
	static const uint8_t sizes[TMD_SIGNATURE_KINDS_N] = TMD_SIGNATURE_SIZES;

	return sizes[kind - 1u];
}

bool tmd_signature_is_formed(uint8_t kind, const uint8_t *signature)
{
	const uint8_t *r = signature;
	const uint8_t *s = signature + SCALAR;

	return kind != TMD_SIGNATURE_ECDSA_P256 ||
	       (memcmp(r, zero, SCALAR) != 0 && memcmp(s, zero, SCALAR) != 0 &&
		memcmp(r, order, SCALAR) < 0 && memcmp(s, half_order, SCALAR) <= 0);
}

#endif

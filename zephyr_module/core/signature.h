/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Signatures as numbers: what can be said of one without a curve.
 */
#ifndef TMD_CORE_SIGNATURE_H
#define TMD_CORE_SIGNATURE_H

#include <tinymldelta/crypto.h>

#if TMD_VERIFY

/* The contract's key of that kind and id: its index, or keys_n. */
uint16_t tmd_key_find(const struct tmd_key *keys, uint16_t keys_n, uint8_t kind, const uint8_t id[4]);

/* How long a signature is. `kind` is one of TMD_SIGNATURE_*. */
uint8_t tmd_signature_size(uint8_t kind);

/*
 * Has it the form that its kind has? Of ECDSA, r and s are 1 to n - 1, and s at most n / 2: of the two
 * signatures that would hold, only one is one here.
 */
bool tmd_signature_is_formed(uint8_t kind, const uint8_t *signature);

#endif

#endif /* TMD_CORE_SIGNATURE_H */

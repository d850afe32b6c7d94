/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Stands in for Monocypher's optional file of this name where only its main file is at hand, as in what
 * PyPI has: Ed25519 of Monocypher's own parts, with SHA-512 from Mbed TLS.
 */
#ifndef TESTS_PORTS_MONOCYPHER_ED25519_H
#define TESTS_PORTS_MONOCYPHER_ED25519_H

#include <stddef.h>
#include <stdint.h>

/* 0: the signature is that of the message; else -1. At most 256 bytes of message. */
int crypto_ed25519_check(const uint8_t signature[64], const uint8_t public_key[32],
			 const uint8_t *message, size_t message_size);

#endif /* TESTS_PORTS_MONOCYPHER_ED25519_H */

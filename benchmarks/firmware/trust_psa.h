/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What of PSA Crypto each kind needs, for trust_mbedtls.h.
 */
#if defined(TRUST_ECDSA_P256)
#define PSA_WANT_ALG_ECDSA 1
#define PSA_WANT_ECC_SECP_R1_256 1
#define PSA_WANT_KEY_TYPE_ECC_PUBLIC_KEY 1
#endif
#if defined(TRUST_HMAC_PSA)
#define PSA_WANT_ALG_HMAC 1
#define PSA_WANT_ALG_SHA_256 1
#define PSA_WANT_KEY_TYPE_HMAC 1
#endif
#if defined(TRUST_AES_CMAC)
#define PSA_WANT_ALG_CMAC 1
#define PSA_WANT_KEY_TYPE_AES 1
#endif
#if defined(TRUST_X25519) || defined(TRUST_ECDH_P256)
#define PSA_WANT_ALG_ECDH 1
#define PSA_WANT_KEY_TYPE_ECC_KEY_PAIR 1
#define PSA_WANT_KEY_TYPE_ECC_KEY_PAIR_BASIC 1
#define PSA_WANT_KEY_TYPE_ECC_KEY_PAIR_IMPORT 1
#define PSA_WANT_KEY_TYPE_ECC_PUBLIC_KEY 1
#define PSA_WANT_ALG_ECB_NO_PADDING 1
#define PSA_WANT_KEY_TYPE_AES 1
#endif
#if defined(TRUST_X25519)
#define PSA_WANT_ECC_MONTGOMERY_255 1
#endif
#if defined(TRUST_ECDH_P256)
#define PSA_WANT_ECC_SECP_R1_256 1
#endif

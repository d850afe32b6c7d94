/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Configuration of Mbed TLS 3 for trust.c: PSA Crypto with what TRUST_* asks for and nothing else, small
 * rather than fast, without storage and without a random generator of its own.
 */
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_CRYPTO_CONFIG
#define MBEDTLS_PSA_CRYPTO_CONFIG_FILE "trust_psa.h"
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG
#define MBEDTLS_PSA_KEY_SLOT_COUNT 4
#define MBEDTLS_CIPHER_C /* PSA of some versions asks for it, whatever it is used for */

#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY
#define MBEDTLS_PLATFORM_CALLOC_MACRO trust_calloc
#define MBEDTLS_PLATFORM_FREE_MACRO trust_free

#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECP_WINDOW_SIZE 2
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 0
#define MBEDTLS_MPI_WINDOW_SIZE 1
#define MBEDTLS_MPI_MAX_SIZE 128
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_SHA256_SMALLER
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_AES_FEWER_TABLES

#include <stddef.h>

void *trust_calloc(size_t n, size_t bytes);
void trust_free(void *at);

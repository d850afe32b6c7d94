/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Patches of format 2 for tests: the head laid out by hand, with numbers from SPEC.md, the body from
 * the encoder; and a contract that takes them.
 */
#ifndef TESTS_CORE_FORMAT2_H
#define TESTS_CORE_FORMAT2_H

#include "bench.h"

/* What the contract of format2_contract has, and what format2_needs therefore asks for. */
#define BENCH_KERNELS 0xCAFEF00Du
#define BENCH_TENSORS 0x11112222u
#define BENCH_QUANTISATION 0x33334444u
#define BENCH_NAMES 0x55556666u

/* Let a contract of bench_init take format 2, and compare what it can. */
void format2_contract(struct tmd_contract *contract, struct tmd_model_contract *model);

/* TLVs, one behind the other; `bytes_free` frees them. */
void format2_number(struct bytes *tlvs, uint8_t tag, uint32_t value);
void format2_text(struct bytes *tlvs, uint8_t tag, const void *value, uint32_t n);

/* Those that the rules of format2_contract ask for: name, arena, kernels, operators, hashes. */
struct bytes format2_needs(void);

/* A head with its CRC-32. */
struct bytes format2_head(const struct bytes *base, const struct bytes *target,
			  const struct bytes *tlvs);

/* A whole patch. */
struct bytes format2_patch(const struct bytes *base, const struct bytes *target,
			   const struct bytes *tlvs);

#if TMD_VERIFY

/* Who signs: the kind, the id of the key, and what puts the signature of 32 bytes. */
struct format2_signer {
	uint8_t kind;
	uint8_t id[4];
	void (*sign)(const uint8_t digest[32], uint8_t *signature);
};

/*
 * By HMAC-SHA-256, and a port that knows its key and that of another signer, for which no patch is
 * signed. Its key agreement and cipher are no real ones, only as long as these: shared is the SHA-256
 * of peer and secret, a block that of key and block. What real ones make of a patch, tests/ports and
 * tests/codegen ask.
 */
extern const struct format2_signer format2_hmac;
extern const struct tmd_crypto format2_crypto;

/* Let a contract of format2_contract take what format2_hmac signs, and what is sealed to it. */
void format2_keys(struct tmd_contract *contract);

/* A whole signed patch. */
struct bytes format2_signed(const struct bytes *base, const struct bytes *target,
			    const struct bytes *tlvs, const struct format2_signer *signer);

/* Where its head ends, before the signature. Set right what stands there: CRC-32, or both. */
uint32_t format2_head_end(const struct bytes *patch);
void format2_repair(struct bytes *patch, const struct format2_signer *signer);

/* An envelope around a patch, by the kind of agreement 1 or 2. */
struct bytes format2_sealed(const struct bytes *patch, uint8_t kind);

#endif

#endif /* TESTS_CORE_FORMAT2_H */

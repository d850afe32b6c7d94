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

#endif /* TESTS_CORE_FORMAT2_H */

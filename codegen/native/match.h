/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Which byte of the base each byte of a stretch of the target comes from.
 */
#ifndef TMD_NATIVE_MATCH_H
#define TMD_NATIVE_MATCH_H

#include <stdint.h>

#include "encoder.h"

#define TMD_MATCH_NONE 0xFFFFFFFFu

struct tmd_matcher;

/*
 * base has to stay where it is until tmd_matcher_free. Words in it may change; what is found by is the
 * bytes of now. prices: which list, below TMD_PRICE_LISTS. NULL if memory is short.
 */
struct tmd_matcher *tmd_matcher_new(const uint8_t *base, uint32_t bytes, uint32_t prices);
void tmd_matcher_free(struct tmd_matcher *matcher);

/*
 * For each byte of target[from, to), the offset into the base that it is best aligned with, whether
 * or not the bytes are the same, or TMD_MATCH_NONE for one that is best inserted. Before the stretch
 * the base stood at `start`; behind it, it is wanted at `end`. Returns 0, or -1 if memory is short.
 */
int tmd_match(struct tmd_matcher *m, const uint8_t *target, uint32_t from, uint32_t to,
	      uint32_t start, uint32_t end, uint32_t *match);

#endif /* TMD_NATIVE_MATCH_H */

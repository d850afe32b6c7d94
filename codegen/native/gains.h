/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * By how much each row of a tensor of 8-bit weights has grown.
 */
#ifndef TMD_NATIVE_GAINS_H
#define TMD_NATIVE_GAINS_H

#include <stdint.h>

#include "encoder.h"

/*
 * The gain of each row that makes it cheapest, in units of 2^F2_GAIN_BITS / 65536: d[0] numbers, which
 * the caller frees. The tensor lies within both files. NULL if memory is short.
 */
int32_t *tmd_gains(const uint8_t *base, const uint8_t *target, const struct tmd_hint *h);

#endif /* TMD_NATIVE_GAINS_H */

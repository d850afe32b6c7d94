/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What lies between tensors: names, tables, buffers' heads, and all of a file that is no model.
 */
#ifndef TMD_NATIVE_GAPS_H
#define TMD_NATIVE_GAPS_H

#include <stdint.h>

#include "match.h"
#include "operations.h"

/*
 * Encode up to target offset `to`, where the base would go on at `base_at`. Returns a status:
 * TMD_ERR_ARGUMENT if memory is short.
 */
int tmd_encode_gap(struct encoder *e, struct tmd_matcher *matcher, uint32_t to, uint32_t base_at);

#endif /* TMD_NATIVE_GAPS_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The operators that a patch needs, as its TLV lists them (SPEC.md).
 */
#ifndef TMD_CORE_OPERATORS_H
#define TMD_CORE_OPERATORS_H

#include <tinymldelta/contract.h>

#include <stdbool.h>

/* One that is needed. */
struct tmd_operator_need {
	uint32_t id;
	uint8_t version;
	uint8_t types;
};

/* Walks a list. Begin with all of it at 0 but `at` and `bytes`. */
struct tmd_operators {
	const uint8_t *at;
	uint32_t bytes;
	bool any;                     /* `last` was read */
	struct tmd_operator_need last;
};

/* The next operator into `last`. False if the list is not well-formed here; `bytes` is 0 at its end. */
bool tmd_operators_next(struct tmd_operators *list);

/* Is all of the list well-formed? */
bool tmd_operators_are_valid(const uint8_t *at, uint32_t bytes);

#endif /* TMD_CORE_OPERATORS_H */

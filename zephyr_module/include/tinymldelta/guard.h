/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The guardrails: may this target run on this firmware? `tmd check` and the device run this code.
 */
#ifndef TINYMLDELTA_GUARD_H
#define TINYMLDELTA_GUARD_H

#include "contract.h"
#include "patch.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

/* What came of one rule. `need` and `have` are the two numbers that were compared. */
struct tmd_rule_result {
	uint32_t need;
	uint32_t have;
	enum tmd_verdict verdict;
	int status; /* TMD_OK, or why the patch is refused */
};

/* Evaluate one rule for contract->models[model]. A rule that cannot be evaluated refuses. */
struct tmd_rule_result tmd_guard_rule(const struct tmd_contract *contract, uint16_t model,
				      const struct tmd_patch_info *info, enum tmd_rule rule);

/* Evaluate all rules in order. Returns the status of the first that does not hold. */
int tmd_guard_check(const struct tmd_contract *contract, uint16_t model,
		    const struct tmd_patch_info *info) TMD_MUST_CHECK;

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_GUARD_H */

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

/*
 * What came of one rule. `need` and `have` are the numbers that were compared. Of NAME they are the
 * CRC-32 of the names. Of OPERATORS in format 2 they are how many operators there are, or, if it does
 * not hold, the first one that is missing: bit 31 and the low 15 bits of its id (in bits 16 to 30),
 * version (8 to 15; what the firmware has at most, 0 if nothing) and element types (0 to 7).
 */
struct tmd_rule_result {
	uint32_t need;
	uint32_t have;
	enum tmd_verdict verdict;
	int status; /* TMD_OK, or why the patch is refused */
};

/* Does the rule exist in the patch's format? */
bool tmd_guard_applies(const struct tmd_patch_info *info, enum tmd_rule rule);

/*
 * Evaluate one rule for contract->models[model]. A rule that cannot be evaluated refuses; one that does
 * not exist in the patch's format is an argument out of range.
 */
struct tmd_rule_result tmd_guard_rule(const struct tmd_contract *contract, uint16_t model,
				      const struct tmd_patch_info *info, enum tmd_rule rule);

/* Evaluate the rules of the patch's format in order. The status of the first that does not hold. */
int tmd_guard_check(const struct tmd_contract *contract, uint16_t model,
		    const struct tmd_patch_info *info) TMD_MUST_CHECK;

/* Which rules do not hold and are taken all the same, with a warning: bit n is for rule n. */
uint32_t tmd_guard_warnings(const struct tmd_contract *contract, uint16_t model,
			    const struct tmd_patch_info *info);

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_GUARD_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <tinymldelta/guard.h>

static uint32_t have_of(const struct tmd_contract *contract, uint16_t model, enum tmd_rule rule)
{
	const struct tmd_model_contract *have = &contract->models[model];

	switch (rule) {
	case TMD_RULE_ARENA:
		return have->arena_bytes;
	case TMD_RULE_ABI:
		return contract->tflm_abi;
	case TMD_RULE_OPERATORS:
		return have->opset_hash;
	case TMD_RULE_IO:
		return have->io_hash;
	default:
		return have->slot_bytes;
	}
}

struct tmd_rule_result tmd_guard_rule(const struct tmd_contract *contract, uint16_t model,
				      const struct tmd_patch_info *info, enum tmd_rule rule)
{
	/* What is not decided below fails: a rule that cannot be evaluated refuses. */
	struct tmd_rule_result r = {0, 0, TMD_FAIL, TMD_ERR_ARENA - (int)rule};
	bool holds;

	if ((unsigned int)rule >= (unsigned int)TMD_RULES_N) {
		r.status = TMD_ERR_ARGUMENT;
		return r;
	}
	r.have = have_of(contract, model, rule);
	r.need = rule == TMD_RULE_SLOT ? info->target_bytes : info->value[rule];
	if (rule != TMD_RULE_SLOT && (info->present & (1u << (unsigned int)rule)) == 0u) {
		const bool waived = (contract->accept & TMD_ACCEPT_UNGUARDED) != 0u;

		r.verdict = waived ? TMD_WAIVED : TMD_MISSING;
		r.status = waived ? TMD_OK : TMD_ERR_UNGUARDED;
		return r;
	}

	holds = rule == TMD_RULE_ARENA || rule == TMD_RULE_SLOT ? r.need <= r.have
								  : r.need == r.have;
	if (holds) {
		r.verdict = TMD_PASS;
		r.status = TMD_OK;
	}
	return r;
}

int tmd_guard_check(const struct tmd_contract *contract, uint16_t model,
		    const struct tmd_patch_info *info)
{
	for (int rule = 0; rule < (int)TMD_RULES_N; rule++) {
		const struct tmd_rule_result r =
			tmd_guard_rule(contract, model, info, (enum tmd_rule)rule);

		if (r.status != TMD_OK) {
			return r.status;
		}
	}
	return TMD_OK;
}

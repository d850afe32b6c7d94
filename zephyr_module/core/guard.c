/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <tinymldelta/guard.h>

/* The rules that read a TLV are numbered like the bits of tmd_patch_info.present. */
static bool is_present(const struct tmd_patch_info *info, enum tmd_rule rule)
{
	return ((info->present >> (unsigned int)rule) & 1u) != 0u;
}

struct tmd_rule_result tmd_guard_rule(const struct tmd_contract *contract, uint16_t model,
				      const struct tmd_patch_info *info, enum tmd_rule rule)
{
	const struct tmd_model_contract *have = &contract->models[model];
	/* What is not decided below fails: a rule that cannot be evaluated refuses. */
	struct tmd_rule_result r = {0, 0, TMD_FAIL, TMD_ERR_ARGUMENT};
	bool holds = false;

	switch (rule) {
	case TMD_RULE_ARENA:
		r.need = info->arena_bytes;
		r.have = have->arena_bytes;
		r.status = TMD_ERR_ARENA;
		holds = r.need <= r.have;
		break;
	case TMD_RULE_ABI:
		r.need = info->tflm_abi;
		r.have = contract->tflm_abi;
		r.status = TMD_ERR_ABI;
		holds = r.need == r.have;
		break;
	case TMD_RULE_OPERATORS:
		r.need = info->opset_hash;
		r.have = have->opset_hash;
		r.status = TMD_ERR_OPERATORS;
		holds = r.need == r.have;
		break;
	case TMD_RULE_IO:
		r.need = info->io_hash;
		r.have = have->io_hash;
		r.status = TMD_ERR_IO;
		holds = r.need == r.have;
		break;
	case TMD_RULE_SLOT:
		r.need = info->target_bytes;
		r.have = have->slot_bytes;
		r.status = TMD_ERR_SLOT;
		holds = r.need <= r.have;
		break;
	case TMD_RULES_N:
	default:
		return r;
	}

	if (rule != TMD_RULE_SLOT && !is_present(info, rule)) {
		const bool waived = (contract->accept & TMD_ACCEPT_UNGUARDED) != 0u;

		r.verdict = waived ? TMD_WAIVED : TMD_MISSING;
		r.status = waived ? TMD_OK : TMD_ERR_UNGUARDED;
	} else if (holds) {
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

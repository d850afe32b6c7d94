/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include <tinymldelta/digest.h>
#include <tinymldelta/guard.h>

#include "bytes.h"
#include "metadata.h"
#include "operators.h"

#define OF_HEADER 0u

#if TMD_DECODER == TMD_DECODER_NONE

_Static_assert((int)TMD_RULE_ARENA == (int)TMD_TLV_REQ_ARENA_BYTES &&
		       (int)TMD_RULE_ABI == (int)TMD_TLV_TFLM_ABI &&
		       (int)TMD_RULE_OPERATORS == (int)TMD_TLV_OPSET_HASH &&
		       (int)TMD_RULE_IO == (int)TMD_TLV_IO_HASH,
	       "in format 1, a rule reads the TLV with its number");
_Static_assert((int)TMD_ERR_ABI == (int)TMD_ERR_ARENA - 1 &&
		       (int)TMD_ERR_OPERATORS == (int)TMD_ERR_ARENA - 2 &&
		       (int)TMD_ERR_IO == (int)TMD_ERR_ARENA - 3,
	       "their refusals are in the same order");

static uint8_t tag_of(const struct tmd_patch_info *info, enum tmd_rule rule)
{
	(void)info;
	if (rule == TMD_RULE_SLOT) {
		return OF_HEADER;
	}
	return rule >= TMD_RULE_ARENA && rule <= TMD_RULE_IO ? (uint8_t)rule : TMD_NO_RULE;
}

static int refusal_of(enum tmd_rule rule)
{
	return rule == TMD_RULE_SLOT ? TMD_ERR_SLOT : TMD_ERR_ARENA + 1 - (int)rule;
}

#else

/* What a rule reads of a patch of that format: a tag, OF_HEADER, or TMD_NO_RULE. */
static uint8_t tag_of(const struct tmd_patch_info *info, enum tmd_rule rule)
{
	static const uint8_t of_format1[TMD_RULES_N] = TMD_F1_RULE_TLVS;
	static const uint8_t of_format2[TMD_RULES_N] = TMD_F2_RULE_TLVS;

	if ((unsigned int)rule >= (unsigned int)TMD_RULES_N) {
		return TMD_NO_RULE;
	}
	return info->format == TMD_FORMAT_1 ? of_format1[rule] : of_format2[rule];
}

static int refusal_of(enum tmd_rule rule)
{
	static const uint8_t refusals[TMD_RULES_N] = TMD_RULE_REFUSALS;

	return -(int)refusals[rule];
}

#endif

bool tmd_guard_applies(const struct tmd_patch_info *info, enum tmd_rule rule)
{
	return tag_of(info, rule) != TMD_NO_RULE;
}

/* Bytes of a slot that the target takes, with what the patch says of it behind it. */
static uint32_t slot_need(const struct tmd_contract *contract, const struct tmd_patch_info *info)
{
#if TMD_DECODER != TMD_DECODER_NONE
	if (info->kept_bytes != 0u) {
		return tmd_round_up(info->target_bytes, contract->write_bytes) + info->kept_bytes;
	}
#else
	(void)contract;
#endif
	return info->target_bytes;
}

#if TMD_DECODER != TMD_DECODER_NONE

static bool compare_names(const struct tmd_model_contract *model, const struct tmd_patch_info *info,
			  struct tmd_rule_result *r)
{
	const size_t length = strlen(model->name);
	uint32_t bytes;
	const uint8_t *name =
		tmd_tlv_find(info->kept, info->kept_bytes, TMD_TLV_MODEL_NAME, &bytes);

	r->need = tmd_crc32(0, name, bytes);
	r->have = model->id;
	return bytes == length && memcmp(name, model->name, length) == 0;
}

/* As guard.h says. */
static uint32_t number_of(uint32_t id, uint8_t version, uint8_t types)
{
	return (id & 0x80000000u) | (id & TMD_OPERATOR_CODE_MAX) << 16 | (uint32_t)version << 8 | types;
}

static bool find_missing(const struct tmd_contract *contract, const struct tmd_patch_info *info,
			 struct tmd_rule_result *r)
{
	struct tmd_operators list = {0};
	uint16_t n = 0;

	list.at = tmd_tlv_find(info->kept, info->kept_bytes, TMD_TLV_OPERATORS, &list.bytes);
	r->need = 0;
	r->have = contract->operators_n;
	while (list.bytes > 0u) {
		struct tmd_operator have = {0, 0, 0, 0};

		/* It was found well-formed when it was read; nothing hangs on that here. */
		if (!tmd_operators_next(&list)) {
			return false;
		}
		r->need++;
		while (n < contract->operators_n && contract->operators[n].id < list.last.id) {
			n++;
		}
		if (n < contract->operators_n && contract->operators[n].id == list.last.id) {
			have = contract->operators[n];
		}
		if (list.last.version < have.lowest || list.last.version > have.highest ||
		    (list.last.types & ~(uint32_t)have.types) != 0u) {
			r->need = number_of(list.last.id, list.last.version, list.last.types);
			r->have = number_of(list.last.id, have.highest, have.types);
			return false;
		}
	}
	return true;
}

#endif

/* What the firmware has of what a rule reads. */
static uint32_t have_of(const struct tmd_contract *contract, const struct tmd_model_contract *model,
			uint8_t tag)
{
	switch (tag) {
	case TMD_TLV_REQ_ARENA_BYTES:
		return model->arena_bytes;
	case TMD_TLV_TFLM_ABI:
		return contract->tflm_abi;
	case TMD_TLV_OPSET_HASH:
		return model->opset_hash;
	case TMD_TLV_IO_HASH:
		return model->io_hash;
#if TMD_DECODER != TMD_DECODER_NONE
	case TMD_TLV_KERNELS:
		return contract->kernels;
	case TMD_TLV_TENSORS:
		return model->tensors;
	case TMD_TLV_QUANTISATION:
		return model->quantisation;
	case TMD_TLV_TENSOR_NAMES:
		return model->tensor_names;
	case TMD_TLV_DEVICE_CLASS:
		return contract->device_class;
#endif
	default:
		return model->slot_bytes;
	}
}

/* And what the patch says. */
static uint32_t need_of(const struct tmd_patch_info *info, uint8_t tag)
{
#if TMD_DECODER != TMD_DECODER_NONE
	if (tag == TMD_TLV_DEVICE_CLASS) {
		return tmd_tlv_u32(info, tag);
	}
#endif
	return info->value[tag - 1u];
}

static bool compare(const struct tmd_contract *contract, uint16_t model,
		    const struct tmd_patch_info *info, uint8_t tag, struct tmd_rule_result *r)
{
	const struct tmd_model_contract *have = &contract->models[model];

#if TMD_DECODER != TMD_DECODER_NONE
	if (tag == TMD_TLV_MODEL_NAME) {
		return compare_names(have, info, r);
	}
	if (tag == TMD_TLV_OPERATORS) {
		return find_missing(contract, info, r);
	}
#endif
	r->need = tag == OF_HEADER ? slot_need(contract, info) : need_of(info, tag);
	r->have = have_of(contract, have, tag);
	return tag <= TMD_TLV_REQ_ARENA_BYTES ? r->need <= r->have : r->need == r->have;
}

/* What the contract makes of a rule that does not hold. */
static enum tmd_verdict policy(const struct tmd_contract *contract, enum tmd_rule rule)
{
	const uint16_t accept = contract->accept;

	if (rule == TMD_RULE_ABI && (accept & (TMD_ACCEPT_KERNELS | TMD_ACCEPT_KERNELS_WARNED)) != 0u) {
		return (accept & TMD_ACCEPT_KERNELS) != 0u ? TMD_FREE : TMD_WARNED;
	}
#if TMD_DECODER != TMD_DECODER_NONE
	if ((rule == TMD_RULE_QUANTISATION && (accept & TMD_ACCEPT_QUANTISATION) != 0u) ||
	    (rule == TMD_RULE_TENSOR_NAMES && (accept & TMD_COMPARE_NAMES) == 0u)) {
		return TMD_FREE;
	}
#endif
	return TMD_FAIL;
}

/* And of one whose TLV is missing. */
static enum tmd_verdict without(const struct tmd_contract *contract, enum tmd_rule rule)
{
#if TMD_DECODER != TMD_DECODER_NONE
	if ((rule == TMD_RULE_TENSOR_NAMES && policy(contract, rule) == TMD_FREE) ||
	    (rule == TMD_RULE_CLASS && contract->device_class == 0u)) {
		return TMD_FREE; /* nobody asks for what nobody compares */
	}
#else
	(void)rule;
#endif
	return (contract->accept & TMD_ACCEPT_UNGUARDED) != 0u ? TMD_WAIVED : TMD_MISSING;
}

struct tmd_rule_result tmd_guard_rule(const struct tmd_contract *contract, uint16_t model,
				      const struct tmd_patch_info *info, enum tmd_rule rule)
{
	struct tmd_rule_result r = {0, 0, TMD_PASS, TMD_OK};
	const uint8_t tag = tag_of(info, rule);

	if (tag == TMD_NO_RULE) {
		/* What cannot be evaluated refuses. */
		r.verdict = TMD_FAIL;
		r.status = TMD_ERR_ARGUMENT;
	} else if (tag != OF_HEADER && !tmd_has_tlv(info, tag)) {
		r.verdict = without(contract, rule);
		r.status = r.verdict == TMD_MISSING ? TMD_ERR_UNGUARDED : TMD_OK;
	} else if (!compare(contract, model, info, tag, &r)) {
		r.verdict = policy(contract, rule);
		r.status = r.verdict == TMD_FAIL ? refusal_of(rule) : TMD_OK;
	}
	return r;
}

int tmd_guard_check(const struct tmd_contract *contract, uint16_t model,
		    const struct tmd_patch_info *info)
{
	for (int rule = 0; rule < (int)TMD_RULES_N; rule++) {
		const int status =
			tmd_guard_rule(contract, model, info, (enum tmd_rule)rule).status;

		if (status != TMD_OK && status != TMD_ERR_ARGUMENT) { /* which has no such rule */
			return status;
		}
	}
	return TMD_OK;
}

uint32_t tmd_guard_warnings(const struct tmd_contract *contract, uint16_t model,
			    const struct tmd_patch_info *info)
{
	uint32_t warnings = 0;

	for (int rule = 0; rule < (int)TMD_RULES_N; rule++) {
		if (tmd_guard_rule(contract, model, info, (enum tmd_rule)rule).verdict ==
		    TMD_WARNED) {
			warnings |= 1u << (unsigned int)rule;
		}
	}
	return warnings;
}

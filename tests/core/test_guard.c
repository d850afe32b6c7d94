/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The guardrails: each rule alone, its TLV missing and waived, and the order in which they refuse.
 */
#include "harness.h"

#include <tinymldelta/guard.h>

static struct tmd_model_contract models[2];
static struct tmd_contract contract;
static struct tmd_patch_info info;

/* A firmware, and a patch that asks for just what its second model's contract has. */
static void set_up(void)
{
	memset(models, 0, sizeof(models));
	models[1] = (struct tmd_model_contract){
		.name = "second",
		.arena_bytes = 4096,
		.opset_hash = 0x01020304,
		.io_hash = 0xFFFFFFFE,
		.slot_bytes = 8192,
	};
	contract = (struct tmd_contract){
		.wire_version = TMD_WIRE_VERSION,
		.formats = 1u << TMD_FORMAT_1,
		.tflm_abi = 0x0203,
		.models_n = 2,
		.models = models,
	};
	memset(&info, 0, sizeof(info));
	info.target_bytes = 8192;
	info.value[TMD_RULE_ARENA] = 4096;
	info.value[TMD_RULE_ABI] = 0x0203;
	info.value[TMD_RULE_OPERATORS] = 0x01020304;
	info.value[TMD_RULE_IO] = 0xFFFFFFFE;
	info.present = 0x0F;
}

struct expected {
	enum tmd_rule rule;
	int refusal;
	uint32_t *need;
	uint32_t have;
	bool at_most; /* else: equal */
};

static const struct expected rules[] = {
	{TMD_RULE_ARENA, TMD_ERR_ARENA, &info.value[TMD_RULE_ARENA], 4096, true},
	{TMD_RULE_ABI, TMD_ERR_ABI, &info.value[TMD_RULE_ABI], 0x0203, false},
	{TMD_RULE_OPERATORS, TMD_ERR_OPERATORS, &info.value[TMD_RULE_OPERATORS], 0x01020304, false},
	{TMD_RULE_IO, TMD_ERR_IO, &info.value[TMD_RULE_IO], 0xFFFFFFFE, false},
	{TMD_RULE_SLOT, TMD_ERR_SLOT, &info.target_bytes, 8192, true},
};

_Static_assert(sizeof(rules) / sizeof(rules[0]) == TMD_RULES_N, "every rule is tested");

static void expect_result(const struct expected *e, enum tmd_verdict verdict, int status)
{
	const struct tmd_rule_result r = tmd_guard_rule(&contract, 1, &info, e->rule);

	EXPECT_EQ(r.verdict, verdict);
	EXPECT_STATUS(r.status, status);
	EXPECT_EQ(r.need, *e->need);
	EXPECT_EQ(r.have, e->have);
	EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), status);
}

static void test_a_patch_that_fits(void)
{
	set_up();
	for (size_t i = 0; i < TMD_RULES_N; i++) {
		context("%s", tmd_rule_name((int)rules[i].rule));
		expect_result(&rules[i], TMD_PASS, TMD_OK);
	}
}

static void test_each_rule_alone(void)
{
	static const uint32_t steps[] = {1, 2, 256, 0x80000000u};

	for (size_t i = 0; i < TMD_RULES_N; i++) {
		const struct expected *e = &rules[i];

		context("%s", tmd_rule_name((int)e->rule));
		for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
			set_up();
			*e->need = e->have + steps[k];
			expect_result(e, TMD_FAIL, e->refusal);
			set_up();
			*e->need = e->have - steps[k];
			if (e->at_most && *e->need < e->have) {
				expect_result(e, TMD_PASS, TMD_OK);
			} else {
				expect_result(e, TMD_FAIL, e->refusal);
			}
		}
		set_up();
		*e->need = UINT32_MAX;
		expect_result(e, TMD_FAIL, e->refusal);
		*e->need = 0;
		if (e->at_most) {
			expect_result(e, TMD_PASS, TMD_OK);
		} else {
			expect_result(e, TMD_FAIL, e->refusal);
		}
	}
}

static void test_each_bit_of_a_hash_counts(void)
{
	for (uint32_t bit = 0; bit < 32u; bit++) {
		context("bit %u", (unsigned int)bit);
		set_up();
		info.value[TMD_RULE_OPERATORS] ^= (uint32_t)1 << bit;
		EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), TMD_ERR_OPERATORS);
		set_up();
		info.value[TMD_RULE_IO] ^= (uint32_t)1 << bit;
		EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), TMD_ERR_IO);
		set_up();
		info.value[TMD_RULE_ABI] ^= (uint32_t)1 << bit;
		EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), TMD_ERR_ABI);
	}
}

/* "Silence is never a pass": what is missing refuses, even if the fields look right. */
static void test_missing(void)
{
	for (size_t i = 0; i + 1u < TMD_RULES_N; i++) {
		context("%s", tmd_rule_name((int)rules[i].rule));
		set_up();
		info.present = (uint8_t)(info.present & ~(1u << rules[i].rule));
		expect_result(&rules[i], TMD_MISSING, TMD_ERR_UNGUARDED);
		contract.accept = TMD_ACCEPT_NO_DIGEST; /* another permission is none for this */
		expect_result(&rules[i], TMD_MISSING, TMD_ERR_UNGUARDED);
	}
	/* The slot is measured with the header, which is always there. */
	set_up();
	info.present = 0;
	EXPECT_EQ(tmd_guard_rule(&contract, 1, &info, TMD_RULE_SLOT).verdict, TMD_PASS);
	EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), TMD_ERR_UNGUARDED);
}

static void test_waived(void)
{
	for (size_t i = 0; i + 1u < TMD_RULES_N; i++) {
		context("%s", tmd_rule_name((int)rules[i].rule));
		set_up();
		contract.accept = TMD_ACCEPT_UNGUARDED;
		info.present = (uint8_t)(info.present & ~(1u << rules[i].rule));
		*rules[i].need = UINT32_MAX; /* not looked at */
		expect_result(&rules[i], TMD_WAIVED, TMD_OK);
		/* What is there is judged all the same. */
		set_up();
		contract.accept = TMD_ACCEPT_UNGUARDED;
		*rules[i].need = UINT32_MAX;
		expect_result(&rules[i], TMD_FAIL, rules[i].refusal);
	}
	set_up();
	contract.accept = TMD_ACCEPT_UNGUARDED;
	info.present = 0;
	info.target_bytes = 8193;
	EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), TMD_ERR_SLOT);
}

/* All 3^4 * 2 combinations of right, wrong and missing: the first one in the table decides. */
static void test_order(void)
{
	for (unsigned int mix = 0; mix < 162u; mix++) {
		unsigned int left = mix;
		int want = TMD_OK;

		set_up();
		for (size_t i = 0; i < TMD_RULES_N; i++) {
			const unsigned int kinds = i + 1u < TMD_RULES_N ? 3u : 2u;
			const unsigned int kind = left % kinds;

			left /= kinds;
			if (kind == 1u) {
				*rules[i].need = rules[i].have + 1u;
			} else if (kind == 2u) {
				info.present = (uint8_t)(info.present & ~(1u << rules[i].rule));
			}
			if (want == TMD_OK && kind != 0u) {
				want = kind == 1u ? rules[i].refusal : TMD_ERR_UNGUARDED;
			}
		}
		context("mix %u", mix);
		EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), want);
	}
}

static void test_another_model_of_the_contract(void)
{
	set_up();
	EXPECT_STATUS(tmd_guard_check(&contract, 0, &info), TMD_ERR_ARENA);
	models[0] = models[1];
	models[1].arena_bytes = 0;
	EXPECT_STATUS(tmd_guard_check(&contract, 0, &info), TMD_OK);
	EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), TMD_ERR_ARENA);
}

/* "A guardrail that cannot be evaluated refuses." */
static void test_a_rule_that_does_not_exist(void)
{
	set_up();
	contract.accept = TMD_ACCEPT_UNGUARDED;
	for (int rule = TMD_RULES_N; rule < 40; rule++) {
		const struct tmd_rule_result r =
			tmd_guard_rule(&contract, 1, &info, (enum tmd_rule)rule);

		context("rule %d", rule);
		EXPECT_EQ(r.verdict, TMD_FAIL);
		EXPECT_STATUS(r.status, TMD_ERR_ARGUMENT);
	}
}

int main(void)
{
	RUN(test_a_patch_that_fits);
	RUN(test_each_rule_alone);
	RUN(test_each_bit_of_a_hash_counts);
	RUN(test_missing);
	RUN(test_waived);
	RUN(test_order);
	RUN(test_another_model_of_the_contract);
	RUN(test_a_rule_that_does_not_exist);
	return harness_result();
}

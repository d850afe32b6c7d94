/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The guardrails of both formats: each rule alone, its TLV missing and waived, what each policy of a
 * contract makes of each rule, and the order in which they refuse.
 */
#include "harness.h"

#include <tinymldelta/digest.h>
#include <tinymldelta/guard.h>

#include "bench.h"

static struct tmd_model_contract models[2];
static struct tmd_contract contract;
static struct tmd_patch_info info;

static const struct tmd_operator operators[] = {
	{3, 1, 6, 0x01},
	{22, 1, 1, 0x03},
};

/*
 * What a patch says of itself, with tags by SPEC.md: the model's name, operators 3 and 22, and the
 * class of devices.
 */
static const uint8_t said[] = {12, 6,    's',  'e', 'c',  'o',  'n', 'd', 13,   6,   4,
			       0x86, 0x01, 19, 0x81, 0x02, 17,  4,   0x78, 0x56, 0x34, 0x92};

enum {
	OF_NAME = 7,     /* its last letter */
	OF_VERSION = 11, /* of the first operator */
	OF_CLASS = 18,
};

/* A firmware, and a patch that asks for just what its second model's contract has. */
static void set_up(uint8_t format)
{
	memset(models, 0, sizeof(models));
	models[1] = (struct tmd_model_contract){
		.name = "second",
		.id = tmd_crc32(0, (const uint8_t *)"second", 6),
		.arena_bytes = 4096,
		.opset_hash = 0x01020304,
		.io_hash = 0xFFFFFFFE,
		.tensors = 0x80000001,
		.quantisation = 0x7FFFFFFE,
		.tensor_names = 0x12345678,
		.slot_bytes = 8192,
	};
	contract = (struct tmd_contract){
		.wire_version = TMD_WIRE_VERSION,
		.accept = TMD_COMPARE_NAMES,
		.formats = 1u << TMD_FORMAT_1 | 1u << TMD_FORMAT_2,
		.tflm_abi = 0x0203,
		.kernels = 0xCAFEF00D,
		.device_class = 0x92345678,
		.operators_n = 2,
		.models_n = 2,
		.write_bytes = 4,
		.operators = operators,
		.models = models,
	};
	memset(&info, 0, sizeof(info));
	info.format = format;
	info.value[0] = 4096;
	if (format == TMD_FORMAT_1) {
		info.target_bytes = 8192;
		info.value[1] = 0x0203;
		info.value[2] = 0x01020304;
		info.value[3] = 0xFFFFFFFE;
		info.present = 0x0F;
		return;
	}
	info.target_bytes = 8168; /* 22 bytes of metadata are behind it, in whole words */
	info.value[7] = 0xCAFEF00D;
	info.value[8] = 0x80000001;
	info.value[9] = 0x7FFFFFFE;
	info.value[10] = 0x12345678;
	info.present = 0x11F81;
	info.kept_bytes = sizeof(said);
	memcpy(info.kept, said, sizeof(said));
}

/* The rules of the formats, in their order. */
static const struct rule {
	uint8_t format;
	uint8_t tag; /* that it reads; 0: the header */
	enum tmd_rule rule;
	int refusal;
	uint32_t *number; /* that it reads; NULL if it is none */
	uint32_t have;
	bool at_most; /* else: equal */
} rules[] = {
	{1, 1, TMD_RULE_ARENA, TMD_ERR_ARENA, &info.value[0], 4096, true},
	{1, 2, TMD_RULE_ABI, TMD_ERR_ABI, &info.value[1], 0x0203, false},
	{1, 3, TMD_RULE_OPERATORS, TMD_ERR_OPERATORS, &info.value[2], 0x01020304, false},
	{1, 4, TMD_RULE_IO, TMD_ERR_IO, &info.value[3], 0xFFFFFFFE, false},
	{1, 0, TMD_RULE_SLOT, TMD_ERR_SLOT, &info.target_bytes, 8192, true},
	{2, 12, TMD_RULE_NAME, TMD_ERR_NAME, NULL, 0, false},
	{2, 1, TMD_RULE_ARENA, TMD_ERR_ARENA, &info.value[0], 4096, true},
	{2, 8, TMD_RULE_ABI, TMD_ERR_ABI, &info.value[7], 0xCAFEF00D, false},
	{2, 13, TMD_RULE_OPERATORS, TMD_ERR_OPERATORS, NULL, 0, false},
	{2, 9, TMD_RULE_IO, TMD_ERR_IO, &info.value[8], 0x80000001, false},
	{2, 10, TMD_RULE_QUANTISATION, TMD_ERR_QUANTISATION, &info.value[9], 0x7FFFFFFE, false},
	{2, 11, TMD_RULE_TENSOR_NAMES, TMD_ERR_TENSOR_NAMES, &info.value[10], 0x12345678, false},
	{2, 17, TMD_RULE_CLASS, TMD_ERR_CLASS, NULL, 0, false},
	{2, 0, TMD_RULE_SLOT, TMD_ERR_SLOT, &info.target_bytes, 8168, true},
};

#define RULES_N (sizeof(rules) / sizeof(rules[0]))
#define OF_FORMAT_1 5u
_Static_assert(RULES_N - OF_FORMAT_1 == TMD_RULES_N, "every rule exists in format 2");

static void at_rule(const struct rule *rule)
{
	context("format %d, %s", (int)rule->format, tmd_rule_name((int)rule->rule));
}

static void make_wrong(const struct rule *rule)
{
	if (rule->number != NULL) {
		*rule->number = rule->have + 1u;
	} else {
		info.kept[rule->rule == TMD_RULE_NAME    ? OF_NAME
			  : rule->rule == TMD_RULE_CLASS ? OF_CLASS
							 : OF_VERSION] ^= 1u;
	}
}

static void make_missing(const struct rule *rule)
{
	info.present &= ~(1u << (rule->tag - 1u));
}

static struct tmd_rule_result result_of(const struct rule *rule)
{
	return tmd_guard_rule(&contract, 1, &info, rule->rule);
}

static void expect_result(const struct rule *rule, enum tmd_verdict verdict, int status)
{
	const struct tmd_rule_result r = result_of(rule);

	EXPECT_EQ(r.verdict, verdict);
	EXPECT_STATUS(r.status, status);
	EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), status);
}

static void test_a_patch_that_fits(void)
{
	for (size_t i = 0; i < RULES_N; i++) {
		at_rule(&rules[i]);
		set_up(rules[i].format);
		EXPECT(tmd_guard_applies(&info, rules[i].rule));
		expect_result(&rules[i], TMD_PASS, TMD_OK);
		EXPECT_EQ(tmd_guard_warnings(&contract, 1, &info), 0);
	}
}

static void expect_number(const struct rule *rule, uint32_t number, bool holds)
{
	struct tmd_rule_result r;
	const uint32_t behind = rule->tag == 0u && rule->format == TMD_FORMAT_2 ? 24u : 0u;

	if (rule->tag == 0u && number > TMD_MODEL_MAX) {
		return; /* no header is read that says so */
	}
	set_up(rule->format);
	*rule->number = number;
	expect_result(rule, holds ? TMD_PASS : TMD_FAIL, holds ? TMD_OK : rule->refusal);
	r = result_of(rule);
	if (rule->tag != 0u) {
		EXPECT_EQ(r.need, number);
	}
	EXPECT_EQ(r.have, rule->have + behind);
}

static void test_each_number_alone(void)
{
	for (size_t i = 0; i < RULES_N; i++) {
		const struct rule *rule = &rules[i];

		if (rule->number == NULL) {
			continue;
		}
		at_rule(rule);
		for (uint32_t step = 1; step != 0u; step <<= 1) {
			const uint32_t less = rule->have - step;

			expect_number(rule, rule->have ^ step,
				      rule->at_most && (rule->have ^ step) < rule->have);
			expect_number(rule, less, rule->at_most && less < rule->have);
		}
		expect_number(rule, TMD_MODEL_MAX, false);
		expect_number(rule, UINT32_MAX, false);
		expect_number(rule, 0, rule->at_most);
	}
}

static void test_name(void)
{
	static const char *const names[] = {"secon", "seconds", "Second", "second ", "s", "third"};
	struct tmd_rule_result r;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const uint8_t n = (uint8_t)strlen(names[i]);

		set_up(TMD_FORMAT_2);
		context("%s", names[i]);
		info.kept[1] = n;
		memcpy(&info.kept[2], names[i], n);
		info.kept_bytes = (uint8_t)(n + 2u);
		r = tmd_guard_rule(&contract, 1, &info, TMD_RULE_NAME);
		EXPECT_EQ(r.verdict, TMD_FAIL);
		EXPECT_STATUS(r.status, TMD_ERR_NAME);
		EXPECT_EQ(r.need, tmd_crc32(0, (const uint8_t *)names[i], n));
		EXPECT_EQ(r.have, models[1].id);
	}
	set_up(TMD_FORMAT_2);
	r = tmd_guard_rule(&contract, 1, &info, TMD_RULE_NAME);
	EXPECT_EQ(r.need, r.have);
}

/* Where metadata stand behind the target: at the next write unit. */
static void test_slot_with_metadata(void)
{
	for (uint32_t unit = 1; unit <= 256u; unit++) {
		const uint32_t last = (8192u - sizeof(said)) / unit * unit;

		set_up(TMD_FORMAT_2);
		contract.write_bytes = unit;
		context("write unit %u", (unsigned int)unit);
		info.target_bytes = last;
		EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), TMD_OK);
		EXPECT_EQ(tmd_guard_rule(&contract, 1, &info, TMD_RULE_SLOT).need,
			  last + sizeof(said));
		info.target_bytes = last + 1u;
		EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), TMD_ERR_SLOT);
		EXPECT_EQ(tmd_guard_rule(&contract, 1, &info, TMD_RULE_SLOT).need,
			  last + unit + sizeof(said));
		/* Without metadata the last write unit is padded, not needed. */
		info.kept_bytes = 0;
		info.target_bytes = 8192;
		EXPECT_EQ(tmd_guard_rule(&contract, 1, &info, TMD_RULE_SLOT).need, 8192);
	}
}

/* By SPEC.md: what the contract makes of a rule whose TLV is wrong or missing. */
static enum tmd_verdict expected(const struct rule *rule, bool is_missing)
{
	const uint32_t accept = contract.accept;

	if (rule->rule == TMD_RULE_TENSOR_NAMES && (accept & 0x20u) == 0u) {
		return TMD_FREE;
	}
	if (is_missing) {
		return (accept & 0x01u) != 0u ? TMD_WAIVED : TMD_MISSING;
	}
	if (rule->rule == TMD_RULE_ABI && (accept & 0x0Cu) != 0u) {
		return (accept & 0x08u) != 0u ? TMD_FREE : TMD_WARNED;
	}
	if (rule->rule == TMD_RULE_QUANTISATION && (accept & 0x10u) != 0u) {
		return TMD_FREE;
	}
	return TMD_FAIL;
}

static int status_of(const struct rule *rule, enum tmd_verdict verdict)
{
	return verdict == TMD_FAIL      ? rule->refusal
	       : verdict == TMD_MISSING ? TMD_ERR_UNGUARDED
					: TMD_OK;
}

/* "Silence is never a pass": what is missing refuses, unless a policy says else. */
static void test_policies(void)
{
	for (size_t i = 0; i < RULES_N; i++) {
		const struct rule *rule = &rules[i];

		at_rule(rule);
		for (uint32_t accept = 0; accept < 64u; accept++) {
			enum tmd_verdict want;

			set_up(rule->format);
			contract.accept = (uint16_t)accept;
			expect_result(rule, TMD_PASS, TMD_OK);
			make_wrong(rule);
			want = expected(rule, false);
			expect_result(rule, want, status_of(rule, want));
			EXPECT_EQ(tmd_guard_warnings(&contract, 1, &info),
				  want == TMD_WARNED ? 1u << rule->rule : 0u);
			if (rule->tag != 0u) {
				make_missing(rule); /* and what would be read is wrong */
				want = expected(rule, true);
				expect_result(rule, want, status_of(rule, want));
			}
		}
	}
}

/* Firmware of no class asks for none, and is none of a class that a patch is for. */
static void test_no_class(void)
{
	struct tmd_rule_result r;

	set_up(TMD_FORMAT_2);
	r = tmd_guard_rule(&contract, 1, &info, TMD_RULE_CLASS);
	EXPECT_EQ(r.need, 0x92345678);
	EXPECT_EQ(r.have, 0x92345678);
	contract.device_class = 0;
	r = tmd_guard_rule(&contract, 1, &info, TMD_RULE_CLASS);
	EXPECT_EQ(r.verdict, TMD_FAIL);
	EXPECT_STATUS(r.status, TMD_ERR_CLASS);
	EXPECT_EQ(r.have, 0);
	info.present &= ~(1u << 16);
	r = tmd_guard_rule(&contract, 1, &info, TMD_RULE_CLASS);
	EXPECT_EQ(r.verdict, TMD_FREE);
	EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), TMD_OK);
}

static void expect_order(uint8_t format, size_t first, size_t end, unsigned int mixes)
{
	for (unsigned int mix = 0; mix < mixes; mix++) {
		unsigned int left = mix;
		int want = TMD_OK;

		set_up(format);
		for (size_t i = first; i < end; i++) {
			const unsigned int kinds = rules[i].tag != 0u ? 3u : 2u;
			const unsigned int kind = left % kinds;

			left /= kinds;
			if (kind == 1u) {
				make_wrong(&rules[i]);
			} else if (kind == 2u) {
				make_missing(&rules[i]);
			}
			if (want == TMD_OK && kind != 0u) {
				want = kind == 1u ? rules[i].refusal : TMD_ERR_UNGUARDED;
			}
		}
		context("format %d, mix %u", (int)format, mix);
		EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), want);
	}
}

/* All combinations of right, wrong and missing: the first one in the table decides. */
static void test_order(void)
{
	expect_order(TMD_FORMAT_1, 0, OF_FORMAT_1, 162);        /* 3^4 * 2 */
	expect_order(TMD_FORMAT_2, OF_FORMAT_1, RULES_N, 13122); /* 3^8 * 2 */
}

static void test_another_model_of_the_contract(void)
{
	set_up(TMD_FORMAT_1);
	EXPECT_STATUS(tmd_guard_check(&contract, 0, &info), TMD_ERR_ARENA);
	models[0] = models[1];
	models[1].arena_bytes = 0;
	EXPECT_STATUS(tmd_guard_check(&contract, 0, &info), TMD_OK);
	EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), TMD_ERR_ARENA);
	set_up(TMD_FORMAT_2);
	models[0] = models[1];
	models[0].name = "first";
	EXPECT_STATUS(tmd_guard_check(&contract, 0, &info), TMD_ERR_NAME);
	EXPECT_STATUS(tmd_guard_check(&contract, 1, &info), TMD_OK);
}

static void expect_no_rule(int rule)
{
	const struct tmd_rule_result r =
		tmd_guard_rule(&contract, 1, &info, (enum tmd_rule)rule);

	context("rule %d", rule);
	EXPECT(!tmd_guard_applies(&info, (enum tmd_rule)rule));
	EXPECT_EQ(r.verdict, TMD_FAIL);
	EXPECT_STATUS(r.status, TMD_ERR_ARGUMENT);
}

/* "A guardrail that cannot be evaluated refuses." */
static void test_rules_that_do_not_exist(void)
{
	set_up(TMD_FORMAT_1);
	contract.accept = 0x1F;
	expect_no_rule(TMD_RULE_NAME);
	expect_no_rule(TMD_RULE_QUANTISATION);
	expect_no_rule(TMD_RULE_TENSOR_NAMES);
	for (int rule = TMD_RULES_N; rule < 40; rule++) {
		expect_no_rule(rule);
	}
}

int main(void)
{
	RUN(test_a_patch_that_fits);
	RUN(test_each_number_alone);
	RUN(test_name);
	RUN(test_slot_with_metadata);
	RUN(test_policies);
	RUN(test_no_class);
	RUN(test_order);
	RUN(test_another_model_of_the_contract);
	RUN(test_rules_that_do_not_exist);
	return harness_result();
}

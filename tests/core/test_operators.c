/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The operators that a patch needs: lists that are well-formed and lists that are not, and whether a
 * firmware has all of them.
 */
#include "harness.h"

#include <core/operators.h>
#include <tinymldelta/guard.h>

#include "bench.h"

#define ID(id) (uint8_t)(id), (uint8_t)((id) >> 8), (uint8_t)((id) >> 16), (uint8_t)((id) >> 24)

#define LIST_MAX 16u
#define NEEDS_MAX 3u

/* By SPEC.md: lists, and what they say. */
static const struct {
	const char *text;
	uint8_t n;
	uint8_t bytes[LIST_MAX];
	uint8_t needs_n;
	struct tmd_operator_need needs[NEEDS_MAX];
} lists[] = {
	{"none", 0, {0}, 0, {{0, 0, 0}}},
	{"code 0", 3, {1, 0x81, 2}, 1, {{0, 1, 2}}},
	{"no types", 3, {1, 0xBF, 0}, 1, {{0, 63, 0}}},
	{"all types", 3, {1, 0x81, 255}, 1, {{0, 1, 255}}},
	{"the same types", 5, {4, 0x83, 2, 1, 5}, 2, {{3, 3, 2}, {4, 5, 2}}},
	{"other types", 6, {4, 0x83, 2, 1, 0x85, 1}, 2, {{3, 3, 2}, {4, 5, 1}}},
	{"back to types", 9, {4, 0x81, 2, 1, 0x81, 1, 1, 0x81, 2}, 3, {{3, 1, 2}, {4, 1, 1}, {5, 1, 2}}},
	{"a step of 127", 3, {127, 0x81, 1}, 1, {{126, 1, 1}}},
	{"a step of 128", 4, {0x80, 0x80, 0x81, 1}, 1, {{127, 1, 1}}},
	{"another of 129", 6, {1, 0x81, 1, 0x80, 0x81, 2}, 2, {{0, 1, 1}, {129, 2, 1}}},
	{"the longest step", 4, {0xFF, 0xFF, 0x81, 1}, 1, {{32766, 1, 1}}},
	{"the last code", 6, {1, 0x81, 1, 0xFF, 0xFF, 1}, 2, {{0, 1, 1}, {32767, 1, 1}}},
	{"custom", 7, {0, ID(0x80000000u), 0x81, 1}, 1, {{0x80000000u, 1, 1}}},
	{"code, custom", 9, {33, 0x82, 4, 0, ID(0x80000001u), 1}, 2, {{32, 2, 4}, {0x80000001u, 1, 4}}},
	{"customs",
	 13,
	 {0, ID(0x80000000u), 0x81, 1, 0, ID(0xFFFFFFFFu), 2},
	 2,
	 {{0x80000000u, 1, 1}, {0xFFFFFFFFu, 2, 1}}},
};
#define LISTS_N (sizeof(lists) / sizeof(lists[0]))

static const struct {
	const char *text;
	uint8_t n;
	uint8_t bytes[LIST_MAX];
} malformed[] = {
	{"version 0", 3, {4, 0x80, 1}},
	{"version 0 of the second", 5, {4, 0x81, 1, 1, 0}},
	{"reserved bit", 3, {4, 0xC1, 1}},
	{"reserved bit of the second", 5, {4, 0x81, 1, 1, 0x41}},
	{"no types for the first", 2, {4, 1}},
	{"no types for the first of two", 5, {4, 1, 1, 0x81, 1}},
	{"a step of 127 in two bytes", 4, {0x80, 0x7F, 0x81, 1}},
	{"a step of 0 in two bytes", 4, {0x80, 0x00, 0x81, 1}},
	{"code 32,768", 8, {1, 0x81, 1, 0xFF, 0xFF, 1, 1, 1}},
	{"a custom one that is none", 7, {0, ID(0x7FFFFFFFu), 0x81, 1}},
	{"a custom one twice", 13, {0, ID(0x80000005u), 0x81, 1, 0, ID(0x80000005u), 1}},
	{"falling custom ones", 13, {0, ID(0x80000005u), 0x81, 1, 0, ID(0x80000004u), 1}},
	{"a code behind a custom one", 9, {0, ID(0x80000000u), 0x81, 1, 1, 1}},
	{"a code by going around", 9, {0, ID(0xFFFFFFFFu), 0x81, 1, 4, 1}},
	{"a long one by going around", 10, {0, ID(0xFFFFFF00u), 0x81, 1, 0x81, 0x10, 1}},
};

/* In memory of just that size, so that a reader that reads on is noticed. */
static bool is_valid(const uint8_t *bytes, uint32_t n)
{
	uint8_t *copy = malloc(n + 1u);
	bool valid;

	REQUIRE(copy != NULL);
	memcpy(copy + 1, bytes, n);
	valid = tmd_operators_are_valid(copy + 1, n);
	free(copy);
	return valid;
}

static void test_lists(void)
{
	for (size_t i = 0; i < LISTS_N; i++) {
		struct tmd_operators list = {.at = lists[i].bytes, .bytes = lists[i].n};
		uint32_t ends[NEEDS_MAX + 1u] = {0};

		context("%s", lists[i].text);
		for (uint32_t k = 0; k < lists[i].needs_n; k++) {
			if (EXPECT(list.bytes > 0u) && EXPECT(tmd_operators_next(&list))) {
				EXPECT_EQ(list.last.id, lists[i].needs[k].id);
				EXPECT_EQ(list.last.version, lists[i].needs[k].version);
				EXPECT_EQ(list.last.types, lists[i].needs[k].types);
			}
			ends[k + 1u] = lists[i].n - list.bytes;
		}
		EXPECT_EQ(list.bytes, 0);
		EXPECT(is_valid(lists[i].bytes, lists[i].n));

		/* A list that is cut short is one if it ends behind an operator. */
		for (uint32_t n = 0; n < lists[i].n; n++) {
			bool whole = false;

			for (uint32_t k = 0; k <= lists[i].needs_n; k++) {
				whole = whole || ends[k] == n;
			}
			context("%s, %u bytes", lists[i].text, (unsigned int)n);
			EXPECT_EQ(is_valid(lists[i].bytes, n), whole);
		}
	}
}

static void test_malformed_lists(void)
{
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		context("%s", malformed[i].text);
		EXPECT(!is_valid(malformed[i].bytes, malformed[i].n));
	}
}

/* Whatever is taken says operators in rising order, each once, in versions that there are. */
static void test_any_bytes(void)
{
	uint64_t seed = 6;
	uint32_t taken = 0;

	for (uint32_t n = 0; n < 400000u; n++) {
		uint8_t bytes[12];
		struct tmd_operators list = {.at = bytes, .bytes = 1u + n % sizeof(bytes)};
		uint64_t before = 0;

		for (uint32_t i = 0; i < sizeof(bytes); i++) {
			const uint32_t r = bench_random(&seed);

			/* Mostly what means something. */
			bytes[i] = (uint8_t)((r & 0x300u) == 0u ? r : r & 0x8Fu);
		}
		if (!is_valid(bytes, list.bytes)) {
			continue;
		}
		taken++;
		while (list.bytes > 0u && EXPECT(tmd_operators_next(&list))) {
			EXPECT((uint64_t)list.last.id >= before);
			before = (uint64_t)list.last.id + 1u;
			EXPECT(list.last.id <= 32767u || list.last.id >= 0x80000000u);
			EXPECT(list.last.version >= 1u && list.last.version <= 63u);
		}
	}
	EXPECT(taken > 10000u);
}

/* ---- does the firmware have them? ---- */

static const struct tmd_operator linked[] = {
	{3, 2, 5, 0x05}, {9, 1, 63, 0xFF}, {25, 1, 1, 0x02}, {0x80000010u, 1, 1, 0x01},
	{0xFFFFFFFFu, 4, 4, 0x80},
};
static const struct tmd_model_contract model = {.name = "any", .slot_bytes = 100};
static struct tmd_contract contract;

static struct tmd_rule_result ask(const uint8_t *list, uint8_t n)
{
	struct tmd_patch_info info = {.format = TMD_FORMAT_2, .present = 1u << 12};

	contract = (struct tmd_contract){
		.write_bytes = 1, .operators_n = 5, .operators = linked, .models_n = 1, .models = &model};
	info.kept[0] = 13;
	info.kept[1] = n;
	memcpy(&info.kept[2], list, n);
	info.kept_bytes = (uint8_t)(n + 2u);
	return tmd_guard_rule(&contract, 0, &info, TMD_RULE_OPERATORS);
}

static void expect_missing(struct tmd_rule_result r, uint32_t need, uint32_t have)
{
	EXPECT_EQ(r.verdict, TMD_FAIL);
	EXPECT_STATUS(r.status, TMD_ERR_OPERATORS);
	EXPECT_EQ(r.need, need);
	EXPECT_EQ(r.have, have);
}

static void test_inclusion(void)
{
	static const uint8_t all[] = {4,    0x85, 0x05, 6, 0xBF, 0xFF, 16,
				      0x81, 0x02, 0,    ID(0x80000010u), 0x81, 0x01, 0,
				      ID(0xFFFFFFFFu),  0x84, 0x80};
	struct tmd_rule_result r = ask(all, sizeof(all));

	/* How many there are, of how many. */
	EXPECT_EQ(r.verdict, TMD_PASS);
	EXPECT_EQ(r.need, 5);
	EXPECT_EQ(r.have, 5);
	r = ask(all, 0);
	EXPECT_EQ(r.verdict, TMD_PASS);
	EXPECT_EQ(r.need, 0);
}

static void test_versions(void)
{
	for (uint32_t version = 1; version < 64u; version++) {
		const uint8_t list[] = {4, (uint8_t)(0x80u | version), 0x01};
		const struct tmd_rule_result r = ask(list, sizeof(list));

		context("version %u", (unsigned int)version);
		if (version >= 2u && version <= 5u) {
			EXPECT_EQ(r.verdict, TMD_PASS);
		} else {
			expect_missing(r, 3u << 16 | version << 8 | 0x01u, 0x00030505);
		}
	}
}

static void test_each_type(void)
{
	for (uint32_t types = 0; types < 256u; types++) {
		const uint8_t list[] = {4, 0x83, (uint8_t)types};
		const struct tmd_rule_result r = ask(list, sizeof(list));

		context("types 0x%02x", (unsigned int)types);
		if ((types & ~0x05u) == 0u) {
			EXPECT_EQ(r.verdict, TMD_PASS);
		} else {
			expect_missing(r, 0x00030300u | types, 0x00030505);
		}
	}
}

/* What no kernel was linked for: the first one is named, with version 0 and no types. */
static void test_not_linked(void)
{
	static const uint8_t code[] = {4, 0x82, 0x01, 5, 1};
	static const uint8_t before[] = {1, 0x82, 0x00};
	static const uint8_t custom[] = {0, ID(0x80001234u), 0x81, 0x01};
	static const uint8_t last[] = {10, 0x81, 0x01, 0, ID(0x80000010u), 2};

	expect_missing(ask(code, sizeof(code)), 0x00080101, 0x00080000);
	expect_missing(ask(before, sizeof(before)), 0x00000200, 0);
	/* 15 bits of a custom one's id say which it is. */
	expect_missing(ask(custom, sizeof(custom)), 0x92340101, 0x92340000);
	expect_missing(ask(last, sizeof(last)), 0x80100201, 0x80100101);
}

static void test_firmware_without_operators(void)
{
	static const uint8_t list[] = {1, 0x81, 0x01};
	struct tmd_patch_info info = {.format = TMD_FORMAT_2,
				      .present = 1u << 12,
				      .kept_bytes = 5,
				      .kept = {13, 3, 1, 0x81, 0x01}};

	(void)ask(list, sizeof(list));
	contract.operators_n = 0;
	contract.operators = NULL;
	expect_missing(tmd_guard_rule(&contract, 0, &info, TMD_RULE_OPERATORS), 0x00000101, 0);
	info.kept[1] = 0;
	info.kept_bytes = 2;
	EXPECT_EQ(tmd_guard_rule(&contract, 0, &info, TMD_RULE_OPERATORS).verdict, TMD_PASS);
}

int main(void)
{
	RUN(test_lists);
	RUN(test_malformed_lists);
	RUN(test_any_bytes);
	RUN(test_inclusion);
	RUN(test_versions);
	RUN(test_each_type);
	RUN(test_not_linked);
	RUN(test_firmware_without_operators);
	return harness_result();
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Power cuts beyond a single one: a second during the recovery, hundreds at the same operation, and
 * single ones in updates of many erase units on the kinds of flash that are known by name.
 */
#include "harness.h"

#include "bench.h"

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes patch;

static void set_up(const struct tmd_sim_geometry *geometry, uint32_t bytes)
{
	base = model_make(bytes, 51);
	target = model_derive(&base, bytes - 3u, 52);
	patch = patch_make(&base, &target, TMD_DIGEST_SHA256);
	bench_init(&b, geometry, bytes, &base, BENCH_RECORDED);
}

static void tear_down(void)
{
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&target);
	bytes_free(&patch);
}

/* The device starts, with base or target; true if it is the target. */
static bool boots(void)
{
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	EXPECT(bench_is_firm(&b));
	if (bench_holds(&b, &target)) {
		return true;
	}
	EXPECT(bench_holds(&b, &base));
	return false;
}

/* Operations of an update that is not cut. */
static uint64_t operations_of(uint32_t piece)
{
	bench_rewind(&b);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_STATUS(bench_send(&b, &patch, piece), TMD_OK);
	return bench_operations(&b);
}

static const struct tmd_sim_geometry small[] = {
	{"once16", "", {{128, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE},
	{"words", "", {{128, 1}}, 1, 4, 0xFF, 0},
	{"ram", "", {{128, 1}}, 1, 1, 0xFF, TMD_FLASH_NO_ERASE},
	{"zeros", "", {{128, 1}}, 1, 8, 0x00, TMD_SIM_WRITE_ONCE},
	{"unequal", "", {{128, 2}, {256, 1}}, 2, 16, 0xFF, TMD_SIM_WRITE_ONCE},
};
#define SMALL_N (sizeof(small) / sizeof(small[0]))

/* Cut at each operation; then cut the retry at each of its operations; then let it end. */
static void test_a_second_cut_during_the_recovery(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		for (uint32_t mode = 0; mode < 4u; mode++) {
			const uint32_t piece = mode % 2u == 0u ? 50u : 0u;
			uint64_t operations;

			set_up(&small[g], 300);
			if (mode / 2u != 0u) {
				bench_fill_records(&b);
			}
			operations = operations_of(piece);
			/* A retry may have more to do: everything again, and the records' erase. */
			for (uint64_t n = 0; n < operations * (operations + 1u) * 8u; n++) {
				const uint64_t first = n / 8u / (operations + 1u) + 1u;
				const uint64_t second = n / 8u % (operations + 1u) + 1u;

				context("%s, mode %u, cuts at %u and %u, round %u", small[g].name,
					(unsigned int)mode, (unsigned int)first,
					(unsigned int)second, (unsigned int)(n % 8u));
				bench_rewind(&b);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				b.device.sim.random += n;
				bench_cut(&b, n % 4u, first);
				EXPECT(bench_send(&b, &patch, piece) != TMD_OK);
				if (boots()) {
					continue;
				}
				bench_cut(&b, n % 8u / 2u, second);
				if (bench_send(&b, &patch, n % 3u == 0u ? 50u : 0u) == TMD_OK) {
					EXPECT(bench_holds(&b, &target));
				}
				if (boots()) {
					continue;
				}
				EXPECT_STATUS(bench_send(&b, &patch, piece), TMD_OK);
				EXPECT(boots());
			}
			tear_down();
		}
	}
}

/* A battery that is just good enough for so many operations, 300 times; then a good one. */
static void test_hundreds_of_cuts_at_the_same_operation(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		uint64_t operations;

		set_up(&small[g], 300);
		bench_fill_records(&b);
		operations = operations_of(0);
		for (uint64_t at = 1; at <= operations; at++) {
			bool done = false;

			bench_rewind(&b);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			for (uint32_t n = 0; n < 300u && !done; n++) {
				context("%s, cut %u at operation %u", small[g].name,
					(unsigned int)n, (unsigned int)at);
				memset(b.erased, 0, b.units_n);
				/* Never the cut of an operation that is done. */
				bench_cut(&b, n % TMD_SIM_CUT_AFTER, at);
				if (bench_send(&b, &patch, n % 2u == 0u ? 0u : 50u) == TMD_OK) {
					/* What was there already took fewer operations. */
					EXPECT(bench_holds(&b, &target));
				}
				for (uint32_t unit = 0; unit < b.units_n; unit++) {
					EXPECT(b.erased[unit] <= 1u);
				}
				done = boots();
			}
			if (!done) {
				EXPECT_STATUS(bench_send(&b, &patch, 50), TMD_OK);
				EXPECT(boots());
			}
		}
		tear_down();
	}
}

/* The cut hits nothing but the start: a device that is switched off and on forgets nothing. */
static void test_boots_without_an_update(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		set_up(&small[g], 300);
		context("%s", small[g].name);
		for (uint32_t n = 0; n < 100u; n++) {
			EXPECT(!boots());
		}
		EXPECT(bench_is_unchanged(&b));
		EXPECT_EQ(bench_operations(&b), 0);
		tear_down();
	}
}

/* Two and a half patterns of the real kinds; the last operations, and some 15 spread evenly. */
static void test_known_flash(void)
{
	for (uint32_t g = 0; tmd_sim_geometries[g].name != NULL; g++) {
		const uint32_t pattern = tmd_sim_pattern_bytes(&tmd_sim_geometries[g]);

		for (uint32_t mode = 0; mode < 4u; mode++) {
			const uint32_t piece = mode % 2u == 0u ? 300u : 0u;
			uint64_t operations;
			uint64_t step;

			/* On sectors of 128 KB a model of their size would take minutes. */
			set_up(&tmd_sim_geometries[g],
			       pattern > 16384u ? 5000u : pattern * 5u / 2u);
			if (mode / 2u != 0u) {
				bench_fill_records(&b);
			}
			operations = operations_of(piece);
			step = operations / 15u + 1u;
			for (uint64_t n = 0; n < operations * TMD_SIM_CUTS_N; n++) {
				const uint64_t at = operations - n / TMD_SIM_CUTS_N;

				if (operations - at > 3u && at % step != 0u) {
					continue;
				}
				context("%s, mode %u, cut %u at %u", tmd_sim_geometries[g].name,
					(unsigned int)mode, (unsigned int)(n % TMD_SIM_CUTS_N),
					(unsigned int)at);
				bench_rewind(&b);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				b.device.sim.random += n;
				bench_cut(&b, n, at);
				EXPECT(bench_send(&b, &patch, piece) != TMD_OK);
				if (!boots()) {
					EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
					EXPECT(boots());
				}
			}
			tear_down();
		}
	}
}

int main(void)
{
	RUN(test_a_second_cut_during_the_recovery);
	RUN(test_hundreds_of_cuts_at_the_same_operation);
	RUN(test_boots_without_an_update);
	RUN(test_known_flash);
	return harness_result();
}

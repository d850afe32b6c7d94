/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The store built with the smallest buffer that it allows, TMD_WRITE_BUFFER 128: a record fills it,
 * and so does a block of a staged patch.
 */
#include "harness.h"

#include "bench.h"

_Static_assert(TMD_WRITE_BUFFER == 128, "built as the top of the file says");

#define SLOT_BYTES 1100u

/* Write units that divide 128 bytes. */
static const struct tmd_sim_geometry fitting[] = {
	{"once16", "", {{144, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE},
	{"once64", "", {{192, 1}}, 1, 64, 0xFF, TMD_SIM_WRITE_ONCE},
	{"pages", "", {{256, 1}}, 1, 128, 0xFF, 0},
	{"words", "", {{128, 1}}, 1, 4, 0xFF, 0},
	{"ram", "", {{200, 1}}, 1, 1, 0xFF, TMD_FLASH_NO_ERASE},
	{"zeros", "", {{128, 1}}, 1, 8, 0x00, 0},
};
#define FITTING_N (sizeof(fitting) / sizeof(fitting[0]))

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes patch;

static void set_up(const struct tmd_sim_geometry *geometry)
{
	base = model_make(1000, 61);
	target = model_derive(&base, SLOT_BYTES, 62);
	patch = patch_make(&base, &target, TMD_DIGEST_CRC32);
	bench_init_config(&b, geometry, SLOT_BYTES, &base, BENCH_FACTORY, &bench_plain);
	context("%s", geometry->name);
}

static void tear_down(void)
{
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&target);
	bytes_free(&patch);
}

static void test_updates(void)
{
	for (size_t g = 0; g < FITTING_N; g++) {
		struct bytes back;

		set_up(&fitting[g]);
		back = patch_make(&target, &base, TMD_DIGEST_SHA256);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		for (uint32_t i = 0; i < 24u; i++) {
			const bool forth = i % 2u == 0u;

			context("%s, update %u", fitting[g].name, (unsigned int)i);
			bench_mark(&b);
			EXPECT_STATUS(bench_send(&b, forth ? &patch : &back, i % 5u * 11u), TMD_OK);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, forth ? &target : &base));
			for (uint32_t unit = 0; unit < b.units_n; unit++) {
				EXPECT(b.erased[unit] <= 1u);
			}
		}
		bytes_free(&back);
		tear_down();
	}
}

static void test_power_cuts(void)
{
	for (size_t g = 0; g < FITTING_N; g++) {
		for (uint32_t piece = 0; piece <= 70u; piece += 70u) {
			uint64_t operations;

			set_up(&fitting[g]);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			bench_mark(&b);
			EXPECT_STATUS(bench_send(&b, &patch, piece), TMD_OK);
			operations = bench_operations(&b);
			for (uint64_t n = 0; n < operations * TMD_SIM_CUTS_N; n++) {
				context("%s, cut %u", fitting[g].name, (unsigned int)n);
				bench_rewind(&b);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				b.device.sim.random += n;
				bench_cut(&b, n, 1u + n / TMD_SIM_CUTS_N);
				EXPECT(bench_send(&b, &patch, piece) != TMD_OK);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				EXPECT(bench_is_firm(&b));
				if (!bench_holds(&b, &target)) {
					EXPECT(bench_holds(&b, &base));
					EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
					EXPECT_STATUS(bench_boot(&b), TMD_OK);
					EXPECT(bench_holds(&b, &target));
				}
				EXPECT_EQ(b.device.sim.counts.illegal, 0);
				EXPECT_EQ(b.device.sim.counts.rewrites, 0);
			}
			tear_down();
		}
	}
}

/* A write unit that does not divide the buffer could not be filled. */
static void test_write_units_that_do_not_fit_the_buffer(void)
{
	for (uint32_t g = 0; tmd_sim_geometries[g].name != NULL; g++) {
		const bool fits = 128u % tmd_sim_geometries[g].write_bytes == 0u;

		set_up(&tmd_sim_geometries[g]);
		EXPECT_STATUS(bench_boot(&b), fits ? TMD_OK : TMD_ERR_GEOMETRY);
		tear_down();
	}
}

int main(void)
{
	RUN(test_updates);
	RUN(test_power_cuts);
	RUN(test_write_units_that_do_not_fit_the_buffer);
	return harness_result();
}

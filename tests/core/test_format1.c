/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The library built without format 2, TMD_DECODER 0, on a device that had more: a model that came with
 * a patch of format 2, and its metadata behind it, is not run, and not forgotten.
 */
#include "harness.h"

#include <store/records.h>

#include "bench.h"

_Static_assert(TMD_DECODER == TMD_DECODER_NONE, "built as the top of the file says");

static struct bench b;
static struct bytes base;
static struct bytes target;

static const struct tmd_sim_geometry geometry = {
	"pages", "", {{1024, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE};

/* The newest record says that slot 0 holds the target, with metadata, and is active. */
static void set_up(uint8_t meta_bytes)
{
	uint8_t *entry;
	uint8_t *draft;

	base = model_make(1500, 81);
	target = model_derive(&base, 1600, 82);
	bench_init(&b, &geometry, 2000, &base, BENCH_COMPILED_IN);
	REQUIRE(tmd_sim_device_factory(&b.device, target.at, target.n) == TMD_OK);
	draft = tmd_records_draft(&b.device.store);
	entry = &draft[REC_SLOT0];
	draft[REC_ACTIVE] = 0;
	bench_put_entry(entry, &target);
	entry[SLOT_META] = meta_bytes;
	EXPECT_STATUS(tmd_records_append(&b.device.store), TMD_OK);
}

static void tear_down(void)
{
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&target);
}

static void test_a_model_with_metadata_is_passed_over(void)
{
	for (uint32_t n = 0; n < 256u; n++) {
		if (n == 1u) {
			continue; /* a TLV has two bytes */
		}
		context("%u bytes of metadata", (unsigned int)n);
		set_up((uint8_t)n);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, n == 0u ? &target : &base));
		EXPECT_STATUS(bench_record_again(&b), TMD_OK);
		EXPECT_EQ(bench_recorded_state(&b, 0), TMD_SLOT_IS_COMPLETE);
		tear_down();
	}
}

static void test_updates_go_on(void)
{
	struct bytes patch;

	set_up(200);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	patch = patch_make(&base, &target, TMD_DIGEST_SHA256);
	EXPECT_STATUS(bench_send(&b, &patch, 60), TMD_OK);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	bytes_free(&patch);
	tear_down();
}

static void test_format_2_is_refused(void)
{
	static uint8_t first[] = {0x02, 0x22, 0x42};

	set_up(0);
	b.contract.formats |= 1u << 2;
	for (size_t i = 0; i < sizeof(first); i++) {
		const struct bytes patch = {&first[i], 1};

		EXPECT_STATUS(bench_send(&b, &patch, 1), TMD_ERR_FORMAT);
	}
	tear_down();
}

/* What the firmware says of its own model is told all the same. */
static void test_what_is_said(void)
{
	static const uint8_t own[] = {14, 3, 'o', 'w', 'n'};
	uint8_t buf[8];

	set_up(200);
	b.model.meta = own;
	b.model.meta_bytes = sizeof(own);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_EQ(tmd_store_metadata(&b.device.store, 14, buf, sizeof(buf)), 3);
	EXPECT_BYTES(buf, "own", 3);
	tear_down();
}

int main(void)
{
	RUN(test_a_model_with_metadata_is_passed_over);
	RUN(test_updates_go_on);
	RUN(test_format_2_is_refused);
	RUN(test_what_is_said);
	return harness_result();
}

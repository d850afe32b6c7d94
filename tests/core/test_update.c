/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Applying patches: in pieces of any size, streamed and staged, on every kind of flash, with calls
 * in the wrong order, and with power cuts and failing flash at every operation.
 */
#include "harness.h"

#include "bench.h"

#define SLOT_BYTES 1000u

static const struct tmd_sim_geometry small[] = {
	{"once16", "", {{256, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE},
	{"words", "", {{256, 1}}, 1, 4, 0xFF, 0},
	{"ram", "", {{128, 1}}, 1, 1, 0xFF, TMD_FLASH_NO_ERASE},
	{"pages", "", {{512, 1}}, 1, 256, 0xFF, 0},
	{"zeros", "", {{128, 1}}, 1, 8, 0x00, TMD_SIM_WRITE_ONCE},
	{"unequal", "", {{128, 2}, {256, 1}}, 2, 16, 0xFF, TMD_SIM_WRITE_ONCE},
	{"single", "", {{128, 1}}, 1, 4, 0xFF, 0}, /* one record to an erase unit */
};
#define SMALL_N (sizeof(small) / sizeof(small[0]))

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes patch;

static void set_up_sizes(const struct tmd_sim_geometry *geometry, enum bench_place place,
			 uint32_t base_bytes, uint32_t target_bytes)
{
	base = model_make(base_bytes, 11);
	target = model_derive(&base, target_bytes, 12);
	patch = patch_make(&base, &target, 2);
	bench_init(&b, geometry, SLOT_BYTES, &base, place);
	context("%s", geometry->name);
	bench_mark(&b);
}

static void set_up(const struct tmd_sim_geometry *geometry, enum bench_place place)
{
	set_up_sizes(geometry, place, 700, 777);
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

static void expect_each_unit_erased_once_at_most(void)
{
	for (uint32_t i = 0; i < b.units_n; i++) {
		EXPECT(b.erased[i] <= 1u);
	}
}

static void test_pieces_of_any_size(void)
{
	static const uint32_t pieces[] = {1, 2, 3, 7, 64, 1000, UINT32_MAX, 0};

	for (size_t g = 0; g < SMALL_N; g++) {
		for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
			for (int place = BENCH_FACTORY; place <= BENCH_RECORDED; place++) {
				set_up(&small[g], (enum bench_place)place);
				EXPECT_STATUS(bench_send(&b, &patch, pieces[i]), TMD_OK);
				EXPECT(bench_holds(&b, &target)); /* at once */
				expect_each_unit_erased_once_at_most();
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				EXPECT(bench_holds(&b, &target)); /* and after a reset */
				tear_down();
			}
		}
	}
}

static void test_models_larger_smaller_and_as_large_as_the_slot(void)
{
	static const uint32_t sizes[] = {1, 15, 16, 17, 255, 256, 257, 512, 999, SLOT_BYTES};
	const size_t n = sizeof(sizes) / sizeof(sizes[0]);

	for (size_t g = 0; g < SMALL_N; g++) {
		for (size_t i = 0; i < n * n; i++) {
			set_up_sizes(&small[g], BENCH_FACTORY, sizes[i / n], sizes[i % n]);
			EXPECT_STATUS(bench_send(&b, &patch, i % 2u == 0u ? 13u : 0u), TMD_OK);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, &target));
			tear_down();
		}
	}
}

static void test_every_known_flash(void)
{
	for (uint32_t g = 0; tmd_sim_geometries[g].name != NULL; g++) {
		for (uint32_t staged = 0; staged < 2u; staged++) {
			set_up(&tmd_sim_geometries[g], BENCH_FACTORY);
			EXPECT_STATUS(bench_send(&b, &patch, staged == 0u ? 20u : 0u), TMD_OK);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, &target));
			tear_down();
		}
	}
}

/* So many updates were there, and each has left its note and the switch. */
static void expect_records(uint32_t updates)
{
	struct tmd_store_info info;

	tmd_store_get_info(&b.device.store, &info);
	EXPECT_EQ(info.updates, updates);
	EXPECT_EQ(info.sequence, updates * (1u + BENCH_NOTES));
}

/* To and fro, so often that the records go round their erase units several times. */
static void test_forty_updates_in_a_row(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		struct bytes back;

		set_up(&small[g], BENCH_FACTORY);
		back = patch_make(&target, &base, 1);
		for (uint32_t i = 0; i < 40u; i++) {
			const bool forth = i % 2u == 0u;

			bench_mark(&b);
			EXPECT_STATUS(bench_send(&b, forth ? &patch : &back,
						 i % 3u == 0u ? 0u : 31u),
				      TMD_OK);
			expect_each_unit_erased_once_at_most();
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, forth ? &target : &base));
			expect_records(i + 1u);
		}
		bytes_free(&back);
		tear_down();
	}
}

#if TMD_RESUME

/* A device that goes to and fro between two models that differ in one byte. */
static void test_staged_leaves_unchanged_units_alone(void)
{
	struct bytes back;

	set_up_sizes(&small[1], BENCH_FACTORY, 900, 900);
	bytes_free(&target);
	bytes_free(&patch);
	target = model_make(900, 11);
	target.at[500] ^= 1u;
	patch = patch_make(&base, &target, 2);
	back = patch_make(&target, &base, 2);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK); /* fills the other slot */
	EXPECT_STATUS(bench_send(&b, &back, 0), TMD_OK);
	bench_mark(&b);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK); /* the slot holds the target already */
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	EXPECT_EQ(bench_erases_of(&b, &b.device.config.slot[0]), 0);
	EXPECT_EQ(bench_erases_of(&b, &b.device.config.slot[1]), 0);
	/* The plan, the switch, and the erases that they may need. */
	EXPECT(bench_operations(&b) <= 4u);

	/* Something else is in one unit of the slot that comes next: that unit alone is written. */
	b.device.sim.bytes[b.device.config.slot[0].offset + 300u] ^= 0x10u;
	bench_mark(&b);
	EXPECT_STATUS(bench_send(&b, &back, 0), TMD_OK);
	for (uint32_t i = 0; i < bench_unit(&b, &b.device.config.records, 0); i++) {
		EXPECT_EQ(b.erased[i], i == 300u / 256u ? 1 : 0);
	}
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &base));
	bytes_free(&back);
	tear_down();
}

#endif

static void test_check_writes_nothing(void)
{
	set_up(&small[0], BENCH_FACTORY);
	EXPECT_STATUS(tmd_sim_device_check(&b.device, patch.at, patch.n), TMD_OK);
	EXPECT(bench_is_unchanged(&b));
	EXPECT_EQ(bench_operations(&b), 0);
	patch.at[patch.n - 1u] ^= 1u;
	EXPECT(tmd_sim_device_check(&b.device, patch.at, patch.n) != TMD_OK);
	EXPECT(bench_is_unchanged(&b));
	tear_down();
}

static void test_calls_in_the_wrong_order(void)
{
	struct tmd_update *u = &b.device.update;

	set_up(&small[0], BENCH_FACTORY);
	memset(u, 0, sizeof(*u));
	EXPECT_STATUS(tmd_update_write(u, patch.at, 1), TMD_ERR_ARGUMENT);
	memset(u, 0, sizeof(*u));
	EXPECT_STATUS(tmd_update_finish(u), TMD_ERR_ARGUMENT);

	EXPECT_STATUS(tmd_update_begin(u, &b.device.store), TMD_OK);
	tmd_update_abort(u);
	EXPECT_STATUS(tmd_update_write(u, patch.at, patch.n), TMD_ERR_ARGUMENT);
	EXPECT_STATUS(tmd_update_finish(u), TMD_ERR_ARGUMENT);
	EXPECT(bench_is_unchanged(&b));

	EXPECT_STATUS(bench_send(&b, &patch, 50), TMD_OK);
	EXPECT_STATUS(tmd_update_write(u, patch.at, 1), TMD_ERR_ARGUMENT);
	EXPECT_STATUS(tmd_update_finish(u), TMD_ERR_ARGUMENT);
	EXPECT(bench_holds(&b, &target));
	tear_down();
}

static void test_the_first_error_stays(void)
{
	struct tmd_update *u = &b.device.update;

	set_up(&small[0], BENCH_FACTORY);
	EXPECT_STATUS(tmd_update_begin(u, &b.device.store), TMD_OK);
	EXPECT_STATUS(tmd_update_write(u, "\x07", 1), TMD_ERR_FORMAT);
	EXPECT_STATUS(tmd_update_write(u, patch.at, patch.n), TMD_ERR_FORMAT);
	EXPECT_STATUS(tmd_update_finish(u), TMD_ERR_FORMAT);
	EXPECT(bench_is_unchanged(&b));
	EXPECT_STATUS(bench_send(&b, &patch, 50), TMD_OK); /* a new one begins afresh */
	EXPECT(bench_holds(&b, &target));
	tear_down();
}

static void test_nothing_is_written_before_the_base_is_checked(void)
{
	set_up(&small[0], BENCH_FACTORY);
	/* The base changes in flash after the mount: what counts is what is there now. */
	b.device.sim.bytes[b.device.config.slot[0].offset + 5u] ^= 4u;
	bench_mark(&b);
	EXPECT_STATUS(bench_send(&b, &patch, 30), TMD_ERR_BASE);
	EXPECT_EQ(bench_operations(&b), 0);
	EXPECT(bench_is_unchanged(&b));
	tear_down();
}

/* After whatever went wrong: base or target, and an update that succeeds. */
static void expect_recovery(uint32_t piece)
{
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_is_firm(&b));
	if (!bench_holds(&b, &target)) {
		EXPECT(bench_holds(&b, &base));
		EXPECT_STATUS(bench_send(&b, &patch, piece), TMD_OK);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &target));
		EXPECT(bench_is_firm(&b));
	}
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
}

/* Every operation of an update, each shape of cut, in each state that the records can be in. */
static void test_power_cut_at_every_operation(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		for (uint32_t mode = 0; mode < 12u; mode++) {
			const uint32_t piece = mode % 2u == 0u ? 40u : 0u;
			uint64_t operations;

			set_up(&small[g], (enum bench_place)(mode / 2u % 3u));
			/* A note for each erase unit, or one in all. */
			b.device.config.progress_bytes = mode / 2u % 2u == 0u ? 1u : 4096u;
			if (mode >= 6u) {
				bench_fill_records(&b); /* so that the next one needs an erase */
			}
			bench_mark(&b);
			EXPECT_STATUS(bench_send(&b, &patch, piece), TMD_OK);
			operations = bench_operations(&b);
			for (uint64_t n = 0; n < operations * TMD_SIM_CUTS_N * 2u; n++) {
				bench_rewind(&b);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				b.device.sim.random += n;
				bench_cut(&b, n, 1u + n / TMD_SIM_CUTS_N % operations);
				context("%s, mode %u, cut %u at %u", small[g].name, mode,
					(unsigned int)b.device.sim.cut,
					(unsigned int)(n / TMD_SIM_CUTS_N % operations) + 1u);
				EXPECT(bench_send(&b, &patch, piece) != TMD_OK);
				expect_recovery(n % 5u < 2u ? 40u : 0u);
			}
			tear_down();
		}
	}
}

/* Operations that fail, lie or flip a bit: never success with a wrong model. */
static void test_failing_flash_at_every_operation(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		for (uint32_t staged = 0; staged < 2u; staged++) {
			const uint32_t piece = staged == 0u ? 40u : 0u;
			uint64_t operations;

			set_up(&small[g], BENCH_RECORDED);
			EXPECT_STATUS(bench_send(&b, &patch, piece), TMD_OK);
			operations = bench_operations(&b);
			for (uint64_t n = 0; n < operations * 3u; n++) {
				int got;

				bench_rewind(&b);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				b.device.sim.random += n;
				b.device.sim.fault = (uint8_t)(n % 3u + 1u);
				b.device.sim.fault_at =
					b.device.sim.counts.operations + 1u + n / 3u;
				context("%s, staged %u, fault %u at %u", small[g].name, staged,
					(unsigned int)b.device.sim.fault,
					(unsigned int)(n / 3u) + 1u);
				got = bench_send(&b, &patch, piece);
				EXPECT(bench_holds(&b, got == TMD_OK ? &target : &base));
				if (b.device.sim.counts.illegal != 0u) {
					/* An erase that was acknowledged and not, or not wholly,
					 * done makes the next write one that flash does not take:
					 * the port's fault, not the core's. */
					EXPECT(b.device.sim.fault != TMD_SIM_FAULT_ERROR);
					EXPECT(got != TMD_OK);
					b.device.sim.counts.illegal = 0;
				}
				b.device.sim.counts.rewrites = 0; /* likewise */
				expect_recovery(n % 2u == 0u ? 40u : 0u);
			}
			tear_down();
		}
	}
}

#if TMD_RESUME

/*
 * A streamed update with a note for each erase unit, cut anywhere, and sent again: what the note
 * says is done is not touched, and no unit is erased again but the one that the cut hit.
 */
static void test_a_second_stream_goes_on_where_the_note_says(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		for (uint32_t full = 0; full < 2u; full++) {
			uint64_t operations;
			bool kept_some = false;

			set_up(&small[g], BENCH_RECORDED);
			b.device.config.progress_bytes = 1;
			if (full != 0u) {
				bench_fill_records(&b);
			}
			EXPECT_STATUS(bench_send(&b, &patch, 40), TMD_OK);
			operations = bench_operations(&b);
			for (uint64_t n = 0; n < operations * TMD_SIM_CUTS_N * 2u; n++) {
				const struct tmd_region *slot = &b.device.config.slot[1];
				const uint8_t *entry = &b.device.store.record[REC_SLOT1];
				uint32_t kept = 0;
				uint32_t twice = 0;

				bench_rewind(&b);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				b.device.sim.random += n;
				bench_cut(&b, n, 1u + n / TMD_SIM_CUTS_N % operations);
				context("%s, full %u, cut %u at %u", small[g].name, full,
					(unsigned int)b.device.sim.cut,
					(unsigned int)(n / TMD_SIM_CUTS_N % operations) + 1u);
				EXPECT(bench_send(&b, &patch, 40) != TMD_OK);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				if (bench_holds(&b, &target)) {
					continue;
				}
				if (entry[SLOT_STATE] == 1u) {
					kept = get_u32(&entry[SLOT_NEXT_UNIT]);
				}
				memset(b.written, 0, b.units_n * sizeof(*b.written));
				EXPECT_STATUS(bench_send(&b, &patch, 33), TMD_OK);
				for (uint32_t at = 0, unit = 0; at < target.n; unit++) {
					const uint32_t k = bench_unit(&b, slot, at);

					EXPECT_EQ(b.written[k] != 0u, unit >= kept);
					EXPECT(b.erased[k] <= 2u);
					twice += b.erased[k] == 2u ? 1u : 0u;
					at += unit_at(slot, at);
				}
				EXPECT(twice <= 1u);
				kept_some = kept_some || kept > 0u;
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				EXPECT(bench_holds(&b, &target));
				EXPECT(bench_is_firm(&b));
			}
			EXPECT(kept_some);
			tear_down();
		}
	}
}

/* A note tells of its target alone: another patch begins anew, also one to the same length. */
static void test_notes_of_another_target(void)
{
	struct bytes other;
	struct bytes to_other;
	uint64_t operations;

	set_up(&small[1], BENCH_RECORDED);
	other = model_derive(&base, 777, 77);
	to_other = patch_make(&base, &other, TMD_DIGEST_SHA256);
	b.device.config.progress_bytes = 1;
	EXPECT_STATUS(bench_send(&b, &patch, 40), TMD_OK);
	operations = bench_operations(&b);
	for (uint64_t at = 1; at <= operations; at++) {
		context("cut at %u", (unsigned int)at);
		bench_rewind(&b);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		bench_cut(&b, TMD_SIM_CUT_PREFIX, at);
		EXPECT(bench_send(&b, &patch, 40) != TMD_OK);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &base));
		EXPECT_STATUS(bench_send(&b, &to_other, at % 2u * 50u), TMD_OK);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &other));
	}
	bytes_free(&other);
	bytes_free(&to_other);
	tear_down();
}

#endif

static void test_failing_reads(void)
{
	set_up(&small[0], BENCH_RECORDED);
	EXPECT_STATUS(bench_send(&b, &patch, 40), TMD_OK);
	for (uint64_t n = 0; n < 200u; n++) {
		for (uint32_t kind = BENCH_FAULT_READ; kind <= BENCH_FAULT_READ_FLIP; kind++) {
			int got;

			bench_rewind(&b);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			b.fault = (enum bench_fault)kind;
			b.fault_at = b.device.sim.counts.reads + 1u + n;
			context("read %u, kind %u", (unsigned int)n, kind);
			got = bench_send(&b, &patch, 40);
			b.fault = BENCH_FAULT_NONE;
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, got == TMD_OK ? &target : &base) ||
			       bench_holds(&b, &target));
		}
	}
	tear_down();
}

int main(void)
{
	RUN(test_pieces_of_any_size);
	RUN(test_models_larger_smaller_and_as_large_as_the_slot);
	RUN(test_every_known_flash);
	RUN(test_forty_updates_in_a_row);
#if TMD_RESUME
	RUN(test_staged_leaves_unchanged_units_alone);
#endif
	RUN(test_check_writes_nothing);
	RUN(test_calls_in_the_wrong_order);
	RUN(test_the_first_error_stays);
	RUN(test_nothing_is_written_before_the_base_is_checked);
	RUN(test_power_cut_at_every_operation);
	RUN(test_failing_flash_at_every_operation);
#if TMD_RESUME
	RUN(test_a_second_stream_goes_on_where_the_note_says);
	RUN(test_notes_of_another_target);
#endif
	RUN(test_failing_reads);
	return harness_result();
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Flash and patches that fail without a reset: a report that is wrong, reads that fail, an update
 * that is tried again in the same session. After each of it the active model is the base or the
 * target, success is never reported for anything but the target, and the next update works.
 */
#include "harness.h"

#include "bench.h"

#define SLOT_BYTES 500u

static const struct tmd_sim_geometry small[] = {
	{"once16", "", {{128, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE},
	{"words", "", {{128, 1}}, 1, 4, 0xFF, 0},
	{"ram", "", {{128, 1}}, 1, 1, 0xFF, TMD_FLASH_NO_ERASE},
	{"pages", "", {{512, 1}}, 1, 256, 0xFF, 0},
	{"zeros", "", {{256, 1}}, 1, 8, 0x00, 0},
};
#define SMALL_N (sizeof(small) / sizeof(small[0]))

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes third;
static struct bytes patch;        /* base to target */
static struct bytes to_third;     /* base to third */
static struct bytes from_target;  /* target to third */

static void set_up(const struct tmd_sim_geometry *geometry, enum bench_place place)
{
	base = model_make(400, 41);
	target = model_derive(&base, 410, 42);
	third = model_derive(&base, 390, 43);
	patch = patch_make(&base, &target, TMD_DIGEST_SHA256);
	to_third = patch_make(&base, &third, TMD_DIGEST_SHA256);
	from_target = patch_make(&target, &third, TMD_DIGEST_SHA256);
	bench_init(&b, geometry, SLOT_BYTES, &base, place);
	context("%s", geometry->name);
}

static void tear_down(void)
{
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&target);
	bytes_free(&third);
	bytes_free(&patch);
	bytes_free(&to_third);
	bytes_free(&from_target);
}

/*
 * An update has ended with `got`; the faults are over, but there was no reset. The store stands by
 * what it said, and takes a third model, which is there after a reset.
 */
static void expect_next_update(int got)
{
	EXPECT(bench_holds(&b, got == TMD_OK ? &target : &base));
	EXPECT_STATUS(bench_send(&b, got == TMD_OK ? &from_target : &to_third, 0), TMD_OK);
	EXPECT(bench_holds(&b, &third));
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &third));
}

/*
 * In flash, too, the base is what is active, and nothing is said of the other slot but that an
 * update was going on there, or what came before it.
 */
static void expect_base_is_recorded(void)
{
	EXPECT_EQ(bench_recorded_state(&b, 0), 3);
	EXPECT(bench_recorded_state(&b, 1) < 3);
	EXPECT(bench_region_is_unchanged(&b, &b.device.config.slot[0]));
}

/* The same, but a reset comes first. */
static void expect_after_reset(int got)
{
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	if (got == TMD_OK || bench_holds(&b, &target)) {
		EXPECT(bench_holds(&b, &target));
		EXPECT_STATUS(bench_send(&b, &from_target, 33), TMD_OK);
	} else {
		EXPECT(bench_holds(&b, &base));
		EXPECT_STATUS(bench_send(&b, &to_third, 33), TMD_OK);
	}
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &third));
}

/*
 * Go through the states an update can begin in (the records' unit full or not, streamed or staged)
 * and call `one` for each operation, with the device in that state.
 */
static void at_every_operation(const struct tmd_sim_geometry *geometry,
			       void (*one)(uint64_t operation, uint32_t piece))
{
	for (uint32_t mode = 0; mode < 4u; mode++) {
		const uint32_t piece = mode % 2u == 0u ? 60u : 0u;
		uint64_t operations;

		set_up(geometry, BENCH_RECORDED);
		if (mode / 2u != 0u) {
			bench_fill_records(&b);
		}
		EXPECT_STATUS(bench_send(&b, &patch, piece), TMD_OK);
		operations = bench_operations(&b);
		for (uint64_t n = 1; n <= operations; n++) {
			one(b.counts.operations + n, piece);
		}
		tear_down();
	}
}

/* Of `b`, at the mark, with the power on. */
static void again(const char *what, uint64_t operation)
{
	bench_rewind(&b);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	context("%s, %s at operation %u", b.device.sim.geometry.name, what,
		(unsigned int)(operation - b.counts.operations));
}

static void reported_as_failed(uint64_t operation, uint32_t piece)
{
	static const enum bench_fault faults[] = {BENCH_FAULT_DONE, BENCH_FAULT_DONE_LAST};

	for (uint32_t i = 0; i < 4u; i++) {
		int got;

		again(i / 2u == 0u ? "done but reported as failed" : "the last one that was done",
		      operation);
		b.fault = faults[i / 2u];
		b.fault_at = operation;
		got = bench_send(&b, &patch, piece);
		b.fault = BENCH_FAULT_NONE;
		if (i % 2u == 0u) {
			expect_next_update(got);
		} else {
			expect_after_reset(got);
		}
		EXPECT_EQ(b.device.sim.counts.illegal, 0);
		EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	}
}

static void test_operations_that_are_done_but_reported_as_failed(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		at_every_operation(&small[g], reported_as_failed);
	}
}

static void goes_wrong(uint64_t operation, uint32_t piece)
{
	static const char *const names[] = {"none", "error", "lie", "flip"};

	for (uint32_t i = 0; i < 2u * (TMD_SIM_FAULTS_N - 1u) * 3u; i++) {
		const uint32_t fault = 1u + i / 2u % (TMD_SIM_FAULTS_N - 1u);
		int got;

		again(names[fault], operation);
		b.device.sim.random += i;
		b.device.sim.fault = (uint8_t)fault;
		b.device.sim.fault_at = operation;
		got = bench_send(&b, &patch, piece);
		b.device.sim.fault_at = 0;
		if (fault != TMD_SIM_FAULT_ERROR && b.erase_went_wrong) {
			/* The core programmed what it was told is erased: not to be blamed on it. */
			b.device.sim.counts.illegal = 0;
			b.device.sim.counts.rewrites = 0;
		}
		if (i % 2u == 0u) {
			expect_next_update(got);
		} else {
			expect_after_reset(got);
		}
		EXPECT_EQ(b.device.sim.counts.illegal, 0);
		EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	}
}

static void test_operations_that_go_wrong(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		at_every_operation(&small[g], goes_wrong);
	}
}

/* Each read of an update fails, fails from there on, or gives one wrong bit. */
static void test_reads_that_go_wrong(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		for (uint32_t mode = 0; mode < 6u; mode++) {
			const enum bench_fault fault = (enum bench_fault)(BENCH_FAULT_READ +
									  mode / 2u);
			const uint32_t piece = mode % 2u == 0u ? 60u : 0u;
			uint64_t reads;

			set_up(&small[g], BENCH_RECORDED);
			EXPECT_STATUS(bench_send(&b, &patch, piece), TMD_OK);
			reads = bench_reads(&b);
			EXPECT(reads > 20u);
			for (uint64_t n = 1; n <= reads; n++) {
				int got;

				bench_rewind(&b);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				context("%s, read %u, mode %u", small[g].name, (unsigned int)n,
					(unsigned int)mode);
				b.fault = fault;
				b.fault_at = b.device.sim.counts.reads + n;
				got = bench_send(&b, &patch, piece);
				EXPECT(fault != BENCH_FAULT_READS || got != TMD_OK);
				b.fault = BENCH_FAULT_NONE;
				if (n % 2u == 0u) {
					expect_next_update(got);
				} else {
					expect_after_reset(got);
				}
				EXPECT_EQ(b.device.sim.counts.illegal, 0);
				EXPECT_EQ(b.device.sim.counts.rewrites, 0);
			}
			tear_down();
		}
	}
}

/* A base that cannot be read is a failing flash, not another base. */
static void test_base_that_cannot_be_read(void)
{
	set_up(&small[0], BENCH_FACTORY);
	b.fault = BENCH_FAULT_READS;
	b.fault_at = b.device.sim.counts.reads + 1u;
	EXPECT_STATUS(bench_send(&b, &patch, 100), TMD_ERR_FLASH_READ);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_ERR_FLASH_READ);
	EXPECT(bench_is_unchanged(&b));
	b.fault = BENCH_FAULT_NONE;
	expect_next_update(TMD_ERR_FLASH_READ);
	tear_down();
}

/* ---- a staged patch that is not the same when it is read again, or not readable ---- */

struct source_state {
	const struct bytes *first;  /* what the first `calls` reads give */
	const struct bytes *second; /* what the later ones give; NULL: they fail */
	uint32_t calls;
	uint32_t made;
};

static int source_read(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	struct source_state *s = ctx;
	const struct bytes *from = s->made++ < s->calls ? s->first : s->second;

	if (from == NULL) {
		return 1;
	}
	EXPECT(offset <= from->n && bytes <= from->n - offset);
	memcpy(buf, &from->at[offset], bytes);
	return 0;
}

static int stage(struct source_state *state)
{
	const struct tmd_source source = {source_read, state, patch.n};

	return tmd_update_staged(&b.device.update, &b.device.store, &source);
}

static uint32_t reads_of_a_pass(void)
{
	struct source_state state = {&patch, &patch, 0, 0};
	const struct tmd_source source = {source_read, &state, patch.n};

	EXPECT_STATUS(tmd_update_check(&b.device.update, &b.device.store, &source), TMD_OK);
	EXPECT(bench_is_unchanged(&b));
	return state.made;
}

static void test_patch_that_cannot_be_read(void)
{
	uint32_t pass;

	set_up(&small[0], BENCH_RECORDED);
	pass = reads_of_a_pass();
	for (uint32_t calls = 0; calls <= 2u * pass; calls++) {
		struct source_state state = {&patch, NULL, calls, 0};
		int got;

		again("source fails", b.counts.operations + calls);
		got = stage(&state);
		EXPECT_STATUS(got, calls < 2u * pass ? TMD_ERR_FLASH_READ : TMD_OK);
		EXPECT(calls >= pass || bench_is_unchanged(&b));
		if (got != TMD_OK) {
			expect_base_is_recorded();
		}
		expect_next_update(got);
	}
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	tear_down();
}

/* Any bit of the patch differs in the second pass: never success with anything but the target. */
static void test_patch_that_changes_between_the_passes(void)
{
	struct bytes other;
	uint32_t pass;

	set_up(&small[1], BENCH_RECORDED);
	pass = reads_of_a_pass();
	other = model_make(patch.n, 1);
	for (uint32_t bit = 0; bit < 8u * patch.n; bit += 3u) {
		struct source_state state = {&patch, &other, pass, 0};
		int got;

		again("source changes", b.counts.operations + bit);
		memcpy(other.at, patch.at, patch.n);
		other.at[bit / 8u] ^= (uint8_t)(1u << (bit % 8u));
		got = stage(&state);
		EXPECT(bench_holds(&b, got == TMD_OK ? &target : &base));
		if (got != TMD_OK) {
			expect_base_is_recorded();
			EXPECT_EQ(bench_recorded_state(&b, 1), 0);
		}
		expect_after_reset(got);
	}
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	bytes_free(&other);
	tear_down();
}

/* A streamed patch that stops or turns bad anywhere; and then the right one, without a reset. */
static void test_update_after_a_broken_one(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		set_up(&small[g], BENCH_RECORDED);
		for (uint32_t n = 0; n < patch.n; n++) {
			struct bytes part = {patch.at, n};

			again("cut off", b.counts.operations + n);
			EXPECT_STATUS(bench_send(&b, &part, 16), TMD_ERR_TRUNCATED);
			expect_base_is_recorded();
			EXPECT_EQ(bench_recorded_state(&b, 1), 0); /* as it was before */
			/* Up to the end of the head, nothing at all has changed. */
			EXPECT(n > 102u || bench_is_unchanged(&b));
			expect_next_update(TMD_ERR_TRUNCATED);
		}
		for (uint32_t n = 0; n < patch.n; n += 5u) {
			again("aborted", b.counts.operations + n);
			EXPECT_STATUS(tmd_update_begin(&b.device.update, &b.device.store), TMD_OK);
			EXPECT_STATUS(tmd_update_write(&b.device.update, patch.at, n), TMD_OK);
			tmd_update_abort(&b.device.update);
			EXPECT_STATUS(tmd_update_finish(&b.device.update), TMD_ERR_ARGUMENT);
			expect_base_is_recorded();
			expect_next_update(TMD_ERR_ARGUMENT);
		}
		EXPECT_EQ(b.device.sim.counts.illegal, 0);
		EXPECT_EQ(b.device.sim.counts.rewrites, 0);
		tear_down();
	}
}

/* No bytes are no fault, wherever they come; nor do they need an address. */
static void test_pieces_of_no_bytes(void)
{
	struct tmd_update *u = &b.device.update;

	set_up(&small[0], BENCH_FACTORY);
	EXPECT_STATUS(tmd_update_begin(u, &b.device.store), TMD_OK);
	for (uint32_t n = 0; n < patch.n; n++) {
		EXPECT_STATUS(tmd_update_write(u, NULL, 0), TMD_OK);
		EXPECT_STATUS(tmd_update_write(u, &patch.at[n], 1), TMD_OK);
	}
	EXPECT_STATUS(tmd_update_write(u, NULL, 0), TMD_OK);
	EXPECT_STATUS(tmd_update_finish(u), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	tear_down();
}

/* A bit of the other slot flips at rest, between two updates that use it: it is written again. */
static void test_bit_flips_in_the_slot_that_is_reused(void)
{
	struct bytes back;

	set_up(&small[1], BENCH_FACTORY);
	back = patch_make(&target, &base, TMD_DIGEST_CRC32);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	EXPECT_STATUS(bench_send(&b, &back, 0), TMD_OK);
	bench_mark(&b);
	for (uint32_t bit = 0; bit < 8u * target.n; bit += 3u) {
		again("flip", b.counts.operations + bit);
		b.device.sim.bytes[b.device.config.slot[1].offset + bit / 8u] ^=
			(uint8_t)(1u << (bit % 8u));
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &target));
	}
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	bytes_free(&back);
	tear_down();
}

int main(void)
{
	RUN(test_operations_that_are_done_but_reported_as_failed);
	RUN(test_operations_that_go_wrong);
	RUN(test_reads_that_go_wrong);
	RUN(test_base_that_cannot_be_read);
	RUN(test_patch_that_cannot_be_read);
	RUN(test_patch_that_changes_between_the_passes);
	RUN(test_update_after_a_broken_one);
	RUN(test_pieces_of_no_bytes);
	RUN(test_bit_flips_in_the_slot_that_is_reused);
	return harness_result();
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The handshake between an application and the store: what is open stays as it is, byte for byte,
 * until it is closed, whatever is updated, reverted or decided meanwhile.
 */
#include "harness.h"

#include "bench.h"

#define SLOT_BYTES 1200u

static const struct tmd_sim_geometry small[] = {
	{"once16", "", {{256, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE},
	{"words", "", {{128, 1}}, 1, 4, 0xFF, 0},
	{"ram", "", {{128, 1}}, 1, 1, 0xFF, TMD_FLASH_NO_ERASE},
	{"zeros", "", {{256, 1}}, 1, 8, 0x00, TMD_SIM_WRITE_ONCE},
	{"unequal", "", {{128, 2}, {512, 1}}, 2, 8, 0xFF, TMD_SIM_WRITE_ONCE},
};
#define SMALL_N (sizeof(small) / sizeof(small[0]))

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes third;
static struct bytes patch;       /* base to target */
static struct bytes from_target; /* target to third */

static struct tmd_store *const store = &b.device.store;

static void set_up(const struct tmd_sim_geometry *geometry, enum bench_place place, uint32_t starts)
{
	const struct tmd_sim_options options = {.progress_bytes = 1, .trial_starts = starts};

	base = model_make(1000, 81);
	target = model_derive(&base, 1111, 82);
	third = model_derive(&target, 900, 83);
	patch = patch_make(&base, &target, TMD_DIGEST_SHA256);
	from_target = patch_make(&target, &third, TMD_DIGEST_SHA256);
	bench_init_with(&b, geometry, SLOT_BYTES, &base, place, &options);
	context("%s, place %d", geometry->name, place);
}

static void tear_down(void)
{
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&target);
	bytes_free(&third);
	bytes_free(&patch);
	bytes_free(&from_target);
}

/* An inference: every byte of the model is used, as memory and through the store. */
static bool runs(const struct tmd_model *opened, const struct bytes *model)
{
	uint8_t piece[113];

	if (opened->at == NULL || opened->bytes != model->n || opened->total_bytes != model->n ||
	    memcmp(opened->at, model->at, model->n) != 0) {
		return false;
	}
	for (uint32_t at = 0; at < model->n;) {
		const uint32_t left = model->n - at;
		const uint32_t n = left < sizeof(piece) ? left : (uint32_t)sizeof(piece);

		if (tmd_model_read(store, opened, at, piece, n) != TMD_OK ||
		    memcmp(piece, &model->at[at], n) != 0) {
			return false;
		}
		at += n;
	}
	return tmd_model_read(store, opened, model->n, piece, 1) == TMD_ERR_ARGUMENT;
}

/* Who opens and never closes is refused before the count comes round to none. */
/* More often than a byte counts. */
static void test_open_without_close(void)
{
	struct tmd_model opened;

	set_up(&small[0], BENCH_RECORDED, 0);
	for (uint32_t n = 0; n < 256u; n++) {
		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
	}
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	EXPECT_STATUS(bench_send(&b, &from_target, 0), TMD_ERR_BUSY);
	EXPECT(runs(&opened, &base));
	tear_down();
}

static void test_inference_during_an_update(void)
{
	static const enum bench_place places[] = {BENCH_FACTORY, BENCH_COMPILED_IN, BENCH_RECORDED};

	for (size_t i = 0; i < 3u * SMALL_N; i++) {
		struct tmd_update *u = &b.device.update;
		struct tmd_model opened;
		struct tmd_model again;
		const void *at;

		set_up(&small[i / 3u], places[i % 3u], 0);
		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
		at = opened.at;
		EXPECT(runs(&opened, &base));
		EXPECT_STATUS(tmd_update_begin(u, store), TMD_OK);
		for (uint32_t n = 0; n < patch.n; n++) {
			EXPECT_STATUS(tmd_update_write(u, &patch.at[n], 1), TMD_OK);
			EXPECT(runs(&opened, &base));
			EXPECT(!tmd_store_changed(store, &opened));
		}
		EXPECT_STATUS(tmd_update_finish(u), TMD_OK);
		EXPECT(runs(&opened, &base)); /* the old one, to the end of this inference */
		EXPECT(opened.at == at);
		EXPECT(tmd_store_changed(store, &opened));
		EXPECT(bench_holds(&b, &target));

		/* The new model may be opened before the old one is closed. */
		EXPECT_STATUS(tmd_store_open(store, &again), TMD_OK);
		EXPECT(runs(&again, &target));
		EXPECT(runs(&opened, &base));
		EXPECT(!tmd_store_changed(store, &again));
		tmd_store_close(store, &opened);
		EXPECT(runs(&again, &target));
		tmd_store_close(store, &again);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &target));
		tear_down();
	}
}

/* The slot of an open model is not written, by any kind of update, until the last one closes it. */
static void test_busy_until_closed(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		struct tmd_update *u = &b.device.update;
		struct tmd_model first;
		struct tmd_model second;

		set_up(&small[g], BENCH_FACTORY, 0);
		EXPECT_STATUS(tmd_store_open(store, &first), TMD_OK);
		EXPECT_STATUS(tmd_store_open(store, &second), TMD_OK);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK); /* to the other slot */
		bench_mark(&b);
		for (uint32_t n = 0; n < 2u; n++) {
			EXPECT_STATUS(bench_send(&b, &from_target, 0), TMD_ERR_BUSY);
			EXPECT_STATUS(bench_send(&b, &from_target, 9), TMD_ERR_BUSY);
			EXPECT_STATUS(tmd_sim_device_check(&b.device, from_target.at,
							   from_target.n), TMD_ERR_BUSY);
			EXPECT_STATUS(tmd_update_begin(u, store), TMD_ERR_BUSY);
			EXPECT_STATUS(tmd_update_write(u, patch.at, patch.n), TMD_ERR_BUSY);
			EXPECT_STATUS(tmd_update_finish(u), TMD_ERR_BUSY);
			EXPECT(bench_is_unchanged(&b));
			EXPECT(runs(n == 0u ? &first : &second, &base));
			tmd_store_close(store, n == 0u ? &first : &second);
			EXPECT_STATUS(tmd_model_read(store, &first, 0, &(uint8_t){0}, 1),
				      TMD_ERR_ARGUMENT);
		}
		tmd_store_close(store, &first); /* once more is once too often, and harmless */
		EXPECT_STATUS(tmd_store_open(store, &second), TMD_OK);
		tmd_store_close(store, &first);
		EXPECT(runs(&second, &target));
		EXPECT_STATUS(bench_send(&b, &from_target, 9), TMD_OK);
		EXPECT(runs(&second, &target));
		EXPECT_STATUS(bench_boot(&b), TMD_OK); /* a reset closes everything */
		EXPECT(bench_holds(&b, &third));
		tear_down();
	}
}

/* With the model in the firmware there are two slots to choose from. */
static void test_the_slot_that_is_not_open(void)
{
	struct tmd_model opened;
	struct tmd_model of_base;

	set_up(&small[0], BENCH_COMPILED_IN, 3);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
	EXPECT_EQ(opened.slot, 0);
	EXPECT_STATUS(tmd_store_revert(store), TMD_OK);
	EXPECT(bench_holds(&b, &base));
	EXPECT_STATUS(tmd_store_open(store, &of_base), TMD_OK);
	EXPECT(runs(&of_base, &base));
	bytes_free(&patch);
	patch = patch_make(&base, &third, TMD_DIGEST_SHA256);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	EXPECT(runs(&opened, &target));
	EXPECT_EQ(store->active.slot, 1);
	EXPECT(bench_holds(&b, &third));
	tear_down();
}

/* Opened and closed between any two pieces of an update: the update does not notice. */
static void test_open_during_an_update(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		for (uint32_t fresh = 0; fresh < 2u; fresh++) {
			struct tmd_update *u = &b.device.update;
			struct tmd_model opened;

			set_up(&small[g], fresh != 0u ? BENCH_FACTORY : BENCH_RECORDED, 2);
			EXPECT_STATUS(tmd_update_begin(u, store), TMD_OK);
			for (uint32_t n = 0; n < patch.n; n++) {
				EXPECT_STATUS(tmd_update_write(u, &patch.at[n], 1), TMD_OK);
				EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
				EXPECT(runs(&opened, &base));
				if (n % 3u != 0u) {
					tmd_store_close(store, &opened);
				}
			}
			EXPECT_STATUS(tmd_update_finish(u), TMD_OK);
			EXPECT(bench_holds(&b, &target));
			EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
			EXPECT(runs(&opened, &target));
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, &target));
			tear_down();
		}
	}
}

/* A second update takes over from the first, which cannot go on; nothing of it is in the target. */
/* Who sent it is gone: somebody else ends it. */
static void test_interrupted_update(void)
{
	struct tmd_update *u = &b.device.update;

	set_up(&small[0], BENCH_RECORDED, 0);
	tmd_store_interrupt(store); /* there is none */
	EXPECT_STATUS(tmd_update_begin(u, store), TMD_OK);
	EXPECT_STATUS(tmd_update_write(u, patch.at, patch.n / 2u), TMD_OK);
	EXPECT_STATUS(tmd_store_forget(store), TMD_ERR_BUSY);
	tmd_store_interrupt(store);
	EXPECT_STATUS(tmd_store_forget(store), TMD_OK);
	EXPECT_STATUS(tmd_update_write(u, patch.at, 1), TMD_ERR_BUSY);
	tmd_update_abort(u);
	EXPECT(bench_holds(&b, &base));
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	tear_down();
}

static void test_one_update_at_a_time(void)
{
	static struct tmd_update other;

	for (uint32_t n = 0; n < 290u; n += 29u) {
		struct tmd_update *u = &b.device.update;
		struct bytes to_third;

		set_up(&small[n % SMALL_N], BENCH_RECORDED, 0);
		context("%s, after %u bytes", b.device.sim.geometry.name, (unsigned int)n);
		to_third = patch_make(&base, &third, TMD_DIGEST_SHA256);
		REQUIRE(patch.n > n + 1u);
		EXPECT_STATUS(tmd_update_begin(u, store), TMD_OK);
		EXPECT_STATUS(tmd_update_write(u, patch.at, n), TMD_OK);
		EXPECT_STATUS(tmd_update_begin(&other, store), TMD_OK);
		EXPECT_STATUS(tmd_update_write(u, &patch.at[n], 1), TMD_ERR_BUSY);
		EXPECT_STATUS(tmd_update_write(&other, to_third.at, to_third.n), TMD_OK);
		EXPECT_STATUS(tmd_update_write(u, &patch.at[n], 1), TMD_ERR_BUSY); /* it stays */
		EXPECT_STATUS(tmd_update_finish(u), TMD_ERR_BUSY);
		tmd_update_abort(u);
		EXPECT_STATUS(tmd_store_forget(store), TMD_ERR_BUSY); /* the other one still runs */
		EXPECT_STATUS(tmd_update_finish(&other), TMD_OK);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &third));
		bytes_free(&to_third);
		tear_down();
	}
}

/* The active slot turns bad while an update to the other one runs: nothing is given out wrong. */
static void test_decay_during_an_update(void)
{
	for (uint32_t from = 0; from < 40u; from++) {
		struct tmd_update *u = &b.device.update;
		struct tmd_model opened;
		int err = TMD_OK;

		set_up(&small[1], BENCH_COMPILED_IN, 0);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
		tmd_store_close(store, &opened);
		context("from byte %u of 40", (unsigned int)from);
		EXPECT_STATUS(tmd_update_begin(u, store), TMD_OK);
		for (uint32_t n = 0; n < from_target.n && err == TMD_OK; n++) {
			if (n == from_target.n * from / 40u) {
				b.device.sim.bytes[b.device.config.slot[0].offset + 50u] ^= 1u;
				EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
				EXPECT(runs(&opened, &base)); /* the one in the firmware */
			}
			err = tmd_update_write(u, &from_target.at[n], 1);
		}
		if (err == TMD_OK) {
			err = tmd_update_finish(u);
		}
		EXPECT(bench_holds(&b, err == TMD_OK ? &third : &base));
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &base) || bench_holds(&b, &third));
		EXPECT(err != TMD_OK || bench_holds(&b, &third));
		tear_down();
	}
}

/*
 * The same without a model in the firmware: the way back is the slot that is being written. Once it
 * is given out, nothing is written to it; and once something was written, it is not given out.
 */
static void test_decay_with_nowhere_to_go(void)
{
	for (uint32_t from = 0; from < 40u; from++) {
		struct tmd_update *u = &b.device.update;
		struct tmd_model opened;
		bool given = false;
		int err = TMD_OK;

		set_up(&small[1], BENCH_RECORDED, 0);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
		context("from byte %u of 40", (unsigned int)from);
		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
		tmd_store_close(store, &opened);
		EXPECT_STATUS(tmd_update_begin(u, store), TMD_OK);
		for (uint32_t n = 0; n < from_target.n && err == TMD_OK; n++) {
			if (n == from_target.n * from / 40u) {
				b.device.sim.bytes[b.device.config.slot[1].offset + 50u] ^= 1u;
				given = tmd_store_open(store, &opened) == TMD_OK;
			}
			EXPECT(!given || runs(&opened, &base));
			err = tmd_update_write(u, &from_target.at[n], 1);
		}
		if (err == TMD_OK) {
			err = tmd_update_finish(u);
		}
		EXPECT(!given || runs(&opened, &base));
		if (err == TMD_OK) {
			EXPECT(bench_holds(&b, &third));
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, &third));
		} else if (given) {
			EXPECT(bench_holds(&b, &base));
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, &base));
		}
		EXPECT(from > 0u || given);
		tear_down();
	}
}

/*
 * Found by fuzzing: a streamed update writes slot 0, which on flash that needs no erasing still holds
 * the factory's model until the first bytes are programmed; the active one cannot be read for a
 * moment, and slot 0 is given out instead. Then the update must not go on.
 */
static void test_the_slot_that_is_written_becomes_the_active_one(void)
{
	uint32_t begun = 0; /* so often the update had entered the slot, and the slot was given out */

	for (size_t g = 0; g < SMALL_N; g++) {
		for (uint32_t at = 0; at < 400u; at += 9u) {
			struct tmd_update *u = &b.device.update;
			struct tmd_model opened;
			struct bytes whole;
			uint32_t sent;
			int err;

			set_up(&small[g], BENCH_FACTORY, 0);
			/* All of the third model as it is, so that it is written as it comes. */
			whole = patch_header(&target, &third, TMD_DIGEST_SHA256);
			patch_guardrails(&whole);
			sent = whole.n + at;
			patch_raw(&whole, 0, third.at, (uint16_t)third.n, true);
			context("%s, %u bytes of chunks sent", small[g].name, (unsigned int)at);
			EXPECT_STATUS(bench_send(&b, &patch, 50), TMD_OK);
			EXPECT_STATUS(tmd_update_begin(u, store), TMD_OK);
			EXPECT_STATUS(tmd_update_write(u, whole.at, sent), TMD_OK);
			store->fresh = false;
			b.fault = BENCH_FAULT_READ;
			b.fault_at = b.device.sim.counts.reads + 1u;
			err = tmd_store_open(store, &opened);
			b.fault = BENCH_FAULT_NONE;
			if (err == TMD_OK && opened.slot == 0u) {
				begun += u->position > 0u ? 1u : 0u;
				EXPECT(runs(&opened, &base));
				EXPECT_STATUS(tmd_update_write(u, &whole.at[sent], whole.n - sent),
					      TMD_ERR_BUSY);
				EXPECT_STATUS(tmd_update_finish(u), TMD_ERR_BUSY);
				EXPECT(runs(&opened, &base));
				tmd_store_close(store, &opened);
				EXPECT(bench_holds(&b, &base));
				EXPECT_STATUS(bench_send(&b, &patch, 50), TMD_OK);
				EXPECT(bench_holds(&b, &target));
			}
			bytes_free(&whole);
			tear_down();
		}
	}
	EXPECT(begun > 0u);
}

/* What was open when its trial ended can be read on; no update touches it before it is closed. */
static void test_open_over_a_revert(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		struct tmd_model opened;
		struct tmd_model before;
		struct bytes to_third;

		set_up(&small[g], BENCH_RECORDED, 3);
		to_third = patch_make(&base, &third, TMD_DIGEST_SHA256);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
		EXPECT(runs(&opened, &target));
		EXPECT_STATUS(tmd_store_revert(store), TMD_OK);
		EXPECT(tmd_store_changed(store, &opened));
		EXPECT(runs(&opened, &target));
		bench_mark(&b);
		EXPECT_STATUS(bench_send(&b, &to_third, 50), TMD_ERR_BUSY);
		EXPECT(bench_is_unchanged(&b));
		EXPECT_STATUS(tmd_store_open(store, &before), TMD_OK);
		EXPECT(runs(&before, &base));
		EXPECT(runs(&opened, &target));
		tmd_store_close(store, &opened);
		EXPECT_STATUS(bench_send(&b, &to_third, 50), TMD_OK);
		EXPECT(runs(&before, &base));
		EXPECT(bench_holds(&b, &third));
		bytes_free(&to_third);
		tear_down();
	}
}

/* Every open verifies again: a model that turned bad since mount is not given out. */
static void test_decay_between_opens(void)
{
	for (uint32_t bit = 0; bit < 8u * 1111u; bit += 11u) {
		struct tmd_model opened;
		uint8_t *cell;

		if (bit == 0u) {
			set_up(&small[1], BENCH_COMPILED_IN, 0);
			EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
			bench_mark(&b);
		}
		context("bit %u", (unsigned int)bit);
		bench_rewind(&b);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
		EXPECT(runs(&opened, &target));
		tmd_store_close(store, &opened);
		cell = &b.device.sim.bytes[b.device.config.slot[0].offset + bit / 8u];
		*cell ^= (uint8_t)(1u << bit % 8u);
		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
		EXPECT(runs(&opened, &base));
	}
	tear_down();
}

/* Reads that fail: an open gives out a model that verifies, or none. */
static void test_read_errors(void)
{
	for (uint32_t kind = BENCH_FAULT_READ; kind <= BENCH_FAULT_READ_FLIP; kind++) {
		set_up(&small[0], BENCH_RECORDED, 0);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
		bench_mark(&b);
		for (uint64_t n = 1; n < 80u; n++) {
			struct tmd_model opened;
			int err;

			context("kind %u, read %u", (unsigned int)kind, (unsigned int)n);
			bench_rewind(&b);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
			tmd_store_close(store, &opened);
			b.fault = (enum bench_fault)kind;
			b.fault_at = b.device.sim.counts.reads + n;
			err = tmd_store_open(store, &opened);
			b.fault = BENCH_FAULT_NONE;
			if (err == TMD_OK) {
				EXPECT(runs(&opened, store->active.slot == 1u ? &target : &base));
			} else {
				EXPECT_STATUS(err, TMD_ERR_NO_MODEL);
				EXPECT(opened.at == NULL && opened.total_bytes == 0u);
			}
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, &target)); /* nothing of it was written down */
		}
		tear_down();
	}
}

/* Any range of an opened model, and none beyond its end. */
static void test_bounds_of_reading(void)
{
	static const uint32_t numbers[] = {0, 1, 999, 1000, 1001, 0x7FFFFFFF, 0x80000000,
					   0xFFFFFFFF};
	uint8_t buf[1000];

	for (int place = BENCH_FACTORY; place <= BENCH_RECORDED; place++) {
		struct tmd_model opened;

		set_up(&small[0], (enum bench_place)place, 0);
		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
		for (size_t i = 0; i < 64u; i++) {
			const uint32_t offset = numbers[i / 8u];
			const uint32_t bytes = numbers[i % 8u];
			const bool inside = (uint64_t)offset + bytes <= 1000u;

			context("place %d, offset 0x%x, 0x%x bytes", place, (unsigned int)offset,
				(unsigned int)bytes);
			memset(buf, 0, sizeof(buf));
			EXPECT_STATUS(tmd_model_read(store, &opened, offset, buf, bytes),
				      inside ? TMD_OK : TMD_ERR_ARGUMENT);
			EXPECT(!inside || memcmp(buf, &base.at[offset], bytes) == 0);
		}
		tear_down();
	}
}

int main(void)
{
	RUN(test_open_without_close);
	RUN(test_inference_during_an_update);
	RUN(test_busy_until_closed);
	RUN(test_the_slot_that_is_not_open);
	RUN(test_open_during_an_update);
	RUN(test_interrupted_update);
	RUN(test_one_update_at_a_time);
	RUN(test_decay_during_an_update);
	RUN(test_decay_with_nowhere_to_go);
	RUN(test_the_slot_that_is_written_becomes_the_active_one);
	RUN(test_open_over_a_revert);
	RUN(test_decay_between_opens);
	RUN(test_read_errors);
	RUN(test_bounds_of_reading);
	return harness_result();
}

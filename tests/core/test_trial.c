/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Trials: a new model is started a bounded number of times, power cuts and failing flash included,
 * and then it is gone for good unless it was confirmed.
 */
#include "harness.h"

#include "bench.h"

#define SLOT_BYTES 400u

static const struct tmd_sim_geometry small[] = {
	{"once16", "", {{256, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE},
	{"words", "", {{128, 1}}, 1, 4, 0xFF, 0}, /* one record to an erase unit */
	{"ram", "", {{128, 1}}, 1, 1, 0xFF, TMD_FLASH_NO_ERASE},
	{"zeros", "", {{256, 1}}, 1, 8, 0x00, TMD_SIM_WRITE_ONCE},
};
#define SMALL_N (sizeof(small) / sizeof(small[0]))

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes third;
static struct bytes patch;    /* base to target */
static struct bytes to_third; /* base to third */

static struct tmd_store *const store = &b.device.store;

static void set_up(const struct tmd_sim_geometry *geometry, enum bench_place place, uint32_t starts)
{
	const struct tmd_sim_options options = {.progress_bytes = 4096, .trial_starts = starts};

	base = model_make(300, 71);
	target = model_derive(&base, 310, 72);
	third = model_derive(&base, 290, 73);
	patch = patch_make(&base, &target, TMD_DIGEST_SHA256);
	to_third = patch_make(&base, &third, TMD_DIGEST_SHA256);
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
	bytes_free(&to_third);
}

/* The same with what a version says: of the model, and the lowest one from then on. */
static struct bytes versioned(const struct bytes *from, const struct bytes *to, uint32_t version,
			      uint32_t floor)
{
	struct bytes made = patch_header(from, to, TMD_DIGEST_SHA256);

	patch_guardrails(&made);
	if (version != 0u) {
		patch_tlv(&made, 5, version, 4);
	}
	if (floor != 0u) {
		patch_tlv(&made, 6, floor, 4);
	}
	patch_raw(&made, 0, to->at, (uint16_t)to->n, true);
	return made;
}

/* Open the active model: is it this one? */
static bool gives_out(const struct bytes *model)
{
	struct tmd_model opened;
	bool same;

	if (tmd_store_open(store, &opened) != TMD_OK) {
		return false;
	}
	same = opened.bytes == model->n && opened.at != NULL &&
	       memcmp(opened.at, model->at, model->n) == 0;
	tmd_store_close(store, &opened);
	return same && bench_holds(&b, model);
}

static void expect_trial(bool trial, uint8_t starts)
{
	struct tmd_store_info info;

	tmd_store_get_info(store, &info);
	EXPECT_EQ(info.trial, trial);
	if (trial) {
		EXPECT_EQ(info.starts, starts);
	}
}

/* Reverted for good: the base, after any number of resets, and its patch is not taken again. */
static void expect_reverted(void)
{
	expect_trial(false, 0);
	for (uint32_t i = 0; i < 3u; i++) {
		EXPECT(gives_out(&base));
		EXPECT_STATUS(bench_send(&b, &patch, i * 40u), TMD_ERR_REVERTED);
		EXPECT(bench_holds(&b, &base));
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &base));
	}
}

static void test_starts_are_used_up(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		for (int place = BENCH_FACTORY; place <= BENCH_RECORDED; place++) {
			for (uint32_t starts = 1; starts <= 4u; starts++) {
				set_up(&small[g], (enum bench_place)place, starts);
				EXPECT_STATUS(bench_send(&b, &patch, starts % 2u * 50u), TMD_OK);
				expect_trial(true, 0);
				for (uint32_t n = 1; n <= starts; n++) {
					EXPECT_STATUS(bench_boot(&b), TMD_OK);
					EXPECT(bench_holds(&b, &target));
					expect_trial(true, (uint8_t)(n - 1u));
					EXPECT(gives_out(&target));
					expect_trial(true, (uint8_t)n);
				}
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				expect_reverted();
				tear_down();
			}
		}
	}
}

/* Starts without a reset between them count as well; the trial ends in the same session. */
static void test_starts_in_one_session(void)
{
	set_up(&small[0], BENCH_RECORDED, 3);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	for (uint32_t n = 0; n < 3u; n++) {
		EXPECT(gives_out(&target));
	}
	EXPECT(gives_out(&base));
	expect_reverted();
	tear_down();
}

/* The most that can be asked for, and a count that a firmware with fewer starts finds. */
static void test_many_starts(void)
{
	set_up(&small[1], BENCH_RECORDED, 255);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	for (uint32_t n = 0; n < 255u; n++) {
		context("start %u", (unsigned int)n);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(gives_out(&target));
	}
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	expect_reverted();
	tear_down();

	set_up(&small[1], BENCH_RECORDED, 9);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	for (uint32_t n = 0; n < 5u; n++) {
		EXPECT(gives_out(&target));
	}
	b.device.config.trial_starts = 4;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	expect_reverted();
	tear_down();
}

/*
 * Starts go on, each with the power cut at the n-th operation of the open in each way, until the
 * base is back. The target was given out at most as often as it may be, and the model that is active
 * was always whole.
 */
static void test_power_cuts_in_every_open(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		for (uint32_t n = 0; n < 3u * TMD_SIM_CUTS_N * 8u; n++) {
			const uint32_t starts = 1u + n % 3u;
			uint32_t given = 0;
			bool back = false;

			set_up(&small[g], BENCH_RECORDED, starts);
			EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
			for (uint32_t round = 0; round < 40u && !back; round++) {
				struct tmd_model opened;

				context("%s, case %u, round %u", small[g].name, (unsigned int)n,
					(unsigned int)round);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				EXPECT(bench_is_firm(&b));
				b.device.sim.random += n + round;
				/* In some rounds there is no such operation, and no cut. */
				bench_cut(&b, n / 3u + round / 2u, 1u + (n / 7u + round) % 2u);
				if (tmd_store_open(store, &opened) == TMD_OK &&
				    b.device.sim.powered) {
					given += bench_holds(&b, &target) ? 1u : 0u;
				}
				tmd_sim_power_on(&b.device.sim);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				EXPECT(bench_is_firm(&b));
				EXPECT_EQ(b.device.sim.counts.illegal, 0);
				EXPECT_EQ(b.device.sim.counts.rewrites, 0);
				back = bench_holds(&b, &base);
				EXPECT(back || bench_holds(&b, &target));
			}
			EXPECT(given <= starts);
			EXPECT(back);
			expect_reverted();
			tear_down();
		}
	}
}

/* One cut, at each operation of one open, in each way; the others are left alone. */
static void test_one_power_cut(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		for (uint32_t full = 0; full < 2u; full++) {
			for (uint32_t which = 1; which <= 4u; which++) {
				for (uint32_t n = 0; n < 2u * TMD_SIM_CUTS_N * 3u; n++) {
					uint32_t given = 0;

					set_up(&small[g], BENCH_RECORDED, 3);
					EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
					if (full != 0u) {
						bench_fill_records(&b);
					}
					for (uint32_t k = 1; k <= 12u; k++) {
						struct tmd_model opened;

						EXPECT_STATUS(bench_boot(&b), TMD_OK);
						b.device.sim.random += n;
						if (k == which) {
							bench_cut(&b, n / 2u, 1u + n % 2u);
						}
						if (tmd_store_open(store, &opened) == TMD_OK &&
						    b.device.sim.powered &&
						    bench_holds(&b, &target)) {
							given++;
						}
					}
					/* At most the start that the cut hit was counted in vain. */
					EXPECT(given == 3u || given == 2u);
					EXPECT_STATUS(bench_boot(&b), TMD_OK);
					expect_reverted();
					tear_down();
				}
			}
		}
	}
}

/* What cannot be counted is not started, also if only the report of it is wrong. */
static void test_counting_fails(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		for (uint32_t mode = 0; mode < 5u; mode++) {
			const bool erases = (small[g].flags & TMD_FLASH_NO_ERASE) == 0u;
			struct tmd_model opened;
			uint32_t given = 0;

			set_up(&small[g], BENCH_RECORDED, 3);
			EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
			if (mode != 0u && mode != 2u) {
				bench_fill_records(&b); /* so that it begins with an erase */
			}
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			context("%s, mode %u", small[g].name, (unsigned int)mode);
			/*
			 * No operation is done; or the first one is, or the first two are, and the
			 * last of them is reported as failed, as are all behind it.
			 */
			b.fault = BENCH_FAULT_DONE_LAST;
			b.fault_at = mode < 2u ? 1u : b.device.sim.counts.operations + 1u;
			if (mode == 4u && erases) {
				b.fault_at++;
			}
			EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
			EXPECT_EQ(opened.total_bytes, base.n);
			EXPECT(bench_holds(&b, &base));
			EXPECT_STATUS(tmd_store_confirm(store), TMD_ERR_STATE);
			tmd_store_close(store, &opened);
			EXPECT(gives_out(&base));
			b.fault = BENCH_FAULT_NONE;
			/* Flash may still say that there is a trial: but with no start too many. */
			for (uint32_t k = 0; k < 6u; k++) {
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				given += gives_out(&target) ? 1u : 0u;
			}
			EXPECT(given <= 3u);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			expect_reverted();
			tear_down();
		}
	}
}

static void test_confirmed(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		struct tmd_model opened;

		set_up(&small[g], BENCH_RECORDED, 2);
		EXPECT_STATUS(tmd_store_confirm(store), TMD_ERR_STATE); /* no trial */
		EXPECT(gives_out(&base));
		EXPECT_STATUS(tmd_store_confirm(store), TMD_ERR_STATE);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
		EXPECT_STATUS(tmd_store_confirm(store), TMD_ERR_STATE); /* the base was opened */
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_STATUS(tmd_store_confirm(store), TMD_ERR_STATE);
		EXPECT(gives_out(&target));
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_STATUS(tmd_store_confirm(store), TMD_ERR_STATE); /* opened before the reset */
		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
		EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
		EXPECT(!tmd_store_changed(store, &opened));
		EXPECT_BYTES(opened.at, target.at, target.n);
		tmd_store_close(store, &opened);
		EXPECT_STATUS(tmd_store_confirm(store), TMD_ERR_STATE); /* once */
		EXPECT_STATUS(tmd_store_revert(store), TMD_ERR_STATE);
		bench_mark(&b);
		for (uint32_t n = 0; n < 10u; n++) {
			expect_trial(false, 0);
			EXPECT(gives_out(&target));
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
		}
		EXPECT(bench_is_unchanged(&b)); /* nothing is counted any more */
		tear_down();
	}
}

/* A confirm that is cut or fails: the trial goes on, or has ended well. */
static void test_confirm_goes_wrong(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		for (uint32_t full = 0; full < 2u; full++) {
			uint64_t operations;

			set_up(&small[g], BENCH_RECORDED, 9);
			EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
			if (full != 0u) {
				bench_fill_records(&b);
			}
			bench_mark(&b);
			EXPECT(gives_out(&target));
			operations = bench_operations(&b);
			EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
			for (uint64_t n = 0;
			     n < (bench_operations(&b) - operations) * TMD_SIM_CUTS_N; n++) {
				struct tmd_store_info info;

				context("%s, cut %u", small[g].name, (unsigned int)n);
				bench_rewind(&b);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				EXPECT(gives_out(&target));
				bench_cut(&b, n, 1u + n / TMD_SIM_CUTS_N);
				EXPECT(tmd_store_confirm(store) != TMD_OK);
				tmd_store_get_info(store, &info);
				EXPECT(info.trial); /* as far as anyone knows */
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				EXPECT(gives_out(&target));
				tmd_store_get_info(store, &info);
				EXPECT_STATUS(tmd_store_confirm(store),
					      info.trial ? TMD_OK : TMD_ERR_STATE);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				expect_trial(false, 0);
				EXPECT(bench_holds(&b, &target));
				EXPECT_EQ(b.device.sim.counts.illegal, 0);
				EXPECT_EQ(b.device.sim.counts.rewrites, 0);
				/* For the next round, the same number of operations. */
				bench_rewind(&b);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				EXPECT(gives_out(&target));
				operations = bench_operations(&b);
				EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
			}
			tear_down();
		}
	}
}

static void test_reverted_by_the_application(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		for (uint32_t opened_first = 0; opened_first < 2u; opened_first++) {
			set_up(&small[g], BENCH_COMPILED_IN, 5);
			EXPECT_STATUS(tmd_store_revert(store), TMD_ERR_STATE);
			EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
			if (opened_first != 0u) {
				EXPECT(gives_out(&target));
			}
			EXPECT_STATUS(tmd_store_revert(store), TMD_OK);
			EXPECT(bench_holds(&b, &base)); /* at once */
			EXPECT_STATUS(tmd_store_revert(store), TMD_ERR_STATE);
			EXPECT_STATUS(tmd_store_confirm(store), TMD_ERR_STATE);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			expect_reverted();
			/* Another model is welcome. */
			EXPECT_STATUS(bench_send(&b, &to_third, 0), TMD_OK);
			EXPECT(gives_out(&third));
			EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, &third));
			tear_down();
		}
	}
}

/* The model before the one on trial may itself have come by an update. */
static void test_back_to_an_updated_model(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		struct bytes next;

		set_up(&small[g], BENCH_FACTORY, 1);
		next = patch_make(&target, &third, TMD_DIGEST_SHA256);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
		EXPECT(gives_out(&target));
		EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
		EXPECT_STATUS(bench_send(&b, &next, 0), TMD_OK);
		EXPECT(gives_out(&third));
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		for (uint32_t n = 0; n < 3u; n++) {
			EXPECT(gives_out(&target));
			EXPECT_STATUS(bench_send(&b, &next, 0), TMD_ERR_REVERTED);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
		}
		bytes_free(&next);
		tear_down();
	}
}

/* The other slot is the way back: nothing is written to it. */
static void test_no_update_during_a_trial(void)
{
	struct bytes next;
	struct bytes bad;

	set_up(&small[0], BENCH_RECORDED, 3);
	next = patch_make(&target, &third, TMD_DIGEST_SHA256);
	bad = patch_make(&target, &third, TMD_DIGEST_SHA256);
	bad.at[bad.n - 1u] ^= 1u;
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	for (uint32_t i = 0; i < 3u; i++) {
		if (i == 1u) {
			EXPECT(gives_out(&target));
		} else if (i == 2u) {
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
		}
		bench_mark(&b);
		EXPECT_STATUS(bench_send(&b, &next, 0), TMD_ERR_TRIAL);
		EXPECT_STATUS(bench_send(&b, &next, 7), TMD_ERR_TRIAL);
		EXPECT_STATUS(bench_send(&b, &bad, 0), TMD_ERR_TRIAL);
		EXPECT_STATUS(tmd_sim_device_check(&b.device, next.at, next.n), TMD_ERR_TRIAL);
		EXPECT_STATUS(tmd_update_begin(&b.device.update, store), TMD_ERR_TRIAL);
		EXPECT_STATUS(tmd_update_write(&b.device.update, next.at, next.n), TMD_ERR_TRIAL);
		EXPECT_STATUS(tmd_update_finish(&b.device.update), TMD_ERR_TRIAL);
		EXPECT_STATUS(tmd_store_forget(store), TMD_ERR_TRIAL);
		EXPECT(bench_is_unchanged(&b));
		EXPECT_EQ(bench_operations(&b), 0);
	}
	EXPECT(gives_out(&target));
	EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
	EXPECT_STATUS(bench_send(&b, &next, 0), TMD_OK);
	EXPECT(gives_out(&third));
	bytes_free(&next);
	bytes_free(&bad);
	tear_down();
}

static void test_forget_lets_it_in_again(void)
{
	for (size_t g = 0; g < SMALL_N; g++) {
		set_up(&small[g], BENCH_FACTORY, 1);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
		EXPECT_STATUS(tmd_store_revert(store), TMD_OK);
		expect_reverted();
		/* Not while an update runs: it is about the slot that is being written. */
		EXPECT_STATUS(tmd_update_begin(&b.device.update, store), TMD_OK);
		EXPECT_STATUS(tmd_store_forget(store), TMD_ERR_BUSY);
		tmd_update_abort(&b.device.update);
		EXPECT_STATUS(tmd_store_forget(store), TMD_OK);
		EXPECT(bench_holds(&b, &base));
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &base));
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
		EXPECT(gives_out(&target));
		EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &target));
		tear_down();
	}
}

static void test_no_trial(void)
{
	set_up(&small[0], BENCH_RECORDED, 0);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	expect_trial(false, 0);
	EXPECT_STATUS(tmd_store_confirm(store), TMD_ERR_STATE);
	EXPECT_STATUS(tmd_store_revert(store), TMD_ERR_STATE);
	bench_mark(&b);
	for (uint32_t n = 0; n < 5u; n++) {
		EXPECT(gives_out(&target));
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
	}
	EXPECT(bench_is_unchanged(&b));
	tear_down();

	/* A later firmware has none: a trial under the one before it has ended. */
	set_up(&small[0], BENCH_RECORDED, 2);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	EXPECT(gives_out(&target));
	b.device.config.trial_starts = 0;
	for (uint32_t n = 0; n < 5u; n++) {
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		expect_trial(false, 0);
		EXPECT(gives_out(&target));
	}
	tear_down();
}

/* The model on trial turns bad in flash: it is gone, and the one before it is active. */
static void test_slot_on_trial_decays(void)
{
	for (uint32_t before = 0; before < 2u; before++) {
		set_up(&small[1], BENCH_RECORDED, 3);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
		EXPECT(gives_out(&target));
		b.device.sim.bytes[b.device.config.slot[1].offset + 9u] ^= 1u;
		if (before != 0u) {
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
		}
		EXPECT(gives_out(&base));
		expect_trial(false, 0);
		EXPECT_STATUS(tmd_store_confirm(store), TMD_ERR_STATE);
		EXPECT_STATUS(tmd_store_revert(store), TMD_ERR_STATE);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK); /* it did not fail by itself */
		EXPECT(gives_out(&target));
		tear_down();
	}
}

/* ---- versions ---- */

static int send_version(const struct bytes *from, const struct bytes *to, uint32_t version,
			uint32_t floor)
{
	struct bytes made = versioned(from, to, version, floor);
	const int staged = bench_send(&b, &made, 0);

	if (staged != TMD_OK) {
		/* Refused by what the head says: streamed, too, before anything is written. */
		const uint64_t operations = b.device.sim.counts.operations;

		EXPECT_STATUS(bench_send(&b, &made, 19), staged);
		EXPECT_EQ(b.device.sim.counts.operations, operations);
	}
	bytes_free(&made);
	return staged;
}

static void expect_version(uint32_t version, uint32_t floor)
{
	struct tmd_store_info info;

	tmd_store_get_info(store, &info);
	EXPECT_EQ(info.version, version);
	EXPECT_EQ(info.floor, floor);
}

static void test_floor_rises_with_the_confirmation(void)
{
	set_up(&small[0], BENCH_FACTORY, 2);
	b.model.version = 5;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	expect_version(5, 0);
	EXPECT_STATUS(send_version(&base, &target, 10, 8), TMD_OK);
	expect_version(10, 0);
	EXPECT(gives_out(&target));
	expect_version(10, 0);
	EXPECT_STATUS(tmd_store_revert(store), TMD_OK);
	expect_version(5, 0);
	EXPECT_STATUS(send_version(&base, &third, 2, 0), TMD_OK); /* still taken */
	EXPECT_STATUS(tmd_store_revert(store), TMD_OK);
	EXPECT_STATUS(tmd_store_forget(store), TMD_OK);

	EXPECT_STATUS(send_version(&base, &target, 10, 8), TMD_OK);
	EXPECT(gives_out(&target));
	EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
	expect_version(10, 8);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	expect_version(10, 8);
	EXPECT_STATUS(send_version(&target, &third, 7, 0), TMD_ERR_VERSION);
	EXPECT_STATUS(send_version(&target, &third, 0, 0), TMD_ERR_VERSION); /* has none: 0 */
	/* At the floor; and one that has no floor, or a lower one, does not lower it. */
	EXPECT_STATUS(send_version(&target, &third, 8, 3), TMD_OK);
	EXPECT(gives_out(&third));
	EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
	expect_version(8, 8);
	tear_down();
}

/* Without a trial nobody confirms: the floor counts with the switch. */
static void test_floor_without_a_trial(void)
{
	set_up(&small[0], BENCH_RECORDED, 0);
	EXPECT_STATUS(send_version(&base, &target, 10, 8), TMD_OK);
	expect_version(10, 8);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	expect_version(10, 8);
	EXPECT(bench_holds(&b, &target));
	EXPECT_STATUS(send_version(&target, &third, 7, 0), TMD_ERR_VERSION);
	EXPECT_STATUS(send_version(&target, &third, 8, 0), TMD_OK);
	tear_down();
}

static void test_versions_up_to_the_largest(void)
{
	set_up(&small[0], BENCH_RECORDED, 2);
	EXPECT_STATUS(send_version(&base, &target, UINT32_MAX, UINT32_MAX), TMD_OK);
	EXPECT(gives_out(&target));
	EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	expect_version(UINT32_MAX, UINT32_MAX);
	EXPECT_STATUS(send_version(&target, &third, UINT32_MAX - 1u, 0), TMD_ERR_VERSION);
	EXPECT_STATUS(send_version(&target, &third, UINT32_MAX, 0), TMD_OK);
	tear_down();
}

static void test_lowest_version_of_the_firmware(void)
{
	set_up(&small[0], BENCH_RECORDED, 2);
	b.model.lowest_version = 0;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_STATUS(send_version(&base, &target, 4, 0), TMD_OK);
	EXPECT(gives_out(&target));
	EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
	b.model.lowest_version = 4;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	EXPECT_STATUS(send_version(&target, &third, 3, 0), TMD_ERR_VERSION);
	EXPECT_STATUS(send_version(&target, &third, 0, 0), TMD_ERR_VERSION);
	EXPECT_STATUS(send_version(&target, &third, 4, 0), TMD_OK);
	tear_down();
}

/* What is linked in came with the firmware: no floor counts for it. */
static void test_floor_and_the_compiled_in_model(void)
{
	set_up(&small[0], BENCH_COMPILED_IN, 2);
	b.model.version = 1;
	b.model.lowest_version = 2;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(gives_out(&base));
	EXPECT_STATUS(send_version(&base, &target, 10, 9), TMD_OK);
	EXPECT(gives_out(&target));
	EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
	b.device.sim.bytes[b.device.config.slot[0].offset] ^= 1u;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(gives_out(&base));
	expect_version(1, 9);
	EXPECT_STATUS(send_version(&base, &third, 8, 0), TMD_ERR_VERSION);
	EXPECT_STATUS(send_version(&base, &third, 9, 0), TMD_OK);
	EXPECT(gives_out(&third));
	tear_down();
}

/* A floor above the model's own version must not cost the device the model that it confirmed. */
static void test_floor_above_the_model_itself(void)
{
	set_up(&small[0], BENCH_RECORDED, 2);
	if (send_version(&base, &target, 10, 11) == TMD_OK) {
		EXPECT(gives_out(&target));
		EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &target));
	} else {
		EXPECT(bench_holds(&b, &base));
	}
	tear_down();
}

int main(void)
{
	RUN(test_starts_are_used_up);
	RUN(test_starts_in_one_session);
	RUN(test_many_starts);
	RUN(test_power_cuts_in_every_open);
	RUN(test_one_power_cut);
	RUN(test_counting_fails);
	RUN(test_confirmed);
	RUN(test_confirm_goes_wrong);
	RUN(test_reverted_by_the_application);
	RUN(test_back_to_an_updated_model);
	RUN(test_no_update_during_a_trial);
	RUN(test_forget_lets_it_in_again);
	RUN(test_no_trial);
	RUN(test_slot_on_trial_decays);
	RUN(test_floor_rises_with_the_confirmation);
	RUN(test_floor_without_a_trial);
	RUN(test_versions_up_to_the_largest);
	RUN(test_lowest_version_of_the_firmware);
	RUN(test_floor_and_the_compiled_in_model);
	RUN(test_floor_above_the_model_itself);
	return harness_result();
}

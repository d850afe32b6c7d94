/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Anti-rollback: the floor of the records rises when a model is confirmed and never falls, whenever
 * the power goes; a lower model comes only by an exception that is signed, up to the floor it names.
 */
#include "harness.h"

#include "format2.h"

#define SLOT_BYTES 2000u

enum { STAGED = 0, STREAMED = 61 };

static struct bench b;
static struct bytes base;   /* version 1, the firmware's */
static struct bytes second; /* version 5 */
static struct bytes third;

static struct tmd_store *const store = &b.device.store;

static const struct tmd_sim_geometry kinds[] = {
	{"once16", "", {{256, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE},
	{"words", "", {{512, 1}}, 1, 4, 0xFF, 0},
	{"ram", "", {{128, 1}}, 1, 1, 0xFF, TMD_FLASH_NO_ERASE},
};
#define KINDS_N (sizeof(kinds) / sizeof(kinds[0]))

static void set_up(const struct tmd_sim_geometry *kind, uint32_t starts, uint16_t policy)
{
	const struct tmd_sim_options options = {.progress_bytes = 512, .trial_starts = starts};

	base = model_make(500, 31);
	second = model_derive(&base, 520, 32);
	third = model_derive(&base, 510, 33);
	bench_init_config(&b, kind, SLOT_BYTES, &base, BENCH_COMPILED_IN, &options);
	format2_contract(&b.contract, &b.model);
	format2_keys(&b.contract);
	b.contract.accept |= policy;
	b.model.version = 1;
	b.device.config.crypto = &format2_crypto;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
}

static void tear_down(void)
{
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&second);
	bytes_free(&third);
}

/* `floor` and `downgrade` are left out if they are 0. */
static struct bytes patch_to(const struct bytes *from, const struct bytes *to, uint32_t version,
			     uint32_t floor, uint32_t downgrade)
{
	struct bytes tlvs = format2_needs();
	struct bytes patch;

	format2_number(&tlvs, 5, version);
	if (floor != 0u) {
		format2_number(&tlvs, 6, floor);
	}
	if (downgrade != 0u) {
		format2_number(&tlvs, 18, downgrade);
	}
	patch = format2_signed(from, to, &tlvs, &format2_hmac);
	bytes_free(&tlvs);
	return patch;
}

static int send(const struct bytes *from, const struct bytes *to, uint32_t version, uint32_t floor,
		uint32_t downgrade)
{
	struct bytes patch = patch_to(from, to, version, floor, downgrade);
	const int err = bench_send(&b, &patch, STREAMED);

	bytes_free(&patch);
	return err;
}

static uint32_t floor_now(void)
{
	struct tmd_store_info info;

	tmd_store_get_info(store, &info);
	return info.floor;
}

/* What the firmware's own model, of version 1, has made of it. */
static uint32_t own_floor(void)
{
	return (b.contract.accept & TMD_ANTI_ROLLBACK) != 0u ? 1u : 0u;
}

static void confirm(void)
{
#if TMD_TRIAL
	struct tmd_model model;

	EXPECT_STATUS(tmd_store_open(store, &model), TMD_OK);
	EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
	tmd_store_close(store, &model);
#endif
}

/* What each of them makes of the floor: the patch's own, the policy, both. */
static void test_what_raises_the_floor(void)
{
	static const struct {
		uint16_t policy;
		uint32_t floor;
		uint32_t want;
	} cases[] = {{0, 0, 0}, {0, 3, 3}, {TMD_ANTI_ROLLBACK, 0, 5}, {TMD_ANTI_ROLLBACK, 3, 5}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (uint32_t starts = 0; starts < 4u; starts += 3u) {
			set_up(&kinds[0], starts, cases[i].policy);
			context("case %zu, %u starts", i, (unsigned int)starts);
			EXPECT_STATUS(send(&base, &second, 5, cases[i].floor, 0), TMD_OK);
#if TMD_TRIAL
			if (starts != 0u) {
				EXPECT_EQ(floor_now(), own_floor()); /* it may yet fail */
				confirm();
			}
#endif
			EXPECT_EQ(floor_now(), cases[i].want);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT_EQ(floor_now(), cases[i].want);
			EXPECT(bench_holds(&b, &second));
			EXPECT_STATUS(send(&second, &third, 4, 0, 0),
				      cases[i].want > 4u ? TMD_ERR_VERSION : TMD_OK);
			tear_down();
		}
	}
}

#if TMD_TRIAL
static void test_a_failed_trial_raises_nothing(void)
{
	struct tmd_model model;

	set_up(&kinds[0], 3, TMD_ANTI_ROLLBACK);
	EXPECT_STATUS(send(&base, &second, 5, 5, 0), TMD_OK);
	EXPECT_STATUS(tmd_store_open(store, &model), TMD_OK);
	tmd_store_close(store, &model);
	EXPECT_STATUS(tmd_store_revert(store), TMD_OK);
	EXPECT_EQ(floor_now(), own_floor());
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_EQ(floor_now(), own_floor());
	EXPECT(bench_holds(&b, &base));
	EXPECT_STATUS(send(&base, &third, 2, 0, 0), TMD_OK);
	tear_down();
}
#endif

#if TMD_TRIAL
/* A firmware without trials finds one that has not ended: the model stays, and its floor counts. */
static void test_a_trial_that_a_firmware_ends(void)
{
	set_up(&kinds[0], 3, TMD_ANTI_ROLLBACK);
	EXPECT_STATUS(send(&base, &second, 5, 0, 0), TMD_OK);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_EQ(floor_now(), own_floor()); /* on trial yet */
	b.device.config.trial_starts = 0;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &second));
	EXPECT_EQ(floor_now(), 5);
	EXPECT_STATUS(send(&second, &third, 4, 0, 0), TMD_ERR_VERSION);
	tear_down();
}
#endif

/* The firmware's own model counts like one that was confirmed. */
static void test_below_the_firmwares_own(void)
{
	set_up(&kinds[0], 0, TMD_ANTI_ROLLBACK);
	b.model.version = 4;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_STATUS(send(&base, &third, 3, 0, 0), TMD_ERR_VERSION);
	EXPECT_STATUS(send(&base, &third, 3, 0, 4), TMD_OK);
	EXPECT_EQ(floor_now(), 4);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &third));
	tear_down();
	set_up(&kinds[0], 0, 0);
	b.model.version = 4;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_STATUS(send(&base, &third, 3, 0, 0), TMD_OK);
	tear_down();
}

static void test_downgrade(void)
{
	for (size_t k = 0; k < KINDS_N; k++) {
		set_up(&kinds[k], 3, TMD_ANTI_ROLLBACK);
		context("%s", kinds[k].name);
		EXPECT_STATUS(send(&base, &second, 5, 0, 0), TMD_OK);
		confirm();
		EXPECT_EQ(floor_now(), 5);
		EXPECT_STATUS(send(&second, &third, 3, 0, 0), TMD_ERR_VERSION);
		EXPECT_STATUS(send(&second, &third, 3, 0, 4), TMD_ERR_VERSION); /* for an earlier floor */
		EXPECT_STATUS(send(&second, &third, 3, 0, 5), TMD_OK);
		confirm();
		EXPECT_EQ(floor_now(), 5); /* it does not fall */
		for (uint32_t i = 0; i < 3u; i++) {
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, &third)); /* the exception stays with the model */
		}
		/* What comes next is measured by the floor again. */
		EXPECT_STATUS(send(&third, &base, 4, 0, 0), TMD_ERR_VERSION);
		EXPECT_STATUS(send(&third, &base, 6, 0, 0), TMD_OK);
		confirm();
		EXPECT_EQ(floor_now(), 6);
		/* And the old exception is none any more. */
		EXPECT_STATUS(send(&base, &third, 3, 0, 5), TMD_ERR_VERSION);
		tear_down();
	}
}

/* The firmware's own lowest version is no floor of the records: nothing lifts it. */
static void test_the_firmwares_lowest(void)
{
	set_up(&kinds[0], 0, 0);
	b.model.lowest_version = 4;
	EXPECT_STATUS(send(&base, &third, 3, 0, 9), TMD_ERR_VERSION);
	EXPECT_STATUS(send(&base, &third, 4, 0, 0), TMD_OK);
	tear_down();
}

/* Is this a moment that an update from `base` to `second` with floor 5 can be left in? */
static void expect_consistent(const struct bytes *replay)
{
	const uint32_t floor = floor_now();
	const bool has_second = bench_holds(&b, &second);

	EXPECT(has_second || bench_holds(&b, &base));
	EXPECT(floor == own_floor() || floor == 5u);
	EXPECT(floor == own_floor() || has_second);
	if (floor == 5u) {
		EXPECT_STATUS(bench_send(&b, replay, STREAMED), TMD_ERR_VERSION);
		EXPECT_STATUS(bench_send(&b, replay, STAGED), TMD_ERR_VERSION);
		EXPECT(bench_holds(&b, &second));
	}
}

/* From power-on to a confirmed model, whatever has been done before. */
static void carry_on(const struct bytes *patch, uint32_t piece)
{
	struct tmd_store_info info;
	struct tmd_model model;

	if (bench_holds(&b, &base) && bench_send(&b, patch, piece) != TMD_OK) {
		return;
	}
	if (tmd_store_open(store, &model) != TMD_OK) {
		return;
	}
	tmd_store_get_info(store, &info);
#if TMD_TRIAL
	if (info.trial) {
		const int err = tmd_store_confirm(store);

		(void)err; /* the power may be gone */
	}
#endif
	tmd_store_close(store, &model);
}

/*
 * The power goes at each operation of the update, its first start and its confirmation, in each shape;
 * then at each operation of what follows. The floor is there or not there, never anything else, and
 * once it is there it stays.
 */
static void test_cuts(void)
{
	unsigned int cuts = 0;

	for (size_t k = 0; k < KINDS_N; k++) {
		for (uint32_t way = 0; way < 2u; way++) {
			const uint32_t piece = way == 0u ? STREAMED : STAGED;
			struct bytes patch;
			struct bytes replay; /* from where the device will be to an older model */
			uint64_t operations;

			set_up(&kinds[k], 3, TMD_ANTI_ROLLBACK);
			patch = patch_to(&base, &second, 5, 0, 0);
			replay = patch_to(&second, &third, 4, 0, 0);
			bench_mark(&b);
			carry_on(&patch, piece);
			operations = bench_operations(&b);
			EXPECT_EQ(floor_now(), 5);
			for (uint64_t n = 1; n <= operations; n++) {
				for (uint64_t shape = TMD_SIM_CUT_BEFORE; shape <= TMD_SIM_CUT_AFTER;
				     shape++) {
					uint32_t before;

					context("%s, way %u, operation %u, shape %u", kinds[k].name,
						(unsigned int)way, (unsigned int)n,
						(unsigned int)shape);
					bench_rewind(&b);
					EXPECT_STATUS(bench_boot(&b), TMD_OK);
					bench_cut(&b, shape, n);
					carry_on(&patch, piece);
					EXPECT_STATUS(bench_boot(&b), TMD_OK);
					expect_consistent(&replay);
					before = floor_now();
					bench_cut(&b, shape, 1u + n % 5u); /* and once more */
					carry_on(&patch, piece);
					EXPECT_STATUS(bench_boot(&b), TMD_OK);
					EXPECT(floor_now() >= before);
					expect_consistent(&replay);
					carry_on(&patch, piece);
					EXPECT_EQ(floor_now(), 5);
					EXPECT_STATUS(bench_boot(&b), TMD_OK);
					expect_consistent(&replay);
					EXPECT_EQ(floor_now(), 5);
					cuts += 2u;
				}
			}
			bytes_free(&patch);
			bytes_free(&replay);
			tear_down();
		}
	}
	(void)printf("%u cuts\n", cuts);
}

int main(void)
{
	RUN(test_what_raises_the_floor);
#if TMD_TRIAL
	RUN(test_a_failed_trial_raises_nothing);
	RUN(test_cuts);
#endif
#if TMD_TRIAL
	RUN(test_a_trial_that_a_firmware_ends);
#endif
	RUN(test_below_the_firmwares_own);
	RUN(test_downgrade);
	RUN(test_the_firmwares_lowest);
	return harness_result();
}

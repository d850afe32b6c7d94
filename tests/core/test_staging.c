/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A patch that is kept in a region of flash until it is complete, and applied from there: after a
 * power cut little of it is sent, and little of flash erased, a second time; and it is applied once.
 */
#include "harness.h"

#include "bench.h"

#define SLOT_BYTES 1000u
#define PLACE TMD_WRITE_BUFFER /* bytes that a block takes */
#define PAYLOAD (PLACE - 4u)   /* bytes of the patch in it */
#define PLACES 16u             /* at least, of the region */

/* Erase units as large as a block, larger, of several sizes; or none. */
static const struct tmd_sim_geometry kinds[] = {
	{"once16", "", {{256, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE},
	{"words", "", {{512, 1}}, 1, 4, 0xFF, 0},
	{"zeros", "", {{1024, 1}}, 1, 8, 0x00, TMD_SIM_WRITE_ONCE},
	{"ram", "", {{256, 1}}, 1, 1, 0xFF, TMD_FLASH_NO_ERASE},
	{"pages", "", {{512, 1}}, 1, 128, 0xFF, 0},
	{"unequal", "", {{256, 2}, {1024, 1}}, 2, 16, 0xFF, TMD_SIM_WRITE_ONCE},
	/* Slots and staging in small units, records in the larger ones: see set_up. */
	{"small128", "", {{128, 32}, {256, 4}}, 2, 16, 0xFF, TMD_SIM_WRITE_ONCE},
	{"small64", "", {{64, 64}, {256, 4}}, 2, 4, 0xFF, 0},
};
#define KINDS_N (sizeof(kinds) / sizeof(kinds[0]))
#define FIRST_SMALL 6u

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes third;
static struct bytes patch;       /* base to target: larger than the target */
static struct bytes from_target; /* target to third */

static struct tmd_store *const store = &b.device.store;
static struct tmd_staging *const staging = &b.device.staging;

static struct bytes whole_patch(const struct bytes *from, const struct bytes *to)
{
	struct bytes made = patch_header(from, to, TMD_DIGEST_SHA256);

	patch_guardrails(&made);
	patch_raw(&made, 0, to->at, (uint16_t)to->n, true);
	return made;
}

/* The regions by hand: an erase unit of 64 bytes holds no record. */
static void lay_out_small_units(uint32_t unit)
{
	struct tmd_store_config *config = &b.device.config;

	config->slot[0].bytes = 1024;
	config->slot[1].offset = 1024;
	config->slot[1].bytes = 1024;
	config->records.offset = 4096; /* the larger units of the first pattern */
	config->records.bytes = 1024;
	config->staging.offset = 5120; /* the small ones of the second */
	config->staging.bytes = 4096;
	b.contract.erase_bytes = unit;
}

static void set_up_with(size_t kind, enum bench_place place, uint32_t starts)
{
	const struct tmd_sim_options options = {
		.staging_bytes = PLACES * PLACE, .progress_bytes = 1, .trial_starts = starts,
	};

	base = model_make(900, 101);
	target = model_derive(&base, SLOT_BYTES, 102);
	third = model_derive(&target, 950, 103);
	patch = whole_patch(&base, &target);
	from_target = whole_patch(&target, &third);
	bench_init_config(&b, &kinds[kind], SLOT_BYTES, &base, place, &options);
	if (kind >= FIRST_SMALL) {
		lay_out_small_units(kinds[kind].pattern[0].bytes);
	}
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	bench_mark(&b);
	context("%s", kinds[kind].name);
}

static void set_up(size_t kind)
{
	set_up_with(kind, BENCH_FACTORY, 0);
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

static uint32_t id_of(const struct bytes *of)
{
	return tmd_crc32(0, of->at, of->n);
}

/* Send it to the region, from where the store says, without applying it. */
static int receive(const struct bytes *of, uint32_t piece, uint32_t *sent)
{
	int err = tmd_staging_begin(staging, store, of->n, id_of(of));

	while (err == TMD_OK && staging->next < of->n) {
		const uint32_t left = of->n - staging->next;
		const uint32_t n = left < piece ? left : piece;
		const uint32_t at = staging->next;

		*sent += n;
		err = tmd_staging_write(staging, &of->at[at], n);
	}
	return err;
}

static bool boots_with(const struct bytes *model)
{
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_is_firm(&b));
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	return bench_holds(&b, model);
}

/*
 * Send it, and have it applied. If torn places have left too little room, the first try ends with an
 * error, and the next one begins anew.
 */
static int stage_twice(uint32_t piece, uint32_t *sent)
{
	const int err = tmd_sim_device_stage(&b.device, patch.at, patch.n, piece, sent);

	if (err != TMD_ERR_FLASH_WRITE && err != TMD_ERR_STAGING) {
		return err;
	}
	return tmd_sim_device_stage(&b.device, patch.at, patch.n, piece, sent);
}

/* There is no patch that waits to be applied. */
static void expect_nothing_staged(void)
{
	const uint64_t operations = b.device.sim.counts.operations;

	EXPECT_STATUS(tmd_sim_device_resume(&b.device), TMD_OK);
	EXPECT_EQ(staging->bytes, 0);
	EXPECT_EQ(b.device.sim.counts.operations, operations);
}

/* Erases of the region's units beyond `allowed` of each (NULL: one): all of them, or the most. */
static uint32_t beyond(const struct tmd_region *region, const uint8_t *allowed, bool most)
{
	uint32_t sum = 0;
	uint32_t largest = 0;

	for (uint32_t at = 0, unit = 0; at < region->bytes; at += unit_at(region, at), unit++) {
		const uint32_t erased = b.erased[bench_unit(&b, region, at)];
		const uint32_t free_ones = allowed == NULL ? 1u : allowed[unit];
		const uint32_t more = erased > free_ones ? erased - free_ones : 0u;

		sum += more;
		largest = more > largest ? more : largest;
	}
	return most ? largest : sum;
}

static uint32_t erased_beyond(const struct tmd_region *region, const uint8_t *allowed)
{
	return beyond(region, allowed, false);
}

static uint32_t most_beyond(const struct tmd_region *region, const uint8_t *allowed)
{
	return beyond(region, allowed, true);
}

/* Erase units that a block begins anew: what one cut can cost of them. */
static uint32_t units_of_a_block(size_t kind)
{
	return kind >= FIRST_SMALL && kinds[kind].pattern[0].bytes < PLACE
		       ? PLACE / kinds[kind].pattern[0].bytes
		       : 1u;
}

static void test_pieces_of_any_size(void)
{
	static const uint32_t pieces[] = {1, 7, PAYLOAD - 1u, PAYLOAD, PAYLOAD + 1u, UINT32_MAX};

	for (size_t kind = 0; kind < KINDS_N; kind++) {
		for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
			uint32_t sent = 0;

			set_up(kind);
			EXPECT_STATUS(tmd_sim_device_stage(&b.device, patch.at, patch.n, pieces[i],
							   &sent), TMD_OK);
			EXPECT_EQ(sent, patch.n);
			EXPECT(bench_holds(&b, &target));
			EXPECT_EQ(erased_beyond(&b.device.config.staging, NULL), 0);
			EXPECT_EQ(erased_beyond(&b.device.config.slot[1], NULL), 0);
			EXPECT(bench_region_is_unchanged(&b, &b.device.config.slot[0]));
			EXPECT(boots_with(&target));
			expect_nothing_staged();
			/* The next one, to the other slot. */
			EXPECT_STATUS(tmd_sim_device_stage(&b.device, from_target.at, from_target.n,
							   pieces[i], &sent), TMD_OK);
			EXPECT(boots_with(&third));
			tear_down();
		}
	}
}

/* Patches of all lengths about the bounds of blocks. */
static void test_lengths(void)
{
	for (size_t kind = 0; kind < KINDS_N; kind++) {
		for (uint32_t n = 2u * PAYLOAD - 80u - 40u; n < 2u * PAYLOAD - 80u; n++) {
			uint32_t sent = 0;

			set_up(kind);
			bytes_free(&target);
			bytes_free(&patch);
			target = model_derive(&base, n, 5);
			patch = whole_patch(&base, &target);
			context("%s, %u bytes", kinds[kind].name, (unsigned int)patch.n);
			EXPECT_STATUS(tmd_sim_device_stage(&b.device, patch.at, patch.n, 100, &sent),
				      TMD_OK);
			EXPECT(boots_with(&target));
			tear_down();
		}
	}
}

static void test_cuts_while_receiving(void)
{
	for (size_t kind = 0; kind < KINDS_N; kind++) {
		uint64_t operations;
		uint32_t all = 0;

		set_up(kind);
		EXPECT_STATUS(receive(&patch, PAYLOAD / 4u, &all), TMD_OK);
		operations = bench_operations(&b);
		for (uint64_t n = 0; n < operations * TMD_SIM_CUTS_N * 4u; n++) {
			uint32_t sent = 0;
			uint32_t again = 0;

			context("%s, cut %u at %u", kinds[kind].name,
				(unsigned int)(n % TMD_SIM_CUTS_N),
				(unsigned int)(n / TMD_SIM_CUTS_N % operations) + 1u);
			bench_rewind(&b);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			b.device.sim.random += n;
			bench_cut(&b, n, 1u + n / TMD_SIM_CUTS_N % operations);
			EXPECT(receive(&patch, PAYLOAD / 4u, &sent) != TMD_OK);
			EXPECT(boots_with(&base));
			for (uint32_t slot = 0; slot < 2u; slot++) {
				EXPECT(bench_region_is_unchanged(&b, &b.device.config.slot[slot]));
			}
			EXPECT(bench_region_is_unchanged(&b, &b.device.config.records));
			EXPECT_STATUS(tmd_sim_device_resume(&b.device), TMD_OK);
			EXPECT(staging->bytes == 0u || staging->next < staging->bytes ||
			       bench_holds(&b, &target));
			if (staging->bytes != 0u && staging->next == staging->bytes) {
				continue; /* the cut hit the last block, and it was there */
			}
			EXPECT(bench_holds(&b, &base));
			EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n, id_of(&patch)),
				      TMD_OK);
			EXPECT(staging->next + PAYLOAD >= sent);
			EXPECT(staging->next <= sent);
			EXPECT_STATUS(receive(&patch, 11, &again), TMD_OK);
			EXPECT(sent + again <= all + PAYLOAD);
			EXPECT(erased_beyond(&b.device.config.staging, NULL) <=
			       units_of_a_block(kind));
			EXPECT(most_beyond(&b.device.config.staging, NULL) <= 1u);
			EXPECT_STATUS(tmd_staging_apply(staging, &b.device.update), TMD_OK);
			EXPECT(boots_with(&target));
		}
		tear_down();
	}
}

/*
 * The patch is there, and is applied; slot 1 is blank, or holds a model of which all but one or two
 * erase units are right already.
 */
static void set_up_staged(size_t kind, bool filled)
{
	uint32_t sent = 0;

	set_up(kind);
	if (filled) {
		struct bytes near = model_derive(&target, target.n, 7);
		struct bytes there;
		struct bytes back;

		memcpy(near.at, target.at, target.n);
		near.at[300] ^= 0x40u;
		near.at[target.n - 1u] ^= 0x40u;
		there = whole_patch(&base, &near);
		back = whole_patch(&near, &base);
		EXPECT_STATUS(bench_send(&b, &there, 0), TMD_OK);
		EXPECT_STATUS(bench_send(&b, &back, 0), TMD_OK);
		EXPECT(bench_holds(&b, &base));
		bytes_free(&near);
		bytes_free(&there);
		bytes_free(&back);
	}
	EXPECT_STATUS(receive(&patch, 300, &sent), TMD_OK);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	bench_mark(&b);
}

/* Erases of each unit of slot 1 in an update that nothing disturbs; returns its operations. */
static uint64_t undisturbed(uint8_t erased[64])
{
	const struct tmd_region *slot = &b.device.config.slot[1];
	uint64_t operations;

	EXPECT_STATUS(tmd_sim_device_resume(&b.device), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	operations = bench_operations(&b);
	for (uint32_t at = 0, unit = 0; at < slot->bytes; at += unit_at(slot, at), unit++) {
		REQUIRE(unit < 64u);
		erased[unit] = b.erased[bench_unit(&b, slot, at)];
	}
	return operations;
}

static void test_cuts_while_applying(void)
{
	for (size_t kind = 0; kind < 2u * KINDS_N; kind++) {
		uint8_t erased[64] = {0};
		uint64_t operations;

		set_up_staged(kind / 2u, kind % 2u != 0u);
		operations = undisturbed(erased);
		for (uint64_t n = 0; n < operations * TMD_SIM_CUTS_N * 4u; n++) {
			context("%s, filled %u, cut %u at %u", kinds[kind / 2u].name,
				(unsigned int)(kind % 2u), (unsigned int)(n % TMD_SIM_CUTS_N),
				(unsigned int)(n / TMD_SIM_CUTS_N % operations) + 1u);
			bench_rewind(&b);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			b.device.sim.random += n;
			bench_cut(&b, n, 1u + n / TMD_SIM_CUTS_N % operations);
			EXPECT(tmd_sim_device_resume(&b.device) != TMD_OK);
			EXPECT(boots_with(&base) || bench_holds(&b, &target));
			EXPECT_STATUS(tmd_sim_device_resume(&b.device), TMD_OK);
			EXPECT(bench_holds(&b, &target));
			/* The unit that was in work, and no other. */
			EXPECT(erased_beyond(&b.device.config.slot[1], erased) <= 1u);
			EXPECT(most_beyond(&b.device.config.slot[1], erased) <= 1u);
			EXPECT_EQ(bench_erases_of(&b, &b.device.config.staging), 0);
			EXPECT(boots_with(&target));
			expect_nothing_staged();
			EXPECT(bench_region_is_unchanged(&b, &b.device.config.slot[0]));
		}
		tear_down();
	}
}

/*
 * A cut, and a bit that turns over in a unit of the slot that was done; then a cut of the recovery at
 * each operation. The plan does not hold any more: no unit may be left on cells that do not.
 */
static void test_decay_between_two_cuts(void)
{
	for (size_t kind = 0; kind < KINDS_N; kind++) {
		const struct tmd_region *slot;
		uint8_t erased[64] = {0};
		uint64_t operations;

		set_up_staged(kind, false);
		slot = &b.device.config.slot[1];
		operations = undisturbed(erased);
		for (uint64_t n = 0; n < operations * (operations + 2u) * 3u; n++) {
			const uint64_t first = n / 3u / (operations + 2u) + 1u;
			const uint64_t second = n / 3u % (operations + 2u) + 1u;

			context("%s, cuts at %u and %u, round %u", kinds[kind].name,
				(unsigned int)first, (unsigned int)second, (unsigned int)(n % 3u));
			bench_rewind(&b);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			b.device.sim.random += n;
			bench_cut(&b, TMD_SIM_CUT_TORN + n % 3u % 2u, first);
			EXPECT(tmd_sim_device_resume(&b.device) != TMD_OK);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			if (bench_holds(&b, &target)) {
				continue;
			}
			b.device.sim.bytes[slot->offset + 5u] ^= 0x10u;
			bench_cut(&b, TMD_SIM_CUT_TORN, second);
			(void)(tmd_sim_device_resume(&b.device) == TMD_OK);
			EXPECT(boots_with(&base) || bench_holds(&b, &target));
			EXPECT_STATUS(tmd_sim_device_resume(&b.device), TMD_OK);
			EXPECT(boots_with(&target));
		}
		tear_down();
	}
}

/* A second cut in the recovery from the first. */
static void test_two_cuts_while_applying(void)
{
	static const size_t some[] = {1, 5, 6, 7};

	for (size_t k = 0; k < 8u; k++) {
		const size_t kind = some[k / 2u];
		uint8_t erased[64] = {0};
		uint64_t operations;

		set_up_staged(kind, k % 2u != 0u);
		operations = undisturbed(erased);
		for (uint64_t n = 0; n < operations * (operations + 1u) * 4u; n++) {
			const uint64_t first = n / 4u / (operations + 1u) + 1u;
			const uint64_t second = n / 4u % (operations + 1u) + 1u;

			context("%s, filled %u, cuts at %u and %u, round %u", kinds[kind].name,
				(unsigned int)(k % 2u), (unsigned int)first, (unsigned int)second,
				(unsigned int)(n % 4u));
			bench_rewind(&b);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			b.device.sim.random += n;
			bench_cut(&b, n % 4u, first);
			EXPECT(tmd_sim_device_resume(&b.device) != TMD_OK);
			EXPECT(boots_with(&base) || bench_holds(&b, &target));
			bench_cut(&b, 1u + n / 4u % 3u, second);
			(void)(tmd_sim_device_resume(&b.device) == TMD_OK);
			EXPECT(boots_with(&base) || bench_holds(&b, &target));
			EXPECT_STATUS(tmd_sim_device_resume(&b.device), TMD_OK);
			EXPECT(erased_beyond(&b.device.config.slot[1], erased) <= 2u);
			EXPECT(most_beyond(&b.device.config.slot[1], erased) <= 2u);
			EXPECT(boots_with(&target));
			expect_nothing_staged();
		}
		tear_down();
	}
}

/* The battery is good for so many operations, again and again: the update is done all the same. */
static void test_short_breaths(void)
{
	for (size_t kind = 0; kind < KINDS_N; kind++) {
		const struct tmd_region *slot = &b.device.config.slot[1];

		for (uint32_t breath = 1; breath <= 20u; breath++) {
			uint32_t largest = 0;
			uint32_t boots = 0;

			set_up_staged(kind, false);
			for (uint32_t at = 0; at < target.n; at += unit_at(slot, at)) {
				largest = unit_at(slot, at) > largest ? unit_at(slot, at) : largest;
			}
			/* The plan, the erase of a record's unit, a redone unit and a new one. */
			if (breath < 2u + 2u * (1u + (largest + PLACE - 1u) / PLACE)) {
				tear_down();
				continue;
			}
			context("%s, %u operations at a time", kinds[kind].name,
				(unsigned int)breath);
			do {
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				b.device.sim.random += boots;
				bench_cut(&b, boots % TMD_SIM_CUT_AFTER, breath + 1u);
			} while (tmd_sim_device_resume(&b.device) != TMD_OK && ++boots < 100u);
			EXPECT(boots < 100u);
			EXPECT(boots_with(&target));
			expect_nothing_staged();
			tear_down();
		}
	}
}

/* Block 0 says what is there: another patch, or another length of it, is begun anew. */
static void test_another_patch(void)
{
	for (size_t kind = 0; kind < KINDS_N; kind++) {
		const uint32_t part = 3u * PAYLOAD + 5u;
		uint32_t sent = 0;

		set_up(kind);
		EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n, 77), TMD_OK);
		EXPECT_EQ(staging->next, 0);
		EXPECT_STATUS(tmd_staging_write(staging, patch.at, part), TMD_OK);
		EXPECT_EQ(staging->next, part);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n, 77), TMD_OK);
		EXPECT_EQ(staging->next, 3u * PAYLOAD); /* the same goes on */
		EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n, 78), TMD_OK);
		EXPECT_EQ(staging->next, 0);
		EXPECT_STATUS(tmd_staging_write(staging, patch.at, part), TMD_OK);
		EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n, 77), TMD_OK);
		EXPECT_EQ(staging->next, 0); /* nothing is left of it */
		EXPECT_STATUS(tmd_staging_write(staging, patch.at, part), TMD_OK);
		EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n - 1u, 77), TMD_OK);
		EXPECT_EQ(staging->next, 0);
		EXPECT_STATUS(tmd_sim_device_stage(&b.device, patch.at, patch.n, 50, &sent), TMD_OK);
		EXPECT_EQ(sent, patch.n);
		EXPECT(boots_with(&target));
		tear_down();
	}
}

/* A patch that was applied, or that another update has overtaken, is not applied from flash. */
static void test_stale_patches(void)
{
	for (size_t kind = 0; kind < KINDS_N; kind++) {
		struct bytes back;
		uint32_t sent = 0;

		set_up(kind);
		back = whole_patch(&target, &base);
		EXPECT_STATUS(receive(&patch, 100, &sent), TMD_OK);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_STATUS(bench_send(&b, &patch, 100), TMD_OK); /* streamed, meanwhile */
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		expect_nothing_staged();
		/* Back on the base, to which the patch in the region would fit again. */
		EXPECT_STATUS(bench_send(&b, &back, 0), TMD_OK);
		EXPECT(boots_with(&base));
		expect_nothing_staged();
		EXPECT(bench_holds(&b, &base));
		/* Sent once more, it is another one. */
		EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n, id_of(&patch)), TMD_OK);
		EXPECT_EQ(staging->next, 0);
		EXPECT_STATUS(receive(&patch, 100, &sent), TMD_OK);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_STATUS(tmd_sim_device_resume(&b.device), TMD_OK);
		EXPECT(boots_with(&target));
		bytes_free(&back);
		tear_down();
	}
}

static void test_calls_that_are_refused(void)
{
	struct tmd_region *region = &b.device.config.staging;
	struct tmd_region whole;
	uint32_t places;
	uint32_t sent = 0;

	set_up(0);
	whole = *region;
	places = region->bytes / PLACE;
	EXPECT_STATUS(tmd_staging_begin(staging, store, 0, 1), TMD_ERR_STAGING);
	EXPECT_STATUS(tmd_staging_begin(staging, store, (places - 1u) * PAYLOAD + 1u, 1),
		      TMD_ERR_STAGING);
	EXPECT_STATUS(tmd_staging_begin(staging, store, 0x7FFFFFFF, 1), TMD_ERR_STAGING);
	EXPECT_STATUS(tmd_staging_begin(staging, store, 0x80000000, 1), TMD_ERR_STAGING);
	EXPECT_STATUS(tmd_staging_begin(staging, store, UINT32_MAX, 1), TMD_ERR_STAGING);
	region->bytes = 0;
	EXPECT_STATUS(tmd_staging_begin(staging, store, 1, 1), TMD_ERR_STAGING);
	region->bytes = 255;
	EXPECT_STATUS(tmd_staging_begin(staging, store, 1, 1), TMD_ERR_STAGING);
	region->bytes = whole.bytes + 256u; /* behind the end of the device */
	EXPECT_STATUS(tmd_staging_begin(staging, store, 1, 1), TMD_ERR_STAGING);
	*region = whole;
	region->offset += 16u;
	EXPECT_STATUS(tmd_staging_begin(staging, store, 1, 1), TMD_ERR_STAGING);
	region->flash = NULL;
	EXPECT_STATUS(tmd_staging_begin(staging, store, 1, 1), TMD_ERR_STAGING);
	EXPECT_STATUS(tmd_sim_device_resume(&b.device), TMD_OK);
	EXPECT_EQ(staging->bytes, 0);
	*region = whole;
	EXPECT(bench_is_unchanged(&b));

	/* The most that there is room for; more than was announced; less than there should be. */
	EXPECT_STATUS(tmd_staging_begin(staging, store, (places - 1u) * PAYLOAD, 1), TMD_OK);
	EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n, id_of(&patch)), TMD_OK);
	EXPECT_STATUS(tmd_staging_apply(staging, &b.device.update), TMD_ERR_TRUNCATED);
	EXPECT_STATUS(tmd_staging_write(staging, patch.at, patch.n + 1u), TMD_ERR_TRAILING);
	EXPECT_STATUS(tmd_staging_write(staging, patch.at, SIZE_MAX), TMD_ERR_TRAILING);
	EXPECT_EQ(staging->next, 0);
	EXPECT_STATUS(receive(&patch, 400, &sent), TMD_OK);
	EXPECT_STATUS(tmd_staging_write(staging, patch.at, 1), TMD_ERR_TRAILING);
	EXPECT_STATUS(tmd_staging_apply(staging, &b.device.update), TMD_OK);
	EXPECT(boots_with(&target));
	tear_down();
}

/* A region that is also something else's: nothing else's byte may change. */
static void test_region_over_others(void)
{
	for (uint32_t i = 0; i < 3u; i++) {
		const struct tmd_store_config *config = &b.device.config;
		int err;

		set_up(0);
		context("over region %u", (unsigned int)i);
		b.device.config.staging.offset = i < 2u ? config->slot[i].offset
							: config->records.offset;
		b.device.config.staging.bytes = 1024;
		err = bench_boot(&b);
		if (err == TMD_OK) {
			err = tmd_staging_begin(staging, store, 200, 1);
		} else {
			EXPECT_STATUS(err, TMD_ERR_GEOMETRY);
		}
		EXPECT(err != TMD_OK);
		EXPECT(bench_is_unchanged(&b));
		tear_down();
	}
}

/* What is refused is dealt with: not tried again at each start, also if the power goes meanwhile. */
static void test_refused_patches(void)
{
	for (size_t kind = 0; kind < KINDS_N; kind++) {
		for (uint32_t why = 0; why < 3u; why++) {
			static const int refusals[] = {TMD_ERR_TARGET, TMD_ERR_ARENA,
						       TMD_ERR_BASE};
			uint64_t operations;
			uint32_t sent = 0;

			set_up(kind);
			if (why == 0u) {
				patch.at[44] ^= 1u; /* the target's digest */
			} else if (why == 1u) {
				put_u32(&patch.at[82], BENCH_ARENA + 1u);
			} else {
				patch.at[12] ^= 1u;
			}
			EXPECT_STATUS(receive(&patch, 100, &sent), TMD_OK);
			bench_mark(&b);
			EXPECT_STATUS(tmd_staging_apply(staging, &b.device.update), refusals[why]);
			operations = bench_operations(&b);
			EXPECT(operations > 0u && operations <= 2u);
			for (uint64_t n = 0; n < operations * TMD_SIM_CUTS_N; n++) {
				context("%s, refusal %u, cut %u", kinds[kind].name,
					(unsigned int)why, (unsigned int)n);
				bench_rewind(&b);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				bench_cut(&b, n, 1u + n / TMD_SIM_CUTS_N);
				EXPECT(tmd_sim_device_resume(&b.device) != TMD_OK);
				EXPECT(boots_with(&base));
				(void)(tmd_sim_device_resume(&b.device) == TMD_OK);
				EXPECT(boots_with(&base));
				expect_nothing_staged();
				EXPECT(bench_region_is_unchanged(&b, &b.device.config.slot[0]));
				EXPECT(bench_region_is_unchanged(&b, &b.device.config.slot[1]));
			}
			bytes_free(&patch);
			patch = whole_patch(&base, &target);
			EXPECT_STATUS(tmd_sim_device_stage(&b.device, patch.at, patch.n, 99, &sent),
				      TMD_OK);
			EXPECT(boots_with(&target));
			tear_down();
		}
	}
}

/* A slot that is open, or a trial, is no fault of the patch: it waits. */
static void test_patches_that_have_to_wait(void)
{
	struct tmd_model opened;
	uint32_t sent = 0;

	set_up(0);
	EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	EXPECT_STATUS(receive(&from_target, 100, &sent), TMD_OK); /* the region is free */
	bench_mark(&b);
	EXPECT_STATUS(tmd_staging_apply(staging, &b.device.update), TMD_ERR_BUSY);
	EXPECT_STATUS(tmd_sim_device_resume(&b.device), TMD_ERR_BUSY);
	EXPECT(bench_is_unchanged(&b));
	tmd_store_close(store, &opened);
	EXPECT_STATUS(tmd_staging_apply(staging, &b.device.update), TMD_OK);
	EXPECT(boots_with(&third));
	tear_down();

#if TMD_TRIAL
	set_up_with(0, BENCH_COMPILED_IN, 2);
	EXPECT_STATUS(tmd_sim_device_stage(&b.device, patch.at, patch.n, 99, &sent), TMD_OK);
	bench_mark(&b);
	EXPECT_STATUS(tmd_staging_begin(staging, store, from_target.n, 1), TMD_ERR_TRIAL);
	EXPECT_STATUS(tmd_sim_device_resume(&b.device), TMD_OK);
	EXPECT_EQ(staging->bytes, 0);
	EXPECT(bench_is_unchanged(&b));
	EXPECT_STATUS(tmd_store_revert(store), TMD_OK);
	EXPECT(boots_with(&base));
	/* It failed: it is not applied from the region, and refused if it is sent again. */
	expect_nothing_staged();
	EXPECT_STATUS(tmd_sim_device_stage(&b.device, patch.at, patch.n, 99, &sent),
		      TMD_ERR_REVERTED);
	EXPECT(boots_with(&base));
	expect_nothing_staged();
	tear_down();
#endif
}

/* An application that opens its model between any two pieces does not disturb what is gathered. */
static void test_open_while_receiving(void)
{
	struct tmd_model opened;
	struct tmd_store_info info;

	for (size_t kind = 0; kind < KINDS_N; kind++) {
		set_up(kind);
		EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n, id_of(&patch)), TMD_OK);
		for (uint32_t n = 0; n < patch.n; n++) {
			EXPECT_STATUS(tmd_staging_write(staging, &patch.at[n], 1), TMD_OK);
			EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
			EXPECT_BYTES(opened.at, base.at, base.n);
			EXPECT_STATUS(tmd_store_forget(store), TMD_ERR_BUSY);
			tmd_store_get_info(store, &info);
			tmd_store_close(store, &opened);
		}
		EXPECT_STATUS(tmd_staging_apply(staging, &b.device.update), TMD_OK);
		EXPECT_STATUS(tmd_store_forget(store), TMD_OK);
		EXPECT(boots_with(&target));
		tear_down();
	}
}

/* The store has one buffer: who began last has it, and what was gathered before is not mixed in. */
static void test_updates_in_between(void)
{
	struct tmd_update *u = &b.device.update;
	uint32_t sent = 0;

	for (size_t kind = 0; kind < KINDS_N; kind++) {
		set_up(kind);
		EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n, id_of(&patch)), TMD_OK);
		EXPECT_STATUS(tmd_staging_write(staging, patch.at, PAYLOAD + 100u), TMD_OK);
		EXPECT_STATUS(tmd_update_begin(u, store), TMD_OK);
		EXPECT_STATUS(tmd_staging_write(staging, &patch.at[PAYLOAD + 100u], 1),
			      TMD_ERR_BUSY);
		EXPECT_STATUS(tmd_update_write(u, patch.at, 300), TMD_OK);
		EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n, id_of(&patch)), TMD_OK);
		EXPECT_EQ(staging->next, PAYLOAD);
		EXPECT_STATUS(tmd_update_write(u, &patch.at[300], 1), TMD_ERR_BUSY);
		EXPECT_STATUS(tmd_update_finish(u), TMD_ERR_BUSY);
		EXPECT_STATUS(tmd_staging_write(staging, &patch.at[PAYLOAD], 5), TMD_OK);
		EXPECT_STATUS(tmd_store_forget(store), TMD_ERR_BUSY);
		tmd_staging_abort(staging);
		EXPECT_STATUS(tmd_store_forget(store), TMD_OK);
		EXPECT(bench_holds(&b, &base));
		EXPECT_STATUS(tmd_sim_device_stage(&b.device, patch.at, patch.n, 99, &sent), TMD_OK);
		EXPECT(boots_with(&target));
		tear_down();
	}
}

/*
 * Torn places are passed over until there is no room for the rest: then from the beginning. Nothing
 * is lost by any number of cuts, and a run without one ends it.
 */
static void test_places_are_used_up(void)
{
	uint32_t all_restarts = 0;

	for (size_t kind = 0; kind < KINDS_N; kind++) {
		for (uint32_t shape = TMD_SIM_CUT_PREFIX; shape <= TMD_SIM_CUT_SUBSET; shape++) {
			uint32_t sent = 0;
			uint32_t before = 0;
			uint32_t restarts = 0;
			uint32_t bytes = 0;

			set_up(kind);
			/* A region without room to spare, or hardly any. */
			while (bytes / PLACE < 1u + (patch.n + PAYLOAD - 1u) / PAYLOAD ||
			       bytes % PLACE != 0u) {
				bytes += unit_at(&b.device.config.staging, bytes);
			}
			b.device.config.staging.bytes = bytes;
			EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n, id_of(&patch)),
				      TMD_OK);
			EXPECT_STATUS(tmd_staging_write(staging, patch.at, PAYLOAD), TMD_OK);
			for (uint32_t n = 0; n < 200u; n++) {
				context("%s, shape %u, cut %u", kinds[kind].name,
					(unsigned int)shape, (unsigned int)n);
				EXPECT(boots_with(&base));
				b.device.sim.random += n;
				EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n,
								id_of(&patch)), TMD_OK);
				if (staging->next < before) {
					EXPECT_EQ(staging->next, 0);
					restarts++;
				}
				before = staging->next;
				if (before + PAYLOAD >= patch.n) {
					break; /* so little is left that the cut might miss it */
				}
				bench_cut(&b, shape, 1u + n % 3u);
				EXPECT(receive(&patch, 50, &sent) != TMD_OK);
			}
			all_restarts += restarts;
			EXPECT(boots_with(&base));
			EXPECT_STATUS(stage_twice(50, &sent), TMD_OK);
			EXPECT(boots_with(&target));
			expect_nothing_staged();
			tear_down();
		}
	}
	EXPECT(all_restarts > 20u);
}

/* The very last place is torn: there is no room left, and nothing goes on but from the beginning. */
static void test_last_place_is_torn(void)
{
	for (uint32_t shape = TMD_SIM_CUT_TORN; shape <= TMD_SIM_CUT_SUBSET; shape++) {
		const uint32_t places = 1024u / PLACE; /* of one erase unit */
		uint32_t sent = 0;
		int err = TMD_OK;

		set_up(2);
		b.device.config.staging.bytes = 1024;
		bytes_free(&target);
		bytes_free(&patch);
		target = model_derive(&base, (places - 1u) * PAYLOAD - 80u - 22u - 12u, 5);
		patch = whole_patch(&base, &target);
		EXPECT_EQ(patch.n, (places - 1u) * PAYLOAD);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_STATUS(tmd_staging_begin(staging, store, patch.n, id_of(&patch)), TMD_OK);
		EXPECT_STATUS(tmd_staging_write(staging, patch.at, patch.n - PAYLOAD), TMD_OK);
		bench_cut(&b, shape, 1);
		b.device.sim.cut_part = 1;
		EXPECT(receive(&patch, PAYLOAD, &sent) != TMD_OK);
		EXPECT(boots_with(&base));
		for (uint32_t n = 0; n < 3u; n++) {
			err = tmd_sim_device_stage(&b.device, patch.at, patch.n, 50, &sent);
			if (err == TMD_OK) {
				break;
			}
		}
		EXPECT_STATUS(err, TMD_OK);
		EXPECT(boots_with(&target));
		tear_down();
	}
}

/* A bit flips at rest in what is staged: it is noticed, and sent again. */
static void test_bit_flips_in_the_region(void)
{
	for (size_t kind = 0; kind < KINDS_N; kind++) {
		const struct tmd_region *region = &b.device.config.staging;

		set_up_staged(kind, false);
		for (uint32_t bit = 0; bit < 8u * region->bytes; bit += 37u) {
			uint32_t sent = 0;

			context("%s, bit %u", kinds[kind].name, (unsigned int)bit);
			bench_rewind(&b);
			b.device.sim.bytes[region->offset + bit / 8u] ^= (uint8_t)(1u << bit % 8u);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT_STATUS(tmd_sim_device_resume(&b.device), TMD_OK);
			if (!bench_holds(&b, &target)) {
				EXPECT(bench_holds(&b, &base));
				EXPECT(staging->next < patch.n || staging->bytes == 0u);
				EXPECT_EQ(bench_operations(&b), 0);
				EXPECT_STATUS(stage_twice(90, &sent), TMD_OK);
			}
			EXPECT(boots_with(&target));
			expect_nothing_staged();
		}
		tear_down();
	}
}

/* Anything at all in the region: no patch. */
static void test_any_content(void)
{
	for (uint32_t n = 0; n < 102u; n++) {
		const struct tmd_region *region = &b.device.config.staging;
		uint64_t random = n;
		uint32_t sent = 0;

		set_up(n % KINDS_N);
		context("%s, filling %u", kinds[n % KINDS_N].name, (unsigned int)n);
		for (uint32_t at = 0; at < region->bytes; at++) {
			b.device.sim.bytes[region->offset + at] =
				n < 8u    ? 0x00
				: n < 16u ? 0xFF
					  : (uint8_t)bench_random(&random);
		}
		memset(&b.device.sim.state[region->offset / b.flash.write_bytes], 1,
		       region->bytes / b.flash.write_bytes);
		EXPECT(boots_with(&base));
		expect_nothing_staged();
		EXPECT_STATUS(tmd_sim_device_stage(&b.device, patch.at, patch.n, 250, &sent),
			      TMD_OK);
		EXPECT_EQ(sent, patch.n);
		EXPECT(boots_with(&target));
		tear_down();
	}
}

/* Operations that fail, lie or flip a bit, from the first block to the switch. */
static void test_failing_flash(void)
{
	for (size_t kind = 0; kind < KINDS_N; kind++) {
		uint64_t operations;
		uint32_t sent = 0;

		set_up(kind);
		EXPECT_STATUS(tmd_sim_device_stage(&b.device, patch.at, patch.n, 70, &sent), TMD_OK);
		operations = bench_operations(&b);
		for (uint64_t n = 0; n < operations * 3u; n++) {
			int err;

			context("%s, fault %u at %u", kinds[kind].name, (unsigned int)(n % 3u) + 1u,
				(unsigned int)(n / 3u) + 1u);
			bench_rewind(&b);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			b.device.sim.random += n;
			b.device.sim.fault = (uint8_t)(n % 3u + 1u);
			b.device.sim.fault_at = b.device.sim.counts.operations + 1u + n / 3u;
			err = tmd_sim_device_stage(&b.device, patch.at, patch.n, 70, &sent);
			EXPECT(bench_holds(&b, err == TMD_OK ? &target : &base));
			if (b.device.sim.fault != TMD_SIM_FAULT_ERROR && b.erase_went_wrong) {
				/* What was reported as erased was not: not the core's fault. */
				b.device.sim.counts.illegal = 0;
				b.device.sim.counts.rewrites = 0;
			}
			EXPECT(boots_with(&base) || bench_holds(&b, &target));
			EXPECT(err != TMD_OK || bench_holds(&b, &target));
			if (bench_holds(&b, &base)) {
				EXPECT_STATUS(tmd_sim_device_stage(&b.device, patch.at, patch.n, 70,
								   &sent), TMD_OK);
			}
			EXPECT(boots_with(&target));
			expect_nothing_staged();
		}
		tear_down();
	}
}

/* Reads that fail or give a wrong bit, at the start and while it is applied. */
static void test_failing_reads(void)
{
	set_up_staged(0, false);
	for (uint32_t n = 1; n < 300u; n++) {
		for (uint32_t fault = BENCH_FAULT_READ; fault <= BENCH_FAULT_READ_FLIP; fault++) {
			uint32_t sent = 0;
			int err;

			context("read %u, fault %u", (unsigned int)n, (unsigned int)fault);
			bench_rewind(&b);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			b.fault = (enum bench_fault)fault;
			b.fault_at = b.device.sim.counts.reads + n;
			err = tmd_sim_device_resume(&b.device);
			b.fault = BENCH_FAULT_NONE;
			EXPECT(bench_holds(&b, &base) ||
			       (err == TMD_OK && bench_holds(&b, &target)));
			EXPECT(boots_with(&base) || bench_holds(&b, &target));
			(void)(tmd_sim_device_resume(&b.device) == TMD_OK);
			if (bench_holds(&b, &base)) {
				EXPECT_STATUS(tmd_sim_device_stage(&b.device, patch.at, patch.n, 70,
								   &sent), TMD_OK);
			}
			EXPECT(boots_with(&target));
		}
	}
	tear_down();
}

int main(void)
{
	RUN(test_pieces_of_any_size);
	RUN(test_lengths);
	RUN(test_cuts_while_receiving);
	RUN(test_cuts_while_applying);
	RUN(test_two_cuts_while_applying);
	RUN(test_decay_between_two_cuts);
	RUN(test_short_breaths);
	RUN(test_another_patch);
	RUN(test_stale_patches);
	RUN(test_calls_that_are_refused);
	RUN(test_region_over_others);
	RUN(test_refused_patches);
	RUN(test_patches_that_have_to_wait);
	RUN(test_open_while_receiving);
	RUN(test_updates_in_between);
	RUN(test_places_are_used_up);
	RUN(test_last_place_is_torn);
	RUN(test_bit_flips_in_the_region);
	RUN(test_any_content);
	RUN(test_failing_flash);
	RUN(test_failing_reads);
	return harness_result();
}

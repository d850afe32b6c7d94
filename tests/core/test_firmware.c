/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A firmware finds what another one left in flash: a stored model runs only under a firmware that
 * would take it, nothing that is there is mistaken for a model, and nothing is lost by looking.
 */
#include "harness.h"

#include <stdlib.h>

#include <store/records.h>

#include "bench.h"

#define SLOT_BYTES 600u

static const struct tmd_sim_geometry once16 = {
	"once16", "", {{256, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE,
};
static const struct tmd_sim_geometry words = {"words", "", {{128, 1}}, 1, 4, 0xFF, 0};
static const struct tmd_sim_geometry ram = {"ram", "", {{128, 1}}, 1, 1, 0xFF, TMD_FLASH_NO_ERASE};

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes third;

static struct tmd_store *const store = &b.device.store;

static void set_up_on(const struct tmd_sim_geometry *geometry, enum bench_place place)
{
	base = model_make(500, 91);
	target = model_derive(&base, 555, 92);
	third = model_derive(&target, 480, 93);
	bench_init(&b, geometry, SLOT_BYTES, &base, place);
	context("%s, place %d", geometry->name, place);
}

static void set_up(enum bench_place place)
{
	set_up_on(&once16, place);
}

static void tear_down(void)
{
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&target);
	bytes_free(&third);
}

/* What the firmware in the device accepts decides what its patches say. */
static struct bytes patch_between(const struct bytes *from, const struct bytes *to)
{
	struct bytes patch = patch_header(from, to, TMD_DIGEST_SHA256);

	patch_tlv(&patch, 1, b.model.arena_bytes, 4);
	patch_tlv(&patch, 2, b.contract.tflm_abi, 2);
	patch_tlv(&patch, 3, b.model.opset_hash, 4);
	patch_tlv(&patch, 4, b.model.io_hash, 4);
	patch_tlv(&patch, 5, 1000, 4);
	patch_raw(&patch, 0, to->at, (uint16_t)to->n, true);
	return patch;
}

static void update(const struct bytes *from, const struct bytes *to)
{
	struct bytes patch = patch_between(from, to);

	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, to));
	bytes_free(&patch);
}

/* Boot, and open what is active. */
static void expect_active(const struct bytes *model, uint8_t slot)
{
	struct tmd_model opened;

	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_EQ(store->active.slot, slot);
	if (EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK) &&
	    EXPECT_EQ(opened.bytes, model->n)) {
		EXPECT_EQ(opened.slot, slot);
		EXPECT_BYTES(opened.at, model->at, model->n);
		tmd_store_close(store, &opened);
	}
}

static void describe(const struct bytes *model)
{
	struct tmd_sha256 sha;

	b.model.model_bytes = model->n;
	tmd_sha256_init(&sha);
	tmd_sha256_update(&sha, model->at, model->n);
	(void)tmd_sha256_final(&sha, b.model.model_sha256);
}

/* ---- another contract ---- */

enum change {
	CHANGE_ARENA,
	CHANGE_ABI,
	CHANGE_OPERATORS,
	CHANGE_IO,
	CHANGE_SLOT,
	CHANGE_VERSION,
	CHANGES_N
};

/* To a firmware that does not run the models of the one before; and back. */
static void change(enum change what, bool back)
{
	switch (what) {
	case CHANGE_ARENA:
		b.model.arena_bytes = back ? BENCH_ARENA : BENCH_ARENA - 1u;
		break;
	case CHANGE_ABI:
		b.contract.tflm_abi = (uint16_t)(back ? BENCH_ABI : BENCH_ABI + 1u);
		break;
	case CHANGE_OPERATORS:
		b.model.opset_hash = back ? BENCH_OPSET : BENCH_OPSET ^ 0x80000000u;
		break;
	case CHANGE_IO:
		b.model.io_hash = back ? BENCH_IO : BENCH_IO ^ 1u;
		break;
	case CHANGE_SLOT:
		b.model.slot_bytes = back ? SLOT_BYTES : 554u;
		break;
	default:
		b.model.lowest_version = back ? 0u : 1001u;
		break;
	}
}

static void test_contract_that_does_not_take_the_model(void)
{
	for (int what = 0; what < CHANGES_N; what++) {
		set_up(BENCH_COMPILED_IN);
		context("change %d", what);
		update(&base, &target);
		bench_mark(&b);
		change((enum change)what, false);
		expect_active(&base, TMD_SLOT_COMPILED_IN);
		EXPECT(bench_is_unchanged(&b)); /* opened, too */
		change((enum change)what, true);
		expect_active(&target, 0);

		/* An update under the new firmware is for ever. */
		change((enum change)what, false);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &base));
		{
			struct bytes patch = patch_between(&base, &third);

			if (what == CHANGE_VERSION) {
				put_u32(&patch.at[80 + 6 + 4 + 6 + 6 + 2], 1001);
			}
			EXPECT_STATUS(bench_send(&b, &patch, 30), TMD_OK);
			bytes_free(&patch);
		}
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &third));
		tear_down();
	}
}

/* Less than the firmware has is taken: a new one with more of everything runs the old model. */
static void test_contract_that_has_more(void)
{
	set_up(BENCH_COMPILED_IN);
	update(&base, &target);
	b.model.arena_bytes += 1000u;
	b.model.lowest_version = 1000;
	b.model.slot_bytes += 8u;
	b.contract.formats |= 1u << 2;
	expect_active(&target, 0);
	tear_down();
}

/* Both slots hold a model; the new firmware runs the other one only. */
static void test_the_other_slot(void)
{
	struct bytes patch;

	set_up(BENCH_COMPILED_IN);
	update(&base, &target);
	b.model.arena_bytes = BENCH_ARENA + 1u;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	patch = patch_between(&target, &third); /* needs more than the target does */
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	expect_active(&third, 1);
	b.model.arena_bytes = BENCH_ARENA;
	expect_active(&target, 0);
	b.model.arena_bytes = BENCH_ARENA - 1u;
	expect_active(&base, TMD_SLOT_COMPILED_IN);
	b.model.arena_bytes = BENCH_ARENA + 1u;
	expect_active(&third, 1); /* nothing was written meanwhile */
	bytes_free(&patch);
	tear_down();
}

/* No model in the firmware, and none in flash that it takes: there is none, and none is lost. */
static void test_no_model_that_is_taken(void)
{
	for (int what = 0; what < CHANGES_N; what++) {
		set_up(BENCH_FACTORY);
		context("change %d", what);
		update(&base, &target);
		describe(&third); /* the new firmware's own: nowhere in flash */
		bench_mark(&b);
		if (what == CHANGE_SLOT) {
			b.model.slot_bytes = 490; /* takes neither */
		} else {
			change((enum change)what, false);
		}
		EXPECT_STATUS(bench_boot(&b), TMD_ERR_NO_MODEL);
		EXPECT_EQ(store->active.slot, TMD_SLOT_NONE);
		EXPECT(bench_is_unchanged(&b));
		change((enum change)what, true);
		expect_active(&target, 1);
		EXPECT(bench_is_unchanged(&b));
		tear_down();
	}
}

/* A new firmware brings another model: the one that was updated stays, if it may run there. */
static void test_another_compiled_in_model(void)
{
	set_up(BENCH_COMPILED_IN);
	update(&base, &target);
	describe(&third);
	b.device.config.compiled_in = third.at;
	expect_active(&target, 0);
	b.device.sim.bytes[b.device.config.slot[0].offset] ^= 1u;
	expect_active(&third, TMD_SLOT_COMPILED_IN);
	b.device.sim.bytes[b.device.config.slot[0].offset] ^= 1u;

	/* From a firmware with a factory model to one with its own: its own, or the update's. */
	tear_down();
	set_up(BENCH_FACTORY);
	describe(&third);
	b.device.config.compiled_in = third.at;
	expect_active(&third, TMD_SLOT_COMPILED_IN); /* no record: nothing is known of slot 0 */
	describe(&base);
	b.device.config.compiled_in = NULL;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	update(&base, &target);
	describe(&third);
	b.device.config.compiled_in = third.at;
	expect_active(&target, 1);
	tear_down();
}

/* What the firmware says is linked in is not: it is not run. */
static void test_compiled_in_model_that_is_another(void)
{
	set_up(BENCH_COMPILED_IN);
	b.device.config.compiled_in = target.at;
	EXPECT_STATUS(bench_boot(&b), TMD_ERR_NO_MODEL);
	b.device.config.compiled_in = base.at;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	update(&base, &target);
	b.device.config.compiled_in = third.at;
	expect_active(&target, 0);
	tear_down();
}

/* Once the factory model was opened, a firmware that describes another one knows it. */
static void test_factory_model_under_a_new_firmware(void)
{
	for (uint32_t opened = 0; opened < 2u; opened++) {
		set_up(BENCH_FACTORY);
		if (opened != 0u) {
			expect_active(&base, 0);
		}
		describe(&third);
		if (opened == 0u) {
			EXPECT_STATUS(bench_boot(&b), TMD_ERR_NO_MODEL);
			describe(&base);
			expect_active(&base, 0);
			describe(&third);
		}
		expect_active(&base, 0);
		b.model.io_hash ^= 1u;
		EXPECT_STATUS(bench_boot(&b), TMD_ERR_NO_MODEL);
		b.model.io_hash ^= 1u;
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		update(&base, &target);
		update(&target, &third);
		expect_active(&third, 0);
		tear_down();
	}
}

/* A model on trial has not failed under a firmware that does not take it: it waits for the old one. */
static void test_trial_over_a_firmware_update(void)
{
	struct tmd_store_info info;
	struct bytes patch;

	set_up(BENCH_COMPILED_IN);
	b.device.config.trial_starts = 3;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	patch = patch_between(&base, &target);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	expect_active(&target, 0);
	bench_mark(&b);
	b.model.io_hash ^= 1u;
	expect_active(&base, TMD_SLOT_COMPILED_IN);
	tmd_store_get_info(store, &info);
	EXPECT(!info.trial);
	EXPECT(bench_is_unchanged(&b));
	b.model.io_hash ^= 1u;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	tmd_store_get_info(store, &info);
	EXPECT(info.trial);
	EXPECT_EQ(info.starts, 1);
	bytes_free(&patch);
	tear_down();
}

/*
 * A model on trial that another firmware does not take, and then a record: that says nothing of a
 * trial any more, so the model must not come back as one that had been confirmed.
 */
static void test_trial_that_a_firmware_ended(void)
{
	struct tmd_store_info info;
	struct bytes patch;

	set_up(BENCH_FACTORY);
	b.model.version = 2000;
	b.device.config.trial_starts = 3;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	patch = patch_between(&base, &target); /* has version 1000 */
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	expect_active(&target, 1);
	b.model.lowest_version = 1001;
	expect_active(&base, 0);
	(void)tmd_records_draft(store);
	EXPECT_STATUS(tmd_records_append(store), TMD_OK);
	b.model.lowest_version = 0;
	expect_active(&base, 0);
	tmd_store_get_info(store, &info);
	EXPECT(!info.trial);
	b.device.sim.bytes[b.device.config.slot[0].offset + 17u] ^= 4u;
	EXPECT_STATUS(bench_boot(&b), TMD_ERR_NO_MODEL);
	bytes_free(&patch);
	tear_down();
}

/* ---- several models in one firmware ---- */

static void test_models_of_one_firmware(void)
{
	struct tmd_model_contract models[2];
	struct tmd_store other;
	struct tmd_store_config config;
	struct tmd_model opened;

	set_up(BENCH_COMPILED_IN);
	models[0] = b.model;
	models[1] = b.model;
	models[1].name = "second";
	models[1].id = tmd_crc32(0, (const uint8_t *)"second", 6);
	b.contract.models = models;
	b.contract.models_n = 2;
	update(&base, &target);

	/* The regions of the first are given to the second by mistake: it takes none of it. */
	config = b.device.config;
	config.model = 1;
	memset(&other, 0x5A, sizeof(other));
	bench_mark(&b);
	EXPECT_STATUS(tmd_store_mount(&other, &config), TMD_OK);
	EXPECT_EQ(other.active.slot, TMD_SLOT_COMPILED_IN);
	EXPECT_EQ(other.newest, UINT32_MAX);
	EXPECT_STATUS(tmd_store_open(&other, &opened), TMD_OK);
	EXPECT_BYTES(opened.at, base.at, base.n);
	EXPECT(bench_is_unchanged(&b));
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	b.contract.models = &b.model;
	b.contract.models_n = 1;
	tear_down();
}

/* Two stores on one flash, each with regions of its own, updated in turn. */
static void test_two_stores_on_one_flash(void)
{
	const struct tmd_sim_options options = {.staging_bytes = 6u * 256u, .trial_starts = 2};
	struct tmd_model_contract models[2];
	struct tmd_store_config config;
	struct tmd_store other;
	struct tmd_model opened;
	struct tmd_model opened_too;

	base = model_make(500, 91);
	target = model_derive(&base, 555, 92);
	third = model_derive(&target, 480, 93);
	bench_init_with(&b, &once16, SLOT_BYTES, &base, BENCH_COMPILED_IN, &options);
	models[0] = b.model;
	models[1] = b.model;
	models[1].name = "second";
	models[1].id = tmd_crc32(0, (const uint8_t *)"second", 6);
	models[1].slot_bytes = 500;
	b.contract.models = models;
	b.contract.models_n = 2;
	/* The second one's regions where the first one's staging region would be: 512, 512, 512. */
	config = b.device.config;
	config.model = 1;
	config.slot[0] = b.device.config.staging;
	config.slot[0].bytes = 512;
	config.slot[1] = config.slot[0];
	config.slot[1].offset += 512u;
	config.records = config.slot[0];
	config.records.offset += 1024u;
	config.staging.flash = NULL;
	b.device.config.staging.flash = NULL;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_STATUS(tmd_store_mount(&other, &config), TMD_OK);
	for (uint32_t i = 0; i < 9u; i++) {
		struct bytes next = model_derive(&base, 500u - i, 100u + i);
		struct bytes before = model_derive(&base, 501u - i, 99u + i);
		struct bytes patch = patch_between(i == 0u ? &base : &before, &next);

		context("update %u", (unsigned int)i);
		EXPECT_STATUS(bench_send(&b, &patch, i % 2u * 30u), TMD_OK);
		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
		EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
		EXPECT_STATUS(tmd_update_begin(&b.device.update, &other), TMD_OK);
		EXPECT_STATUS(tmd_update_write(&b.device.update, patch.at, patch.n), TMD_OK);
		EXPECT_STATUS(tmd_update_finish(&b.device.update), TMD_OK);
		EXPECT_STATUS(tmd_store_open(&other, &opened_too), TMD_OK);
		EXPECT_STATUS(tmd_store_confirm(&other), TMD_OK);
		EXPECT_BYTES(opened.at, next.at, next.n);
		EXPECT_BYTES(opened_too.at, next.at, next.n);
		EXPECT(opened.at != opened_too.at);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &next));
		memset(&other, (int)i, sizeof(other));
		EXPECT_STATUS(tmd_store_mount(&other, &config), TMD_OK);
		EXPECT_EQ(other.active.bytes, next.n);
		bytes_free(&next);
		bytes_free(&before);
		bytes_free(&patch);
	}
	b.contract.models = &b.model;
	b.contract.models_n = 1;
	tear_down();
}

/* ---- whatever is in flash when the store first sees it ---- */

/* Fill all of flash, as if by somebody else: every write unit was programmed. */
static void fill_flash(uint32_t round)
{
	uint64_t random = round;

	for (uint32_t at = 0; at < b.device.sim.size; at++) {
		b.device.sim.bytes[at] = round == 0u   ? 0x00
					 : round == 1u ? 0xFF
						       : (uint8_t)bench_random(&random);
	}
	memset(b.device.sim.state, 1, b.device.sim.size / b.flash.write_bytes);
}

static void test_any_content(void)
{
	static const struct tmd_sim_geometry *const geometries[] = {&once16, &words, &ram};

	for (uint32_t n = 0; n < 3u * 102u; n++) {
		struct bytes patch;

		set_up_on(geometries[n % 3u], BENCH_COMPILED_IN);
		context("%s, filling %u", b.device.sim.geometry.name, (unsigned int)n / 3u);
		fill_flash(n / 3u);
		expect_active(&base, TMD_SLOT_COMPILED_IN);
		EXPECT_EQ(bench_operations(&b), 0);
		patch = patch_between(&base, &target);
		EXPECT_STATUS(bench_send(&b, &patch, n % 2u * 40u), TMD_OK);
		EXPECT(bench_is_firm(&b));
		expect_active(&target, 0);
		update(&target, &third);
		bytes_free(&patch);
		tear_down();

		set_up_on(geometries[n % 3u], BENCH_FACTORY);
		fill_flash(n / 3u);
		EXPECT_STATUS(bench_boot(&b), TMD_ERR_NO_MODEL);
		EXPECT_EQ(bench_operations(&b), 0);
		tear_down();
	}
}

/* Bytes of a record at random, with a checksum that is right: they are read, and not believed. */
static void test_any_record(void)
{
	set_up_on(&ram, BENCH_COMPILED_IN);
	update(&base, &target);
	bench_mark(&b);
	for (uint32_t round = 0; round < 4000u; round++) {
		uint8_t *raw = &b.device.sim.bytes[b.device.config.records.offset + store->newest];
		uint64_t random = round;
		struct tmd_model opened;
		struct bytes patch;

		context("round %u", (unsigned int)round);
		bench_rewind(&b);
		/* All of it, or a field or two. */
		for (uint32_t i = 0; i < (round % 2u == 0u ? 124u : 1u + round % 9u); i++) {
			const uint32_t at = round % 2u == 0u ? 4u + i % 120u
							     : 3u + bench_random(&random) % 121u;

			raw[at] = (uint8_t)bench_random(&random);
		}
		if (round % 2u == 0u) {
			raw[REC_ACTIVE] = (uint8_t)(bench_random(&random) % 3u |
						    (bench_random(&random) & 0x80u));
			raw[REC_SLOT0 + SLOT_STATE] = (uint8_t)(bench_random(&random) % 6u);
			raw[REC_SLOT1 + SLOT_STATE] = (uint8_t)(bench_random(&random) % 6u);
		}
		bench_seal_record(raw);
		b.device.config.trial_starts = (uint8_t)(round % 3u);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &base) || bench_holds(&b, &target));
		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
		EXPECT_EQ(opened.total_bytes, store->active.bytes);
		EXPECT(opened.bytes <= opened.total_bytes); /* the application reads so much */
		EXPECT(bench_holds(&b, &base) || bench_holds(&b, &target));
		EXPECT(bench_operations(&b) <= 2u);
		tmd_store_close(store, &opened);
		if (tmd_store_confirm(store) != TMD_OK) {
			EXPECT_STATUS(tmd_store_confirm(store), TMD_ERR_STATE); /* no trial */
		}
		if (bench_holds(&b, &base)) {
			/* Only a version floor that the record had can stand in the way. */
			struct tmd_store_info info;
			int got;

			patch = patch_between(&base, &third);
			tmd_store_get_info(store, &info);
			got = bench_send(&b, &patch, round % 3u * 20u);
			EXPECT_STATUS(got, info.floor > 1000u ? TMD_ERR_VERSION : TMD_OK);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, got == TMD_OK ? &third : &base));
			bytes_free(&patch);
		}
		EXPECT_EQ(b.device.sim.counts.illegal, 0);
		bench_rewind(&b);
		b.device.config.trial_starts = 0;
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
	}
	tear_down();
}

int main(void)
{
	RUN(test_contract_that_does_not_take_the_model);
	RUN(test_contract_that_has_more);
	RUN(test_the_other_slot);
	RUN(test_no_model_that_is_taken);
	RUN(test_another_compiled_in_model);
	RUN(test_compiled_in_model_that_is_another);
	RUN(test_factory_model_under_a_new_firmware);
	RUN(test_trial_over_a_firmware_update);
	RUN(test_trial_that_a_firmware_ended);
	RUN(test_models_of_one_firmware);
	RUN(test_two_stores_on_one_flash);
	RUN(test_any_content);
	RUN(test_any_record);
	return harness_result();
}

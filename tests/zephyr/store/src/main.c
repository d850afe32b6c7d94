/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The store and the apply path on Zephyr's flash map: real patches, resets that leave noise in RAM,
 * trials.
 */
#include <string.h>

#include <zephyr/ztest.h>

#include <tinymldelta/zephyr.h>

#include "device.h"
#include "tmd_models.h"

static const uint8_t base[] = {
#include <base.tflite.inc>
};
static const uint8_t target[] = {
#include <target.tflite.inc>
};
static const uint8_t patch[] = {
#include <update.tmd.inc>
};
static const uint8_t refused[] = {
#include <refused.tmd.inc>
};

BUILD_ASSERT(!IS_ENABLED(CONFIG_TEST_PSA) || IS_ENABLED(CONFIG_TMD_SHA256_PSA),
	     "psa.conf no longer switches CONFIG_TMD_SHA256_PSA on");

static struct tmd_update update;
static struct tmd_model model;
static struct tmd_store_info info;

/* As after a reset: nothing of RAM holds but what the linker fills. */
static void reset(void)
{
	const struct tmd_zephyr_model fresh = {
		.lock = tmd_digits.lock,
		.contract = tmd_digits.contract,
		.partitions = tmd_digits.partitions,
		.compiled_in = tmd_digits.compiled_in,
		.index = tmd_digits.index,
	};

	memset(&update, 0xA5, sizeof(update));
	memset(&model, 0xA5, sizeof(model));
	tmd_digits = fresh;
}

static const struct flash_area *area_of(enum tmd_zephyr_part part)
{
	const struct flash_area *area;

	zassert_ok(flash_area_open(tmd_digits.partitions[part].id, &area));
	return area;
}

/* A CRC of all that a device keeps. */
static uint32_t flash_crc(void)
{
	uint8_t piece[256];
	uint32_t crc = 0;

	for (enum tmd_zephyr_part part = TMD_ZEPHYR_SLOT0; part < TMD_ZEPHYR_PARTS; part++) {
		for (uint32_t at = 0; at < tmd_digits.partitions[part].bytes; at += sizeof(piece)) {
			zassert_ok(flash_area_read(area_of(part), (off_t)at, piece, sizeof(piece)));
			crc = tmd_crc32(crc, piece, sizeof(piece));
		}
	}
	return crc;
}

static void erase_all(void)
{
	for (enum tmd_zephyr_part part = TMD_ZEPHYR_SLOT0; part < TMD_ZEPHYR_PARTS; part++) {
		const uint32_t bytes = tmd_digits.partitions[part].bytes;

		if (bytes != 0u) {
			zassert_ok(flash_area_erase(area_of(part), 0, bytes));
		}
	}
}

void device_from_factory(void *fixture)
{
	ARG_UNUSED(fixture);
	erase_all();
	if (IS_ENABLED(CONFIG_TEST_FACTORY)) {
		/* To whole write units, as a programmer does it. */
		static uint8_t padded[ROUND_UP(sizeof(base), 256)];

		memset(padded, 0xFF, sizeof(padded));
		memcpy(padded, base, sizeof(base));
		zassert_ok(flash_area_write(area_of(TMD_ZEPHYR_SLOT0), 0, padded, sizeof(padded)));
	}
	reset();
}

/* Send a patch in pieces of `piece` bytes, streamed. */
static int send(const uint8_t *bytes, size_t n, size_t piece)
{
	int err = tmd_zephyr_lock(&tmd_digits);

	if (err == TMD_OK) {
		err = tmd_update_begin(&update, &tmd_digits.store);
	}
	for (size_t at = 0; err == TMD_OK && at < n; at += piece) {
		err = tmd_update_write(&update, &bytes[at], MIN(piece, n - at));
	}
	if (err == TMD_OK) {
		err = tmd_update_finish(&update);
	} else {
		tmd_update_abort(&update);
	}
	tmd_zephyr_unlock(&tmd_digits);
	return err;
}

static void expect_model(const uint8_t *bytes, size_t n)
{
	zassert_equal(tmd_zephyr_open(&tmd_digits, &model), TMD_OK);
	zassert_equal(model.bytes, n);
	zassert_not_null(model.at, "every board of these tests has its flash in memory");
	zassert_equal((uintptr_t)model.at % 16u, 0u, "an interpreter reads words at %p", model.at);
	zassert_mem_equal(model.at, bytes, n);
}

ZTEST(tinymldelta_store, test_first_boot)
{
	expect_model(base, sizeof(base));
	zassert_equal(model.slot, IS_ENABLED(CONFIG_TEST_FACTORY) ? 0 : TMD_SLOT_COMPILED_IN);
	tmd_zephyr_close(&tmd_digits, &model);
	zassert_equal(tmd_zephyr_confirm(&tmd_digits), TMD_ERR_STATE);
}

static void expect_note(const char *note)
{
	char text[32];
	const int bytes = tmd_zephyr_get_metadata(&tmd_digits, TMD_TLV_NOTE, text, sizeof(text));

	zassert_equal(bytes, (int)strlen(note), "%d", bytes);
	zassert_mem_equal(text, note, strlen(note));
}

ZTEST(tinymldelta_store, test_what_is_said_of_the_model)
{
	expect_note("of the firmware");
	zassert_equal(send(patch, sizeof(patch), 20), TMD_OK);
	expect_note("run 7");
	reset();
	expect_note("run 7");
	zassert_equal(tmd_zephyr_get_metadata(&tmd_digits, TMD_TLV_LABELS, NULL, 0), 0);
}

ZTEST(tinymldelta_store, test_update_while_the_old_model_is_open)
{
	struct tmd_model old;

	expect_model(base, sizeof(base));
	old = model;
	zassert_equal(send(patch, sizeof(patch), 20), TMD_OK);
	zassert_true(tmd_zephyr_changed(&tmd_digits, &old));
	zassert_mem_equal(old.at, base, sizeof(base));
	tmd_zephyr_close(&tmd_digits, &old);

	expect_model(target, sizeof(target));
	zassert_false(tmd_zephyr_changed(&tmd_digits, &model));
	zassert_equal(tmd_zephyr_get_status(&tmd_digits, NULL, &info), TMD_OK);
	zassert_true(info.trial);
	zassert_equal(info.starts, 1);
	zassert_equal(info.version, 0x01010000u);
	zassert_equal(tmd_zephyr_confirm(&tmd_digits), TMD_OK);

	reset();
	expect_model(target, sizeof(target));
	zassert_equal(tmd_zephyr_get_status(&tmd_digits, NULL, &info), TMD_OK);
	zassert_false(info.trial);
	tmd_zephyr_close(&tmd_digits, &model);
}

ZTEST(tinymldelta_store, test_pieces_of_any_size)
{
	static const size_t pieces[] = {1, 7, 64, 255, sizeof(patch)};

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		device_from_factory(NULL);
		zassert_equal(send(patch, sizeof(patch), pieces[i]), TMD_OK, "%zu", pieces[i]);
		expect_model(target, sizeof(target));
		tmd_zephyr_close(&tmd_digits, &model);
	}
}

ZTEST(tinymldelta_store, test_refused_before_flash_is_touched)
{
	uint32_t crc;

	expect_model(base, sizeof(base));
	crc = flash_crc();
	zassert_equal(send(refused, sizeof(refused), 20), TMD_ERR_OPERATORS);
	zassert_equal(send(&patch[1], sizeof(patch) - 1u, 20), TMD_ERR_FORMAT);
	zassert_equal(flash_crc(), crc);
	zassert_false(tmd_zephyr_changed(&tmd_digits, &model));
	tmd_zephyr_close(&tmd_digits, &model);
}

ZTEST(tinymldelta_store, test_broken_off_and_sent_again)
{
	for (size_t n = 0; n < sizeof(patch); n += 100) {
		device_from_factory(NULL);
		zassert_not_equal(send(patch, n, 50), TMD_OK);
		reset();
		expect_model(base, sizeof(base));
		tmd_zephyr_close(&tmd_digits, &model);
		zassert_equal(send(patch, sizeof(patch), 50), TMD_OK);
		reset();
		expect_model(target, sizeof(target));
		tmd_zephyr_close(&tmd_digits, &model);
	}
}

ZTEST(tinymldelta_store, test_starts_are_bounded)
{
	zassert_equal(send(patch, sizeof(patch), 128), TMD_OK);
	for (int start = 0; start < CONFIG_TMD_TRIAL_STARTS; start++) {
		reset();
		expect_model(target, sizeof(target));
	}
	reset();
	expect_model(base, sizeof(base));
	tmd_zephyr_close(&tmd_digits, &model);
	zassert_equal(send(patch, sizeof(patch), 128), TMD_ERR_REVERTED);
	zassert_equal(tmd_zephyr_forget(&tmd_digits), TMD_OK);
	zassert_equal(send(patch, sizeof(patch), 128), TMD_OK);
}

ZTEST(tinymldelta_store, test_revert)
{
	zassert_equal(send(patch, sizeof(patch), 128), TMD_OK);
	expect_model(target, sizeof(target));
	zassert_equal(tmd_zephyr_revert(&tmd_digits), TMD_OK);
	zassert_true(tmd_zephyr_changed(&tmd_digits, &model));
	tmd_zephyr_close(&tmd_digits, &model);
	expect_model(base, sizeof(base));
	tmd_zephyr_close(&tmd_digits, &model);
}

#if defined(CONFIG_TMD_STAGING)
/* What Kconfig's help asks for: MAIN_STACK_SIZE=2048, of which the application has a part. */
static K_THREAD_STACK_DEFINE(small_stack, 1792);
static struct k_thread small_thread;
static int small_status;

static void open_model(void *a, void *b, void *c)
{
	ARG_UNUSED(a);
	ARG_UNUSED(b);
	ARG_UNUSED(c);
	small_status = tmd_zephyr_open(&tmd_digits, &model);
}

static void open_with_a_small_stack(void)
{
	k_thread_create(&small_thread, small_stack, K_THREAD_STACK_SIZEOF(small_stack), open_model,
			NULL, NULL, NULL, K_PRIO_PREEMPT(1), 0, K_NO_WAIT);
	zassert_ok(k_thread_join(&small_thread, K_FOREVER));
}

/* A patch that was staged as a whole when the power went is applied by the next boot itself. */
ZTEST(tinymldelta_store, test_staged_patch_after_a_reset)
{
	struct tmd_staging staging;
	const uint32_t id = tmd_crc32(0, patch, sizeof(patch));

	zassert_equal(tmd_zephyr_lock(&tmd_digits), TMD_OK);
	zassert_equal(tmd_staging_begin(&staging, &tmd_digits.store, sizeof(patch), id), TMD_OK);
	zassert_equal(staging.next, 0);
	zassert_equal(tmd_staging_write(&staging, patch, 900), TMD_OK);
	tmd_zephyr_unlock(&tmd_digits);

	reset();
	zassert_equal(tmd_zephyr_lock(&tmd_digits), TMD_OK);
	zassert_equal(tmd_staging_begin(&staging, &tmd_digits.store, sizeof(patch), id), TMD_OK);
	zassert_true(staging.next > 600u && staging.next <= 900u, "%u", staging.next);
	zassert_equal(tmd_staging_write(&staging, &patch[staging.next],
					sizeof(patch) - staging.next), TMD_OK);
	tmd_zephyr_unlock(&tmd_digits);

	reset();
	open_with_a_small_stack();
	zassert_equal(small_status, TMD_OK);
	zassert_equal(model.bytes, sizeof(target));
	zassert_mem_equal(model.at, target, sizeof(target));
	tmd_zephyr_close(&tmd_digits, &model);
}
#endif

/* Its sender is gone for good: a person ends it. */
ZTEST(tinymldelta_store, test_forget_while_a_patch_is_coming)
{
	zassert_equal(tmd_zephyr_lock(&tmd_digits), TMD_OK);
	zassert_equal(tmd_update_begin(&update, &tmd_digits.store), TMD_OK);
	zassert_equal(tmd_update_write(&update, patch, sizeof(patch) / 2u), TMD_OK);
	tmd_zephyr_unlock(&tmd_digits);
	zassert_equal(tmd_zephyr_forget(&tmd_digits), TMD_OK);
	zassert_equal(tmd_update_write(&update, patch, 1), TMD_ERR_BUSY);
	zassert_equal(send(patch, sizeof(patch), 64), TMD_OK);
}

/* Opens and closes as fast as it can while patches come: what it has is one of the two, whole. */
static K_THREAD_STACK_DEFINE(reader_stack, 4096);
static struct k_thread reader;
static atomic_t stop;
static uint32_t opens;
static uint32_t faults;

static void read_models(void *a, void *b, void *c)
{
	struct tmd_model opened;

	ARG_UNUSED(a);
	ARG_UNUSED(b);
	ARG_UNUSED(c);
	while (atomic_get(&stop) == 0) {
		if (tmd_zephyr_open(&tmd_digits, &opened) != TMD_OK) {
			faults++;
			continue;
		}
		tmd_zephyr_run_begin(&tmd_digits);
		if (memcmp(opened.at, base, sizeof(base)) != 0 &&
		    memcmp(opened.at, target, sizeof(target)) != 0) {
			faults++;
		}
		tmd_zephyr_run_end(&tmd_digits);
		tmd_zephyr_close(&tmd_digits, &opened);
		opens++;
		k_msleep(1);
	}
}

ZTEST(tinymldelta_store, test_threads)
{
	int err;

	atomic_set(&stop, 0);
	opens = 0;
	faults = 0;
	k_thread_create(&reader, reader_stack, K_THREAD_STACK_SIZEOF(reader_stack), read_models,
			NULL, NULL, NULL, K_PRIO_PREEMPT(5), 0, K_NO_WAIT);
	k_msleep(5);
	/* The reader's starts end the trial now and then: back to the base, which is right too. */
	for (int i = 0; i < 20; i++) {
		err = send(patch, sizeof(patch), 64);
		if (err == TMD_OK) {
			k_msleep(20);
			err = tmd_zephyr_revert(&tmd_digits);
			zassert_true(err == TMD_OK || err == TMD_ERR_STATE, "%d", err);
			zassert_equal(tmd_zephyr_forget(&tmd_digits), TMD_OK);
		}
	}
	atomic_set(&stop, 1);
	(void)k_thread_join(&reader, K_FOREVER);
	zassert_equal(faults, 0, "%u", faults);
	zassert_true(opens >= 20u, "%u", opens);
}

ZTEST_SUITE(tinymldelta_store, NULL, NULL, device_from_factory, NULL, NULL);

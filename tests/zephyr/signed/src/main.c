/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A firmware that takes signed patches only: a patch that is signed is taken; one that is not, one that
 * somebody else signed, and one with any byte changed are refused before flash is touched.
 */
#include <string.h>

#include <zephyr/ztest.h>

#include <tinymldelta/hmac.h>
#include <tinymldelta/zephyr.h>
#if defined(CONFIG_TMD_CRYPTO_PSA)
#include <tinymldelta/psa.h>
#endif

#include "tmd_models.h"

static const uint8_t target[] = {
#include <target.tflite.inc>
};
static const uint8_t unsigned_patch[] = {
#include <update.tmd.inc>
};
static const uint8_t signed_patch[] = {
#include <signed.tmd.inc>
};
static const uint8_t signed_by_another[] = {
#include <signed_other.tmd.inc>
};
#if defined(CONFIG_TMD_DECRYPT)
static const uint8_t sealed_patch[] = {
#include <sealed.tmd.inc>
};
#endif

static struct tmd_update update;
static struct tmd_model model;

/* The device's secret, as the patches are signed with: 0, 1, 2, ... */
static uint8_t secret[32];
static const struct tmd_hmac_key secrets[] = {{.number = 7, .secret = secret}};
static struct tmd_hmac hmac = {.secrets = secrets, .secrets_n = ARRAY_SIZE(secrets)};

static struct tmd_crypto crypto;

/* What the application brings: its secret, or a key pair that PSA holds. NULL: Kconfig's choice does. */
static const struct tmd_crypto *crypto_of_application(void)
{
	if (strcmp(CONFIG_TEST_SIGNATURE, "hmac") == 0) {
		for (size_t i = 0; i < sizeof(secret); i++) {
			secret[i] = (uint8_t)i;
		}
		tmd_hmac_init(&crypto, &hmac);
		return &crypto;
	}
#if defined(CONFIG_TMD_DECRYPT)
	static struct tmd_psa psa;
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	/* RFC 7748, 6.1: Bob's. */
	static const uint8_t pair[] = {
		0x5d, 0xab, 0x08, 0x7e, 0x62, 0x4a, 0x8a, 0x4b, 0x79, 0xe1, 0x7f,
		0x8b, 0x83, 0x80, 0x0e, 0xe6, 0x6f, 0x3b, 0xb1, 0x29, 0x26, 0x18,
		0xb6, 0xfd, 0x1c, 0x2f, 0x8b, 0x27, 0xff, 0x88, 0xe0, 0xeb,
	};

	if (psa.pair == 0u) {
		zassert_equal(psa_crypto_init(), PSA_SUCCESS);
		psa_set_key_type(&attributes,
				 PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_MONTGOMERY));
		psa_set_key_algorithm(&attributes, PSA_ALG_ECDH);
		psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_DERIVE);
		zassert_equal(psa_import_key(&attributes, pair, sizeof(pair), &psa.pair),
			      PSA_SUCCESS);
	}
	tmd_psa_init(&crypto, &psa);
	return &crypto;
#else
	return NULL;
#endif
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
	static uint8_t piece[256];
	uint32_t crc = 0;

	for (enum tmd_zephyr_part part = TMD_ZEPHYR_SLOT0; part < TMD_ZEPHYR_PARTS; part++) {
		for (uint32_t at = 0; at < tmd_digits.partitions[part].bytes; at += sizeof(piece)) {
			zassert_ok(flash_area_read(area_of(part), (off_t)at, piece, sizeof(piece)));
			crc = tmd_crc32(crc, piece, sizeof(piece));
		}
	}
	return crc;
}

/* A device as the factory ships it, just powered on. */
static void device_from_factory(void *fixture)
{
	const struct tmd_zephyr_model fresh = {
		.lock = tmd_digits.lock,
		.contract = tmd_digits.contract,
		.partitions = tmd_digits.partitions,
		.compiled_in = tmd_digits.compiled_in,
		.index = tmd_digits.index,
	};

	ARG_UNUSED(fixture);
	for (enum tmd_zephyr_part part = TMD_ZEPHYR_SLOT0; part < TMD_ZEPHYR_PARTS; part++) {
		const uint32_t bytes = tmd_digits.partitions[part].bytes;

		if (bytes != 0u) {
			zassert_ok(flash_area_erase(area_of(part), 0, bytes));
		}
	}
	tmd_digits = fresh;
	tmd_zephyr_set_crypto(crypto_of_application());
	zassert_equal(tmd_zephyr_open(&tmd_digits, &model), TMD_OK);
	tmd_zephyr_close(&tmd_digits, &model);
}

/* Send a patch, streamed; `flipped`: which byte of it is sent with its lowest bit changed. */
static int send(const uint8_t *bytes, size_t n, size_t flipped)
{
	int err = tmd_zephyr_lock(&tmd_digits);

	if (err == TMD_OK) {
		err = tmd_update_begin(&update, &tmd_digits.store);
	}
	for (size_t at = 0; err == TMD_OK && at < n; at++) {
		const uint8_t byte = at == flipped ? bytes[at] ^ 1u : bytes[at];

		err = tmd_update_write(&update, &byte, 1);
	}
	if (err == TMD_OK) {
		err = tmd_update_finish(&update);
	} else {
		tmd_update_abort(&update);
	}
	tmd_zephyr_unlock(&tmd_digits);
	return err;
}

static void expect_target(void)
{
	zassert_equal(tmd_zephyr_open(&tmd_digits, &model), TMD_OK);
	zassert_equal(model.bytes, sizeof(target));
	zassert_mem_equal(model.at, target, sizeof(target));
	tmd_zephyr_close(&tmd_digits, &model);
}

static void expect_refused(const uint8_t *bytes, size_t n, int status)
{
	const uint32_t crc = flash_crc();

	zassert_equal(send(bytes, n, n), status);
	zassert_equal(flash_crc(), crc);
}

ZTEST(tinymldelta_signed, test_signed)
{
	zassert_equal(send(signed_patch, sizeof(signed_patch), SIZE_MAX), TMD_OK);
	expect_target();
}

ZTEST(tinymldelta_signed, test_unsigned)
{
	expect_refused(unsigned_patch, sizeof(unsigned_patch), TMD_ERR_UNSIGNED);
}

ZTEST(tinymldelta_signed, test_signed_by_another)
{
	expect_refused(signed_by_another, sizeof(signed_by_another), TMD_ERR_KEY);
}

ZTEST(tinymldelta_signed, test_any_byte_changed)
{
	for (size_t at = 0; at < sizeof(signed_patch); at += at < 300u ? 1u : 97u) {
		zassert_not_equal(send(signed_patch, sizeof(signed_patch), at), TMD_OK, "%zu", at);
	}
	zassert_equal(tmd_zephyr_open(&tmd_digits, &model), TMD_OK);
	zassert_equal(model.slot, TMD_SLOT_COMPILED_IN);
	tmd_zephyr_close(&tmd_digits, &model);
}

static int refuse(void *ctx, const struct tmd_key *key, const uint8_t digest[32],
		  const uint8_t *signature)
{
	ARG_UNUSED(key);
	ARG_UNUSED(digest);
	ARG_UNUSED(signature);
	*(int *)ctx += 1;
	return TMD_ERR_CRYPTO;
}

ZTEST(tinymldelta_signed, test_the_application_s_port)
{
	int calls = 0;
	const struct tmd_crypto own = {.verify = refuse, .ctx = &calls};

	tmd_zephyr_set_crypto(&own);
	expect_refused(signed_patch, sizeof(signed_patch), TMD_ERR_CRYPTO);
	zassert_equal(calls, 1);
	tmd_zephyr_set_crypto(crypto_of_application());
	zassert_equal(send(signed_patch, sizeof(signed_patch), SIZE_MAX), TMD_OK);
	expect_target();
}

#if defined(CONFIG_TMD_DECRYPT)
ZTEST(tinymldelta_signed, test_encrypted)
{
	for (size_t at = 0; at < sizeof(sealed_patch); at += 61u) {
		zassert_not_equal(send(sealed_patch, sizeof(sealed_patch), at), TMD_OK, "%zu", at);
	}
	zassert_equal(send(sealed_patch, sizeof(sealed_patch), SIZE_MAX), TMD_OK);
	expect_target();
}
#endif

ZTEST_SUITE(tinymldelta_signed, NULL, NULL, device_from_factory, NULL, NULL);

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A small device in RAM for the harnesses of the store and of the management group: flash that
 * demands what flash demands, three models, and the patches between them. Built with
 * TMD_WRITE_BUFFER=128, so that an erase unit holds a record or a block of staging.
 */
#ifndef TESTS_FUZZ_FUZZ_DEVICE_H
#define TESTS_FUZZ_FUZZ_DEVICE_H

#include <tinymldelta/tinymldelta.h>

#include <core/metadata.h>
#include <store/records.h>

#include <encoder.h>

#include "fuzz_seal.h"

#define UNIT 128u     /* erase unit of slots and staging */
#define LOG_UNIT 256u /* and of the records: two in each */
#define SLOT_BYTES (2u * UNIT)
#define SLOT0_AT 0u
#define SLOT1_AT SLOT_BYTES
#define LOG_AT (2u * SLOT_BYTES)
#define LOG_BYTES (2u * LOG_UNIT)
#define STAGING_AT (LOG_AT + LOG_BYTES)
#define STAGING_BYTES (5u * UNIT)
#define FLASH_BYTES (STAGING_AT + STAGING_BYTES)
#define PLACES (LOG_BYTES / TMD_RECORD_SIZE)

#define MODELS 3u
#define MODEL_BYTES_MAX 72u
#define VERSION(model) ((model) + 1u)
#define PATCH_MAX 480u
#define LONG 150u /* bytes of the vendor's TLV of signed patches */

/* How a patch comes. */
enum { PATCH_PLAIN, PATCH_SIGNED, PATCH_SEALED, PATCH_FORMAT_1, PATCH_KINDS };

struct device {
	struct tmd_flash flash;
	struct tmd_contract contract;
	struct tmd_model_contract model;
	struct tmd_store_config config;
	struct tmd_store store;
	struct tmd_update update;
	uint8_t bytes[FLASH_BYTES];
	bool sealed;         /* is nothing to be written now? */
	uint32_t operations; /* reads, writes and erases to go until one fails; 0: none does */
	uint32_t bad_at;     /* bytes that cannot be read */
	uint32_t bad_bytes;
};

struct model {
	uint8_t bytes[MODEL_BYTES_MAX];
	uint32_t n;
	uint8_t sha256[32];
};

struct patch {
	uint8_t bytes[PATCH_MAX];
	uint32_t n;
};

static struct model models[MODELS];
static struct patch patches[PATCH_KINDS][MODELS][MODELS]; /* kind, from, to */

/* ---- flash ---- */

static const struct tmd_flash_run flash_runs[] = {
	{UNIT, 2u * SLOT_BYTES / UNIT}, {LOG_UNIT, LOG_BYTES / LOG_UNIT}, {UNIT, STAGING_BYTES / UNIT}};

static bool goes_wrong(struct device *device)
{
	return device->operations > 0u && --device->operations == 0u;
}

static bool is_on_flash(uint32_t offset, uint32_t bytes)
{
	return bytes > 0u && offset <= FLASH_BYTES && bytes <= FLASH_BYTES - offset;
}

static int flash_read(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	struct device *device = ctx;

	require(is_on_flash(offset, bytes), "a read outside of the flash");
	if (goes_wrong(device) || (offset < device->bad_at + device->bad_bytes &&
				   device->bad_at < offset + bytes)) {
		return -1;
	}
	memcpy(buf, &device->bytes[offset], bytes);
	return 0;
}

static uint32_t flash_unit(uint32_t offset)
{
	return offset >= LOG_AT && offset < STAGING_AT ? LOG_UNIT : UNIT;
}

static int flash_write(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	struct device *device = ctx;
	const uint32_t unit = device->flash.write_bytes;

	require(is_on_flash(offset, bytes), "a write outside of the flash");
	require(!device->sealed, "a write where nothing is to be written");
	require(offset % unit == 0u && bytes % unit == 0u, "a write that is not aligned");
	require(offset / flash_unit(offset) == (offset + bytes - 1u) / flash_unit(offset),
		"a write across erase units");
	for (uint32_t i = 0; (device->flash.flags & TMD_FLASH_NO_ERASE) == 0u && i < bytes; i++) {
		require(device->bytes[offset + i] == 0xFFu, "a write on what is not erased");
	}
	if (goes_wrong(device)) {
		/* Half of it is there, as after a cut. */
		memcpy(&device->bytes[offset], buf, bytes / 2u);
		return -1;
	}
	memcpy(&device->bytes[offset], buf, bytes);
	return 0;
}

static int flash_erase(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct device *device = ctx;

	require(is_on_flash(offset, bytes), "an erase outside of the flash");
	require(!device->sealed, "an erase where nothing is to be written");
	require(offset % flash_unit(offset) == 0u && bytes == flash_unit(offset),
		"an erase of what is no unit");
	if (goes_wrong(device)) {
		memset(&device->bytes[offset], 0xFF, bytes / 2u);
		return -1;
	}
	memset(&device->bytes[offset], 0xFF, bytes);
	return 0;
}

static const void *flash_map(void *ctx, uint32_t offset, uint32_t bytes)
{
	const struct device *device = ctx;

	require(is_on_flash(offset, bytes), "an address outside of the flash");
	return &device->bytes[offset];
}

/* ---- cryptography that is none ---- */

static const struct tmd_key signing_keys[] = {
	{fuzz_no_key, TMD_SIGNATURE_ED25519, {1, 2, 3, 4}},
	{NULL, TMD_SIGNATURE_AES_CMAC, {0, 0, 0, 0}},
};

static void sign(const uint8_t digest[32], uint8_t signature[16])
{
	for (uint32_t i = 0; i < 16u; i++) {
		signature[i] = (uint8_t)(digest[i] + 1u);
	}
}

static int verify(void *ctx, const struct tmd_key *key, const uint8_t digest[32],
		  const uint8_t *signature)
{
	uint8_t right[16];

	(void)ctx;
	sign(digest, right);
	return key->kind == TMD_SIGNATURE_AES_CMAC && memcmp(right, signature, sizeof(right)) == 0
		       ? TMD_OK
		       : TMD_ERR_SIGNATURE;
}

static const struct tmd_crypto crypto = {verify, fuzz_agree, fuzz_aes128, NULL};

/* ---- models and patches ---- */

static void make_models(void)
{
	for (uint32_t i = 0; i < MODELS; i++) {
		struct model *m = &models[i];

		m->n = 56u + 8u * i;
		for (uint32_t k = 0; k < m->n; k++) {
			m->bytes[k] = (uint8_t)(k * 3u + (k % 16u == 2u * i ? 77u * i : 0u));
		}
		fuzz_sha256(m->bytes, m->n, m->sha256);
	}
}

static uint8_t *put_tlv(uint8_t *p, uint8_t tag, uint32_t value)
{
	p[0] = tag;
	p[1] = 4;
	put_u32(&p[2], value);
	return p + 6;
}

/*
 * What a patch of format 2 says of its target: what the contract asks for, version and a note. A
 * vendor's TLV makes it longer than a chunk of an envelope, if it is to come in one.
 */
static uint8_t *put_metadata(uint8_t *p, uint32_t to, bool is_long)
{
	static const uint8_t named[] = {TMD_TLV_MODEL_NAME, 1, 'm', TMD_TLV_OPERATORS, 3, 1, 0x81, 1,
					TMD_TLV_NOTE,       2, 'h', 'i'};

	memcpy(p, named, sizeof(named));
	p = put_tlv(p + sizeof(named), TMD_TLV_REQ_ARENA_BYTES, 100);
	p = put_tlv(p, TMD_TLV_MODEL_VERSION, VERSION(to));
	if (is_long) {
		*p++ = TMD_TLV_VENDOR_FIRST;
		*p++ = LONG;
		memset(p, 7, LONG);
		p += LONG;
	}
	return p;
}

static void make_patch_1(struct patch *patch, uint32_t from, uint32_t to)
{
	uint8_t *p = patch->bytes;

	memset(p, 0, TMD_F1_HEADER_SIZE);
	p[0] = TMD_FORMAT_1;
	p[1] = TMD_DIGEST_SHA256;
	p[2] = 1;
	put_u32(&p[4], models[from].n);
	put_u32(&p[8], models[to].n);
	memcpy(&p[TMD_F1_HEADER_BASE_DIGEST], models[from].sha256, 32);
	memcpy(&p[TMD_F1_HEADER_TARGET_DIGEST], models[to].sha256, 32);
	p[TMD_F1_HEADER_META_BYTES] = 12;
	p = put_tlv(p + TMD_F1_HEADER_SIZE, TMD_TLV_REQ_ARENA_BYTES, 100);
	p = put_tlv(p, TMD_TLV_MODEL_VERSION, VERSION(to));
	memset(p, 0, TMD_F1_CHUNK_SIZE);
	p[TMD_F1_CHUNK_PAYLOAD_BYTES] = (uint8_t)models[to].n;
	memcpy(p + TMD_F1_CHUNK_SIZE, models[to].bytes, models[to].n);
	patch->n = (uint32_t)(p - patch->bytes) + TMD_F1_CHUNK_SIZE + models[to].n;
}

static void make_patch_2(struct patch *patch, uint32_t from, uint32_t to, bool is_signed)
{
	static const uint8_t info[] = TMD_SIGNED_INFO;
	const struct tmd_key *key = &signing_keys[1];
	struct tmd_encoder_result result;
	uint8_t tlvs[256], body[256], digest[32];
	const uint32_t tlvs_n = (uint32_t)(put_metadata(tlvs, to, is_signed) - tlvs);
	uint8_t *p = patch->bytes;
	struct tmd_sha256 sha;

	require(tmd_encode(models[from].bytes, models[from].n, models[to].bytes, models[to].n, NULL, 0,
			   0, 0, body, sizeof(body), NULL, &result) == TMD_OK,
		"a body");
	*p++ = (uint8_t)(TMD_FORMAT_2 | (is_signed ? TMD_F2_SIGNED : 0u));
	p = put_number(p, models[to].n);
	p = put_number(p, models[from].n);
	memcpy(p, models[from].sha256, TMD_F2_BASE_DIGEST_SIZE);
	p += TMD_F2_BASE_DIGEST_SIZE;
	memcpy(p, models[to].sha256, 32);
	p += is_signed ? TMD_F2_SIGNED_TARGET_DIGEST_SIZE : TMD_F2_TARGET_DIGEST_SIZE;
	if (is_signed) {
		p[TMD_F2_SIGNER_KIND] = key->kind;
		memcpy(&p[TMD_F2_SIGNER_KEY], key->id, sizeof(key->id));
		put_u32(&p[TMD_F2_SIGNER_BODY_CRC], fuzz_crc(0, body, result.bytes));
		p += TMD_F2_SIGNER_SIZE;
	}
	p = put_number(p, tlvs_n);
	memcpy(p, tlvs, tlvs_n);
	p = put_head_crc(p + tlvs_n, patch->bytes);
	if (is_signed) {
		tmd_sha256_init(&sha);
		tmd_sha256_update(&sha, info, sizeof(info) - 1u);
		tmd_sha256_update(&sha, patch->bytes, (size_t)(p - patch->bytes));
		(void)tmd_sha256_final(&sha, digest);
		sign(digest, p);
		p += 16;
	}
	memcpy(p, body, result.bytes);
	patch->n = (uint32_t)(p - patch->bytes) + result.bytes;
	require(patch->n <= PATCH_MAX, "room for the patch");
}

static void seal_patch(struct patch *patch, const struct patch *plain)
{
	require(FUZZ_SEALED(plain->n) <= PATCH_MAX, "room for the envelope");
	patch->n = fuzz_seal(patch->bytes, plain->bytes, plain->n);
}

/* Once, before the first input. */
static void make_patches(void)
{
	make_models();
	for (uint32_t from = 0; from < MODELS; from++) {
		for (uint32_t to = 0; to < MODELS; to++) {
			make_patch_2(&patches[PATCH_PLAIN][from][to], from, to, false);
			make_patch_2(&patches[PATCH_SIGNED][from][to], from, to, true);
			seal_patch(&patches[PATCH_SEALED][from][to],
				   &patches[PATCH_SIGNED][from][to]);
			make_patch_1(&patches[PATCH_FORMAT_1][from][to], from, to);
		}
	}
}

/* ---- the device ---- */

static const struct tmd_operator operators[] = {{0, 1, 3, 0x03}};

/* How a device is set up; an input's byte each. */
enum {
	SETUP_KEYS = 0x01,      /* signed patches only */
	SETUP_COMPILED_IN = 0x02,
	SETUP_NO_ERASE = 0x04,
	SETUP_STAGING = 0x08,
	SETUP_TRIAL = 0x30,     /* starts of one, in bits 4 and 5 */
	SETUP_WRITE_8 = 0x40,   /* write unit: 8 bytes, or 1 */
	SETUP_ROLLBACK = 0x80,  /* a model that is confirmed shuts out lower versions */
};

/* All but the flash's contents and the store's state. */
static void device_init(struct device *device, uint8_t setup)
{
	struct tmd_contract *contract = &device->contract;
	struct tmd_store_config *config = &device->config;
	const struct tmd_flash *flash = &device->flash;

	device->sealed = false;
	device->operations = 0;
	device->bad_bytes = 0;
	device->flash = (struct tmd_flash){
		.read = flash_read,
		.write = flash_write,
		.erase = flash_erase,
		.map = flash_map,
		.ctx = device,
		.runs = flash_runs,
		.runs_n = sizeof(flash_runs) / sizeof(flash_runs[0]),
		.write_bytes = (setup & SETUP_WRITE_8) != 0u ? 8u : 1u,
		.erased_value = 0xFF,
		.flags = (setup & SETUP_NO_ERASE) != 0u ? TMD_FLASH_NO_ERASE : 0u,
	};
	device->model = (struct tmd_model_contract){
		.name = "m",
		.id = 0x12345678u,
		.arena_bytes = 200,
		.slot_bytes = SLOT_BYTES,
		.version = VERSION(0),
		.model_bytes = models[0].n,
	};
	memcpy(device->model.model_sha256, models[0].sha256, 32);
	*contract = (struct tmd_contract){
		.wire_version = TMD_WIRE_VERSION,
		.accept = TMD_ACCEPT_UNGUARDED | TMD_ACCEPT_NO_DIGEST,
		.formats = 1u << TMD_FORMAT_1 | 1u << TMD_FORMAT_2,
		.decoder = TMD_DECODER_DEFAULT,
		.meta_kept = 64,
		.operators_n = 1,
		.models_n = 1,
		.erase_bytes = UNIT,
		.write_bytes = flash->write_bytes,
		.operators = operators,
		.models = &device->model,
		.keys = signing_keys,
		.sealed_keys = &fuzz_sealing_key,
	};
	if ((setup & SETUP_ROLLBACK) != 0u) {
		contract->accept |= TMD_ANTI_ROLLBACK;
	}
	if ((setup & SETUP_KEYS) != 0u) {
		contract->keys_n = 2;
		contract->sealed_keys_n = 1;
	}
	*config = (struct tmd_store_config){
		.contract = contract,
		.trial_starts = (setup & SETUP_TRIAL) >> 4,
		.slot = {{flash, SLOT0_AT, SLOT_BYTES}, {flash, SLOT1_AT, SLOT_BYTES}},
		.records = {flash, LOG_AT, LOG_BYTES},
		.compiled_in = (setup & SETUP_COMPILED_IN) != 0u ? models[0].bytes : NULL,
		.progress_bytes = UNIT,
		.crypto = &crypto,
	};
	if ((setup & SETUP_STAGING) != 0u) {
		config->staging = (struct tmd_region){flash, STAGING_AT, STAGING_BYTES};
	}
}

/* Which of the models has this digest; MODELS if none. */
static inline uint32_t model_of(const uint8_t sha256[32])
{
	uint32_t i = 0;

	while (i < MODELS && memcmp(models[i].sha256, sha256, 32) != 0) {
		i++;
	}
	return i;
}

#endif /* TESTS_FUZZ_FUZZ_DEVICE_H */

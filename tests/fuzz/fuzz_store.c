/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the store on flash that holds anything: one input is what a small device's flash holds, as
 * changes to what it held at some point of its life, and what is done with it then.
 *
 *	u8 setup of the device: SETUP_*
 *	u8 0x07 which flash, and what is not repaired: 0x08 CRC-32 of records, 0x10 digests of slots,
 *	   0x20 CRC-32 of their metadata, 0x40 blocks of staging
 *	u8 changes, each u16 where, u8 what; from FILL on a row of bytes
 *	the rest: what is done, see act()
 *
 * Of one input in 16, chosen by its own bytes, nothing is repaired.
 *
 * What must hold: no access outside, no write of what is not erased (the port); a mount writes
 * nothing; the active model is one whose digest a record had, the firmware's, or the target of a
 * patch, and its bytes have that digest; whatever is done, also with flash that fails now and then.
 * At exit it prints how often it ran, how often there was a valid record, and how often a model in a
 * slot was active because a record said so.
 */
#include <tinymldelta/staging.h>

#include "fuzz_device.h"

#define RAW_SHARE 16u
#define TEMPLATES 8u
#define FACTORY TEMPLATES /* one more, without a record: only where nothing is repaired */
#define CHANGES_MAX 24u
#define ACTS_MAX 10u
#define IN_LOG 0x8000u /* of a change: within the records */
#define FILL 0xE000u
#define KNOWN_MAX (2u * PLACES)

static uint8_t templates[TEMPLATES + 1u][FLASH_BYTES];

/* The running input's. */
static struct device device;
static struct tmd_staging staging;
static uint8_t known[KNOWN_MAX][TMD_ENTRY_DIGEST]; /* digests that records have */
static uint32_t known_n;

/* ---- what the flash holds ---- */

static int read_patch(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	const struct patch *patch = ctx;

	require(offset <= patch->n && bytes <= patch->n - offset, "a read outside of the patch");
	memcpy(buf, &patch->bytes[offset], bytes);
	return 0;
}

/* Send so many bytes of a patch, and finish or give up. */
static int stream(const struct patch *patch, uint32_t bytes, uint32_t piece)
{
	int err = tmd_update_begin(&device.update, &device.store);

	bytes = bytes < patch->n ? bytes : patch->n;
	for (uint32_t at = 0; at < bytes && err == TMD_OK; at += piece) {
		const uint32_t n = bytes - at < piece ? bytes - at : piece;
		/* From where no byte behind it is read unnoticed. */
		uint8_t copy[PATCH_MAX];

		memcpy(&copy[PATCH_MAX - n], &patch->bytes[at], n);
		err = tmd_update_write(&device.update, &copy[PATCH_MAX - n], n);
	}
	if (bytes < patch->n) {
		tmd_update_abort(&device.update);
		return err;
	}
	return err == TMD_OK ? tmd_update_finish(&device.update) : err;
}

/* Put a patch into the staging region, or what of it is not there yet. */
static int stage(const struct patch *patch)
{
	int err = tmd_staging_begin(&staging, &device.store, patch->n, 7);

	if (err == TMD_OK) {
		err = tmd_staging_write(&staging, &patch->bytes[staging.next],
					patch->n - staging.next);
	}
	return err;
}

static int mount(void)
{
	int err;

	device.sealed = true;
	err = tmd_store_mount(&device.store, &device.config);
	device.sealed = false;
	require(err == TMD_OK || err == TMD_ERR_NO_MODEL || device.operations == 0u,
		"a mount that says something else");
	return err;
}

/* What a device goes through, with a copy of its flash now and then. */
static void make_templates(void)
{
	struct tmd_model opened;
	bool well;

	device_init(&device, SETUP_STAGING | 2u << 4);
	memset(device.bytes, 0xFF, FLASH_BYTES);
	memcpy(device.bytes, models[0].bytes, models[0].n);
	memcpy(templates[FACTORY], device.bytes, FLASH_BYTES);
	well = mount() == TMD_OK;
	device.bad_at = SLOT1_AT;
	device.bad_bytes = 1;
	(void)stream(&patches[PATCH_PLAIN][0][1], PATCH_MAX, 64);
	memcpy(templates[0], device.bytes, FLASH_BYTES); /* an update has begun, and failed */
	device.bad_bytes = 0;
	well = well && mount() == TMD_OK &&
	       stream(&patches[PATCH_PLAIN][0][1], PATCH_MAX, 64) == TMD_OK;
	memcpy(templates[1], device.bytes, FLASH_BYTES); /* on trial */
	well = well && tmd_store_open(&device.store, &opened) == TMD_OK;
	memcpy(templates[2], device.bytes, FLASH_BYTES); /* started */
	tmd_store_close(&device.store, &opened);
	well = well && tmd_store_confirm(&device.store) == TMD_OK;
	memcpy(templates[3], device.bytes, FLASH_BYTES);
	well = well && stage(&patches[PATCH_PLAIN][1][2]) == TMD_OK;
	memcpy(templates[4], device.bytes, FLASH_BYTES); /* a patch is staged */
	device.operations = 60;
	(void)tmd_staging_apply(&staging, &device.update);
	memcpy(templates[5], device.bytes, FLASH_BYTES); /* and half applied */
	device.operations = 0;
	well = well && mount() == TMD_OK &&
	       tmd_staging_resume(&staging, &device.store, &device.update) == TMD_OK;
	memcpy(templates[6], device.bytes, FLASH_BYTES);
	well = well && tmd_store_revert(&device.store) == TMD_OK;
	memcpy(templates[7], device.bytes, FLASH_BYTES);
	require(well, "what a device goes through");
}

static void change(struct input *in)
{
	for (uint32_t n = take(in) % CHANGES_MAX; n > 0u; n--) {
		const uint32_t where = take_u16(in);
		const uint8_t what = take(in);
		uint32_t at = (where & IN_LOG) != 0u ? LOG_AT + where % LOG_BYTES
						     : where % FLASH_BYTES;

		if (where < FILL) {
			device.bytes[at] = what;
			continue;
		}
		for (uint32_t k = 0; k < what && at < FLASH_BYTES; k++, at++) {
			device.bytes[at] = take(in);
		}
	}
}

/* A slot's digest and the CRC-32 of its metadata, as an entry should have them. */
static void repair_entry(uint8_t *entry, uint32_t slot, uint8_t not)
{
	const uint8_t *bytes = &device.bytes[slot * SLOT_BYTES];
	const uint32_t n = get_u32(&entry[TMD_ENTRY_BYTES]);
	const uint32_t meta_bytes = entry[TMD_ENTRY_META_BYTES];
	uint8_t sha256[32];
	uint32_t at;

	if (n > SLOT_BYTES) {
		return;
	}
	if ((not & 0x10u) == 0u) {
		fuzz_sha256(bytes, n, sha256);
		memcpy(&entry[TMD_ENTRY_SHA256], sha256, TMD_ENTRY_DIGEST);
	}
	at = (n + device.flash.write_bytes - 1u) / device.flash.write_bytes * device.flash.write_bytes;
	if ((not & 0x20u) == 0u && meta_bytes > 0u && meta_bytes <= SLOT_BYTES - at) {
		put_u32(&entry[TMD_ENTRY_META_CRC], fuzz_crc(0, &bytes[at], meta_bytes));
	}
}

static void repair_staging(void)
{
	uint8_t *blocks = &device.bytes[STAGING_AT];
	uint8_t name[12];

	for (uint32_t i = 0; i < STAGING_BYTES / UNIT; i++) {
		put_u32(&name[0], i == 0u ? TMD_STAGING_MAGIC_VALUE
					  : get_u32(&blocks[TMD_STAGING_PATCH_ID]));
		put_u32(&name[4], i == 0u ? 0u : get_u32(&blocks[TMD_STAGING_UPDATES]));
		put_u32(&name[8], i);
		put_u32(&blocks[i * UNIT + UNIT - 4u],
			fuzz_crc(fuzz_crc(0, name, sizeof(name)), &blocks[i * UNIT], UNIT - 4u));
	}
}

/* Is it a record of this model? */
static bool is_valid(const uint8_t *record)
{
	return record[0] == (TMD_RECORD_MAGIC_VALUE & 255u) &&
	       record[1] == TMD_RECORD_MAGIC_VALUE >> 8 &&
	       record[TMD_RECORD_VERSION] == TMD_RECORD_VERSION_VALUE &&
	       (record[TMD_RECORD_ACTIVE] & TMD_ACTIVE_SLOT) <= TMD_ACTIVE_COMPILED_IN &&
	       get_u32(&record[TMD_RECORD_CRC]) ==
		       fuzz_crc(device.model.id, record, TMD_RECORD_CRC);
}

/* Mends what a record needs to be one, and notes its digests. */
static bool look_at_records(uint8_t not)
{
	bool any = false;

	known_n = 0;
	for (uint32_t i = 0; i < PLACES; i++) {
		uint8_t *record = &device.bytes[LOG_AT + i * TMD_RECORD_SIZE];

		if (get_u32(record) != UINT32_MAX && (not & 0x80u) == 0u) {
			record[0] = TMD_RECORD_MAGIC_VALUE & 255u;
			record[1] = TMD_RECORD_MAGIC_VALUE >> 8;
			record[TMD_RECORD_VERSION] = TMD_RECORD_VERSION_VALUE;
			record[TMD_RECORD_ACTIVE] &= TMD_ACTIVE_TRIAL | 3u;
			repair_entry(&record[TMD_RECORD_SLOT0], 0, not);
			repair_entry(&record[TMD_RECORD_SLOT1], 1, not);
			/* If not all, then one. */
			if ((not & 8u) == 0u || i == (not & 3u)) {
				put_u32(&record[TMD_RECORD_CRC],
					fuzz_crc(device.model.id, record, TMD_RECORD_CRC));
			}
		}
		if (is_valid(record)) {
			any = true;
			memcpy(known[known_n++], &record[TMD_RECORD_SLOT0 + TMD_ENTRY_SHA256],
			       TMD_ENTRY_DIGEST);
			memcpy(known[known_n++], &record[TMD_RECORD_SLOT1 + TMD_ENTRY_SHA256],
			       TMD_ENTRY_DIGEST);
		}
	}
	return any;
}

/* ---- what must hold ---- */

static bool is_known(const uint8_t sha256[32])
{
	for (uint32_t i = 0; i < known_n; i++) {
		if (memcmp(known[i], sha256, TMD_ENTRY_DIGEST) == 0) {
			return true;
		}
	}
	return model_of(sha256) < MODELS;
}

static void check_active(void)
{
	const struct tmd_active *active = &device.store.active;
	uint8_t sha256[32];

	if (active->slot == TMD_SLOT_NONE) {
		return;
	}
	if (active->slot == TMD_SLOT_COMPILED_IN) {
		require(device.config.compiled_in != NULL && active->bytes == models[0].n &&
				memcmp(active->sha256, models[0].sha256, 32) == 0,
			"the firmware's own model is another");
		return;
	}
	require(active->slot < 2u && active->bytes > 0u && active->bytes <= SLOT_BYTES,
		"an active model that is nowhere");
	fuzz_sha256(&device.bytes[active->slot * SLOT_BYTES], active->bytes, sha256);
	require(memcmp(sha256, active->sha256, 32) == 0, "the active model has another digest");
	require(is_known(sha256), "an active model that nobody knows");
}

/* ---- what is done ---- */

static const struct patch *choose(struct input *in, struct patch *changed)
{
	const uint8_t choice = take(in);
	const uint32_t kind = choice % PATCH_KINDS;
	const uint32_t active = model_of(device.store.active.sha256);
	const uint32_t from = (choice & 0x80u) == 0u && active < MODELS ? active : choice / 4u % 3u;
	const struct patch *patch = &patches[kind][from][choice / 16u % MODELS];

	if ((choice & 0x40u) == 0u) {
		return patch;
	}
	*changed = *patch;
	changed->bytes[take_u16(in) % changed->n] ^= take(in);
	return changed;
}

static void ask(struct input *in)
{
	struct tmd_store_info info;
	uint8_t buf[TMD_STORE_METADATA_MAX];
	const uint8_t tag = take(in);
	const uint32_t room = tag % sizeof(buf);
	const int value = tmd_store_metadata(&device.store, tag % 20u, buf, room);
	const int block = tmd_store_metadata_block(&device.store, buf, room);

	require(value <= (int)TMD_STORE_METADATA_MAX && block <= (int)TMD_STORE_METADATA_MAX,
		"more metadata than there can be");
	if (tmd_store_read(&device.store, tag, buf, room) == TMD_OK) {
		require(tag + room <= device.store.active.bytes, "a read behind the model");
	}
	if (device.store.active.slot != TMD_SLOT_NONE) {
		tmd_store_get_info(&device.store, &info);
	}
}

static void open_and_close(struct tmd_model *model, struct input *in)
{
	uint8_t buf[32];
	int err;

	if (model->slot != TMD_SLOT_NONE) {
		tmd_store_close(&device.store, model);
		return;
	}
	err = tmd_store_open(&device.store, model);
	if (err == TMD_OK) {
		require(model->slot == device.store.active.slot &&
				model->total_bytes == device.store.active.bytes &&
				model->bytes <= model->total_bytes && model->at != NULL,
			"what is open is not what is active");
		(void)!tmd_model_read(&device.store, model, take(in), buf, sizeof(buf));
	}
}

static void act(struct input *in, struct tmd_model *model)
{
	static struct patch changed;
	const uint8_t what = take(in);
	const struct patch *patch;

	switch (what % 16u) {
	case 0:
	case 1:
		open_and_close(model, in);
		break;
	case 2:
		ask(in);
		break;
	case 3:
		(void)!tmd_store_confirm(&device.store);
		break;
	case 4:
		(void)!tmd_store_revert(&device.store);
		break;
	case 5:
		(void)!tmd_store_forget(&device.store);
		break;
	case 6:
		device.operations = 1u + what / 16u + take(in);
		break;
	case 7:
		device.bad_at = take_u16(in) % FLASH_BYTES;
		device.bad_bytes = what / 16u;
		break;
	case 8: /* a reset */
		model->slot = TMD_SLOT_NONE;
		(void)!mount();
		break;
	case 9:
		memset(&staging, 0xA5, sizeof(staging));
		(void)!tmd_staging_resume(&staging, &device.store, &device.update);
		break;
	case 10:
	case 11:
		patch = choose(in, &changed);
		if (device.config.staging.flash != NULL && stage(patch) == TMD_OK) {
			(void)!tmd_staging_apply(&staging, &device.update);
		}
		break;
	case 12:
	case 13: {
		const struct tmd_source source = {read_patch, NULL, 0};
		struct tmd_source of = source;

		patch = choose(in, &changed);
		changed = *patch;
		of.ctx = &changed;
		of.bytes = changed.n;
		(void)!((what & 0x80u) != 0u
				? tmd_update_check(&device.update, &device.store, &of)
				: tmd_update_staged(&device.update, &device.store, &of));
		break;
	}
	default:
		patch = choose(in, &changed);
		(void)!stream(patch, (what & 0x80u) != 0u ? take(in) : patch->n,
			      1u + (what / 16u & 7u) * 19u);
		break;
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_begin();
	make_patches();
	make_templates();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input in = {data, bytes};
	struct tmd_model model = {.slot = TMD_SLOT_NONE};
	uint8_t setup, not;
	bool raw;
	int err;

	if (bytes < 3u) {
		return 0;
	}
	setup = take(&in);
	not = take(&in);
	device_init(&device, setup);
	raw = fuzz_hash(data, bytes) % RAW_SHARE == 0u;
	memcpy(device.bytes, templates[raw && not < 0x80u ? FACTORY : not % TEMPLATES], FLASH_BYTES);
	change(&in);
	not = (uint8_t)(raw ? 0xFFu : not & 0x7Fu);
	if ((not & 0x40u) == 0u && (setup & SETUP_STAGING) != 0u && not % TEMPLATES >= 4u) {
		repair_staging();
	}
	fuzz.runs++;
	fuzz.reached += look_at_records(not) ? 1u : 0u;
	memset(&device.store, 0xA5, sizeof(device.store));
	err = mount();
	require((err == TMD_OK) == (device.store.active.slot != TMD_SLOT_NONE),
		"mounted, and no model is active");
	check_active();
	fuzz.whole += device.store.newest != UINT32_MAX && device.store.active.slot < 2u;
	for (uint32_t n = 0; n < ACTS_MAX && in.left > 0u && err == TMD_OK; n++) {
		act(&in, &model);
		check_active();
		if (device.store.active.slot == TMD_SLOT_NONE) {
			err = TMD_ERR_NO_MODEL; /* which leaves nothing but to mount again */
		}
	}
	return 0;
}

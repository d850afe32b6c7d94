/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Records stand one behind the other in an erase unit; when it is full, the next unit is erased and
 * goes on. The unit with the newest record is never the one that is erased, so that a cut at any
 * moment leaves a valid record. Erased at every entry, whatever it holds: an erase that was cut may
 * read as done and not hold.
 */
#include <string.h>

#include "records.h"

#include "region.h"

#define MAGIC_AND_VERSION (TMD_RECORD_MAGIC_VALUE | (uint32_t)TMD_RECORD_VERSION_VALUE << 16)
_Static_assert(TMD_RECORD_MAGIC == 0u && TMD_RECORD_VERSION == 2u && TMD_RECORD_ACTIVE == 3u,
	       "the record begins with magic and version, and a byte");
_Static_assert(TMD_RECORD_SLOT1 == TMD_RECORD_SLOT0 + TMD_ENTRY_SIZE &&
		       TMD_RECORD_CRC == TMD_RECORD_SLOT1 + TMD_ENTRY_SIZE,
	       "the entries stand one behind the other");

/* Bytes that one record takes: its size rounded up to the write unit. */
static uint32_t stride_of(const struct tmd_region *region)
{
	const uint32_t unit = region->flash->write_bytes;

	return (TMD_RECORD_SIZE + unit - 1u) / unit * unit;
}

bool tmd_records_fit(const struct tmd_region *region)
{
	struct tmd_region_shape shape;

	return tmd_region_is_valid(region, &shape) && shape.units >= 2u &&
	       shape.smallest >= stride_of(region);
}

/* The place behind the one at `at`: in the same erase unit, else at the start of the next. */
static uint32_t next_place(const struct tmd_region *region, uint32_t at)
{
	const uint32_t stride = stride_of(region);
	uint32_t start = at;
	const uint32_t end = tmd_region_unit(region, at, &start) + start;

	return end - at >= 2u * stride ? at + stride : end;
}

/* Of the record in store->buf. It begins with the model's name, so that no other's record is right. */
static uint32_t crc_of(const struct tmd_store *store)
{
	const struct tmd_store_config *config = store->config;

	return tmd_crc32(config->contract->models[config->model].id, store->buf, TMD_RECORD_CRC);
}

/* Is it in store->buf, whole, and of this model? */
static bool is_ours(const struct tmd_store *store)
{
	const uint8_t *raw = store->buf;
	const uint8_t active = raw[TMD_RECORD_ACTIVE] & TMD_ACTIVE_SLOT;

	return (tmd_get_u32(raw) & 0xFFFFFFu) == MAGIC_AND_VERSION &&
	       active <= TMD_ACTIVE_COMPILED_IN &&
	       tmd_get_u32(&raw[TMD_RECORD_CRC]) == crc_of(store);
}

/* Newer by serial number arithmetic: right across the wrap at 2^32. */
static bool is_newer(uint32_t a, uint32_t b)
{
	return a - b - 1u < 0x7FFFFFFFu; /* ahead by 1 to 2^31 - 1 */
}

void tmd_records_load(struct tmd_store *store)
{
	const struct tmd_region *region = &store->config->records;
	uint8_t *record = store->record;

	memset(record, 0, TMD_RECORD_SIZE);
	record[TMD_RECORD_ACTIVE] = TMD_ACTIVE_COMPILED_IN;
	store->newest = UINT32_MAX;
	for (uint32_t at = 0; at < region->bytes; at = next_place(region, at)) {
		if (tmd_region_read(region, at, store->buf, TMD_RECORD_SIZE) == TMD_OK &&
		    is_ours(store) &&
		    (store->newest == UINT32_MAX ||
		     is_newer(tmd_get_u32(&store->buf[TMD_RECORD_SEQUENCE]),
			      tmd_get_u32(&record[TMD_RECORD_SEQUENCE])))) {
			memcpy(record, store->buf, TMD_RECORD_SIZE);
			store->newest = at;
		}
	}
	store->erases = tmd_get_u32(&record[TMD_RECORD_ERASES]);
}

/* The last word: erases count up to the one that made room for the record. */
static void seal(struct tmd_store *store)
{
	tmd_put_u32(&store->buf[TMD_RECORD_ERASES], store->erases);
	tmd_put_u32(&store->buf[TMD_RECORD_CRC], crc_of(store));
}

/*
 * Write the record in store->buf at the next place that takes it: behind store->newest in its unit,
 * else in the unit behind that one, freshly erased. Never erases a second unit.
 */
static int write_record(struct tmd_store *store)
{
	const struct tmd_region *region = &store->config->records;
	const bool erases = (region->flash->flags & TMD_FLASH_NO_ERASE) == 0u;
	const uint32_t stride = stride_of(region);
	uint32_t at = store->newest == UINT32_MAX ? 0u : next_place(region, store->newest);
	bool entered = false;
	int err = TMD_OK;

	for (;; at = next_place(region, at)) {
		uint32_t start;
		uint32_t unit;

		if (at == region->bytes) {
			at = 0;
		}
		unit = tmd_region_unit(region, at, &start);
		if (start == at) {
			if (entered) {
				return err;
			}
			entered = true;
			store->erases++;
			err = tmd_region_erase(region, at, unit);
			if (err != TMD_OK) {
				return err;
			}
		}
		/* What is not blank is a record that a cut tore: passed over. */
		if (entered || !erases || tmd_region_is_blank(region, at, stride)) {
			seal(store);
			store->written += stride;
			err = tmd_region_write(region, at, store->buf, stride);
			if (err == TMD_OK) {
				store->newest = at;
				return TMD_OK;
			}
		}
	}
}

uint8_t *tmd_records_draft(struct tmd_store *store)
{
	memcpy(store->buf, store->record, TMD_RECORD_SIZE);
	return store->buf;
}

int tmd_records_append(struct tmd_store *store)
{
	const struct tmd_region *region = &store->config->records;
	uint8_t *raw = store->buf;
	const uint32_t sequence = tmd_get_u32(&store->record[TMD_RECORD_SEQUENCE]) + 1u;
	int err;

	tmd_put_u32(&store->record[TMD_RECORD_SEQUENCE], sequence);
	tmd_put_u32(raw, MAGIC_AND_VERSION | (uint32_t)raw[TMD_RECORD_ACTIVE] << 24);
	tmd_put_u32(&raw[TMD_RECORD_SEQUENCE], sequence);
	memset(&raw[TMD_RECORD_SIZE], region->flash->erased_value,
	       stride_of(region) - TMD_RECORD_SIZE);
	err = write_record(store);
	if (err == TMD_OK) {
		memcpy(store->record, raw, TMD_RECORD_SIZE);
	}
	return err;
}

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

#include "../core/bytes.h"
#include "region.h"

/* Magic, version and slot as one number: the slot is 0 or 1. */
#define MAGIC_AND_VERSION (TMD_RECORD_MAGIC_VALUE | (uint32_t)TMD_RECORD_VERSION_VALUE << 16)
#define SLOT_BIT 0x01000000u
_Static_assert(TMD_RECORD_MAGIC == 0u && TMD_RECORD_VERSION == 2u && TMD_RECORD_SLOT == 3u,
	       "the record begins with one number");

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

static bool read_record(const struct tmd_region *region, uint32_t offset, struct tmd_record *record)
{
	uint8_t raw[TMD_RECORD_SIZE];

	if (tmd_region_read(region, offset, raw, sizeof(raw)) != TMD_OK ||
	    (tmd_get_u32(&raw[TMD_RECORD_MAGIC]) & ~SLOT_BIT) != MAGIC_AND_VERSION ||
	    tmd_get_u32(&raw[TMD_RECORD_CRC]) != tmd_crc32(0, raw, TMD_RECORD_CRC)) {
		return false;
	}
	record->sequence = tmd_get_u32(&raw[TMD_RECORD_SEQUENCE]);
	record->offset = offset;
	record->bytes = tmd_get_u32(&raw[TMD_RECORD_MODEL_BYTES]);
	record->slot = raw[TMD_RECORD_SLOT];
	memcpy(record->sha256, &raw[TMD_RECORD_MODEL_SHA256], sizeof(record->sha256));
	return true;
}

/* Newer by serial number arithmetic: right across the wrap at 2^32. */
static bool is_newer(uint32_t a, uint32_t b)
{
	return a - b - 1u < 0x7FFFFFFFu; /* ahead by 1 to 2^31 - 1 */
}

bool tmd_records_newest(const struct tmd_region *region, uint8_t slot, struct tmd_record *record)
{
	bool found = false;

	for (uint32_t at = 0; at < region->bytes; at = next_place(region, at)) {
		struct tmd_record candidate;

		if (read_record(region, at, &candidate) &&
		    (slot == TMD_SLOT_NONE || candidate.slot == slot) &&
		    (!found || is_newer(candidate.sequence, record->sequence))) {
			*record = candidate;
			found = true;
		}
	}
	return found;
}

static bool is_blank(const struct tmd_region *region, uint32_t offset, uint32_t bytes)
{
	uint8_t piece[TMD_COMPARE_PIECE];

	memset(piece, region->flash->erased_value, sizeof(piece));
	while (bytes > 0u) {
		const uint32_t n = tmd_min_u32(bytes, TMD_COMPARE_PIECE);

		if (!tmd_region_equals(region, offset, piece, n)) {
			return false;
		}
		offset += n;
		bytes -= n;
	}
	return true;
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
			err = tmd_region_erase(region, at, unit);
			if (err != TMD_OK) {
				return err;
			}
		}
		/* What is not blank is a record that a cut tore: passed over. */
		if (entered || !erases || is_blank(region, at, stride)) {
			err = tmd_region_write(region, at, store->buf, stride);
			if (err == TMD_OK) {
				store->newest = at;
				return TMD_OK;
			}
		}
	}
}

int tmd_records_append(struct tmd_store *store, const struct tmd_active *active)
{
	const struct tmd_region *region = &store->config->records;
	uint8_t *raw = store->buf;

	memset(raw, region->flash->erased_value, stride_of(region));
	tmd_put_u32(&raw[TMD_RECORD_MAGIC], MAGIC_AND_VERSION | (active->slot * SLOT_BIT));
	/* A record that is reported as failed may be there: its number is used up. */
	tmd_put_u32(&raw[TMD_RECORD_SEQUENCE], ++store->sequence);
	tmd_put_u32(&raw[TMD_RECORD_MODEL_BYTES], active->bytes);
	memcpy(&raw[TMD_RECORD_MODEL_SHA256], active->sha256, sizeof(active->sha256));
	tmd_put_u32(&raw[TMD_RECORD_CRC], tmd_crc32(0, raw, TMD_RECORD_CRC));
	return write_record(store);
}

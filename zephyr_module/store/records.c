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

/* Bytes that one record takes: its size rounded up to the write unit. */
static uint32_t stride_of(const struct tmd_region *region)
{
	const uint32_t unit = region->flash->write_bytes;

	return (TMD_RECORD_SIZE + unit - 1u) / unit * unit;
}

bool tmd_records_fit(const struct tmd_region *region)
{
	uint32_t units = 0;

	for (uint32_t at = 0; at < region->bytes; units++) {
		const uint32_t unit = tmd_region_unit(region, at);

		if (unit < stride_of(region)) {
			return false;
		}
		at += unit;
	}
	return units >= 2u;
}

static bool read_record(const struct tmd_region *region, uint32_t offset, struct tmd_record *record)
{
	uint8_t raw[TMD_RECORD_SIZE];

	if (tmd_region_read(region, offset, raw, sizeof(raw)) != TMD_OK ||
	    tmd_get_u16(&raw[TMD_RECORD_MAGIC]) != TMD_RECORD_MAGIC_VALUE ||
	    raw[TMD_RECORD_VERSION] != TMD_RECORD_VERSION_VALUE || raw[TMD_RECORD_SLOT] > 1u ||
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
	const uint32_t ahead = a - b;

	return ahead != 0u && ahead < 0x80000000u;
}

bool tmd_records_newest(const struct tmd_region *region, uint8_t slot, struct tmd_record *record)
{
	const uint32_t stride = stride_of(region);
	bool found = false;
	uint32_t unit;

	for (uint32_t start = 0; start < region->bytes; start += unit) {
		unit = tmd_region_unit(region, start);
		for (uint32_t at = 0; at + stride <= unit; at += stride) {
			struct tmd_record candidate;

			if (read_record(region, start + at, &candidate) &&
			    (slot == TMD_SLOT_NONE || candidate.slot == slot) &&
			    (!found || is_newer(candidate.sequence, record->sequence))) {
				*record = candidate;
				found = true;
			}
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
 * Write the record in store->buf at the next place that takes it: in the unit of the newest record,
 * else, freshly erased, at the start of the unit behind it.
 */
static int write_record(struct tmd_store *store, uint32_t *written)
{
	const struct tmd_region *region = &store->config->records;
	const bool erases = (region->flash->flags & TMD_FLASH_NO_ERASE) == 0u;
	const uint32_t stride = stride_of(region);
	uint32_t start = 0; /* of the unit to go on in */
	uint32_t unit = 0;
	int err;

	if (store->newest != UINT32_MAX) {
		while (store->newest - start >= (unit = tmd_region_unit(region, start))) {
			start += unit;
		}
		for (uint32_t at = store->newest + stride; at + stride <= start + unit;
		     at += stride) {
			/* What is not blank is a record that a cut tore: passed over. */
			if (erases && !is_blank(region, at, stride)) {
				continue;
			}
			err = tmd_region_write(region, at, store->buf, stride);
			if (err == TMD_OK) {
				*written = at;
				return TMD_OK;
			}
		}
		start += unit;
		if (start == region->bytes) {
			start = 0;
		}
	}
	err = tmd_region_erase(region, start, tmd_region_unit(region, start));
	if (err == TMD_OK) {
		err = tmd_region_write(region, start, store->buf, stride);
	}
	*written = start;
	return err;
}

int tmd_records_append(struct tmd_store *store, const struct tmd_active *active)
{
	const struct tmd_region *region = &store->config->records;
	uint8_t *raw = store->buf;
	uint32_t written = 0;
	int err;

	memset(raw, region->flash->erased_value, stride_of(region));
	tmd_put_u16(&raw[TMD_RECORD_MAGIC], TMD_RECORD_MAGIC_VALUE);
	raw[TMD_RECORD_VERSION] = TMD_RECORD_VERSION_VALUE;
	raw[TMD_RECORD_SLOT] = active->slot;
	tmd_put_u32(&raw[TMD_RECORD_SEQUENCE], store->sequence + 1u);
	tmd_put_u32(&raw[TMD_RECORD_MODEL_BYTES], active->bytes);
	memcpy(&raw[TMD_RECORD_MODEL_SHA256], active->sha256, sizeof(active->sha256));
	tmd_put_u32(&raw[TMD_RECORD_CRC], tmd_crc32(0, raw, TMD_RECORD_CRC));

	err = write_record(store, &written);
	if (err == TMD_OK) {
		store->newest = written;
		store->sequence++;
	}
	return err;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "region.h"

uint32_t tmd_region_unit(const struct tmd_region *region, uint32_t offset, uint32_t *start)
{
	const struct tmd_flash *flash = region->flash;
	uint32_t into = region->offset + offset; /* into what is left of the device */

	for (uint32_t i = 0; i < flash->runs_n; i++) {
		const uint32_t unit = flash->runs[i].bytes;
		const uint32_t count = flash->runs[i].count;

		if (unit == 0u || count > TMD_MODEL_MAX / unit) {
			return 0;
		}
		if (into < unit * count) {
			*start = offset - into % unit;
			return unit;
		}
		into -= unit * count;
	}
	return 0;
}

bool tmd_region_is_valid(const struct tmd_region *region, struct tmd_region_shape *shape)
{
	const struct tmd_flash *flash = region->flash;

	shape->units = 0;
	shape->smallest = UINT32_MAX;
	shape->largest = 0;
	if (flash == NULL || flash->write_bytes == 0u ||
	    TMD_WRITE_BUFFER % flash->write_bytes != 0u || region->bytes > TMD_MODEL_MAX ||
	    region->offset > TMD_MODEL_MAX) {
		return false;
	}
	for (uint32_t at = 0; at < region->bytes; shape->units++) {
		uint32_t start;
		const uint32_t unit = tmd_region_unit(region, at, &start);

		if (unit == 0u || start != at || unit > region->bytes - at ||
		    unit % flash->write_bytes != 0u) {
			return false;
		}
		shape->smallest = unit < shape->smallest ? unit : shape->smallest;
		shape->largest = unit > shape->largest ? unit : shape->largest;
		at += unit;
	}
	return shape->units > 0u;
}

static bool is_inside(const struct tmd_region *region, uint32_t offset, uint32_t bytes)
{
	return offset <= region->bytes && bytes <= region->bytes - offset;
}

int tmd_region_read(const struct tmd_region *region, uint32_t offset, void *buf, uint32_t bytes)
{
	const struct tmd_flash *flash = region->flash;

	if (!is_inside(region, offset, bytes) ||
	    flash->read(flash->ctx, region->offset + offset, buf, bytes) != 0) {
		return TMD_ERR_FLASH_READ;
	}
	return TMD_OK;
}

int tmd_region_erase(const struct tmd_region *region, uint32_t offset, uint32_t bytes)
{
	const struct tmd_flash *flash = region->flash;

	if ((flash->flags & TMD_FLASH_NO_ERASE) != 0u) {
		return TMD_OK;
	}
	if (!is_inside(region, offset, bytes) ||
	    flash->erase(flash->ctx, region->offset + offset, bytes) != 0) {
		return TMD_ERR_FLASH_ERASE;
	}
	return TMD_OK;
}

int tmd_region_write(const struct tmd_region *region, uint32_t offset, const uint8_t *buf,
		     uint32_t bytes)
{
	const struct tmd_flash *flash = region->flash;

	if (!is_inside(region, offset, bytes) ||
	    flash->write(flash->ctx, region->offset + offset, buf, bytes) != 0) {
		return TMD_ERR_FLASH_WRITE;
	}
	/* A write may be acknowledged and not done, and a worn cell may keep its old value. */
	return tmd_region_equals(region, offset, buf, bytes) ? TMD_OK : TMD_ERR_FLASH_VERIFY;
}

bool tmd_region_equals(const struct tmd_region *region, uint32_t offset, const uint8_t *buf,
		       uint32_t bytes)
{
	uint8_t piece[TMD_COMPARE_PIECE];

	while (bytes > 0u) {
		const uint32_t n = bytes < sizeof(piece) ? bytes : (uint32_t)sizeof(piece);

		if (tmd_region_read(region, offset, piece, n) != TMD_OK ||
		    memcmp(piece, buf, n) != 0) {
			return false;
		}
		offset += n;
		buf += n;
		bytes -= n;
	}
	return true;
}

bool tmd_region_is_blank(const struct tmd_region *region, uint32_t offset, uint32_t bytes)
{
	uint8_t piece[TMD_COMPARE_PIECE];

	memset(piece, region->flash->erased_value, sizeof(piece));
	while (bytes > 0u) {
		const uint32_t n = bytes < sizeof(piece) ? bytes : (uint32_t)sizeof(piece);

		if (!tmd_region_equals(region, offset, piece, n)) {
			return false;
		}
		offset += n;
		bytes -= n;
	}
	return true;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "region.h"

/* The erase unit of the device that contains `offset`: its start and size. False if there is none. */
static bool find_unit(const struct tmd_flash *flash, uint32_t offset, uint32_t *start,
		      uint32_t *bytes)
{
	uint32_t begin = 0;

	for (uint32_t i = 0; i < flash->runs_n; i++) {
		const struct tmd_flash_run *run = &flash->runs[i];

		if (run->bytes == 0u || run->count > (UINT32_MAX - begin) / run->bytes) {
			return false;
		}
		if (offset - begin < run->bytes * run->count) {
			*start = offset - (offset - begin) % run->bytes;
			*bytes = run->bytes;
			return true;
		}
		begin += run->bytes * run->count;
	}
	return false;
}

uint32_t tmd_region_unit(const struct tmd_region *region, uint32_t offset)
{
	uint32_t start;
	uint32_t bytes;

	if (offset >= region->bytes ||
	    !find_unit(region->flash, region->offset + offset, &start, &bytes) ||
	    start != region->offset + offset || bytes > region->bytes - offset) {
		return 0;
	}
	return bytes;
}

bool tmd_region_is_valid(const struct tmd_region *region, uint32_t *largest)
{
	const struct tmd_flash *flash = region->flash;

	*largest = 0;
	if (flash == NULL || flash->write_bytes == 0u || flash->write_bytes > TMD_WRITE_BUFFER ||
	    TMD_WRITE_BUFFER % flash->write_bytes != 0u || region->bytes > TMD_MODEL_MAX ||
	    region->offset > TMD_MODEL_MAX) {
		return false;
	}
	for (uint32_t at = 0; at < region->bytes;) {
		const uint32_t unit = tmd_region_unit(region, at);

		if (unit == 0u || unit % flash->write_bytes != 0u) {
			return false;
		}
		if (unit > *largest) {
			*largest = unit;
		}
		at += unit;
	}
	return *largest != 0u;
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

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The flash port: each partition of the flash map is a flash device of its own.
 */
#include <string.h>

#include <zephyr/drivers/flash.h>
#include <zephyr/logging/log.h>

#if defined(CONFIG_FLASH_SIMULATOR)
#include <zephyr/drivers/flash/flash_simulator.h>
#endif

#include "port.h"

LOG_MODULE_DECLARE(tinymldelta, CONFIG_TMD_LOG_LEVEL);

static int read_flash(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	const struct tmd_zephyr_region *region = ctx;

#if defined(CONFIG_TMD_FLASH_ECC_STM32)
	return tmd_zephyr_read_ecc(region->area, offset, buf, bytes);
#else
	return flash_area_read(region->area, (off_t)offset, buf, bytes);
#endif
}

static int write_flash(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	const struct tmd_zephyr_region *region = ctx;

	return flash_area_write(region->area, (off_t)offset, buf, bytes);
}

static int erase_flash(void *ctx, uint32_t offset, uint32_t bytes)
{
	const struct tmd_zephyr_region *region = ctx;

	return flash_area_erase(region->area, (off_t)offset, bytes);
}

static const void *map_flash(void *ctx, uint32_t offset, uint32_t bytes)
{
	const struct tmd_zephyr_region *region = ctx;

	(void)bytes; /* a partition is mapped as a whole */
	return (const uint8_t *)region->mapped + offset;
}

/* The address of the partition in the CPU's view, or NULL. */
static const void *address_of(const struct tmd_zephyr_region *region)
{
#if defined(CONFIG_FLASH_SIMULATOR)
	const struct device *device = flash_area_get_device(region->area);

	/* The simulator keeps its flash in memory; where, only it knows. */
	if (device == DEVICE_DT_GET_ANY(zephyr_sim_flash)) {
		size_t bytes;
		const uint8_t *memory = flash_simulator_get_memory(device, &bytes);

		return memory == NULL ? NULL : memory + region->area->fa_off;
	}
#endif
	return region->partition->mapped;
}

/* Does the flash need no erase before it is programmed? */
static bool needs_no_erase(const struct flash_parameters *parameters)
{
#if defined(FLASH_ERASE_C_EXPLICIT) /* since Zephyr 3.7 */
	return (flash_params_get_erase_cap(parameters) & FLASH_ERASE_C_EXPLICIT) == 0;
#else
	(void)parameters;
	return false;
#endif
}

/* Its pages, from the driver's layout, as runs of equal ones. */
static bool find_runs(struct tmd_zephyr_region *region, const struct device *device)
{
	const uint32_t end = (uint32_t)region->area->fa_off + region->partition->bytes;
	struct tmd_flash_run *run = NULL;

	for (uint32_t at = (uint32_t)region->area->fa_off; at < end;) {
		struct flash_pages_info page;

		if (flash_get_page_info_by_offs(device, (off_t)at, &page) != 0 || page.size == 0u) {
			LOG_ERR("%s has no page at 0x%x", device->name, at);
			return false;
		}
		if ((uint32_t)page.start_offset != at || page.size > end - at) {
			LOG_ERR("a partition from 0x%x to 0x%x is no row of whole pages of %s",
				(uint32_t)region->area->fa_off, end, device->name);
			return false;
		}
		if (run == NULL || run->bytes != (uint32_t)page.size) {
			if (region->flash.runs_n == ARRAY_SIZE(region->runs)) {
				LOG_ERR("more sizes of pages than CONFIG_TMD_FLASH_RUNS=%u",
					(unsigned int)ARRAY_SIZE(region->runs));
				return false;
			}
			run = &region->runs[region->flash.runs_n++];
			run->bytes = (uint32_t)page.size;
			run->count = 0;
		}
		run->count++;
		at += (uint32_t)page.size;
	}
	return true;
}

bool tmd_zephyr_region_init(struct tmd_zephyr_region *region,
			    const struct tmd_zephyr_partition *partition)
{
	const struct device *device;
	const struct flash_parameters *parameters;
	int err;

	memset(region, 0, sizeof(*region));
	region->partition = partition;
	err = flash_area_open(partition->id, &region->area);
	if (err != 0) {
		LOG_ERR("partition %u cannot be opened: %d", partition->id, err);
		return false;
	}
	device = flash_area_get_device(region->area);
	if (device == NULL || !device_is_ready(device)) {
		LOG_ERR("the flash device of partition %u is not ready", partition->id);
		return false;
	}
	parameters = flash_get_parameters(device);
	region->flash.runs = region->runs;
	region->flash.write_bytes = (uint32_t)parameters->write_block_size;
	region->flash.erased_value = parameters->erase_value;
	region->flash.flags = needs_no_erase(parameters) ? TMD_FLASH_NO_ERASE : 0u;
	if (!find_runs(region, device)) {
		return false;
	}
	region->mapped = address_of(region);
	region->flash.read = read_flash;
	region->flash.write = write_flash;
	region->flash.erase = erase_flash;
	region->flash.map = region->mapped == NULL ? NULL : map_flash;
	region->flash.ctx = region;
	return true;
}

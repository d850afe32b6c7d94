/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reads and writes of RAM are a memcpy, which stands for what a driver does. An erase takes no time
 * unless the unit was written, so that setting memory is not taken for work of the processor.
 */
#include "device_flash.h"

#include <stdbool.h>
#include <string.h>

#define UNITS_MAX 4096u

struct device_flash_counts device_flash_counts;

static uint8_t *memory;
static uint32_t unit_bytes, units_n;

#if defined(DEVICE_NVMC)

/* nRF51 Series Reference Manual 3.0, chapter 6. */
#define NVMC_CONFIG (*(volatile uint32_t *)0x4001E504u)
#define NVMC_ERASEPAGE (*(volatile uint32_t *)0x4001E508u)
#define NVMC_READ 0u
#define NVMC_WRITE 1u
#define NVMC_ERASE 2u
#define NVMC_PAGE 1024u

static void erase_unit(uint32_t offset)
{
	NVMC_CONFIG = NVMC_ERASE;
	for (uint32_t at = offset; at < offset + unit_bytes; at += NVMC_PAGE) {
		NVMC_ERASEPAGE = (uint32_t)(uintptr_t)(memory + at);
	}
	NVMC_CONFIG = NVMC_READ;
}

static void program(uint32_t offset, const void *buf, uint32_t bytes)
{
	volatile uint32_t *to = (volatile uint32_t *)(void *)(memory + offset);
	const uint32_t *from = buf;

	NVMC_CONFIG = NVMC_WRITE;
	for (uint32_t i = 0; i < bytes / sizeof(*to); i++) {
		to[i] = from[i];
	}
	NVMC_CONFIG = NVMC_READ;
}

#else

static bool written[UNITS_MAX];

static void erase_unit(uint32_t offset)
{
	if (written[offset / unit_bytes]) {
		memset(memory + offset, 0xFF, unit_bytes);
		written[offset / unit_bytes] = false;
	}
}

static void program(uint32_t offset, const void *buf, uint32_t bytes)
{
	memcpy(memory + offset, buf, bytes);
	written[offset / unit_bytes] = true;
}

#endif

static int flash_read(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	(void)ctx;
	device_flash_counts.reads++;
	device_flash_counts.read += bytes;
	memcpy(buf, memory + offset, bytes);
	return 0;
}

static int flash_write(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	(void)ctx;
	device_flash_counts.writes++;
	device_flash_counts.written += bytes;
	program(offset, buf, bytes);
	return 0;
}

static int flash_erase(void *ctx, uint32_t offset, uint32_t bytes)
{
	(void)ctx;
	(void)bytes;
	device_flash_counts.erases++;
	erase_unit(offset);
	return 0;
}

void device_flash_init(struct tmd_flash *flash, struct tmd_flash_run *run, uint8_t *at,
		       uint32_t erase_bytes, uint32_t units, uint32_t write_bytes)
{
	memory = at;
	unit_bytes = erase_bytes;
	units_n = units;
	*run = (struct tmd_flash_run){erase_bytes, units};
	*flash = (struct tmd_flash){
		.read = flash_read,
		.write = flash_write,
		.erase = flash_erase,
		.runs = run,
		.runs_n = 1,
		.write_bytes = write_bytes,
		.erased_value = 0xFF,
	};
}

void device_flash_blank(uint32_t offset)
{
#if !defined(DEVICE_NVMC)
	memset(written, true, sizeof(written)); /* what the loader or a run before has left */
#endif
	for (; offset < units_n * unit_bytes; offset += unit_bytes) {
		erase_unit(offset);
	}
}

const uint8_t *device_flash_at(uint32_t offset)
{
	return memory + offset;
}

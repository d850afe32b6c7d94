/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Flash that counts what is done to it: RAM in any geometry, or, with DEVICE_NVMC, the flash of QEMU's
 * nRF51 behind its controller, in units of whole pages of 1 KB.
 */
#ifndef TMD_DEVICE_FLASH_H
#define TMD_DEVICE_FLASH_H

#include <tinymldelta/flash.h>

/* Operations, and bytes; whoever wants to know since when sets them to 0. */
struct device_flash_counts {
	uint32_t erases, writes, written, reads, read;
};
extern struct device_flash_counts device_flash_counts;

/* `units` erase units of `erase_bytes` from address `at` on. `flash` and `run` stay the caller's. */
void device_flash_init(struct tmd_flash *flash, struct tmd_flash_run *run, uint8_t *at,
		       uint32_t erase_bytes, uint32_t units, uint32_t write_bytes);

/* Erase all from `offset` on, a bound of units. */
void device_flash_blank(uint32_t offset);

const uint8_t *device_flash_at(uint32_t offset);

#endif /* TMD_DEVICE_FLASH_H */

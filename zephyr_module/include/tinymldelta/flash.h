/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The flash port: what a platform gives the store. Fill one struct tmd_flash per flash device;
 * ports/sim is one.
 *
 * The functions return 0, or any other value if the operation failed: it may then be not done,
 * partly done or done. Offsets are relative to the device's start. The core keeps within bounds and
 * alignment, and never asks for 0 bytes.
 */
#ifndef TINYMLDELTA_FLASH_H
#define TINYMLDELTA_FLASH_H

#ifndef TMD_CDEF
#include <stddef.h>
#include <stdint.h>
#endif

#include "config.h"
#include "wire.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

/* `count` erase units of `bytes` each, one behind the other. */
struct tmd_flash_run {
	uint32_t bytes;
	uint32_t count;
};

enum tmd_flash_flags {
	/* The flash can be programmed without an erase before it (RRAM, MRAM, FRAM, EEPROM). */
	TMD_FLASH_NO_ERASE = 0x01
};

struct tmd_flash {
	/* Any alignment and length. Must return, with an error, where a half-written unit faults. */
	int (*read)(void *ctx, uint32_t offset, void *buf, uint32_t bytes);
	/*
	 * Offset and length are multiples of write_bytes; the range lies within one erase unit. So
	 * is the address of `buf`, up to the alignment of a uint64_t.
	 */
	int (*write)(void *ctx, uint32_t offset, const void *buf, uint32_t bytes);
	/* Exactly one erase unit. Not called with TMD_FLASH_NO_ERASE; may then be NULL. */
	int (*erase)(void *ctx, uint32_t offset, uint32_t bytes);
	/*
	 * Address at which `bytes` from `offset` can be read as memory, or NULL. May be NULL. It is
	 * asked for nothing but models, each byte of which was read by `read`, without an error,
	 * since it was written: nothing half-written is reached through memory, where it would fault.
	 */
	const void *(*map)(void *ctx, uint32_t offset, uint32_t bytes);
	void *ctx; /* handed to the functions; owned by the port */

	const struct tmd_flash_run *runs; /* from offset 0 on, in order; owned by the port */
	uint32_t runs_n;
	uint32_t write_bytes; /* 1 to TMD_WRITE_UNIT_MAX, a divisor of TMD_WRITE_BUFFER */
	uint8_t erased_value; /* what an erased byte reads as: 0xFF, or 0x00 */
	uint8_t flags;        /* TMD_FLASH_* */
};

/* Part of a flash device; begins and ends at bounds of erase units. */
struct tmd_region {
	const struct tmd_flash *flash;
	uint32_t offset;
	uint32_t bytes;
};

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_FLASH_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Regions of flash: bounds, erase units, and writes that are read back. Offsets are relative to the
 * region. All of the store's flash access goes through here.
 */
#ifndef TMD_STORE_REGION_H
#define TMD_STORE_REGION_H

#include <stdbool.h>

#include <tinymldelta/flash.h>

/* Bytes on the stack for comparing flash with memory. */
#define TMD_COMPARE_PIECE 32u

/* Bytes on the stack for reading flash where no buffer is free. */
#define TMD_READ_PIECE 64u

/* What a region is made of. Sizes in bytes. */
struct tmd_region_shape {
	uint32_t units;    /* erase units */
	uint32_t smallest; /* of them */
	uint32_t largest;
};

/*
 * Is the region well-formed: a port with a usable geometry, bounds within the device and at bounds
 * of erase units?
 */
bool tmd_region_is_valid(const struct tmd_region *region, struct tmd_region_shape *shape);

/* Size of the erase unit that contains `offset`, and its start; 0 if none does. */
uint32_t tmd_region_unit(const struct tmd_region *region, uint32_t offset, uint32_t *start);

int tmd_region_read(const struct tmd_region *region, uint32_t offset, void *buf, uint32_t bytes);

/* Erase the unit that begins at `offset`; nothing to do where flash needs no erase. */
int tmd_region_erase(const struct tmd_region *region, uint32_t offset, uint32_t bytes);

/* Program and compare with what is read back. Offset and length are multiples of the write unit. */
int tmd_region_write(const struct tmd_region *region, uint32_t offset, const uint8_t *buf,
		     uint32_t bytes);

/* Does flash hold exactly `bytes` of `buf`? A failing read is a no. */
bool tmd_region_equals(const struct tmd_region *region, uint32_t offset, const uint8_t *buf,
		       uint32_t bytes);

/* Does it read as erased? A failing read is a no. */
bool tmd_region_is_blank(const struct tmd_region *region, uint32_t offset, uint32_t bytes);

#endif /* TMD_STORE_REGION_H */

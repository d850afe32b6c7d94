/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Little-endian numbers in byte buffers, on machines of either byte order and any alignment.
 */
#ifndef TMD_CORE_BYTES_H
#define TMD_CORE_BYTES_H

#include <stdint.h>
#include <string.h>

#include <tinymldelta/config.h>

/* Where the processor reads and writes unaligned words, a call costs more than what it does. */
#ifdef __ARM_FEATURE_UNALIGNED
#define TMD_ACCESSOR static TMD_INLINE
#else
#define TMD_ACCESSOR static inline
#endif

static inline uint16_t tmd_get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | (uint16_t)(p[1] << 8));
}

TMD_ACCESSOR uint32_t tmd_get_u32(const uint8_t *p)
{
	return p[0] | ((uint32_t)p[1] << 8) | ((uint32_t)p[2] << 16) | ((uint32_t)p[3] << 24);
}

/* Through an array, because gcc makes one store of that where the processor can store unaligned. */
TMD_ACCESSOR void tmd_put_u32(uint8_t *p, uint32_t value)
{
	const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
				  (uint8_t)(value >> 24)};

	memcpy(p, bytes, sizeof(bytes));
}

static inline uint32_t tmd_min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Up to a multiple of `unit`. */
static inline uint32_t tmd_round_up(uint32_t bytes, uint32_t unit)
{
	return (bytes + unit - 1u) / unit * unit;
}

#endif /* TMD_CORE_BYTES_H */

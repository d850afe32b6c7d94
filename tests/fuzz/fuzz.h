/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the harnesses share: expectations, counts, the input as a row of bytes to be taken, and what
 * they repair heads with. The CRC-32 here goes by a table, so that it is not the core's own; the
 * SHA-256 of harnesses that are built with TMD_SHA256_EXTERNAL is none, but quick.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tinymldelta/digest.h>
#include <tinymldelta/wire.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* How often the harness ran, came past the header of what it is about, and to its end. */
static struct {
	unsigned long long runs, reached, whole;
} fuzz;

static uint32_t fuzz_crc_table[256];

static inline void require(bool holds, const char *what)
{
	if (!holds) {
		(void)fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

static void fuzz_report(void)
{
	(void)printf("fuzzed %llu reached %llu whole %llu\n", fuzz.runs, fuzz.reached, fuzz.whole);
}

/* Once, before the first input. */
static void fuzz_begin(void)
{
	for (uint32_t i = 0; i < 256u; i++) {
		uint32_t crc = i;

		for (uint32_t bit = 0; bit < 8u; bit++) {
			crc = (crc & 1u) != 0u ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
		}
		fuzz_crc_table[i] = crc;
	}
	require(tmd_crc32(0, "123456789", 9) == 0xCBF43926u, "the core's CRC-32");
	(void)atexit(fuzz_report);
}

static inline uint32_t fuzz_crc(uint32_t crc, const uint8_t *p, size_t bytes)
{
	crc = ~crc;
	for (; bytes > 0u; bytes--) {
		crc = crc >> 8 ^ fuzz_crc_table[(crc ^ *p++) & 255u];
	}
	return ~crc;
}

/* Of an input's bytes: what is to happen to one in so many, whatever else it asks for. */
static inline uint32_t fuzz_hash(const uint8_t *data, size_t bytes)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < bytes; i++) {
		hash = (hash ^ data[i]) * 16777619u;
	}
	return hash ^ hash >> 15;
}

/* ---- the input ---- */

struct input {
	const uint8_t *at;
	size_t left;
};

/* Behind its end come zeros. */
static inline uint8_t take(struct input *in)
{
	if (in->left == 0u) {
		return 0;
	}
	in->left--;
	return *in->at++;
}

static inline uint32_t take_u16(struct input *in)
{
	const uint32_t low = take(in);

	return low | (uint32_t)take(in) << 8;
}

static inline uint32_t take_u32(struct input *in)
{
	const uint32_t low = take_u16(in);

	return low | take_u16(in) << 16;
}

/* ---- bytes of patches and records ---- */

static inline void put_u32(uint8_t *p, uint32_t v)
{
	for (uint32_t i = 0; i < 4u; i++, v >>= 8) {
		p[i] = (uint8_t)v;
	}
}

static inline uint32_t get_u32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* As format 2 has lengths. */
static inline uint8_t *put_number(uint8_t *p, uint32_t v)
{
	for (; v > 127u; v >>= 7) {
		*p++ = (uint8_t)(v | 128u);
	}
	*p++ = (uint8_t)v;
	return p;
}

/* The CRC-32 of a head of format 2, behind it. */
static inline uint8_t *put_head_crc(uint8_t *p, const uint8_t *start)
{
	const uint32_t crc = fuzz_crc(0, start, (size_t)(p - start));

	put_u32(p, crc << 1 | crc >> 31);
	return p + TMD_F2_CRC_SIZE;
}

/* ---- what stands for SHA-256, and for signatures ---- */

#if TMD_SHA256_EXTERNAL

void tmd_sha256_init(struct tmd_sha256 *sha)
{
	sha->opaque[0] = 0x6A09E667F3BCC908u;
	sha->opaque[1] = 0;
}

void tmd_sha256_update(struct tmd_sha256 *sha, const void *data, size_t bytes)
{
	const uint8_t *p = data;
	uint64_t state = sha->opaque[0];

	for (size_t i = 0; i < bytes; i++) {
		state = (state ^ p[i]) * 0x9E3779B97F4A7C15u;
		state ^= state >> 29;
	}
	sha->opaque[0] = state;
	sha->opaque[1] += bytes;
}

bool tmd_sha256_final(struct tmd_sha256 *sha, uint8_t out[32])
{
	uint64_t state = sha->opaque[0] ^ sha->opaque[1];

	for (uint32_t i = 0; i < 32u; i += 8u) {
		state = (state ^ state >> 31) * 0xD6E8FEB86659FD93u + i;
		put_u32(&out[i], (uint32_t)state);
		put_u32(&out[i + 4u], (uint32_t)(state >> 32));
	}
	return true;
}

#endif

static inline void fuzz_sha256(const uint8_t *data, size_t bytes, uint8_t out[32])
{
	struct tmd_sha256 sha;

	tmd_sha256_init(&sha);
	tmd_sha256_update(&sha, data, bytes);
	(void)tmd_sha256_final(&sha, out);
}

#endif /* TESTS_FUZZ_FUZZ_H */

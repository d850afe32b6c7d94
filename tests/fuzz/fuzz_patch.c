/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the container and the decoders: one input is a base and a patch for it. Most inputs are only
 * the body of the patch; the harness writes a head that leads to it, with lengths and digests that
 * fit. Some, chosen by the input's own bytes, are a whole patch.
 *
 *	u8 how: 0x01 lean, 0x02 format 1, 0x1C cut in pieces if all set, 0xE0 chunks of format 1
 *	u8 base bytes / 2 - 1, base
 *	u8 target bytes / 2 - 1
 *	the body, or the patch
 *
 * What must hold: no access outside (the sanitizers), reads of the base within it, never more bytes
 * of the target than promised, just as many where decoding succeeds, and the same outcome however
 * the patch is cut. At exit it prints how often it ran and how often it came to the body.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tinymldelta/digest.h>
#include <tinymldelta/guard.h>
#include <tinymldelta/patch.h>

#define TARGET_MAX 512u
#define HEAD_MAX 128u
#define PATCH_MAX (HEAD_MAX + 65536u)
#define WHOLE_SHARE 16u /* one input in so many is a whole patch */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static unsigned long long runs, bodies, rebuilt;

static const struct tmd_model_contract model = {
	.name = "any", .arena_bytes = UINT32_MAX, .slot_bytes = TARGET_MAX};

struct outcome {
	int err;
	uint32_t emitted;
	uint32_t hash; /* of what was emitted */
	bool reached;  /* the body */
};

struct run {
	const uint8_t *base;
	uint32_t base_bytes;
	uint32_t target_bytes;
	struct outcome outcome;
};

static void require(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

static int read_base(void *ctx, uint32_t offset, uint8_t *buf, uint32_t bytes)
{
	const struct run *run = ctx;

	require(offset <= run->base_bytes && bytes <= run->base_bytes - offset,
		"a read outside of the base");
	memcpy(buf, run->base + offset, bytes);
	return TMD_OK;
}

static int emit(void *ctx, const uint8_t *buf, uint32_t bytes)
{
	struct run *run = ctx;

	require(bytes <= run->target_bytes - run->outcome.emitted, "more target than promised");
	run->outcome.emitted += bytes;
	for (uint32_t i = 0; i < bytes; i++) {
		run->outcome.hash = (run->outcome.hash ^ buf[i]) * 16777619u;
	}
	return TMD_OK;
}

static struct outcome decode(const uint8_t *base, uint32_t base_bytes, const uint8_t *patch,
			     size_t bytes, uint16_t decoder, size_t piece)
{
	const struct tmd_contract contract = {.accept = TMD_ACCEPT_UNGUARDED | TMD_ACCEPT_NO_DIGEST,
					      .formats = 1u << TMD_FORMAT_1 | 1u << TMD_FORMAT_2,
					      .decoder = decoder,
					      .meta_kept = TMD_META_KEPT,
					      .write_bytes = 1,
					      .models_n = 1,
					      .models = &model};
	struct run run = {base, base_bytes, 0, {TMD_OK, 0, 2166136261u, false}};
	const struct tmd_patch_io io = {read_base, emit, &run};
	static struct tmd_patch state;

	tmd_patch_init(&state);
	while (run.outcome.err == TMD_OK && bytes > 0u) {
		const size_t n = bytes < piece ? bytes : piece;
		size_t used = 0;

		if (!run.outcome.reached) {
			run.outcome.err = tmd_patch_head(&state, &contract, patch, n, &used);
			require(used <= n, "more used than given");
			if (run.outcome.err == TMD_OK && tmd_patch_head_complete(&state)) {
				run.target_bytes = state.info.target_bytes;
				run.outcome.err = tmd_guard_check(&contract, 0, &state.info);
				run.outcome.reached = run.outcome.err == TMD_OK &&
						      state.info.base_bytes == base_bytes;
				if (!run.outcome.reached) {
					break;
				}
			}
		}
		if (run.outcome.err == TMD_OK && run.outcome.reached && n > used) {
			run.outcome.err = tmd_patch_body(&state, &io, patch + used, n - used);
		}
		patch += n;
		bytes -= n;
	}
	if (run.outcome.reached && run.outcome.err == TMD_OK) {
		run.outcome.err = tmd_patch_end(&state, &io);
		require(run.outcome.err != TMD_OK || run.outcome.emitted == run.target_bytes,
			"success without the whole target");
	}
	return run.outcome;
}

static uint8_t *put_number(uint8_t *p, uint32_t v)
{
	for (; v > 127u; v >>= 7) {
		*p++ = (uint8_t)(v | 128u);
	}
	*p++ = (uint8_t)v;
	return p;
}

static void put_u32(uint8_t *p, uint32_t v)
{
	for (uint32_t i = 0; i < 4u; i++, v >>= 8) {
		*p++ = (uint8_t)v;
	}
}

/* Behind a head that begins at `start`. */
static uint8_t *put_crc(uint8_t *p, const uint8_t *start)
{
	const uint32_t crc = tmd_crc32(0, start, (size_t)(p - start));

	put_u32(p, crc << 1 | crc >> 31);
	return p + TMD_F2_CRC_SIZE;
}

/* A head of format 2 that a device takes. Its digests are for the decoder's caller to compare. */
static uint8_t *put_head_2(uint8_t *p, bool lean, uint32_t base_bytes, uint32_t target_bytes)
{
	const uint8_t *start = p;

	*p++ = (uint8_t)(TMD_FORMAT_2 | (lean ? TMD_F2_LEAN : 0u));
	p = put_number(p, target_bytes);
	p = put_number(p, base_bytes);
	memset(p, 0, 25); /* digests, and no metadata */
	p += 25;
	return put_crc(p, start);
}

/* Of a whole patch of format 2, so that what is behind its CRC-32 is reached. */
static void repair_crc(uint8_t *p, size_t bytes)
{
	size_t at = 1;
	size_t meta_bytes = 0;
	uint32_t lengths = (p[0] & TMD_F2_SAME_LENGTH) != 0u ? 1u : 2u;

	while (lengths > 0u && at < bytes) {
		lengths -= p[at++] < 128u ? 1u : 0u;
	}
	at += TMD_F2_BASE_DIGEST_SIZE + TMD_F2_TARGET_DIGEST_SIZE;
	for (uint32_t shift = 0; at < bytes && shift < 14u; shift += 7u) {
		meta_bytes |= (size_t)(p[at] & 127u) << shift;
		if (p[at++] < 128u) {
			break;
		}
	}
	at += meta_bytes;
	if (at + TMD_F2_CRC_SIZE <= bytes) {
		(void)put_crc(p + at, p);
	}
}

/* A head of format 1. */
static uint8_t *put_head_1(uint8_t *p, uint8_t chunks, uint32_t base_bytes, uint32_t target_bytes)
{
	memset(p, 0, TMD_F1_HEADER_SIZE);
	p[0] = TMD_FORMAT_1;
	p[1] = TMD_DIGEST_CRC32;
	p[2] = chunks;
	put_u32(p + 4, base_bytes);
	put_u32(p + 8, target_bytes);
	return p + TMD_F1_HEADER_SIZE;
}

static uint32_t hash_of(const uint8_t *data, size_t bytes)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < bytes; i++) {
		hash = (hash ^ data[i]) * 16777619u;
	}
	return hash ^ hash >> 15;
}

static void report(void)
{
	printf("fuzzed %llu bodies %llu rebuilt %llu\n", runs, bodies, rebuilt);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	(void)atexit(report);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const size_t pieces[] = {1, 7, 64};
	static uint8_t patch[PATCH_MAX];
	uint8_t *p = patch;
	struct outcome whole, cut;
	uint32_t base_bytes, target_bytes;
	const uint8_t *base;
	uint16_t decoder;
	uint8_t how;

	if (bytes < 4u) {
		return 0;
	}
	how = data[0];
	base_bytes = 2u * data[1] + 2u;
	decoder = (how & 1u) != 0u ? TMD_DECODER_LEAN : TMD_DECODER_DEFAULT;
	if (bytes < 3u + base_bytes || bytes > 65536u) {
		return 0;
	}
	base = data + 2;
	target_bytes = 2u * data[2u + base_bytes] + 2u;
	data += 3u + base_bytes;
	bytes -= 3u + base_bytes;
	if (hash_of(data, bytes) % WHOLE_SHARE != 0u) {
		p = (how & 2u) != 0u
			    ? put_head_1(p, (uint8_t)(how >> 5), base_bytes, target_bytes)
			    : put_head_2(p, (how & 1u) != 0u, base_bytes, target_bytes);
	}
	memcpy(p, data, bytes);
	if (p == patch && bytes > 0u && (patch[0] & 15u) == TMD_FORMAT_2) {
		repair_crc(patch, bytes);
	}
	bytes += (size_t)(p - patch);
	whole = decode(base, base_bytes, patch, bytes, decoder, sizeof(patch));
	runs++;
	bodies += whole.reached;
	rebuilt += whole.reached && whole.err == TMD_OK;
	if ((how & 0x1Cu) == 0x1Cu) {
		cut = decode(base, base_bytes, patch, bytes, decoder, pieces[bytes % 3u]);
		require(cut.err == whole.err && cut.reached == whole.reached,
			"another status when cut in pieces");
		require(whole.err != TMD_OK ||
				(cut.emitted == whole.emitted && cut.hash == whole.hash),
			"another target when cut in pieces");
	}
	return 0;
}

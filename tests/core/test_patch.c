/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The reader by itself, between two buffers: the same outcome wherever the patch is cut into
 * pieces, a state that can be moved between them, and surroundings that fail.
 */
#include "harness.h"

#include <tinymldelta/guard.h>
#include <tinymldelta/patch.h>

#include "format2.h"

/* The surroundings of a decoder: the base, what came out, and what fails when. */
struct world {
	const struct bytes *base;
	uint8_t *out;
	uint32_t room;
	uint32_t out_n;
	uint32_t calls;
	uint32_t fail_at; /* the call that fails; 0: none */
	int failure;
};

static struct world world;
static struct bytes base;
static struct bytes target;
static struct bytes patch;

static struct tmd_model_contract model_contract = {
	.name = "bench",
	.arena_bytes = BENCH_ARENA,
	.opset_hash = BENCH_OPSET,
	.io_hash = BENCH_IO,
	.slot_bytes = 4096,
};
static struct tmd_contract contract = {
	.wire_version = TMD_WIRE_VERSION,
	.formats = 1u << 1,
	.tflm_abi = BENCH_ABI,
	.write_bytes = 1,
	.models_n = 1,
	.models = &model_contract,
};

static int world_read(void *ctx, uint32_t offset, uint8_t *buf, uint32_t bytes)
{
	struct world *w = ctx;

	EXPECT(bytes > 0u && offset <= w->base->n && bytes <= w->base->n - offset);
	if (++w->calls == w->fail_at) {
		return w->failure;
	}
	memcpy(buf, &w->base->at[offset], bytes);
	return TMD_OK;
}

static int world_emit(void *ctx, const uint8_t *buf, uint32_t bytes)
{
	struct world *w = ctx;

	EXPECT(bytes > 0u && bytes <= w->room - w->out_n);
	if (++w->calls == w->fail_at) {
		return w->failure;
	}
	memcpy(&w->out[w->out_n], buf, bytes);
	w->out_n += bytes;
	return TMD_OK;
}

static const struct tmd_patch_io io = {world_read, world_emit, &world};

static void set_up_format(uint8_t format, uint32_t base_bytes, uint32_t target_bytes)
{
	base = model_make(base_bytes, 21);
	target = model_derive(&base, target_bytes, 22);
	if (format == TMD_FORMAT_1) {
		patch = patch_make(&base, &target, 2);
	} else {
		struct bytes tlvs = format2_needs();

		patch = format2_patch(&base, &target, &tlvs);
		bytes_free(&tlvs);
	}
	memset(&world, 0, sizeof(world));
	world.base = &base;
	world.out = malloc(target.n);
	world.room = target.n;
	REQUIRE(world.out != NULL);
}

static void set_up(uint32_t base_bytes, uint32_t target_bytes)
{
	set_up_format(TMD_FORMAT_1, base_bytes, target_bytes);
}

static void tear_down(void)
{
	free(world.out);
	bytes_free(&base);
	bytes_free(&target);
	bytes_free(&patch);
}

/* Decode; the state is in another place after each piece, and the place before holds rubbish. */
static int decode(const uint8_t *data, size_t n, size_t first, size_t rest)
{
	struct tmd_patch states[2];
	size_t at = 0;
	unsigned int moves = 0;

	memset(states, 0xA5, sizeof(states));
	world.out_n = 0;
	world.calls = 0;
	tmd_patch_init(&states[0]);
	while (at < n) {
		struct tmd_patch *p = &states[moves & 1u];
		const size_t want = at == 0u ? first : rest;
		size_t piece = n - at < want ? n - at : want;
		uint8_t *copy = malloc(piece + 1u); /* a reader that reads on is noticed */
		size_t used = 0;
		int err = TMD_OK;

		REQUIRE(copy != NULL);
		memcpy(copy, &data[at], piece);
		at += piece;
		if (!tmd_patch_head_complete(p)) {
			err = tmd_patch_head(p, &contract, copy, piece, &used);
			EXPECT(used <= piece);
			EXPECT(err != TMD_OK || used == piece || tmd_patch_head_complete(p));
		}
		if (err == TMD_OK && used < piece) {
			err = tmd_patch_body(p, &io, &copy[used], piece - used);
		}
		free(copy);
		if (err != TMD_OK) {
			return err;
		}
		moves++;
		states[moves & 1u] = *p;
		memset(p, 0xA5, sizeof(*p));
	}
	return tmd_patch_end(&states[moves & 1u], &io);
}

static void expect_target(int err)
{
	EXPECT_STATUS(err, TMD_OK);
	if (EXPECT_EQ(world.out_n, target.n)) {
		EXPECT_BYTES(world.out, target.at, target.n);
	}
}

static void test_cut_in_two_at_every_byte(void)
{
	for (uint8_t format = 1; format <= 2u; format++) {
		set_up_format(format, 900, 1000);
		for (size_t first = 1; first <= patch.n; first++) {
			context("format %d, after byte %zu", (int)format, first);
			expect_target(decode(patch.at, patch.n, first, patch.n));
		}
		tear_down();
	}
}

static void test_pieces_of_any_size(void)
{
	for (uint8_t format = 1; format <= 2u; format++) {
		set_up_format(format, 900, 500);
		for (size_t piece = 1; piece <= 200u; piece++) {
			context("format %d, pieces of %zu", (int)format, piece);
			expect_target(decode(patch.at, patch.n, piece, piece));
		}
		tear_down();
	}
}

/*
 * One bit anywhere in the patch: the same first fault, and the same output, whatever the pieces.
 * But for the two lengths, which this reader has to believe: its caller compares them with the
 * model and the slot that there are.
 */
static void test_the_first_fault_does_not_depend_on_the_pieces(void)
{
	static const size_t pieces[] = {1, 2, 3, 79, 80, 81};
	uint8_t first[320];

	set_up(300, sizeof(first));
	for (uint32_t bit = 0; bit < 8u * patch.n; bit++) {
		uint8_t *byte = &patch.at[bit / 8u];
		uint32_t out_n;
		int err;

		if (bit / 8u >= 4u && bit / 8u < 12u) {
			continue;
		}
		context("bit %u", (unsigned int)bit);
		*byte ^= (uint8_t)(1u << (bit % 8u));
		err = decode(patch.at, patch.n, patch.n, patch.n);
		out_n = world.out_n;
		memcpy(first, world.out, out_n);
		for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
			EXPECT_STATUS(decode(patch.at, patch.n, pieces[i], pieces[i]), err);
			if (err == TMD_OK && EXPECT_EQ(world.out_n, out_n)) {
				EXPECT_BYTES(world.out, first, out_n);
			}
		}
		*byte ^= (uint8_t)(1u << (bit % 8u));
	}
	tear_down();
}

static void test_cut_off_at_every_byte(void)
{
	set_up(300, 320);
	for (uint32_t n = 0; n < patch.n; n++) {
		context("%u bytes", (unsigned int)n);
		EXPECT_STATUS(decode(patch.at, n, 1, 17), TMD_ERR_TRUNCATED);
	}
	tear_down();
}

/* The head takes its own bytes and no more, and after that nothing. */
static void test_head_leaves_the_body(void)
{
	struct tmd_patch p;
	size_t used = 99;
	const size_t head_bytes = 80u + 6u + 4u + 6u + 6u;

	set_up(300, 320);
	tmd_patch_init(&p);
	EXPECT(!tmd_patch_head_complete(&p));
	EXPECT_STATUS(tmd_patch_head(&p, &contract, patch.at, 0, &used), TMD_OK);
	EXPECT_EQ(used, 0);
	EXPECT_STATUS(tmd_patch_head(&p, &contract, patch.at, patch.n, &used), TMD_OK);
	EXPECT_EQ(used, head_bytes);
	EXPECT(tmd_patch_head_complete(&p));
	EXPECT_STATUS(tmd_patch_head(&p, &contract, &patch.at[used], 5, &used), TMD_OK);
	EXPECT_EQ(used, 0);

	EXPECT_EQ(p.info.format, 1);
	EXPECT_EQ(p.info.base_bytes, 300);
	EXPECT_EQ(p.info.target_bytes, 320);
	EXPECT_EQ(p.info.digest_kind, TMD_DIGEST_SHA256);
	EXPECT_EQ(p.info.meta_bytes, 22);
	EXPECT_EQ(p.info.present, 0x0F);
	EXPECT_BYTES(p.info.base_digest, &patch.at[12], 32);
	EXPECT_BYTES(p.info.target_digest, &patch.at[44], 32);
	EXPECT_STATUS(tmd_guard_check(&contract, 0, &p.info), TMD_OK);
	EXPECT_EQ(world.calls, 0);
	tear_down();
}

static void test_calls_before_the_head_is_complete(void)
{
	struct tmd_patch p;
	size_t used;

	set_up(300, 320);
	tmd_patch_init(&p);
	EXPECT_STATUS(tmd_patch_body(&p, &io, patch.at, 1), TMD_ERR_ARGUMENT);
	EXPECT_STATUS(tmd_patch_end(&p, &io), TMD_ERR_TRUNCATED);
	tmd_patch_init(&p);
	EXPECT_STATUS(tmd_patch_head(&p, &contract, patch.at, 90, &used), TMD_OK);
	EXPECT_STATUS(tmd_patch_body(&p, &io, &patch.at[90], 1), TMD_ERR_ARGUMENT);
	EXPECT_STATUS(tmd_patch_end(&p, &io), TMD_ERR_TRUNCATED);
	EXPECT_EQ(world.calls, 0);
	tear_down();
}

/* Whatever a call to the surroundings returns is returned, and nothing is called after it. */
static void test_surroundings_that_fail(void)
{
	uint32_t calls;

	set_up(900, 1000);
	EXPECT_STATUS(decode(patch.at, patch.n, 50, 50), TMD_OK);
	calls = world.calls;
	EXPECT(calls > 20u);
	for (world.fail_at = 1; world.fail_at <= calls; world.fail_at++) {
		context("call %u", (unsigned int)world.fail_at);
		world.failure = world.fail_at % 2u != 0u ? TMD_ERR_FLASH_READ
							 : TMD_ERR_FLASH_VERIFY;
		EXPECT_STATUS(decode(patch.at, patch.n, 50, 50), world.failure);
		EXPECT_EQ(world.calls, world.fail_at);
	}
	tear_down();
}

/* Runs of 256 are written as 0; and a chunk as long as its length field can say. */
static void test_long_runs_and_payloads(void)
{
	struct bytes runs;

	set_up(1, 65535u + 66000u + 1u);
	bytes_free(&patch);
	memset(&target.at[1 + 65535u], 0x3C, 66000u);
	target.at[0] = base.at[0];
	patch = patch_header(&base, &target, 2);
	patch_guardrails(&patch);
	patch_raw(&patch, 1, &target.at[1], 65535, true);
	patch_runs(&patch, 1 + 65535u, &target.at[1 + 65535u], 66000, true);
	expect_target(decode(patch.at, patch.n, patch.n, patch.n));
	expect_target(decode(patch.at, patch.n, 1, 1000));

	/* 257 pairs of 256 bytes: 64 KB and 256 bytes out of one chunk */
	runs = patch_header(&base, &target, 2);
	runs.at[8] = 0; /* target_bytes becomes 257 * 256 = 0x10100 */
	runs.at[9] = 1;
	runs.at[10] = 1;
	runs.at[11] = 0;
	patch_guardrails(&runs);
	memset(target.at, 0x77, 257u * 256u);
	target.n = 257u * 256u;
	patch_runs(&runs, 0, target.at, 257u * 256u, false);
	EXPECT_EQ(runs.n, 80u + 22u + 8u + 514u);
	expect_target(decode(runs.at, runs.n, 3, 3));
	bytes_free(&runs);
	tear_down();
}

/* The RLE reader must not take a 257th byte, nor a payload's end for the target's. */
static void test_runs_up_to_the_end_of_the_target(void)
{
	for (uint32_t over = 0; over < 3u; over++) {
		struct bytes longer;

		set_up(100, 300);
		longer = model_make(300u + over, 1);
		memset(longer.at, 9, longer.n);
		memset(target.at, 9, target.n);
		bytes_free(&patch);
		patch = patch_header(&base, &target, 2);
		patch_guardrails(&patch);
		patch_runs(&patch, 0, longer.at, longer.n, true);
		context("%u bytes too many", (unsigned int)over);
		if (over == 0u) {
			expect_target(decode(patch.at, patch.n, 7, 7));
		} else {
			EXPECT_STATUS(decode(patch.at, patch.n, 7, 7), TMD_ERR_CHUNK_BOUNDS);
			EXPECT(world.out_n <= target.n);
		}
		bytes_free(&longer);
		tear_down();
	}
}

int main(void)
{
	format2_contract(&contract, &model_contract);
	RUN(test_cut_in_two_at_every_byte);
	RUN(test_pieces_of_any_size);
	RUN(test_the_first_fault_does_not_depend_on_the_pieces);
	RUN(test_cut_off_at_every_byte);
	RUN(test_head_leaves_the_body);
	RUN(test_calls_before_the_head_is_complete);
	RUN(test_surroundings_that_fail);
	RUN(test_long_runs_and_payloads);
	RUN(test_runs_up_to_the_end_of_the_target);
	return harness_result();
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Envelopes that say they are longer than the patch in them: everybody can make one, and it is never
 * taken for whole before all of it has come, nor after.
 */
#include "harness.h"

#include "format2.h"

#define SLOT_BYTES 3000u
#define CHUNK 256u
#define SEALED_CHUNK (CHUNK + 8u)
#define HEAD 41u /* first byte, id, length, public key of 32 bytes */

enum { STAGED = 0, STREAMED = 61 };

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes patch;  /* whole chunks */
static struct bytes longer; /* the same with 10 bytes behind it */

static const struct tmd_sim_geometry pages = {
	"pages", "", {{512, 1}}, 1, 8, 0xFF, TMD_SIM_WRITE_ONCE};

/* A patch whose length is a multiple of a chunk's, by a vendor's TLV. */
static void make_patch(void)
{
	static const uint8_t filler[250];

	for (uint32_t n = 0; n < sizeof(filler); n++) {
		struct bytes tlvs = format2_needs();

		format2_text(&tlvs, 200, filler, n);
		patch = format2_signed(&base, &target, &tlvs, &format2_hmac);
		bytes_free(&tlvs);
		if (patch.n % CHUNK == 0u) {
			return;
		}
		bytes_free(&patch);
	}
	REQUIRE(false);
}

static void set_up(void)
{
	base = model_make(900, 15);
	target = model_make(1700, 16);
	make_patch();
	longer.n = patch.n + 10u;
	longer.at = calloc(1, longer.n);
	REQUIRE(longer.at != NULL);
	memcpy(longer.at, patch.at, patch.n);
	bench_init_config(&b, &pages, SLOT_BYTES, &base, BENCH_FACTORY, &bench_plain);
	format2_contract(&b.contract, &b.model);
	format2_keys(&b.contract);
	b.device.config.crypto = &format2_crypto;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	bench_mark(&b);
}

static void tear_down(void)
{
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&target);
	bytes_free(&patch);
	bytes_free(&longer);
}

/* The first `n` bytes of an envelope around it. */
static void expect_of(const struct bytes *inside, uint32_t n, int status)
{
	static const uint32_t pieces[] = {STAGED, 1, STREAMED};
	struct bytes sealed = format2_sealed(inside, 1);

	EXPECT(n <= sealed.n);
	sealed.n = n;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		const struct bytes *active = status == TMD_OK ? &target : &base;

		context("%u bytes, pieces of %u", (unsigned int)n, (unsigned int)pieces[i]);
		EXPECT_STATUS(bench_send(&b, &sealed, pieces[i]), status);
		EXPECT(bench_holds(&b, active));
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, active));
		bench_rewind(&b);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
	}
	bytes_free(&sealed);
}

static void test_as_long_as_it_says(void)
{
	set_up();
	expect_of(&patch, HEAD + patch.n / CHUNK * SEALED_CHUNK, TMD_OK);
	tear_down();
}

/* All of the patch has come, and not all of the envelope. */
static void test_more_is_to_come(void)
{
	set_up();
	expect_of(&longer, HEAD + patch.n / CHUNK * SEALED_CHUNK, TMD_ERR_TRUNCATED);
	expect_of(&longer, HEAD + patch.n / CHUNK * SEALED_CHUNK + 5u, TMD_ERR_TRUNCATED);
	tear_down();
}

static void test_more_comes(void)
{
	set_up();
	expect_of(&longer, HEAD + patch.n / CHUNK * SEALED_CHUNK + 10u + 8u, TMD_ERR_TRAILING);
	tear_down();
}

int main(void)
{
	RUN(test_as_long_as_it_says);
	RUN(test_more_is_to_come);
	RUN(test_more_comes);
	return harness_result();
}

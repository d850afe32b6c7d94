/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Encrypted patches: they are opened as they come, whatever the pieces, and whoever changes one on its
 * way learns nothing of it from what the device says.
 */
#include "harness.h"

#include "format2.h"

#define SLOT_BYTES 3000u

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes tlvs;
static struct bytes patch;
static struct bytes sealed;

static const struct tmd_sim_geometry pages = {
	"pages", "", {{512, 1}}, 1, 8, 0xFF, TMD_SIM_WRITE_ONCE};

static void set_up(uint8_t kind)
{
	const struct tmd_sim_options options = {.progress_bytes = 1024, .staging_bytes = 4096};

	base = model_make(900, 15);
	target = model_make(1700, 16); /* which takes several chunks */
	tlvs = format2_needs();
	patch = format2_signed(&base, &target, &tlvs, &format2_hmac);
	sealed = format2_sealed(&patch, kind);
	bench_init_config(&b, &pages, SLOT_BYTES, &base, BENCH_FACTORY, &options);
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
	bytes_free(&tlvs);
	bytes_free(&patch);
	bytes_free(&sealed);
}

static void expect_untouched(const struct bytes *p, int status)
{
	static const uint32_t pieces[] = {0, 1, 61};

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		EXPECT_STATUS(bench_send(&b, p, pieces[i]), status);
		EXPECT_EQ(bench_operations(&b), 0);
		EXPECT(bench_is_unchanged(&b));
	}
}

static void test_it_is_opened(void)
{
	static const uint32_t pieces[] = {0, 1, 2, 16, 31, 32, 33, 61, 5000};

	for (uint8_t kind = 1; kind <= 2u; kind++) {
		for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
			set_up(kind);
			context("kind %u, pieces of %u", (unsigned int)kind, (unsigned int)pieces[i]);
			EXPECT_EQ(sealed.n, patch.n + (kind == 1u ? 41u : 73u) +
						    8u * ((patch.n + 255u) / 256u));
			EXPECT_STATUS(bench_send(&b, &sealed, pieces[i]), TMD_OK);
			EXPECT(bench_holds(&b, &target));
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, &target));
			tear_down();
		}
	}
}

#if TMD_STAGING
/* The staging region holds what was sent: the patch stays encrypted there. */
static void test_it_is_kept_encrypted(void)
{
	set_up(1);
	EXPECT_STATUS(tmd_sim_device_stage(&b.device, sealed.at, sealed.n, 50, NULL), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	for (uint32_t at = 0; at + 16u <= b.device.sim.size; at++) {
		EXPECT(memcmp(&b.device.sim.bytes[at], &patch.at[patch.n / 2u], 16) != 0);
	}
	tear_down();
}
#endif

/*
 * In the envelope's head nothing can turn over. Behind it, whatever is changed, the answer is the same:
 * one that depended on what comes out would decrypt the patch for whoever asks often enough.
 */
static void test_each_bit_counts(void)
{
	for (uint8_t kind = 1; kind <= 2u; kind++) {
		const uint32_t head = kind == 1u ? 41 : 73;

		set_up(kind);
		for (uint32_t bit = 0; bit < 8u * sealed.n; bit++) {
			int err;

			context("kind %u, bit %u", (unsigned int)kind, (unsigned int)bit);
			sealed.at[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
			err = bench_send(&b, &sealed, 0);
			EXPECT(err != TMD_OK);
			if (bit >= 8u * head) {
				EXPECT_STATUS(err, TMD_ERR_SEAL);
			}
			EXPECT_EQ(bench_operations(&b), 0);
			EXPECT(bench_is_unchanged(&b));
			sealed.at[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
		}
		tear_down();
	}
}

static void test_each_length(void)
{
	set_up(1);
	for (uint32_t n = 0; n < sealed.n; n++) {
		const struct bytes p = {sealed.at, n};

		context("%u bytes", (unsigned int)n);
		EXPECT(bench_send(&b, &p, 0) != TMD_OK);
		EXPECT_EQ(bench_operations(&b), 0);
		if (n < 41u + 256u + 8u) { /* nothing has come out */
			expect_untouched(&p, TMD_ERR_TRUNCATED);
		}
	}
	tear_down();
}

/* Kinds and keys that the contract has not; an envelope in an envelope; one around an unsigned patch. */
static void test_what_is_no_envelope(void)
{
	struct bytes other;

	set_up(1);
	for (uint32_t kind = 0; kind < 16u; kind++) {
		sealed.at[0] = (uint8_t)(3u | kind << 4);
		context("kind %u", (unsigned int)kind);
		if (kind != 1u) {
			expect_untouched(&sealed, kind == 2u ? TMD_ERR_KEY : TMD_ERR_FORMAT);
		}
	}
	context("");
	sealed.at[0] = 0x13;
	sealed.at[3] ^= 1u;
	expect_untouched(&sealed, TMD_ERR_KEY);
	sealed.at[3] ^= 1u;
	memset(&sealed.at[9], 0, 32); /* no key at all */
	expect_untouched(&sealed, TMD_ERR_HEADER);
	memset(&sealed.at[5], 0, 4); /* nothing in it */
	expect_untouched(&sealed, TMD_ERR_HEADER);
	bytes_free(&sealed);
	sealed = format2_sealed(&patch, 1);
	other = format2_sealed(&sealed, 1);
	expect_untouched(&other, TMD_ERR_FORMAT);
	bytes_free(&other);
	bytes_free(&patch);
	patch = format2_patch(&base, &target, &tlvs);
	other = format2_sealed(&patch, 1);
	expect_untouched(&other, TMD_ERR_UNSIGNED);
	bytes_free(&other);
	b.contract.sealed_keys_n = 0;
	expect_untouched(&sealed, TMD_ERR_FORMAT);
	format2_keys(&b.contract);
	b.contract.keys_n = 0; /* nobody could tell who made what is in it */
	expect_untouched(&sealed, TMD_ERR_FORMAT);
	tear_down();
}

/* Chunks that come twice, in another order, or not at all; and bytes behind the last one. */
static void test_chunks_have_their_places(void)
{
	enum { HEAD = 41, CHUNK = 264 };
	struct bytes p;

	set_up(1);
	EXPECT(sealed.n > HEAD + 2u * CHUNK);
	p.n = sealed.n + CHUNK;
	p.at = malloc(p.n);
	if (p.at == NULL) {
		exit(2);
	}
	memcpy(p.at, sealed.at, HEAD + CHUNK);
	memcpy(&p.at[HEAD + CHUNK], &sealed.at[HEAD], sealed.n - HEAD);
	expect_untouched(&p, TMD_ERR_SEAL); /* the first one twice */
	memcpy(&p.at[HEAD], &sealed.at[HEAD + CHUNK], CHUNK);
	expect_untouched(&p, TMD_ERR_SEAL); /* the second one first */
	p.n = sealed.n - CHUNK;
	memcpy(&p.at[HEAD], &sealed.at[HEAD + CHUNK], p.n - HEAD);
	expect_untouched(&p, TMD_ERR_SEAL); /* the first one left out */
	p.n = sealed.n + 1u;
	memcpy(p.at, sealed.at, sealed.n);
	p.at[sealed.n] = 0;
	EXPECT_STATUS(bench_send(&b, &p, 0), TMD_ERR_TRAILING);
	EXPECT_EQ(bench_operations(&b), 0);
	bytes_free(&p);
	tear_down();
}

/* The patch inside is whole, and its envelope says that more is to come. */
static void test_an_envelope_that_is_too_long(void)
{
	struct bytes longer;

	set_up(1);
	longer.n = patch.n + 300u;
	longer.at = calloc(1, longer.n);
	if (longer.at == NULL) {
		exit(2);
	}
	memcpy(longer.at, patch.at, patch.n);
	bytes_free(&sealed);
	sealed = format2_sealed(&longer, 1);
	EXPECT_STATUS(bench_send(&b, &sealed, 0), TMD_ERR_TRAILING);
	EXPECT_EQ(bench_operations(&b), 0);
	bytes_free(&longer);
	tear_down();
}

static int failing_agreement(void *ctx, const struct tmd_key *key, const uint8_t *peer,
			     uint8_t shared[32])
{
	(void)ctx;
	(void)key;
	(void)peer;
	(void)shared;
	return TMD_ERR_CRYPTO;
}

/* Fails at the n-th block. */
static int failing_cipher(void *ctx, const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
	uint32_t *left = ctx;

	if ((*left)-- == 0u) {
		return TMD_ERR_CRYPTO;
	}
	return format2_crypto.aes128(NULL, key, in, out);
}

static void test_what_a_port_says(void)
{
	struct tmd_crypto port = format2_crypto;
	uint32_t left = 0;

	set_up(2);
	b.device.config.crypto = NULL;
	expect_untouched(&sealed, TMD_ERR_KEY);
	b.device.config.crypto = &port;
	port.agree = NULL;
	expect_untouched(&sealed, TMD_ERR_KEY);
	port.agree = failing_agreement;
	expect_untouched(&sealed, TMD_ERR_CRYPTO);
	port = format2_crypto;
	port.aes128 = NULL;
	expect_untouched(&sealed, TMD_ERR_KEY);
	port.aes128 = failing_cipher;
	port.ctx = &left;
	for (uint32_t block = 0; block < (patch.n + 15u) / 16u; block++) { /* a chunk's last one too */
		context("block %u", (unsigned int)block);
		left = block;
		EXPECT_STATUS(bench_send(&b, &sealed, 0), TMD_ERR_CRYPTO);
		EXPECT_EQ(bench_operations(&b), 0);
	}
	tear_down();
}

/* Encryption is a choice: the signature is what counts. */
static void test_a_patch_in_the_clear(void)
{
	set_up(1);
	EXPECT_STATUS(bench_send(&b, &patch, 61), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	tear_down();
}

int main(void)
{
	RUN(test_it_is_opened);
#if TMD_STAGING
	RUN(test_it_is_kept_encrypted);
#endif
	RUN(test_each_bit_counts);
	RUN(test_each_length);
	RUN(test_what_is_no_envelope);
	RUN(test_chunks_have_their_places);
	RUN(test_an_envelope_that_is_too_long);
	RUN(test_what_a_port_says);
	RUN(test_a_patch_in_the_clear);
	return harness_result();
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A platform whose SHA-256 fails: nothing that needs it is believed then, and nothing is lost. Built
 * with TMD_SHA256_EXTERNAL; what stands for SHA-256 here is none, but the same everywhere.
 */
#include "harness.h"

#include "format2.h"

#define SLOT_BYTES 3000u

enum { STAGED = 0, STREAMED = 61 };
enum { SIGNED, SEALED, KINDS };

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes patch;
static uint32_t finals;   /* that were asked for */
static uint32_t fails_at; /* which of them fails; 0: none */
static bool in_port;      /* whose own digests, which are none of the core's, do not fail */

static const struct tmd_sim_geometry pages = {
	"pages", "", {{512, 1}}, 1, 8, 0xFF, TMD_SIM_WRITE_ONCE};

/* ---- the platform's ---- */

void tmd_sha256_init(struct tmd_sha256 *sha)
{
	sha->opaque[0] = 1;
	sha->opaque[1] = 0;
}

void tmd_sha256_update(struct tmd_sha256 *sha, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < bytes; i++) {
		sha->opaque[0] = (sha->opaque[0] ^ p[i]) * 0x9E3779B97F4A7C15u;
		sha->opaque[0] ^= sha->opaque[0] >> 29;
		sha->opaque[1]++;
	}
}

bool tmd_sha256_final(struct tmd_sha256 *sha, uint8_t out[32])
{
	uint64_t state = sha->opaque[0] ^ sha->opaque[1];

	for (uint32_t i = 0; i < 32u; i++) {
		state = (state ^ state >> 31) * 0xD6E8FEB86659FD93u + i;
		out[i] = (uint8_t)(state >> 56);
	}
	return in_port || ++finals != fails_at;
}

static int verify(void *ctx, const struct tmd_key *key, const uint8_t digest[32],
		  const uint8_t *signature)
{
	int err;

	in_port = true;
	err = format2_crypto.verify(ctx, key, digest, signature);
	in_port = false;
	return err;
}

static int agree(void *ctx, const struct tmd_key *key, const uint8_t *peer, uint8_t shared[32])
{
	int err;

	in_port = true;
	err = format2_crypto.agree(ctx, key, peer, shared);
	in_port = false;
	return err;
}

static int aes128(void *ctx, const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
	int err;

	in_port = true;
	err = format2_crypto.aes128(ctx, key, in, out);
	in_port = false;
	return err;
}

static const struct tmd_crypto crypto = {verify, agree, aes128, NULL};

/* ---- the tests ---- */

static void set_up(int kind)
{
	const struct tmd_sim_options options = {.progress_bytes = 1024, .staging_bytes = 4096};
	struct bytes tlvs = format2_needs();
	struct bytes inner;

	fails_at = 0;
	base = model_make(700, 5);
	target = model_derive(&base, 720, 6);
	patch = format2_signed(&base, &target, &tlvs, &format2_hmac);
	if (kind == SEALED) {
		inner = patch;
		patch = format2_sealed(&inner, 1);
		bytes_free(&inner);
	}
	bench_init_config(&b, &pages, SLOT_BYTES, &base, BENCH_FACTORY, &options);
	format2_contract(&b.contract, &b.model);
	format2_keys(&b.contract);
	b.device.config.crypto = &crypto;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	finals = 0;
	bytes_free(&tlvs);
}

static void tear_down(void)
{
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&target);
	bytes_free(&patch);
}

/* Whichever fails: the update is refused, the base stays, and the same patch is taken afterwards. */
static void test_each_of_an_update(void)
{
	static const uint32_t pieces[] = {STAGED, STREAMED};

	for (int kind = SIGNED; kind < KINDS; kind++) {
		for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
			uint32_t all;

			set_up(kind);
			EXPECT_STATUS(bench_send(&b, &patch, pieces[i]), TMD_OK);
			all = finals;
			EXPECT(bench_holds(&b, &target));
			EXPECT(all >= 3u); /* what was signed, the base, the target */
			tear_down();
			for (uint32_t n = 1; n <= all; n++) {
				context("kind %d, pieces of %u, digest %u of %u", kind,
					(unsigned int)pieces[i], (unsigned int)n, (unsigned int)all);
				set_up(kind);
				fails_at = n;
				EXPECT(bench_send(&b, &patch, pieces[i]) != TMD_OK);
				fails_at = 0;
				EXPECT(bench_holds(&b, &base));
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				EXPECT(bench_holds(&b, &base));
				EXPECT_STATUS(bench_send(&b, &patch, pieces[i]), TMD_OK);
				EXPECT(bench_holds(&b, &target));
				tear_down();
			}
		}
	}
}

/* Cryptography that failed says nothing of a patch: a staged one stays, and is applied later. */
static void test_a_staged_patch_stays(void)
{
	set_up(SIGNED);
	fails_at = 1; /* what was signed */
	EXPECT_STATUS(tmd_sim_device_stage(&b.device, patch.at, patch.n, 50, NULL), TMD_ERR_CRYPTO);
	fails_at = 0;
	EXPECT(bench_holds(&b, &base));
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_STATUS(tmd_sim_device_resume(&b.device), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	tear_down();
}

/* A model whose digest nobody can compute is not given out; once it can be, it is there again. */
static void test_at_mount(void)
{
	set_up(SIGNED);
	fails_at = 1;
	EXPECT_STATUS(tmd_store_mount(&b.device.store, &b.device.config), TMD_ERR_NO_MODEL);
	fails_at = 0;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &base));
	tear_down();
}

static void test_hmac(void)
{
	static const uint8_t key[32] = {1};
	uint8_t out[32];

	for (uint32_t n = 1; n <= 2u; n++) {
		finals = 0;
		fails_at = n;
		EXPECT(!tmd_hmac_sha256(key, sizeof(key), "text", 4, out));
	}
	fails_at = 0;
	EXPECT(tmd_hmac_sha256(key, sizeof(key), "text", 4, out));
}

int main(void)
{
	RUN(test_each_of_an_update);
	RUN(test_a_staged_patch_stays);
	RUN(test_at_mount);
	RUN(test_hmac);
	return harness_result();
}

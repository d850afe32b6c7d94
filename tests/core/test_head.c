/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Heads: which metadata may stand in which format and how long they are, what of format 2's stays
 * with the model, and the CRC-32 behind them.
 */
#include "harness.h"

#include <tinymldelta/patch.h>

#include "format2.h"

static struct bytes base;
static struct bytes target;
static struct tmd_contract contract;
static struct tmd_model_contract model;

static void set_up(void)
{
	base = model_make(100, 1);
	target = model_make(200, 2);
	contract = (struct tmd_contract){.wire_version = TMD_WIRE_VERSION, .formats = 1u << 1};
	format2_contract(&contract, &model);
}

static void tear_down(void)
{
	bytes_free(&base);
	bytes_free(&target);
}

/* Read a head in pieces. The state is that at its end, or at the first fault. */
static int read_head(struct tmd_patch *p, const struct bytes *head, size_t piece)
{
	tmd_patch_init(p);
	for (size_t at = 0; at < head->n; at += piece) {
		const size_t n = head->n - at < piece ? head->n - at : piece;
		size_t used;
		const int err = tmd_patch_head(p, &contract, &head->at[at], n, &used);

		if (err != TMD_OK) {
			return err;
		}
		EXPECT_EQ(used, n);
	}
	return tmd_patch_head_complete(p) ? TMD_OK : TMD_ERR_TRUNCATED;
}

static int read_metadata(struct tmd_patch *p, const struct bytes *tlvs)
{
	struct bytes head = format2_head(&base, &target, tlvs);
	const int err = read_head(p, &head, head.n);

	bytes_free(&head);
	return err;
}

/* The value of every length of a TLV, by tag: n bytes, a list of operators where it has to be one. */
static void put_value(struct bytes *tlvs, uint8_t tag, uint32_t n)
{
	uint8_t value[256];

	memset(value, 1, sizeof(value));
	if (tag == 13u) {
		/* 3 bytes, then operators of 2 and one of 3 */
		memcpy(value, (const uint8_t[]){1, 0x81, 1}, 3);
		if (n % 2u == 0u) {
			memcpy(&value[3], (const uint8_t[]){1, 0x81, 2}, 3);
		}
	}
	format2_text(tlvs, tag, value, n);
}

/* Every tag with every length, in format 2. */
static void test_lengths(void)
{
	static const struct {
		uint8_t least;
		uint8_t most;
	} by_tag[18] = {
		[1] = {4, 4},  [5] = {4, 4},   [6] = {4, 4},   [7] = {4, 4},    [8] = {4, 4},
		[9] = {4, 4},  [10] = {4, 4},  [11] = {4, 4},  [12] = {1, 31},  [13] = {0, 96},
		[14] = {1, 96}, [15] = {1, 250}, [16] = {18, 18},
		[17] = {4, 4}, /* 18 is only for signed ones: test_signed.c */
	};
	struct tmd_patch p;

	set_up();
	for (uint32_t tag = 0; tag < 128u; tag++) {
		for (uint32_t n = 0; n < 256u; n++) {
			struct bytes tlvs = {NULL, 0};
			const bool is_kept = n + 2u <= TMD_META_KEPT;
			const bool is_list = tag != 13u || (n != 1u && n != 2u && n != 4u);
			const bool taken = tag < 18u && by_tag[tag].most > 0u && is_kept && is_list &&
					   n >= by_tag[tag].least && n <= by_tag[tag].most;

			context("tag %u, %u bytes", (unsigned int)tag, (unsigned int)n);
			put_value(&tlvs, (uint8_t)tag, n);
			EXPECT_STATUS(read_metadata(&p, &tlvs), taken ? TMD_OK : TMD_ERR_METADATA);
			if (taken) {
				EXPECT_EQ(p.info.present, 1u << (tag - 1u));
				EXPECT_EQ(p.info.kept_bytes, n + 2u);
				EXPECT_BYTES(p.info.kept, tlvs.at, tlvs.n);
				for (uint32_t i = 0; i < TMD_VALUES_N; i++) {
					EXPECT_EQ(p.info.value[i], i + 1u == tag ? 0x01010101 : 0);
				}
			}
			bytes_free(&tlvs);
		}
	}
	tear_down();
}

static void test_lengths_in_format_1(void)
{
	struct tmd_patch p;

	set_up();
	for (uint32_t tag = 0; tag < 128u; tag++) {
		for (uint32_t n = 0; n < 256u; n++) {
			struct bytes head = patch_header(&base, &target, 2);
			const uint32_t want = tag == 2u ? 2u : tag >= 1u && tag <= 7u ? 4u : 256u;

			context("tag %u, %u bytes", (unsigned int)tag, (unsigned int)n);
			patch_tlv(&head, (uint8_t)tag, 0, (uint8_t)n);
			EXPECT_STATUS(read_head(&p, &head, head.n),
				      n == want ? TMD_OK : TMD_ERR_METADATA);
			EXPECT_EQ(p.info.kept_bytes, 0);
			bytes_free(&head);
		}
	}
	tear_down();
}

/* A vendor's TLVs: any length, any number of them; they do not stay with the model. */
static void test_vendors(void)
{
	struct tmd_patch p;
	struct bytes needs;

	set_up();
	needs = format2_needs();
	for (uint32_t tag = 128; tag < 256u; tag++) {
		for (uint32_t n = 0; n < 256u; n += n < 90u ? 1u : 55u) {
			struct bytes tlvs = {NULL, 0};

			context("tag %u, %u bytes", (unsigned int)tag, (unsigned int)n);
			put_value(&tlvs, (uint8_t)tag, n);
			for (uint32_t i = 0; i < needs.n; i += 2u + needs.at[i + 1u]) {
				format2_text(&tlvs, needs.at[i], &needs.at[i + 2u], needs.at[i + 1u]);
			}
			put_value(&tlvs, (uint8_t)tag, n);
			EXPECT_STATUS(read_metadata(&p, &tlvs), TMD_OK);
			EXPECT_EQ(p.info.meta_bytes, tlvs.n);
			EXPECT_EQ(p.info.present, 0x1F81);
			if (EXPECT_EQ(p.info.kept_bytes, needs.n)) {
				EXPECT_BYTES(p.info.kept, needs.at, needs.n);
			}
			bytes_free(&tlvs);
		}
	}
	bytes_free(&needs);
	tear_down();
}

static void test_each_stands_once(void)
{
	struct tmd_patch p;

	set_up();
	for (uint8_t tag = 1; tag <= 17u; tag++) {
		struct bytes tlvs = {NULL, 0};
		const uint32_t n = tag == 16u ? 18u : tag >= 12u && tag < 16u ? 3u : 4u;

		if (tag >= 2u && tag <= 4u) {
			continue;
		}
		context("tag %d", (int)tag);
		put_value(&tlvs, tag, n);
		EXPECT_STATUS(read_metadata(&p, &tlvs), TMD_OK);
		put_value(&tlvs, 200, 3);
		put_value(&tlvs, tag, n);
		EXPECT_STATUS(read_metadata(&p, &tlvs), TMD_ERR_METADATA);
		bytes_free(&tlvs);
	}
	tear_down();
}

/* As much as the contract says, and as the library was built with, stays. */
static void test_how_much_stays(void)
{
	struct tmd_patch p;

	set_up();
	for (uint32_t n = 60; n <= 255u; n++) {
		struct bytes tlvs = {NULL, 0};

		put_value(&tlvs, 14, 30);
		put_value(&tlvs, 0x90, 200);
		put_value(&tlvs, 15, n - 34u);
		for (uint32_t kept = n - 1u; kept <= n; kept++) {
			context("%u bytes of %u", (unsigned int)n, (unsigned int)kept);
			contract.meta_kept = (uint16_t)kept;
			EXPECT_STATUS(read_metadata(&p, &tlvs),
				      n <= kept && n <= TMD_META_KEPT ? TMD_OK : TMD_ERR_METADATA);
		}
		bytes_free(&tlvs);
	}
	contract.meta_kept = UINT16_MAX;
	for (uint32_t n = TMD_META_KEPT - 1u; n <= TMD_META_KEPT + 1u; n++) {
		struct bytes tlvs = {NULL, 0};

		context("%u bytes", (unsigned int)n);
		put_value(&tlvs, 14, 40);
		put_value(&tlvs, 15, n - 44u);
		EXPECT_STATUS(read_metadata(&p, &tlvs),
			      n <= TMD_META_KEPT ? TMD_OK : TMD_ERR_METADATA);
		bytes_free(&tlvs);
	}
	tear_down();
}

/* Whatever the pieces, the same is read; and a head that ends early is never complete. */
static void test_pieces(void)
{
	struct tmd_patch p;
	struct bytes tlvs;
	struct bytes head;

	set_up();
	tlvs = format2_needs();
	put_value(&tlvs, 0xFF, 250);
	put_value(&tlvs, 14, 96);
	head = format2_head(&base, &target, &tlvs);
	for (size_t piece = 1; piece <= head.n; piece++) {
		context("pieces of %zu", piece);
		EXPECT_STATUS(read_head(&p, &head, piece), TMD_OK);
		EXPECT_EQ(p.info.meta_bytes, tlvs.n);
		EXPECT_EQ(p.info.present, 0x3F81);
		EXPECT_EQ(p.info.value[0], BENCH_ARENA);
		EXPECT_EQ(p.info.value[7], BENCH_KERNELS);
		EXPECT_EQ(p.info.value[8], BENCH_TENSORS);
		EXPECT_EQ(p.info.value[9], BENCH_QUANTISATION);
		EXPECT_EQ(p.info.value[10], BENCH_NAMES);
		EXPECT_EQ(p.info.kept_bytes, tlvs.n - 252u);
		EXPECT_EQ(p.info.base_bytes, base.n);
		EXPECT_EQ(p.info.target_bytes, target.n);
	}
	for (uint32_t n = 0; n < head.n; n++) {
		const struct bytes part = {head.at, n};

		context("%u bytes", (unsigned int)n);
		EXPECT_STATUS(read_head(&p, &part, 1), TMD_ERR_TRUNCATED);
	}
	bytes_free(&head);
	bytes_free(&tlvs);
	tear_down();
}

/* No bit of a head can turn over: not in digests, not in what nobody reads, not in the CRC-32. */
static void test_each_bit_counts(void)
{
	static const size_t pieces[] = {1, 5, 64, 1000};
	struct tmd_patch p;
	struct bytes tlvs;
	struct bytes head;

	set_up();
	tlvs = format2_needs();
	put_value(&tlvs, 0x80, 20);
	put_value(&tlvs, 14, 10);
	head = format2_head(&base, &target, &tlvs);
	for (uint32_t bit = 0; bit < 8u * head.n; bit++) {
		int err;

		context("bit %u", (unsigned int)bit);
		head.at[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
		err = read_head(&p, &head, head.n);
		EXPECT(err != TMD_OK);
		for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
			EXPECT_STATUS(read_head(&p, &head, pieces[i]), err);
		}
		head.at[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
	}
	bytes_free(&head);
	bytes_free(&tlvs);
	tear_down();
}

/* Transfers name a patch by its CRC-32: heads with the same body behind them have other ones. */
static void test_patches_have_names_of_their_own(void)
{
	uint32_t names[2];

	set_up();
	for (uint32_t i = 0; i < 2u; i++) {
		struct bytes tlvs = {NULL, 0};
		struct bytes head;

		format2_text(&tlvs, 14, i == 0u ? "run 1" : "run 2", 5);
		head = format2_head(&base, &target, &tlvs);
		names[i] = tmd_crc32(0, head.at, head.n);
		bytes_free(&head);
		bytes_free(&tlvs);
	}
	EXPECT(names[0] != names[1]);
	tear_down();
}

static void test_no_metadata(void)
{
	const struct bytes none = {NULL, 0};
	struct tmd_patch p;

	set_up();
	EXPECT_STATUS(read_metadata(&p, &none), TMD_OK);
	EXPECT_EQ(p.info.present, 0);
	EXPECT_EQ(p.info.kept_bytes, 0);
	tear_down();
}

int main(void)
{
	RUN(test_lengths);
	RUN(test_lengths_in_format_1);
	RUN(test_vendors);
	RUN(test_each_stands_once);
	RUN(test_how_much_stays);
	RUN(test_pieces);
	RUN(test_each_bit_counts);
	RUN(test_patches_have_names_of_their_own);
	RUN(test_no_metadata);
	return harness_result();
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The wire format's constants as the C sees them: layouts without holes, codes as SPEC.md has them,
 * a name and a text for each status and rule.
 */
#include "harness.h"

#include <tinymldelta/contract.h>
#include <tinymldelta/patch.h>
#include <tinymldelta/store.h>
#include <tinymldelta/update.h>

/* Field by field, `offset` of the next one is the end of the one before. */
#define FOLLOWS(field, before, bytes) \
	_Static_assert((field) == (before) + (bytes), #field " follows " #before)

FOLLOWS(TMD_F1_HEADER_DIGEST_KIND, TMD_F1_HEADER_VERSION, 1u);
FOLLOWS(TMD_F1_HEADER_CHUNKS_N, TMD_F1_HEADER_DIGEST_KIND, 1u);
FOLLOWS(TMD_F1_HEADER_BASE_BYTES, TMD_F1_HEADER_CHUNKS_N, 2u);
FOLLOWS(TMD_F1_HEADER_TARGET_BYTES, TMD_F1_HEADER_BASE_BYTES, 4u);
FOLLOWS(TMD_F1_HEADER_BASE_DIGEST, TMD_F1_HEADER_TARGET_BYTES, 4u);
FOLLOWS(TMD_F1_HEADER_TARGET_DIGEST, TMD_F1_HEADER_BASE_DIGEST, 32u);
FOLLOWS(TMD_F1_HEADER_META_BYTES, TMD_F1_HEADER_TARGET_DIGEST, 32u);
FOLLOWS(TMD_F1_HEADER_FLAGS, TMD_F1_HEADER_META_BYTES, 2u);
FOLLOWS(TMD_F1_HEADER_SIZE, TMD_F1_HEADER_FLAGS, 2u);
_Static_assert(TMD_F1_HEADER_VERSION == 0u && TMD_F1_HEADER_SIZE == 80u, "80 bytes");

FOLLOWS(TMD_F1_CHUNK_PAYLOAD_BYTES, TMD_F1_CHUNK_OFFSET, 4u);
FOLLOWS(TMD_F1_CHUNK_ENCODING, TMD_F1_CHUNK_PAYLOAD_BYTES, 2u);
FOLLOWS(TMD_F1_CHUNK_HAS_CRC, TMD_F1_CHUNK_ENCODING, 1u);
FOLLOWS(TMD_F1_CHUNK_SIZE, TMD_F1_CHUNK_HAS_CRC, 1u);
_Static_assert(TMD_F1_CHUNK_OFFSET == 0u && TMD_F1_CHUNK_SIZE == 8u, "8 bytes");

FOLLOWS(TMD_RECORD_VERSION, TMD_RECORD_MAGIC, 2u);
FOLLOWS(TMD_RECORD_ACTIVE, TMD_RECORD_VERSION, 1u);
FOLLOWS(TMD_RECORD_SEQUENCE, TMD_RECORD_ACTIVE, 1u);
FOLLOWS(TMD_RECORD_FLOOR, TMD_RECORD_SEQUENCE, 4u);
FOLLOWS(TMD_RECORD_UPDATES, TMD_RECORD_FLOOR, 4u);
FOLLOWS(TMD_RECORD_ERASES, TMD_RECORD_UPDATES, 4u);
FOLLOWS(TMD_RECORD_SLOT0, TMD_RECORD_ERASES, 4u);
FOLLOWS(TMD_RECORD_SLOT1, TMD_RECORD_SLOT0, TMD_ENTRY_SIZE);
FOLLOWS(TMD_RECORD_CRC, TMD_RECORD_SLOT1, TMD_ENTRY_SIZE);
FOLLOWS(TMD_RECORD_SIZE, TMD_RECORD_CRC, 4u);
_Static_assert(TMD_RECORD_MAGIC == 0u && TMD_RECORD_SIZE == 128u, "128 bytes");

FOLLOWS(TMD_ENTRY_SHA256, TMD_ENTRY_BYTES, 4u);
FOLLOWS(TMD_ENTRY_ARENA, TMD_ENTRY_SHA256, 16u);
FOLLOWS(TMD_ENTRY_ABI, TMD_ENTRY_ARENA, 4u);
FOLLOWS(TMD_ENTRY_OPSET, TMD_ENTRY_ABI, 4u);
FOLLOWS(TMD_ENTRY_IO, TMD_ENTRY_OPSET, 4u);
FOLLOWS(TMD_ENTRY_VERSION, TMD_ENTRY_IO, 4u);
FOLLOWS(TMD_ENTRY_FLOOR, TMD_ENTRY_VERSION, 4u);
FOLLOWS(TMD_ENTRY_MODEL_BYTES, TMD_ENTRY_FLOOR, 4u);
FOLLOWS(TMD_ENTRY_PRESENT, TMD_ENTRY_MODEL_BYTES, 4u);
FOLLOWS(TMD_ENTRY_STATE, TMD_ENTRY_PRESENT, 1u);
FOLLOWS(TMD_ENTRY_STARTS, TMD_ENTRY_STATE, 1u);
FOLLOWS(TMD_ENTRY_META_BYTES, TMD_ENTRY_STARTS, 1u);
FOLLOWS(TMD_ENTRY_SIZE, TMD_ENTRY_META_BYTES, 1u);
_Static_assert(TMD_ENTRY_BYTES == 0u && TMD_ENTRY_SIZE == 52u, "52 bytes");

FOLLOWS(TMD_STAGING_PATCH_BYTES, TMD_STAGING_MAGIC, 4u);
FOLLOWS(TMD_STAGING_PATCH_ID, TMD_STAGING_PATCH_BYTES, 4u);
FOLLOWS(TMD_STAGING_UPDATES, TMD_STAGING_PATCH_ID, 4u);
FOLLOWS(TMD_STAGING_SIZE, TMD_STAGING_UPDATES, 4u);
_Static_assert(TMD_STAGING_MAGIC == 0u && TMD_STAGING_SIZE == 16u, "16 bytes");

FOLLOWS(TMD_F2_SIGNER_KEY, TMD_F2_SIGNER_KIND, 1u);
FOLLOWS(TMD_F2_SIGNER_BODY_CRC, TMD_F2_SIGNER_KEY, 4u);
FOLLOWS(TMD_F2_SIGNER_SIZE, TMD_F2_SIGNER_BODY_CRC, 4u);
_Static_assert(TMD_F2_SIGNER_KIND == 0u && TMD_F2_SIGNER_SIZE == 9u, "9 bytes");

FOLLOWS(TMD_SELF_TEST_TYPE, TMD_SELF_TEST_VECTORS_N, 2u);
FOLLOWS(TMD_SELF_TEST_RESERVED, TMD_SELF_TEST_TYPE, 1u);
FOLLOWS(TMD_SELF_TEST_INPUT_BYTES, TMD_SELF_TEST_RESERVED, 1u);
FOLLOWS(TMD_SELF_TEST_OUTPUT_BYTES, TMD_SELF_TEST_INPUT_BYTES, 4u);
FOLLOWS(TMD_SELF_TEST_TOLERANCE, TMD_SELF_TEST_OUTPUT_BYTES, 4u);
FOLLOWS(TMD_SELF_TEST_SIZE, TMD_SELF_TEST_TOLERANCE, 4u);
_Static_assert(TMD_SELF_TEST_VECTORS_N == 0u && TMD_SELF_TEST_SIZE == 16u, "16 bytes");

/* What the core's types have to hold. */
_Static_assert(TMD_MODEL_MAX <= UINT32_MAX / 2u, "offsets of two models can be added");
_Static_assert(TMD_CHUNK_PAYLOAD_MAX <= UINT16_MAX, "payload_bytes is a u16");
_Static_assert(TMD_META_MAX <= UINT16_MAX, "meta_bytes is a u16");
_Static_assert(sizeof(((struct tmd_patch *)NULL)->scratch) >= TMD_F1_HEADER_SIZE, "a header fits");
_Static_assert(sizeof(((struct tmd_patch *)NULL)->scratch) >= TMD_SIGNATURE_MAX, "a signature fits");
_Static_assert(sizeof(((struct tmd_patch *)NULL)->scratch) >=
		       TMD_F2_BASE_DIGEST_SIZE + TMD_F2_SIGNED_TARGET_DIGEST_SIZE,
	       "digests fit");
_Static_assert(TMD_TLVS_N <= 32, "a bit of tmd_patch_info.present for each TLV");
_Static_assert(TMD_RECORD_NUMBERS_N <= 8, "a bit of a record's `present` for each TLV that it knows");
_Static_assert(TMD_RULES_N <= 32, "a bit of tmd_guard_warnings for each rule");
_Static_assert(TMD_META_KEPT >= 64 && TMD_META_KEPT <= UINT8_MAX, "a record's `meta_bytes` holds it");
_Static_assert(TMD_LABELS_MAX + 2u <= UINT8_MAX && TMD_LABELS_MAX + 2u <= TMD_META_MAX,
	       "a TLV of any length can stay with a model");
_Static_assert(TMD_F1_TLVS < 1u << TMD_RECORD_NUMBERS_N, "a record knows all TLVs of format 1");
_Static_assert((TMD_F1_TLVS | TMD_F2_TLVS) == (1u << TMD_TLVS_N) - 1u, "each is for some format");
_Static_assert(TMD_WRITE_BUFFER >= TMD_RECORD_SIZE, "a record fits");
_Static_assert(TMD_WRITE_BUFFER <= TMD_WRITE_UNIT_MAX, "tmd_update.fill and flush hold it");
_Static_assert(TMD_PAGES_MAX == 8u * (TMD_ENTRY_PRESENT - TMD_ENTRY_ARENA),
	       "a plan has a bit for each erase unit");

struct code {
	int code;
	const char *name;
};

/* As in SPEC.md: a code, once given, keeps its meaning. */
static const struct code codes[] = {
	{0, "OK"},
	{-1, "ARGUMENT"},
	{-10, "FLASH_READ"},
	{-11, "FLASH_WRITE"},
	{-12, "FLASH_ERASE"},
	{-13, "FLASH_VERIFY"},
	{-14, "GEOMETRY"},
	{-15, "NO_MODEL"},
	{-16, "TRIAL"},
	{-17, "BUSY"},
	{-18, "STATE"},
	{-19, "STAGING"},
	{-20, "TRUNCATED"},
	{-21, "FORMAT"},
	{-22, "HEADER"},
	{-23, "DIGEST_KIND"},
	{-24, "METADATA"},
	{-25, "TRAILING"},
	{-26, "DECODER"},
	{-27, "SIGNATURE"},
	{-28, "KEY"},
	{-29, "UNSIGNED"},
	{-30, "CRYPTO"},
	{-31, "SEAL"},
	{-40, "UNGUARDED"},
	{-41, "ARENA"},
	{-42, "ABI"},
	{-43, "OPERATORS"},
	{-44, "IO"},
	{-45, "SLOT"},
	{-46, "BASE"},
	{-47, "VERSION"},
	{-48, "REVERTED"},
	{-49, "SELF_TEST"},
	{-50, "NAME"},
	{-51, "QUANTISATION"},
	{-52, "TENSOR_NAMES"},
	{-53, "CLASS"},
	{-60, "CHUNK_ENCODING"},
	{-61, "CHUNK_ORDER"},
	{-62, "CHUNK_BOUNDS"},
	{-63, "CHUNK_CRC"},
	{-64, "GAP"},
	{-65, "TARGET"},
	{-66, "BODY"},
};

#define CODES_N (sizeof(codes) / sizeof(codes[0]))

/* Every status and rule that there is. */
#define AS_CODE(symbol, name, text) {symbol, name},
#define ONE_MORE(symbol, name, text) +1

static const struct code all[] = {TMD_STATUS_LIST(AS_CODE)};

#define ALL_N (sizeof(all) / sizeof(all[0]))

static void test_published_codes_keep_their_names(void)
{
	for (size_t i = 0; i < CODES_N; i++) {
		context("%d", codes[i].code);
		EXPECT_STRING(tmd_status_name(codes[i].code), codes[i].name);
	}
}

static void test_every_status_has_a_name_and_a_text(void)
{
	for (size_t i = 0; i < ALL_N; i++) {
		const char *text = tmd_status_text(all[i].code);
		const size_t length = strlen(text);

		context("%s", all[i].name);
		EXPECT_STRING(tmd_status_name(all[i].code), all[i].name);
		EXPECT(strcmp(text, tmd_status_text(INT16_MAX)) != 0);
		EXPECT(length > 0u && text[length - 1u] != '.'); /* one clause */
		EXPECT(all[i].code <= 0 && all[i].code >= INT16_MIN); /* tmd_update.status */
		for (size_t k = 0; k < i; k++) {
			EXPECT(all[i].code != all[k].code);
			EXPECT(strcmp(all[i].name, all[k].name) != 0);
			EXPECT(strcmp(text, tmd_status_text(all[k].code)) != 0);
		}
	}
}

static void test_a_number_that_is_no_status(void)
{
	for (int code = -300; code <= 300; code++) {
		bool known = false;

		for (size_t i = 0; i < ALL_N; i++) {
			known = known || all[i].code == code;
		}
		context("%d", code);
		EXPECT_EQ(strcmp(tmd_status_name(code), "?") != 0, known);
		EXPECT_EQ(strcmp(tmd_status_text(code), tmd_status_text(INT16_MAX)) != 0, known);
	}
}

static void test_rules(void)
{
	static const char *const names[] = {"NAME", "ARENA",        "ABI",          "OPERATORS",
					    "IO",   "QUANTISATION", "TENSOR_NAMES", "CLASS",
					    "SLOT"};

	EXPECT_EQ(sizeof(names) / sizeof(names[0]), TMD_RULES_N);
	for (int i = 0; i < (int)TMD_RULES_N; i++) {
		EXPECT_STRING(tmd_rule_name(i), names[i]);
	}
	EXPECT_STRING(tmd_rule_name(TMD_RULES_N), "?");
	EXPECT_STRING(tmd_rule_name(-1), "?");
	EXPECT_EQ(0 TMD_RULE_LIST(ONE_MORE), TMD_RULES_N); /* each in the list once */
}

/* As in SPEC.md: a tag, once given, keeps its meaning and the lengths of its value. */
static const struct tlv {
	unsigned int tag;
	unsigned int want;
	unsigned int least;
	unsigned int most;
	unsigned int formats; /* bit n is for format n */
} tlvs[] = {
	{TMD_TLV_REQ_ARENA_BYTES, 1, 4, 4, 6}, {TMD_TLV_TFLM_ABI, 2, 2, 2, 2},
	{TMD_TLV_OPSET_HASH, 3, 4, 4, 2},      {TMD_TLV_IO_HASH, 4, 4, 4, 2},
	{TMD_TLV_MODEL_VERSION, 5, 4, 4, 6},   {TMD_TLV_VERSION_FLOOR, 6, 4, 4, 6},
	{TMD_TLV_SELF_TEST, 7, 4, 4, 6},       {TMD_TLV_KERNELS, 8, 4, 4, 4},
	{TMD_TLV_TENSORS, 9, 4, 4, 4},         {TMD_TLV_QUANTISATION, 10, 4, 4, 4},
	{TMD_TLV_TENSOR_NAMES, 11, 4, 4, 4},   {TMD_TLV_MODEL_NAME, 12, 1, 31, 4},
	{TMD_TLV_OPERATORS, 13, 0, 96, 4},     {TMD_TLV_NOTE, 14, 1, 96, 4},
	{TMD_TLV_LABELS, 15, 1, 250, 4},       {TMD_TLV_ACCURACY, 16, 18, 18, 4},
	{TMD_TLV_DEVICE_CLASS, 17, 4, 4, 4},   {TMD_TLV_DOWNGRADE, 18, 4, 4, 4},
};

static void test_tlvs(void)
{
	static const uint8_t least[] = TMD_TLV_LEAST;
	static const uint8_t most[] = TMD_TLV_MOST;

	EXPECT_EQ(sizeof(tlvs) / sizeof(tlvs[0]), TMD_TLVS_N);
	EXPECT_EQ(sizeof(least), TMD_TLVS_N);
	EXPECT_EQ(sizeof(most), TMD_TLVS_N);
	for (unsigned int i = 0; i < TMD_TLVS_N; i++) {
		context("tag %u", tlvs[i].want);
		EXPECT_EQ(tlvs[i].tag, tlvs[i].want);
		EXPECT_EQ(tlvs[i].tag, i + 1u);
		EXPECT_EQ(least[i], tlvs[i].least);
		EXPECT_EQ(most[i], tlvs[i].most);
		EXPECT_EQ((TMD_F1_TLVS >> i) & 1u, (tlvs[i].formats >> 1) & 1u);
		EXPECT_EQ((TMD_F2_TLVS >> i) & 1u, (tlvs[i].formats >> 2) & 1u);
		EXPECT_EQ(i < TMD_TLV_NUMBERS_N, i < 11u);
	}
	EXPECT_EQ(TMD_TLV_VENDOR_FIRST, 0x80);
	EXPECT_EQ(TMD_META_MAX, 1024);
	EXPECT_EQ(TMD_OPERATOR_CODE_MAX, 32767);
	EXPECT_EQ(TMD_OPERATOR_VERSION_MAX, 63);
}

static void test_numbers_of_the_format(void)
{
	EXPECT_EQ(TMD_FORMAT_1, 1);
	EXPECT_EQ(TMD_FORMAT_2, 2);
	EXPECT_EQ(TMD_DIGEST_NONE, 0);
	EXPECT_EQ(TMD_DIGEST_CRC32, 1);
	EXPECT_EQ(TMD_DIGEST_SHA256, 2);
	EXPECT_EQ(TMD_DIGEST_CMAC, 3);
	EXPECT_EQ(TMD_F1_RAW, 0);
	EXPECT_EQ(TMD_F1_RLE, 1);
	EXPECT_EQ(TMD_F2_CRC_SIZE, 4);
	EXPECT_EQ(TMD_MODEL_MAX, 0x7FFFFFFF);
	EXPECT_EQ(TMD_ACCEPT_UNGUARDED, 1);
	EXPECT_EQ(TMD_ACCEPT_NO_DIGEST, 2);
	EXPECT_EQ(TMD_ACCEPT_KERNELS_WARNED, 4);
	EXPECT_EQ(TMD_ACCEPT_KERNELS, 8);
	EXPECT_EQ(TMD_ACCEPT_QUANTISATION, 16);
	EXPECT_EQ(TMD_COMPARE_NAMES, 32);
	EXPECT_EQ(TMD_ANTI_ROLLBACK, 64);
	EXPECT_EQ(TMD_SIGNATURE_ED25519, 1);
	EXPECT_EQ(TMD_SIGNATURE_ECDSA_P256, 2);
	EXPECT_EQ(TMD_SIGNATURE_HMAC_SHA256, 3);
	EXPECT_EQ(TMD_SIGNATURE_AES_CMAC, 4);
	EXPECT_EQ(TMD_SIGNATURE_MAX, 64);
	EXPECT_EQ(TMD_AGREEMENT_X25519, 1);
	EXPECT_EQ(TMD_AGREEMENT_ECDH_P256, 2);
	EXPECT_EQ(TMD_SEALED_FIRST, 3);
	EXPECT_EQ(TMD_SEALED_CHUNK, 256);
	EXPECT_EQ(TMD_SEALED_TAG_SIZE, 8);
	EXPECT_STRING(TMD_SIGNED_INFO, "tinymldelta signed patch 1");
	EXPECT_STRING(TMD_SEALED_INFO, "tinymldelta sealed patch 1");
	EXPECT_EQ(TMD_PASS, 0);
	EXPECT_EQ(TMD_FAIL, 1);
	EXPECT_EQ(TMD_MISSING, 2);
	EXPECT_EQ(TMD_WAIVED, 3);
	EXPECT_EQ(TMD_WARNED, 4);
	EXPECT_EQ(TMD_FREE, 5);
	EXPECT_EQ(TMD_RECORD_MAGIC_VALUE, 0x4D54);
	EXPECT_EQ(TMD_RECORD_VERSION_VALUE, 3);
	EXPECT_EQ(TMD_STAGING_MAGIC_VALUE, 0x53444D54);
	EXPECT_EQ(TMD_SLOT_IS_NONE, 0);
	EXPECT_EQ(TMD_SLOT_IS_STREAMED, 1);
	EXPECT_EQ(TMD_SLOT_IS_PLANNED, 2);
	EXPECT_EQ(TMD_SLOT_IS_COMPLETE, 3);
	EXPECT_EQ(TMD_SLOT_IS_REVERTED, 4);
}

int main(void)
{
	RUN(test_published_codes_keep_their_names);
	RUN(test_every_status_has_a_name_and_a_text);
	RUN(test_a_number_that_is_no_status);
	RUN(test_rules);
	RUN(test_tlvs);
	RUN(test_numbers_of_the_format);
	return harness_result();
}

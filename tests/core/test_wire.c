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
FOLLOWS(TMD_RECORD_SLOT, TMD_RECORD_VERSION, 1u);
FOLLOWS(TMD_RECORD_SEQUENCE, TMD_RECORD_SLOT, 1u);
FOLLOWS(TMD_RECORD_MODEL_BYTES, TMD_RECORD_SEQUENCE, 4u);
FOLLOWS(TMD_RECORD_MODEL_SHA256, TMD_RECORD_MODEL_BYTES, 4u);
FOLLOWS(TMD_RECORD_CRC, TMD_RECORD_MODEL_SHA256, 32u);
FOLLOWS(TMD_RECORD_SIZE, TMD_RECORD_CRC, 4u);
_Static_assert(TMD_RECORD_MAGIC == 0u && TMD_RECORD_SIZE == 48u, "48 bytes");

/* What the core's types have to hold. */
_Static_assert(TMD_MODEL_MAX <= UINT32_MAX / 2u, "offsets of two models can be added");
_Static_assert(TMD_CHUNK_PAYLOAD_MAX <= UINT16_MAX, "payload_bytes is a u16");
_Static_assert(TMD_META_MAX <= UINT16_MAX, "meta_bytes is a u16");
_Static_assert(sizeof(((struct tmd_patch *)NULL)->scratch) >= TMD_F1_HEADER_SIZE, "a header fits");
_Static_assert(TMD_RULES_N <= 8, "a bit of tmd_patch_info.present for each rule");
_Static_assert(TMD_WRITE_BUFFER >= TMD_RECORD_SIZE, "a record fits");
_Static_assert(TMD_WRITE_BUFFER <= TMD_WRITE_UNIT_MAX, "tmd_update.fill and flush hold it");
_Static_assert(TMD_PAGES_MAX % 8u == 0u, "one bit each");

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
	{-20, "TRUNCATED"},
	{-21, "FORMAT"},
	{-22, "HEADER"},
	{-23, "DIGEST_KIND"},
	{-24, "METADATA"},
	{-25, "TRAILING"},
	{-40, "UNGUARDED"},
	{-41, "ARENA"},
	{-42, "ABI"},
	{-43, "OPERATORS"},
	{-44, "IO"},
	{-45, "SLOT"},
	{-46, "BASE"},
	{-60, "CHUNK_ENCODING"},
	{-61, "CHUNK_ORDER"},
	{-62, "CHUNK_BOUNDS"},
	{-63, "CHUNK_CRC"},
	{-64, "GAP"},
	{-65, "TARGET"},
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
	EXPECT_STRING(tmd_rule_name(TMD_RULE_ARENA), "ARENA");
	EXPECT_STRING(tmd_rule_name(TMD_RULE_ABI), "ABI");
	EXPECT_STRING(tmd_rule_name(TMD_RULE_OPERATORS), "OPERATORS");
	EXPECT_STRING(tmd_rule_name(TMD_RULE_IO), "IO");
	EXPECT_STRING(tmd_rule_name(TMD_RULE_SLOT), "SLOT");
	EXPECT_STRING(tmd_rule_name(TMD_RULES_N), "?");
	EXPECT_STRING(tmd_rule_name(-1), "?");
	EXPECT_EQ(0 TMD_RULE_LIST(ONE_MORE), TMD_RULES_N); /* each in the list once */
}

static void test_numbers_of_the_format(void)
{
	static const unsigned int sizes[] = TMD_TLV_SIZES;

	EXPECT_EQ(sizeof(sizes) / sizeof(sizes[0]), TMD_TLVS_N);
	EXPECT_EQ(TMD_FORMAT_1, 1);
	EXPECT_EQ(TMD_DIGEST_NONE, 0);
	EXPECT_EQ(TMD_DIGEST_CRC32, 1);
	EXPECT_EQ(TMD_DIGEST_SHA256, 2);
	EXPECT_EQ(TMD_DIGEST_CMAC, 3);
	EXPECT_EQ(TMD_F1_RAW, 0);
	EXPECT_EQ(TMD_F1_RLE, 1);
	EXPECT_EQ(TMD_TLV_REQ_ARENA_BYTES, 1);
	EXPECT_EQ(sizes[0], 4);
	EXPECT_EQ(TMD_TLV_TFLM_ABI, 2);
	EXPECT_EQ(sizes[1], 2);
	EXPECT_EQ(TMD_TLV_OPSET_HASH, 3);
	EXPECT_EQ(sizes[2], 4);
	EXPECT_EQ(TMD_TLV_IO_HASH, 4);
	EXPECT_EQ(sizes[3], 4);
	EXPECT_EQ(TMD_TLV_VENDOR_FIRST, 0x80);
	EXPECT_EQ(TMD_META_MAX, 1024);
	EXPECT_EQ(TMD_MODEL_MAX, 0x7FFFFFFF);
	EXPECT_EQ(TMD_ACCEPT_UNGUARDED, 1);
	EXPECT_EQ(TMD_ACCEPT_NO_DIGEST, 2);
	EXPECT_EQ(TMD_RECORD_MAGIC_VALUE, 0x4D54);
	EXPECT_EQ(TMD_RECORD_VERSION_VALUE, 1);
}

int main(void)
{
	RUN(test_published_codes_keep_their_names);
	RUN(test_every_status_has_a_name_and_a_text);
	RUN(test_a_number_that_is_no_status);
	RUN(test_rules);
	RUN(test_numbers_of_the_format);
	return harness_result();
}

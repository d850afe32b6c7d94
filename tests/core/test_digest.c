/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * CRC-32, SHA-256 and the fingerprint against published vectors, in one piece and in many.
 */
#include "harness.h"

#include <tinymldelta/digest.h>

#define MILLION 1000000u

struct vector {
	const char *message;
	uint32_t crc;
	const char *sha256;
};

/*
 * SHA-256: the examples that NIST publishes for FIPS 180-4 (one block, two blocks), and the empty
 * message of its validation system. CRC-32: "123456789" is the check value of the catalogue of
 * parametrised CRC algorithms; the others are zlib's.
 */
static const struct vector vectors[] = {
	{"", 0x00000000u, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"abc", 0x352441C2u, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 0x171A3F5Fu,
	 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	{"123456789", 0xCBF43926u,
	 "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"},
};

static const char sha_of_million_a[] =
	"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

#define VECTORS_N (sizeof(vectors) / sizeof(vectors[0]))

static void to_hex(const uint8_t sha256[32], char hex[65])
{
	for (size_t i = 0; i < 32u; i++) {
		(void)snprintf(&hex[2u * i], 3, "%02x", sha256[i]);
	}
}

static void hex_of(const void *data, size_t bytes, size_t piece, char hex[65])
{
	struct tmd_sha256 sha;
	uint8_t out[32];

	memset(&sha, 0xA5, sizeof(sha));
	tmd_sha256_init(&sha);
	for (size_t at = 0; at < bytes; at += piece) {
		tmd_sha256_update(&sha, (const uint8_t *)data + at,
				  bytes - at < piece ? bytes - at : piece);
	}
	(void)tmd_sha256_final(&sha, out);
	to_hex(out, hex);
}

static void test_published_vectors(void)
{
	char hex[65];

	for (size_t i = 0; i < VECTORS_N; i++) {
		const struct vector *v = &vectors[i];

		context("\"%s\"", v->message);
		EXPECT_EQ(tmd_crc32(0, v->message, strlen(v->message)), v->crc);
		for (size_t piece = 1; piece <= strlen(v->message) + 1u; piece++) {
			hex_of(v->message, strlen(v->message), piece, hex);
			EXPECT_STRING(hex, v->sha256);
		}
	}
}

static void test_one_million_a(void)
{
	uint8_t *message = malloc(MILLION);
	char hex[65];

	REQUIRE(message != NULL);
	memset(message, 'a', MILLION);
	hex_of(message, MILLION, MILLION, hex);
	EXPECT_STRING(hex, sha_of_million_a);
	hex_of(message, MILLION, 997, hex);
	EXPECT_STRING(hex, sha_of_million_a);
	EXPECT_EQ(tmd_crc32(0, message, MILLION), 0xDC25BFBCu);
	free(message);
}

/* The lengths around a block's end, where the padding changes from one block to two. */
static void test_lengths_around_a_block(void)
{
	/* SHA-256 of n times 'a', n as given: from coreutils' sha256sum. */
	static const struct {
		size_t bytes;
		const char *sha256;
	} of_a[] = {
		{55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
		{56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
		{63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
		{64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
		{65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"},
		{119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"},
		{120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"},
	};
	uint8_t message[120];
	char hex[65];

	memset(message, 'a', sizeof(message));
	for (size_t i = 0; i < sizeof(of_a) / sizeof(of_a[0]); i++) {
		context("%zu bytes", of_a[i].bytes);
		hex_of(message, of_a[i].bytes, of_a[i].bytes, hex);
		EXPECT_STRING(hex, of_a[i].sha256);
		hex_of(message, of_a[i].bytes, 1, hex);
		EXPECT_STRING(hex, of_a[i].sha256);
	}
}

/*
 * The length field counts bits, in 64 of them: beyond 2^29 bytes it reaches into the second word.
 * The digest is that of the state after 64 zero bytes when 5 * 2^29 more are said to have gone by,
 * computed with another implementation; hashing 2.5 GB would take a minute.
 */
static void test_the_length_beyond_32_bits(void)
{
	static const uint8_t zeros[64];
	struct tmd_sha256 sha;
	uint8_t out[32];
	char hex[65];

	tmd_sha256_init(&sha);
	tmd_sha256_update(&sha, zeros, sizeof(zeros));
	sha.total += 5u << 29;
	(void)tmd_sha256_final(&sha, out);
	to_hex(out, hex);
	EXPECT_STRING(hex, "d6a4859be0bc6e35cfecf23bf78d5882f8943d2ce17fc517bad8e1a0a3602d96");
}

static void test_pieces_equal_one_shot(void)
{
	uint8_t message[1000];
	char once[65];
	char hex[65];

	for (size_t i = 0; i < sizeof(message); i++) {
		message[i] = (uint8_t)(i * 7u + (i >> 3));
	}
	hex_of(message, sizeof(message), sizeof(message), once);
	for (size_t piece = 1; piece <= 130u; piece++) {
		const uint32_t all = tmd_crc32(0, message, sizeof(message));
		uint32_t crc = 0;

		context("pieces of %zu", piece);
		for (size_t at = 0; at < sizeof(message); at += piece) {
			const size_t left = sizeof(message) - at;

			crc = tmd_crc32(crc, &message[at], left < piece ? left : piece);
		}
		EXPECT_EQ(crc, all);
		hex_of(message, sizeof(message), piece, hex);
		EXPECT_STRING(hex, once);
	}
	EXPECT_EQ(tmd_crc32(0x12345678u, message, 0), 0x12345678u);
}

static bool matches(const char *message, uint8_t kind, const uint8_t digest[32], uint8_t sha256[32])
{
	struct tmd_fingerprint print;

	memset(&print, 0xA5, sizeof(print));
	tmd_fingerprint_init(&print, kind);
	tmd_fingerprint_update(&print, message, 1);
	tmd_fingerprint_update(&print, message + 1, strlen(message) - 1u);
	return tmd_fingerprint_matches(&print, digest, TMD_DIGEST_SHA256_SIZE, sha256);
}

static void test_fingerprint(void)
{
	const uint8_t crc[32] = {0xC2, 0x41, 0x24, 0x35}; /* little-endian */
	uint8_t changed[32];
	uint8_t sha256[32];
	uint8_t out[32];
	char hex[65];

	EXPECT(matches("abc", TMD_DIGEST_CRC32, crc, sha256));
	to_hex(sha256, hex);
	EXPECT_STRING(hex, vectors[1].sha256); /* always the SHA-256, whatever the kind */
	EXPECT(matches("abc", TMD_DIGEST_SHA256, sha256, out));
	EXPECT_BYTES(out, sha256, sizeof(out));
	EXPECT(!matches("abd", TMD_DIGEST_CRC32, crc, out));
	EXPECT(!matches("abd", TMD_DIGEST_SHA256, sha256, out));

	/* Every bit of a digest counts. */
	for (unsigned int bit = 0; bit < 256u; bit++) {
		context("bit %u", bit);
		memcpy(changed, sha256, sizeof(changed));
		changed[bit / 8u] ^= (uint8_t)(1u << (bit % 8u));
		EXPECT(!matches("abc", TMD_DIGEST_SHA256, changed, out));
		if (bit < 32u) {
			memcpy(changed, crc, sizeof(changed));
			changed[bit / 8u] ^= (uint8_t)(1u << (bit % 8u));
			EXPECT(!matches("abc", TMD_DIGEST_CRC32, changed, out));
		}
	}
	EXPECT(matches("abc", TMD_DIGEST_NONE, changed, out));
}

static void test_unknown_kind_never_matches(void)
{
	static const uint8_t zeros[32];
	uint8_t sha256[32];
	uint8_t out[32];

	EXPECT(matches("abc", TMD_DIGEST_NONE, zeros, sha256));
	for (unsigned int kind = TMD_DIGEST_CMAC; kind <= 255u; kind++) {
		context("kind %u", kind);
		EXPECT(!matches("abc", (uint8_t)kind, zeros, out));
		EXPECT(!matches("abc", (uint8_t)kind, sha256, out));
	}
}

int main(void)
{
	RUN(test_published_vectors);
	RUN(test_one_million_a);
	RUN(test_lengths_around_a_block);
	RUN(test_the_length_beyond_32_bits);
	RUN(test_pieces_equal_one_shot);
	RUN(test_fingerprint);
	RUN(test_unknown_kind_never_matches);
	return harness_result();
}

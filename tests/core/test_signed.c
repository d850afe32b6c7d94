/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Signed patches: what is not just as it was signed is refused, before the flash is touched; so is
 * what nobody signed, what another key signed, and what is for another base, model or class.
 */
#include "harness.h"

#include <core/signature.h>

#include "format2.h"

#define SLOT_BYTES 3000u

enum { STAGED = 0, STREAMED = 61 };

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes patch;

static const struct tmd_sim_geometry pages = {
	"pages", "", {{512, 1}}, 1, 8, 0xFF, TMD_SIM_WRITE_ONCE};

static void device_for(const struct bytes *model)
{
	bench_init_config(&b, &pages, SLOT_BYTES, model, BENCH_FACTORY, &bench_plain);
	format2_contract(&b.contract, &b.model);
	format2_keys(&b.contract);
	b.contract.device_class = 0xC1A55;
	b.device.config.crypto = &format2_crypto;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	bench_mark(&b);
}

static struct bytes needs_of(uint32_t device_class)
{
	struct bytes tlvs = format2_needs();

	format2_number(&tlvs, 17, device_class);
	return tlvs;
}

static void set_up(void)
{
	struct bytes tlvs = needs_of(0xC1A55);

	base = model_make(700, 5);
	target = model_derive(&base, 720, 6);
	format2_text(&tlvs, 14, "night run 7", 11);
	format2_number(&tlvs, 5, 3);
	patch = format2_signed(&base, &target, &tlvs, &format2_hmac);
	device_for(&base);
	bytes_free(&tlvs);
}

static void tear_down(void)
{
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&target);
	bytes_free(&patch);
}

static struct bytes copy_of(const struct bytes *p, uint32_t room)
{
	struct bytes copy = {calloc(1, p->n + room + 1u), p->n};

	if (copy.at == NULL) {
		exit(2);
	}
	memcpy(copy.at, p->at, p->n);
	return copy;
}

/* Refused, with nothing done to the flash at all. */
static int expect_untouched(const struct bytes *p, uint32_t piece)
{
	const int err = bench_send(&b, p, piece);

	EXPECT(err != TMD_OK);
	EXPECT_EQ(bench_operations(&b), 0);
	EXPECT(bench_is_unchanged(&b));
	return err;
}

static void expect_untouched_with(const struct bytes *p, int status)
{
	EXPECT_STATUS(expect_untouched(p, STREAMED), status);
	EXPECT_STATUS(expect_untouched(p, STAGED), status);
}

/* Refused before the switch: the same model, the same records. */
static void expect_not_switched(const struct bytes *p)
{
	EXPECT(bench_send(&b, p, STREAMED) != TMD_OK);
	EXPECT(bench_region_is_unchanged(&b, &b.device.config.slot[0]));
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &base));
	bench_rewind(&b);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
}

static void test_as_it_was_signed(void)
{
	static const uint32_t pieces[] = {STAGED, 1, 7, STREAMED, 5000};

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		set_up();
		context("pieces of %u", (unsigned int)pieces[i]);
		EXPECT_STATUS(bench_send(&b, &patch, pieces[i]), TMD_OK);
		EXPECT(bench_holds(&b, &target));
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &target));
		tear_down();
	}
}

/* In the head and the signature as it comes, and with the head's CRC-32 set right. */
static void test_each_bit_of_the_head(void)
{
	uint32_t end;

	set_up();
	end = format2_head_end(&patch);
	for (uint32_t bit = 0; bit < 8u * (end + 32u); bit++) {
		struct bytes p = copy_of(&patch, 0);

		context("bit %u", (unsigned int)bit);
		p.at[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
		(void)expect_untouched(&p, bit % 3u == 0u ? 1u : STREAMED);
		(void)expect_untouched(&p, STAGED);
		if (bit / 8u < end - 4u && format2_head_end(&p) == end) {
			format2_repair(&p, NULL);
			(void)expect_untouched(&p, STREAMED);
			(void)expect_untouched(&p, STAGED);
		}
		bytes_free(&p);
	}
	tear_down();
}

static void test_each_bit_of_the_body(void)
{
	set_up();
	for (uint32_t bit = 8u * (format2_head_end(&patch) + 32u); bit < 8u * patch.n; bit++) {
		context("bit %u", (unsigned int)bit);
		patch.at[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
		(void)expect_untouched(&patch, STAGED);
		expect_not_switched(&patch);
		patch.at[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
	}
	tear_down();
}

static void test_each_length(void)
{
	const uint32_t more = 40;
	struct bytes p;

	set_up();
	p = copy_of(&patch, more);
	for (p.n = 0; p.n < patch.n + more; p.n++) {
		if (p.n == patch.n) {
			continue;
		}
		context("%u of %u bytes", (unsigned int)p.n, (unsigned int)patch.n);
		(void)expect_untouched(&p, STAGED);
		if (p.n < format2_head_end(&patch) + 32u) {
			(void)expect_untouched(&p, STREAMED);
		} else {
			expect_not_switched(&p);
		}
	}
	for (uint32_t byte = 0; byte < 256u; byte++) {
		context("byte %u behind it", (unsigned int)byte);
		p.n = patch.n + 1u;
		p.at[patch.n] = (uint8_t)byte;
		(void)expect_untouched(&p, STAGED);
		expect_not_switched(&p);
	}
	bytes_free(&p);
	tear_down();
}

/* TLVs from `first` on change places; the CRC-32 is right again, the signature is not. */
static void test_each_pair_of_tlvs(void)
{
	uint32_t at[32];
	uint32_t n = 0;
	uint32_t end;
	uint32_t tlvs_bytes;

	set_up();
	end = format2_head_end(&patch) - 4u;
	/* The first TLV is the model's name. */
	at[0] = end;
	while (memcmp(&patch.at[at[0]], (const uint8_t[]){12, 5, 'b', 'e'}, 4) != 0) {
		at[0]--;
	}
	tlvs_bytes = end - at[0];
	for (; at[n] < end; n++) {
		at[n + 1u] = at[n] + 2u + patch.at[at[n] + 1u];
	}
	EXPECT_EQ(n, 10);
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = i + 1u; k < n; k++) {
			struct bytes p = copy_of(&patch, 0);
			uint8_t *to = &p.at[at[0]];

			context("%u and %u", (unsigned int)i, (unsigned int)k);
			for (uint32_t m = 0; m < n; m++) {
				const uint32_t from = m == i ? k : m == k ? i : m;
				const uint32_t bytes = at[from + 1u] - at[from];

				memcpy(to, &patch.at[at[from]], bytes);
				to += bytes;
			}
			EXPECT_EQ((uint32_t)(to - &p.at[at[0]]), tlvs_bytes);
			expect_untouched_with(&p, TMD_ERR_METADATA);
			format2_repair(&p, NULL);
			expect_untouched_with(&p, TMD_ERR_SIGNATURE);
			bytes_free(&p);
		}
	}
	tear_down();
}

/* A TLV leaves the protected area for the place where the signature is, before it or behind it. */
static void test_each_tlv_moved_out(void)
{
	set_up();
	for (uint32_t at = 1; at < format2_head_end(&patch); at++) {
		const uint32_t end = format2_head_end(&patch);
		const uint32_t bytes = 2u + patch.at[at + 1u];

		if (at + bytes > end - 4u) {
			continue;
		}
		for (uint32_t behind = 0; behind < 2u; behind++) {
			struct bytes p = copy_of(&patch, 0);
			const uint32_t to = behind != 0u ? end + 32u : end;

			context("from %u, %s", (unsigned int)at, behind != 0u ? "behind" : "before");
			memmove(&p.at[at], &patch.at[at + bytes], to - at - bytes);
			memcpy(&p.at[to - bytes], &patch.at[at], bytes);
			(void)expect_untouched(&p, STREAMED);
			(void)expect_untouched(&p, STAGED);
			bytes_free(&p);
		}
	}
	tear_down();
}

/* Of the form that ECDSA has. */
static void sign_by_ones(const uint8_t digest[32], uint8_t *signature)
{
	(void)digest;
	memset(signature, 1, 64);
}

static void test_who_signed(void)
{
	struct format2_signer other = format2_hmac;
	struct bytes tlvs = needs_of(0xC1A55);
	struct tmd_crypto port = format2_crypto;
	struct bytes p;

	set_up();
	for (uint32_t bit = 0; bit < 32u; bit++) {
		context("id, bit %u", (unsigned int)bit);
		other.id[bit / 8u] = (uint8_t)(format2_hmac.id[bit / 8u] ^ 1u << bit % 8u);
		p = format2_signed(&base, &target, &tlvs, &other);
		expect_untouched_with(&p, TMD_ERR_KEY);
		bytes_free(&p);
		other = format2_hmac;
	}
	context("");
	other.id[0] = 0xA2; /* the contract has it, and it is not the key that signed */
	p = format2_signed(&base, &target, &tlvs, &other);
	expect_untouched_with(&p, TMD_ERR_SIGNATURE);
	bytes_free(&p);
	for (uint32_t kind = 0; kind < 256u; kind++) {
		other = format2_hmac;
		other.kind = (uint8_t)kind;
		if (kind == 3u) {
			continue;
		}
		context("kind %u", (unsigned int)kind);
		p = format2_signed(&base, &target, &tlvs, &other);
		expect_untouched_with(&p, TMD_ERR_KEY);
		bytes_free(&p);
	}
	context("");
	other = format2_hmac;
	other.kind = 2;
	other.sign = sign_by_ones;
	memcpy(other.id, (const uint8_t[]){0xA3, 2, 3, 4}, 4); /* of ECDSA, which the port has not */
	p = format2_signed(&base, &target, &tlvs, &other);
	expect_untouched_with(&p, TMD_ERR_KEY);
	bytes_free(&p);
	p = format2_patch(&base, &target, &tlvs);
	expect_untouched_with(&p, TMD_ERR_UNSIGNED);
	bytes_free(&p);
	p = patch_make(&base, &target, TMD_DIGEST_SHA256);
	expect_untouched_with(&p, TMD_ERR_UNSIGNED);
	bytes_free(&p);
	b.device.config.crypto = NULL;
	expect_untouched_with(&patch, TMD_ERR_KEY);
	port.verify = NULL;
	b.device.config.crypto = &port;
	expect_untouched_with(&patch, TMD_ERR_KEY);
	b.device.config.crypto = &format2_crypto;
	b.contract.keys_n = 0; /* nobody can check it */
	expect_untouched_with(&patch, TMD_ERR_KEY);
	bytes_free(&tlvs);
	tear_down();
}

static int fails(void *ctx, const struct tmd_key *key, const uint8_t digest[32],
		 const uint8_t *signature)
{
	(void)key;
	(void)digest;
	(void)signature;
	return *(const int *)ctx;
}

static void test_what_a_port_says(void)
{
	static const int said[] = {TMD_ERR_CRYPTO, TMD_ERR_KEY, TMD_ERR_SIGNATURE, -1};
	int status;
	const struct tmd_crypto port = {fails, NULL, NULL, &status};

	set_up();
	b.device.config.crypto = &port;
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		status = said[i];
		expect_untouched_with(&patch, status);
	}
	tear_down();
}

static void sign_by_zeros(const uint8_t digest[32], uint8_t *signature)
{
	(void)digest;
	memset(signature, 0, 64);
}

/* Whatever a port may think of it. */
static void test_a_signature_without_form(void)
{
	struct format2_signer other = {2, {0xA3, 2, 3, 4}, sign_by_zeros};
	struct bytes tlvs = needs_of(0xC1A55);
	int status = TMD_OK;
	const struct tmd_crypto port = {fails, NULL, NULL, &status};
	struct bytes p;

	set_up();
	b.device.config.crypto = &port;
	p = format2_signed(&base, &target, &tlvs, &other);
	expect_untouched_with(&p, TMD_ERR_SIGNATURE);
	bytes_free(&p);
	other.sign = sign_by_ones;
	p = format2_signed(&base, &target, &tlvs, &other);
	EXPECT_STATUS(bench_send(&b, &p, STREAMED), TMD_OK);
	bytes_free(&p);
	bytes_free(&tlvs);
	tear_down();
}

/* What a head says is not judged before it is known who says it. */
static void test_the_signature_comes_first(void)
{
	struct bytes tlvs = {NULL, 0};
	struct bytes p;

	set_up();
	p = format2_signed(&base, &target, &tlvs, &format2_hmac);
	expect_untouched_with(&p, TMD_ERR_UNGUARDED);
	p.at[format2_head_end(&p)] ^= 1u;
	expect_untouched_with(&p, TMD_ERR_SIGNATURE);
	bytes_free(&p);
	tear_down();
}

/* Nothing of a body is decoded, and no head is judged, before the signature was. */
static void test_order_of_calls(void)
{
	struct tmd_patch p;
	const struct tmd_patch_io io = {NULL, NULL, NULL}; /* which is not asked */
	uint32_t head;
	size_t used;

	set_up();
	head = format2_head_end(&patch) + 32u;
	tmd_patch_init(&p);
	EXPECT_STATUS(tmd_patch_verify(&p, &b.contract, &format2_crypto), TMD_ERR_ARGUMENT);
	EXPECT_STATUS(tmd_patch_head(&p, &b.contract, patch.at, patch.n, &used), TMD_OK);
	EXPECT_EQ(used, head);
	EXPECT(tmd_patch_head_complete(&p));
	EXPECT_STATUS(tmd_patch_body(&p, &io, &patch.at[head], patch.n - head), TMD_ERR_ARGUMENT);
	EXPECT_STATUS(tmd_patch_end(&p, &io), TMD_ERR_ARGUMENT);
	EXPECT_STATUS(tmd_patch_verify(&p, &b.contract, &format2_crypto), TMD_OK);
	EXPECT_STATUS(tmd_patch_verify(&p, &b.contract, NULL), TMD_OK); /* it was */
	tear_down();
}

/* r and s of ECDSA: from 1 on, below the order, and s at most half of it. */
static void test_form_of_ecdsa(void)
{
	static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,
					  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					  0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
					  0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
	uint8_t signature[64] = {0};
	uint8_t *r = signature;
	uint8_t *s = &signature[32];

	EXPECT(!tmd_signature_is_formed(2, signature));
	EXPECT(tmd_signature_is_formed(1, signature));
	EXPECT(tmd_signature_is_formed(3, signature));
	EXPECT(tmd_signature_is_formed(4, signature));
	r[31] = 1;
	EXPECT(!tmd_signature_is_formed(2, signature));
	r[31] = 0;
	s[31] = 1;
	EXPECT(!tmd_signature_is_formed(2, signature));
	r[31] = 1;
	EXPECT(tmd_signature_is_formed(2, signature));
	memcpy(r, order, 32);
	EXPECT(!tmd_signature_is_formed(2, signature));
	r[31]--;
	EXPECT(tmd_signature_is_formed(2, signature));
	memset(r, 0xFF, 32);
	EXPECT(!tmd_signature_is_formed(2, signature));
	r[0] = 0;
	for (uint32_t i = 0; i < 32u; i++) { /* half of the order, which is odd */
		s[i] = (uint8_t)(order[i] >> 1 | (i > 0u ? order[i - 1u] << 7 : 0));
	}
	EXPECT(tmd_signature_is_formed(2, signature));
	s[31]++;
	EXPECT(!tmd_signature_is_formed(2, signature));
	memcpy(s, order, 32);
	EXPECT(!tmd_signature_is_formed(2, signature));
	s[31]--;
	EXPECT(!tmd_signature_is_formed(2, signature));
	memset(s, 0, 32);
	EXPECT(!tmd_signature_is_formed(2, signature));
}

/* RFC 4231, test cases 2 and 6, and keys that are too long. */
static void test_hmac(void)
{
	static const uint8_t want[32] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
					 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
					 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83,
					 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
	uint8_t key[65] = {0};
	uint8_t out[32];

	EXPECT(tmd_hmac_sha256((const uint8_t *)"Jefe", 4, "what do ya want for nothing?", 28, out));
	EXPECT_BYTES(out, want, 32);
	EXPECT(tmd_hmac_sha256(key, 64, "", 0, out));
	EXPECT(!tmd_hmac_sha256(key, 65, "", 0, out));
	EXPECT(tmd_is_equal(out, want, 0));
	EXPECT(tmd_is_equal(want, want, 32));
	for (uint32_t bit = 0; bit < 256u; bit++) {
		memcpy(out, want, 32);
		out[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
		EXPECT(!tmd_is_equal(out, want, 32));
		EXPECT(!tmd_is_equal(want, out, 32));
	}
}

/* RFC 9124, THREAT.UPD.WRONG_PRECURSOR. Bases of any length, the right one included. */
static void test_wrong_bases(void)
{
	uint64_t state = 1;

	set_up();
	for (uint32_t i = 0; i < 10000u; i++) {
		struct bytes other = model_make(i % 4u == 0u ? base.n : 1u + bench_random(&state) % 1500u,
						1000u + i);

		context("base %u", (unsigned int)i);
		bench_free(&b);
		device_for(&other);
		expect_untouched_with(&patch, TMD_ERR_BASE);
		bytes_free(&other);
	}
	tear_down();
}

static void test_other_models_and_classes(void)
{
	uint64_t state = 2;

	set_up();
	for (uint32_t i = 0; i < 1000u; i++) {
		struct bytes needs = format2_needs();
		struct bytes tlvs = {NULL, 0};
		uint32_t device_class = 0xC1A55;
		struct bytes p;
		int want = TMD_ERR_NAME;

		context("patch %u", (unsigned int)i);
		if (i % 2u == 0u) {
			uint8_t name[31];
			const uint32_t n = 1u + bench_random(&state) % 31u;

			for (uint32_t k = 0; k < n; k++) {
				name[k] = (uint8_t)('a' + bench_random(&state) % 26u);
			}
			format2_text(&tlvs, 12, name, n);
		} else {
			format2_text(&tlvs, 12, "bench", 5);
			device_class = bench_random(&state);
			want = TMD_ERR_CLASS;
		}
		for (uint32_t at = 7; at < needs.n; at += 2u + needs.at[at + 1u]) {
			format2_text(&tlvs, needs.at[at], &needs.at[at + 2u], needs.at[at + 1u]);
		}
		format2_number(&tlvs, 17, device_class);
		p = format2_signed(&base, &target, &tlvs, &format2_hmac);
		expect_untouched_with(&p, want);
		bytes_free(&p);
		bytes_free(&tlvs);
		bytes_free(&needs);
	}
	tear_down();
}

/* An exception from the floor is none if nobody signed it. */
static void test_downgrade_in_an_unsigned_patch(void)
{
	struct bytes tlvs = needs_of(0xC1A55);
	struct bytes p;

	set_up();
	b.contract.keys_n = 0;
	p = format2_patch(&base, &target, &tlvs);
	EXPECT_STATUS(bench_send(&b, &p, STREAMED), TMD_OK);
	bench_rewind(&b);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	bytes_free(&p);
	format2_number(&tlvs, 18, 7);
	p = format2_patch(&base, &target, &tlvs);
	expect_untouched_with(&p, TMD_ERR_METADATA);
	bytes_free(&p);
	bytes_free(&tlvs);
	tear_down();
}

int main(void)
{
	RUN(test_as_it_was_signed);
	RUN(test_each_bit_of_the_head);
	RUN(test_each_bit_of_the_body);
	RUN(test_each_length);
	RUN(test_each_pair_of_tlvs);
	RUN(test_each_tlv_moved_out);
	RUN(test_who_signed);
	RUN(test_what_a_port_says);
	RUN(test_a_signature_without_form);
	RUN(test_the_signature_comes_first);
	RUN(test_order_of_calls);
	RUN(test_form_of_ecdsa);
	RUN(test_hmac);
	RUN(test_wrong_bases);
	RUN(test_other_models_and_classes);
	RUN(test_downgrade_in_an_unsigned_patch);
	return harness_result();
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the container and the decoders: one input is a base and a patch for it. Most inputs are only
 * the body of the patch; the harness writes a head that leads to it, with lengths and digests that
 * fit. Some, chosen by the input's own bytes, are a whole patch.
 *
 *	u8 how: 0x01 lean, 0x02 format 1, 0x1C cut in pieces if all set; of format 1, 0xE0 its chunks;
 *	        of format 2, 0xC0 signed if both are set, then 0x20 the CRC-32 of another body, and
 *	        0x08 encrypted, and then 0x04 one byte changed on the way; 0x80 alone: a read of the
 *	        base, or a piece of the target, fails
 *	u8 base bytes / 2 - 1, base
 *	u8 target bytes / 2 - 1
 *	the body, or the patch
 *
 * What must hold: no access outside (the sanitizers), reads of the base within it, never more bytes
 * of the target than promised, just as many where decoding succeeds, the same outcome however the
 * patch is cut, and nothing more after a failure, whose status comes out. At exit it prints how often
 * it ran, how often it came to the body, and how often it rebuilt a target.
 */
#include <tinymldelta/crypto.h>
#include <tinymldelta/guard.h>
#include <tinymldelta/patch.h>

#include "fuzz_seal.h"

#define TARGET_MAX 512u
#define HEAD_MAX 160u
#define PLAIN_MAX (HEAD_MAX + 4096u)
#define PATCH_MAX FUZZ_SEALED(PLAIN_MAX)
#define WHOLE_SHARE 16u /* one input in so many is a whole patch */

static const struct tmd_model_contract model = {
	.name = "any", .arena_bytes = UINT32_MAX, .slot_bytes = TARGET_MAX};
static const struct tmd_key key = {NULL, TMD_SIGNATURE_AES_CMAC, {0, 0, 0, 0}};

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
	uint32_t calls; /* to go until one fails; 0: none does */
	bool failed;
	struct outcome outcome;
};

/* What stands for a signature: the digest's first bytes. */
static int verify(void *ctx, const struct tmd_key *signer, const uint8_t digest[32],
		  const uint8_t *signature)
{
	(void)ctx;
	(void)signer;
	return memcmp(signature, digest, TMD_DIGEST_CMAC_SIZE) == 0 ? TMD_OK : TMD_ERR_SIGNATURE;
}

static const struct tmd_crypto crypto = {verify, fuzz_agree, fuzz_aes128, NULL};

static bool fails(struct run *run)
{
	require(!run->failed, "it goes on after a failure");
	run->failed = run->calls > 0u && --run->calls == 0u;
	return run->failed;
}

static int read_base(void *ctx, uint32_t offset, uint8_t *buf, uint32_t bytes)
{
	struct run *run = ctx;

	require(offset <= run->base_bytes && bytes <= run->base_bytes - offset,
		"a read outside of the base");
	if (fails(run)) {
		return TMD_ERR_FLASH_READ;
	}
	memcpy(buf, run->base + offset, bytes);
	return TMD_OK;
}

static int emit(void *ctx, const uint8_t *buf, uint32_t bytes)
{
	struct run *run = ctx;

	require(bytes <= run->target_bytes - run->outcome.emitted, "more target than promised");
	if (fails(run)) {
		return TMD_ERR_FLASH_WRITE;
	}
	run->outcome.emitted += bytes;
	for (uint32_t i = 0; i < bytes; i++) {
		run->outcome.hash = (run->outcome.hash ^ buf[i]) * 16777619u;
	}
	return TMD_OK;
}

static struct tmd_patch state;
static struct tmd_sealed sealed;

/* Bytes of the patch, as they come out of its envelope. */
static int feed(struct run *run, const struct tmd_contract *contract, const struct tmd_patch_io *io,
		const uint8_t *data, size_t bytes)
{
	size_t used = 0;
	int err = TMD_OK;

	if (!run->outcome.reached) {
		err = tmd_patch_head(&state, contract, data, bytes, &used);
		require(used <= bytes, "more used than given");
		if (err == TMD_OK && tmd_patch_head_complete(&state)) {
			run->target_bytes = state.info.target_bytes;
			err = tmd_patch_verify(&state, contract, &crypto);
			if (err == TMD_OK) {
				err = tmd_guard_check(contract, 0, &state.info);
			}
			if (err == TMD_OK && state.info.base_bytes != run->base_bytes) {
				err = TMD_ERR_BASE;
			}
			run->outcome.reached = err == TMD_OK;
		}
	}
	if (err == TMD_OK && run->outcome.reached && bytes > used) {
		err = tmd_patch_body(&state, io, data + used, bytes - used);
	}
	return err;
}

static int feed_any(struct run *run, const struct tmd_contract *contract,
		    const struct tmd_patch_io *io, const uint8_t *data, size_t bytes)
{
	int err = TMD_OK;

	while (err == TMD_OK && bytes > 0u && !tmd_sealed_is_plain(&sealed, contract, *data)) {
		const uint8_t *plain;
		const size_t before = bytes;
		size_t n;

		err = tmd_sealed_open(&sealed, contract, &crypto, &data, &bytes, &plain, &n);
		require(bytes < before, "nothing is taken of an envelope");
		if (err == TMD_OK && n > 0u) {
			err = feed(run, contract, io, plain, n);
		}
	}
	return err == TMD_OK && bytes > 0u ? feed(run, contract, io, data, bytes) : err;
}

static struct outcome decode(const uint8_t *base, uint32_t base_bytes, const uint8_t *patch,
			     size_t bytes, uint16_t decoder, bool is_signed, uint32_t calls,
			     size_t piece)
{
	const struct tmd_contract contract = {.accept = TMD_ACCEPT_UNGUARDED | TMD_ACCEPT_NO_DIGEST,
					      .formats = 1u << TMD_FORMAT_1 | 1u << TMD_FORMAT_2,
					      .decoder = decoder,
					      .meta_kept = TMD_META_KEPT,
					      .write_bytes = 1,
					      .models_n = 1,
					      .models = &model,
					      .keys = &key,
					      .keys_n = is_signed ? 1u : 0u,
					      .sealed_keys = &fuzz_sealing_key,
					      .sealed_keys_n = is_signed ? 1u : 0u};
	struct run run = {base, base_bytes, 0, calls, false, {TMD_OK, 0, 2166136261u, false}};
	const struct tmd_patch_io io = {read_base, emit, &run};

	tmd_patch_init(&state);
	memset(&sealed, 0, sizeof(sealed));
	while (run.outcome.err == TMD_OK && bytes > 0u) {
		const size_t n = bytes < piece ? bytes : piece;

		run.outcome.err = feed_any(&run, &contract, &io, patch, n);
		patch += n;
		bytes -= n;
	}
	if (run.outcome.reached && run.outcome.err == TMD_OK) {
		run.outcome.err = tmd_patch_end(&state, &io);
		require(run.outcome.err != TMD_OK || run.outcome.emitted == run.target_bytes,
			"success without the whole target");
		if (run.outcome.err == TMD_OK && tmd_sealed_is_open(&sealed)) {
			run.outcome.err = TMD_ERR_TRUNCATED;
		}
	}
	require(!run.failed || run.outcome.err == TMD_ERR_FLASH_READ ||
			run.outcome.err == TMD_ERR_FLASH_WRITE,
		"a failure that nobody hears of");
	return run.outcome;
}

/*
 * A head of format 2 that a device takes. Its digests are for the decoder's caller to compare. Of a
 * signed patch, the signature follows.
 */
static uint8_t *put_head_2(uint8_t *p, bool lean, uint32_t base_bytes, uint32_t target_bytes,
			   bool is_signed, uint32_t body_crc)
{
	static const uint8_t info[] = TMD_SIGNED_INFO;
	const uint8_t *start = p;
	struct tmd_sha256 sha;
	uint8_t digest[32];

	*p++ = (uint8_t)(TMD_FORMAT_2 | (lean ? TMD_F2_LEAN : 0u) | (is_signed ? TMD_F2_SIGNED : 0u));
	p = put_number(p, target_bytes);
	p = put_number(p, base_bytes);
	memset(p, 0, 64); /* digests, the signer's id, and no metadata */
	p += TMD_F2_BASE_DIGEST_SIZE;
	if (!is_signed) {
		return put_head_crc(p + TMD_F2_TARGET_DIGEST_SIZE + 1u, start);
	}
	p += TMD_F2_SIGNED_TARGET_DIGEST_SIZE;
	p[TMD_F2_SIGNER_KIND] = key.kind;
	put_u32(&p[TMD_F2_SIGNER_BODY_CRC], body_crc);
	p = put_head_crc(p + TMD_F2_SIGNER_SIZE + 1u, start);
	tmd_sha256_init(&sha);
	tmd_sha256_update(&sha, info, sizeof(info) - 1u);
	tmd_sha256_update(&sha, start, (size_t)(p - start));
	(void)tmd_sha256_final(&sha, digest);
	memcpy(p, digest, TMD_DIGEST_CMAC_SIZE);
	return p + TMD_DIGEST_CMAC_SIZE;
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
		(void)put_head_crc(p + at, p);
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

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_begin();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const size_t pieces[] = {1, 7, 64};
	static uint8_t room[PATCH_MAX], plain[PLAIN_MAX];
	uint8_t *p = plain;
	const uint8_t *patch;
	struct outcome whole, cut;
	uint32_t base_bytes, target_bytes;
	const uint8_t *base;
	uint32_t calls = 0;
	bool is_signed, is_right;
	uint16_t decoder;
	uint32_t hash;
	uint8_t how;

	if (bytes < 4u) {
		return 0;
	}
	how = data[0];
	base_bytes = 2u * data[1] + 2u;
	decoder = (how & 1u) != 0u ? TMD_DECODER_LEAN : TMD_DECODER_DEFAULT;
	if (bytes < 3u + base_bytes || bytes > PLAIN_MAX - HEAD_MAX) {
		return 0;
	}
	base = data + 2;
	target_bytes = 2u * data[2u + base_bytes] + 2u;
	data += 3u + base_bytes;
	bytes -= 3u + base_bytes;
	hash = fuzz_hash(data, bytes);
	is_signed = (how & 2u) == 0u && (how & 0xC0u) == 0xC0u;
	is_right = is_signed && (how & 0x20u) == 0u;
	if ((how & 0xC0u) == 0x80u) {
		calls = 1u + hash / WHOLE_SHARE % 32u;
	}
	if (hash % WHOLE_SHARE != 0u) {
		p = (how & 2u) != 0u
			    ? put_head_1(p, (uint8_t)(how >> 5), base_bytes, target_bytes)
			    : put_head_2(p, (how & 1u) != 0u, base_bytes, target_bytes, is_signed,
					 fuzz_crc(0, data, bytes) ^ (is_right ? 0u : 1u));
	}
	memcpy(p, data, bytes);
	if (p == plain && bytes > 0u && (plain[0] & 15u) == TMD_FORMAT_2) {
		repair_crc(plain, bytes);
		is_signed = false;
	}
	bytes += (size_t)(p - plain);
	if (is_signed && (how & 8u) != 0u && bytes > 0u && p != plain) {
		bytes = fuzz_seal(room, plain, (uint32_t)bytes);
		if ((how & 0x14u) == 4u) {
			room[hash / WHOLE_SHARE % bytes] ^= (uint8_t)(1u << (hash >> 29));
			is_right = false;
		}
	} else {
		memcpy(room, plain, bytes);
	}
	/* To the end, so that no byte behind it is read unnoticed. */
	patch = memmove(&room[PATCH_MAX - bytes], room, bytes);
	whole = decode(base, base_bytes, patch, bytes, decoder, is_signed, calls, PATCH_MAX);
	require(!is_signed || is_right || whole.err != TMD_OK || !whole.reached,
		"a body was taken that is not the signed one");
	fuzz.runs++;
	fuzz.reached += whole.reached;
	fuzz.whole += whole.reached && whole.err == TMD_OK;
	if ((how & 0x1Cu) == 0x1Cu && calls == 0u) {
		cut = decode(base, base_bytes, patch, bytes, decoder, is_signed, 0,
			     pieces[bytes % 3u]);
		require(cut.err == whole.err && cut.reached == whole.reached,
			"another status when cut in pieces");
		require(whole.err != TMD_OK ||
				(cut.emitted == whole.emitted && cut.hash == whole.hash),
			"another target when cut in pieces");
	}
	return 0;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes what a patch says of its target, and who signed it: one input is metadata, and a list of
 * operators. The harness completes the head: lengths, the signer, CRC-32, signature.
 *
 *	u8 how: 0x01 lean, 0x02 format 1, 0x04 signed, 0xF8 policies of the contract
 *	u8 more: 0x03 kind of signature - 1, 0x04 the firmware is of a class, 0x08 has keys though
 *	         nothing is signed, 0x10 a wrong byte in what is signed, 0xE0 cut in pieces if all set
 *	TLVs: tag, length, value
 *
 * Tags and lengths are mended as the format has them, so that most heads are taken; of one input in
 * 16, chosen by its own bytes, the TLVs stand as they are, or all of the head does.
 *
 * What must hold: no access outside (the sanitizers); the same outcome however the head is cut; what
 * stays with the model is taken again as it was, and judged as it was; what is taken of operators is
 * in order; nothing unsigned is taken where keys are, and nothing whose signature is wrong. At exit
 * it prints how often it ran, how often the head was taken, and how often all guardrails held.
 */
#include <tinymldelta/crypto.h>
#include <tinymldelta/guard.h>
#include <tinymldelta/patch.h>

#include <core/metadata.h>
#include <core/operators.h>

#include "fuzz.h"

#define HEAD_MAX 1400u
#define RAW_SHARE 16u /* one input in so many is not mended */

static const uint8_t no_key[64];
static const struct tmd_key keys[TMD_SIGNATURE_KINDS_N] = {
	{no_key, TMD_SIGNATURE_ED25519, {1, 2, 3, 4}},
	{no_key, TMD_SIGNATURE_ECDSA_P256, {1, 2, 3, 5}},
	{NULL, TMD_SIGNATURE_HMAC_SHA256, {0, 0, 0, 0}},
	{NULL, TMD_SIGNATURE_AES_CMAC, {0, 0, 0, 0}},
};
static const uint8_t signature_sizes[TMD_SIGNATURE_KINDS_N] = TMD_SIGNATURE_SIZES;

static const struct tmd_operator operators[] = {
	{0, 1, 3, 0x03}, {3, 1, 6, 0x03}, {9, 2, 12, 0xFF}, {0x80000001u, 1, 1, 0x01}};
static const struct tmd_model_contract model = {.name = "any",
						.arena_bytes = 65536,
						.opset_hash = 1,
						.io_hash = 1,
						.tensors = 1,
						.quantisation = 1,
						.tensor_names = 1,
						.slot_bytes = 4096};

/* ---- signatures ---- */

/*
 * What stands for one: the digest twice, cut. Of ECDSA, both numbers are less than half of the order
 * and not 0.
 */
static void sign(uint8_t kind, const uint8_t digest[32], uint8_t signature[TMD_SIGNATURE_MAX])
{
	memcpy(signature, digest, 32);
	memcpy(&signature[32], digest, 32);
	signature[0] = (uint8_t)((signature[0] & 0x3Fu) | 1u);
	signature[32] = signature[0];
	signature[1] ^= kind;
}

static int verify(void *ctx, const struct tmd_key *key, const uint8_t digest[32],
		  const uint8_t *signature)
{
	uint8_t right[TMD_SIGNATURE_MAX];

	(void)ctx;
	sign(key->kind, digest, right);
	return memcmp(right, signature, signature_sizes[key->kind - 1u]) == 0 ? TMD_OK
									      : TMD_ERR_SIGNATURE;
}

static const struct tmd_crypto crypto = {.verify = verify};

/* ---- what must hold ---- */

static int read_head(struct tmd_patch *state, const struct tmd_contract *contract,
		     const uint8_t *head, size_t bytes, size_t piece)
{
	int err = TMD_OK;

	tmd_patch_init(state);
	while (err == TMD_OK && bytes > 0u && !tmd_patch_head_complete(state)) {
		const size_t n = bytes < piece ? bytes : piece;
		size_t used;

		err = tmd_patch_head(state, contract, head, n, &used);
		require(used <= n, "more used than given");
		head += n;
		bytes -= n;
	}
	if (err == TMD_OK && tmd_patch_head_complete(state)) {
		err = tmd_patch_verify(state, contract, &crypto);
		require(err != TMD_OK || contract->keys_n == 0u ||
				(state->head.flags & TMD_F2_SIGNED) != 0u,
			"taken without a signature");
	}
	return err;
}

static void check_operators(const uint8_t *at, uint32_t bytes)
{
	struct tmd_operators list = {.at = at, .bytes = bytes};
	uint64_t before = 0; /* the id that comes next at least */
	bool valid = true;

	while (valid && list.bytes > 0u) {
		valid = tmd_operators_next(&list);
		if (valid) {
			require(list.last.id >= before, "operators out of order");
			require(list.last.id <= TMD_OPERATOR_CODE_MAX ||
					list.last.id >= 0x80000000u,
				"an operator that there is not");
			require(list.last.version >= 1u &&
					list.last.version <= TMD_OPERATOR_VERSION_MAX,
				"a version that there is not");
			before = (uint64_t)list.last.id + 1u;
		}
	}
	require(valid == tmd_operators_are_valid(at, bytes), "a list is valid once");
}

/* What a slot holds is read again when the model is opened. */
static void check_kept(const struct tmd_contract *contract, const struct tmd_patch_info *info,
		       int status)
{
	static struct tmd_patch_info again;

	again = *info;
	again.present = UINT32_MAX;
	memset(again.value, 0xA5, sizeof(again.value));
	require(tmd_kept_load(&again), "what was taken is not taken again");
	require(again.present == info->present &&
			memcmp(again.value, info->value, sizeof(again.value)) == 0,
		"it is not what it was");
	require(tmd_guard_check(contract, 0, &again) == status, "it is judged otherwise");
}

static int check_rules(const struct tmd_contract *contract, const struct tmd_patch_info *info)
{
	int first = TMD_OK;

	for (int rule = 0; rule < (int)TMD_RULES_N; rule++) {
		if (tmd_guard_applies(info, (enum tmd_rule)rule)) {
			const struct tmd_rule_result r =
				tmd_guard_rule(contract, 0, info, (enum tmd_rule)rule);

			require((r.status != TMD_OK) ==
					(r.verdict == TMD_FAIL || r.verdict == TMD_MISSING),
				"a verdict that its status does not say");
			first = first == TMD_OK ? r.status : first;
		}
	}
	require(tmd_guard_check(contract, 0, info) == first, "not the first rule's status");
	return first;
}

/* ---- making a head ---- */

/* How much of a list of operators is one. */
static uint32_t valid_operators(const uint8_t *at, uint32_t bytes)
{
	struct tmd_operators list = {.at = at, .bytes = bytes};
	uint32_t valid = 0;

	while (list.bytes > 0u && tmd_operators_next(&list)) {
		valid = bytes - list.bytes;
	}
	return valid;
}

/* TLVs that may stand in the head, one for each of the input's. Returns where they end. */
static uint8_t *put_tlvs(uint8_t *p, uint8_t how, struct input *in)
{
	static const uint8_t least[TMD_TLVS_N] = TMD_TLV_LEAST;
	static const uint8_t most[TMD_TLVS_N] = TMD_TLV_MOST;
	uint32_t taken = (how & 2u) != 0u ? TMD_F1_TLVS : TMD_F2_TLVS;
	uint32_t room = TMD_META_KEPT;

	if ((how & 4u) == 0u || (how & 2u) != 0u) {
		taken &= ~(1u << (TMD_TLV_DOWNGRADE - 1u));
	}
	while (in->left > 0u && room >= 2u) {
		uint8_t tag = take(in);
		uint32_t n = take(in);

		if (tag < TMD_TLV_VENDOR_FIRST) {
			tag = (uint8_t)(tag % TMD_TLVS_N);
			if ((taken & (1u << tag)) == 0u || least[tag] > room - 2u) {
				continue;
			}
			taken &= ~(1u << tag);
			n = n < least[tag] ? least[tag] : n > most[tag] ? most[tag] : n;
			tag++;
		}
		n = n > room - 2u ? room - 2u : n;
		p[0] = tag;
		for (uint32_t i = 0; i < n; i++) {
			p[2u + i] = take(in);
		}
		if (tag == TMD_TLV_OPERATORS) {
			n = valid_operators(&p[2], n);
		}
		p[1] = (uint8_t)n;
		p += 2u + n;
		room -= 2u + n;
	}
	return p;
}

/* A head with these metadata that a device takes if they are right. */
static size_t put_head(uint8_t *head, uint8_t how, uint8_t more, const uint8_t *tlvs, size_t bytes)
{
	static const uint8_t info[] = TMD_SIGNED_INFO;
	const uint8_t kind = more & 3u; /* - 1 */
	uint8_t *p = head;
	struct tmd_sha256 sha;
	uint8_t digest[32];

	if ((how & 2u) != 0u) {
		memset(p, 0, TMD_F1_HEADER_SIZE);
		p[0] = TMD_FORMAT_1;
		p[1] = TMD_DIGEST_CRC32;
		p[2] = 1;
		p[4] = 100;
		p[8] = 100;
		p[TMD_F1_HEADER_META_BYTES] = (uint8_t)bytes;
		p[TMD_F1_HEADER_META_BYTES + 1u] = (uint8_t)(bytes >> 8);
		memcpy(p + TMD_F1_HEADER_SIZE, tlvs, bytes);
		return TMD_F1_HEADER_SIZE + bytes;
	}
	*p++ = (uint8_t)(TMD_FORMAT_2 | TMD_F2_SAME_LENGTH | ((how & 1u) != 0u ? TMD_F2_LEAN : 0u) |
			 ((how & 4u) != 0u ? TMD_F2_SIGNED : 0u));
	*p++ = 100;
	memset(p, 0, TMD_F2_BASE_DIGEST_SIZE + TMD_F2_SIGNED_TARGET_DIGEST_SIZE);
	p += TMD_F2_BASE_DIGEST_SIZE + ((how & 4u) != 0u ? TMD_F2_SIGNED_TARGET_DIGEST_SIZE
							 : TMD_F2_TARGET_DIGEST_SIZE);
	if ((how & 4u) != 0u) {
		p[TMD_F2_SIGNER_KIND] = (uint8_t)(kind + 1u);
		memcpy(&p[TMD_F2_SIGNER_KEY], keys[kind].id, sizeof(keys[kind].id));
		put_u32(&p[TMD_F2_SIGNER_BODY_CRC], 0);
		p += TMD_F2_SIGNER_SIZE;
	}
	p = put_number(p, (uint32_t)bytes);
	memcpy(p, tlvs, bytes);
	p = put_head_crc(p + bytes, head);
	if ((how & 4u) != 0u) {
		tmd_sha256_init(&sha);
		tmd_sha256_update(&sha, info, sizeof(info) - 1u);
		tmd_sha256_update(&sha, head, (size_t)(p - head));
		(void)tmd_sha256_final(&sha, digest);
		sign(keys[kind].kind, digest, p);
		p += signature_sizes[kind];
	}
	return (size_t)(p - head);
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
	static struct tmd_patch whole, cut;
	static uint8_t room[HEAD_MAX], tlvs[TMD_META_MAX];
	struct tmd_contract contract = {.wire_version = TMD_WIRE_VERSION,
					.formats = 1u << TMD_FORMAT_1 | 1u << TMD_FORMAT_2,
					.tflm_abi = 1,
					.meta_kept = TMD_META_KEPT,
					.operators_n = sizeof(operators) / sizeof(operators[0]),
					.models_n = 1,
					.kernels = 1,
					.write_bytes = 16,
					.operators = operators,
					.models = &model,
					.keys = keys};
	const uint32_t share = fuzz_hash(data, bytes) % (2u * RAW_SHARE);
	struct input in = {data + 2, bytes - 2u};
	const uint8_t *head;
	bool wrong = false;
	uint8_t how, more;
	int err;

	if (bytes < 2u || bytes > TMD_META_MAX) {
		return 0;
	}
	how = data[0];
	more = data[1];
	check_operators(in.at, (uint32_t)in.left);
	contract.accept = (uint16_t)((how & 0xF8u) >> 2 | 1u);
	contract.decoder = (how & 1u) != 0u ? TMD_DECODER_LEAN : TMD_DECODER_DEFAULT;
	contract.device_class = (more & 4u) != 0u ? 1u : 0u;
	if ((how & 2u) == 0u && (how & 4u) != 0u) {
		contract.keys_n = TMD_SIGNATURE_KINDS_N;
	}
	if (share == 0u) {
		contract.keys_n = (more & 8u) != 0u ? TMD_SIGNATURE_KINDS_N : 0u;
		memcpy(room, in.at, in.left);
		bytes = in.left;
	} else if (share == 1u) {
		contract.keys_n = (more & 8u) != 0u ? TMD_SIGNATURE_KINDS_N : contract.keys_n;
		bytes = put_head(room, how, more, in.at, in.left);
		wrong = (more & 0x10u) != 0u && (how & 6u) == 4u;
		if (wrong) {
			room[(in.left * 7u + how) % bytes] ^= (uint8_t)(1u << (more >> 5));
		}
	} else {
		bytes = put_head(room, how, more, tlvs, (size_t)(put_tlvs(tlvs, how, &in) - tlvs));
	}
	/* To the end, so that no byte behind it is read unnoticed. */
	head = memmove(&room[HEAD_MAX - bytes], room, bytes);
	err = read_head(&whole, &contract, head, bytes, HEAD_MAX);
	fuzz.runs++;
	if ((more & 0xE0u) == 0xE0u) {
		require(read_head(&cut, &contract, head, bytes, pieces[bytes % 3u]) == err,
			"another status when cut in pieces");
	}
	if (err == TMD_OK && tmd_patch_head_complete(&whole)) {
		require(!wrong || contract.keys_n == 0u, "taken with a wrong byte");
		require((more & 0xE0u) != 0xE0u ||
				memcmp(&whole.info, &cut.info, sizeof(whole.info)) == 0,
			"another head when cut in pieces");
		err = check_rules(&contract, &whole.info);
		if (whole.info.kept_bytes > 0u && share % 4u == 2u) {
			check_kept(&contract, &whole.info, err);
		}
		fuzz.reached++;
		fuzz.whole += err == TMD_OK;
	}
	return 0;
}

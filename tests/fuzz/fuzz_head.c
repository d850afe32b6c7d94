/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes what a patch says of its target: one input is the metadata of a head, which the harness
 * completes with lengths and CRC-32, and a list of operators.
 *
 *	u8 how: 0x01 lean, 0x02 format 1, 0x04 just what follows, 0xF8 policies of the contract
 *	the metadata, or the head
 *
 * What must hold: no access outside (the sanitizers); the same outcome however the head is cut; what
 * stays with the model is taken again as it was, and judged as it was; what is taken of operators is
 * in order. At exit it prints how often it ran, how often the head was taken, and how often all
 * guardrails held.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tinymldelta/digest.h>
#include <tinymldelta/guard.h>
#include <tinymldelta/patch.h>

#include <core/metadata.h>
#include <core/operators.h>

#define HEAD_MAX (TMD_F1_HEADER_SIZE + TMD_META_MAX + 8u)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static unsigned long long runs, taken, held;

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

static void require(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

static int read_head(struct tmd_patch *state, const struct tmd_contract *contract,
		     const uint8_t *head, size_t bytes, size_t piece)
{
	int err = TMD_OK;

	memset(state, 0, sizeof(*state)); /* so that two can be compared */
	tmd_patch_init(state);
	while (err == TMD_OK && bytes > 0u && !tmd_patch_head_complete(state)) {
		const size_t n = bytes < piece ? bytes : piece;
		size_t used;

		err = tmd_patch_head(state, contract, head, n, &used);
		require(used <= n, "more used than given");
		head += n;
		bytes -= n;
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
static void check_kept(const struct tmd_contract *contract, const struct tmd_patch_info *info)
{
	struct tmd_patch_info again = *info;

	again.present = UINT32_MAX;
	memset(again.value, 0xA5, sizeof(again.value));
	require(tmd_kept_load(&again), "what was taken is not taken again");
	require(again.present == info->present &&
			memcmp(again.value, info->value, sizeof(again.value)) == 0,
		"it is not what it was");
	require(tmd_guard_check(contract, 0, &again) == tmd_guard_check(contract, 0, info),
		"it is judged otherwise");
}

static void check_rules(const struct tmd_contract *contract, const struct tmd_patch_info *info)
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
}

static void put_u32(uint8_t *p, uint32_t v)
{
	for (uint32_t i = 0; i < 4u; i++, v >>= 8) {
		*p++ = (uint8_t)v;
	}
}

/* A head with these metadata that a device takes if they are right. */
static size_t put_head(uint8_t *p, uint8_t how, const uint8_t *tlvs, size_t bytes)
{
	size_t n = TMD_F1_HEADER_SIZE;
	uint32_t crc;

	memset(p, 0, n);
	if ((how & 2u) != 0u) {
		p[0] = TMD_FORMAT_1;
		p[1] = TMD_DIGEST_CRC32;
		p[2] = 1;
		p[4] = 100;
		p[8] = 100;
		p[TMD_F1_HEADER_META_BYTES] = (uint8_t)bytes;
		p[TMD_F1_HEADER_META_BYTES + 1u] = (uint8_t)(bytes >> 8);
		memcpy(p + n, tlvs, bytes);
		return n + bytes;
	}
	p[0] = (uint8_t)(TMD_FORMAT_2 | TMD_F2_SAME_LENGTH | ((how & 1u) != 0u ? TMD_F2_LEAN : 0u));
	p[1] = 100;
	n = 2u + TMD_F2_BASE_DIGEST_SIZE + TMD_F2_TARGET_DIGEST_SIZE;
	if (bytes > 127u) {
		p[n++] = (uint8_t)(bytes | 128u);
		p[n++] = (uint8_t)(bytes >> 7);
	} else {
		p[n++] = (uint8_t)bytes;
	}
	memcpy(p + n, tlvs, bytes);
	n += bytes;
	crc = tmd_crc32(0, p, n);
	put_u32(p + n, crc << 1 | crc >> 31);
	return n + TMD_F2_CRC_SIZE;
}

static void report(void)
{
	printf("fuzzed %llu taken %llu held %llu\n", runs, taken, held);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	(void)atexit(report);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const size_t pieces[] = {1, 7, 64};
	static struct tmd_patch whole, cut;
	static uint8_t head[HEAD_MAX];
	struct tmd_contract contract = {.wire_version = TMD_WIRE_VERSION,
					.formats = 1u << TMD_FORMAT_1 | 1u << TMD_FORMAT_2,
					.tflm_abi = 1,
					.meta_kept = TMD_META_KEPT,
					.operators_n = sizeof(operators) / sizeof(operators[0]),
					.models_n = 1,
					.kernels = 1,
					.write_bytes = 16,
					.operators = operators,
					.models = &model};
	uint8_t how;
	int err;

	if (bytes < 1u || bytes > TMD_META_MAX) {
		return 0;
	}
	how = *data++;
	bytes--;
	check_operators(data, (uint32_t)bytes);
	contract.accept = (uint16_t)((how & 0xF8u) >> 2 | 1u);
	contract.decoder = (how & 1u) != 0u ? TMD_DECODER_LEAN : TMD_DECODER_DEFAULT;
	if ((how & 4u) != 0u) {
		memcpy(head, data, bytes);
	} else {
		bytes = put_head(head, how, data, bytes);
	}
	err = read_head(&whole, &contract, head, bytes, sizeof(head));
	require(read_head(&cut, &contract, head, bytes, pieces[bytes % 3u]) == err,
		"another status when cut in pieces");
	runs++;
	if (err == TMD_OK && tmd_patch_head_complete(&whole)) {
		require(memcmp(&whole.info, &cut.info, sizeof(whole.info)) == 0,
			"another head when cut in pieces");
		check_rules(&contract, &whole.info);
		if (whole.info.kept_bytes > 0u) {
			check_kept(&contract, &whole.info);
		}
		taken++;
		held += tmd_guard_check(&contract, 0, &whole.info) == TMD_OK;
	}
	return 0;
}

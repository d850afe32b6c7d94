/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The management group as mcumgr drives it: whole SMP packets go in at a transport, and what comes
 * out is decoded.
 */
#include <string.h>

#include <zephyr/mgmt/mcumgr/mgmt/mgmt.h>
#include <zephyr/mgmt/mcumgr/transport/smp_dummy.h>
#include <zephyr/net/buf.h>
#include <zephyr/sys/byteorder.h>
#include <zephyr/ztest.h>
#include <zcbor_common.h>
#include <zcbor_decode.h>
#include <zcbor_encode.h>

#include <mgmt/mcumgr/util/zcbor_bulk.h>

#include <tinymldelta/zephyr.h>

#include "tmd_models.h"

#define SMP_HEADER 8u
#define SMP_VERSION_2 (1u << 3)
#define PACKET 320u
#define SECONDS 10

static const uint8_t target[] = {
#include <target.tflite.inc>
};
static const uint8_t patch[] = {
#include <update.tmd.inc>
};
static const uint8_t refused[] = {
#include <refused.tmd.inc>
};

/* What a request carries; lengths of 0 and -1: not there. */
struct request {
	const char *model;
	const uint8_t *data;
	size_t data_bytes;
	int64_t len;
	int64_t id;
	int64_t off;
	uint8_t version;
};

static const struct request nothing = {.len = -1, .id = -1, .off = -1, .version = SMP_VERSION_2};

/* What came back. */
struct reply {
	uint32_t rc;    /* of "err", or of version 1 */
	uint32_t group; /* of "err" */
	uint32_t off;
	uint32_t slot;
	uint32_t ver;
	uint32_t bytes;
	struct zcbor_string sha;
	struct zcbor_string model;
	struct zcbor_string meta;
	bool trial;
	bool has_off;
};

static uint8_t sequence;
static uint8_t answer[PACKET]; /* struct reply points into it */

static size_t encode(const struct request *request, uint8_t *out)
{
	zcbor_state_t zse[4];

	zcbor_new_encode_state(zse, ARRAY_SIZE(zse), out, PACKET - SMP_HEADER, 0);
	zassert_true(zcbor_map_start_encode(zse, 8));
	if (request->model != NULL) {
		const struct zcbor_string name = {.value = (const uint8_t *)request->model,
						  .len = strlen(request->model)};

		zassert_true(zcbor_tstr_put_lit(zse, "model") && zcbor_tstr_encode(zse, &name));
	}
	if (request->len >= 0) {
		zassert_true(zcbor_tstr_put_lit(zse, "len") &&
			     zcbor_uint32_put(zse, (uint32_t)request->len));
	}
	if (request->id >= 0) {
		zassert_true(zcbor_tstr_put_lit(zse, "id") &&
			     zcbor_uint32_put(zse, (uint32_t)request->id));
	}
	if (request->off >= 0) {
		zassert_true(zcbor_tstr_put_lit(zse, "off") &&
			     zcbor_uint32_put(zse, (uint32_t)request->off));
	}
	if (request->data != NULL) {
		const struct zcbor_string data = {.value = request->data,
						  .len = request->data_bytes};

		zassert_true(zcbor_tstr_put_lit(zse, "data") && zcbor_bstr_encode(zse, &data));
	}
	zassert_true(zcbor_map_end_encode(zse, 8));
	return (size_t)(zse->payload - out);
}

static bool decode_err(zcbor_state_t *zsd, struct reply *reply)
{
	struct zcbor_map_decode_key_val fields[] = {
		ZCBOR_MAP_DECODE_KEY_DECODER("group", zcbor_uint32_decode, &reply->group),
		ZCBOR_MAP_DECODE_KEY_DECODER("rc", zcbor_uint32_decode, &reply->rc),
	};
	size_t matched;

	return zcbor_map_decode_bulk(zsd, fields, ARRAY_SIZE(fields), &matched) == 0;
}

static void decode(const uint8_t *bytes, size_t n, struct reply *reply)
{
	zcbor_state_t zsd[6];
	struct zcbor_map_decode_key_val fields[] = {
		ZCBOR_MAP_DECODE_KEY_DECODER("err", decode_err, reply),
		ZCBOR_MAP_DECODE_KEY_DECODER("rc", zcbor_uint32_decode, &reply->rc),
		ZCBOR_MAP_DECODE_KEY_DECODER("off", zcbor_uint32_decode, &reply->off),
		ZCBOR_MAP_DECODE_KEY_DECODER("slot", zcbor_uint32_decode, &reply->slot),
		ZCBOR_MAP_DECODE_KEY_DECODER("ver", zcbor_uint32_decode, &reply->ver),
		ZCBOR_MAP_DECODE_KEY_DECODER("bytes", zcbor_uint32_decode, &reply->bytes),
		ZCBOR_MAP_DECODE_KEY_DECODER("sha", zcbor_bstr_decode, &reply->sha),
		ZCBOR_MAP_DECODE_KEY_DECODER("model", zcbor_tstr_decode, &reply->model),
		ZCBOR_MAP_DECODE_KEY_DECODER("meta", zcbor_bstr_decode, &reply->meta),
		ZCBOR_MAP_DECODE_KEY_DECODER("trial", zcbor_bool_decode, &reply->trial),
	};
	size_t matched;

	memset(reply, 0, sizeof(*reply));
	zcbor_new_decode_state(zsd, ARRAY_SIZE(zsd), bytes, n, 1);
	zassert_ok(zcbor_map_decode_bulk(zsd, fields, ARRAY_SIZE(fields), &matched));
	reply->has_off = zcbor_map_decode_bulk_key_found(fields, ARRAY_SIZE(fields), "off");
}

/* One packet there, one back. */
static struct reply exchange(uint8_t command, const struct request *request)
{
	const bool reads = command == TMD_SMP_STATUS || command == TMD_SMP_METADATA;
	uint8_t packet[PACKET];
	struct reply reply;
	struct net_buf *nb;
	size_t n = encode(request, &packet[SMP_HEADER]);

	packet[0] = (uint8_t)((reads ? MGMT_OP_READ : MGMT_OP_WRITE) | request->version);
	packet[1] = 0;
	sys_put_be16((uint16_t)n, &packet[2]);
	sys_put_be16(CONFIG_TMD_SMP_GROUP_ID, &packet[4]);
	packet[6] = ++sequence;
	packet[7] = command;

	smp_dummy_enable();
	smp_dummy_clear_state();
	(void)smp_dummy_tx_pkt(packet, (uint16_t)(n + SMP_HEADER));
	smp_dummy_add_data();
	zassert_true(smp_dummy_wait_for_data(SECONDS), "no reply to command %u", command);
	nb = smp_dummy_get_outgoing();
	smp_dummy_disable();

	zassert_true(nb->len > SMP_HEADER && nb->len <= sizeof(answer), "%u", nb->len);
	memcpy(answer, nb->data, nb->len);
	n = nb->len;
	net_buf_unref(nb);
	zassert_equal(answer[6], sequence);
	zassert_equal(answer[7], command);
	zassert_equal(sys_get_be16(&answer[4]), CONFIG_TMD_SMP_GROUP_ID);
	decode(&answer[SMP_HEADER], n - SMP_HEADER, &reply);
	return reply;
}

static struct reply ask(uint8_t command)
{
	return exchange(command, &nothing);
}

static struct reply begin(const uint8_t *bytes, size_t n)
{
	struct request request = nothing;

	request.len = (int64_t)n;
	request.id = tmd_crc32(0, bytes, n);
	return exchange(TMD_SMP_BEGIN, &request);
}

static struct reply data(uint32_t off, const uint8_t *bytes, size_t n)
{
	struct request request = nothing;

	request.off = off;
	request.data = bytes;
	request.data_bytes = n;
	return exchange(TMD_SMP_DATA, &request);
}

/* Send what the device wants, until it has all or refuses. */
static struct reply send(const uint8_t *bytes, size_t n, size_t piece)
{
	struct reply reply = begin(bytes, n);

	while (reply.rc == 0u && reply.off < n) {
		reply = data(reply.off, &bytes[reply.off], MIN(piece, n - reply.off));
	}
	return reply;
}

static void before(void *fixture)
{
	const struct flash_area *area;

	ARG_UNUSED(fixture);
	(void)ask(TMD_SMP_ERASE); /* the group forgets its transfer */
	for (enum tmd_zephyr_part part = TMD_ZEPHYR_SLOT0; part < TMD_ZEPHYR_PARTS; part++) {
		const struct tmd_zephyr_partition *partition = &tmd_digits.partitions[part];

		if (partition->bytes != 0u) {
			zassert_ok(flash_area_open(partition->id, &area));
			zassert_ok(flash_area_erase(area, 0, partition->bytes));
		}
	}
	zassert_equal(tmd_store_mount(&tmd_digits.store, &tmd_digits.config), TMD_OK);
}

ZTEST(tinymldelta_smp, test_status)
{
	const struct reply reply = ask(TMD_SMP_STATUS);

	zassert_equal(reply.rc, 0);
	zassert_equal(reply.slot, TMD_SLOT_COMPILED_IN);
	zassert_equal(reply.bytes, TMD_MODEL_DIGITS_BYTES);
	zassert_equal(reply.ver, 0x01000000u);
	zassert_equal(reply.sha.len, 32);
	zassert_mem_equal(reply.sha.value, tmd_contract.models[0].model_sha256, 32);
	zassert_equal(reply.model.len, 6);
	zassert_mem_equal(reply.model.value, "digits", 6);
	zassert_true(reply.has_off);
}

/* Is there a TLV with this tag and text? */
static bool is_said(const struct zcbor_string *meta, uint8_t tag, const char *text)
{
	const size_t n = strlen(text);

	for (size_t at = 0; at + 2u <= meta->len; at += 2u + meta->value[at + 1u]) {
		if (meta->value[at] == tag) {
			return meta->value[at + 1u] == n &&
			       memcmp(&meta->value[at + 2u], text, n) == 0;
		}
	}
	return false;
}

ZTEST(tinymldelta_smp, test_metadata)
{
	struct request request = nothing;
	struct reply reply = ask(TMD_SMP_METADATA);

	zassert_equal(reply.rc, 0);
	zassert_false(reply.has_off);
	zassert_true(is_said(&reply.meta, TMD_TLV_NOTE, "of the firmware"));
	zassert_equal(send(patch, sizeof(patch), 200).rc, 0);
	zassert_equal(ask(TMD_SMP_FINISH).rc, 0);
	reply = ask(TMD_SMP_METADATA);
	zassert_equal(reply.rc, 0);
	zassert_true(is_said(&reply.meta, TMD_TLV_MODEL_NAME, "digits"));
	zassert_true(is_said(&reply.meta, TMD_TLV_NOTE, "run 7"));
	request.model = "toaster";
	reply = exchange(TMD_SMP_METADATA, &request);
	zassert_equal(reply.rc, (uint32_t)-TMD_ERR_MODEL);
	zassert_false(reply.has_off);
}

ZTEST(tinymldelta_smp, test_update)
{
	static const size_t pieces[] = {7, 64, 255};

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct tmd_model model;
		struct reply reply;

		before(NULL);
		reply = send(patch, sizeof(patch), pieces[i]);
		zassert_equal(reply.rc, 0, "%u", reply.rc);
		reply = ask(TMD_SMP_FINISH);
		zassert_equal(reply.rc, 0, "%u", reply.rc);
		zassert_equal(reply.ver, 0x01010000u);

		zassert_equal(tmd_zephyr_open(&tmd_digits, &model), TMD_OK);
		zassert_equal(model.bytes, sizeof(target));
		zassert_mem_equal(model.at, target, sizeof(target));
		zassert_true(ask(TMD_SMP_STATUS).trial);
		zassert_equal(ask(TMD_SMP_CONFIRM).rc, 0);
		zassert_false(ask(TMD_SMP_STATUS).trial);
		tmd_zephyr_close(&tmd_digits, &model);
	}
}

ZTEST(tinymldelta_smp, test_revert)
{
	struct tmd_model model;

	zassert_equal(send(patch, sizeof(patch), 200).rc, 0);
	zassert_equal(ask(TMD_SMP_FINISH).rc, 0);
	zassert_equal(tmd_zephyr_open(&tmd_digits, &model), TMD_OK);
	zassert_equal(ask(TMD_SMP_REVERT).rc, 0);
	zassert_equal(ask(TMD_SMP_STATUS).slot, TMD_SLOT_COMPILED_IN);
	tmd_zephyr_close(&tmd_digits, &model);
}

ZTEST(tinymldelta_smp, test_offsets_that_do_not_fit)
{
	struct reply reply = begin(patch, sizeof(patch));

	zassert_equal(reply.off, 0);
	reply = data(0, patch, 100);
	zassert_equal(reply.off, 100);
	reply = data(0, patch, 100); /* doubled on the way */
	zassert_equal(reply.rc, 0);
	zassert_equal(reply.off, 100);
	reply = data(300, &patch[300], 100); /* one was lost */
	zassert_equal(reply.rc, 0);
	zassert_equal(reply.off, 100);
	reply = begin(patch, sizeof(patch)); /* the client was started again */
	zassert_equal(reply.off, 100);
}

ZTEST(tinymldelta_smp, test_refusals)
{
	struct request request = nothing;
	struct reply reply = send(refused, sizeof(refused), 100);

	if (reply.rc == 0u) { /* a staging region takes a patch, and refuses it as a whole */
		reply = ask(TMD_SMP_FINISH);
	}
	zassert_equal(reply.rc, (uint32_t)-TMD_ERR_OPERATORS, "%u", reply.rc);
	zassert_equal(reply.group, CONFIG_TMD_SMP_GROUP_ID);
	zassert_true(reply.has_off);

	/* Late data hear the same once more, until somebody begins or erases. */
	reply = data(0, refused, 10);
	zassert_equal(reply.rc, (uint32_t)-TMD_ERR_OPERATORS, "%u", reply.rc);
	zassert_equal(ask(TMD_SMP_ERASE).rc, 0);
	reply = data(0, refused, 10);
	zassert_equal(reply.rc, (uint32_t)-TMD_ERR_TRANSFER, "%u", reply.rc);

	request.model = "toaster";
	zassert_equal(exchange(TMD_SMP_STATUS, &request).rc, (uint32_t)-TMD_ERR_MODEL);
	zassert_equal(ask(TMD_SMP_CONFIRM).rc, (uint32_t)-TMD_ERR_STATE);
	zassert_equal(ask(TMD_SMP_STATUS).slot, TMD_SLOT_COMPILED_IN);
}

/* Version 1 of SMP has one space of numbers. */
ZTEST(tinymldelta_smp, test_refusal_in_version_1)
{
	struct request request = nothing;

	request.version = 0;
	zassert_equal(exchange(TMD_SMP_CONFIRM, &request).rc,
		      TMD_SMP_RC_1 + (uint32_t)-TMD_ERR_STATE);
}

ZTEST(tinymldelta_smp, test_what_is_no_request)
{
	struct request request = nothing;

	request.off = 0; /* data without data */
	zassert_not_equal(exchange(TMD_SMP_DATA, &request).rc, 0);
	request = nothing;
	request.len = 100; /* begin without id */
	zassert_not_equal(exchange(TMD_SMP_BEGIN, &request).rc, 0);
	zassert_equal(ask(TMD_SMP_STATUS).rc, 0);
}

ZTEST_SUITE(tinymldelta_smp, NULL, NULL, before, NULL, NULL);

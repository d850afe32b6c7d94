/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The management group in mcumgr: CBOR on one side, smp/group.c on the other.
 */
#include <string.h>

#include <zephyr/logging/log.h>
#include <zephyr/mgmt/mcumgr/mgmt/handlers.h>
#include <zephyr/mgmt/mcumgr/mgmt/mgmt.h>
#include <zephyr/mgmt/mcumgr/smp/smp.h>
#include <zcbor_common.h>
#include <zcbor_decode.h>
#include <zcbor_encode.h>

#include <mgmt/mcumgr/util/zcbor_bulk.h>

#include <tinymldelta/smp.h>

#include "port.h"

LOG_MODULE_DECLARE(tinymldelta, CONFIG_TMD_LOG_LEVEL);

/* Touched by mcumgr's work queue alone. */
static struct tmd_smp smp;
static struct tmd_smp_port port;

static int get_store(void *ctx, uint16_t model, struct tmd_store **store)
{
	struct tmd_zephyr_model *m = tmd_zephyr_model_at(model);
	int err;

	(void)ctx;
	if (m == NULL) {
		return TMD_ERR_MODEL;
	}
	err = tmd_zephyr_lock(m);
	if (err != TMD_OK) {
		tmd_zephyr_unlock(m);
		return err;
	}
	*store = &m->store;
	return TMD_OK;
}

static void put_store(void *ctx, uint16_t model)
{
	(void)ctx;
	tmd_zephyr_unlock(tmd_zephyr_model_at(model));
}

/*
 * Mount every model, before a transfer needs the update that mounting finishes staged patches with.
 * False if the firmware has no model.
 */
static bool make_ready(void)
{
	struct tmd_zephyr_model *m = tmd_zephyr_model_at(0);

	if (smp.port != NULL) {
		return true;
	}
	if (m == NULL) {
		return false;
	}
	port.get = get_store;
	port.put = put_store;
	port.contract = m->contract;
	for (size_t n = 0; m != NULL; m = tmd_zephyr_model_at(++n)) {
		if (tmd_zephyr_lock(m) != TMD_OK) {
			LOG_WRN("%s takes no patches", tmd_zephyr_name(m));
		}
		tmd_zephyr_unlock(m);
	}
	tmd_smp_init(&smp, &port, tmd_zephyr_update());
	return true;
}

static bool decode(zcbor_state_t *zsd, struct tmd_smp_request *request)
{
	struct zcbor_string model = {0};
	struct zcbor_string data = {0};
	struct zcbor_map_decode_key_val fields[] = {
		ZCBOR_MAP_DECODE_KEY_DECODER("model", zcbor_tstr_decode, &model),
		ZCBOR_MAP_DECODE_KEY_DECODER("len", zcbor_uint32_decode, &request->len),
		ZCBOR_MAP_DECODE_KEY_DECODER("id", zcbor_uint32_decode, &request->id),
		ZCBOR_MAP_DECODE_KEY_DECODER("off", zcbor_uint32_decode, &request->off),
		ZCBOR_MAP_DECODE_KEY_DECODER("data", zcbor_bstr_decode, &data),
	};
	static const uint8_t has[] = {0, TMD_SMP_HAS_LEN, TMD_SMP_HAS_ID, TMD_SMP_HAS_OFF,
				      TMD_SMP_HAS_DATA};
	size_t matched;

	if (zcbor_map_decode_bulk(zsd, fields, ARRAY_SIZE(fields), &matched) != 0) {
		return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		request->fields |= fields[i].found ? has[i] : 0u;
	}
	request->model = (const char *)model.value; /* NULL if there is none */
	request->model_bytes = (uint32_t)model.len;
	request->data = data.value;
	request->data_bytes = (uint32_t)data.len;
	return true;
}

/* A key is a literal of C. */
#define PUT_UINT(zse, key, value)                                                                  \
	(zcbor_tstr_put_lit(zse, key) && zcbor_uint32_put(zse, (uint32_t)(value)))
#define PUT_BOOL(zse, key, value) (zcbor_tstr_put_lit(zse, key) && zcbor_bool_put(zse, value))

static bool put_text(zcbor_state_t *zse, const char *text)
{
	const struct zcbor_string string = {.value = (const uint8_t *)text, .len = strlen(text)};

	return zcbor_tstr_encode(zse, &string);
}

/* Names of all models, in the contract's order. */
static bool put_models(zcbor_state_t *zse)
{
	const uint16_t n = port.contract->models_n;
	bool ok = zcbor_tstr_put_lit(zse, "models") && zcbor_list_start_encode(zse, n);

	for (uint16_t i = 0; ok && i < n; i++) {
		ok = put_text(zse, port.contract->models[i].name);
	}
	return ok && zcbor_list_end_encode(zse, n);
}

static bool put_status(zcbor_state_t *zse, const struct tmd_smp_reply *reply)
{
	const struct zcbor_string sha = {.value = reply->active.sha256,
					 .len = sizeof(reply->active.sha256)};

	return zcbor_tstr_put_lit(zse, "model") &&
	       put_text(zse, port.contract->models[reply->model].name) && put_models(zse) &&
	       zcbor_tstr_put_lit(zse, "sha") && zcbor_bstr_encode(zse, &sha) &&
	       PUT_UINT(zse, "bytes", reply->active.bytes) &&
	       PUT_UINT(zse, "floor", reply->info.floor) &&
	       PUT_BOOL(zse, "trial", reply->info.trial) &&
	       PUT_UINT(zse, "starts", reply->info.starts) &&
	       PUT_UINT(zse, "max", reply->trial_starts) &&
	       PUT_UINT(zse, "seq", reply->info.sequence) &&
	       PUT_UINT(zse, "updates", reply->info.updates) &&
	       PUT_UINT(zse, "erases", reply->info.erases) &&
	       zcbor_tstr_put_lit(zse, "states") && zcbor_list_start_encode(zse, 2) &&
	       zcbor_uint32_put(zse, reply->info.slot_state[0]) &&
	       zcbor_uint32_put(zse, reply->info.slot_state[1]) && zcbor_list_end_encode(zse, 2) &&
	       PUT_BOOL(zse, "staging", reply->staging) && PUT_UINT(zse, "len", reply->len) &&
	       PUT_UINT(zse, "id", reply->id);
}

static bool put_metadata(zcbor_state_t *zse, const uint8_t *meta, const struct tmd_smp_reply *reply)
{
	const struct zcbor_string tlvs = {.value = meta, .len = reply->meta_bytes};

	return zcbor_tstr_put_lit(zse, "meta") && zcbor_bstr_encode(zse, &tlvs);
}

static bool has_offset(uint8_t command)
{
	return command <= TMD_SMP_FINISH;
}

static bool encode(zcbor_state_t *zse, const struct tmd_smp_request *request,
		   const struct tmd_smp_reply *reply)
{
	const uint8_t command = request->command;
	bool ok = true;

	if (reply->status != TMD_OK) {
		LOG_WRN("refused: %s", tmd_status_name(reply->status));
		ok = smp_add_cmd_err(zse, CONFIG_TMD_SMP_GROUP_ID, tmd_smp_rc(reply->status));
	} else if (command == TMD_SMP_STATUS || command == TMD_SMP_FINISH) {
		ok = PUT_UINT(zse, "slot", reply->active.slot) &&
		     PUT_UINT(zse, "ver", reply->info.version);
	}
	if (ok && reply->status == TMD_OK && command == TMD_SMP_STATUS) {
		ok = put_status(zse, reply);
	} else if (ok && reply->status == TMD_OK && command == TMD_SMP_METADATA) {
		ok = put_metadata(zse, request->meta, reply);
	}
	return ok && (!has_offset(command) || PUT_UINT(zse, "off", reply->off));
}

static int handle(struct smp_streamer *ctxt, uint8_t command, uint8_t *meta)
{
	struct tmd_smp_request request = {.command = command, .meta = meta};
	struct tmd_smp_reply reply;
	bool finishes;

	if (!make_ready()) {
		return MGMT_ERR_ENOTSUP;
	}
	if (!decode(ctxt->reader->zs, &request)) {
		return MGMT_ERR_EINVAL;
	}
	finishes = command == TMD_SMP_FINISH && smp.bytes != 0u;
	tmd_smp_handle(&smp, &request, &reply);
	if (finishes && reply.status == TMD_OK) {
		tmd_zephyr_log_warnings(tmd_zephyr_model_at(reply.model));
	}
	return encode(ctxt->writer->zs, &request, &reply) ? MGMT_ERR_EOK : MGMT_ERR_EMSGSIZE;
}

/* mcumgr does not tell a handler which command it is. */
#define HANDLER(name, command)                                                                     \
	static int name(struct smp_streamer *ctxt)                                                 \
	{                                                                                          \
		return handle(ctxt, command, NULL);                                                \
	}

HANDLER(read_status, TMD_SMP_STATUS)
HANDLER(begin, TMD_SMP_BEGIN)
HANDLER(data, TMD_SMP_DATA)
HANDLER(finish, TMD_SMP_FINISH)
HANDLER(confirm, TMD_SMP_CONFIRM)
HANDLER(revert, TMD_SMP_REVERT)
HANDLER(erase, TMD_SMP_ERASE)

/* On its own stack, so that an update does without these bytes. */
static int read_metadata(struct smp_streamer *ctxt)
{
	uint8_t meta[TMD_STORE_METADATA_MAX];

	return handle(ctxt, TMD_SMP_METADATA, meta);
}

static const struct mgmt_handler handlers[] = {
	[TMD_SMP_STATUS] = {.mh_read = read_status}, [TMD_SMP_BEGIN] = {.mh_write = begin},
	[TMD_SMP_DATA] = {.mh_write = data},         [TMD_SMP_FINISH] = {.mh_write = finish},
	[TMD_SMP_CONFIRM] = {.mh_write = confirm},   [TMD_SMP_REVERT] = {.mh_write = revert},
	[TMD_SMP_ERASE] = {.mh_write = erase},       [TMD_SMP_METADATA] = {.mh_read = read_metadata},
};

#if defined(CONFIG_MCUMGR_SMP_SUPPORT_ORIGINAL_PROTOCOL)
/* Of a refusal, version 1 of SMP takes the number alone. */
static int translate(uint16_t rc)
{
	return tmd_smp_rc_1(-(int)rc);
}
#endif

static struct mgmt_group group = {
	.mg_handlers = handlers,
	.mg_handlers_count = ARRAY_SIZE(handlers),
	.mg_group_id = CONFIG_TMD_SMP_GROUP_ID,
#if defined(CONFIG_MCUMGR_SMP_SUPPORT_ORIGINAL_PROTOCOL)
	.mg_translate_error = translate,
#endif
};

static void register_group(void)
{
	mgmt_register_group(&group);
}

MCUMGR_HANDLER_DEFINE(tinymldelta, register_group);

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tmd_serial.h"

#include <string.h>

#include <tinymldelta/digest.h>
#include <tinymldelta/status.h>

/* The other commands' payloads have to fit too, and a frame's bytes are counted in 16 bits. */
_Static_assert(TMD_SERIAL_PIECE >= 4u && TMD_SERIAL_FRAME_MAX <= UINT16_MAX,
	       "TMD_SERIAL_PIECE is from 4 to 65522");

#define START 0xA5u
#define REPLY 0x80u

/* In a frame. */
#define AT_COMMAND 1u
#define AT_LENGTH 3u
#define AT_PAYLOAD TMD_SERIAL_HEAD

/* Commands are as many more than those of the group. */
#define GROUP_COMMANDS ((uint32_t)TMD_SERIAL_STATUS - (uint32_t)TMD_SMP_STATUS)

static uint32_t get(const uint8_t *from, uint32_t bytes)
{
	uint32_t value = 0;

	while (bytes > 0u) {
		bytes--;
		value = value << 8 | from[bytes];
	}
	return value;
}

static uint8_t *put(uint8_t *to, uint32_t value, uint32_t bytes)
{
	while (bytes > 0u) {
		*to = (uint8_t)value;
		to++;
		value >>= 8;
		bytes--;
	}
	return to;
}

/* ---- the store ---- */

/* There is one store, and one thread. */
static int get_store(void *ctx, uint16_t model, struct tmd_store **store)
{
	struct tmd_serial *serial = ctx;

	if (model != serial->store.config->model) {
		return TMD_ERR_MODEL;
	}
	*store = &serial->store;
	return TMD_OK;
}

static void put_store(void *ctx, uint16_t model)
{
	(void)ctx;
	(void)model;
}

static void resume(struct tmd_serial *serial)
{
#if TMD_STAGING
	struct tmd_staging staging;

	if (serial->store.config->staging.flash != NULL &&
	    tmd_staging_resume(&staging, &serial->store, &serial->update) != TMD_OK) {
		return; /* the patch is refused, or stays; who sends it again is told */
	}
#else
	(void)serial;
#endif
}

int tmd_serial_begin(struct tmd_serial *serial, const struct tmd_store_config *config)
{
	int err;

	memset(serial, 0, sizeof(*serial));
	serial->model.slot = TMD_SLOT_NONE;
	err = tmd_store_mount(&serial->store, config);
	if (err != TMD_OK) {
		return err;
	}
	resume(serial);
	serial->port.get = get_store;
	serial->port.put = put_store;
	serial->port.ctx = serial;
	serial->port.contract = config->contract;
	tmd_smp_init(&serial->smp, &serial->port, &serial->update);
	return TMD_OK;
}

int tmd_serial_open(struct tmd_serial *serial)
{
	int err;

	if (serial->model.slot != TMD_SLOT_NONE) {
		tmd_store_close(&serial->store, &serial->model);
	}
	memset(&serial->model, 0, sizeof(serial->model));
	err = tmd_store_open(&serial->store, &serial->model);
	serial->opened++;
	return err;
}

/* ---- replies ---- */

static bool tells_state(uint8_t command)
{
	return command != TMD_SERIAL_BEGIN && command != TMD_SERIAL_DATA;
}

static uint8_t *put_state(uint8_t *to, const struct tmd_serial *serial)
{
	const struct tmd_store *store = &serial->store;
	const struct tmd_store_config *config = store->config;
	struct tmd_store_info info;
	uint8_t flags = 0;

	tmd_store_get_info(store, &info);
	flags |= info.trial ? TMD_SERIAL_TRIAL : 0u;
	flags |= TMD_STAGING && config->staging.flash != NULL ? TMD_SERIAL_STAGING : 0u;
	to = put(to, TMD_SERIAL_PROTOCOL, 1);
	to = put(to, flags, 1);
	to = put(to, store->active.slot, 1);
	to = put(to, info.starts, 1);
	to = put(to, config->trial_starts, 1);
	to = put(to, TMD_SERIAL_PIECE, 2);
	to = put(to, store->active.bytes, 4);
	to = put(to, info.version, 4);
	memcpy(to, store->active.sha256, sizeof(store->active.sha256));
	return to + sizeof(store->active.sha256);
}

/* "ARENA: the target needs ...", as much of it as there is room for. */
static uint8_t *put_text(uint8_t *to, int status)
{
	const char *const parts[] = {tmd_status_name(status), ": ", tmd_status_text(status)};
	uint32_t room = TMD_SERIAL_TEXT_MAX;

	for (uint32_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const size_t length = strlen(parts[i]);
		const uint32_t n = length < room ? (uint32_t)length : room;

		memcpy(to, parts[i], n);
		to += n;
		room -= n;
	}
	return to;
}

static void make_reply(struct tmd_serial *serial, int status, uint32_t next)
{
	const uint8_t command = serial->frame[AT_COMMAND];
	uint8_t *const reply = serial->reply;
	uint8_t *end = reply + AT_PAYLOAD;

	reply[0] = START;
	reply[AT_COMMAND] = (uint8_t)(command | REPLY);
	reply[AT_COMMAND + 1u] = serial->frame[AT_COMMAND + 1u];
	end = put(end, (uint32_t)status, 2);
	end = put(end, next, 4);
	if (status != TMD_OK) {
		end = put_text(end, status);
	} else if (tells_state(command)) {
		end = put_state(end, serial);
	}
	(void)put(reply + AT_LENGTH, (uint32_t)(end - reply) - AT_PAYLOAD, 2);
	end = put(end, tmd_crc32(0, reply + AT_COMMAND, (size_t)(end - reply) - AT_COMMAND), 4);
	serial->reply_bytes = (uint16_t)(end - reply);
}

/* ---- requests ---- */

/* Its payload as the group wants it. False if it is not as long as the command says. */
static bool read_payload(struct tmd_smp_request *request, uint8_t command, const uint8_t *payload,
			 uint32_t bytes)
{
	switch (command) {
	case TMD_SERIAL_BEGIN:
		if (bytes != 8u) {
			return false;
		}
		request->fields = TMD_SMP_HAS_LEN | TMD_SMP_HAS_ID;
		request->len = get(payload, 4);
		request->id = get(payload + 4, 4);
		return true;
	case TMD_SERIAL_DATA:
		if (bytes <= 4u) {
			return false;
		}
		request->fields = TMD_SMP_HAS_OFF | TMD_SMP_HAS_DATA;
		request->off = get(payload, 4);
		request->data = payload + 4;
		request->data_bytes = bytes - 4u;
		return true;
	case TMD_SERIAL_FINISH:
		if (bytes != 4u) {
			return false;
		}
		request->fields = TMD_SMP_HAS_ID;
		request->id = get(payload, 4);
		return true;
	default:
		return bytes == 0u && command >= TMD_SERIAL_STATUS && command <= TMD_SERIAL_OPEN;
	}
}

static void handle(struct tmd_serial *serial)
{
	const struct tmd_store_config *config = serial->store.config;
	const uint8_t command = serial->frame[AT_COMMAND];
	struct tmd_smp_request request;
	struct tmd_smp_reply reply;

	memset(&request, 0, sizeof(request));
	if (!read_payload(&request, command, serial->frame + AT_PAYLOAD,
			  get(serial->frame + AT_LENGTH, 2))) {
		make_reply(serial, TMD_ERR_ARGUMENT, 0);
		return;
	}
	if (command == TMD_SERIAL_OPEN) {
		make_reply(serial, tmd_serial_open(serial), 0);
		return;
	}
	request.command = (uint8_t)(command - GROUP_COMMANDS);
	request.model = config->contract->models[config->model].name;
	request.model_bytes = (uint32_t)strlen(request.model);
	tmd_smp_handle(&serial->smp, &request, &reply);
	make_reply(serial, reply.status, reply.off);
}

/* Must it not be done again if its answer was lost? */
static bool is_once(uint8_t command)
{
	return command == TMD_SERIAL_CONFIRM || command == TMD_SERIAL_REVERT ||
	       command == TMD_SERIAL_OPEN;
}

/* A whole frame has come. */
static uint32_t answer(struct tmd_serial *serial)
{
	const uint8_t command = serial->frame[AT_COMMAND];
	const uint32_t end = (uint32_t)serial->fill - TMD_SERIAL_CRC;
	const uint32_t crc = get(serial->frame + end, TMD_SERIAL_CRC);

	serial->fill = 0;
	if (crc != tmd_crc32(0, serial->frame + AT_COMMAND, end - AT_COMMAND)) {
		return 0; /* the sender asks again */
	}
	if (!is_once(command) || crc != serial->answered) {
		handle(serial);
		serial->answered = is_once(command) ? crc : 0u;
	}
	return serial->reply_bytes;
}

uint32_t tmd_serial_take(struct tmd_serial *serial, uint8_t byte, uint32_t now)
{
	uint32_t wanted = TMD_SERIAL_HEAD;

	if (now - serial->last > TMD_SERIAL_PAUSE) {
		serial->fill = 0;
	}
	serial->last = now;
	if (serial->fill == 0u && byte != START) {
		return 0;
	}
	serial->frame[serial->fill] = byte;
	serial->fill++;
	if (serial->fill < TMD_SERIAL_HEAD) {
		return 0;
	}
	wanted += get(serial->frame + AT_LENGTH, 2) + TMD_SERIAL_CRC;
	if (wanted > TMD_SERIAL_FRAME_MAX) {
		serial->fill = 0;
		return 0;
	}
	return serial->fill == wanted ? answer(serial) : 0u;
}

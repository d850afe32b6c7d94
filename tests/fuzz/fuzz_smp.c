/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the management group: one input is a row of requests to a firmware with two models, each with
 * a store of its own on a small device.
 *
 *	u8 setup of the first device, u8 of the second: SETUP_*
 *	u8 0x01, 0x02: the device had an update before
 *	the rest: requests, see ask(). The first is a begin and a piece of its patch, but for one input
 *	in 16, chosen by its own bytes.
 *
 * What must hold: no access outside, no write of what is not erased (the port); the active model of
 * both stores is one of the three that there are patches for, byte for byte, and what the application
 * has open stays; a store that was asked for is given back; what a reply says of the transfer is
 * within it. At exit it prints how often it ran, how often a piece of a patch was taken, and how often
 * a patch was applied.
 */
#include <tinymldelta/smp.h>

#include "fuzz_device.h"

#define RAW_SHARE 16u
#define REQUESTS_MAX 24u
#define DEVICES 2u

static uint8_t templates[2][FLASH_BYTES]; /* from the factory, and after an update */
static const struct tmd_model_contract names[DEVICES] = {{.name = "m"}, {.name = "other"}};
static const struct tmd_contract firmware = {.models_n = DEVICES, .models = names};

/* The running input's. */
static struct device devices[DEVICES];
static struct tmd_model opened[DEVICES];
static uint32_t opened_model[DEVICES]; /* which of the models that is */
static bool is_on[DEVICES];
static struct tmd_smp smp;
static struct tmd_update update;
static struct tmd_smp_reply reply;
static struct patch sent;
static uint32_t sent_id;
static uint8_t metadata[TMD_STORE_METADATA_MAX];
static int get_status; /* what the port answers */
static uint32_t in_use;
static bool taken, applied;

static int get(void *ctx, uint16_t number, struct tmd_store **store)
{
	(void)ctx;
	require(number < DEVICES && in_use == 0u, "two stores at a time");
	if (get_status != TMD_OK) {
		return get_status;
	}
	if (!is_on[number]) {
		const int err = tmd_store_mount(&devices[number].store, &devices[number].config);

		if (err != TMD_OK) {
			return err;
		}
		is_on[number] = true;
	}
	in_use++;
	*store = &devices[number].store;
	return TMD_OK;
}

static void put(void *ctx, uint16_t number)
{
	(void)ctx;
	require(number < DEVICES && in_use == 1u, "a store that was not asked for");
	in_use--;
}

static const struct tmd_smp_port port = {get, put, NULL, &firmware};

/* ---- what must hold ---- */

static void check_device(uint32_t i)
{
	const struct device *device = &devices[i];
	const struct tmd_active *active = &device->store.active;
	const uint32_t model = model_of(active->sha256);
	const uint8_t *bytes = active->slot < 2u ? &device->bytes[active->slot * SLOT_BYTES]
						 : device->config.compiled_in;

	if (!is_on[i] || active->slot == TMD_SLOT_NONE) { /* which only flash that fails can do */
		return;
	}
	require(model < MODELS && bytes != NULL && active->bytes == models[model].n &&
			memcmp(bytes, models[model].bytes, models[model].n) == 0,
		"an active model that is none of them");
	if (opened[i].slot != TMD_SLOT_NONE) {
		require(memcmp(opened[i].at, models[opened_model[i]].bytes,
			       models[opened_model[i]].n) == 0,
			"a model that is open has changed");
	}
}

static void check_reply(const struct tmd_smp_request *request)
{
	require(in_use == 0u, "a store that is not given back");
	require(reply.off <= smp.bytes || smp.bytes == 0u, "more than the whole patch has come");
	require(smp.next <= smp.bytes || smp.bytes == 0u, "more than the whole patch was taken");
	require(reply.status <= TMD_OK && tmd_smp_rc(reply.status) == (uint16_t)-reply.status,
		"a status that is none");
	require(reply.meta_bytes == 0u || request->meta != NULL, "metadata that went nowhere");
	check_device(0);
	check_device(1);
}

/* ---- requests ---- */

static void handle(struct tmd_smp_request *request)
{
	const uint32_t next = smp.next;
	const bool open = smp.bytes != 0u;

	memset(&reply, 0xA5, sizeof(reply));
	tmd_smp_handle(&smp, request, &reply);
	if (reply.status == TMD_OK && request->command == TMD_SMP_DATA && open && smp.next > next) {
		taken = true;
	}
	if (reply.status == TMD_OK && request->command == TMD_SMP_FINISH && open) {
		applied = true;
	}
	check_reply(request);
}

static void simple(uint8_t command, const struct tmd_model_contract *of)
{
	struct tmd_smp_request request = {.command = command, .meta = metadata};

	if (of != NULL) {
		request.model = of->name;
		request.model_bytes = (uint32_t)strlen(of->name);
	}
	handle(&request);
}

static void begin(struct input *in, uint8_t which)
{
	const struct device *device = &devices[which % DEVICES];
	const uint8_t choice = take(in);
	const uint32_t active = is_on[which % DEVICES] ? model_of(device->store.active.sha256) : MODELS;
	const uint32_t from = active < MODELS && (choice & 0x80u) == 0u ? active : choice / 4u % 3u;
	uint32_t kind = choice & 3u;
	struct tmd_smp_request request = {.command = TMD_SMP_BEGIN,
					  .fields = TMD_SMP_HAS_LEN | TMD_SMP_HAS_ID,
					  .model = names[which % DEVICES].name};

	if ((choice & 0xC0u) != 0xC0u) { /* one that the contract may take */
		kind = device->contract.keys_n != 0u ? 1u + kind % 2u : kind % 2u * PATCH_FORMAT_1;
	}
	sent = patches[kind][from][choice / 16u % MODELS];
	if ((choice & 0x40u) != 0u) {
		sent.bytes[take_u16(in) % sent.n] ^= take(in);
	}
	sent_id = fuzz_crc(0, sent.bytes, sent.n);
	request.model_bytes = (uint32_t)strlen(request.model);
	request.len = sent.n;
	request.id = sent_id;
	handle(&request);
}

/* The next bytes of the patch that was begun last; 0: all of it, in pieces, and the end. */
static void send(uint32_t n, const uint8_t *other)
{
	/* From where no byte behind them is read unnoticed. */
	static uint8_t piece[PATCH_MAX];
	struct tmd_smp_request request = {.command = TMD_SMP_DATA,
					  .fields = TMD_SMP_HAS_OFF | TMD_SMP_HAS_DATA |
						    TMD_SMP_HAS_ID,
					  .id = sent_id,
					  .off = smp.bytes != 0u ? smp.next : 0u};
	const uint32_t left = request.off < sent.n ? sent.n - request.off : 0u;

	n = n < left ? n : left;
	memcpy(&piece[PATCH_MAX - n], other != NULL ? other : &sent.bytes[request.off], n);
	request.data = &piece[PATCH_MAX - n];
	request.data_bytes = n;
	handle(&request);
}

static void send_all(uint32_t piece)
{
	struct tmd_smp_request request = {.command = TMD_SMP_FINISH};

	for (uint32_t n = 0; n < PATCH_MAX / piece + 1u && smp.bytes != 0u && smp.next < smp.bytes;
	     n++) {
		send(piece, NULL);
	}
	handle(&request);
}

/* Whatever the input says. */
static void any(struct input *in)
{
	static uint8_t data[64];
	static char name[8];
	struct tmd_smp_request request = {.command = take(in), .fields = take(in)};

	request.model_bytes = take(in) % sizeof(name);
	for (uint32_t i = 0; i < request.model_bytes; i++) {
		name[i] = (char)take(in);
	}
	request.model = (request.fields & 0x80u) != 0u ? name : NULL;
	request.meta = (request.fields & 0x40u) != 0u ? metadata : NULL;
	request.command = request.command < 0xF0u ? request.command % (TMD_SMP_ERASE + 1u)
						  : request.command;
	request.len = (request.fields & 0x20u) != 0u ? take_u32(in) : take(in);
	request.id = (request.fields & 0x10u) != 0u ? take_u32(in) : sent_id;
	request.off = (request.fields & 0x10u) != 0u ? take_u32(in) : take(in);
	request.data_bytes = take(in) % sizeof(data);
	request.data = &data[sizeof(data) - request.data_bytes];
	for (uint32_t i = 0; i < request.data_bytes; i++) {
		data[sizeof(data) - request.data_bytes + i] = take(in);
	}
	handle(&request);
}

/* The application opens a model, or closes it. */
static void open_or_close(uint32_t i)
{
	struct tmd_store *store = &devices[i].store;

	if (!is_on[i]) {
		return;
	}
	if (opened[i].slot != TMD_SLOT_NONE) {
		tmd_store_close(store, &opened[i]);
	} else if (tmd_store_open(store, &opened[i]) == TMD_OK) {
		opened_model[i] = model_of(store->active.sha256);
		require(opened_model[i] < MODELS, "a model was opened that is none of them");
	}
	check_device(i);
}

/* Power off and on. What was staged and complete is applied then. */
static void reset(uint32_t i)
{
	is_on[0] = is_on[1] = false;
	opened[0].slot = opened[1].slot = TMD_SLOT_NONE;
	memset(&update, 0xA5, sizeof(update));
	tmd_smp_init(&smp, &port, &update);
	if (tmd_store_mount(&devices[i].store, &devices[i].config) == TMD_OK) {
		struct tmd_staging staging;

		is_on[i] = true;
		(void)!tmd_staging_resume(&staging, &devices[i].store, &update);
	}
	check_device(i);
}

static void ask(struct input *in)
{
	const uint8_t what = take(in);
	const uint8_t more = what >> 4;
	const struct tmd_model_contract *of =
		(more & 2u) != 0u ? NULL : &names[more % DEVICES];
	uint8_t data[16];

	switch (what % 16u) {
	case 0:
		begin(in, more);
		break;
	case 1:
	case 2:
		send(1u + more * 9u, NULL);
		break;
	case 3:
	case 4:
		send_all(1u + more * 20u);
		break;
	case 5:
		for (uint32_t i = 0; i < sizeof(data); i++) {
			data[i] = take(in);
		}
		send(more, data);
		break;
	case 6:
		simple(TMD_SMP_FINISH, of);
		break;
	case 7:
		simple(TMD_SMP_CONFIRM, of);
		break;
	case 8:
		simple(TMD_SMP_REVERT, of);
		break;
	case 9:
		simple(TMD_SMP_ERASE, of);
		break;
	case 10:
		simple((more & 4u) != 0u ? TMD_SMP_STATUS : TMD_SMP_METADATA, of);
		break;
	case 11:
		devices[more % DEVICES].operations = 1u + take(in) * (1u + more / 4u);
		break;
	case 12:
		reset(more % DEVICES);
		break;
	case 13:
		get_status = more == 15u ? TMD_ERR_NO_MODEL : TMD_OK;
		break;
	case 14:
		open_or_close(more % DEVICES);
		break;
	default:
		any(in);
		break;
	}
}

/* ---- the harness ---- */

static void start(uint32_t i, uint8_t setup, bool was_updated)
{
	struct device *device = &devices[i];

	device_init(device, setup);
	memcpy(device->bytes, templates[was_updated ? 1 : 0], FLASH_BYTES);
	opened[i].slot = TMD_SLOT_NONE;
	is_on[i] = false;
}

static void make_templates(void)
{
	const struct patch *patch = &patches[PATCH_PLAIN][0][1];
	struct device *device = &devices[0];

	memset(templates[0], 0xFF, FLASH_BYTES);
	memcpy(templates[0], models[0].bytes, models[0].n);
	start(0, 0, false);
	require(tmd_store_mount(&device->store, &device->config) == TMD_OK &&
			tmd_update_begin(&update, &device->store) == TMD_OK &&
			tmd_update_write(&update, patch->bytes, patch->n) == TMD_OK &&
			tmd_update_finish(&update) == TMD_OK,
		"an update before the first input");
	memcpy(templates[1], device->bytes, FLASH_BYTES);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_begin();
	make_patches();
	make_templates();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input in = {data, bytes};
	uint8_t setup, before;

	if (bytes < 4u) {
		return 0;
	}
	setup = take(&in);
	start(0, setup, (data[2] & 1u) != 0u);
	setup = take(&in);
	start(1, setup, (data[2] & 2u) != 0u);
	before = take(&in);
	get_status = TMD_OK;
	in_use = 0;
	taken = applied = false;
	sent.n = 0;
	sent_id = 0;
	tmd_smp_init(&smp, &port, &update);
	if (fuzz_hash(data, bytes) % RAW_SHARE != 0u) {
		begin(&in, before >> 2);
		send(1u + before / 8u, NULL);
	}
	for (uint32_t n = 0; n < REQUESTS_MAX && in.left > 0u; n++) {
		ask(&in);
	}
	fuzz.runs++;
	fuzz.reached += taken;
	fuzz.whole += applied;
	return 0;
}

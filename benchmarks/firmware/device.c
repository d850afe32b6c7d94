/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a model update costs on an emulated board: the whole store, with counted flash, takes a real
 * patch, streamed and by way of its staging region; then the decoder alone takes it. The job (patch,
 * contract, geometry) and the base in slot 0 are where QEMU's loader has put them. Results go out by
 * semihosting, one line each: a word, then numbers. benchmarks/device reads them.
 */
#include <string.h>

#include <board.h>
#include <tinymldelta/tinymldelta.h>

#include "device_flash.h"

/* As benchmarks/device/jobs.py writes it. What is behind `patch_at` are addresses and lengths in bytes. */
struct job {
	uint32_t patch_at, patch_bytes;
	uint32_t base_bytes, target_bytes;
	uint32_t flash_at, slot_bytes, records_bytes, staging_bytes; /* staging: 0 if there is no room */
	uint32_t erase_bytes, write_bytes;
	uint32_t piece; /* bytes of the patch that come at once */
	uint32_t accept, formats, decoder, tflm_abi, kernels, meta_kept;
	uint32_t arena, opset_hash, io_hash, tensors, quantisation, tensor_names;
	uint32_t operators_at, operators_n;
	uint8_t base_sha256[32];
	char name[32];
};

#define JOB ((const struct job *)JOB_AT)

/* The job has operators as a table of a contract has them. */
_Static_assert(sizeof(struct tmd_operator) == 8u, "a word, three bytes, and one of padding");

#define TRIAL_STARTS 3u
#define PROGRESS_BYTES 16384u

static struct tmd_contract contract;
static struct tmd_model_contract model_contract;
static struct tmd_flash flash;
static struct tmd_flash_run run;
static struct tmd_store_config config;
static struct tmd_store store;
static struct tmd_update update;
static struct tmd_staging staging;

/* ---- saying it ---- */

static void say(const char *word, const uint32_t *numbers, uint32_t n)
{
	board_print(word);
	for (uint32_t i = 0; i < n; i++) {
		board_print(" ");
		board_print_number(numbers[i]);
	}
	board_print("\n");
}

/* ---- one phase ---- */

/* What a phase is done with; a status. */
typedef int (*phase_fn)(void);

/* Run it, and say what it took: status, instructions, stack, then erases, writes, written, reads, read. */
static int phase(const char *word, phase_fn call)
{
	uint64_t before;
	uint32_t numbers[8];
	int status;

	memset(&device_flash_counts, 0, sizeof(device_flash_counts));
	board_paint_stack();
	before = board_instructions();
	status = call();
	numbers[1] = (uint32_t)(board_instructions() - before);
	numbers[2] = board_stack_used();
	numbers[0] = (uint32_t)-status;
	memcpy(&numbers[3], &device_flash_counts, sizeof(device_flash_counts));
	say(word, numbers, sizeof(numbers) / sizeof(numbers[0]));
	return status;
}

_Static_assert(sizeof(device_flash_counts) == 5u * sizeof(uint32_t), "what phase() says of flash");

/* ---- the store ---- */

static void set_up(void)
{
	const uint32_t records_at = 2u * JOB->slot_bytes;

	model_contract = (struct tmd_model_contract){
		.name = JOB->name,
		.id = tmd_crc32(0, JOB->name, strlen(JOB->name)),
		.arena_bytes = JOB->arena,
		.opset_hash = JOB->opset_hash,
		.io_hash = JOB->io_hash,
		.tensors = JOB->tensors,
		.quantisation = JOB->quantisation,
		.tensor_names = JOB->tensor_names,
		.slot_bytes = JOB->slot_bytes,
		.model_bytes = JOB->base_bytes,
	};
	memcpy(model_contract.model_sha256, JOB->base_sha256, sizeof(model_contract.model_sha256));
	contract = (struct tmd_contract){
		.wire_version = TMD_WIRE_VERSION,
		.accept = (uint16_t)JOB->accept,
		.formats = (uint16_t)JOB->formats,
		.decoder = (uint16_t)JOB->decoder,
		.tflm_abi = (uint16_t)JOB->tflm_abi,
		.meta_kept = (uint16_t)JOB->meta_kept,
		.operators_n = (uint16_t)JOB->operators_n,
		.models_n = 1,
		.kernels = JOB->kernels,
		.erase_bytes = JOB->erase_bytes,
		.write_bytes = JOB->write_bytes,
		.operators = (const struct tmd_operator *)(uintptr_t)JOB->operators_at,
		.models = &model_contract,
	};
	device_flash_init(&flash, &run, (uint8_t *)(uintptr_t)JOB->flash_at, JOB->erase_bytes,
			  (records_at + JOB->records_bytes + JOB->staging_bytes) / JOB->erase_bytes,
			  JOB->write_bytes);
	config = (struct tmd_store_config){
		.contract = &contract,
		.trial_starts = TRIAL_STARTS,
		.slot = {{&flash, 0, JOB->slot_bytes}, {&flash, JOB->slot_bytes, JOB->slot_bytes}},
		.records = {&flash, records_at, JOB->records_bytes},
		.progress_bytes = PROGRESS_BYTES,
	};
	if (JOB->staging_bytes != 0u) {
		config.staging = (struct tmd_region){&flash, records_at + JOB->records_bytes,
						     JOB->staging_bytes};
	}
}

/* As the device leaves the factory: a model in slot 0, the rest of flash erased. */
static void leave_factory(void)
{
	device_flash_blank(JOB->slot_bytes);
	memset(&store, 0, sizeof(store));
	memset(&update, 0, sizeof(update));
	memset(&staging, 0, sizeof(staging));
}

static const uint8_t *patch_at(uint32_t offset)
{
	return (const uint8_t *)(uintptr_t)(JOB->patch_at + offset);
}

static int mount(void)
{
	return tmd_store_mount(&store, &config);
}

static int stream(void)
{
	int err = tmd_update_begin(&update, &store);

	for (uint32_t at = 0; at < JOB->patch_bytes && err == TMD_OK; at += JOB->piece) {
		const uint32_t left = JOB->patch_bytes - at;

		err = tmd_update_write(&update, patch_at(at), left < JOB->piece ? left : JOB->piece);
	}
	return err == TMD_OK ? tmd_update_finish(&update) : err;
}

static int receive(void)
{
	const uint32_t id = tmd_crc32(0, patch_at(0), JOB->patch_bytes);
	int err = tmd_staging_begin(&staging, &store, JOB->patch_bytes, id);

	for (uint32_t at = 0; at < JOB->patch_bytes && err == TMD_OK; at += JOB->piece) {
		const uint32_t left = JOB->patch_bytes - at;

		err = tmd_staging_write(&staging, patch_at(at), left < JOB->piece ? left : JOB->piece);
	}
	return err;
}

static int apply(void)
{
	return tmd_staging_apply(&staging, &update);
}

/* The first start of the new model, and its confirmation. */
static int start(void)
{
	struct tmd_model model;
	int err = tmd_store_open(&store, &model);

	if (err == TMD_OK) {
		tmd_store_close(&store, &model);
		err = tmd_store_confirm(&store);
	}
	return err;
}

/* The active model, as it reads: where it is, how long, its CRC-32. */
static void say_active(void)
{
	const uint32_t numbers[3] = {
		store.active.slot,
		store.active.bytes,
		tmd_crc32(0, device_flash_at(store.active.slot == 0u ? 0u : JOB->slot_bytes),
			  store.active.bytes),
	};

	say("active", numbers, 3);
}

/* ---- the decoder alone ---- */

static uint32_t position, mismatches;

static int read_base(void *ctx, uint32_t offset, uint8_t *buf, uint32_t bytes)
{
	(void)ctx;
	memcpy(buf, device_flash_at(offset), bytes);
	return TMD_OK;
}

/* Slot 1 holds the target by now. */
static int emit(void *ctx, const uint8_t *buf, uint32_t bytes)
{
	(void)ctx;
	mismatches += memcmp(buf, device_flash_at(JOB->slot_bytes + position), bytes) != 0;
	position += bytes;
	return TMD_OK;
}

static size_t head_bytes;

static int head(void)
{
	tmd_patch_init(&update.patch);
	return tmd_patch_head(&update.patch, &contract, patch_at(0), JOB->patch_bytes, &head_bytes);
}

static int guard(void)
{
	return tmd_guard_check(&contract, 0, &update.patch.info);
}

static int body(void)
{
	static const struct tmd_patch_io io = {read_base, emit, NULL};
	int err = TMD_OK;

	for (uint32_t at = (uint32_t)head_bytes; at < JOB->patch_bytes && err == TMD_OK;
	     at += JOB->piece) {
		const uint32_t left = JOB->patch_bytes - at;

		err = tmd_patch_body(&update.patch, &io, patch_at(at),
				     left < JOB->piece ? left : JOB->piece);
	}
	return err == TMD_OK ? tmd_patch_end(&update.patch, &io) : err;
}

static int digest(void)
{
	uint8_t sha256[32] = {0};
	struct tmd_fingerprint *print = &update.print;

	tmd_fingerprint_init(print, TMD_DIGEST_SHA256);
	tmd_fingerprint_update(print, device_flash_at(JOB->slot_bytes), JOB->target_bytes);
	return tmd_fingerprint_matches(print, sha256, 0, sha256) ? TMD_OK : TMD_ERR_TARGET;
}

static int decode(void)
{
	const int err = phase("head", head) != TMD_OK || phase("guard", guard) != TMD_OK
				? TMD_ERR_FORMAT
				: phase("decode", body);
	const uint32_t numbers[2] = {position, mismatches};

	say("decoded", numbers, 2);
	return err == TMD_OK ? phase("digest", digest) : err;
}

/* ---- all of it ---- */

static int streamed(void)
{
	leave_factory();
	if (phase("mount", mount) != TMD_OK || phase("stream", stream) != TMD_OK) {
		return TMD_ERR_BODY;
	}
	say_active();
	return phase("start", start);
}

static int staged(void)
{
	leave_factory();
	if (phase("mount", mount) != TMD_OK || phase("receive", receive) != TMD_OK ||
	    phase("apply", apply) != TMD_OK) {
		return TMD_ERR_BODY;
	}
	say_active();
	return phase("start", start);
}

int main(void)
{
	const uint32_t sizes[4] = {sizeof(struct tmd_store), sizeof(struct tmd_update),
				   sizeof(struct tmd_staging), sizeof(struct tmd_patch)};
	uint32_t rounds;

	say("sizes", sizes, 4);
	set_up();
	if ((JOB->staging_bytes != 0u && staged() != TMD_OK) || streamed() != TMD_OK ||
	    decode() != TMD_OK) {
		return 1;
	}
	rounds = board_rounds();
	say("rounds", &rounds, 1);
	return 0;
}

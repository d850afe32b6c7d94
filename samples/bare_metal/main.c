/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A firmware without an operating system: a store for each of its models, side by side in flash, of
 * which one is mounted. Words of the command line are what happens while the power is on, in turn:
 *
 *	model=NAME        of which model; the first one if not said
 *	cut=N[:P]         the power goes during flash operation N, when P percent of it are done; 50
 *	piece=N           bytes of a patch that come at once; 20, as over a radio
 *	trace stack       print each flash operation; print the stack that was used
 *	status            what the store knows
 *	factory FILE      production: put the model into slot 0, before the first power-on
 *	update FILE       receive a patch, as it comes
 *	stage FILE        receive it into the staging region, and apply it from there
 *	apply FILE        apply a patch that can be read twice
 *	open FILE         open the model, and write it to the file
 *	confirm, revert   what became of the model on trial; confirm opens it if nothing did
 *
 * At power-on a patch that lies in the staging region is applied. Exit status: 0 if all was done, 1
 * after the first status that is not OK, 2 for a word that is none of these, and those of flash.h.
 */
#include <string.h>

#include <tinymldelta/tinymldelta.h>

#include "board.h"
#include "flash.h"

#include "tmd_contract.h"
#ifndef FACTORY
#include "tmd_model_digits.h"
#include "tmd_model_sst.h"
#include "tmd_model_thermo.h"
#endif

#define PIECE_MAX 256u
#define STATUS_WRONG_CALL 2

/* In whole erase units. */
#define UNITS(bytes) (((bytes) + FLASH_ERASE - 1u) / FLASH_ERASE * FLASH_ERASE)
#define SLOT UNITS(TMD_SLOT_DIGITS_BYTES)
#define RECORDS (2u * FLASH_ERASE)
#define STAGING UNITS(8192u)
#define STORE (2u * SLOT + RECORDS + STAGING)

#define MODELS_N (sizeof(tmd_contract_models) / sizeof(tmd_contract_models[0]))

_Static_assert(TMD_SLOT_SST_BYTES <= SLOT && TMD_SLOT_THERMO_BYTES <= SLOT, "one size for all");
_Static_assert(MODELS_N * STORE <= FLASH_BYTES, "all stores fit");

#ifdef FACTORY
static const uint8_t *const compiled_in[MODELS_N] = {NULL};
#else
static const uint8_t *const compiled_in[MODELS_N] = {
	[TMD_MODEL_DIGITS] = tmd_model_digits,
	[TMD_MODEL_SST] = tmd_model_sst,
	[TMD_MODEL_THERMO] = tmd_model_thermo,
};
#endif

static struct tmd_store_config config;
static struct tmd_store store;
static struct tmd_update update;
static struct tmd_staging staging;
static uint8_t piece[PIECE_MAX] __attribute__((aligned(8)));
static uint32_t piece_bytes = 20;
static bool mounted;
static bool opened; /* since power-on */

/* ---- text ---- */

static void print_number(const char *name, uint32_t value)
{
	board_print(" ");
	board_print(name);
	board_print("=");
	board_print_number(value);
}

static void print_hex(const char *name, const uint8_t *bytes, uint32_t n)
{
	static const char digits[] = "0123456789abcdef";
	char text[3] = {0};

	board_print(" ");
	board_print(name);
	board_print("=");
	for (uint32_t i = 0; i < n; i++) {
		text[0] = digits[bytes[i] >> 4];
		text[1] = digits[bytes[i] & 15u];
		board_print(text);
	}
}

static int report(const char *what, int status)
{
	board_print(what);
	board_print(" status=");
	board_print(tmd_status_name(status));
	return status;
}

/* The next word of `*text`, or NULL. */
static char *next_word(char **text)
{
	char *word = *text;
	char *end;

	while (*word == ' ') {
		word++;
	}
	end = strchr(word, ' ');
	*text = end == NULL ? word + strlen(word) : end + 1;
	if (end != NULL) {
		*end = '\0';
	}
	return *word == '\0' ? NULL : word;
}

/* The decimal number at `*text`, which then stands behind it. */
static uint32_t number(const char **text)
{
	uint32_t value = 0;

	while (**text >= '0' && **text <= '9') {
		value = value * 10u + (uint32_t)(**text - '0');
		(*text)++;
	}
	return value;
}

/* ---- the store ---- */

static struct tmd_region region(uint32_t offset, uint32_t bytes)
{
	return (struct tmd_region){&flash_port, config.model * STORE + offset, bytes};
}

static int mount(void)
{
	int err;

	config.contract = &tmd_contract;
	config.trial_starts = 3;
	config.progress_bytes = 2048;
	config.compiled_in = compiled_in[config.model];
	config.slot[0] = region(0, SLOT);
	config.slot[1] = region(SLOT, SLOT);
	config.records = region(2u * SLOT, RECORDS);
	config.staging = region(2u * SLOT + RECORDS, STAGING);
	err = report("mount", tmd_store_mount(&store, &config));
	print_number("slot", store.active.slot);
	board_print("\n");
	mounted = err == TMD_OK;
	if (!mounted) {
		return err;
	}
	err = tmd_staging_resume(&staging, &store, &update);
	if (err != TMD_OK || staging.bytes != 0u) {
		(void)report("resume", err);
		print_number("bytes", staging.bytes);
		print_number("next", staging.next);
		board_print("\n");
	}
	/* What was staged may be refused; the device goes on with what it has. */
	return TMD_OK;
}

static int print_status(void)
{
	struct tmd_store_info info;

	tmd_store_get_info(&store, &info);
	board_print("store");
	print_number("slot", store.active.slot);
	print_number("trial", info.trial ? 1u : 0u);
	print_number("starts", info.starts);
	print_number("sequence", info.sequence);
	print_number("updates", info.updates);
	print_number("erases", info.erases);
	print_number("slots", FLASH_AT + config.slot[0].offset);
	print_number("slot_bytes", SLOT);
	print_number("records_bytes", RECORDS);
	print_number("staging_bytes", STAGING);
	board_print("\n");
	return TMD_OK;
}

/* ---- patches ---- */

struct patch_file {
	int file;
	uint32_t bytes;
};

static bool open_patch(const char *name, struct patch_file *patch)
{
	int32_t bytes;

	patch->file = board_file_open(name, BOARD_FILE_READ);
	bytes = patch->file < 0 ? -1 : board_file_bytes(patch->file);
	patch->bytes = (uint32_t)bytes;
	return bytes >= 0;
}

static uint32_t piece_at(const struct patch_file *patch, uint32_t offset)
{
	return patch->bytes - offset < piece_bytes ? patch->bytes - offset : piece_bytes;
}

static int receive(const struct patch_file *patch)
{
	int err = tmd_update_begin(&update, &store);

	for (uint32_t at = 0; at < patch->bytes && err == TMD_OK;) {
		const uint32_t n = piece_at(patch, at);

		err = board_file_read(patch->file, at, piece, n)
			      ? tmd_update_write(&update, piece, n)
			      : TMD_ERR_TRUNCATED;
		at += n;
	}
	if (err != TMD_OK) {
		tmd_update_abort(&update);
		return err;
	}
	return tmd_update_finish(&update);
}

static int stage(const struct patch_file *patch)
{
	uint32_t id = 0;
	int err;

	for (uint32_t at = 0; at < patch->bytes; at += piece_at(patch, at)) {
		const uint32_t n = piece_at(patch, at);

		if (!board_file_read(patch->file, at, piece, n)) {
			return TMD_ERR_TRUNCATED;
		}
		id = tmd_crc32(id, piece, n);
	}
	err = tmd_staging_begin(&staging, &store, patch->bytes, id);
	if (err == TMD_OK && staging.next > 0u) {
		board_print("stage");
		print_number("from", staging.next);
		board_print("\n");
	}
	while (err == TMD_OK && staging.next < patch->bytes) {
		const uint32_t n = piece_at(patch, staging.next);

		err = board_file_read(patch->file, staging.next, piece, n)
			      ? tmd_staging_write(&staging, piece, n)
			      : TMD_ERR_TRUNCATED;
	}
	return err != TMD_OK ? err : tmd_staging_apply(&staging, &update);
}

static int read_patch(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	const struct patch_file *patch = ctx;

	return board_file_read(patch->file, offset, buf, bytes) ? 0 : -1;
}

static int apply(struct patch_file *patch)
{
	const struct tmd_source source = {read_patch, patch, patch->bytes};

	return tmd_update_staged(&update, &store, &source);
}

/* ---- models ---- */

/* What an interpreter would be given, byte for byte, to the host. */
static int write_out(const struct tmd_model *model, int file)
{
	struct tmd_sha256 sha;
	uint8_t digest[32];

	tmd_sha256_init(&sha);
	for (uint32_t at = 0; at < model->bytes;) {
		const uint32_t n = model->bytes - at < PIECE_MAX ? model->bytes - at : PIECE_MAX;
		const int err = tmd_model_read(&store, model, at, piece, n);

		if (err != TMD_OK) {
			return err;
		}
		if ((model->at != NULL && memcmp((const uint8_t *)model->at + at, piece, n) != 0) ||
		    !board_file_write(file, at, piece, n)) {
			return TMD_ERR_FLASH_READ;
		}
		tmd_sha256_update(&sha, piece, n);
		at += n;
	}
	(void)tmd_sha256_final(&sha, digest);
	board_print("model");
	print_number("bytes", model->bytes);
	print_number("slot", model->slot);
	print_number("mapped", model->at != NULL ? 1u : 0u);
	print_hex("sha256", digest, sizeof(digest));
	board_print("\n");
	return TMD_OK;
}

static int open_model(const char *name)
{
	struct tmd_model model;
	int file = -1;
	int err = tmd_store_open(&store, &model);

	if (err != TMD_OK) {
		return err;
	}
	if (name != NULL) {
		file = board_file_open(name, BOARD_FILE_REPLACE);
		err = file < 0 ? TMD_ERR_FLASH_WRITE : write_out(&model, file);
		board_file_close(file);
	}
	tmd_store_close(&store, &model);
	opened = true;
	return err;
}

static int confirm(void)
{
	/* Each open counts as a start, so none is used up for nothing. */
	const int err = opened ? TMD_OK : open_model(NULL);

	return err != TMD_OK ? err : tmd_store_confirm(&store);
}

/* A production line programs the flash; nothing of a store is there yet. */
static int factory(const struct patch_file *model)
{
	struct tmd_region slot = region(0, SLOT);

	for (uint32_t at = 0; at < model->bytes; at += FLASH_WRITE) {
		const uint32_t left = model->bytes - at;
		const uint32_t n = left < FLASH_WRITE ? left : FLASH_WRITE;

		memset(piece, FLASH_ERASED, FLASH_WRITE);
		if (!board_file_read(model->file, at, piece, n) ||
		    flash_port.write(NULL, slot.offset + at, piece, FLASH_WRITE) != 0) {
			return TMD_ERR_FLASH_WRITE;
		}
	}
	return TMD_OK;
}

/* ---- words ---- */

static _Noreturn void wrong_call(const char *word)
{
	board_print("what is this: ");
	board_print(word == NULL ? "a word is missing" : word);
	board_print("\n");
	board_exit(STATUS_WRONG_CALL);
}

static bool take_setting(const char *word)
{
	const char *value = strchr(word, '=');

	if (strcmp(word, "trace") == 0) {
		flash_trace();
		return true;
	}
	if (value == NULL) {
		return false;
	}
	value++;
	if (strncmp(word, "cut=", 4) == 0) {
		const uint32_t at = number(&value);
		const char *percent = &value[1];

		flash_cut_at(at, *value == ':' ? number(&percent) : 50u);
	} else if (strncmp(word, "piece=", 6) == 0) {
		piece_bytes = number(&value);
	} else if (strncmp(word, "model=", 6) == 0) {
		config.model = 0;
		while (config.model < MODELS_N &&
		       strcmp(tmd_contract_models[config.model].name, value) != 0) {
			config.model++;
		}
	} else {
		return false;
	}
	return piece_bytes > 0u && piece_bytes <= PIECE_MAX && config.model < MODELS_N;
}

/* Words that take a file. */
static int run_on_file(const char *word, const char *name)
{
	struct patch_file file;
	int err;

	if (name == NULL || !open_patch(name, &file)) {
		wrong_call(name);
	}
	if (strcmp(word, "update") == 0) {
		err = receive(&file);
	} else if (strcmp(word, "stage") == 0) {
		err = stage(&file);
	} else {
		err = strcmp(word, "apply") == 0 ? apply(&file) : factory(&file);
	}
	board_file_close(file.file);
	return err;
}

static int run(const char *word, char **rest)
{
	const bool is_factory = strcmp(word, "factory") == 0;
	int err = mounted || is_factory ? TMD_OK : mount();

	if (err != TMD_OK) {
		return err;
	}
	if (is_factory || strcmp(word, "update") == 0 || strcmp(word, "stage") == 0 ||
	    strcmp(word, "apply") == 0) {
		err = run_on_file(word, next_word(rest));
	} else if (strcmp(word, "open") == 0) {
		err = open_model(next_word(rest));
	} else if (strcmp(word, "confirm") == 0) {
		err = confirm();
	} else if (strcmp(word, "revert") == 0) {
		err = tmd_store_revert(&store);
	} else if (strcmp(word, "status") == 0) {
		err = print_status();
	} else {
		wrong_call(word);
	}
	(void)report(word, err);
	board_print("\n");
	return err;
}

static void print_counts(void)
{
	const struct flash_counts *counts = flash_counts();

	board_print("flash");
	print_number("operations", counts->operations);
	print_number("writes", counts->writes);
	print_number("erases", counts->erases);
	print_number("written", counts->written);
	board_print("\n");
}

int main(void)
{
	static char line[160];
	char *rest = line;
	char *word;
	bool stack = false;
	int err = TMD_OK;

	if (!board_arguments(line, sizeof(line))) {
		wrong_call(NULL);
	}
	if (!flash_power_on()) {
		board_print("the flash is not there, or another one\n");
		return FLASH_STATUS_ILLEGAL;
	}
	for (word = next_word(&rest); word != NULL && err == TMD_OK; word = next_word(&rest)) {
		if (strcmp(word, "stack") == 0) {
			stack = true;
			board_paint_stack();
		} else if (!take_setting(word)) {
			err = run(word, &rest);
		}
	}
	print_counts();
	if (stack) {
		board_print("memory");
		print_number("stack", board_stack_used());
		print_number("store", sizeof(store));
		print_number("update", sizeof(update));
		print_number("staging", sizeof(staging));
		board_print("\n");
	}
	return err == TMD_OK ? 0 : 1;
}

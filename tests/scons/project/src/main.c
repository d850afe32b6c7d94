/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A firmware with flash in RAM, for a PC:
 *
 *	firmware PATCH TARGET
 *
 * takes the patch as it would come over a wire, and compares what it then opens with TARGET. Prints one
 * line. Exit status: 0; 1 with the status of the device that refused, or if the model is another one.
 */
#include <stdio.h>
#include <string.h>

#include <tinymldelta/tinymldelta.h>

#include "tmd_contract.h"
#include "tmd_model_app.h"

#define UNIT 4096u
#define UNITS ((2u * TMD_SLOT_APP_BYTES) / UNIT + 2u)

static uint8_t cells[UNITS * UNIT];

static int read_cells(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	(void)ctx;
	(void)memcpy(buf, &cells[offset], bytes);
	return 0;
}

static int write_cells(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	(void)ctx;
	(void)memcpy(&cells[offset], buf, bytes);
	return 0;
}

static int erase_cells(void *ctx, uint32_t offset, uint32_t bytes)
{
	(void)ctx;
	(void)memset(&cells[offset], 0xFF, bytes);
	return 0;
}

static const void *map_cells(void *ctx, uint32_t offset, uint32_t bytes)
{
	(void)ctx;
	(void)bytes;
	return &cells[offset];
}

static const struct tmd_flash_run runs[] = {{UNIT, UNITS}};
static const struct tmd_flash flash = {
	.read = read_cells,
	.write = write_cells,
	.erase = erase_cells,
	.map = map_cells,
	.runs = runs,
	.runs_n = 1,
	.write_bytes = 4,
	.erased_value = 0xFF,
};
static const struct tmd_store_config config = {
	.contract = &tmd_contract,
	.model = TMD_MODEL_APP,
	.trial_starts = 3,
	.slot = {{&flash, 0, TMD_SLOT_APP_BYTES}, {&flash, TMD_SLOT_APP_BYTES, TMD_SLOT_APP_BYTES}},
	.records = {&flash, 2u * TMD_SLOT_APP_BYTES, 2u * UNIT},
	.compiled_in = tmd_model_app,
};
static struct tmd_store store;
static struct tmd_update update;

static int receive(FILE *patch)
{
	uint8_t piece[20];
	size_t n;
	int err = tmd_update_begin(&update, &store);

	while (err == TMD_OK && (n = fread(piece, 1, sizeof(piece), patch)) > 0u) {
		err = tmd_update_write(&update, piece, n);
	}
	return err == TMD_OK ? tmd_update_finish(&update) : err;
}

static bool is_in(const struct tmd_model *model, FILE *file)
{
	const uint8_t *at = model->at;
	uint32_t n = 0;
	int c;

	while ((c = fgetc(file)) != EOF) {
		if (n >= model->bytes || at[n] != (uint8_t)c) {
			return false;
		}
		n++;
	}
	return n == model->bytes;
}

int main(int argc, char **argv)
{
	struct tmd_model model;
	FILE *patch = argc == 3 ? fopen(argv[1], "rb") : NULL;
	FILE *target = argc == 3 ? fopen(argv[2], "rb") : NULL;
	int err;

	if (patch == NULL || target == NULL) {
		(void)printf("firmware PATCH TARGET\n");
		return 2;
	}
	(void)memset(cells, 0xFF, sizeof(cells));
	err = tmd_store_mount(&store, &config);
	if (err == TMD_OK) {
		err = receive(patch);
	}
	if (err == TMD_OK) {
		err = tmd_store_open(&store, &model);
	}
	if (err != TMD_OK) {
		(void)printf("%s\n", tmd_status_name(err));
		return 1;
	}
	if (!is_in(&model, target)) {
		(void)printf("another model\n");
		return 1;
	}
	(void)printf("slot %u has the target, %u bytes\n", (unsigned int)model.slot,
		     (unsigned int)model.bytes);
	return 0;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_MAX 0x1000000u

static uint32_t patterns_for(uint32_t pattern, uint32_t bytes)
{
	return bytes / pattern + (bytes % pattern != 0u ? 1u : 0u);
}

/* Patterns that the records take: the fewest that have two erase units which hold a record each. */
static uint32_t record_patterns(const struct tmd_sim_geometry *geometry)
{
	uint32_t units = 0;

	for (uint32_t i = 0; i < geometry->pattern_n; i++) {
		units += geometry->pattern[i].count;
	}
	return units >= 2u ? 1u : 2u;
}

int tmd_sim_device_init(struct tmd_sim_device *device, const struct tmd_sim_geometry *geometry,
			const struct tmd_contract *contract, uint16_t model,
			const struct tmd_sim_options *options)
{
	const uint32_t pattern =
		geometry->pattern_n <= TMD_SIM_RUNS_MAX ? tmd_sim_pattern_bytes(geometry) : 0u;
	struct tmd_store_config *config = &device->config;
	uint32_t slot;
	uint32_t records;
	uint32_t staging;

	memset(device, 0, sizeof(*device));
	(void)snprintf(device->geometry_name, sizeof(device->geometry_name), "%.*s",
		       (int)sizeof(device->geometry_name) - 1, geometry->name);
	if (pattern == 0u || model >= contract->models_n ||
	    contract->models[model].slot_bytes > TMD_MODEL_MAX / 8u ||
	    options->staging_bytes > TMD_MODEL_MAX / 8u || options->trial_starts > UINT8_MAX) {
		return TMD_ERR_GEOMETRY;
	}
	slot = patterns_for(pattern, contract->models[model].slot_bytes);
	records = record_patterns(geometry);
	staging = patterns_for(pattern, options->staging_bytes);
	if (!tmd_sim_init(&device->sim, geometry, 2u * slot + records + staging)) {
		return TMD_ERR_GEOMETRY;
	}
	/* The name that was given need not live as long as the device. */
	device->sim.geometry.name = device->geometry_name;
	device->sim.geometry.text = "";
	config->contract = contract;
	config->model = model;
	config->slot[0] = (struct tmd_region){&device->sim.flash, 0, slot * pattern};
	config->slot[1] = (struct tmd_region){&device->sim.flash, slot * pattern, slot * pattern};
	config->records =
		(struct tmd_region){&device->sim.flash, 2u * slot * pattern, records * pattern};
	if (staging != 0u) {
		config->staging = (struct tmd_region){&device->sim.flash,
						      (2u * slot + records) * pattern,
						      staging * pattern};
	}
	device->options = *options;
	config->trial_starts = (uint8_t)options->trial_starts;
	config->progress_bytes = options->progress_bytes;
	return TMD_OK;
}

void tmd_sim_device_free(struct tmd_sim_device *device)
{
	tmd_sim_free(&device->sim);
	free(device->compiled_in);
	free(device->note);
	memset(device, 0, sizeof(*device));
}

int tmd_sim_device_factory(struct tmd_sim_device *device, const uint8_t *model, uint32_t bytes)
{
	const struct tmd_flash *flash = &device->sim.flash;
	uint8_t unit[TMD_WRITE_UNIT_MAX];

	if (bytes > device->config.slot[0].bytes) {
		return TMD_ERR_SLOT;
	}
	for (uint32_t at = 0; at < bytes; at += flash->write_bytes) {
		const uint32_t n = bytes - at < flash->write_bytes ? bytes - at : flash->write_bytes;

		memset(unit, flash->erased_value, sizeof(unit));
		memcpy(unit, &model[at], n);
		if (flash->write(flash->ctx, at, unit, flash->write_bytes) != 0) {
			return TMD_ERR_FLASH_WRITE;
		}
	}
	return TMD_OK;
}

bool tmd_sim_device_compile_in(struct tmd_sim_device *device, const uint8_t *model, uint32_t bytes)
{
	uint8_t *copy = malloc(bytes + 1u);

	if (copy == NULL) {
		return false;
	}
	memcpy(copy, model, bytes);
	free(device->compiled_in);
	device->compiled_in = copy;
	device->config.compiled_in = copy;
	return true;
}

static void fill_with_noise(void *memory, size_t bytes, uint64_t *seed)
{
	uint8_t *at = memory;

	for (size_t i = 0; i < bytes; i++) {
		*seed = *seed * 6364136223846793005u + 1442695040888963407u;
		at[i] = (uint8_t)(*seed >> 56);
	}
}

void tmd_sim_device_forget(struct tmd_sim_device *device, uint64_t seed)
{
	fill_with_noise(&device->store, sizeof(device->store), &seed);
	fill_with_noise(&device->update, sizeof(device->update), &seed);
	fill_with_noise(&device->staging, sizeof(device->staging), &seed);
}

int tmd_sim_device_boot(struct tmd_sim_device *device, uint64_t seed)
{
	tmd_sim_device_forget(device, seed);
	tmd_sim_power_on(&device->sim);
	return tmd_store_mount(&device->store, &device->config);
}

int tmd_sim_device_stream(struct tmd_sim_device *device, const uint8_t *patch, uint32_t bytes,
			  uint32_t piece)
{
	int err = tmd_update_begin(&device->update, &device->store);

	for (uint32_t at = 0; at < bytes && err == TMD_OK;) {
		const uint32_t n = bytes - at < piece ? bytes - at : piece;

		err = tmd_update_write(&device->update, &patch[at], n);
		at += n;
	}
	return err != TMD_OK ? err : tmd_update_finish(&device->update);
}

struct memory {
	const uint8_t *bytes;
};

static int read_memory(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	const struct memory *memory = ctx;

	memcpy(buf, &memory->bytes[offset], bytes);
	return 0;
}

int tmd_sim_device_check(struct tmd_sim_device *device, const uint8_t *patch, uint32_t bytes)
{
	struct memory memory = {patch};
	const struct tmd_source source = {read_memory, &memory, bytes};

	return tmd_update_check(&device->update, &device->store, &source);
}

int tmd_sim_device_staged(struct tmd_sim_device *device, const uint8_t *patch, uint32_t bytes)
{
	struct memory memory = {patch};
	const struct tmd_source source = {read_memory, &memory, bytes};

	return tmd_update_staged(&device->update, &device->store, &source);
}

#if TMD_STAGING

int tmd_sim_device_stage(struct tmd_sim_device *device, const uint8_t *patch, uint32_t bytes,
			 uint32_t piece, uint32_t *sent)
{
	struct tmd_staging *staging = &device->staging;
	/* The name of a patch is the CRC-32 of it. */
	int err = tmd_staging_begin(staging, &device->store, bytes, tmd_crc32(0, patch, bytes));

	while (err == TMD_OK && staging->next < bytes) {
		const uint32_t at = staging->next;
		const uint32_t n = bytes - at < piece ? bytes - at : piece;

		err = tmd_staging_write(staging, &patch[at], n);
		if (sent != NULL) {
			*sent += n;
		}
	}
	return err != TMD_OK ? err : tmd_staging_apply(staging, &device->update);
}

int tmd_sim_device_resume(struct tmd_sim_device *device)
{
	return tmd_staging_resume(&device->staging, &device->store, &device->update);
}

#endif

bool tmd_sim_device_set_note(struct tmd_sim_device *device, const uint8_t *note, uint32_t bytes)
{
	uint8_t *copy = malloc(bytes + 1u);

	if (copy == NULL || bytes > NOTE_MAX) {
		free(copy);
		return false;
	}
	memcpy(copy, note, bytes);
	free(device->note);
	device->note = copy;
	device->note_bytes = bytes;
	return true;
}

/*
 * The file: magic, note, then what makes up the simulated flash. It stays on the machine that wrote
 * it, so its numbers are the machine's own; a changed struct changes the size that is stored first.
 */
static const char file_magic[8] = {'T', 'M', 'D', 'S', 'I', 'M', '0', '3'};

struct file_state {
	uint32_t state_bytes; /* sizeof(struct file_state) */
	uint32_t note_bytes;
	uint32_t compiled_in_bytes; /* 0: none */
	struct tmd_sim_options options;
	uint32_t size;
	uint32_t pattern_n;
	struct tmd_flash_run pattern[TMD_SIM_RUNS_MAX];
	uint32_t write_bytes;
	uint8_t erased_value;
	uint8_t flags;
	char name[TMD_SIM_NAME_MAX];
	struct tmd_sim_counts counts;
	uint64_t cut_at;
	uint64_t fault_at;
	uint64_t random;
	uint32_t cut_part;
	char illegal_text[128];
	uint8_t cut;
	uint8_t fault;
	uint8_t powered;
	uint8_t on;
	struct tmd_store store; /* if the device is on */
};

bool tmd_sim_device_is_on(const struct tmd_sim_device *device)
{
	return device->sim.powered && device->store.config == &device->config;
}

bool tmd_sim_device_save(const struct tmd_sim_device *device, const char *path)
{
	const struct tmd_sim *sim = &device->sim;
	const size_t units = sim->size / sim->flash.write_bytes;
	struct file_state state;
	FILE *file;
	bool good;

	memset(&state, 0, sizeof(state));
	state.pattern_n = sim->geometry.pattern_n;
	memcpy(state.pattern, sim->geometry.pattern, sizeof(state.pattern));
	state.write_bytes = sim->geometry.write_bytes;
	state.erased_value = sim->geometry.erased_value;
	state.flags = sim->geometry.flags;
	memcpy(state.name, device->geometry_name, sizeof(state.name));
	state.state_bytes = (uint32_t)sizeof(state);
	state.note_bytes = device->note_bytes;
	state.options = device->options;
	if (device->compiled_in != NULL) {
		state.compiled_in_bytes =
			device->config.contract->models[device->config.model].model_bytes;
	}
	state.size = sim->size;
	state.counts = sim->counts;
	state.cut_at = sim->cut_at;
	state.fault_at = sim->fault_at;
	state.random = sim->random;
	state.cut_part = sim->cut_part;
	memcpy(state.illegal_text, sim->illegal_text, sizeof(state.illegal_text));
	state.cut = sim->cut;
	state.fault = sim->fault;
	state.powered = sim->powered ? 1 : 0;
	if (tmd_sim_device_is_on(device)) {
		/* Not by mounting again: that would end a trial whose last start goes on. */
		state.on = 1;
		state.store = device->store;
		state.store.config = NULL;
	}

	file = fopen(path, "wb");
	if (file == NULL) {
		return false;
	}
	good = fwrite(file_magic, sizeof(file_magic), 1, file) == 1u &&
	       fwrite(&state, sizeof(state), 1, file) == 1u &&
	       (state.note_bytes == 0u ||
		fwrite(device->note, 1, state.note_bytes, file) == state.note_bytes) &&
	       (state.compiled_in_bytes == 0u ||
		fwrite(device->compiled_in, 1, state.compiled_in_bytes, file) ==
			state.compiled_in_bytes) &&
	       fwrite(sim->bytes, 1, sim->size, file) == sim->size &&
	       fwrite(sim->state, 1, units, file) == units;
	return (fclose(file) == 0) && good;
}

static FILE *open_device(const char *path, struct file_state *state)
{
	char magic[sizeof(file_magic)];
	FILE *file = fopen(path, "rb");

	if (file == NULL) {
		return NULL;
	}
	if (fread(magic, sizeof(magic), 1, file) != 1u ||
	    memcmp(magic, file_magic, sizeof(magic)) != 0 ||
	    fread(state, sizeof(*state), 1, file) != 1u || state->state_bytes != sizeof(*state)) {
		(void)fclose(file);
		return NULL;
	}
	return file;
}

long tmd_sim_device_note(const char *path, uint8_t *buf, uint32_t room)
{
	struct file_state state;
	FILE *file = open_device(path, &state);
	long bytes = -1;

	if (file != NULL) {
		const size_t n = state.note_bytes < room ? state.note_bytes : room;

		if (n == 0u || fread(buf, 1, n, file) == n) {
			bytes = (long)state.note_bytes;
		}
		(void)fclose(file);
	}
	return bytes;
}

/* The model in the firmware; its length is the contract's. */
static bool load_compiled_in(struct tmd_sim_device *device, const struct file_state *state,
			     FILE *file)
{
	const struct tmd_store_config *config = &device->config;

	if (state->compiled_in_bytes == 0u) {
		return true;
	}
	if (state->compiled_in_bytes != config->contract->models[config->model].model_bytes) {
		return false;
	}
	device->compiled_in = malloc(state->compiled_in_bytes);
	device->config.compiled_in = device->compiled_in;
	return device->compiled_in != NULL &&
	       fread(device->compiled_in, 1, state->compiled_in_bytes, file) ==
		       state->compiled_in_bytes;
}

static bool load_body(struct tmd_sim_device *device, const struct file_state *state, FILE *file,
		      const struct tmd_contract *contract, uint16_t model)
{
	struct tmd_sim *sim = &device->sim;
	const struct tmd_store_config *config = &device->config;
	struct tmd_sim_geometry geometry;
	size_t units;

	memset(&geometry, 0, sizeof(geometry));
	geometry.name = state->name;
	geometry.text = "";
	memcpy(geometry.pattern, state->pattern, sizeof(geometry.pattern));
	geometry.pattern_n = state->pattern_n;
	geometry.write_bytes = state->write_bytes;
	geometry.erased_value = state->erased_value;
	geometry.flags = state->flags;
	if (tmd_sim_device_init(device, &geometry, contract, model, &state->options) != TMD_OK ||
	    state->size != sim->size || state->note_bytes > NOTE_MAX) {
		return false;
	}
	units = sim->size / sim->flash.write_bytes;
	device->note = malloc(state->note_bytes + 1u);
	if (device->note == NULL ||
	    fread(device->note, 1, state->note_bytes, file) != state->note_bytes ||
	    !load_compiled_in(device, state, file) ||
	    fread(sim->bytes, 1, sim->size, file) != sim->size ||
	    fread(sim->state, 1, units, file) != units) {
		return false;
	}
	device->note_bytes = state->note_bytes;
	sim->counts = state->counts;
	sim->cut_at = state->cut_at;
	sim->fault_at = state->fault_at;
	sim->random = state->random;
	sim->cut_part = state->cut_part;
	memcpy(sim->illegal_text, state->illegal_text, sizeof(sim->illegal_text));
	sim->illegal_text[sizeof(sim->illegal_text) - 1u] = '\0';
	sim->cut = state->cut;
	sim->fault = state->fault;
	sim->powered = state->powered != 0u;
	if (state->on != 0u) {
		device->store = state->store;
		device->store.config = config;
		device->store.updating = false;
	}
	return true;
}

bool tmd_sim_device_load(struct tmd_sim_device *device, const char *path,
			 const struct tmd_contract *contract, uint16_t model)
{
	struct file_state state;
	FILE *file = open_device(path, &state);
	bool good;

	memset(device, 0, sizeof(*device));
	if (file == NULL) {
		return false;
	}
	good = load_body(device, &state, file, contract, model);
	(void)fclose(file);
	if (!good) {
		tmd_sim_device_free(device);
	}
	return good;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A firmware on a PC. Its flash is a file; a patch arrives on standard input as it would over a
 * radio, a few bytes at a time. What a real firmware does differently is its flash port, and that
 * its slots come from a linker script or a devicetree instead of tmd_sim_device.
 *
 *	host_firmware make FLASH              a new device, as the factory ships it
 *	host_firmware update FLASH < PATCH    receive a patch
 *	host_firmware model FLASH > MODEL     open the model: what goes to the interpreter
 *	host_firmware confirm FLASH           the model on trial works: keep it
 *
 * From one command to the next the device stays on.
 */
#include <stdio.h>
#include <string.h>

#include <sim/device.h>
#include <tinymldelta/tinymldelta.h>

#include "tmd_contract.h"
#include "tmd_model_app.h"

/* As a radio would deliver them. */
#define PACKET_BYTES 20

static const struct tmd_sim_options options = {
	.trial_starts = 3,      /* a new model is started that often, then it has to be confirmed */
	.progress_bytes = 4096, /* a power cut costs an update no more than that */
};

static int report(const char *what, int status)
{
	(void)fprintf(stderr, "%s: %s: %s\n", what, tmd_status_name(status),
		      tmd_status_text(status));
	return 1;
}

static int make(struct tmd_sim_device *device)
{
	/* Flash with the sizes that this firmware was generated for. */
	const struct tmd_sim_geometry geometry = {
		"host", "", {{tmd_contract.erase_bytes, 1}}, 1, tmd_contract.write_bytes, 0xFF,
		TMD_SIM_WRITE_ONCE,
	};
	int err = tmd_sim_device_init(device, &geometry, &tmd_contract, TMD_MODEL_APP, &options);

	if (err == TMD_OK) {
		err = tmd_sim_device_factory(device, tmd_model_app, TMD_MODEL_APP_BYTES);
	}
	return err;
}

/* Hand each packet to the update as it comes; the patch is never in memory as a whole. */
static int receive(struct tmd_sim_device *device)
{
	unsigned char packet[PACKET_BYTES];
	unsigned long packets = 0;
	size_t n;
	int err = tmd_update_begin(&device->update, &device->store);

	while (err == TMD_OK && (n = fread(packet, 1, sizeof(packet), stdin)) > 0u) {
		err = tmd_update_write(&device->update, packet, n);
		packets++;
	}
	if (err != TMD_OK) {
		tmd_update_abort(&device->update);
		return err;
	}
	err = tmd_update_finish(&device->update);
	if (err == TMD_OK) {
		(void)printf("%lu packets of at most %d bytes; slot %u is active\n", packets,
			     PACKET_BYTES, (unsigned int)device->store.active.slot);
	}
	return err;
}

/*
 * What an application does before and after it runs a model. That the model on trial is started is in
 * flash before tmd_store_open returns.
 */
static int write_model(struct tmd_sim_device *device)
{
	struct tmd_model model;
	struct tmd_store_info info;
	int err = tmd_store_open(&device->store, &model);

	if (err != TMD_OK) {
		return err;
	}
	tmd_store_get_info(&device->store, &info);
	if (info.trial) {
		(void)fprintf(stderr, "on trial, start %u of %u\n", (unsigned int)info.starts,
			      (unsigned int)options.trial_starts);
	}
	if (model.at == NULL || fwrite(model.at, 1, model.bytes, stdout) != model.bytes) {
		err = TMD_ERR_FLASH_READ;
	}
	tmd_store_close(&device->store, &model);
	return err;
}

/* Run one command. `*changes` tells whether the device has to be kept afterwards. */
static int run(const char *command, const char *path, struct tmd_sim_device *device, bool *changes)
{
	int err;

	if (strcmp(command, "make") == 0) {
		err = make(device);
		*changes = err == TMD_OK;
		return err;
	}
	if (!tmd_sim_device_load(device, path, &tmd_contract, TMD_MODEL_APP)) {
		(void)fprintf(stderr, "%s is no flash of this firmware\n", path);
		return TMD_ERR_NO_MODEL;
	}
	*changes = true;
	err = tmd_sim_device_is_on(device) ? TMD_OK : tmd_sim_device_boot(device, 1);
	if (err != TMD_OK) {
		return err;
	}
	if (strcmp(command, "update") == 0) {
		return receive(device);
	}
	return strcmp(command, "confirm") == 0 ? tmd_store_confirm(&device->store)
					       : write_model(device);
}

static bool is_command(const char *command)
{
	static const char *const commands[] = {"make", "update", "model", "confirm"};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(command, commands[i]) == 0) {
			return true;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	static struct tmd_sim_device device;
	const char *command = argc == 3 ? argv[1] : "";
	bool changes = false;
	int err;

	if (!is_command(command)) {
		(void)fprintf(stderr, "usage: %s make|update|model|confirm FLASH\n", argv[0]);
		return 2;
	}
	err = run(command, argv[2], &device, &changes);
	/* Kept after a refusal too: what the flash holds then is what there is to look at. */
	if (changes && !tmd_sim_device_save(&device, argv[2])) {
		(void)fprintf(stderr, "%s cannot be written\n", argv[2]);
		return 1;
	}
	if (device.sim.counts.illegal != 0u) {
		(void)fprintf(stderr, "illegal flash operation: %s\n", device.sim.illegal_text);
		return 1;
	}
	return err == TMD_OK ? 0 : report(command, err);
}

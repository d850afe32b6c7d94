/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A model that can be updated, on a Linux board. The store is a file; the model that the program
 * was built with is compiled in, so a new file needs nothing in it.
 *
 *	tmd-linux status STORE              which model runs, and how it is doing
 *	tmd-linux update STORE < PATCH      take a patch, as it arrives
 *	tmd-linux model STORE > MODEL       start the model: what goes to the interpreter
 *	tmd-linux confirm STORE             start the model on trial, and keep it
 *	tmd-linux revert STORE              go back to the model before it
 *	tmd-linux conform FILE              does this file system keep what the store relies on?
 *
 * Exit status: 0 done, 1 refused or failed, with the reason, 2 called wrongly. Each command is a
 * power-on for the store. An application would mount once, and confirm when the model has shown
 * that it works.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <conformance/conformance.h>
#include <posix/posix.h>
#include <tinymldelta/tinymldelta.h>

#include "tmd_contract.h"
#include "tmd_model_app.h"

#define PACKET_BYTES 512
#define TRIAL_STARTS 3
#define RECORD_UNITS 2u

#define EXIT_REFUSED 1
#define EXIT_USAGE 2

struct device {
	struct tmd_posix posix;
	struct tmd_posix_options file;
	struct tmd_store_config config;
	struct tmd_store store;
	struct tmd_update update;
	const char *path;
	int output; /* errno of the first write to standard output that failed; 0: none */
};

static int say_status(const char *what, int status)
{
	(void)fprintf(stderr, "%s: %s: %s\n", what, tmd_status_name(status),
		      tmd_status_text(status));
	return EXIT_REFUSED;
}

static int say_errno(const char *what, int err)
{
	(void)fprintf(stderr, "%s: %s\n", what, strerror(err));
	return EXIT_REFUSED;
}

/* Of the store's file. */
static int say_error(const char *path, int err)
{
	if (err == EAGAIN) {
		(void)fprintf(stderr, "%s is in use by another process: wait for it\n", path);
	} else if (err == ERANGE) {
		(void)fprintf(stderr, "%s is no store of this program: it is too short\n", path);
	} else {
		return say_errno(path, err);
	}
	return EXIT_REFUSED;
}

/* Two slots and the records, one behind the other, in whole erase units. */
static void lay_out(struct device *device)
{
	const uint32_t unit = tmd_contract.erase_bytes;
	const uint32_t slot =
		(tmd_contract.models[TMD_MODEL_APP].slot_bytes + unit - 1u) / unit * unit;
	const struct tmd_flash *flash = &device->posix.flash;
	struct tmd_store_config *config = &device->config;

	device->file.erase_bytes = unit;
	device->file.erase_units = 2u * (slot / unit) + RECORD_UNITS;
	device->file.write_bytes = tmd_contract.write_bytes;
	device->file.create = true;
	config->contract = &tmd_contract;
	config->model = TMD_MODEL_APP;
	config->trial_starts = TRIAL_STARTS;
	config->slot[0] = (struct tmd_region){flash, 0, slot};
	config->slot[1] = (struct tmd_region){flash, slot, slot};
	config->records = (struct tmd_region){flash, 2u * slot, RECORD_UNITS * unit};
	config->compiled_in = tmd_model_app;
	config->progress_bytes = unit;
}

/* ---- commands, on a store that is mounted ---- */

static int show_status(struct device *device)
{
	struct tmd_active active = device->store.active;
	struct tmd_store_info info;

	tmd_store_get_info(&device->store, &info);
	if (active.slot == (uint8_t)TMD_SLOT_COMPILED_IN) {
		(void)printf("model of the program, %lu bytes", (unsigned long)active.bytes);
	} else {
		(void)printf("model in slot %u, %lu bytes", (unsigned int)active.slot,
			     (unsigned long)active.bytes);
	}
	if (info.trial) {
		(void)printf(", on trial: %u of %u starts", (unsigned int)info.starts,
			     (unsigned int)TRIAL_STARTS);
	}
	(void)printf("\nsha256 ");
	for (size_t i = 0; i < sizeof(active.sha256); i++) {
		(void)printf("%02x", active.sha256[i]);
	}
	(void)printf("\n%lu updates, %lu erases\n", (unsigned long)info.updates,
		     (unsigned long)info.erases);
	return 0;
}

/*
 * The next piece of the patch, in `packet`: its bytes, 0 at the end, or -1 and errno. Who started
 * this program may have left a pipe that does not block: then nothing there is not the end.
 */
static ssize_t next_piece(uint8_t *packet)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	for (;;) {
		const ssize_t n = read(STDIN_FILENO, packet, PACKET_BYTES);

		if (n >= 0) {
			return n;
		}
		if (errno == EAGAIN && poll(&input, 1, -1) < 0 && errno != EINTR) {
			return -1;
		}
		if (errno != EAGAIN && errno != EINTR) {
			return -1;
		}
	}
}

/* Hand each packet to the update as it comes; the patch is never in memory as a whole. */
static int receive(struct device *device)
{
	uint8_t packet[PACKET_BYTES];
	ssize_t n = 0;
	int err = tmd_update_begin(&device->update, &device->store);

	while (err == TMD_OK) {
		n = next_piece(packet);
		if (n == 0) {
			err = tmd_update_finish(&device->update);
			break;
		}
		if (n < 0) {
			const int why = errno;

			tmd_update_abort(&device->update);
			return say_errno("the patch", why);
		}
		err = tmd_update_write(&device->update, packet, (size_t)n);
	}
	if (err != TMD_OK) {
		tmd_update_abort(&device->update);
		(void)say_status("update", err);
		if (device->posix.error != 0) {
			(void)say_error(device->path, device->posix.error);
		}
		return EXIT_REFUSED;
	}
	return show_status(device);
}

static void put(struct device *device, const void *bytes, uint32_t n)
{
	if (fwrite(bytes, 1, n, stdout) != n) {
		device->output = errno;
	}
}

/* Through memory if it is mapped, as an interpreter takes it; else piece by piece. */
static int write_model(struct device *device, const struct tmd_model *model)
{
	uint8_t piece[PACKET_BYTES];
	uint32_t n;
	int err = TMD_OK;

	if (model->at != NULL) {
		put(device, model->at, model->bytes);
		return TMD_OK;
	}
	for (uint32_t at = 0; at < model->bytes && err == TMD_OK && device->output == 0;) {
		const uint32_t left = model->bytes - at;

		n = left < sizeof(piece) ? left : (uint32_t)sizeof(piece);
		err = tmd_model_read(&device->store, model, at, piece, n);
		if (err == TMD_OK) {
			put(device, piece, n);
		}
		at += n;
	}
	return err;
}

/*
 * What an application does before and after it runs a model. That a model on trial is started is in
 * the file before tmd_store_open returns.
 */
static int start(struct device *device, bool confirms)
{
	struct tmd_model model;
	int err = tmd_store_open(&device->store, &model);

	if (err != TMD_OK) {
		return say_status("open", err);
	}
	err = confirms ? tmd_store_confirm(&device->store) : write_model(device, &model);
	tmd_store_close(&device->store, &model);
	if (err != TMD_OK) {
		return say_status(confirms ? "confirm" : "model", err);
	}
	return confirms ? show_status(device) : 0;
}

static int revert(struct device *device)
{
	const int err = tmd_store_revert(&device->store);

	return err == TMD_OK ? show_status(device) : say_status("revert", err);
}

static int run(struct device *device, const char *command)
{
	int err = tmd_posix_open(&device->posix, device->path, &device->file);
	int result;

	if (err != 0) {
		return say_error(device->path, err);
	}
	err = tmd_store_mount(&device->store, &device->config);
	if (err != TMD_OK) {
		result = say_status("mount", err);
	} else if (strcmp(command, "update") == 0) {
		result = receive(device);
	} else if (strcmp(command, "model") == 0) {
		result = start(device, false);
	} else if (strcmp(command, "confirm") == 0) {
		result = start(device, true);
	} else if (strcmp(command, "revert") == 0) {
		result = revert(device);
	} else {
		result = show_status(device);
	}
	err = tmd_posix_close(&device->posix);
	return err != 0 ? say_error(device->path, err) : result;
}

/* ---- conform ---- */

static void print_line(void *ctx, const char *line)
{
	(void)ctx;
	(void)printf("%s\n", line);
}

/* Not a power cut: what the system keeps in memory stays. For that, pull the plug of the board. */
static int reopen(void *ctx)
{
	struct device *device = ctx;
	const int err = tmd_posix_close(&device->posix);

	return err != 0 ? err : tmd_posix_open(&device->posix, device->path, &device->file);
}

static int conform(struct device *device)
{
	uint64_t work[TMD_CONFORMANCE_WORK / 8u];
	struct tmd_conformance_result result;
	struct tmd_conformance_options options = {.work = work, .ctx = device};
	struct tmd_region region = {&device->posix.flash, 0, 0};
	int err;

	if (access(device->path, F_OK) == 0) {
		(void)fprintf(stderr, "%s exists, and would be destroyed: name a new file\n",
			      device->path);
		return EXIT_REFUSED;
	}
	err = tmd_posix_open(&device->posix, device->path, &device->file);
	if (err != 0) {
		return say_error(device->path, err);
	}
	options.power_cycle = reopen;
	region.bytes = device->posix.bytes;
	err = tmd_conformance(&region, &options, &result);
	tmd_conformance_report(&result, print_line, NULL);
	(void)tmd_posix_close(&device->posix); /* the file goes away */
	if (unlink(device->path) != 0) {
		return say_error(device->path, errno);
	}
	return err == TMD_OK ? 0 : EXIT_REFUSED;
}

/* ---- the command line ---- */

static bool is_command(const char *command)
{
	static const char *const commands[] = {"status",  "update", "model",
					       "confirm", "revert", "conform"};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(command, commands[i]) == 0) {
			return true;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	static struct device device;
	int result;

	if (argc != 3 || !is_command(argv[1])) {
		(void)fprintf(stderr,
			      "usage: tmd-linux status|update|model|confirm|revert STORE\n"
			      "       tmd-linux conform NEW-FILE\n");
		return EXIT_USAGE;
	}
	device.path = argv[2];
	lay_out(&device);
	result = strcmp(argv[1], "conform") == 0 ? conform(&device) : run(&device, argv[1]);
	if (fflush(stdout) != 0 && device.output == 0) {
		device.output = errno;
	}
	return device.output == 0 ? result : say_errno("standard output", device.output);
}

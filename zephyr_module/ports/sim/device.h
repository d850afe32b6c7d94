/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A simulated device for PCs: simulated flash, laid out for one model of one contract, with its
 * store. `tmd sim`, `tmd apply`, `tmd patch`, the tests and samples/host stand on it.
 */
#ifndef TMD_PORTS_SIM_DEVICE_H
#define TMD_PORTS_SIM_DEVICE_H

#include <tinymldelta/tinymldelta.h>

#include "sim.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

#define TMD_SIM_NAME_MAX 24

/* What of a device's configuration is a choice. */
struct tmd_sim_options {
	uint32_t staging_bytes;  /* room for a staged patch, with what its blocks need; 0: none */
	uint32_t progress_bytes; /* as in struct tmd_store_config */
	uint32_t trial_starts;   /* likewise; at most 255 */
};

struct tmd_sim_device {
	struct tmd_sim sim;
	struct tmd_sim_options options;
	struct tmd_store_config config;
	struct tmd_store store;
	struct tmd_update update;
	struct tmd_staging staging;
	char geometry_name[TMD_SIM_NAME_MAX];
	uint8_t *compiled_in; /* owned: the model in the firmware, or NULL */
	uint8_t *note;        /* owned: bytes kept with the device for its user */
	uint32_t note_bytes; /* length of note */
};

/*
 * Make a device with erased flash: slot 0, slot 1, the records and staging, one behind the other,
 * each a whole number of the geometry's patterns. The contract must outlive the device. Returns
 * TMD_ERR_GEOMETRY if out of memory or ill-formed, or if the contract does not fit the geometry.
 */
int tmd_sim_device_init(struct tmd_sim_device *device, const struct tmd_sim_geometry *geometry,
			const struct tmd_contract *contract, uint16_t model,
			const struct tmd_sim_options *options);
void tmd_sim_device_free(struct tmd_sim_device *device);

/* The factory: write a model into slot 0 as a programmer does, without a record. */
int tmd_sim_device_factory(struct tmd_sim_device *device, const uint8_t *model, uint32_t bytes);

/* The factory: link a model into the firmware. False if out of memory. */
bool tmd_sim_device_compile_in(struct tmd_sim_device *device, const uint8_t *model, uint32_t bytes);

/*
 * Power on and mount, from a state in which RAM holds nothing of what was before: all of the store's
 * and the update's structs are filled with noise first, by `seed`.
 */
int tmd_sim_device_boot(struct tmd_sim_device *device, uint64_t seed);

/* Fill the structs that live in RAM with noise, as a reset leaves them. */
void tmd_sim_device_forget(struct tmd_sim_device *device, uint64_t seed);

/* Send a patch in pieces of `piece` bytes, and finish. */
int tmd_sim_device_stream(struct tmd_sim_device *device, const uint8_t *patch, uint32_t bytes,
			  uint32_t piece);

/* Give a patch that can be read twice: check it only, or check and apply it. */
int tmd_sim_device_check(struct tmd_sim_device *device, const uint8_t *patch, uint32_t bytes);
int tmd_sim_device_staged(struct tmd_sim_device *device, const uint8_t *patch, uint32_t bytes);

#if TMD_STAGING
/*
 * Send a patch to the staging region, from where the device says on, in pieces of `piece` bytes, and
 * have it applied. `sent`, if it is not NULL, counts the bytes. And what a device does at power-on:
 * finish a staged patch that is complete.
 */
int tmd_sim_device_stage(struct tmd_sim_device *device, const uint8_t *patch, uint32_t bytes,
			 uint32_t piece, uint32_t *sent);
int tmd_sim_device_resume(struct tmd_sim_device *device);
#endif

/* Replace the note by a copy of these bytes. False if out of memory; the old note then stays. */
bool tmd_sim_device_set_note(struct tmd_sim_device *device, const uint8_t *note, uint32_t bytes);

/*
 * Keep the device in a file, and get it back. Contract and model are not part of the file; the note
 * is, and so is the store's RAM if the device is on: it goes on as if nothing had happened, but for
 * an update in the middle of its patch. One that is off, or was never booted, has to boot.
 * tmd_sim_device_note reads a file's note alone: its length, or -1; at most `room` bytes of it go to
 * `buf`. The functions return false, with errno where the system set it, if the file cannot be read
 * or written or is not a device's.
 */
bool tmd_sim_device_save(const struct tmd_sim_device *device, const char *path);
bool tmd_sim_device_load(struct tmd_sim_device *device, const char *path,
			 const struct tmd_contract *contract, uint16_t model);
bool tmd_sim_device_is_on(const struct tmd_sim_device *device);
long tmd_sim_device_note(const char *path, uint8_t *buf, uint32_t room);

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TMD_PORTS_SIM_DEVICE_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Models of a Zephyr application. tmd_add_model() in its CMakeLists.txt defines a
 * `struct tmd_zephyr_model tmd_<name>`, declared in the generated tmd_models.h:
 *
 *	struct tmd_model model;
 *
 *	tmd_zephyr_open(&tmd_thermo, &model);          model.at, model.bytes: for the interpreter
 *	...
 *	if (tmd_zephyr_changed(&tmd_thermo, &model))   between two inferences: an update has come
 *	tmd_zephyr_close(&tmd_thermo, &model);
 *	tmd_zephyr_confirm(&tmd_thermo);               it works: keep it
 *
 * Functions that return int return TMD_OK or another TMD_* status; tmd_status_name() and
 * tmd_status_text() tell it to people. Each takes the model's lock, so that any thread may call any
 * of them, but no interrupt. The first call to a model mounts its store; a patch that was staged as
 * a whole when the power went is applied then, which takes as long as erasing and writing the slot,
 * and about 1200 bytes of the caller's stack. As long as a piece of an update is written, or a staged
 * one applied, the other functions wait.
 */
#ifndef TINYMLDELTA_ZEPHYR_H
#define TINYMLDELTA_ZEPHYR_H

#include <zephyr/kernel.h>
#include <zephyr/storage/flash_map.h>

#include <tinymldelta/tinymldelta.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The id of the partition with that node label; Zephyr 4.4 has renamed the macro. */
#ifdef PARTITION_ID
#define TMD_PARTITION_ID(label) PARTITION_ID(label)
#else
#define TMD_PARTITION_ID(label) FIXED_PARTITION_ID(label)
#endif

/* A partition, as the generated code names it. */
struct tmd_zephyr_partition {
	const void *mapped; /* its address if the CPU reads the flash as memory; or NULL */
	uint32_t bytes;     /* 0: there is none */
	uint8_t id;         /* of the flash map */
};

/* A partition as the store sees it: a flash device of its own. */
struct tmd_zephyr_region {
	const struct tmd_zephyr_partition *partition;
	const struct flash_area *area;
	const void *mapped;
	struct tmd_flash flash;
	struct tmd_flash_run runs[CONFIG_TMD_FLASH_RUNS];
};

enum tmd_zephyr_part {
	TMD_ZEPHYR_SLOT0,
	TMD_ZEPHYR_SLOT1,
	TMD_ZEPHYR_RECORDS,
	TMD_ZEPHYR_STAGING,
	TMD_ZEPHYR_PARTS
};

/* Defined by the generated code; private but for its address. */
struct tmd_zephyr_model {
	struct k_mutex *lock;
	const struct tmd_contract *contract;
	const struct tmd_zephyr_partition *partitions; /* TMD_ZEPHYR_PARTS of them */
	const uint8_t *compiled_in;
	const struct tmd_inference *inference;
	struct tmd_zephyr_region region[TMD_ZEPHYR_PARTS];
	struct tmd_store_config config;
	struct tmd_store store;
	int status; /* of mounting */
	uint16_t index;
	bool tried; /* to mount */
};

/* Define the model `name_`, the index_-th of the contract. For the generated code. */
#define TMD_ZEPHYR_MODEL_DEFINE(name_, contract_, index_, partitions_, compiled_in_)               \
	K_MUTEX_DEFINE(name_##_lock);                                                              \
	struct tmd_zephyr_model name_ = {                                                          \
		.lock = &name_##_lock,                                                             \
		.contract = &(contract_),                                                          \
		.partitions = (partitions_),                                                       \
		.compiled_in = (compiled_in_),                                                     \
		.index = (index_),                                                                 \
	}

/*
 * Open the active model (tmd_store_open). TMD_ERR_GEOMETRY: the partitions do not fit the flash or
 * the contract; the log says why. model->at is NULL where flash cannot be read as memory: then
 * tmd_zephyr_read.
 */
int tmd_zephyr_open(struct tmd_zephyr_model *m, struct tmd_model *model) TMD_MUST_CHECK;
void tmd_zephyr_close(struct tmd_zephyr_model *m, struct tmd_model *model);

/* Is another model active than the one that was opened? */
bool tmd_zephyr_changed(struct tmd_zephyr_model *m, const struct tmd_model *model);

/* Read `bytes` from `offset` of an opened model. */
int tmd_zephyr_read(struct tmd_zephyr_model *m, const struct tmd_model *model, uint32_t offset,
		    void *buf, uint32_t bytes) TMD_MUST_CHECK;

/* End the trial of the model that was opened; TMD_ERR_STATE if there is none. */
int tmd_zephyr_confirm(struct tmd_zephyr_model *m) TMD_MUST_CHECK;
int tmd_zephyr_revert(struct tmd_zephyr_model *m) TMD_MUST_CHECK;

/*
 * Forget what the inactive slot and the staging region hold: a model that failed its trial is then
 * taken again. An update that is coming in is given up.
 */
int tmd_zephyr_forget(struct tmd_zephyr_model *m) TMD_MUST_CHECK;

/* Which model is active, and what the store knows. Either may be NULL. */
int tmd_zephyr_get_status(struct tmd_zephyr_model *m, struct tmd_active *active,
			  struct tmd_store_info *info) TMD_MUST_CHECK;

/*
 * What is said of it, such as TMD_TLV_NOTE or TMD_TLV_LABELS: as tmd_store_metadata(). Its length,
 * of which up to `size` bytes were copied, 0 if nothing is said, or a status below 0.
 */
int tmd_zephyr_get_metadata(struct tmd_zephyr_model *m, uint8_t tag, void *buf,
			    uint32_t size) TMD_MUST_CHECK;

/*
 * How the application runs the model, for test vectors that come with a patch. To be said before
 * the first other call to the model; without it, patches with test vectors are refused. `inference`
 * stays the caller's and has to live on. Its functions are called from tmd_zephyr_open, in the
 * caller's thread, with the lock held.
 */
void tmd_zephyr_set_inference(struct tmd_zephyr_model *m, const struct tmd_inference *inference);

/*
 * With CONFIG_TMD_VERIFY: by what signatures are checked and patches decrypted, in place of what Kconfig
 * chose; for all models, and best before the first other call to one. NULL: what Kconfig chose. `crypto`
 * stays the caller's and has to live on. Its functions are called from whatever takes a patch, with the
 * model's lock held. <tinymldelta/psa.h>, <tinymldelta/monocypher.h> and <tinymldelta/hmac.h> have ports
 * whose keys the application names itself.
 */
void tmd_zephyr_set_crypto(const struct tmd_crypto *crypto);

/*
 * Around one inference, in one thread. With CONFIG_TMD_EXCLUSIVE_FLASH no update of any model
 * writes flash between the two, and begin waits until a piece that is being written is done;
 * otherwise they do nothing.
 */
void tmd_zephyr_run_begin(struct tmd_zephyr_model *m);
void tmd_zephyr_run_end(struct tmd_zephyr_model *m);

/* ---- for what delivers patches; smp_mgmt.c and shell.c are examples ---- */

/* The n-th model of this firmware, from 0 on; NULL: there are no more. Generated. */
struct tmd_zephyr_model *tmd_zephyr_model_at(size_t n);
const char *tmd_zephyr_name(const struct tmd_zephyr_model *m);

/* The first model, or with a name that of that name; NULL: there is none. */
struct tmd_zephyr_model *tmd_zephyr_find(const char *name);

/*
 * Take the lock and mount the store if that is still to be done; unlock in any case. Between the
 * two, m->store is the caller's (store.h, update.h, staging.h). Returns the status of mounting.
 */
int tmd_zephyr_lock(struct tmd_zephyr_model *m) TMD_MUST_CHECK;
void tmd_zephyr_unlock(struct tmd_zephyr_model *m);

#ifdef __cplusplus
}
#endif

#endif /* TINYMLDELTA_ZEPHYR_H */

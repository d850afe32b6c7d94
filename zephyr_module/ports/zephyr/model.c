/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Stores of a Zephyr application: mounted when they are first used, and locked.
 */
#include <string.h>

#include <zephyr/logging/log.h>

#include "port.h"

LOG_MODULE_REGISTER(tinymldelta, CONFIG_TMD_LOG_LEVEL);

#if defined(CONFIG_TMD_EXCLUSIVE_FLASH)
/* One lock for all: who writes flash holds it, and so does who runs an inference. */
static K_MUTEX_DEFINE(flash_lock);
#define LOCK_OF(m) (&flash_lock)
#else
#define LOCK_OF(m) ((m)->lock)
#endif

/* An application without tmd_add_model() has no model; the generated function takes its place. */
__weak struct tmd_zephyr_model *tmd_zephyr_model_at(size_t n)
{
	(void)n;
	return NULL;
}

const char *tmd_zephyr_name(const struct tmd_zephyr_model *m)
{
	return m->contract->models[m->index].name;
}

struct tmd_zephyr_model *tmd_zephyr_find(const char *name)
{
	struct tmd_zephyr_model *m = tmd_zephyr_model_at(0);

	for (size_t n = 0; m != NULL && name != NULL; m = tmd_zephyr_model_at(++n)) {
		if (strcmp(tmd_zephyr_name(m), name) == 0) {
			break;
		}
	}
	return m;
}

struct tmd_update *tmd_zephyr_update(void)
{
	static struct tmd_update update;

	return &update;
}

void tmd_zephyr_log_warnings(const struct tmd_zephyr_model *m)
{
	const uint32_t warnings = tmd_guard_warnings(m->contract, m->index,
						     &tmd_zephyr_update()->patch.info);

	for (int rule = 0; rule < (int)TMD_RULES_N; rule++) {
		if ((warnings & BIT(rule)) != 0u) {
			LOG_WRN("%s: the guardrail %s does not hold, and is only warned of",
				tmd_zephyr_name(m), tmd_rule_name(rule));
		}
	}
}

static bool init_regions(struct tmd_zephyr_model *m)
{
	for (size_t i = 0; i < TMD_ZEPHYR_PARTS; i++) {
		if (m->partitions[i].bytes != 0u &&
		    !tmd_zephyr_region_init(&m->region[i], &m->partitions[i])) {
			return false;
		}
	}
	return true;
}

static struct tmd_region region_of(const struct tmd_zephyr_model *m, enum tmd_zephyr_part part)
{
	const struct tmd_region region = {
		m->partitions[part].bytes == 0u ? NULL : &m->region[part].flash,
		0,
		m->partitions[part].bytes,
	};

	return region;
}

#if defined(CONFIG_TMD_STAGING)
/* A patch that was there as a whole when the power went. */
static void resume(struct tmd_zephyr_model *m)
{
	/* Two threads may mount a model each. */
	static K_MUTEX_DEFINE(lock);
	struct tmd_staging staging;
	int err;

	(void)k_mutex_lock(&lock, K_FOREVER);
	err = tmd_staging_resume(&staging, &m->store, tmd_zephyr_update());
	if (err != TMD_OK) {
		LOG_WRN("%s: the patch that was staged: %s", tmd_zephyr_name(m),
			tmd_status_name(err));
	} else if (staging.bytes != 0u && staging.next == staging.bytes) {
		LOG_INF("%s: the patch that was staged is applied", tmd_zephyr_name(m));
		tmd_zephyr_log_warnings(m);
	}
	(void)k_mutex_unlock(&lock);
}
#endif

#if defined(CONFIG_TMD_VERIFY)
static const struct tmd_crypto *given_crypto; /* by the application */

static const struct tmd_crypto *crypto_of_all(void)
{
	return given_crypto != NULL ? given_crypto : tmd_zephyr_chosen_crypto();
}

void tmd_zephyr_set_crypto(const struct tmd_crypto *crypto)
{
	struct tmd_zephyr_model *m = tmd_zephyr_model_at(0);

	given_crypto = crypto;
	for (size_t n = 0; m != NULL; m = tmd_zephyr_model_at(++n)) {
		(void)k_mutex_lock(LOCK_OF(m), K_FOREVER);
		m->config.crypto = crypto_of_all();
		(void)k_mutex_unlock(LOCK_OF(m));
	}
}
#endif

static int mount(struct tmd_zephyr_model *m)
{
	int err;

	if (!init_regions(m)) {
		return TMD_ERR_GEOMETRY;
	}
	m->config = (struct tmd_store_config){
		.contract = m->contract,
		.model = m->index,
		.slot = {region_of(m, TMD_ZEPHYR_SLOT0), region_of(m, TMD_ZEPHYR_SLOT1)},
		.records = region_of(m, TMD_ZEPHYR_RECORDS),
		.compiled_in = m->compiled_in,
		.inference = m->inference,
#if defined(CONFIG_TMD_TRIAL)
		.trial_starts = CONFIG_TMD_TRIAL_STARTS,
#endif
#if defined(CONFIG_TMD_RESUME)
		.progress_bytes = CONFIG_TMD_PROGRESS_BYTES,
#endif
#if defined(CONFIG_TMD_STAGING)
		.staging = region_of(m, TMD_ZEPHYR_STAGING),
#endif
#if defined(CONFIG_TMD_VERIFY)
		.crypto = crypto_of_all(),
#endif
	};
#if defined(CONFIG_TMD_VERIFY)
	if (m->config.crypto == NULL) {
		LOG_WRN("%s: no crypto port, so every patch is refused", tmd_zephyr_name(m));
	}
#endif
	err = tmd_store_mount(&m->store, &m->config);
	if (err != TMD_OK) {
		LOG_ERR("%s: %s", tmd_zephyr_name(m), tmd_status_name(err));
		if (err == TMD_ERR_GEOMETRY) {
			/* Codegen has it from devicetree or Kconfig, the store from the driver. */
			LOG_ERR("contract: erase %u, write %u; slot 0 begins with %u, %u",
				m->contract->erase_bytes, m->contract->write_bytes,
				m->region[TMD_ZEPHYR_SLOT0].runs[0].bytes,
				m->region[TMD_ZEPHYR_SLOT0].flash.write_bytes);
		}
		return err;
	}
#if defined(CONFIG_TMD_STAGING)
	if (m->config.staging.flash != NULL) {
		resume(m);
	}
#endif
	if (m->store.active.slot == TMD_SLOT_COMPILED_IN) {
		LOG_INF("%s: the model of the firmware, %u bytes", tmd_zephyr_name(m),
			m->store.active.bytes);
	} else {
		LOG_INF("%s: %u bytes in slot %u", tmd_zephyr_name(m), m->store.active.bytes,
			m->store.active.slot);
	}
	return TMD_OK;
}

int tmd_zephyr_lock(struct tmd_zephyr_model *m)
{
	(void)k_mutex_lock(LOCK_OF(m), K_FOREVER);
	if (!m->tried) {
		m->tried = true;
		m->status = mount(m);
	}
	return m->status;
}

void tmd_zephyr_unlock(struct tmd_zephyr_model *m)
{
	(void)k_mutex_unlock(LOCK_OF(m));
}

int tmd_zephyr_open(struct tmd_zephyr_model *m, struct tmd_model *model)
{
	int err = tmd_zephyr_lock(m);

	*model = (struct tmd_model){.slot = TMD_SLOT_NONE};
	if (err == TMD_OK) {
		err = tmd_store_open(&m->store, model);
	}
	tmd_zephyr_unlock(m);
	return err;
}

void tmd_zephyr_close(struct tmd_zephyr_model *m, struct tmd_model *model)
{
	if (tmd_zephyr_lock(m) == TMD_OK) {
		tmd_store_close(&m->store, model);
	}
	tmd_zephyr_unlock(m);
}

bool tmd_zephyr_changed(struct tmd_zephyr_model *m, const struct tmd_model *model)
{
	const bool changed =
		tmd_zephyr_lock(m) == TMD_OK && tmd_store_changed(&m->store, model);

	tmd_zephyr_unlock(m);
	return changed;
}

int tmd_zephyr_read(struct tmd_zephyr_model *m, const struct tmd_model *model, uint32_t offset,
		    void *buf, uint32_t bytes)
{
	int err = tmd_zephyr_lock(m);

	if (err == TMD_OK) {
		err = tmd_model_read(&m->store, model, offset, buf, bytes);
	}
	tmd_zephyr_unlock(m);
	return err;
}

#if !defined(CONFIG_TMD_TRIAL)
static int no_trial(struct tmd_store *store)
{
	(void)store;
	return TMD_ERR_STATE;
}

#define tmd_store_confirm no_trial
#define tmd_store_revert no_trial
#endif

static int with_store(struct tmd_zephyr_model *m, int (*function)(struct tmd_store *store))
{
	int err = tmd_zephyr_lock(m);

	if (err == TMD_OK) {
		err = function(&m->store);
	}
	tmd_zephyr_unlock(m);
	return err;
}

int tmd_zephyr_confirm(struct tmd_zephyr_model *m)
{
	return with_store(m, tmd_store_confirm);
}

int tmd_zephyr_revert(struct tmd_zephyr_model *m)
{
	return with_store(m, tmd_store_revert);
}

static int forget(struct tmd_store *store)
{
	int err;

	tmd_store_interrupt(store); /* whoever was sending may be gone for good */
	err = tmd_store_forget(store);
#if defined(CONFIG_TMD_STAGING)
	if (err == TMD_OK && store->config->staging.flash != NULL) {
		err = tmd_staging_forget(store);
	}
#endif
	return err;
}

int tmd_zephyr_forget(struct tmd_zephyr_model *m)
{
	return with_store(m, forget);
}

int tmd_zephyr_get_status(struct tmd_zephyr_model *m, struct tmd_active *active,
			  struct tmd_store_info *info)
{
	const int err = tmd_zephyr_lock(m);

	if (err == TMD_OK && active != NULL) {
		*active = m->store.active;
	}
	if (err == TMD_OK && info != NULL) {
		tmd_store_get_info(&m->store, info);
	}
	tmd_zephyr_unlock(m);
	return err;
}

int tmd_zephyr_get_metadata(struct tmd_zephyr_model *m, uint8_t tag, void *buf, uint32_t size)
{
	int bytes = tmd_zephyr_lock(m);

	if (bytes == TMD_OK) {
		bytes = tmd_store_metadata(&m->store, tag, buf, size);
	}
	tmd_zephyr_unlock(m);
	return bytes;
}

void tmd_zephyr_set_inference(struct tmd_zephyr_model *m, const struct tmd_inference *inference)
{
	(void)k_mutex_lock(LOCK_OF(m), K_FOREVER);
	m->inference = inference;
	m->config.inference = inference;
	tmd_zephyr_unlock(m);
}

void tmd_zephyr_run_begin(struct tmd_zephyr_model *m)
{
	(void)m;
#if defined(CONFIG_TMD_EXCLUSIVE_FLASH)
	(void)k_mutex_lock(LOCK_OF(m), K_FOREVER);
#endif
}

void tmd_zephyr_run_end(struct tmd_zephyr_model *m)
{
	(void)m;
#if defined(CONFIG_TMD_EXCLUSIVE_FLASH)
	(void)k_mutex_unlock(LOCK_OF(m));
#endif
}

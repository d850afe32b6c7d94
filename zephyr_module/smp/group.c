/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A transfer is open as long as smp->bytes is not 0. How the last one ended is kept beside it, so
 * that a client whose reply was lost asks again and hears the same.
 */
#include <string.h>

#include <tinymldelta/smp.h>

#include "../core/bytes.h"
#include "../store/records.h"

void tmd_smp_init(struct tmd_smp *smp, const struct tmd_smp_port *port, struct tmd_update *update)
{
	memset(smp, 0, sizeof(*smp));
	smp->port = port;
	smp->update = update;
}

uint16_t tmd_smp_rc(int status)
{
	return (uint16_t)-status;
}

uint16_t tmd_smp_rc_1(int status)
{
	return status == TMD_OK ? 0u : (uint16_t)(TMD_SMP_RC_1 + tmd_smp_rc(status));
}

static bool has(const struct tmd_smp_request *request, uint8_t fields)
{
	return (request->fields & fields) == fields;
}

/* Do these belong to a transfer, instead of naming what they are for? */
static bool is_of_transfer(const struct tmd_smp_request *request)
{
	return request->command == TMD_SMP_DATA || request->command == TMD_SMP_FINISH;
}

static bool has_staging(const struct tmd_store *store)
{
	return TMD_STAGING && store->config->staging.flash != NULL;
}

/* Which model a request is for. */
static int find_model(const struct tmd_smp *smp, const struct tmd_smp_request *request,
		      uint16_t *model)
{
	const struct tmd_contract *contract = smp->port->contract;

	*model = is_of_transfer(request) ? smp->model : 0u;
	if (request->model == NULL) {
		return TMD_OK;
	}
	for (uint16_t i = 0; i < contract->models_n; i++) {
		const char *name = contract->models[i].name;

		if (strlen(name) == request->model_bytes &&
		    memcmp(name, request->model, request->model_bytes) == 0) {
			*model = i;
			return is_of_transfer(request) && i != smp->model ? TMD_ERR_TRANSFER
									   : TMD_OK;
		}
	}
	return TMD_ERR_MODEL;
}

/* ---- the transfer ---- */

/* Give up the open transfer. Its model's store must not be in use: it is asked for here. */
static void give_up(struct tmd_smp *smp)
{
	const struct tmd_smp_port *port = smp->port;
	struct tmd_store *store;

	if (smp->bytes != 0u && port->get(port->ctx, smp->model, &store) == TMD_OK) {
#if TMD_STAGING
		if (smp->staged) {
			tmd_staging_abort(&smp->staging);
		}
#endif
		if (!smp->staged) {
			tmd_update_abort(smp->update);
		}
		port->put(port->ctx, smp->model);
	}
	smp->bytes = 0;
}

static int end_transfer(struct tmd_smp *smp, const struct tmd_store *store, int status)
{
	smp->ended = smp->bytes;
	smp->bytes = 0;
	smp->status = status;
	smp->slot = store->active.slot;
	return status;
}

static bool is_transfer(const struct tmd_smp *smp, uint16_t model, uint32_t len,
			const struct tmd_smp_request *request)
{
	return len == request->len && smp->id == request->id && smp->model == model;
}

static int start_transfer(struct tmd_smp *smp, struct tmd_store *store, uint16_t model,
			  const struct tmd_smp_request *request)
{
	int err;

	smp->staged = has_staging(store);
#if TMD_STAGING
	if (smp->staged) {
		err = tmd_staging_begin(&smp->staging, store, request->len, request->id);
		smp->next = smp->staging.next;
	} else
#endif
	{
		err = tmd_update_begin(smp->update, store);
		smp->next = 0;
	}
	if (err == TMD_OK) {
		smp->model = model;
		smp->bytes = request->len;
		smp->id = request->id;
		smp->ended = 0;
	}
	return err;
}

static int begin(struct tmd_smp *smp, struct tmd_store *store, uint16_t model,
		 const struct tmd_smp_request *request)
{
	if (smp->bytes != 0u) {
		return TMD_OK; /* this very one: another was given up */
	}
	if (smp->status == TMD_OK && is_transfer(smp, model, smp->ended, request)) {
		return TMD_OK; /* it was applied, and the client has not heard */
	}
	return start_transfer(smp, store, model, request);
}

/* What data and finish say without an open transfer: how the last one ended. */
static int last_status(const struct tmd_smp *smp)
{
	return smp->ended != 0u ? smp->status : TMD_ERR_TRANSFER;
}

static int take(struct tmd_smp *smp, struct tmd_store *store, const struct tmd_smp_request *request)
{
	int err;

	if (smp->bytes == 0u) {
		return last_status(smp);
	}
	if (request->off != smp->next) {
		return TMD_OK; /* doubled, late or early: the reply says what comes next */
	}
	if (request->data_bytes > smp->bytes - smp->next) {
		return TMD_ERR_ARGUMENT;
	}
#if TMD_STAGING
	if (smp->staged) {
		err = tmd_staging_write(&smp->staging, request->data, request->data_bytes);
	} else
#endif
	{
		err = tmd_update_write(smp->update, request->data, request->data_bytes);
	}
	if (err != TMD_OK) {
		return end_transfer(smp, store, err);
	}
	smp->next += request->data_bytes;
	return TMD_OK;
}

static int finish(struct tmd_smp *smp, struct tmd_store *store)
{
	int err;

	if (smp->bytes == 0u) {
		return last_status(smp);
	}
	if (smp->next != smp->bytes) {
		return TMD_ERR_ARGUMENT;
	}
#if TMD_STAGING
	if (smp->staged) {
		err = tmd_staging_apply(&smp->staging, smp->update);
	} else
#endif
	{
		err = tmd_update_finish(smp->update);
	}
	return end_transfer(smp, store, err);
}

/* ---- the rest ---- */

static void tell_status(const struct tmd_smp *smp, const struct tmd_store *store, uint16_t model,
			struct tmd_smp_reply *reply)
{
	reply->trial_starts = TMD_TRIAL ? store->config->trial_starts : 0u;
	reply->staging = has_staging(store);
	if (smp->bytes != 0u && smp->model == model) {
		reply->len = smp->bytes;
		reply->id = smp->id;
		reply->off = smp->next;
	}
}

static int tell_metadata(const struct tmd_store *store, const struct tmd_smp_request *request,
			 struct tmd_smp_reply *reply)
{
	const int bytes =
		tmd_store_metadata_block(store, request->meta, TMD_STORE_METADATA_MAX);

	if (bytes < 0) {
		return bytes;
	}
	reply->meta_bytes = (uint8_t)tmd_min_u32((uint32_t)bytes, TMD_STORE_METADATA_MAX);
	return TMD_OK;
}

static int confirm(struct tmd_store *store)
{
#if TMD_TRIAL
	return tmd_store_confirm(store);
#else
	(void)store;
	return TMD_ERR_STATE;
#endif
}

static int revert(struct tmd_store *store)
{
#if TMD_TRIAL
	return tmd_store_revert(store);
#else
	(void)store;
	return TMD_ERR_STATE;
#endif
}

static int erase(struct tmd_smp *smp, struct tmd_store *store, uint16_t model)
{
	int err = tmd_store_forget(store);

#if TMD_STAGING
	if (err == TMD_OK && has_staging(store)) {
		err = tmd_staging_forget(store);
	}
#endif
	if (smp->model == model) {
		smp->ended = 0;
	}
	return err;
}

static int run(struct tmd_smp *smp, struct tmd_store *store, uint16_t model,
	       const struct tmd_smp_request *request, struct tmd_smp_reply *reply)
{
	if (smp->model == model && smp->status == TMD_OK && smp->slot != store->active.slot) {
		smp->ended = 0; /* what was applied is gone again: it failed its trial */
	}
	switch (request->command) {
	case TMD_SMP_STATUS:
		tell_status(smp, store, model, reply);
		return TMD_OK;
	case TMD_SMP_BEGIN:
		return begin(smp, store, model, request);
	case TMD_SMP_DATA:
		return take(smp, store, request);
	case TMD_SMP_FINISH:
		return finish(smp, store);
	case TMD_SMP_CONFIRM:
		return confirm(store);
	case TMD_SMP_REVERT:
		return revert(store);
	case TMD_SMP_METADATA:
		return tell_metadata(store, request, reply);
	default:
		return erase(smp, store, model);
	}
}

/* Are its fields there, and in range? */
static int check(const struct tmd_smp *smp, const struct tmd_smp_request *request)
{
	switch (request->command) {
	case TMD_SMP_BEGIN:
		return has(request, TMD_SMP_HAS_LEN | TMD_SMP_HAS_ID) && request->len != 0u &&
				       request->len <= TMD_MODEL_MAX
			       ? TMD_OK
			       : TMD_ERR_ARGUMENT;
	case TMD_SMP_DATA:
		if (!has(request, TMD_SMP_HAS_OFF | TMD_SMP_HAS_DATA)) {
			return TMD_ERR_ARGUMENT;
		}
		break;
	case TMD_SMP_FINISH:
		break;
	case TMD_SMP_METADATA:
		return request->meta != NULL ? TMD_OK : TMD_ERR_ARGUMENT;
	default:
		return request->command <= TMD_SMP_ERASE ? TMD_OK : TMD_ERR_ARGUMENT;
	}
	if (smp->bytes == 0u && smp->ended == 0u) {
		return TMD_ERR_TRANSFER;
	}
	return has(request, TMD_SMP_HAS_ID) && request->id != smp->id ? TMD_ERR_TRANSFER : TMD_OK;
}

/* Requests that end whatever transfer is open: an erase, and the beginning of another one. */
static bool displaces(const struct tmd_smp *smp, uint16_t model,
		      const struct tmd_smp_request *request)
{
	if (request->command == TMD_SMP_ERASE) {
		return model == smp->model;
	}
	return request->command == TMD_SMP_BEGIN && !is_transfer(smp, model, smp->bytes, request);
}

void tmd_smp_handle(struct tmd_smp *smp, const struct tmd_smp_request *request,
		    struct tmd_smp_reply *reply)
{
	const struct tmd_smp_port *port = smp->port;
	struct tmd_store *store;
	uint16_t model;
	int err = find_model(smp, request, &model);

	memset(reply, 0, sizeof(*reply));
	if (err == TMD_OK) {
		err = check(smp, request);
	}
	if (err == TMD_OK) {
		if (displaces(smp, model, request)) {
			give_up(smp);
		}
		err = port->get(port->ctx, model, &store);
	}
	if (err == TMD_OK) {
		err = run(smp, store, model, request, reply);
		reply->active = store->active;
		tmd_store_get_info(store, &reply->info);
		port->put(port->ctx, model);
	}
	reply->status = err;
	reply->model = model;
	if (request->command == TMD_SMP_BEGIN || is_of_transfer(request)) {
		reply->off = smp->bytes != 0u ? smp->next : err == TMD_OK ? smp->ended : 0u;
	}
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The store of the model "app" on this port. tmd_contract.h and tmd_model_app.h are generated.
 */
#include "store.h"

#include "port.h"
#include "tmd_contract.h"
#include "tmd_model_app.h"

struct tmd_model port_model;

static struct tmd_store_config config; /* in RAM only because C has no constants across files */
static struct tmd_store store;
static struct tmd_update update;

_Static_assert(TMD_MODEL_APP_BYTES <= PORT_SLOT_UNITS * PORT_ERASE_BYTES,
	       "the model does not fit a slot");
_Static_assert(TMD_SLOT_APP_BYTES == PORT_SLOT_UNITS * PORT_ERASE_BYTES,
	       "tmd codegen was given another --slot than port.h has");

int port_store_mount(void)
{
	config.contract = &tmd_contract;
	config.model = TMD_MODEL_APP;
	config.trial_starts = 3;
	config.slot[0] = port_slot[0];
	config.slot[1] = port_slot[1];
	config.records = port_records;
	config.staging = port_staging;
	config.compiled_in = tmd_model_app;
	config.progress_bytes = 4096;
	return tmd_store_mount(&store, &config);
}

int port_store_begin(void)
{
	return tmd_update_begin(&update, &store);
}

int port_store_take(const void *piece, size_t bytes)
{
	return tmd_update_write(&update, piece, bytes);
}

int port_store_finish(void)
{
	return tmd_update_finish(&update);
}

int port_store_start(void)
{
	return tmd_store_open(&store, &port_model);
}

int port_store_confirm(void)
{
#if TMD_TRIAL
	return tmd_store_confirm(&store);
#else
	return TMD_OK; /* there is no trial: it was kept at once */
#endif
}

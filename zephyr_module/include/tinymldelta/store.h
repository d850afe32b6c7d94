/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The store of one model: two slots, and the records that say which of them is active.
 *
 * One thread at a time may call into one store. Nothing here allocates; the caller owns the structs
 * and keeps the configuration, the contract and the flash port alive as long as the store.
 */
#ifndef TINYMLDELTA_STORE_H
#define TINYMLDELTA_STORE_H

#include "contract.h"
#include "digest.h"
#include "flash.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

/* Where a model is, besides slot 0 and slot 1. */
enum tmd_slot {
	TMD_SLOT_COMPILED_IN = 0xFE, /* linked into the firmware */
	TMD_SLOT_NONE = 0xFF         /* nowhere: the store has no model */
};

struct tmd_store_config {
	const struct tmd_contract *contract;
	uint16_t model; /* index into contract->models */
	struct tmd_region slot[2];
	struct tmd_region records; /* at least two erase units */
	/*
	 * The model that the contract describes, contract->models[model].model_bytes long, as it is
	 * linked into the firmware; or NULL: slot 0 then holds it when the device leaves the factory.
	 */
	const uint8_t *compiled_in;
};

/* Which model is active. */
struct tmd_active {
	uint32_t bytes;
	uint8_t sha256[32];
	uint8_t slot; /* 0, 1, TMD_SLOT_COMPILED_IN or TMD_SLOT_NONE */
};

struct tmd_store {
	const struct tmd_store_config *config;
	struct tmd_active active;
	uint32_t sequence;             /* the highest number that a record has, or may have */
	uint32_t newest;               /* offset of the record of the active model; UINT32_MAX: none */
	uint8_t buf[TMD_WRITE_BUFFER]; /* shared by reading, gathering and records */
};

/*
 * Check the geometry, read the records and find the active model: the newest record's if its slot
 * has the digest that the record says, else the other slot's, else the compiled-in or factory one.
 * Writes nothing. TMD_ERR_NO_MODEL leaves a store that can be asked nothing but to mount again.
 */
int tmd_store_mount(struct tmd_store *store, const struct tmd_store_config *config) TMD_MUST_CHECK;

/* Read from the active model. */
int tmd_store_read(const struct tmd_store *store, uint32_t offset, void *buf,
		   uint32_t bytes) TMD_MUST_CHECK;

/* The active model as memory, store->active.bytes long, or NULL if the flash is not mapped. */
const void *tmd_store_map(const struct tmd_store *store);

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_STORE_H */

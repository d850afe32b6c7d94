/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The management group that takes patches over SMP, the protocol of mcumgr: its logic, without a
 * transport and without CBOR. A binding decodes a request into a struct, has it handled, and
 * encodes the reply; SPEC.md says what the maps look like.
 *
 *	tmd_smp_init(&smp, &port, &update);           once
 *	tmd_smp_handle(&smp, &request, &reply);       for each request, by one thread at a time
 *
 * One transfer at a time: begin, data as often as it takes, finish. It goes to the staging region
 * if the model has one, and is streamed into the slot otherwise. Whatever is lost, doubled or late
 * on the way is harmless: status, begin, data, finish and erase can be repeated, and are answered
 * as they were the first time.
 */
#ifndef TINYMLDELTA_SMP_H
#define TINYMLDELTA_SMP_H

#include "staging.h"
#include "store.h"
#include "update.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

/* Where the group finds the stores. */
struct tmd_smp_port {
	/*
	 * The mounted store of contract->models[model], for this thread alone until `put`. Returns
	 * TMD_OK or why there is none; then there is nothing to put. Never two at a time.
	 */
	int (*get)(void *ctx, uint16_t model, struct tmd_store **store);
	void (*put)(void *ctx, uint16_t model);
	void *ctx;
	const struct tmd_contract *contract; /* names the models */
};

/* Optional fields of a request that were there. */
enum tmd_smp_fields {
	TMD_SMP_HAS_LEN = 0x01,
	TMD_SMP_HAS_ID = 0x02,
	TMD_SMP_HAS_OFF = 0x04,
	TMD_SMP_HAS_DATA = 0x08
};

/* A request as it was decoded. What it points to need not outlive the call. */
struct tmd_smp_request {
	const char *model; /* not terminated; NULL: none was named */
	const uint8_t *data;
	uint8_t *meta;        /* METADATA: where they go, room for TMD_STORE_METADATA_MAX bytes */
	uint32_t model_bytes; /* length of the name */
	uint32_t data_bytes;
	uint32_t len;
	uint32_t id;
	uint32_t off;
	uint8_t command; /* enum tmd_smp_command */
	uint8_t fields;  /* TMD_SMP_HAS_* */
};

/*
 * A reply to be encoded. `status` is TMD_OK, or why the request was refused; `off` counts in both
 * cases. The others as SPEC.md says for the command, and only with TMD_OK.
 */
struct tmd_smp_reply {
	int status;
	uint32_t off;                /* the byte of the patch that comes next; 0 with no transfer */
	uint32_t len;                /* status: of the model's open transfer */
	uint32_t id;                 /* status: likewise */
	struct tmd_active active;    /* status, finish */
	struct tmd_store_info info;  /* status, finish */
	uint16_t model;              /* status, finish: index into contract->models */
	uint8_t meta_bytes;          /* metadata: how many there are at request->meta */
	uint8_t trial_starts;        /* status: starts of a new model, until confirmed */
	bool staging;                /* status: is there a staging region? */
};

/* Private, but for `bytes`: is a transfer open? Nobody else touches `update` as long as it is. */
struct tmd_smp {
	const struct tmd_smp_port *port;
	struct tmd_update *update;
	struct tmd_staging staging;
	uint32_t bytes; /* length of the patch; 0: no transfer is open */
	uint32_t id;
	uint32_t next;  /* bytes that have come */
	uint32_t ended; /* length of the patch whose transfer ended last; 0: none */
	int status;     /* how it ended */
	uint16_t model;
	uint8_t slot; /* the active one since */
	bool staged;
};

/* Port and update must outlive it; the update may be used elsewhere while no transfer is open. */
void tmd_smp_init(struct tmd_smp *smp, const struct tmd_smp_port *port, struct tmd_update *update);

/* Do what a request asks for. Fills all of *reply. */
void tmd_smp_handle(struct tmd_smp *smp, const struct tmd_smp_request *request,
		    struct tmd_smp_reply *reply);

/*
 * What a reply says in "rc" when it refuses: in version 2 of SMP beside the group's number, in
 * version 1 alone, where numbers from 256 up are free for groups.
 */
uint16_t tmd_smp_rc(int status);
uint16_t tmd_smp_rc_1(int status);

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_SMP_H */

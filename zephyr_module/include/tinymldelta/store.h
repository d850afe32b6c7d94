/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The store of one model: two slots, and the records that say what they hold and which is active.
 *
 *	tmd_store_mount(&store, &config);           at power-on
 *	tmd_store_open(&store, &model);             before the model runs: where it is
 *	tmd_store_confirm(&store);                  it works; or tmd_store_revert
 *	tmd_store_close(&store, &model);            when it runs no more
 *
 * One thread at a time may call into one store. An inference needs no call: between open and close
 * the bytes of a model stay as they are, whatever is updated meanwhile. Nothing here allocates; the
 * caller owns the structs and keeps configuration, contract and flash port alive as long as the
 * store. A firmware with several models has a store for each, with regions of its own.
 */
#ifndef TINYMLDELTA_STORE_H
#define TINYMLDELTA_STORE_H

#include "contract.h"
#include "crypto.h"
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

/* A model that was opened. */
struct tmd_model {
	const void *at;       /* its bytes, or NULL if the flash is not mapped: then tmd_model_read */
	uint32_t bytes;       /* of the model, without test vectors */
	uint32_t total_bytes; /* with them */
	uint8_t slot;         /* 0, 1 or TMD_SLOT_COMPILED_IN */
};

struct tmd_store;

/*
 * How the application runs a model, for test vectors. Offsets count through all input (output)
 * tensors, one behind the other. The functions return 0, or any other value on failure.
 */
struct tmd_inference {
	int (*setup)(void *ctx, const struct tmd_store *store, const struct tmd_model *model);
	int (*input)(void *ctx, uint32_t offset, const void *data, uint32_t bytes);
	int (*invoke)(void *ctx);
	int (*output)(void *ctx, uint32_t offset, void *data, uint32_t bytes);
	void *ctx;
};

struct tmd_store_config {
	const struct tmd_contract *contract;
	uint16_t model; /* index into contract->models */
	/* How often a new model is opened before it has to be confirmed; 0: it needs no confirming. */
	uint8_t trial_starts;
	struct tmd_region slot[2];
	struct tmd_region records; /* at least two erase units */
	struct tmd_region staging; /* for staged patches; its flash is NULL if there is none */
	/*
	 * The model that the contract describes, contract->models[model].model_bytes long, as it is
	 * linked into the firmware; or NULL: slot 0 then holds it when the device leaves the factory.
	 */
	const uint8_t *compiled_in;
	const struct tmd_inference *inference; /* NULL: patches with test vectors are refused */
	/*
	 * An update notes after so many bytes how far it has come, at the next bound of erase units;
	 * what was written since the last note may be written again after a power cut. Each note is a
	 * record. 0: one note; after a cut a streamed update writes everything again.
	 */
	uint32_t progress_bytes;
	const struct tmd_crypto *crypto; /* NULL if the contract has no keys */
};

/* Which model is active. */
struct tmd_active {
	uint32_t bytes; /* with test vectors */
	uint8_t sha256[32];
	uint8_t slot; /* 0, 1, TMD_SLOT_COMPILED_IN or TMD_SLOT_NONE */
};

struct tmd_store {
	const struct tmd_store_config *config;
	struct tmd_active active;
	uint32_t newest;                 /* offset of the newest record; UINT32_MAX: none */
	uint32_t erases;                 /* in the device's life */
	uint32_t written;                /* bytes, since mount */
	uint32_t open[2];                /* how often slot 0 and slot 1 are open */
	uint8_t record[TMD_RECORD_SIZE]; /* the state, as the newest record has it (SPEC.md) */
	bool fresh;                      /* the active model was verified and not opened since */
	bool started;                    /* the model on trial was opened since mount */
	bool updating;                   /* an update uses buf */
	uint16_t turn;                   /* changes with each update: only the last may go on */
	union {
		/* Shared by gathering and records. All of flash is written from here. */
		uint8_t buf[TMD_WRITE_BUFFER];
		uint64_t words; /* as drivers read it: this aligns it */
	};
};

/* What a store knows, for people and for a management protocol. */
struct tmd_store_info {
	uint32_t version;  /* of the active model */
	uint32_t floor;    /* lowest version that is accepted */
	uint32_t sequence; /* of the newest record; 0 if there is none */
	uint32_t updates;  /* patches dealt with */
	uint32_t erases;   /* of slots, records and staging, in the device's life; 0 if none is needed */
	uint32_t written;  /* bytes, to the same, since mount */
	uint8_t starts;    /* of the model on trial */
	bool trial;        /* is the active model on trial? */
	uint8_t slot_state[2]; /* enum tmd_slot_state */
};

/*
 * Check the geometry, read the records and find the active model: the newest record's if its slot
 * has the digest that the record says and this firmware may run it, else the other slot's, else the
 * compiled-in or factory one. A model whose trial is used up counts as reverted. Writes nothing.
 * TMD_ERR_NO_MODEL leaves a store that can be asked nothing but to mount again.
 */
int tmd_store_mount(struct tmd_store *store, const struct tmd_store_config *config) TMD_MUST_CHECK;

/*
 * Where the active model is. It is verified again, unless it has just been. A model on trial is
 * given out only after this start was counted in flash and its test vectors have passed; if its
 * starts are used up, or a vector fails, it is reverted and the model before it is opened.
 * Until tmd_store_close no update writes to the slot.
 */
int tmd_store_open(struct tmd_store *store, struct tmd_model *model) TMD_MUST_CHECK;
void tmd_store_close(struct tmd_store *store, struct tmd_model *model);

/* Is another model active than the one that was opened? Then close it between two inferences. */
bool tmd_store_changed(const struct tmd_store *store, const struct tmd_model *model);

/* Read from an opened model, `offset` into it; test vectors lie behind the model's own bytes. */
int tmd_model_read(const struct tmd_store *store, const struct tmd_model *model, uint32_t offset,
		   void *buf, uint32_t bytes) TMD_MUST_CHECK;

/* Read from the active model without opening it, for tools. */
int tmd_store_read(const struct tmd_store *store, uint32_t offset, void *buf,
		   uint32_t bytes) TMD_MUST_CHECK;

/*
 * What is said of the active model: the value of the TLV `tag` (TMD_TLV_MODEL_NAME, _NOTE, _LABELS,
 * _ACCURACY, _OPERATORS) as its patch had it; of the firmware's own model, note and labels. Up to
 * `size` bytes are copied. Returns its length, 0 if nothing is said, or a status below 0.
 */
int tmd_store_metadata(const struct tmd_store *store, uint8_t tag, void *buf,
		       uint32_t size) TMD_MUST_CHECK;

/* All that is said of it, as TLVs; likewise. No model has more than TMD_STORE_METADATA_MAX bytes. */
#define TMD_STORE_METADATA_MAX 255u
int tmd_store_metadata_block(const struct tmd_store *store, void *buf,
			     uint32_t size) TMD_MUST_CHECK;

#if TMD_TRIAL
/*
 * End the trial of the model that was opened: it stays, and its version floor counts from now on.
 * TMD_ERR_STATE if there is no trial, or its model was not opened since mount.
 */
int tmd_store_confirm(struct tmd_store *store) TMD_MUST_CHECK;

/*
 * End the trial: back to the model before it. TMD_ERR_STATE if there is no trial. What the
 * application has open stays readable until it is closed.
 */
int tmd_store_revert(struct tmd_store *store) TMD_MUST_CHECK;
#endif

/* End the update that is open, if any, whoever began it: its next call answers TMD_ERR_BUSY. */
void tmd_store_interrupt(struct tmd_store *store);

/* Forget what the inactive slot holds: a model that failed its trial is then taken again. */
int tmd_store_forget(struct tmd_store *store) TMD_MUST_CHECK;

void tmd_store_get_info(const struct tmd_store *store, struct tmd_store_info *info);

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_STORE_H */

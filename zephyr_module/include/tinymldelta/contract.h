/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What one firmware accepts. `tmd codegen` writes one `const struct tmd_contract` per firmware; the
 * core takes a pointer to it, so that the same compiled code answers for any contract.
 */
#ifndef TINYMLDELTA_CONTRACT_H
#define TINYMLDELTA_CONTRACT_H

#ifndef TMD_CDEF
#include <stdint.h>
#endif

#include "config.h"
#include "wire.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

/* An operator that the firmware has linked. Ordered by `id`, each once. */
struct tmd_operator {
	uint32_t id;     /* SPEC.md, operators: builtin code, or of a custom one's name */
	uint8_t lowest;  /* versions from this */
	uint8_t highest; /* to this */
	uint8_t types;   /* element types that its kernel takes, as bits */
};

/*
 * A key by which patches are signed (kind: TMD_SIGNATURE_*), or to which they are encrypted
 * (TMD_AGREEMENT_*). SPEC.md says what its id is.
 */
struct tmd_key {
	const uint8_t *bytes; /* public key; NULL if the crypto port has what it needs */
	uint8_t kind;
	uint8_t id[4];
};

/* What the firmware has for one of its models. Sizes are in bytes. */
struct tmd_model_contract {
	const char *name;         /* as given to codegen: patches name it */
	uint32_t id;              /* CRC-32 of the name: whose slots and records these are */
	uint32_t arena_bytes;     /* tensor arena that the application reserves */
	uint32_t opset_hash;      /* SPEC.md, OPSET_HASH of the model the firmware was built with */
	uint32_t io_hash;         /* SPEC.md, IO_HASH of the same model */
	uint32_t tensors;         /* SPEC.md, TENSORS of the same model */
	uint32_t quantisation;    /* SPEC.md, QUANTISATION of the same model */
	uint32_t tensor_names;    /* SPEC.md, TENSOR_NAMES of the same model */
	uint32_t slot_bytes;      /* the largest model that a slot takes */
	uint32_t version;         /* of the model the firmware was built with; 0 if it has none */
	uint32_t lowest_version;  /* lowest one that an update may have; the model built with is exempt */
	uint32_t model_bytes;     /* length of the model the firmware was built with */
	uint8_t model_sha256[32]; /* its SHA-256 */
	uint16_t meta_bytes;      /* of `meta` */
	const uint8_t *meta;      /* what is said of it: TLVs as in a patch; may be NULL */
};

struct tmd_contract {
	uint16_t wire_version; /* TMD_WIRE_VERSION of the generator */
	uint16_t keys_n;       /* 0: signed patches are refused; else unsigned ones are */
	uint16_t accept;       /* policies: TMD_ACCEPT_* and TMD_COMPARE_* bits */
	uint16_t formats;      /* bit n is set if patch format n is taken */
	uint16_t decoder;      /* TMD_DECODER_*: how much of format 2 is taken */
	uint16_t tflm_abi;     /* SPEC.md, TFLM_ABI */
	uint16_t meta_kept;    /* bytes of metadata that stay with a model, at most TMD_META_KEPT */
	uint16_t operators_n;
	uint16_t models_n;
	uint32_t kernels;      /* SPEC.md, KERNELS: the kernel build that is linked */
	uint32_t erase_bytes;  /* the largest erase unit of the slots */
	uint32_t write_bytes;  /* the flash's write unit, 1 to TMD_WRITE_UNIT_MAX */
	uint32_t device_class; /* SPEC.md, DEVICE_CLASS; 0: the firmware is of no class */
	const struct tmd_operator *operators;
	const struct tmd_model_contract *models;
	const struct tmd_key *keys;        /* who may sign patches; may be NULL if there are none */
	const struct tmd_key *sealed_keys; /* to whom they may be encrypted; likewise */
	uint16_t sealed_keys_n;
};

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_CONTRACT_H */

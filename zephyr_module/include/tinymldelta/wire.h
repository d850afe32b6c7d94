/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The wire format. Rendered from codegen/wire.yaml by `./run wire`; do not edit.
 */
#ifndef TINYMLDELTA_WIRE_H
#define TINYMLDELTA_WIRE_H

#define TMD_WIRE_VERSION 5

/* Limits: a patch beyond one of them is refused. */
#define TMD_META_MAX 1024u /* bytes of metadata in one patch */
#define TMD_CHUNK_PAYLOAD_MAX 65535u /* bytes of encoded payload in one chunk of format 1 */
#define TMD_MODEL_MAX 2147483647u /* bytes of one model; offsets then never wrap in 32 bits */
#define TMD_OPERATOR_CODE_MAX 32767u /* code of a builtin operator */
#define TMD_OPERATOR_VERSION_MAX 63u /* version of an operator */
#define TMD_WRITE_UNIT_MAX 256u /* bytes of one flash write unit */

/* Patch formats: the first byte of a patch. */
#define TMD_FORMAT_1 1u /* the layout of the first TinyMLDelta: byte ranges, RAW or RLE */
#define TMD_FORMAT_2 2u /* compact, and made with what the models say of their bytes */

/* How much of format 2 is decoded. */
#define TMD_DECODER_NONE 0 /* format 1 only */
#define TMD_DECODER_LEAN 1 /* format 2, made for the lean decoder */
#define TMD_DECODER_DEFAULT 2 /* every patch of format 2 */

/* Policies of a contract. */
#define TMD_ACCEPT_UNGUARDED 0x0001u /* patches that lack guardrail TLVs are taken */
#define TMD_ACCEPT_NO_DIGEST 0x0002u /* patches without digests (digest kind NONE) are taken */
#define TMD_ACCEPT_KERNELS_WARNED 0x0004u /* models proven on other kernels are taken, with a warning */
#define TMD_ACCEPT_KERNELS 0x0008u /* models proven on other kernels are taken */
#define TMD_ACCEPT_QUANTISATION 0x0010u /* scales and zero points of in and out tensors are free: the application reads them from the tensors */
#define TMD_COMPARE_NAMES 0x0020u /* names of in and out tensors are compared too */
#define TMD_ANTI_ROLLBACK 0x0040u /* a model that is confirmed shuts out all lower versions, whatever its `VERSION_FLOOR` */

/* Kinds of digest. */
#define TMD_DIGEST_NONE 0u /* no digest; taken only if the contract accepts it */
#define TMD_DIGEST_CRC32 1u /* CRC-32 (IEEE 802.3, as in zlib), little-endian, in the first 4 bytes; the other 28 are 0 */
#define TMD_DIGEST_SHA256 2u /* SHA-256 (FIPS 180-4) */
#define TMD_DIGEST_CMAC 3u /* reserved by the first TinyMLDelta; always refused */
#define TMD_DIGEST_NONE_SIZE 0u
#define TMD_DIGEST_CRC32_SIZE 4u
#define TMD_DIGEST_SHA256_SIZE 32u
#define TMD_DIGEST_CMAC_SIZE 16u

/* Kinds of signature, their lengths and those of public keys; 0: the key is a secret of the device. */
#define TMD_SIGNATURE_ED25519 1u /* Ed25519 (RFC 8032), R and S as there */
#define TMD_SIGNATURE_ECDSA_P256 2u /* ECDSA on P-256 (FIPS 186-5): r, then s, each 32 bytes, the highest first; s is at most half of the order. The key is X and Y likewise */
#define TMD_SIGNATURE_HMAC_SHA256 3u /* HMAC-SHA-256 (RFC 2104), with a key of 32 bytes */
#define TMD_SIGNATURE_AES_CMAC 4u /* AES-128-CMAC (RFC 4493) */
#define TMD_SIGNATURE_KINDS_N 4u /* they are 1 to this */
/* By kind - 1. */
#define TMD_SIGNATURE_SIZES {64u, 64u, 32u, 16u}
#define TMD_SIGNED_INFO "tinymldelta signed patch 1" /* what is signed begins with this text */
#define TMD_SIGNATURE_MAX 64u

/* Kinds of key agreement, for encrypted patches, and the lengths of public keys by kind - 1. */
#define TMD_AGREEMENT_X25519 1u /* X25519 (RFC 7748) */
#define TMD_AGREEMENT_ECDH_P256 2u /* ECDH on P-256 (SP 800-56A): X and Y of the public key, X of the secret, each 32 bytes, the highest first */
#define TMD_AGREEMENT_KINDS_N 2u /* they are 1 to this */
#define TMD_AGREEMENT_SIZES {32u, 64u}
#define TMD_AGREEMENT_MAX 64u
#define TMD_SEALED_FIRST 3u /* low 4 bits of an encrypted patch; the kind stands above */
#define TMD_SEALED_KEY_SIZE 16u
#define TMD_SEALED_CHUNK 256u /* bytes of ciphertext that have a tag of their own */
#define TMD_SEALED_TAG_SIZE 8u
#define TMD_SEALED_INFO "tinymldelta sealed patch 1"

/* Chunk encodings of format 1. */
#define TMD_F1_RAW 0u /* the payload is the bytes */
#define TMD_F1_RLE 1u /* the payload is pairs of count (u8, 0 means 256) and byte; its length is even */

/* Offsets into the header of format 1; all fields are little-endian. */
#define TMD_F1_HEADER_VERSION 0u /* u8: 1 */
#define TMD_F1_HEADER_DIGEST_KIND 1u /* u8: digest kind of `base_digest` and `target_digest` */
#define TMD_F1_HEADER_CHUNKS_N 2u /* u16: number of chunks; 0 is refused with digest kind NONE */
#define TMD_F1_HEADER_BASE_BYTES 4u /* u32: length of the base, 1 to MODEL_MAX */
#define TMD_F1_HEADER_TARGET_BYTES 8u /* u32: length of the target, 1 to MODEL_MAX */
#define TMD_F1_HEADER_BASE_DIGEST 12u /* u8[32]: digest of the whole base */
#define TMD_F1_HEADER_TARGET_DIGEST 44u /* u8[32]: digest of the whole target */
#define TMD_F1_HEADER_META_BYTES 76u /* u16: length of the TLVs that follow, at most META_MAX */
#define TMD_F1_HEADER_FLAGS 78u /* u16: 0; anything else is refused */
#define TMD_F1_HEADER_SIZE 80u

/* Offsets into the chunk header of format 1; all fields are little-endian. */
#define TMD_F1_CHUNK_OFFSET 0u /* u32: where in the target the decoded bytes go */
#define TMD_F1_CHUNK_PAYLOAD_BYTES 4u /* u16: length of the encoded payload, 1 to 65,535 */
#define TMD_F1_CHUNK_ENCODING 6u /* u8: chunk encoding */
#define TMD_F1_CHUNK_HAS_CRC 7u /* u8: 1: a CRC-32 of the encoded payload (u32) stands before the payload; 0: none */
#define TMD_F1_CHUNK_SIZE 8u

/* Offsets into the signer of format 2; all fields are little-endian. */
#define TMD_F2_SIGNER_KIND 0u /* u8: kind of signature */
#define TMD_F2_SIGNER_KEY 1u /* u8[4]: id of the key */
#define TMD_F2_SIGNER_BODY_CRC 5u /* u32: CRC-32 of the body */
#define TMD_F2_SIGNER_SIZE 9u

/* Offsets into the record in flash; all fields are little-endian. */
#define TMD_RECORD_MAGIC 0u /* u16: 0x4D54 ('TM') */
#define TMD_RECORD_VERSION 2u /* u8: layout of this record: 3 */
#define TMD_RECORD_ACTIVE 3u /* u8: which model is active: 0 or 1, a slot's; 2, the one compiled in; 0x80 is added while it is on trial */
#define TMD_RECORD_SEQUENCE 4u /* u32: rises by one from record to record, modulo 2^32 */
#define TMD_RECORD_FLOOR 8u /* u32: lowest model version that is accepted */
#define TMD_RECORD_UPDATES 12u /* u32: patches that the store has dealt with: switches, and refused staged patches */
#define TMD_RECORD_ERASES 16u /* u32: erases of slots, records and staging so far, but for those lost to power cuts */
#define TMD_RECORD_SLOT0 20u /* u8[52]: slot 0, as below */
#define TMD_RECORD_SLOT1 72u /* u8[52]: slot 1 */
#define TMD_RECORD_CRC 124u /* u32: CRC-32 of all bytes before it, begun with the CRC-32 of the model's name */
#define TMD_RECORD_SIZE 128u

/* Offsets into the record's entry for one slot; all fields are little-endian. */
#define TMD_ENTRY_BYTES 0u /* u32: length of all that the slot holds */
#define TMD_ENTRY_SHA256 4u /* u8[16]: first bytes of the SHA-256 of all that the slot holds */
#define TMD_ENTRY_ARENA 20u /* u32: `REQ_ARENA_BYTES`; in state `STREAMED`, the erase unit that comes next; in state `PLANNED`, here begin 28 bytes of which bit n says that erase unit n is being written */
#define TMD_ENTRY_ABI 24u /* u32: `TFLM_ABI` */
#define TMD_ENTRY_OPSET 28u /* u32: `OPSET_HASH`; if `meta_bytes` is not 0, the CRC-32 of the metadata in the slot */
#define TMD_ENTRY_IO 32u /* u32: `IO_HASH` */
#define TMD_ENTRY_VERSION 36u /* u32: `MODEL_VERSION` */
#define TMD_ENTRY_FLOOR 40u /* u32: `VERSION_FLOOR` */
#define TMD_ENTRY_MODEL_BYTES 44u /* u32: `SELF_TEST`; the length of the model, behind which test vectors may lie */
#define TMD_ENTRY_PRESENT 48u /* u8: bit n: the patch carried the TLV with tag n + 1, of those above */
#define TMD_ENTRY_STATE 49u /* u8: slot state */
#define TMD_ENTRY_STARTS 50u /* u8: how often the model was started on trial; in state `PLANNED`, the erase unit that comes next */
#define TMD_ENTRY_META_BYTES 51u /* u8: length of the metadata that the slot holds behind the target; 0: what stands here is all */
#define TMD_ENTRY_SIZE 52u

/* Offsets into the first block of a staging region; all fields are little-endian. */
#define TMD_STAGING_MAGIC 0u /* u32: 0x53444D54 ('TMDS') */
#define TMD_STAGING_PATCH_BYTES 4u /* u32: length of the patch */
#define TMD_STAGING_PATCH_ID 8u /* u32: what the sender calls it; its CRC-32 */
#define TMD_STAGING_UPDATES 12u /* u32: `updates` of the newest record when it was begun: staged patches of other counts are done with */
#define TMD_STAGING_SIZE 16u

/* Offsets into the head of test vectors; all fields are little-endian. */
#define TMD_SELF_TEST_VECTORS_N 0u /* u16: how many, at least 1 */
#define TMD_SELF_TEST_TYPE 2u /* u8: element type of the outputs, as in TFLite's schema */
#define TMD_SELF_TEST_RESERVED 3u /* u8: 0 */
#define TMD_SELF_TEST_INPUT_BYTES 4u /* u32: bytes of all input tensors, one behind the other */
#define TMD_SELF_TEST_OUTPUT_BYTES 8u /* u32: bytes of all output tensors, one behind the other */
#define TMD_SELF_TEST_TOLERANCE 12u /* u32: how far an element may be off: binary32 for FLOAT32, else a number */
#define TMD_SELF_TEST_SIZE 16u

/* Offsets into the value of ACCURACY; all fields are little-endian. */
#define TMD_ACCURACY_METRIC 0u /* u8: 1 accuracy, 2 mean absolute error, 3 area under the curve, 4 the user's own */
#define TMD_ACCURACY_INTERPRETER 1u /* u8: 1 LiteRT, 2 TensorFlow, 3 TensorFlow Lite Micro, 0 another */
#define TMD_ACCURACY_SAMPLES 2u /* u32: how many, at least 2 */
#define TMD_ACCURACY_BASE 6u /* u32: the metric's value for the base, as binary32 */
#define TMD_ACCURACY_TARGET 10u /* u32: the same for the target */
#define TMD_ACCURACY_DATA 14u /* u8[4]: first bytes of the SHA-256 of the samples */
#define TMD_ACCURACY_SIZE 18u

/* An entry has the first numbers among the TLVs, in the order of tags. */
#define TMD_RECORD_NUMBERS_N ((TMD_ENTRY_PRESENT - TMD_ENTRY_ARENA) / 4u)

/* Format 2: its first byte is the format with these flags. */
#define TMD_F2_SIGNED 0x10u /* the patch is signed: who signed it stands behind the digests, the signature behind the head */
#define TMD_F2_SAME_LENGTH 0x20u /* the target is as long as the base; its length is left out */
#define TMD_F2_LEAN 0x40u /* the body is for a lean decoder */
#define TMD_F2_RESERVED 0x80u /* 0 */
#define TMD_F2_BASE_DIGEST_SIZE 8u
#define TMD_F2_TARGET_DIGEST_SIZE 16u
#define TMD_F2_SIGNED_TARGET_DIGEST_SIZE 32u
#define TMD_F2_CRC_SIZE 4u /* of all of the head that stands before it */

/* What a decoder of format 2 holds. */
#define TMD_F2_RANGES 8 /* ranges of words that are changed ahead of their place */
#define TMD_F2_POOL 256 /* words in the pool */
#define TMD_F2_CACHED 16 /* single words whose change is remembered */
#define TMD_F2_COLUMNS 128 /* columns of a tensor that are told apart */
#define TMD_F2_CHANNELS 64 /* channels of a tensor that are told apart */
#define TMD_F2_HISTORY 256 /* inserted bytes that can be repeated */
#define TMD_F2_RANGE_MAX 65535 /* words of a vector of a range */
#define TMD_F2_BEYOND_MAX 4 /* zero bytes that a decoder reads behind the end of the body */
#define TMD_F2_PLAN 311 /* contexts for what is not data */

/* Operations of format 2's body, element types, and how they are predicted. */
enum {
	TMD_F2_COPY,
	TMD_F2_EDIT,
	TMD_F2_INSERT,
	TMD_F2_REPEAT,
	TMD_F2_SEEK,
	TMD_F2_TENSOR,
	TMD_F2_RANGE,
	TMD_F2_WORDS,
};
enum {
	TMD_F2_I8,
	TMD_F2_U8,
	TMD_F2_I16,
	TMD_F2_I32,
	TMD_F2_I64,
	TMD_F2_F32,
	TMD_F2_F16,
	TMD_F2_SCALE,
};
enum { TMD_F2_PLAIN, TMD_F2_SCALED, TMD_F2_GAINED, TMD_F2_NEW };
/* Parts that a range can have, as bits by number. */
enum { TMD_F2_HAS_CHANGED, TMD_F2_HAS_PRODUCT, TMD_F2_HAS_LIMITS };

#define TMD_RECORD_MAGIC_VALUE 0x4D54u
#define TMD_RECORD_VERSION_VALUE 3u
#define TMD_STAGING_MAGIC_VALUE 0x53444D54u

/* What a record says of a slot. */
enum tmd_slot_state {
	TMD_SLOT_IS_NONE = 0, /* nothing is known of it */
	TMD_SLOT_IS_STREAMED = 1, /* a streamed update is writing: the erase units before the one that comes next are done */
	TMD_SLOT_IS_PLANNED = 2, /* a staged update is writing, by a plan: its erase units before the one that comes next are done */
	TMD_SLOT_IS_COMPLETE = 3, /* a whole model */
	TMD_SLOT_IS_REVERTED = 4 /* a whole model that failed its trial */
};

/* Metadata TLVs by their tags. */
#define TMD_TLV_REQ_ARENA_BYTES 0x01u /* tensor arena that the target needs, in bytes */
#define TMD_TLV_TFLM_ABI 0x02u /* kernel build (high byte) and TFLite schema version (low byte) */
#define TMD_TLV_OPSET_HASH 0x03u /* hash of the operators that the target uses, with versions */
#define TMD_TLV_IO_HASH 0x04u /* hash of the target's input and output tensors */
#define TMD_TLV_MODEL_VERSION 0x05u /* version of the target; 0 if it is missing */
#define TMD_TLV_VERSION_FLOOR 0x06u /* lowest version that the device takes once the target is confirmed; no record ever has a lower one again */
#define TMD_TLV_SELF_TEST 0x07u /* where in the target its test vectors begin, which is the length of its model */
#define TMD_TLV_KERNELS 0x08u /* identity of the kernel build on which the target's accuracy was proven */
#define TMD_TLV_TENSORS 0x09u /* hash of the element types and shapes of the target's in and out tensors */
#define TMD_TLV_QUANTISATION 0x0au /* hash of their scales and zero points */
#define TMD_TLV_TENSOR_NAMES 0x0bu /* hash of their names; only for firmware that compares names */
#define TMD_TLV_MODEL_NAME 0x0cu /* for which of the firmware's models the patch is; ASCII */
#define TMD_TLV_OPERATORS 0x0du /* operators that the target needs, with versions and element types */
#define TMD_TLV_NOTE 0x0eu /* what its makers say of the target, such as the training run; UTF-8 */
#define TMD_TLV_LABELS 0x0fu /* names of the target's classes, in their order, each but the last followed by a line feed; UTF-8 */
#define TMD_TLV_ACCURACY 0x10u /* how base and target did on the data that the patch was gated with, as below */
#define TMD_TLV_DEVICE_CLASS 0x11u /* for which class of devices the patch is; CRC-32 of its name, as a u32 */
#define TMD_TLV_DOWNGRADE 0x12u /* the target may be lower than the floor of the records, as long as that is not above this version; a u32, and only in a signed patch */
#define TMD_TLVS_N 18u /* their tags are 1 to this */
#define TMD_TLV_NUMBERS_N 11u /* those up to this tag are numbers */
/* In which format a TLV may stand: bit n is for the tag n + 1. */
#define TMD_F1_TLVS 0x0000007fu
#define TMD_F2_TLVS 0x0003fff1u
/* The least and the most bytes of each value, by tag - 1. */
#define TMD_TLV_LEAST {4u, 2u, 4u, 4u, 4u, 4u, 4u, 4u, 4u, 4u, 4u, 1u, 0u, 1u, 1u, 18u, 4u, 4u}
#define TMD_TLV_MOST {4u, 2u, 4u, 4u, 4u, 4u, 4u, 4u, 4u, 4u, 4u, 31u, 96u, 96u, 250u, 18u, 4u, 4u}
#define TMD_MODEL_NAME_MAX 31u
#define TMD_OPERATORS_MAX 96u
#define TMD_NOTE_MAX 96u
#define TMD_LABELS_MAX 250u
#define TMD_ACCURACY_MAX 18u
#define TMD_DEVICE_CLASS_MAX 4u
#define TMD_DOWNGRADE_MAX 4u
#define TMD_TLV_VENDOR_FIRST 0x80u /* from here up: ignored by the core */

/* The guardrails, in the order in which they are evaluated. */
enum tmd_rule {
	TMD_RULE_NAME = 0, /* the patch is for this model */
	TMD_RULE_ARENA = 1, /* the arena that the target needs is at most the arena of the firmware */
	TMD_RULE_ABI = 2, /* kernel build (and, in format 1, schema version) are those of the firmware */
	TMD_RULE_OPERATORS = 3, /* the firmware has linked each operator, in this version and for these element types (in format 1: they are those of the model that the firmware was built for) */
	TMD_RULE_IO = 4, /* element type and shape of every in and out tensor are unchanged (in format 1: and their quantisation) */
	TMD_RULE_QUANTISATION = 5, /* scales and zero points of every in and out tensor are unchanged */
	TMD_RULE_TENSOR_NAMES = 6, /* names of in and out tensors are unchanged */
	TMD_RULE_CLASS = 7, /* the patch is for this class of devices, if the firmware has one */
	TMD_RULE_SLOT = 8, /* the target, and behind it its metadata, fit the slot */
	TMD_RULES_N = 9
};
/* What each reads in a format: a tag, 0 for the header, 0xFF if it does not exist there. */
#define TMD_F1_RULE_TLVS {255u, 1u, 2u, 3u, 4u, 255u, 255u, 255u, 0u}
#define TMD_F2_RULE_TLVS {12u, 1u, 8u, 13u, 9u, 10u, 11u, 17u, 0u}
#define TMD_NO_RULE 0xFFu
/* With which status each refuses, as the number without its sign. */
#define TMD_RULE_REFUSALS {50u, 41u, 42u, 43u, 44u, 51u, 52u, 53u, 45u}

/* What came of evaluating one guardrail. */
enum tmd_verdict {
	TMD_PASS = 0, /* holds */
	TMD_FAIL = 1, /* does not hold */
	TMD_MISSING = 2, /* the patch does not carry the TLV, so the rule cannot be evaluated: refused */
	TMD_WAIVED = 3, /* the TLV is missing and the contract accepts unguarded patches */
	TMD_WARNED = 4, /* does not hold, and the contract only warns of that */
	TMD_FREE = 5 /* the contract leaves it free */
};

/* The management group of SMP: its number unless the firmware chose another, and its commands. */
#define TMD_SMP_GROUP 84u
#define TMD_SMP_RC_1 256u /* refusals in version 1 of SMP: this and the status without its sign */
enum tmd_smp_command {
	TMD_SMP_STATUS = 0, /* read: what the model's store knows */
	TMD_SMP_BEGIN = 1, /* write: a patch comes; `off` says from which byte on */
	TMD_SMP_DATA = 2, /* write: bytes of the patch from `off` on */
	TMD_SMP_FINISH = 3, /* write: all bytes are there: apply the patch */
	TMD_SMP_CONFIRM = 4, /* write: the model on trial stays */
	TMD_SMP_REVERT = 5, /* write: the model on trial goes, and the one before it is back */
	TMD_SMP_ERASE = 6, /* write: give up the patch that was begun, and forget what the inactive slot and the staging region hold */
	TMD_SMP_METADATA = 7 /* read: what is said of the active model */
};

/* Every function that can fail returns one of these. */
enum tmd_status {
	TMD_OK = 0, /* done */
	TMD_ERR_ARGUMENT = -1, /* an argument is out of range, or a call came out of order */
	TMD_ERR_TRANSFER = -2, /* no transfer is open that this belongs to */
	TMD_ERR_MODEL = -3, /* the firmware has no model of this name */
	TMD_ERR_FLASH_READ = -10, /* reading flash failed */
	TMD_ERR_FLASH_WRITE = -11, /* writing flash failed */
	TMD_ERR_FLASH_ERASE = -12, /* erasing flash failed */
	TMD_ERR_FLASH_VERIFY = -13, /* flash does not read back what was written */
	TMD_ERR_GEOMETRY = -14, /* slots, records, contract and flash geometry do not fit together */
	TMD_ERR_NO_MODEL = -15, /* no slot holds a model that verifies, and none is compiled in */
	TMD_ERR_TRIAL = -16, /* a new model is on trial, and no update begins before it has ended */
	TMD_ERR_BUSY = -17, /* the slot that would be written is open */
	TMD_ERR_STATE = -18, /* there is no trial to confirm or revert, or its model was not opened */
	TMD_ERR_STAGING = -19, /* there is no staging region, or the patch does not fit it */
	TMD_ERR_TRUNCATED = -20, /* the patch ends too early */
	TMD_ERR_FORMAT = -21, /* not a patch, or a format that the firmware does not take */
	TMD_ERR_HEADER = -22, /* a header field has an impossible value */
	TMD_ERR_DIGEST_KIND = -23, /* a kind of digest that the firmware does not take */
	TMD_ERR_METADATA = -24, /* the metadata is malformed, repeated or of an unknown kind */
	TMD_ERR_TRAILING = -25, /* bytes follow the end of the patch */
	TMD_ERR_DECODER = -26, /* the patch was made for another decoder than the firmware has */
	TMD_ERR_SIGNATURE = -27, /* the signature is not that of the patch */
	TMD_ERR_KEY = -28, /* the patch is signed or encrypted with a key that the firmware does not have */
	TMD_ERR_UNSIGNED = -29, /* the patch is not signed, and the firmware takes signed patches only */
	TMD_ERR_CRYPTO = -30, /* the firmware's cryptography failed */
	TMD_ERR_SEAL = -31, /* the encrypted patch is not as it was sent */
	TMD_ERR_UNGUARDED = -40, /* a guardrail TLV is missing */
	TMD_ERR_ARENA = -41, /* the target needs a larger tensor arena than the firmware has */
	TMD_ERR_ABI = -42, /* the target was proven on other kernels than the firmware has */
	TMD_ERR_OPERATORS = -43, /* the target uses an operator, version or element type that the firmware has not linked */
	TMD_ERR_IO = -44, /* the target's in or out tensors differ from those the application was built for */
	TMD_ERR_SLOT = -45, /* the target and its metadata do not fit the slot */
	TMD_ERR_BASE = -46, /* the patch was made for another base than the active model */
	TMD_ERR_VERSION = -47, /* the target's version is lower than the lowest that is accepted */
	TMD_ERR_REVERTED = -48, /* the target failed its trial on this device */
	TMD_ERR_SELF_TEST = -49, /* the model fails its test vectors, or the firmware cannot run them */
	TMD_ERR_NAME = -50, /* the patch is for another model */
	TMD_ERR_QUANTISATION = -51, /* scales or zero points of the target's in or out tensors differ from those the application was built for */
	TMD_ERR_TENSOR_NAMES = -52, /* the target's in or out tensors have other names than those the application was built for */
	TMD_ERR_CLASS = -53, /* the patch is for another class of devices */
	TMD_ERR_CHUNK_ENCODING = -60, /* a chunk has an unknown encoding or an impossible length */
	TMD_ERR_CHUNK_ORDER = -61, /* chunks overlap or are out of order */
	TMD_ERR_CHUNK_BOUNDS = -62, /* a chunk reaches beyond the target */
	TMD_ERR_CHUNK_CRC = -63, /* a chunk's checksum is wrong */
	TMD_ERR_GAP = -64, /* part of the target comes neither from the base nor from a chunk */
	TMD_ERR_BODY = -66, /* the body asks for something impossible */
	TMD_ERR_TARGET = -65 /* the new model is not the one that the patch promised */
};

/* X(symbol, name, text) for each status, so that names and texts come from the same list. */
#define TMD_STATUS_LIST(X) \
	X(TMD_OK, "OK", "done") \
	X(TMD_ERR_ARGUMENT, "ARGUMENT", "an argument is out of range, or a call came out of order") \
	X(TMD_ERR_TRANSFER, "TRANSFER", "no transfer is open that this belongs to") \
	X(TMD_ERR_MODEL, "MODEL", "the firmware has no model of this name") \
	X(TMD_ERR_FLASH_READ, "FLASH_READ", "reading flash failed") \
	X(TMD_ERR_FLASH_WRITE, "FLASH_WRITE", "writing flash failed") \
	X(TMD_ERR_FLASH_ERASE, "FLASH_ERASE", "erasing flash failed") \
	X(TMD_ERR_FLASH_VERIFY, "FLASH_VERIFY", "flash does not read back what was written") \
	X(TMD_ERR_GEOMETRY, "GEOMETRY", "slots, records, contract and flash geometry do not fit together") \
	X(TMD_ERR_NO_MODEL, "NO_MODEL", "no slot holds a model that verifies, and none is compiled in") \
	X(TMD_ERR_TRIAL, "TRIAL", "a new model is on trial, and no update begins before it has ended") \
	X(TMD_ERR_BUSY, "BUSY", "the slot that would be written is open") \
	X(TMD_ERR_STATE, "STATE", "there is no trial to confirm or revert, or its model was not opened") \
	X(TMD_ERR_STAGING, "STAGING", "there is no staging region, or the patch does not fit it") \
	X(TMD_ERR_TRUNCATED, "TRUNCATED", "the patch ends too early") \
	X(TMD_ERR_FORMAT, "FORMAT", "not a patch, or a format that the firmware does not take") \
	X(TMD_ERR_HEADER, "HEADER", "a header field has an impossible value") \
	X(TMD_ERR_DIGEST_KIND, "DIGEST_KIND", "a kind of digest that the firmware does not take") \
	X(TMD_ERR_METADATA, "METADATA", "the metadata is malformed, repeated or of an unknown kind") \
	X(TMD_ERR_TRAILING, "TRAILING", "bytes follow the end of the patch") \
	X(TMD_ERR_DECODER, "DECODER", "the patch was made for another decoder than the firmware has") \
	X(TMD_ERR_SIGNATURE, "SIGNATURE", "the signature is not that of the patch") \
	X(TMD_ERR_KEY, "KEY", "the patch is signed or encrypted with a key that the firmware does not have") \
	X(TMD_ERR_UNSIGNED, "UNSIGNED", "the patch is not signed, and the firmware takes signed patches only") \
	X(TMD_ERR_CRYPTO, "CRYPTO", "the firmware's cryptography failed") \
	X(TMD_ERR_SEAL, "SEAL", "the encrypted patch is not as it was sent") \
	X(TMD_ERR_UNGUARDED, "UNGUARDED", "a guardrail TLV is missing") \
	X(TMD_ERR_ARENA, "ARENA", "the target needs a larger tensor arena than the firmware has") \
	X(TMD_ERR_ABI, "ABI", "the target was proven on other kernels than the firmware has") \
	X(TMD_ERR_OPERATORS, "OPERATORS", "the target uses an operator, version or element type that the firmware has not linked") \
	X(TMD_ERR_IO, "IO", "the target's in or out tensors differ from those the application was built for") \
	X(TMD_ERR_SLOT, "SLOT", "the target and its metadata do not fit the slot") \
	X(TMD_ERR_BASE, "BASE", "the patch was made for another base than the active model") \
	X(TMD_ERR_VERSION, "VERSION", "the target's version is lower than the lowest that is accepted") \
	X(TMD_ERR_REVERTED, "REVERTED", "the target failed its trial on this device") \
	X(TMD_ERR_SELF_TEST, "SELF_TEST", "the model fails its test vectors, or the firmware cannot run them") \
	X(TMD_ERR_NAME, "NAME", "the patch is for another model") \
	X(TMD_ERR_QUANTISATION, "QUANTISATION", "scales or zero points of the target's in or out tensors differ from those the application was built for") \
	X(TMD_ERR_TENSOR_NAMES, "TENSOR_NAMES", "the target's in or out tensors have other names than those the application was built for") \
	X(TMD_ERR_CLASS, "CLASS", "the patch is for another class of devices") \
	X(TMD_ERR_CHUNK_ENCODING, "CHUNK_ENCODING", "a chunk has an unknown encoding or an impossible length") \
	X(TMD_ERR_CHUNK_ORDER, "CHUNK_ORDER", "chunks overlap or are out of order") \
	X(TMD_ERR_CHUNK_BOUNDS, "CHUNK_BOUNDS", "a chunk reaches beyond the target") \
	X(TMD_ERR_CHUNK_CRC, "CHUNK_CRC", "a chunk's checksum is wrong") \
	X(TMD_ERR_GAP, "GAP", "part of the target comes neither from the base nor from a chunk") \
	X(TMD_ERR_BODY, "BODY", "the body asks for something impossible") \
	X(TMD_ERR_TARGET, "TARGET", "the new model is not the one that the patch promised")

/* The same for the guardrails. */
#define TMD_RULE_LIST(X) \
	X(TMD_RULE_NAME, "NAME", "the patch is for this model") \
	X(TMD_RULE_ARENA, "ARENA", "the arena that the target needs is at most the arena of the firmware") \
	X(TMD_RULE_ABI, "ABI", "kernel build (and, in format 1, schema version) are those of the firmware") \
	X(TMD_RULE_OPERATORS, "OPERATORS", "the firmware has linked each operator, in this version and for these element types (in format 1: they are those of the model that the firmware was built for)") \
	X(TMD_RULE_IO, "IO", "element type and shape of every in and out tensor are unchanged (in format 1: and their quantisation)") \
	X(TMD_RULE_QUANTISATION, "QUANTISATION", "scales and zero points of every in and out tensor are unchanged") \
	X(TMD_RULE_TENSOR_NAMES, "TENSOR_NAMES", "names of in and out tensors are unchanged") \
	X(TMD_RULE_CLASS, "CLASS", "the patch is for this class of devices, if the firmware has one") \
	X(TMD_RULE_SLOT, "SLOT", "the target, and behind it its metadata, fit the slot")

#endif /* TINYMLDELTA_WIRE_H */

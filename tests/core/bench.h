/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What tests of the store stand on: models; patches laid out by hand, with numbers from SPEC.md and
 * not with the core's constants; and a simulated device with faults in front of its flash port.
 */
#ifndef TESTS_CORE_BENCH_H
#define TESTS_CORE_BENCH_H

#include <sim/device.h>

/* ---- numbers that are the same in every run ---- */

uint32_t bench_random(uint64_t *state);

/* ---- models ---- */

struct bytes {
	uint8_t *at; /* owned */
	uint32_t n;
};

void bytes_free(struct bytes *bytes);

/* Noise with runs in it. */
struct bytes model_make(uint32_t n, uint64_t seed);

/* The same model with changes every few hundred bytes, or shorter, or longer. */
struct bytes model_derive(const struct bytes *base, uint32_t n, uint64_t seed);

/* ---- patches of format 1 ---- */

/* What the contract of bench_init has, and what patch_make therefore asks for. */
#define BENCH_ARENA 4096u
#define BENCH_ABI 0x0103u
#define BENCH_OPSET 0x11223344u
#define BENCH_IO 0x55667788u

/* 80 bytes of header, digests included, with as yet no TLVs and no chunks. */
struct bytes patch_header(const struct bytes *base, const struct bytes *target, uint8_t kind);
void patch_tlv(struct bytes *patch, uint8_t tag, uint32_t value, uint8_t bytes);
void patch_guardrails(struct bytes *patch); /* the four TLVs that fit */
void patch_raw(struct bytes *patch, uint32_t offset, const uint8_t *data, uint16_t n, bool crc);
void patch_runs(struct bytes *patch, uint32_t offset, const uint8_t *data, uint32_t n, bool crc);

/* A whole patch: header, guardrails, and a chunk for each range that differs. */
struct bytes patch_make(const struct bytes *base, const struct bytes *target, uint8_t kind);

void put_u16(uint8_t *at, uint32_t value);
void put_u32(uint8_t *at, uint32_t value);
uint32_t get_u32(const uint8_t *at);

/* ---- a device with faults ---- */

/* What goes wrong in the port, besides what the simulator can do (tmd_sim_fault). */
enum bench_fault {
	BENCH_FAULT_NONE,
	BENCH_FAULT_DONE,      /* an operation is done, and reported as failed */
	BENCH_FAULT_DONE_LAST, /* the same, and every later one fails without being done */
	BENCH_FAULT_READ,      /* a read fails */
	BENCH_FAULT_READS,     /* a read and every later one fail */
	BENCH_FAULT_READ_FLIP, /* a read gives one wrong bit */
};

/* Where the base is. */
enum bench_place {
	BENCH_FACTORY,     /* in slot 0, without a record */
	BENCH_COMPILED_IN, /* in the firmware; both slots are erased */
	BENCH_RECORDED,    /* in slot 0, with a record; the contract describes another model */
};

struct bench {
	struct tmd_sim_device device;
	struct tmd_contract contract;
	struct tmd_model_contract model;
	struct tmd_flash flash; /* in front of device.sim.flash; what the store is given */

	enum bench_fault fault;
	uint64_t fault_at; /* the operation, or read, as the simulator counts them */
	bool is_unmapped;  /* the port gives no address */
	bool erase_went_wrong; /* the simulator's fault hit an erase since the last bench_mark */
	uint8_t *erased;       /* owned: erases of each erase unit since the last bench_mark */
	uint16_t *written;     /* owned: writes to each */
	uint32_t units_n;

	/* owned: the flash at the last bench_mark */
	uint8_t *bytes;
	uint8_t *state;
	struct tmd_sim_counts counts;
	uint64_t random;
};

/* Records that say how far an update has come, if no erase unit begins behind 4096 bytes. */
#define BENCH_NOTES (TMD_RESUME ? 1u : 0u)

/* What bench_init has: no trials, no staging, and few notes, so that an update is mostly itself. */
extern const struct tmd_sim_options bench_plain;

/*
 * A device for models of up to `slot_bytes`, with the base in place, mounted. The struct must not
 * be moved afterwards, and for BENCH_COMPILED_IN the base must outlive it. Ends the program if that
 * cannot be done; `bench_init_config` stops before the mount.
 */
void bench_init(struct bench *b, const struct tmd_sim_geometry *geometry, uint32_t slot_bytes,
		const struct bytes *base, enum bench_place place);
void bench_init_with(struct bench *b, const struct tmd_sim_geometry *geometry, uint32_t slot_bytes,
		     const struct bytes *base, enum bench_place place,
		     const struct tmd_sim_options *options);
void bench_init_config(struct bench *b, const struct tmd_sim_geometry *geometry,
		       uint32_t slot_bytes, const struct bytes *base, enum bench_place place,
		       const struct tmd_sim_options *options);
void bench_free(struct bench *b);

/* Remember the flash and its counts; go back to what was remembered, with the power on. */
void bench_mark(struct bench *b);
void bench_rewind(struct bench *b);

/* Is every byte of the flash as remembered? And those of one region? */
bool bench_is_unchanged(const struct bench *b);
bool bench_region_is_unchanged(const struct bench *b, const struct tmd_region *region);

/* Power off and on, without faults, and mount with other garbage in RAM each time. */
int bench_boot(struct bench *b);

/* Does the store, read through its own function, hold exactly this model? */
bool bench_holds(struct bench *b, const struct bytes *model);

/* Does the active model lie in cells that hold: none half-written, none half-erased? */
bool bench_is_firm(const struct bench *b);

/* Cut the power at the n-th operation from now on (1: the next one). */
void bench_cut(struct bench *b, uint64_t shape, uint64_t operation);

/* Send a patch: in pieces of `piece` bytes, or staged if it is 0. */
int bench_send(struct bench *b, const struct bytes *patch, uint32_t piece);

/* Append a record that says what is so already; or so many that the next one has to erase a unit. */
int bench_record_again(struct bench *b);
void bench_fill_records(struct bench *b);

/* A record by SPEC.md: offsets, and those into the entry of a slot. */
enum {
	REC_VERSION = 2,
	REC_ACTIVE = 3,
	REC_SEQUENCE = 4,
	REC_FLOOR = 8,
	REC_UPDATES = 12,
	REC_ERASES = 16,
	REC_SLOT0 = 20,
	REC_SLOT1 = 72,
	REC_CRC = 124,
	REC_BYTES = 128,

	SLOT_TOTAL = 0,
	SLOT_SHA256 = 4,
	SLOT_ARENA = 20,
	SLOT_ABI = 24,
	SLOT_OPSET = 28,
	SLOT_IO = 32,
	SLOT_VERSION = 36,
	SLOT_FLOOR = 40,
	SLOT_MODEL = 44,
	SLOT_PRESENT = 48,
	SLOT_STATE = 49,
	SLOT_STARTS = 50,
	SLOT_META = 51,
	SLOT_BYTES_N = 52,

	SLOT_NEXT_UNIT = 20, /* in state 1 */
};

/* The checksum that makes a record one of the model of bench_init. */
void bench_seal_record(uint8_t record[REC_BYTES]);

/* What a record says of a slot with a whole model that the contract of bench_init takes. */
void bench_put_entry(uint8_t entry[SLOT_BYTES_N], const struct bytes *model);

/* What the newest record in flash says of a slot (enum tmd_slot_state); -1 if there is no record. */
int bench_recorded_state(const struct bench *b, uint32_t slot);

/* Bytes that a record takes: rounded up to the write unit. */
uint32_t bench_stride(const struct bench *b);

/* Erases since the last bench_mark, of the erase units of one region. */
uint32_t bench_erases_of(const struct bench *b, const struct tmd_region *region);

/* The number, on the device, of the erase unit that contains this offset of the region. */
uint32_t bench_unit(const struct bench *b, const struct tmd_region *region, uint32_t offset);

/* Operations and reads since the last bench_mark. */
uint64_t bench_operations(const struct bench *b);
uint64_t bench_reads(const struct bench *b);

/* Size of the erase unit that begins at `offset` and lies in the region; 0 if none does. */
uint32_t unit_at(const struct tmd_region *region, uint32_t offset);

#endif /* TESTS_CORE_BENCH_H */

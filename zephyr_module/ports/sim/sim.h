/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A flash simulator for PCs: a port that enforces what real flash enforces, counts what is done to
 * it, and can lose power in the middle of an operation.
 *
 * An operation that real flash could not do as asked (across a bound, unaligned, programming what
 * is not erased) is *illegal*: it fails, and is counted and described, so that a test can demand
 * that there was none. That is a bug of the caller, unlike an operation that fails by itself.
 */
#ifndef TMD_PORTS_SIM_H
#define TMD_PORTS_SIM_H

#ifndef TMD_CDEF
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#include <tinymldelta/flash.h>

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

enum tmd_sim_flags {
	/* A write unit can be programmed once per erase, and faults on reading when half-written:
	 * flash with ECC. Stands beside TMD_FLASH_* in the flags of a geometry. */
	TMD_SIM_WRITE_ONCE = 0x80
};

#define TMD_SIM_RUNS_MAX 3
#define TMD_SIM_ANY 0xFFFFFFFFu /* a random number of them */

/* A kind of flash. The device is the pattern of runs, repeated as often as it takes. */
struct tmd_sim_geometry {
	const char *name;
	const char *text;
	struct tmd_flash_run pattern[TMD_SIM_RUNS_MAX];
	uint32_t pattern_n;
	uint32_t write_bytes;
	uint8_t erased_value;
	uint8_t flags; /* TMD_FLASH_NO_ERASE, TMD_SIM_WRITE_ONCE */
};

/* What is left of an operation that a power cut hits. */
enum tmd_sim_cut {
	TMD_SIM_CUT_BEFORE, /* nothing was done */
	TMD_SIM_CUT_PREFIX, /* whole write units were programmed; of an erase, some bytes */
	TMD_SIM_CUT_TORN,   /* the same, and a unit with some bits programmed; a half or weak erase */
	TMD_SIM_CUT_SUBSET, /* any bits of all of it were programmed, or erased */
	TMD_SIM_CUT_AFTER,  /* all was done, and the caller did not learn of it */
	TMD_SIM_CUTS_N
};

/* What goes wrong with an operation, without a power cut. */
enum tmd_sim_fault {
	TMD_SIM_FAULT_NONE,
	TMD_SIM_FAULT_ERROR, /* not done, and reported */
	TMD_SIM_FAULT_LIE,   /* not done, and reported as done */
	TMD_SIM_FAULT_FLIP,  /* done but for one bit, and reported as done */
	TMD_SIM_FAULTS_N
};

struct tmd_sim_counts {
	uint64_t operations; /* writes and erases since the device was made */
	uint64_t reads;
	uint64_t writes;
	uint64_t erases;
	uint64_t bytes_read;
	uint64_t bytes_written;
	uint64_t rewrites; /* write units programmed twice without an erase between */
	uint64_t illegal;
};

struct tmd_sim {
	struct tmd_flash flash; /* the port */
	struct tmd_sim_geometry geometry;
	struct tmd_flash_run *runs; /* owned */
	uint8_t *bytes;             /* owned: the contents */
	uint8_t *state;             /* owned: of each write unit */
	uint32_t size;              /* bytes of the device */
	struct tmd_sim_counts counts;
	char illegal_text[128]; /* the first illegal operation */
	uint64_t cut_at;        /* the operation (as counted) that the power cut hits; 0: none */
	uint64_t fault_at;      /* the operation that goes wrong; 0: none */
	uint64_t random;        /* state of the generator that torn contents come from */
	uint32_t cut_part;      /* write units done before the cut, modulo their number; TMD_SIM_ANY */
	uint8_t cut;            /* enum tmd_sim_cut */
	uint8_t fault;          /* enum tmd_sim_fault */
	bool powered;
};

/* The kinds of flash that are known by name; ends with an entry whose name is NULL. */
extern const struct tmd_sim_geometry tmd_sim_geometries[];

/* Make an erased device of `patterns` repetitions. False if out of memory or ill-formed. */
bool tmd_sim_init(struct tmd_sim *sim, const struct tmd_sim_geometry *geometry, uint32_t patterns);
void tmd_sim_free(struct tmd_sim *sim);

/* Set the power on again, with no cut or fault ahead. Contents and counts stay. */
void tmd_sim_power_on(struct tmd_sim *sim);

/* Bytes of one repetition of the pattern. */
uint32_t tmd_sim_pattern_bytes(const struct tmd_sim_geometry *geometry);

/*
 * Does some byte of the range lie in a unit that a cut left half-written or half-erased? It may read
 * right, and does not hold.
 */
bool tmd_sim_is_weak(const struct tmd_sim *sim, uint32_t offset, uint32_t bytes);

/* Is some byte of the range in a half-written unit, which faults when read? */
bool tmd_sim_faults(const struct tmd_sim *sim, uint32_t offset, uint32_t bytes);

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TMD_PORTS_SIM_H */

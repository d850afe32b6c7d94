/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The power-cut campaign: devices on simulated flash whose port cuts the power, and what must hold
 * after each cut.
 */
#ifndef BENCHMARKS_POWERCUT_CAMPAIGN_H
#define BENCHMARKS_POWERCUT_CAMPAIGN_H

#include <sim/device.h>

/* How a patch reaches the slot. */
enum mode {
	MODE_STREAMED,
	MODE_STAGED, /* read twice, from RAM */
	MODE_REGION, /* kept in the staging region first */
	MODES_N
};

/* Where the base is before the update. */
enum place {
	PLACE_FACTORY,     /* in slot 0, without a record */
	PLACE_COMPILED_IN, /* in the firmware */
	PLACE_UPDATED,     /* in slot 1, by an update from the target, which is still in slot 0 */
	PLACE_FULL,        /* the same, and the next record has to erase a unit */
	PLACE_OLDER,       /* in slot 1, by an update from an older model, which is still in slot 0 */
	PLACES_N
};

struct blob {
	uint8_t *at; /* owned */
	uint32_t n;
};

/* A pair of models with the patches between them, and the facts of the contract. */
struct pair {
	char name[32];
	struct blob base;
	struct blob target;
	struct blob forward;  /* base to target */
	struct blob backward; /* target to base */
	struct blob older;    /* the model before the base, for PLACE_OLDER */
	struct blob renewal;  /* older to base */
	struct blob other;    /* a model that has a part of the target */
	struct blob detour;   /* base to other */
	struct blob back;     /* other to base */
	struct blob again;    /* base to target, and says something else of the target; or none */
	uint32_t arena;
	uint32_t abi;
	uint32_t opset;
	uint32_t io;
};

/* One row of the campaign. */
struct row {
	const struct tmd_sim_geometry *geometry;
	const struct pair *pair;
	enum mode mode;
	enum place place;
	uint32_t progress_bytes;
	uint32_t parts;  /* at how many places inside an operation it is cut; 0: at every write unit */
	uint32_t second; /* of the second cuts, one in so many is made; 1: all, 0: none */
	uint32_t every;  /* of the first cuts, one in so many; 1: all */
	uint64_t seed;
};

struct tally {
	uint64_t cuts;    /* distinct: by row, operation, shape and part; with a second one, by both */
	uint64_t seconds; /* of them, those with a second cut */
	uint64_t faults;  /* operations that failed, lied, or flipped a bit */
	uint64_t in_rows; /* further cuts, in rows of them at the same operation */
	uint64_t boots;
	uint64_t failures;
	uint32_t operations; /* of the row, without cuts */
	char first[320];     /* what the first failure was */
};

/* Do all cuts of a row; stop after the first failure if `stop`. */
void campaign_run(const struct row *row, struct tally *tally, bool stop);

/* What an update does to the flash. */
struct cost {
	uint32_t erases;
	uint32_t bytes; /* written */
};

struct wear {
	struct cost update; /* what it was: of slot, records and staging region */
	struct cost bound;  /* what it may be at most, by the published formula */
	struct cost copy;   /* of a scheme that writes all of the target, for the slot alone */
	uint32_t read;      /* bytes */
	uint64_t nanoseconds; /* of this machine, the least of all times; of use for ratios only */
};

/* Do one update without cuts, so many times, and count. */
void campaign_wear(const struct row *row, uint32_t times, struct wear *wear);

#endif /* BENCHMARKS_POWERCUT_CAMPAIGN_H */

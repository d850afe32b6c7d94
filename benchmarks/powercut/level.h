/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the campaign. A *level* is a device whose flash port can cut the power; a *run* has
 * three of them for a row: what is cut on one goes on on the next.
 */
#ifndef BENCHMARKS_POWERCUT_LEVEL_H
#define BENCHMARKS_POWERCUT_LEVEL_H

#include "campaign.h"

#define LEVELS 3u
#define TRIAL_STARTS 3u
#define PATCHES_N 6u

/* Of the patches, those to the target. */
enum { OF_FORWARD, OF_AGAIN };

/* How far the scenario has come, for what a cut may take back. */
enum phase {
	PHASE_UPDATE, /* base or target */
	PHASE_TRIAL,  /* the update has reported success: the target */
	PHASE_DONE,   /* the target is confirmed */
};

struct level {
	struct tmd_sim_device device;
	struct tmd_flash flash; /* in front of device.sim.flash */
	struct run *run;
	uint32_t index;
	enum phase phase;
	enum mode mode;    /* how patches are sent now */
	const struct blob *forward; /* what is sent to come to the target */
	bool mixed;        /* another patch to the target was sent before */
	bool armed;        /* operations are cut */
	bool excused;      /* an erase was not what the port said: what follows may be illegal */
	uint64_t done_at;  /* the operation that is done, and reported as failed; 0: none */
	bool dies;         /* and all later ones fail without being done */
	char text[96];     /* the cut that made this level */
};

struct run {
	const struct row *row;
	struct tally *tally;
	struct level levels[LEVELS];
	struct tmd_contract contract;
	struct tmd_model_contract model;
	struct tmd_patch_info heads[PATCHES_N]; /* what the patches say of themselves */
	uint64_t noise;
	uint64_t counter; /* of cuts, for taking one in so many */
	bool stop;
};

/* ---- level.c: what must hold, and the way from the base to the confirmed target ---- */

uint64_t run_noise(struct run *run);
bool run_given_up(const struct run *run);

/* Something does not hold; the first one of a row is kept as text. */
void level_fail(struct level *level, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool level_is_model(struct level *level, const struct blob *model);
bool is_opened(const struct tmd_model *opened, const struct blob *model);

/* Metadata behind the active model, which is in a slot. */
uint32_t level_kept_bytes(const struct level *level);
void level_check(struct level *level);

/* Power on: the active model is exactly one of those that it may be. */
bool level_boot(struct level *level, bool may_be_base, bool may_be_target);
int level_send(struct level *level, const struct blob *patch);
bool level_confirm(struct level *level, const struct blob *model);
int level_finish(struct level *level);
void level_go_back(struct level *level);

/* The power was cut on this level, in `phase` of the one before: boot, and come to an end. */
void level_recover(struct level *level, enum phase phase);

/* ---- cutting.c: the port that cuts ---- */

void level_be_in_front(struct level *level);
void level_copy_flash(struct level *to, const struct level *from);

/* ---- setup.c ---- */

/* Ends the program if not: the campaign itself is wrong. */
void must_be(bool holds, const char *what);
void run_set_up(struct run *run, const struct row *row, struct tally *tally);
void run_tear_down(struct run *run);

/* The erase unit of a region that begins at `offset`, or contains it. */
uint32_t unit_at(const struct tmd_region *region, uint32_t offset);

/* ---- scenarios.c: faults, and what is not about single operations ---- */

#define FAULT_DONE TMD_SIM_FAULTS_N /* done, and reported as failed */

void run_cuts_in_a_row(struct run *run, uint64_t at);
void run_with_fault(struct run *run, uint64_t at, int kind, bool resets);
void run_scenarios(struct run *run);

/* ---- numbers ---- */

static inline uint32_t round_up(uint32_t bytes, uint32_t unit)
{
	return (bytes + unit - 1u) / unit * unit;
}

static inline uint32_t largest(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static inline uint32_t ceil_of(uint32_t a, uint32_t b)
{
	return (a + b - 1u) / b;
}

#endif /* BENCHMARKS_POWERCUT_LEVEL_H */

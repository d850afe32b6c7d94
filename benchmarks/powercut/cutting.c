/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The port of a level: before each operation the flash is copied to the next level, where a part of the
 * operation is done and the power cut.
 */
#include "level.h"

#include <stdio.h>
#include <string.h>

#define FAILED (-1)

void level_copy_flash(struct level *to, const struct level *from)
{
	const struct tmd_sim *source = &from->device.sim;
	struct tmd_sim *sim = &to->device.sim;

	memcpy(sim->bytes, source->bytes, source->size);
	memcpy(sim->state, source->state, source->size / source->flash.write_bytes);
	sim->counts = source->counts;
	to->mode = from->mode;
	to->forward = from->forward;
	to->mixed = from->mixed;
	tmd_sim_power_on(sim);
}

/* Cut this operation in one way on the next level. `data` is NULL for an erase. */
static void cut(struct level *level, enum tmd_sim_cut shape, uint32_t part, uint32_t offset,
		const void *data, uint32_t bytes)
{
	struct run *run = level->run;
	struct level *next = &run->levels[level->index + 1u];
	struct tmd_sim *sim = &next->device.sim;
	const uint32_t one_in = level->index == 0u ? run->row->every : run->row->second;

	run->counter++;
	if (run_given_up(run) || (one_in > 1u && run_noise(run) % one_in != 0u)) {
		return;
	}
	level_copy_flash(next, level);
	(void)snprintf(next->text, sizeof(next->text), "cut at operation %lu (%s at 0x%lx), shape %u, part %u",
		       (unsigned long)(level->device.sim.counts.operations + 1u),
		       data != NULL ? "write" : "erase", (unsigned long)offset,
		       (unsigned int)shape, (unsigned int)part);
	sim->random = run->row->seed ^ (run->counter * 0x2545F4914F6CDD1Du) ^ 1u;
	sim->cut = (uint8_t)shape;
	sim->cut_part = part;
	sim->cut_at = sim->counts.operations + 1u;
	if (data != NULL) {
		(void)sim->flash.write(sim, offset, data, bytes);
	} else {
		(void)sim->flash.erase(sim, offset, bytes);
	}
	run->tally->cuts++;
	run->tally->seconds += level->index > 0u ? 1u : 0u;
	level_recover(next, level->phase);
}

static void cut_in_all_ways(struct level *level, uint32_t offset, const void *data, uint32_t bytes)
{
	const uint32_t units = bytes / level->flash.write_bytes;
	const uint32_t parts = level->run->row->parts;
	const uint32_t step = parts == 0u || parts >= units ? 1u : units / parts;

	if (!level->armed) {
		return;
	}
	level->armed = false;
	cut(level, TMD_SIM_CUT_BEFORE, 0, offset, data, bytes);
	cut(level, TMD_SIM_CUT_AFTER, 0, offset, data, bytes);
	cut(level, TMD_SIM_CUT_SUBSET, 0, offset, data, bytes);
	if (data == NULL) {
		/* An erase is cut after a quarter, a half and three quarters, and left torn or weak. */
		for (uint32_t quarter = 1; quarter < 4u; quarter++) {
			cut(level, TMD_SIM_CUT_PREFIX, units * quarter / 4u, offset, data, bytes);
		}
		cut(level, TMD_SIM_CUT_TORN, 0, offset, data, bytes);
		cut(level, TMD_SIM_CUT_TORN, 1, offset, data, bytes);
	} else {
		for (uint32_t part = 0; part < units; part += step) {
			if (part > 0u) {
				cut(level, TMD_SIM_CUT_PREFIX, part, offset, data, bytes);
			}
			cut(level, TMD_SIM_CUT_TORN, part, offset, data, bytes);
		}
	}
	level->armed = true;
}

static int front_read(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	struct level *level = ctx;

	return level->device.sim.flash.read(&level->device.sim, offset, buf, bytes);
}

/* Was this the operation that is done, and reported as failed? */
static bool is_done_badly(const struct level *level)
{
	return level->done_at != 0u && level->device.sim.counts.operations == level->done_at;
}

static bool is_dead(const struct level *level)
{
	return level->dies && level->device.sim.counts.operations >= level->done_at;
}

static int front_write(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	struct level *level = ctx;

	int err;

	if (is_dead(level)) {
		return FAILED;
	}
	cut_in_all_ways(level, offset, buf, bytes);
	err = level->device.sim.flash.write(&level->device.sim, offset, buf, bytes);
	return is_done_badly(level) ? FAILED : err;
}

static int front_erase(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct level *level = ctx;

	int err;

	if (is_dead(level)) {
		return FAILED;
	}
	cut_in_all_ways(level, offset, NULL, bytes);
	err = level->device.sim.flash.erase(&level->device.sim, offset, bytes);
	if (level->device.sim.counts.operations == level->device.sim.fault_at) {
		level->excused = true;
	}
	return is_done_badly(level) ? FAILED : err;
}

static const void *front_map(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct level *level = ctx;

	return level->device.sim.flash.map(&level->device.sim, offset, bytes);
}

void level_be_in_front(struct level *level)
{
	level->flash = level->device.sim.flash;
	level->flash.read = front_read;
	level->flash.write = front_write;
	level->flash.erase = front_erase;
	level->flash.map = front_map;
	level->flash.ctx = level;
}

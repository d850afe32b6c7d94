/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The port on a PC, with simulated flash in place of hardware.c: does port.c keep what flash.h
 * promises, on flash as the reference manual has it? Give the manual's numbers, not those of
 * port.h:
 *
 *	pc conform ERASE WRITE [0xFF|0x00] [once] [no-erase]
 *
 * ERASE is a size, or of flash with several sizes up to three runs, as 16384x2,65536x1,131072x2.
 * `once`: a unit is programmed once per erase: flash with ECC, or with a limit in the manual. The
 * simulated flash is longer than the port on both sides, by one erase unit or once more those runs.
 * With store.c and -DPORT_UPDATE also
 *
 *	pc update ERASE WRITE [...] < PATCH
 *
 * which is a device's whole life: mount, take the patch, start the model, confirm it, mount again.
 * Exit status: 0 it holds, 1 it does not, 2 called wrongly.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <conformance/conformance.h>
#include <sim/sim.h>

#include "port.h"

#ifdef PORT_UPDATE
#include "store.h"
#endif

static struct tmd_sim sim;

/* ---- hardware.c, of the PC ---- */

static uint32_t simulated(uint32_t place)
{
	return place - PORT_START + tmd_sim_pattern_bytes(&sim.geometry);
}

int hardware_read(uint32_t place, void *buf, uint32_t bytes)
{
	return sim.flash.read(sim.flash.ctx, simulated(place), buf, bytes);
}

int hardware_program(uint32_t place, const void *unit)
{
	return sim.flash.write(sim.flash.ctx, simulated(place), unit, port_flash.write_bytes);
}

int hardware_erase(uint32_t place)
{
	return sim.flash.erase(sim.flash.ctx, simulated(place),
			       port_unit_bytes(place - PORT_START));
}

const void *hardware_address(uint32_t place)
{
	return sim.flash.map(sim.flash.ctx, simulated(place), 1);
}

/* ---- the program ---- */

/* Called from the update's life too: the device has no power for a moment. */
static int power_cycle(void *ctx)
{
	(void)ctx;
	tmd_sim_power_on(&sim);
	return 0;
}

/* A number and nothing behind it but `*end`. */
static bool number(const char *text, uint32_t most, uint32_t *value, char **end)
{
	const unsigned long long all = strtoull(text, end, 0);

	*value = (uint32_t)all;
	return *end != text && all <= most;
}

/* "2048", or "16384x2,65536x1". Of one size there is one unit in the pattern, repeated. */
static bool parse_sizes(const char *text, struct tmd_sim_geometry *geometry)
{
	char *end = NULL;

	for (uint32_t i = 0; i < TMD_SIM_RUNS_MAX; i++, text = end + 1) {
		struct tmd_flash_run *run = &geometry->pattern[i];

		run->count = 1;
		if (!number(text, TMD_MODEL_MAX, &run->bytes, &end) || run->bytes == 0u ||
		    (*end == 'x' &&
		     (!number(end + 1, TMD_MODEL_MAX / TMD_SIM_RUNS_MAX / run->bytes, &run->count,
			      &end) ||
		      run->count == 0u))) {
			return false;
		}
		geometry->pattern_n = i + 1u;
		if (*end != ',') {
			return *end == '\0';
		}
	}
	return false;
}

static bool parse_word(const char *word, struct tmd_sim_geometry *geometry)
{
	char *end;
	uint32_t value;

	if (strcmp(word, "once") == 0) {
		geometry->flags |= TMD_SIM_WRITE_ONCE;
	} else if (strcmp(word, "no-erase") == 0) {
		geometry->flags |= TMD_FLASH_NO_ERASE;
	} else if (number(word, 0xFF, &value, &end) && *end == '\0') {
		geometry->erased_value = (uint8_t)value;
	} else {
		return false;
	}
	return true;
}

static bool set_up(int argc, char **argv)
{
	struct tmd_sim_geometry geometry = {"pc", "", {{0, 0}}, 0, 0, 0xFF, 0};
	uint32_t pattern;
	char *end;

	if (!parse_sizes(argv[2], &geometry) ||
	    !number(argv[3], TMD_WRITE_UNIT_MAX, &geometry.write_bytes, &end) || *end != '\0' ||
	    geometry.write_bytes == 0u) {
		return false;
	}
	for (int i = 4; i < argc; i++) {
		if (!parse_word(argv[i], &geometry)) {
			return false;
		}
	}
	pattern = tmd_sim_pattern_bytes(&geometry);
	return tmd_sim_init(&sim, &geometry, 2u + port_all.bytes / pattern +
						     (port_all.bytes % pattern != 0u));
}

static void print_line(void *ctx, const char *line)
{
	(void)ctx;
	(void)printf("%s\n", line);
}

/* What lies on both sides is still erased. */
static bool is_around_untouched(void)
{
	const uint32_t around = tmd_sim_pattern_bytes(&sim.geometry);
	const uint32_t end = around + port_all.bytes;

	for (uint32_t i = 0; i < sim.size; i++) {
		if ((i < around || i >= end) && sim.bytes[i] != sim.geometry.erased_value) {
			return false;
		}
	}
	return true;
}

static int conform(void)
{
	uint64_t work[TMD_CONFORMANCE_WORK / 8u];
	struct tmd_conformance_result result;
	struct tmd_conformance_options options = {.work = work};
	int err;

	options.power_cycle = power_cycle;
	err = tmd_conformance(&port_all, &options, &result);
	tmd_conformance_report(&result, print_line, NULL);
	if (sim.counts.illegal != 0u) {
		(void)printf("this flash does not do that: %s of the simulated flash\n",
			     sim.illegal_text);
	}
	if (!is_around_untouched()) {
		(void)printf("something before or behind the port's flash was written to\n");
		return 1;
	}
	return err == TMD_OK ? 0 : 1;
}

#ifdef PORT_UPDATE

static int say(const char *what, int status)
{
	(void)printf("%s: %s\n", what, tmd_status_name(status));
	return status;
}

static int update(void)
{
	unsigned char piece[100];
	size_t n = 0;
	int err = say("mount", port_store_mount());

	if (err == TMD_OK) {
		err = port_store_begin();
	}
	while (err == TMD_OK && (n = fread(piece, 1, sizeof(piece), stdin)) > 0u) {
		err = port_store_take(piece, n);
	}
	if (err == TMD_OK) {
		err = port_store_finish();
	}
	if (say("update", err) != TMD_OK) {
		return 1;
	}
	(void)power_cycle(NULL);
	if (say("mount", port_store_mount()) != TMD_OK ||
	    say("start", port_store_start()) != TMD_OK ||
	    say("confirm", port_store_confirm()) != TMD_OK) {
		return 1;
	}
	(void)printf("slot %u runs, %lu bytes; %lu erases, %lu writes\n",
		     (unsigned int)port_model.slot, (unsigned long)port_model.bytes,
		     (unsigned long)sim.counts.erases, (unsigned long)sim.counts.writes);
	return 0;
}

#endif

int main(int argc, char **argv)
{
	int result = 2;

	if (argc >= 4 && strcmp(argv[1], "conform") == 0 && set_up(argc, argv)) {
		result = conform();
#ifdef PORT_UPDATE
	} else if (argc >= 4 && strcmp(argv[1], "update") == 0 && set_up(argc, argv)) {
		result = update();
#endif
	} else {
		(void)fprintf(stderr,
			      "usage: pc conform|update ERASE WRITE [ERASED] [once] [no-erase]\n");
	}
	tmd_sim_free(&sim);
	return result;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reads rows of the campaign from standard input, one to a line, and answers each with a line:
 *
 *	GEOMETRY MODE PLACE PROGRESS PARTS SECOND EVERY SEED ARENA ABI OPSET IO BASE TARGET THERE BACK [OLDER ...]
 *	cuts seconds faults in_rows boots failures operations TAB text of the first failure
 *
 * From BASE on there are files, set off by tabs: models, and the patches between them, in the order of
 * struct pair; `-` is none. With
 * `--stop` a row ends at its first failure. With `--wear N` nothing is cut, and the answer is erases and
 * bytes written: of the update, at most by the published bound, and of writing all of the target; then
 * bytes read, and the least nanoseconds of N times.
 */
#include "campaign.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Kinds of flash for which every second cut is made: small, with each of the properties. */
static const struct tmd_sim_geometry small[] = {
	{"small-once", "16-byte units written once, pages of 256", {{256, 1}}, 1, 16, 0xFF,
	 TMD_SIM_WRITE_ONCE},
	{"small-words", "4-byte words, pages of 128", {{128, 1}}, 1, 4, 0xFF, 0},
	{"small-bytes", "single bytes, no erase", {{128, 1}}, 1, 1, 0xFF, TMD_FLASH_NO_ERASE},
	{"small-zeros", "8-byte units written once, erased to zero", {{256, 1}}, 1, 8, 0x00,
	 TMD_SIM_WRITE_ONCE},
	{"small-wide", "16-byte units written once, pages of 1,024", {{1024, 1}}, 1, 16, 0xFF,
	 TMD_SIM_WRITE_ONCE},
	{"small-unequal", "pages of 128, 128 and 512, 16-byte units", {{128, 2}, {512, 1}}, 2, 16,
	 0xFF, TMD_SIM_WRITE_ONCE},
};

static const struct tmd_sim_geometry *find_geometry(const char *name)
{
	for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
		if (strcmp(small[i].name, name) == 0) {
			return &small[i];
		}
	}
	for (size_t i = 0; tmd_sim_geometries[i].name != NULL; i++) {
		if (strcmp(tmd_sim_geometries[i].name, name) == 0) {
			return &tmd_sim_geometries[i];
		}
	}
	return NULL;
}

static void stop_with(const char *what, const char *name)
{
	(void)fprintf(stderr, "powercut: %s: %s\n", name, what);
	exit(2);
}

static struct blob read_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct blob blob = {NULL, 0};
	long bytes = 0;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (bytes = ftell(file)) <= 0) {
		stop_with("cannot be read", path);
	}
	rewind(file);
	blob.at = malloc((size_t)bytes);
	blob.n = (uint32_t)bytes;
	if (blob.at == NULL || fread(blob.at, 1, blob.n, file) != blob.n) {
		stop_with("cannot be read", path);
	}
	(void)fclose(file);
	return blob;
}

#define FILES_N 10u

/* The files of a row, which stand behind its numbers. */
static void read_files(char *line, struct pair *pair)
{
	struct blob *blobs[FILES_N] = {
		&pair->base,    &pair->target, &pair->forward, &pair->backward, &pair->older,
		&pair->renewal, &pair->other,  &pair->detour,  &pair->back,     &pair->again,
	};

	for (uint32_t i = 0; i < FILES_N; i++) {
		char *name = line + strcspn(line, "\t");

		if (*name == '\0') {
			stop_with("has too few files", line);
		}
		line = ++name;
		line += strcspn(line, "\t\n");
		if (strncmp(name, "-", (size_t)(line - name)) != 0) {
			static char path[1024];

			(void)snprintf(path, sizeof(path), "%.*s", (int)(line - name), name);
			*blobs[i] = read_file(path);
		}
	}
}

static void free_files(struct pair *pair)
{
	free(pair->base.at);
	free(pair->target.at);
	free(pair->forward.at);
	free(pair->backward.at);
	free(pair->older.at);
	free(pair->renewal.at);
	free(pair->other.at);
	free(pair->detour.at);
	free(pair->back.at);
	free(pair->again.at);
}

int main(int argc, char **argv)
{
	const bool stop = argc > 1 && strcmp(argv[1], "--stop") == 0;
	const bool wear = argc > 1 && strcmp(argv[1], "--wear") == 0;
	const unsigned long times = wear && argc > 2 ? strtoul(argv[2], NULL, 10) : 1u;
	static char line[8192];
	char geometry[32];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		struct pair pair = {.name = ""};
		struct row row = {.pair = &pair};
		struct tally tally = {0};
		unsigned int mode;
		unsigned int place;

		if (sscanf(line,
			   "%31s %u %u %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu64
			   " %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32,
			   geometry, &mode, &place, &row.progress_bytes, &row.parts, &row.second,
			   &row.every, &row.seed, &pair.arena, &pair.abi, &pair.opset, &pair.io) != 12 ||
		    mode >= (unsigned int)MODES_N || place >= (unsigned int)PLACES_N) {
			stop_with("is no row", line);
		}
		row.geometry = find_geometry(geometry);
		if (row.geometry == NULL) {
			stop_with("is no known kind of flash", geometry);
		}
		row.mode = (enum mode)mode;
		row.place = (enum place)place;
		read_files(line, &pair);
		if (wear) {
			struct wear w;

			campaign_wear(&row, (uint32_t)times, &w);
			(void)printf("%" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32
				     " %" PRIu32 " %" PRIu32 " %" PRIu64 "\n",
				     w.update.erases, w.update.bytes, w.bound.erases, w.bound.bytes,
				     w.copy.erases, w.copy.bytes, w.read, w.nanoseconds);
		} else {
			campaign_run(&row, &tally, stop);
			(void)printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
				     " %" PRIu64 " %" PRIu32 "\t%s\n",
				     tally.cuts, tally.seconds, tally.faults, tally.in_rows,
				     tally.boots, tally.failures, tally.operations, tally.first);
		}
		(void)fflush(stdout);
		free_files(&pair);
	}
	return 0;
}

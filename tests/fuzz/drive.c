/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Runs a harness without libFuzzer: on each file of some folders as it is, and then on so many blind
 * mutations of them. It is about twice as fast, since nobody watches where an input goes. For volume,
 * once libFuzzer has found inputs that come far; and for coverage, with no mutations.
 *
 *	drive RUNS SEED INPUT_MAX FINDING FOLDER...
 *
 * An input that breaks something is left in the file FINDING. Prints how far it is, every 2^22 runs.
 * SIGUSR1 ends it after the running input, with its counts.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerInitialize(int *argc, char ***argv);
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

#define INPUT_MAX 4096u
#define STACKED_MAX 4u /* mutations, one on the other */

struct file {
	uint8_t *bytes;
	size_t n;
};

static struct file *files;
static size_t files_n, input_max;
static uint8_t room[INPUT_MAX];
static const uint8_t *input; /* at the end of room, so that no byte behind it goes unnoticed */
static size_t input_n;
static const char *finding;
static volatile sig_atomic_t ends; /* somebody has asked it to */
static uint64_t state;

static uint32_t below(size_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 16) % n);
}

static void leave_finding(void)
{
	FILE *file = fopen(finding, "wb");

	if (file != NULL) {
		(void)fwrite(input, 1, input_n, file);
		(void)fclose(file);
		(void)fprintf(stderr, "left in %s\n", finding);
	}
}

static void on_signal(int number)
{
	leave_finding();
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

static void on_request(int number)
{
	(void)number;
	ends = 1;
}

static void fail(const char *what, const char *path)
{
	(void)fprintf(stderr, "drive: %s %s: %s\n", what, path, strerror(errno));
	exit(2);
}

static void *grown(void *at, size_t bytes)
{
	at = realloc(at, bytes);
	if (at == NULL) {
		fail("cannot hold", "the inputs");
	}
	return at;
}

static void read_folder(const char *folder)
{
	DIR *dir = opendir(folder);

	if (dir == NULL) {
		fail("cannot read", folder);
	}
	for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		char path[4096];
		struct file *next;
		FILE *file;

		if (entry->d_name[0] == '.') {
			continue;
		}
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		file = fopen(path, "rb");
		if (file == NULL) {
			fail("cannot read", path);
		}
		files = grown(files, (files_n + 1u) * sizeof(*files));
		next = &files[files_n++];
		next->bytes = grown(NULL, input_max);
		next->n = fread(next->bytes, 1, input_max, file);
		(void)fclose(file);
	}
	(void)closedir(dir);
}

static void run(const uint8_t *bytes, size_t n)
{
	input = &room[INPUT_MAX - n];
	input_n = n;
	memcpy(&room[INPUT_MAX - n], bytes, n);
	(void)LLVMFuzzerTestOneInput(input, n);
}

/* Take some bytes of another input, over or between these. */
static size_t splice(uint8_t *bytes, size_t n)
{
	const struct file *other = &files[below(files_n)];
	size_t take, from, at;

	if (other->n == 0u) {
		return n;
	}
	take = 1u + below(other->n < 16u ? other->n : 16u);
	from = below(other->n - take + 1u);
	at = below(n + 1u);
	if (below(2) == 0u && n + take <= input_max) {
		memmove(&bytes[at + take], &bytes[at], n - at);
		n += take;
	} else if (take > n - at) {
		take = n - at;
	}
	memcpy(&bytes[at], &other->bytes[from], take);
	return n;
}

static size_t mutate(uint8_t *bytes, size_t n)
{
	static const uint8_t special[] = {0, 1, 2, 16, 31, 32, 63, 64, 96, 127, 128, 192, 254, 255};
	size_t at, take;

	if (n == 0u) {
		return splice(bytes, n);
	}
	at = below(n);
	switch (below(8)) {
	case 0:
		bytes[at] ^= (uint8_t)(1u << below(8));
		break;
	case 1:
		bytes[at] = (uint8_t)below(256);
		break;
	case 2:
		bytes[at] = special[below(sizeof(special))];
		break;
	case 3:
		bytes[at] = (uint8_t)(bytes[at] + below(17) - 8u);
		break;
	case 4: /* less */
		take = 1u + below(n - at < 8u ? n - at : 8u);
		memmove(&bytes[at], &bytes[at + take], n - at - take);
		return n - take;
	case 5: /* one more */
		if (n < input_max) {
			memmove(&bytes[at + 1u], &bytes[at], n - at);
			bytes[at] = (uint8_t)below(256);
			return n + 1u;
		}
		break;
	default:
		return splice(bytes, n);
	}
	return n;
}

int main(int argc, char **argv)
{
	uint64_t runs;

	if (argc < 6) {
		(void)fputs("drive: RUNS SEED INPUT_MAX FINDING FOLDER...\n", stderr);
		return 2;
	}
	runs = strtoull(argv[1], NULL, 10);
	state = strtoull(argv[2], NULL, 10) * 0x9E3779B97F4A7C15u + 88172645463325252u;
	input_max = (size_t)strtoull(argv[3], NULL, 10);
	finding = argv[4];
	if (input_max == 0u || input_max > INPUT_MAX) {
		(void)fprintf(stderr, "drive: INPUT_MAX is 1 to %u\n", INPUT_MAX);
		return 2;
	}
	if (__sanitizer_set_death_callback != NULL) {
		__sanitizer_set_death_callback(leave_finding);
	}
	(void)signal(SIGUSR1, on_request);
	(void)signal(SIGABRT, on_signal);
	(void)signal(SIGILL, on_signal); /* as UndefinedBehaviorSanitizer ends it */
	(void)LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 5; i < argc; i++) {
		read_folder(argv[i]);
	}
	for (size_t i = 0; i < files_n; i++) {
		run(files[i].bytes, files[i].n);
	}
	for (uint64_t i = 1; i <= runs && files_n > 0u && ends == 0; i++) {
		static uint8_t bytes[INPUT_MAX];
		const struct file *from = &files[below(files_n)];
		size_t n = from->n;

		memcpy(bytes, from->bytes, n);
		for (uint32_t stacked = 1u + below(STACKED_MAX); stacked > 0u; stacked--) {
			n = mutate(bytes, n);
		}
		run(bytes, n);
		if (i % (1u << 22) == 0u) {
			(void)printf("#%" PRIu64 "\n", i);
			(void)fflush(stdout);
		}
	}
	for (size_t i = 0; i < files_n; i++) {
		free(files[i].bytes);
	}
	free(files);
	return 0;
}

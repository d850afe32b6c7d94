/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the test programs share: expectations that say where they failed and what the two values
 * were, and a count of tests at the end.
 *
 *	static void test_something(void)
 *	{
 *		EXPECT_EQ(1 + 1, 2);
 *	}
 *
 *	int main(void)
 *	{
 *		RUN(test_something);
 *		return harness_result();
 *	}
 *
 * A test fails with the first expectation that does not hold, and goes on; so it does when it ends
 * without having expected anything.
 */
#ifndef TESTS_CORE_HARNESS_H
#define TESTS_CORE_HARNESS_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tinymldelta/status.h>

/* Failures of one test that are printed; a broken sweep would print thousands. */
#define HARNESS_PRINTED_MAX 10u

struct harness {
	unsigned int passed;
	unsigned int failed;
	unsigned long checks; /* of the running test */
	unsigned long wrong;  /* of the running test */
	char context[256];    /* what the running test is at; printed with a failure */
};

static struct harness harness;

/* Say what a loop is at: geometry, piece size, operation. An empty text ends it. */
static inline void context(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(harness.context, sizeof(harness.context), format, args);
	va_end(args);
}

/* Counts one expectation; true if it failed and should be printed. */
static inline bool harness_failed(bool holds, const char *file, int line)
{
	harness.checks++;
	if (holds) {
		return false;
	}
	harness.wrong++;
	if (harness.wrong > HARNESS_PRINTED_MAX) {
		return false;
	}
	(void)printf("%s:%d: ", file, line);
	if (harness.context[0] != '\0') {
		(void)printf("[%s] ", harness.context);
	}
	return true;
}

static inline bool expect(bool holds, const char *text, const char *file, int line)
{
	if (harness_failed(holds, file, line)) {
		(void)printf("%s does not hold\n", text);
	}
	return holds;
}

static inline bool expect_eq(intmax_t got, intmax_t want, const char *text, const char *file,
			     int line)
{
	if (harness_failed(got == want, file, line)) {
		(void)printf("%s is %" PRIdMAX " (0x%" PRIxMAX "), not %" PRIdMAX " (0x%" PRIxMAX
			     ")\n",
			     text, got, (uintmax_t)got, want, (uintmax_t)want);
	}
	return got == want;
}

static inline bool expect_status(int got, int want, const char *text, const char *file, int line)
{
	if (harness_failed(got == want, file, line)) {
		(void)printf("%s is %s (%d), not %s (%d)\n", text, tmd_status_name(got), got,
			     tmd_status_name(want), want);
	}
	return got == want;
}

static inline bool expect_string(const char *got, const char *want, const char *text,
				 const char *file, int line)
{
	const bool same = strcmp(got, want) == 0;

	if (harness_failed(same, file, line)) {
		(void)printf("%s is \"%s\", not \"%s\"\n", text, got, want);
	}
	return same;
}

static inline bool expect_bytes(const void *got, const void *want, size_t bytes, const char *text,
				const char *file, int line)
{
	const uint8_t *g = got;
	const uint8_t *w = want;
	size_t at = 0;

	while (at < bytes && g[at] == w[at]) {
		at++;
	}
	if (harness_failed(at == bytes, file, line)) {
		(void)printf("%s: byte %zu of %zu is 0x%02x, not 0x%02x\n", text, at, bytes, g[at],
			     w[at]);
	}
	return at == bytes;
}

/* Each is an expression that tells whether it held. */
#define EXPECT(holds) expect((holds), #holds, __FILE__, __LINE__)
#define EXPECT_EQ(got, want) \
	expect_eq((intmax_t)(got), (intmax_t)(want), #got, __FILE__, __LINE__)
#define EXPECT_STATUS(got, want) expect_status((got), (want), #got, __FILE__, __LINE__)
#define EXPECT_STRING(got, want) expect_string((got), (want), #got, __FILE__, __LINE__)
#define EXPECT_BYTES(got, want, bytes) \
	expect_bytes((got), (want), (bytes), #got, __FILE__, __LINE__)

/* For what a test cannot go on without, and that is not what it tests. */
#define REQUIRE(holds) \
	do { \
		if (!(holds)) { \
			(void)printf("%s:%d: %s does not hold: cannot go on\n", __FILE__, \
				     __LINE__, #holds); \
			exit(2); \
		} \
	} while (0)

static inline void harness_run(void (*test)(void), const char *name)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0); /* nothing is lost if a sanitizer ends it */
	harness.checks = 0;
	harness.wrong = 0;
	context("%s", "");
	test();
	if (harness.checks == 0u) {
		(void)printf("%s: expected nothing\n", name);
	} else if (harness.wrong != 0u) {
		(void)printf("%s: %lu of %lu expectations failed\n", name, harness.wrong,
			     harness.checks);
	}
	if (harness.checks != 0u && harness.wrong == 0u) {
		harness.passed++;
	} else {
		harness.failed++;
	}
}

#define RUN(test) harness_run(test, #test)

/* What main returns. */
static inline int harness_result(void)
{
	(void)printf("%u passed, %u failed\n", harness.passed, harness.failed);
	return harness.failed == 0u && harness.passed > 0u ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif /* TESTS_CORE_HARNESS_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The POSIX port on real files, with system calls that are interrupted, transfer a part, or fail:
 * the linker lets those of posix.c come here first (--wrap).
 *
 *	posix_port FOLDER
 */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <conformance/conformance.h>
#include <posix/posix.h>

#include "harness.h"

/* What goes wrong with the calls. */
static struct {
	unsigned long writes; /* calls so far */
	unsigned long flushes;
	unsigned long drops; /* of what the system has in its cache, after a flush */
	unsigned long fail_write; /* the write that fails; 0: none */
	unsigned long fail_flush;
	int err;       /* with this */
	bool hindered; /* every second call is interrupted, the others transfer at most 7 bytes */
	bool turn;
	const char *stolen; /* before the next lock, somebody else makes this file anew; or NULL */
} calls;

static const char *folder;

ssize_t __real_pread64(int fd, void *buf, size_t bytes, off_t offset);
ssize_t __wrap_pread64(int fd, void *buf, size_t bytes, off_t offset);
ssize_t __real_pwrite64(int fd, const void *buf, size_t bytes, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *buf, size_t bytes, off_t offset);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_posix_fadvise64(int fd, off_t offset, off_t bytes, int advice);
int __wrap_posix_fadvise64(int fd, off_t offset, off_t bytes, int advice);
int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);

static bool is_interrupted(size_t *bytes)
{
	if (!calls.hindered) {
		return false;
	}
	calls.turn = !calls.turn;
	*bytes = *bytes < 7u ? *bytes : 7u;
	errno = EINTR;
	return calls.turn;
}

ssize_t __wrap_pread64(int fd, void *buf, size_t bytes, off_t offset)
{
	return is_interrupted(&bytes) ? -1 : __real_pread64(fd, buf, bytes, offset);
}

ssize_t __wrap_pwrite64(int fd, const void *buf, size_t bytes, off_t offset)
{
	calls.writes++;
	if (calls.writes == calls.fail_write) {
		/* Part of it is written, as on a disk that becomes full. */
		(void)__real_pwrite64(fd, buf, bytes / 2u, offset);
		errno = calls.err;
		return calls.err == 0 ? 0 : -1;
	}
	return is_interrupted(&bytes) ? -1 : __real_pwrite64(fd, buf, bytes, offset);
}

int __wrap_fdatasync(int fd)
{
	calls.flushes++;
	if (calls.flushes == calls.fail_flush) {
		errno = calls.err;
		return -1;
	}
	if (calls.hindered) {
		calls.turn = !calls.turn;
		if (calls.turn) {
			errno = EINTR;
			return -1;
		}
		return 0; /* a few thousand real ones take long */
	}
	return __real_fdatasync(fd);
}

int __wrap_posix_fadvise64(int fd, off_t offset, off_t bytes, int advice)
{
	/* What is not flushed is not dropped. */
	if (advice == POSIX_FADV_DONTNEED && offset == 0 && bytes == 0 && calls.flushes > 0u) {
		calls.drops++;
	}
	return __real_posix_fadvise64(fd, offset, bytes, advice);
}

static void make(const char *path, const char *text)
{
	FILE *file = fopen(path, "wb");

	REQUIRE(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

int __wrap_fcntl64(int fd, int command, ...)
{
	va_list arguments;
	struct flock *range;

	if (command != F_SETLK) {
		return __real_fcntl64(fd, command);
	}
	va_start(arguments, command);
	range = va_arg(arguments, struct flock *);
	va_end(arguments);
	if (calls.stolen != NULL) {
		(void)unlink(calls.stolen);
		make(calls.stolen, "theirs");
		calls.stolen = NULL;
	}
	return __real_fcntl64(fd, command, range);
}

/* ---- the bench ---- */

static const struct tmd_posix_options usual = {
	.erase_bytes = 4096, .erase_units = 4, .write_bytes = 256, .create = true};

static void name(char *path, size_t room, const char *file)
{
	(void)snprintf(path, room, "%s/%s", folder, file);
}

static void forget(const char *path)
{
	memset(&calls, 0, sizeof(calls));
	(void)unlink(path);
}

static off_t length(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 ? status.st_size : -1;
}

static int open_usual(struct tmd_posix *posix, const char *path)
{
	return tmd_posix_open(posix, path, &usual);
}

struct reopened {
	struct tmd_posix posix;
	struct tmd_posix_options options;
	char path[512];
};

static int reopen(void *ctx)
{
	struct reopened *file = ctx;

	return tmd_posix_close(&file->posix) == 0
		       ? tmd_posix_open(&file->posix, file->path, &file->options)
		       : -1;
}

static void print_line(void *ctx, const char *line)
{
	(void)ctx;
	(void)printf("%s\n", line);
}

/* ---- tests ---- */

static void conforms(struct tmd_posix_options options, bool hindered)
{
	uint64_t work[TMD_CONFORMANCE_WORK / 8u];
	struct tmd_conformance_result result;
	struct reopened file;
	struct tmd_conformance_options how = {.work = work, .ctx = &file, .outside = true};
	struct tmd_region region = {&file.posix.flash, 0, 0};

	how.power_cycle = reopen;
	file.options = options;
	name(file.path, sizeof(file.path), "conform");
	forget(file.path);
	REQUIRE(tmd_posix_open(&file.posix, file.path, &options) == 0);
	calls.hindered = hindered;
	/* Not the first unit: what lies before it has to stay. */
	region.offset = options.erase_bytes;
	region.bytes = options.erase_bytes * (options.erase_units - 1u);
	if (!EXPECT_STATUS(tmd_conformance(&region, &how, &result), TMD_OK)) {
		tmd_conformance_report(&result, print_line, NULL);
	}
	EXPECT_EQ(result.findings_n, 0);
	EXPECT((result.checked & (uint32_t)1 << TMD_CONFORMANCE_PERSIST) != 0u);
	EXPECT(((result.checked & (uint32_t)1 << TMD_CONFORMANCE_MAP) != 0u) != options.unmapped);
	EXPECT_EQ(tmd_posix_close(&file.posix), 0);
	EXPECT_EQ(length(file.path), (off_t)(options.offset + region.offset + region.bytes));
}

static void test_conformance(void)
{
	struct tmd_posix_options options = usual;

	conforms(options, false);
	options.flags = TMD_FLASH_NO_ERASE;
	conforms(options, true);
	options.flags = 0;
	options.write_bytes = 16;
	options.erase_bytes = 1024;
	options.erase_units = 3;
	conforms(options, true);
	/* Anywhere in a file, and not only at a page; any write unit. */
	options.offset = 4096u * 3u + 513u;
	options.write_bytes = 1;
	options.erase_bytes = 300;
	conforms(options, true);
	options.unmapped = true;
	conforms(options, true);
}

static void test_a_new_file_is_erased_and_whole(void)
{
	struct tmd_posix posix;
	char path[512];
	char stale[512];
	uint8_t bytes[64];

	name(path, sizeof(path), "new");
	name(stale, sizeof(stale), "new.new");
	forget(path);
	/* What a cut has left of an earlier try. */
	make(stale, "half a file");
	EXPECT_EQ(open_usual(&posix, path), 0);
	EXPECT_EQ(length(path), 4 * 4096);
	EXPECT_EQ(length(stale), -1);
	for (uint32_t at = 0; at < 4u * 4096u; at += sizeof(bytes)) {
		EXPECT_EQ(posix.flash.read(&posix, at, bytes, sizeof(bytes)), 0);
		for (size_t i = 0; i < sizeof(bytes); i++) {
			EXPECT_EQ(bytes[i], 0xFF);
		}
	}
	EXPECT_EQ(tmd_posix_close(&posix), 0);
	EXPECT_EQ(tmd_posix_close(&posix), EBADF);
}

static void test_every_write_and_erase_is_flushed(void)
{
	struct tmd_posix posix;
	uint8_t buf[256] = {1, 2, 3};
	uint8_t got[256];
	char path[512];
	int fd;

	name(path, sizeof(path), "flushed");
	forget(path);
	REQUIRE(open_usual(&posix, path) == 0);
	calls.flushes = 0;
	EXPECT_EQ(posix.flash.write(&posix, 512, buf, 256), 0);
	EXPECT_EQ(calls.flushes, 1);
	EXPECT_EQ(posix.flash.write(&posix, 768, buf, 256), 0);
	EXPECT_EQ(calls.flushes, 2);
	/* An erase is a write of erased bytes, and of nothing beside them. */
	fd = open(path, O_RDONLY);
	REQUIRE(fd >= 0 && pread(fd, got, 256, 768) == 256);
	EXPECT_BYTES(got, buf, 256);
	EXPECT_EQ(posix.flash.write(&posix, 4096, buf, 256), 0);
	EXPECT_EQ(posix.flash.erase(&posix, 0, 4096), 0);
	EXPECT_EQ(calls.flushes, 4);
	REQUIRE(pread(fd, got, 256, 768) == 256);
	EXPECT_EQ(got[0], 0xFF);
	EXPECT_EQ(got[255], 0xFF);
	REQUIRE(pread(fd, got, 256, 4096) == 256);
	EXPECT_BYTES(got, buf, 256);
	(void)close(fd);
	EXPECT_EQ(tmd_posix_close(&posix), 0);
}

/* After a failure nothing that was promised is sure: no write more, until it is opened again. */
static void fails_once(const char *file, int err, bool flush, bool erase)
{
	struct tmd_posix posix;
	uint8_t buf[256] = {0x5A};
	char path[512];

	context("%s", file);
	name(path, sizeof(path), file);
	forget(path);
	REQUIRE(open_usual(&posix, path) == 0);
	calls.err = err;
	calls.fail_flush = flush ? calls.flushes + 1u : 0u;
	calls.fail_write = flush ? 0u : calls.writes + 1u;
	EXPECT(erase ? posix.flash.erase(&posix, 0, 4096) != 0
		     : posix.flash.write(&posix, 0, buf, 256) != 0);
	EXPECT_EQ(posix.error, err == 0 ? ENOSPC : err);
	EXPECT(posix.flash.write(&posix, 4096, buf, 256) != 0);
	EXPECT(posix.flash.erase(&posix, 4096, 4096) != 0);
	EXPECT_EQ(posix.flash.read(&posix, 0, buf, 256), 0);
	EXPECT_EQ(tmd_posix_close(&posix), 0);
	REQUIRE(open_usual(&posix, path) == 0);
	EXPECT_EQ(posix.error, 0);
	EXPECT_EQ(posix.flash.write(&posix, 4096, buf, 256), 0);
	EXPECT_EQ(tmd_posix_close(&posix), 0);
}

static void test_failures_are_reported_and_stay(void)
{
	fails_once("full", ENOSPC, false, false);
	fails_once("full_erase", ENOSPC, false, true);
	fails_once("nothing", 0, false, false); /* a write of 0 bytes, again and again */
	fails_once("flush", EIO, true, false);
	fails_once("flush_erase", EIO, true, true);
}

static void test_a_full_disk_shows_when_the_file_is_made(void)
{
	struct tmd_posix posix;
	char path[512];
	char part[512];

	name(path, sizeof(path), "no_room");
	name(part, sizeof(part), "no_room.new");
	forget(path);
	calls.err = ENOSPC;
	calls.fail_write = 3;
	EXPECT_EQ(open_usual(&posix, path), ENOSPC);
	EXPECT_EQ(length(path), -1);
	EXPECT_EQ(length(part), -1);
	EXPECT_EQ(tmd_posix_close(&posix), EBADF);
}

static void test_refusals(void)
{
	static const struct tmd_posix_options wrong[] = {
		{.erase_bytes = 4096, .erase_units = 4, .write_bytes = 0},
		{.erase_bytes = 4096, .erase_units = 4, .write_bytes = 512},
		{.erase_bytes = 4096, .erase_units = 4, .write_bytes = 24},
		{.erase_bytes = 4000, .erase_units = 4, .write_bytes = 256},
		{.erase_bytes = 0, .erase_units = 4, .write_bytes = 256},
		{.erase_bytes = 4096, .erase_units = 0, .write_bytes = 256},
		{.erase_bytes = 4096, .erase_units = 0x80000, .write_bytes = 256},
		{.erase_bytes = 4096, .erase_units = 4, .write_bytes = 256, .flags = 2},
	};
	struct tmd_posix_options options = usual;
	struct tmd_posix posix;
	char path[TMD_POSIX_PATH_MAX + 2u];
	char absent[512];

	name(path, sizeof(path), "refused");
	forget(path);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		context("options %zu", i);
		EXPECT_EQ(tmd_posix_open(&posix, path, &wrong[i]), EINVAL);
	}
	context("%s", "");
	EXPECT_EQ(length(path), -1);
	options.create = false;
	EXPECT_EQ(tmd_posix_open(&posix, path, &options), ENOENT);
	name(absent, sizeof(absent), "no_folder/file");
	EXPECT_EQ(tmd_posix_open(&posix, absent, &usual), ENOENT);
	REQUIRE(open_usual(&posix, path) == 0 && tmd_posix_close(&posix) == 0);
	options.erase_units = 5;
	EXPECT_EQ(tmd_posix_open(&posix, path, &options), ERANGE);
	options.offset = UINT64_MAX - 100u;
	EXPECT_EQ(tmd_posix_open(&posix, path, &options), EFBIG);
	EXPECT_EQ(length(path), 4 * 4096);
	EXPECT_EQ(tmd_posix_open(&posix, folder, &usual), EISDIR);
	EXPECT_EQ(tmd_posix_open(&posix, "/dev/null", &usual), ENOTSUP);
	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1u] = '\0';
	EXPECT_EQ(tmd_posix_open(&posix, path, &usual), ENAMETOOLONG);
}

static void test_what_lies_outside_is_not_touched(void)
{
	struct tmd_posix posix;
	uint8_t buf[256] = {0};
	char path[512];

	name(path, sizeof(path), "bounds");
	forget(path);
	REQUIRE(open_usual(&posix, path) == 0);
	EXPECT(posix.flash.read(&posix, 4u * 4096u - 255u, buf, 256) != 0);
	EXPECT(posix.flash.write(&posix, 4u * 4096u, buf, 256) != 0);
	EXPECT(posix.flash.erase(&posix, UINT32_MAX - 4095u, 4096) != 0);
	EXPECT(posix.flash.map(&posix, 4096, 3u * 4096u + 1u) == NULL);
	EXPECT(posix.flash.map(&posix, 4096, 3u * 4096u) != NULL);
	EXPECT_EQ(length(path), 4 * 4096);
	/* That was a wrong call, and no failure of the medium. */
	EXPECT_EQ(posix.flash.write(&posix, 0, buf, 256), 0);
	/* Somebody cuts the file: no SIGBUS, and no bytes that are not there. */
	REQUIRE(truncate(path, 4096) == 0);
	EXPECT(posix.flash.map(&posix, 0, 4096) == NULL);
	EXPECT(posix.flash.read(&posix, 4096, buf, 1) != 0);
	EXPECT_EQ(posix.error, EIO);
	EXPECT_EQ(tmd_posix_close(&posix), 0);
}

/*
 * Two processes make the file. One of them fails, and removes what it began; a third one begins
 * anew, while the other had that first file open, and gets its lock.
 */
static void test_what_another_process_makes_is_left_alone(void)
{
	struct tmd_posix posix;
	char path[512];
	char part[512];

	name(path, sizeof(path), "theirs");
	name(part, sizeof(part), "theirs.new");
	forget(path);
	calls.stolen = part;
	EXPECT_EQ(open_usual(&posix, path), EAGAIN);
	EXPECT_EQ(length(path), -1);
	EXPECT_EQ(length(part), 6);
	EXPECT_EQ(open_usual(&posix, path), 0);
	EXPECT_EQ(length(part), -1);
	EXPECT_EQ(tmd_posix_close(&posix), 0);
}

/*
 * What a process wrote that was killed before its flush, and what a failed flush has left in the
 * system's cache, reads as if it were there; a power cut takes it.
 */
static void test_what_is_read_is_on_the_medium(void)
{
	struct tmd_posix posix;
	char path[512];

	name(path, sizeof(path), "cached");
	forget(path);
	REQUIRE(open_usual(&posix, path) == 0 && tmd_posix_close(&posix) == 0);
	memset(&calls, 0, sizeof(calls));
	EXPECT_EQ(open_usual(&posix, path), 0);
	EXPECT_EQ(calls.flushes, 1);
	EXPECT_EQ(calls.drops, 1);
	EXPECT_EQ(tmd_posix_close(&posix), 0);
	calls.fail_flush = 2;
	calls.err = EIO;
	EXPECT_EQ(open_usual(&posix, path), EIO);
	EXPECT_EQ(tmd_posix_close(&posix), EBADF);
	EXPECT_EQ(open_usual(&posix, path), 0);
	EXPECT_EQ(tmd_posix_close(&posix), 0);
}

/* As by mlockall, in programs that must not wait: MS_INVALIDATE is then refused. */
static void test_locked_memory_is_mapped(void)
{
	struct tmd_posix posix;
	uint8_t buf[256] = {7};
	const uint8_t *bytes;
	char path[512];

	name(path, sizeof(path), "mlock");
	forget(path);
	REQUIRE(open_usual(&posix, path) == 0);
	REQUIRE(mlock(posix.mapping, posix.mapping_bytes) == 0);
	EXPECT_EQ(posix.flash.write(&posix, 4096, buf, 256), 0);
	bytes = posix.flash.map(&posix, 4096, 256);
	if (EXPECT(bytes != NULL)) {
		EXPECT_BYTES(bytes, buf, 256);
	}
	EXPECT_EQ(tmd_posix_close(&posix), 0);
}

/* What another process gets when it opens the file. */
static int opened_elsewhere(const char *path, uint64_t offset)
{
	const pid_t child = fork();
	int status = -1;

	REQUIRE(child >= 0);
	if (child == 0) {
		struct tmd_posix_options options = usual;
		struct tmd_posix posix;

		options.offset = offset;
		options.erase_units = 2;
		_exit(tmd_posix_open(&posix, path, &options));
	}
	REQUIRE(waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_one_process_at_a_time(void)
{
	struct tmd_posix_options options = usual;
	struct tmd_posix posix;
	char path[512];

	name(path, sizeof(path), "locked");
	forget(path);
	REQUIRE(open_usual(&posix, path) == 0 && tmd_posix_close(&posix) == 0);
	options.erase_units = 2;
	REQUIRE(tmd_posix_open(&posix, path, &options) == 0);
	EXPECT_EQ(opened_elsewhere(path, 0), EAGAIN);
	EXPECT_EQ(opened_elsewhere(path, 4096), EAGAIN);
	/* Another store in the same file is nobody's business. */
	EXPECT_EQ(opened_elsewhere(path, 8192), 0);
	EXPECT_EQ(tmd_posix_close(&posix), 0);
	EXPECT_EQ(opened_elsewhere(path, 0), 0);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	folder = argv[1];
	RUN(test_conformance);
	RUN(test_a_new_file_is_erased_and_whole);
	RUN(test_every_write_and_erase_is_flushed);
	RUN(test_failures_are_reported_and_stay);
	RUN(test_a_full_disk_shows_when_the_file_is_made);
	RUN(test_refusals);
	RUN(test_what_lies_outside_is_not_touched);
	RUN(test_one_process_at_a_time);
	RUN(test_what_another_process_makes_is_left_alone);
	RUN(test_what_is_read_is_on_the_medium);
	RUN(test_locked_memory_is_mapped);
	return harness_result();
}

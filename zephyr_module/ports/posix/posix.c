/*
 * SPDX-License-Identifier: Apache-2.0
 */
#if defined(__APPLE__)
#define _DARWIN_C_SOURCE /* F_FULLFSYNC */
#else
#define _POSIX_C_SOURCE 200809L
#endif
#define _FILE_OFFSET_BITS 64

#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h> /* rename */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define FAILED (-1)
#define ERASE_PIECE 4096u /* bytes of erased value on the stack */
#define ERASED 0xFFu
#define OFF_MAX ((uint64_t)INT64_MAX >> (64u - 8u * sizeof(off_t)))

/* ---- whole transfers ---- */

/* Read all of it. 0, or an errno; EIO if the file ends before: somebody has cut it. */
static int read_all(int fd, uint64_t offset, uint8_t *buf, size_t bytes)
{
	while (bytes > 0u) {
		const ssize_t n = pread(fd, buf, bytes, (off_t)offset);

		if (n < 0 && errno != EINTR) {
			return errno;
		}
		if (n == 0) {
			return EIO;
		}
		if (n > 0) {
			buf += n;
			offset += (uint64_t)n;
			bytes -= (size_t)n;
		}
	}
	return 0;
}

/* Write all of it. 0, or an errno; ENOSPC for a write of nothing, which no loop should repeat. */
static int write_all(int fd, uint64_t offset, const uint8_t *buf, size_t bytes)
{
	while (bytes > 0u) {
		const ssize_t n = pwrite(fd, buf, bytes, (off_t)offset);

		if (n < 0 && errno != EINTR) {
			return errno;
		}
		if (n == 0) {
			return ENOSPC;
		}
		if (n > 0) {
			buf += n;
			offset += (uint64_t)n;
			bytes -= (size_t)n;
		}
	}
	return 0;
}

static int fill(int fd, uint64_t offset, uint64_t bytes)
{
	uint8_t piece[ERASE_PIECE];
	int err = 0;

	memset(piece, ERASED, sizeof(piece));
	while (bytes > 0u && err == 0) {
		const size_t n = bytes < sizeof(piece) ? (size_t)bytes : sizeof(piece);

		err = write_all(fd, offset, piece, n);
		offset += n;
		bytes -= n;
	}
	return err;
}

/* Onto the medium: 0, or an errno. */
static int flush(int fd)
{
	int result;

	do {
#if defined(__APPLE__)
		/* fsync does not empty the drive's cache there. Not every file system has this. */
		result = fcntl(fd, F_FULLFSYNC);
		if (result != 0 && errno != EINTR) {
			result = fsync(fd);
		}
#else
		result = fdatasync(fd);
#endif
	} while (result != 0 && errno == EINTR);
	return result == 0 ? 0 : errno;
}

/*
 * What is read from now on lies on the medium: what a process that was killed had not flushed is,
 * and what a failed flush has left in the system's cache is dropped from there.
 */
static int settle(int fd)
{
	const int err = flush(fd);

#if defined(POSIX_FADV_DONTNEED)
	if (err == 0) {
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* advice; macOS has none */
	}
#endif
	return err;
}

/* With its length and name. */
static int flush_whole(int fd)
{
	int result;

	do {
		result = fsync(fd);
	} while (result != 0 && errno == EINTR);
	return result == 0 ? flush(fd) : errno;
}

static void close_quietly(int fd)
{
	(void)close(fd); /* nothing is unwritten: what had to be flushed was */
}

/* ---- the port ---- */

static int failed(struct tmd_posix *posix, int err)
{
	posix->error = err;
	return FAILED;
}

static bool is_inside(const struct tmd_posix *posix, uint32_t offset, uint32_t bytes)
{
	return offset <= posix->bytes && bytes <= posix->bytes - offset;
}

static int posix_read(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	struct tmd_posix *posix = ctx;
	int err;

	if (!is_inside(posix, offset, bytes)) {
		return failed(posix, EINVAL);
	}
	err = read_all(posix->fd, posix->offset + offset, buf, bytes);
	return err == 0 ? 0 : failed(posix, err);
}

/* The end of each write and erase. What was not written, or not flushed, breaks the promise. */
static int finish(struct tmd_posix *posix, int err)
{
	if (err == 0) {
		err = flush(posix->fd);
	}
	if (err == 0) {
		return 0;
	}
	posix->broken = true;
	return failed(posix, err);
}

static int posix_write(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	struct tmd_posix *posix = ctx;

	if (posix->broken) {
		return FAILED; /* with the error that broke it */
	}
	if (!is_inside(posix, offset, bytes)) {
		return failed(posix, EINVAL);
	}
	return finish(posix, write_all(posix->fd, posix->offset + offset, buf, bytes));
}

static int posix_erase(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct tmd_posix *posix = ctx;

	if (posix->broken) {
		return FAILED;
	}
	if (!is_inside(posix, offset, bytes)) {
		return failed(posix, EINVAL);
	}
	return finish(posix, fill(posix->fd, posix->offset + offset, bytes));
}

/*
 * The mapping stays as long as the file is open. A page beyond the file's end would be SIGBUS, so
 * it is looked at again; and POSIX does not promise that memory shows what pwrite wrote before
 * msync. That refuses memory that is locked (mlockall): there it is the system's cache itself.
 */
static const void *posix_map(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct tmd_posix *posix = ctx;
	struct stat status;

	if (posix->mapped == NULL || !is_inside(posix, offset, bytes)) {
		return NULL;
	}
	if (fstat(posix->fd, &status) != 0 ||
	    (S_ISREG(status.st_mode) &&
	     (uint64_t)status.st_size < posix->offset + posix->bytes) ||
	    (msync(posix->mapping, posix->mapping_bytes, MS_ASYNC | MS_INVALIDATE) != 0 &&
	     errno != EBUSY)) {
		return NULL;
	}
	return &posix->mapped[offset];
}

/* ---- opening ---- */

static bool is_well_formed(const struct tmd_posix_options *options)
{
	return options->write_bytes > 0u && options->write_bytes <= TMD_WRITE_UNIT_MAX &&
	       TMD_WRITE_BUFFER % options->write_bytes == 0u && options->erase_bytes > 0u &&
	       options->erase_bytes % options->write_bytes == 0u && options->erase_units > 0u &&
	       options->erase_units <= TMD_MODEL_MAX / options->erase_bytes &&
	       (options->flags & (uint8_t)~(unsigned int)TMD_FLASH_NO_ERASE) == 0u;
}

/* Nobody else, over this range of the file. 0; EAGAIN: somebody has it; or another errno. */
static int lock(int fd, uint64_t offset, uint64_t bytes)
{
	struct flock range;

	memset(&range, 0, sizeof(range));
	range.l_type = F_WRLCK;
	range.l_whence = SEEK_SET;
	range.l_start = (off_t)offset;
	range.l_len = (off_t)bytes;
	if (fcntl(fd, F_SETLK, &range) == 0) {
		return 0;
	}
	return errno == EACCES ? EAGAIN : errno; /* POSIX allows either */
}

static int open_file(const char *path, int flags, int *fd)
{
	do {
		*fd = open(path, flags | O_CLOEXEC, S_IRUSR | S_IWUSR);
	} while (*fd < 0 && errno == EINTR);
	return *fd < 0 ? errno : 0;
}

/* The name of a file is in its folder: that has to be flushed as well. */
static int flush_folder(const char *path)
{
	char folder[TMD_POSIX_PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 1u : (size_t)(slash - path);
	int err;
	int fd;

	memcpy(folder, slash == NULL ? "." : path, n);
	if (n == 0u) {
		folder[n++] = '/';
	}
	folder[n] = '\0';
	err = open_file(folder, O_RDONLY | O_DIRECTORY, &fd);
	if (err != 0) {
		return err;
	}
	err = flush_whole(fd);
	close_quietly(fd);
	return err == EINVAL ? 0 : err; /* a file system whose folders need no flushing */
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * Fill the new file, which is locked, and give it its name. Whoever had the lock before may have
 * done so: then there is nothing to do, and the file in hand may be that very one. Or has failed,
 * and removed the file in hand: then the name may be that of a file which is being filled by
 * somebody else, who must not find it renamed.
 */
static int fill_and_rename(int fd, const char *from, const char *path, uint64_t bytes)
{
	struct stat own;
	struct stat status;
	int err;

	if (fstat(fd, &own) != 0) {
		return errno;
	}
	if (stat(path, &status) == 0) {
		if (!is_same(&own, &status)) {
			(void)unlink(from); /* begun here, and not needed */
		}
		return 0;
	}
	if (errno != ENOENT) {
		return errno;
	}
	if (stat(from, &status) != 0) {
		return errno == ENOENT ? EAGAIN : errno;
	}
	if (!is_same(&own, &status)) {
		return EAGAIN;
	}
	if (ftruncate(fd, 0) != 0) {
		return errno;
	}
	err = fill(fd, 0, bytes);
	if (err == 0) {
		err = flush_whole(fd);
	}
	if (err == 0 && rename(from, path) != 0) {
		err = errno;
	}
	if (err == 0) {
		return flush_folder(path);
	}
	(void)unlink(from);
	return err;
}

static int create(const char *path, uint64_t bytes)
{
	static const char ending[] = ".new";
	char name[TMD_POSIX_PATH_MAX + sizeof(ending)];
	const size_t n = strlen(path);
	int err;
	int fd;

	memcpy(name, path, n);
	memcpy(&name[n], ending, sizeof(ending));
	err = open_file(name, O_RDWR | O_CREAT, &fd);
	if (err != 0) {
		return err;
	}
	err = lock(fd, 0, bytes);
	if (err == 0) {
		err = fill_and_rename(fd, name, path, bytes);
	}
	close_quietly(fd);
	return err;
}

/* Is what was opened long enough, and of a kind that can be overwritten? */
static int check_kind(int fd, uint64_t end)
{
	struct stat status;
	off_t bytes;

	if (fstat(fd, &status) != 0) {
		return errno;
	}
	if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
		return ENOTSUP;
	}
	bytes = lseek(fd, 0, SEEK_END); /* of a block device too, unlike st_size */
	if (bytes < 0) {
		return errno;
	}
	return (uint64_t)bytes < end ? ERANGE : 0;
}

/* As memory, if that can be had. A mapping begins at a page. */
static void map_file(struct tmd_posix *posix)
{
	const long page = sysconf(_SC_PAGESIZE);
	uint64_t lead;
	void *mapping;

	if (page <= 0) {
		return;
	}
	lead = posix->offset % (uint64_t)page;
	if (lead + posix->bytes > SIZE_MAX) {
		return;
	}
	mapping = mmap(NULL, (size_t)(lead + posix->bytes), PROT_READ, MAP_SHARED, posix->fd,
		       (off_t)(posix->offset - lead));
	if (mapping == MAP_FAILED) {
		return; /* no harm: models are read instead */
	}
	posix->mapping = mapping;
	posix->mapping_bytes = (size_t)(lead + posix->bytes);
	posix->mapped = (uint8_t *)mapping + lead;
}

static void set_up(struct tmd_posix *posix, const struct tmd_posix_options *options)
{
	memset(posix, 0, sizeof(*posix));
	posix->fd = -1;
	posix->offset = options->offset;
	posix->bytes = options->erase_bytes * options->erase_units;
	posix->run.bytes = options->erase_bytes;
	posix->run.count = options->erase_units;
	posix->flash.read = posix_read;
	posix->flash.write = posix_write;
	posix->flash.erase = posix_erase;
	posix->flash.map = posix_map;
	posix->flash.ctx = posix;
	posix->flash.runs = &posix->run;
	posix->flash.runs_n = 1;
	posix->flash.write_bytes = options->write_bytes;
	posix->flash.erased_value = ERASED;
	posix->flash.flags = options->flags;
}

int tmd_posix_open(struct tmd_posix *posix, const char *path,
		   const struct tmd_posix_options *options)
{
	uint64_t end;
	int err;
	int fd;

	memset(posix, 0, sizeof(*posix));
	posix->fd = -1;
	if (!is_well_formed(options)) {
		return EINVAL;
	}
	set_up(posix, options);
	if (options->offset > OFF_MAX - posix->bytes) {
		return EFBIG;
	}
	if (strlen(path) >= TMD_POSIX_PATH_MAX) {
		return ENAMETOOLONG;
	}
	end = options->offset + posix->bytes;
	err = open_file(path, O_RDWR, &fd);
	if (err == ENOENT && options->create) {
		err = create(path, end);
		if (err == 0) {
			err = open_file(path, O_RDWR, &fd);
		}
	}
	if (err != 0) {
		return err;
	}
	err = check_kind(fd, end);
	if (err == 0) {
		err = lock(fd, options->offset, posix->bytes);
	}
	if (err == 0) {
		err = settle(fd);
	}
	if (err != 0) {
		close_quietly(fd);
		return err;
	}
	posix->fd = fd;
	if (!options->unmapped) {
		map_file(posix);
	}
	return 0;
}

int tmd_posix_close(struct tmd_posix *posix)
{
	int err = 0;

	if (posix->fd < 0) {
		return EBADF;
	}
	if (posix->mapping != NULL && munmap(posix->mapping, posix->mapping_bytes) != 0) {
		err = errno;
	}
	if (close(posix->fd) != 0 && errno != EINTR && err == 0) {
		err = errno;
	}
	posix->fd = -1;
	posix->mapped = NULL;
	posix->mapping = NULL;
	return err;
}

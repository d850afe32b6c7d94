/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A flash port for operating systems: models are kept in a file, or in a part of a block device, of
 * Linux, macOS and other systems with POSIX.1-2008.
 *
 *	struct tmd_posix posix;
 *	int err = tmd_posix_open(&posix, "models.bin", &options);   0, or an errno
 *	... regions of &posix.flash ...
 *	err = tmd_posix_close(&posix);
 *
 * What is promised, and what a file system can promise:
 *
 * - What write and erase were asked for has been handed to the device, and its cache been flushed,
 *   when they return 0 (fdatasync; F_FULLFSYNC on macOS). Whether a device does flush then is its
 *   matter.
 * - A power cut within a write or an erase leaves old bytes, new bytes or, on devices without
 *   whole-sector writes, anything, in the *blocks* that it touches: a file system writes whole
 *   blocks (mostly 4,096 bytes), so bytes beside the range may suffer with it, unlike in flash. Let
 *   erase_bytes be a multiple of the file system's block: then the harm of a cut ends at the erase
 *   unit, as the store expects. What the newest record's block loses is that record; the store goes
 *   on with the one before it.
 * - A file system with checksums or a journal of data may answer a damaged block with EIO: `read`
 *   fails, and the store passes over it. Through memory that is SIGBUS: the store asks for no
 *   memory that was not read before.
 * - A failing flush may have lost what earlier calls promised, and a further one may return 0 all
 *   the same. So after any failed write, erase or flush each further write and erase fails, until
 *   the file is opened again: open flushes, and drops what the system has in its cache (where it
 *   has posix_fadvise: not on macOS), so that reads then show what is there.
 * - Two processes do not use the same range at a time: open fails with EAGAIN. The lock (fcntl) is
 *   of the whole process and is gone when it closes *any* descriptor of the file, so do not open
 *   the file twice in one process. Whoever writes without asking for the lock is not kept out.
 * - Space for all of it is taken and written when the file is made, so that a full disk shows then.
 *   On a file system that never overwrites (btrfs, ZFS, compressing ones) a later write may still
 *   fail, with ENOSPC: it is reported, and the update fails; the active model stays.
 *
 * Raw flash (/dev/mtd0) is refused, with ENOTSUP: it has calls of its own. A block device on top of
 * it (/dev/mtdblock0) can be opened.
 *
 * One thread at a time. No allocation, no static data; the struct must not move while it is open.
 */
#ifndef TMD_PORTS_POSIX_H
#define TMD_PORTS_POSIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tinymldelta/flash.h>

#if defined(__cplusplus)
extern "C" {
#endif

/* Longest path, with its end. */
#define TMD_POSIX_PATH_MAX 1024u

struct tmd_posix_options {
	uint64_t offset;      /* of the flash in the file or device, in bytes */
	uint32_t erase_bytes; /* an erase unit; a multiple of write_bytes, and better of 4,096 */
	uint32_t erase_units; /* how many of them: the flash is that long */
	uint32_t write_bytes; /* 1 to TMD_WRITE_UNIT_MAX, a divisor of TMD_WRITE_BUFFER */
	uint8_t flags;        /* TMD_FLASH_NO_ERASE: spare the writes of erased bytes; else 0 */
	bool create;          /* make the file, filled with erased bytes, if it is not there */
	bool unmapped;        /* do not map it: models are then read by tmd_model_read only */
};

/* Private but for `flash` and `error`; owned by the caller. */
struct tmd_posix {
	struct tmd_flash flash; /* the port; stays valid until close */
	int error;              /* errno of the last operation that failed; 0: none */
	int fd;                 /* -1: closed */
	bool broken;            /* something that was promised may be lost */
	uint64_t offset;
	uint32_t bytes;
	struct tmd_flash_run run;
	uint8_t *mapped; /* the first byte of the flash in memory, or NULL */
	void *mapping;   /* what munmap needs */
	size_t mapping_bytes;
};

/*
 * Open a file or block device as flash. What is shorter than the options say is not extended: a
 * file is made as a whole, under another name (the path and ".new"), and renamed when it is
 * complete and flushed, so that a cut leaves no part of one.
 *
 * Returns 0 or an errno, and then nothing is open: EINVAL, ill-formed options; EAGAIN, another
 * process has it; ENOENT, there is none and it is not to be made; ERANGE, it ends before the flash
 * does; EFBIG, the flash ends beyond what off_t can say; ENOTSUP, neither a file nor a block
 * device; ENAMETOOLONG; ENOSPC, EDQUOT, EACCES, EROFS, EIO and others as open, fcntl, write, fsync
 * and rename have them.
 */
int tmd_posix_open(struct tmd_posix *posix, const char *path,
		   const struct tmd_posix_options *options) TMD_MUST_CHECK;

/*
 * Give the file back; models that were mapped from it are gone. Returns 0 or an errno; it is closed
 * in any case, and all that was written had been flushed before.
 */
int tmd_posix_close(struct tmd_posix *posix);

#if defined(__cplusplus)
}
#endif

#endif /* TMD_PORTS_POSIX_H */

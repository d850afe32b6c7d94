/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Does a flash port keep what flash.h promises? Runs on the device itself, or on a PC, against the
 * port's real functions, and names each promise that does not hold, with the place.
 *
 *	static uint64_t work[TMD_CONFORMANCE_WORK / 8];
 *	static struct tmd_conformance_result result;
 *	const struct tmd_conformance_options options = {.work = work};
 *	int err = tmd_conformance(&region, &options, &result);
 *	tmd_conformance_report(&result, say, NULL);
 *
 * The region is destroyed, so give one that holds nothing yet: a slot, and then the records. Each
 * of its erase units is erased twice, the last one three times; result.erases says what it came to.
 * A port is right if the test passes with `power_cycle`, or in two phases with a real reset in
 * between:
 *
 *	phase 1: as above                      leaves a known content
 *	reset, or better: pull the plug
 *	phase 2: options.after_reset = true    reads only: is it still there?
 *
 * Whether it is the second start is for the firmware to know: from the reset's cause, a variable
 * that start-up does not clear, a button, or a command.
 *
 * What cannot be seen from outside is not tested: that a half-written unit makes `read` fail
 * instead of faulting, and what a power cut leaves (docs/porting.md says how to look at those).
 *
 * No allocation, no static data, no stdio; needs core/digest.c for tmd_crc32 and nothing else of
 * the core. About 6 KB of code on a Cortex-M0, and 4 KB of texts if report.c is linked
 * (tests/conformance holds it to that).
 */
#ifndef TMD_PORTS_CONFORMANCE_H
#define TMD_PORTS_CONFORMANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tinymldelta/flash.h>

#if defined(__cplusplus)
extern "C" {
#endif

/* Bytes of working memory: two buffers, with guards around them. */
#define TMD_CONFORMANCE_WORK 832u

/*
 * The promises. tmd_conformance_promise says each in words, tmd_conformance_advice what to look at
 * if it does not hold.
 */
enum tmd_conformance_rule {
	TMD_CONFORMANCE_GEOMETRY,
	TMD_CONFORMANCE_READ,
	TMD_CONFORMANCE_READ_ANY,
	TMD_CONFORMANCE_READ_WHOLE,
	TMD_CONFORMANCE_READ_FRESH,
	TMD_CONFORMANCE_ERASE,
	TMD_CONFORMANCE_ERASE_DONE,
	TMD_CONFORMANCE_ERASE_WHOLE,
	TMD_CONFORMANCE_ERASE_ONLY,
	TMD_CONFORMANCE_ERASED_VALUE,
	TMD_CONFORMANCE_WRITE,
	TMD_CONFORMANCE_WRITE_DONE,
	TMD_CONFORMANCE_WRITE_WHOLE,
	TMD_CONFORMANCE_WRITE_BYTES,
	TMD_CONFORMANCE_WRITE_ONLY,
	TMD_CONFORMANCE_WRITE_UNIT,
	TMD_CONFORMANCE_WRITE_BUFFER,
	TMD_CONFORMANCE_WRITE_LENGTH,
	TMD_CONFORMANCE_REWRITE,
	TMD_CONFORMANCE_MEMORY,
	TMD_CONFORMANCE_ADDRESS,
	TMD_CONFORMANCE_MAP,
	TMD_CONFORMANCE_OUTSIDE,
	TMD_CONFORMANCE_PERSIST,
	TMD_CONFORMANCE_RULES_N
};

/* What of a geometry is wrong. */
enum tmd_conformance_geometry {
	TMD_CONFORMANCE_NO_FUNCTION = 1, /* read, write, or erase where it is needed, is NULL */
	TMD_CONFORMANCE_WRITE_BYTES_BAD, /* write_bytes is 0, or no divisor of TMD_WRITE_BUFFER */
	TMD_CONFORMANCE_ERASED_BAD,      /* erased_value is neither 0xFF nor 0x00 */
	TMD_CONFORMANCE_FLAGS_BAD,       /* a flag that flash.h does not have */
	TMD_CONFORMANCE_RUNS_BAD,        /* no runs, one of nothing, or beyond TMD_MODEL_MAX */
	TMD_CONFORMANCE_UNIT_BAD,        /* an erase unit is no multiple of write_bytes */
	TMD_CONFORMANCE_REGION_BAD,      /* the region is no row of whole erase units */
	TMD_CONFORMANCE_REGION_SMALL     /* the region has fewer than two erase units */
};

struct tmd_conformance_options {
	void *work; /* TMD_CONFORMANCE_WORK bytes, aligned as a uint64_t; owned by the caller */
	/*
	 * Phase 2: nothing is erased or written, only PERSIST is looked at. The region must be the
	 * one of phase 1, and nothing may have written to it since.
	 */
	bool after_reset;
	/*
	 * Check too that nothing changes on the device outside of the region. Reads all of it
	 * twice. Only if nobody else writes to the device meanwhile.
	 */
	bool outside;
	/*
	 * Take the power from the flash and its driver and give it back: reopen the file, restart
	 * the simulator, reset the external chip. 0: done. NULL if that cannot be done while this
	 * runs; then phase 2 is needed.
	 */
	int (*power_cycle)(void *ctx);
	/* Called every few hundred operations at least, for a watchdog. May be NULL. */
	void (*alive)(void *ctx);
	void *ctx; /* handed to both */
};

/* One promise that does not hold: where that was seen first. */
struct tmd_conformance_finding {
	uint8_t rule;    /* enum tmd_conformance_rule */
	uint8_t detail;  /* of GEOMETRY: enum tmd_conformance_geometry; else 0 */
	uint8_t want;    /* the byte that should be there; 0 if an operation returned an error */
	uint8_t got;     /* the one that is; likewise */
	bool error;      /* an operation returned an error */
	uint32_t offset; /* on the device: of that byte, or of the operation that failed */
	/*
	 * Of the operation that it was seen after, or of what was looked at. Of WRITE_UNIT: what
	 * the flash seems to take, or 0 if that was not found.
	 */
	uint32_t bytes;
	uint32_t from; /* of ADDRESS: offset where what is read belongs; else UINT32_MAX */
};

struct tmd_conformance_result {
	uint32_t checked; /* bit n: rule n was looked at on the whole region. Silence is no pass */
	uint32_t broken;  /* bit n: rule n does not hold */
	uint32_t reads;   /* operations asked of the port, in this call */
	uint32_t writes;
	uint32_t erases;
	uint32_t bytes_written;
	uint32_t units; /* erase units of the region */
	/*
	 * In the order in which they were seen, each rule once. The first is most likely the cause
	 * of those behind it. After one that makes everything else worthless (a failing read, write
	 * or erase), the test ends: what it did not come to is missing in `checked`.
	 */
	uint8_t findings_n;
	struct tmd_conformance_finding findings[TMD_CONFORMANCE_RULES_N];
};

/*
 * Test the port of `region`, which is destroyed. TMD_OK: all that was checked holds;
 * TMD_ERR_ARGUMENT: no region, result or working memory, or it is not aligned (nothing was done,
 * and the result is not touched); TMD_ERR_GEOMETRY: rule GEOMETRY (nothing was done);
 * TMD_ERR_FLASH_VERIFY: another rule.
 */
int tmd_conformance(const struct tmd_region *region, const struct tmd_conformance_options *options,
		    struct tmd_conformance_result *result) TMD_MUST_CHECK;

/* "ERASE_WHOLE"; what flash.h promises; what to look at. "?" for a number that is no rule. */
const char *tmd_conformance_name(int rule);
const char *tmd_conformance_promise(int rule);
const char *tmd_conformance_advice(int rule);

/* What is wrong with a geometry, in words. */
const char *tmd_conformance_geometry_text(int detail);

/*
 * Say the result in words, line by line, without line ends: each broken rule, what was not checked,
 * the operations that it took, and at last a line that begins with PASSED or FAILED. `say` gets
 * lines of less than TMD_CONFORMANCE_LINE bytes, valid during the call.
 */
#define TMD_CONFORMANCE_LINE 200u
void tmd_conformance_report(const struct tmd_conformance_result *result,
			    void (*say)(void *ctx, const char *line), void *ctx);

#if defined(__cplusplus)
}
#endif

#endif /* TMD_PORTS_CONFORMANCE_H */

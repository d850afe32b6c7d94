/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the test found, in words. Linked only where used.
 */
#include <string.h>

#include "conformance.h"

struct words {
	const char *name;
	const char *promise;
	const char *advice;
};

static const struct words rules[TMD_CONFORMANCE_RULES_N] = {
	[TMD_CONFORMANCE_GEOMETRY] = {
		"GEOMETRY",
		"runs, units and region fit together",
		"compare struct tmd_flash with the reference manual",
	},
	[TMD_CONFORMANCE_READ] = {
		"READ",
		"a read of whole write units succeeds",
		"bounds in read; is the flash unlocked, clocked, powered?",
	},
	[TMD_CONFORMANCE_READ_ANY] = {
		"READ_ANY",
		"any offset, length and buffer can be read",
		"offsets or buffers rounded to words; DMA that needs alignment",
	},
	[TMD_CONFORMANCE_READ_WHOLE] = {
		"READ_WHOLE",
		"a read that returns 0 filled all of its buffer",
		"a driver's result that is dropped; reads cut at a bound",
	},
	[TMD_CONFORMANCE_READ_FRESH] = {
		"READ_FRESH",
		"a read shows what flash holds now",
		"invalidate caches and prefetch buffers after write and erase",
	},
	[TMD_CONFORMANCE_ERASE] = {
		"ERASE",
		"an erase succeeds",
		"erase unit not the chip's; locked, protected; old error bits",
	},
	[TMD_CONFORMANCE_ERASE_DONE] = {
		"ERASE_DONE",
		"an erase that returns 0 was done",
		"page number from offset; bank; wait for the end; errors; a blank check that "
		"looks at the unit's begin only",
	},
	[TMD_CONFORMANCE_ERASE_WHOLE] = {
		"ERASE_WHOLE",
		"an erase erases all of its unit",
		"the real unit is smaller than runs says, or erase was not waited for",
	},
	[TMD_CONFORMANCE_ERASE_ONLY] = {
		"ERASE_ONLY",
		"an erase erases nothing but its unit",
		"the real unit is larger than runs says, or begins elsewhere",
	},
	[TMD_CONFORMANCE_ERASED_VALUE] = {
		"ERASED_VALUE",
		"what is erased reads as erased_value",
		"erased_value; flash that is encrypted",
	},
	[TMD_CONFORMANCE_WRITE] = {
		"WRITE",
		"a write succeeds",
		"write_bytes smaller than the chip's; locked, protected; old error bits",
	},
	[TMD_CONFORMANCE_WRITE_DONE] = {
		"WRITE_DONE",
		"a write that returns 0 was done",
		"a driver's result that is dropped; write protection of this place; what the "
		"address register counts",
	},
	[TMD_CONFORMANCE_WRITE_WHOLE] = {
		"WRITE_WHOLE",
		"a write writes all of its bytes",
		"the loop over write units; the width of one programming operation",
	},
	[TMD_CONFORMANCE_WRITE_BYTES] = {
		"WRITE_BYTES",
		"a place holds the bytes in their order",
		"byte order within words; a page buffer not cleared; write_bytes larger than "
		"what is programmed at once",
	},
	[TMD_CONFORMANCE_WRITE_ONLY] = {
		"WRITE_ONLY",
		"a write changes nothing but its range",
		"length of the last word; a page buffer that is written as a whole",
	},
	[TMD_CONFORMANCE_WRITE_UNIT] = {
		"WRITE_UNIT",
		"each write unit can be written by itself",
		"write_bytes is smaller than what flash programs at once",
	},
	[TMD_CONFORMANCE_WRITE_BUFFER] = {
		"WRITE_BUFFER",
		"a write takes its bytes from any address that is a multiple of "
		"write_bytes, or of 8 if that is less",
		"a driver or DMA that wants its buffer aligned: copy it",
	},
	[TMD_CONFORMANCE_WRITE_LENGTH] = {
		"WRITE_LENGTH",
		"any number of write units of an erase unit is written at once",
		"writes that cross a page of the chip wrap: cut them there",
	},
	[TMD_CONFORMANCE_REWRITE] = {
		"REWRITE",
		"with TMD_FLASH_NO_ERASE any value replaces any other",
		"this flash needs an erase: do not set the flag",
	},
	[TMD_CONFORMANCE_MEMORY] = {
		"MEMORY",
		"read and write change no memory but what they are given",
		"lengths rounded up; a buffer that is encrypted in place",
	},
	[TMD_CONFORMANCE_ADDRESS] = {
		"ADDRESS",
		"each offset is a place of its own",
		"address bits that are lost: width of the command, bank, shift",
	},
	[TMD_CONFORMANCE_MAP] = {
		"MAP",
		"memory at map's address shows what flash holds",
		"map's address; invalidate the cache after write and erase",
	},
	[TMD_CONFORMANCE_OUTSIDE] = {
		"OUTSIDE",
		"nothing changes outside of the region",
		"address bits that are lost; or somebody else writes there",
	},
	[TMD_CONFORMANCE_PERSIST] = {
		"PERSIST",
		"what was written outlasts a reset",
		"buffers that are not flushed before write returns",
	},
};

static bool is_rule(int rule)
{
	return rule >= 0 && rule < (int)TMD_CONFORMANCE_RULES_N;
}

const char *tmd_conformance_name(int rule)
{
	return is_rule(rule) ? rules[rule].name : "?";
}

const char *tmd_conformance_promise(int rule)
{
	return is_rule(rule) ? rules[rule].promise : "?";
}

const char *tmd_conformance_advice(int rule)
{
	return is_rule(rule) ? rules[rule].advice : "?";
}

const char *tmd_conformance_geometry_text(int detail)
{
	switch (detail) {
	case TMD_CONFORMANCE_NO_FUNCTION:
		return "read, write or erase is NULL";
	case TMD_CONFORMANCE_WRITE_BYTES_BAD:
		return "write_bytes is 0, or TMD_WRITE_BUFFER is no multiple of it";
	case TMD_CONFORMANCE_ERASED_BAD:
		return "erased_value is neither 0xFF nor 0x00";
	case TMD_CONFORMANCE_FLAGS_BAD:
		return "flags has a bit that flash.h does not know";
	case TMD_CONFORMANCE_RUNS_BAD:
		return "runs is missing, has a run of 0 bytes or 0 units, or is beyond 2 GB";
	case TMD_CONFORMANCE_UNIT_BAD:
		return "an erase unit is no multiple of write_bytes";
	case TMD_CONFORMANCE_REGION_BAD:
		return "the region is no row of whole erase units within the device";
	case TMD_CONFORMANCE_REGION_SMALL:
		return "the region has fewer than two erase units";
	default:
		return "?";
	}
}

/* ---- lines ---- */

struct line {
	char text[TMD_CONFORMANCE_LINE];
	size_t n;
};

static void add(struct line *line, const char *text)
{
	const size_t room = sizeof(line->text) - 1u - line->n;
	const size_t bytes = strlen(text);
	const size_t n = bytes < room ? bytes : room;

	memcpy(&line->text[line->n], text, n);
	line->n += n;
	line->text[line->n] = '\0';
}

static void add_number(struct line *line, uint32_t number)
{
	char digits[11];
	size_t at = sizeof(digits) - 1u;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10u);
		number /= 10u;
	} while (number != 0u);
	add(line, &digits[at]);
}

static void add_hex(struct line *line, uint32_t number, unsigned int digits)
{
	char text[9];

	for (unsigned int i = 0; i < digits; i++) {
		text[i] = "0123456789abcdef"[(number >> 4u * (digits - 1u - i)) & 0xFu];
	}
	text[digits] = '\0';
	add(line, "0x");
	add(line, text);
}

static void send(struct line *line, void (*say)(void *ctx, const char *line), void *ctx)
{
	say(ctx, line->text);
	line->n = 0;
	line->text[0] = '\0';
}

/* "ERASE_WHOLE at 0x00001800, 4096 bytes: 0x5a instead of 0xff" */
static void add_finding(struct line *line, const struct tmd_conformance_finding *finding)
{
	add(line, tmd_conformance_name(finding->rule));
	add(line, " at ");
	add_hex(line, finding->offset, 8);
	add(line, ", ");
	add_number(line, finding->bytes);
	if (finding->rule == (uint8_t)TMD_CONFORMANCE_WRITE_UNIT) {
		add(line, " bytes are what flash programs at once");
	} else {
		add(line, finding->bytes == 1u ? " byte" : " bytes");
	}
	if (finding->detail != 0u) {
		add(line, ": ");
		add(line, tmd_conformance_geometry_text(finding->detail));
	} else if (finding->error) {
		add(line, ": returned an error");
	} else if (finding->want != finding->got) {
		add(line, ": ");
		add_hex(line, finding->got, 2);
		add(line, " instead of ");
		add_hex(line, finding->want, 2);
	}
	if (finding->from != UINT32_MAX) {
		add(line, ", which belongs to ");
		add_hex(line, finding->from, 8);
	}
}

static void say_unchecked(const struct tmd_conformance_result *result, struct line *line,
			  void (*say)(void *ctx, const char *line), void *ctx)
{
	for (int rule = 0; rule < (int)TMD_CONFORMANCE_RULES_N; rule++) {
		if (((result->checked | result->broken) & (uint32_t)1 << rule) == 0u) {
			add(line, line->n == 0u ? "not checked: " : " ");
			add(line, tmd_conformance_name(rule));
		}
		if (line->n > TMD_CONFORMANCE_LINE / 2u) {
			send(line, say, ctx);
		}
	}
	if (line->n != 0u) {
		send(line, say, ctx);
	}
}

void tmd_conformance_report(const struct tmd_conformance_result *result,
			    void (*say)(void *ctx, const char *line), void *ctx)
{
	struct line line;

	line.n = 0;
	line.text[0] = '\0';
	for (uint32_t i = 0; i < result->findings_n; i++) {
		const int rule = result->findings[i].rule;

		add_finding(&line, &result->findings[i]);
		send(&line, say, ctx);
		add(&line, "  promised: ");
		add(&line, tmd_conformance_promise(rule));
		send(&line, say, ctx);
		add(&line, "  look at:  ");
		add(&line, tmd_conformance_advice(rule));
		send(&line, say, ctx);
	}
	say_unchecked(result, &line, say, ctx);
	add_number(&line, result->units);
	add(&line, " erase units, ");
	add_number(&line, result->erases);
	add(&line, " erases, ");
	add_number(&line, result->writes);
	add(&line, " writes of ");
	add_number(&line, result->bytes_written);
	add(&line, " bytes, ");
	add_number(&line, result->reads);
	add(&line, " reads");
	send(&line, say, ctx);
	add(&line, result->broken == 0u ? "PASSED" : "FAILED");
	send(&line, say, ctx);
}

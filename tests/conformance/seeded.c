/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Runs the conformance test on ports/sim, as it is and with faults seeded into the port.
 *
 *	seeded                  every geometry, and every fault on each geometry that can have it
 *	seeded report FAULT GEOMETRY    one of them, in the words of tmd_conformance_report
 *
 * A line for each: geometry, fault, the first rule that is broken ("-": none), its offset in the
 * region, `bytes` and `from` of the finding, and all broken rules.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <conformance/conformance.h>
#include <sim/sim.h>

#define FAILED (-1)

enum fault {
	NONE,
	ERASE_SMALL,       /* the chip's erase unit is half of what runs says */
	ERASE_LARGE,       /* it is twice that */
	ERASE_NEXT,        /* it erases the unit behind the one that was asked for */
	ERASE_LIES,        /* nothing is done */
	ERASE_LIES_EVEN,   /* likewise, on flash that held one value throughout */
	ERASE_STOPS,       /* returns before it is done, and never does the rest */
	ERASE_ERROR,       /* an error is returned */
	ERASE_SWALLOWED,   /* the chip refuses one unit, and that is not reported */
	ERASE_INVERTED,    /* erased bytes read as the other value */
	ERASE_SKIPS,       /* a unit that begins with erased bytes is taken for erased */
	WRITE_WRAPS,       /* within a page of 64 bytes: what crosses its end comes to its start */
	WRITE_CUT,         /* at the end of such a page; the rest is dropped */
	WRITE_LIES,        /* nothing is done */
	WRITE_SWALLOWED,   /* the chip refuses the third unit and on, and that is not reported */
	WRITE_ERROR,       /* an error is returned from there on */
	WRITE_HALF,        /* half of each write unit */
	WRITE_SWAPPED,     /* bytes of each word turned round */
	WRITE_LONG_ONLY,   /* the chip takes no less than four write units */
	WRITE_ONCE,        /* the chip programs four write units at once, once per erase */
	WRITE_LOST,        /* the same, and does not report what it refuses */
	WRITE_PADS,        /* it programs four at once, and pads with the erased value */
	WRITE_NEIGHBOUR,   /* a bit of the byte behind is cleared */
	WRITE_FAR,         /* and here one of another erase unit */
	WRITE_UNALIGNED,   /* from a buffer that is not aligned by 16, as if it were */
	WRITE_CRYPTS,      /* in place, in the caller's buffer */
	ADDRESS_HIGH,      /* the highest address bit that the region needs is lost everywhere */
	ADDRESS_LOW,       /* address bit 6 is lost everywhere */
	ADDRESS_WRITE,     /* that highest bit is lost in writes */
	ADDRESS_ERASE,     /* and here in erases */
	ADDRESS_OUTSIDE,   /* writes go to another place too, before the region */
	READ_ERROR,        /* from the third unit on */
	READ_SWALLOWED,    /* the same, and not reported */
	READ_WORDS,        /* the offset is rounded down to a word */
	READ_BUFFER,       /* the buffer is rounded down to a word */
	READ_REFUSES,      /* odd lengths are refused */
	READ_TAIL,         /* bytes behind the last whole word are left out */
	READ_BOUND,        /* ends at the end of an erase unit */
	READ_OVERRUNS,     /* whole words are written to the buffer */
	READ_LINE,         /* a line of 32 bytes is cached, and not invalidated */
	READ_CACHE,        /* all is cached until the next reset */
	READ_ERASE_CACHE,  /* a write invalidates that cache, an erase does not */
	MAP_CACHE,         /* what was once read through memory stays */
	MAP_START,         /* the address is that of the unit's start */
	MAP_DEVICE,        /* the address is that of the device's start */
	VOLATILE,          /* nothing outlasts a reset */
	VOLATILE_LAST,     /* the last write waits for the next one */
	VOLATILE_ERASE,    /* erases do not outlast it */
	NEEDS_ERASE,       /* flash that is said to need no erase */
	GEOMETRY_WRITE,    /* write_bytes is 24 */
	GEOMETRY_RUNS,     /* the device ends before the region */
	GEOMETRY_SHIFTED,  /* the region does not begin at a unit's start */
	GEOMETRY_SMALL,    /* it has one unit */
	GEOMETRY_ERASE,    /* there is no erase function */
	FAULTS_N
};

static const char *const names[FAULTS_N] = {
	"none", "erase_small", "erase_large", "erase_next", "erase_lies",
	"erase_lies_even", "erase_stops",
	"erase_error", "erase_swallowed", "erase_inverted", "erase_skips", "write_wraps", "write_cut",
	"write_lies", "write_swallowed", "write_error", "write_half", "write_swapped",
	"write_long_only", "write_once", "write_lost", "write_pads", "write_neighbour",
	"write_far", "write_unaligned", "write_crypts", "address_high", "address_low",
	"address_write", "address_erase", "address_outside", "read_error", "read_swallowed",
	"read_words", "read_buffer", "read_refuses", "read_tail", "read_bound", "read_overruns",
	"read_line", "read_cache", "read_erase_cache", "map_cache", "map_start", "map_device",
	"volatile", "volatile_last", "volatile_erase", "needs_erase", "geometry_write",
	"geometry_runs", "geometry_shifted", "geometry_small", "geometry_erase",
};

/* A port with a fault. */
struct port {
	struct tmd_sim sim; /* first: its address is that of the port */
	struct tmd_flash flash;
	const void *(*map)(void *ctx, uint32_t offset, uint32_t bytes); /* the port's own */
	struct tmd_region region;
	struct tmd_flash_run runs[1];
	enum fault fault;
	uint32_t third; /* offset of the region's third unit */
	uint32_t high;  /* the highest address bit that two units of the region differ in */
	uint8_t *shadow; /* a cache, or what lies in flash behind a buffer */
	uint8_t *valid;  /* which bytes of it are there */
	uint32_t line;   /* of the cache of one line; UINT32_MAX: none */
	/* Of the calls that keep a watchdog from biting. */
	const struct tmd_conformance_result *result; /* whose operations are counted */
	uint32_t calls;
	uint32_t operations; /* until the last of them */
	uint32_t longest;    /* most operations without one */
	uint32_t map_calls;  /* how many there were when `map` was asked last */
	uint32_t map_bytes;  /* for so many bytes */
	bool map_starves;    /* and too few came while these were looked at */
};

/* What conformance.h calls a few hundred operations; and bytes looked at as memory. */
#define OPERATIONS_MOST 300u
#define MAP_MOST 65536u

/* ---- the chip, without the simulator's rules ---- */

static bool rewrites(const struct port *port)
{
	return (port->sim.flash.flags & TMD_FLASH_NO_ERASE) != 0u;
}

static void program(const struct port *port, uint32_t at, uint8_t byte)
{
	uint8_t *cell = &port->sim.bytes[at];

	if (rewrites(port) && port->fault != NEEDS_ERASE) {
		*cell = byte;
	} else if (port->flash.erased_value == 0xFFu) {
		*cell &= byte;
	} else {
		*cell |= byte;
	}
}

static uint32_t unit_bytes(const struct port *port, uint32_t offset, uint32_t *start)
{
	*start = 0;
	for (uint32_t i = 0; i < port->sim.flash.runs_n; i++) {
		const struct tmd_flash_run *run = &port->sim.flash.runs[i];
		const uint32_t end = *start + run->bytes * run->count;

		if (offset < end) {
			*start = offset - (offset - *start) % run->bytes;
			return run->bytes;
		}
		*start = end;
	}
	return 0;
}

/* ---- writing ---- */

static bool is_blank(const struct port *port, uint32_t offset, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++) {
		if (port->sim.bytes[offset + i] != port->flash.erased_value) {
			return false;
		}
	}
	return true;
}

/* The chip's own unit is four of what the port says. */
static int write_four(struct port *port, uint32_t offset, const uint8_t *buf, uint32_t bytes)
{
	const uint32_t real = 4u * port->flash.write_bytes;

	if (port->fault == WRITE_LONG_ONLY && (offset % real != 0u || bytes % real != 0u)) {
		return FAILED;
	}
	for (uint32_t at = offset / real * real; at < offset + bytes; at += real) {
		if (port->fault != WRITE_PADS && !rewrites(port) && !is_blank(port, at, real)) {
			return port->fault == WRITE_LOST ? 0 : FAILED;
		}
		for (uint32_t i = at; i < at + real; i++) {
			const bool inside = i >= offset && i < offset + bytes;

			program(port, i, inside ? buf[i - offset] : port->flash.erased_value);
		}
	}
	return 0;
}

static int write_page(struct port *port, uint32_t offset, const uint8_t *buf, uint32_t bytes)
{
	const uint32_t start = offset / 64u * 64u;

	for (uint32_t i = 0; i < bytes; i++) {
		if (port->fault == WRITE_WRAPS) {
			program(port, start + (offset - start + i) % 64u, buf[i]);
		} else if (offset + i < start + 64u) {
			program(port, offset + i, buf[i]);
		}
	}
	return 0;
}

static int faulty_write(void *ctx, uint32_t offset, const void *data, uint32_t bytes)
{
	struct port *port = ctx;
	const uint8_t *buf = data;
	const uint32_t unit = port->flash.write_bytes;

	switch (port->fault) {
	case WRITE_WRAPS:
	case WRITE_CUT:
		return write_page(port, offset, buf, bytes);
	case WRITE_LONG_ONLY:
	case WRITE_ONCE:
	case WRITE_LOST:
	case WRITE_PADS:
		return write_four(port, offset, buf, bytes);
	case WRITE_LIES:
		return 0;
	case WRITE_SWALLOWED:
	case WRITE_ERROR:
		if (offset + bytes > port->third) {
			return port->fault == WRITE_ERROR ? FAILED : 0;
		}
		break;
	case ADDRESS_HIGH:
	case ADDRESS_WRITE:
		offset &= ~port->high;
		break;
	case VOLATILE_LAST:
		memcpy(port->shadow, port->sim.bytes, port->sim.size);
		break;
	case WRITE_UNALIGNED:
		buf -= (uintptr_t)buf % 16u;
		break;
	default:
		break;
	}
	for (uint32_t i = 0; i < bytes; i++) {
		uint32_t at = offset + i;
		uint8_t byte = buf[i];

		if (port->fault == WRITE_HALF && at % unit >= unit / 2u) {
			continue;
		}
		if (port->fault == WRITE_SWAPPED) {
			byte = buf[i ^ 3u];
		} else if (port->fault == ADDRESS_LOW) {
			at &= ~0x40u;
		}
		program(port, at, byte);
		if (port->fault == READ_ERASE_CACHE) {
			port->valid[at] = 0;
		}
	}
	if (port->fault == WRITE_NEIGHBOUR && offset + bytes < port->sim.size) {
		port->sim.bytes[offset + bytes] ^= 0x10u;
	} else if (port->fault == WRITE_FAR && offset == port->third) {
		port->sim.bytes[port->region.offset + 5u] ^= 0x10u;
	} else if (port->fault == ADDRESS_OUTSIDE) {
		for (uint32_t i = 0; i < bytes; i++) {
			port->sim.bytes[(offset + i) % port->region.offset] = buf[i];
		}
	} else if (port->fault == WRITE_CRYPTS) {
		((uint8_t *)(uintptr_t)buf)[0] ^= 0x55u;
	}
	return 0;
}

/* ---- erasing ---- */

static int faulty_erase(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct port *port = ctx;
	uint8_t value = port->flash.erased_value;

	switch (port->fault) {
	case ERASE_SMALL:
		bytes /= 2u;
		break;
	case ERASE_LARGE:
		offset -= offset % (2u * bytes);
		bytes *= 2u;
		break;
	case ERASE_NEXT:
		offset = offset + 2u * bytes <= port->sim.size ? offset + bytes : offset;
		break;
	case ERASE_LIES:
	case ERASE_LIES_EVEN:
		return 0;
	case ERASE_STOPS:
		bytes -= bytes / 8u;
		break;
	case ERASE_ERROR:
		return FAILED;
	case ERASE_SWALLOWED:
		if (offset == port->third) {
			return 0;
		}
		break;
	case ERASE_INVERTED:
		value ^= 0xFFu;
		break;
	case ERASE_SKIPS:
		if (is_blank(port, offset, bytes < 16u ? bytes : 16u)) {
			return 0;
		}
		break;
	case ADDRESS_HIGH:
	case ADDRESS_ERASE:
		offset &= ~port->high;
		break;
	case VOLATILE_LAST:
		memcpy(port->shadow, port->sim.bytes, port->sim.size);
		break;
	default:
		break;
	}
	memset(&port->sim.bytes[offset], value, bytes);
	return 0;
}

/* ---- reading ---- */

/* The bytes of a cache: what is there stays; what is not is fetched. */
static void from_cache(struct port *port, uint32_t offset, uint8_t *buf, uint32_t bytes)
{
	for (uint32_t i = offset; i < offset + bytes; i++) {
		if (port->valid[i] == 0u) {
			port->valid[i] = 1;
			port->shadow[i] = port->sim.bytes[i];
		}
		if (buf != NULL) {
			buf[i - offset] = port->shadow[i];
		}
	}
}

/* A cache of one line. */
static void from_line(struct port *port, uint32_t offset, uint8_t *buf, uint32_t bytes)
{
	for (uint32_t i = offset; i < offset + bytes; i++) {
		if (port->line != i / 32u) {
			port->line = i / 32u;
			memcpy(port->shadow, &port->sim.bytes[i / 32u * 32u], 32);
		}
		buf[i - offset] = port->shadow[i % 32u];
	}
}

static int faulty_read(void *ctx, uint32_t offset, void *data, uint32_t bytes)
{
	struct port *port = ctx;
	uint8_t *buf = data;
	uint32_t start;

	switch (port->fault) {
	case READ_ERROR:
	case READ_SWALLOWED:
		if (offset + bytes > port->third) {
			return port->fault == READ_ERROR ? FAILED : 0;
		}
		break;
	case READ_WORDS:
		offset &= ~3u;
		break;
	case READ_BUFFER:
		buf -= (uintptr_t)buf % 4u;
		break;
	case READ_REFUSES:
		if (bytes % 2u != 0u) {
			return FAILED;
		}
		break;
	case READ_TAIL:
		bytes &= ~3u;
		break;
	case READ_BOUND:
		start = offset;
		start += unit_bytes(port, offset, &start);
		bytes = bytes < start - offset ? bytes : start - offset;
		break;
	case READ_OVERRUNS:
		bytes = (bytes + 3u) & ~3u;
		bytes = bytes < port->sim.size - offset ? bytes : port->sim.size - offset;
		break;
	case READ_LINE:
		from_line(port, offset, buf, bytes);
		return 0;
	case READ_CACHE:
	case READ_ERASE_CACHE:
		from_cache(port, offset, buf, bytes);
		return 0;
	case ADDRESS_HIGH:
		offset &= ~port->high;
		break;
	case ADDRESS_LOW:
		for (uint32_t i = 0; i < bytes; i++) {
			buf[i] = port->sim.bytes[(offset + i) & ~0x40u];
		}
		return 0;
	default:
		break;
	}
	memcpy(buf, &port->sim.bytes[offset], bytes);
	return 0;
}

static const void *faulty_map(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct port *port = ctx;
	uint32_t start = 0;

	switch (port->fault) {
	case MAP_CACHE:
		from_cache(port, offset, NULL, bytes);
		return &port->shadow[offset];
	case MAP_START:
		(void)unit_bytes(port, offset, &start);
		return &port->sim.bytes[start];
	case MAP_DEVICE:
		return port->sim.bytes;
	case READ_ERROR:
	case READ_SWALLOWED:
	case ADDRESS_LOW:
		return NULL;
	case ADDRESS_HIGH:
		return &port->sim.bytes[offset & ~port->high];
	default:
		return &port->sim.bytes[offset];
	}
}

/* ---- the bench ---- */

static int power_cycle(void *ctx)
{
	struct port *port = ctx;
	const uint8_t erased = port->flash.erased_value;

	if (port->fault == NONE) {
		tmd_sim_power_on(&port->sim);
	} else if (port->fault == VOLATILE) {
		memset(port->sim.bytes, erased, port->sim.size);
	} else if (port->fault == VOLATILE_LAST) {
		memcpy(port->sim.bytes, port->shadow, port->sim.size);
	} else if (port->fault == VOLATILE_ERASE) {
		memset(&port->sim.bytes[port->region.offset + port->region.bytes - 16u], 0x5A, 16);
	} else if (port->valid != NULL) {
		memset(port->valid, 0, port->sim.size);
	}
	port->line = UINT32_MAX;
	return 0;
}

static bool is_one_size(const struct tmd_sim_geometry *geometry)
{
	return geometry->pattern_n == 1u;
}

/* Can a port for this flash have this fault? */
static bool can_have(const struct tmd_sim_geometry *geometry, enum fault fault)
{
	const bool erases = (geometry->flags & TMD_FLASH_NO_ERASE) == 0u;

	/* Large erase units take long, and differ from small ones in how they are erased. */
	if (tmd_sim_pattern_bytes(geometry) >= 65536u && fault > ERASE_SKIPS) {
		return false;
	}
	switch (fault) {
	case ERASE_LARGE:
	case ERASE_NEXT:
	case ADDRESS_ERASE:
		return erases && is_one_size(geometry);
	case ERASE_SMALL:
	case ERASE_LIES:
	case ERASE_LIES_EVEN:
	case ERASE_STOPS:
	case ERASE_ERROR:
	case ERASE_SWALLOWED:
	case ERASE_INVERTED:
	case ERASE_SKIPS:
	case VOLATILE_ERASE:
	case GEOMETRY_ERASE:
	case READ_ERASE_CACHE:
		return erases;
	case WRITE_ONCE:
	case WRITE_LOST:
		return erases && geometry->write_bytes <= 16u;
	case WRITE_PADS: /* on other flash padding changes nothing */
		return !erases && geometry->write_bytes <= 16u;
	case WRITE_LONG_ONLY:
		return geometry->write_bytes <= 16u;
	case WRITE_WRAPS:
	case WRITE_CUT:
	case ADDRESS_LOW:
		return geometry->write_bytes <= 32u;
	case WRITE_HALF:
		return geometry->write_bytes >= 2u;
	case WRITE_SWAPPED:
		return geometry->write_bytes >= 4u;
	case ADDRESS_HIGH:
	case ADDRESS_WRITE:
		return is_one_size(geometry);
	case NEEDS_ERASE:
		return !erases;
	default:
		return true;
	}
}

static void set_up(struct port *port, const struct tmd_sim_geometry *geometry, enum fault fault)
{
	const uint32_t pattern = tmd_sim_pattern_bytes(geometry);
	/* Patterns before the region, and in it. */
	const uint32_t lead = pattern >= 65536u ? 2u : 4u;
	uint32_t start;

	memset(port, 0, sizeof(*port));
	if (!tmd_sim_init(&port->sim, geometry, 3u * lead)) {
		(void)fprintf(stderr, "%s: out of memory\n", geometry->name);
		exit(2);
	}
	port->fault = fault;
	port->flash = port->sim.flash;
	port->region = (struct tmd_region){&port->flash, lead * pattern, lead * pattern};
	port->third = port->region.offset;
	for (unsigned int i = 0; i < (lead == 2u ? 1u : 2u); i++) {
		port->third += unit_bytes(port, port->third, &start);
	}
	port->high = lead * pattern / 2u;
	port->line = UINT32_MAX;
	if (fault == NONE) {
		return;
	}
	port->flash.ctx = port;
	port->flash.read = faulty_read;
	port->flash.write = faulty_write;
	port->flash.erase = faulty_erase;
	port->flash.map = faulty_map;
	port->shadow = malloc(port->sim.size);
	port->valid = calloc(port->sim.size, 1);
	if (port->shadow == NULL || port->valid == NULL) {
		(void)fprintf(stderr, "%s: out of memory\n", geometry->name);
		exit(2);
	}
	/* As it is on a device that was in use. */
	for (uint32_t i = 0; fault != ERASE_INVERTED && i < port->sim.size; i++) {
		port->sim.bytes[i] =
			fault == ERASE_LIES_EVEN ? 0xC3u : (uint8_t)(i * 7u + i / 256u);
	}
}

static void break_geometry(struct port *port)
{
	switch (port->fault) {
	case GEOMETRY_WRITE:
		port->flash.write_bytes = 24;
		break;
	case GEOMETRY_RUNS:
		port->runs[0].bytes = port->region.offset;
		port->runs[0].count = 1;
		port->flash.runs = port->runs;
		port->flash.runs_n = 1;
		break;
	case GEOMETRY_SHIFTED:
		port->region.offset += port->flash.write_bytes;
		break;
	case GEOMETRY_SMALL: {
		uint32_t start;

		port->region.bytes = unit_bytes(port, port->region.offset, &start);
		break;
	}
	case GEOMETRY_ERASE:
		port->flash.erase = NULL;
		break;
	default:
		break;
	}
}

static void tear_down(struct port *port)
{
	free(port->shadow);
	free(port->valid);
	tmd_sim_free(&port->sim);
}

static void print_line(void *ctx, const char *line)
{
	(void)ctx;
	(void)printf("%s\n", line);
}

/* The operations since the last call are done; `calls` more come, or the test has ended. */
static void count_calls(struct port *port, uint32_t calls)
{
	const struct tmd_conformance_result *result = port->result;
	const uint32_t operations = result->reads + result->writes + result->erases;
	const uint32_t without = operations - port->operations;

	port->longest = without > port->longest ? without : port->longest;
	port->operations = operations;
	port->calls += calls;
}

static void alive(void *ctx)
{
	count_calls(ctx, 1);
}

/* Asked for memory: was what was asked for before looked at with signs of life? */
static const void *counted_map(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct port *port = ctx;

	if (port->calls - port->map_calls < port->map_bytes / MAP_MOST) {
		port->map_starves = true;
	}
	port->map_calls = port->calls;
	port->map_bytes = bytes;
	return port->map(ctx, offset, bytes);
}

/* tmd_conformance, during which a watchdog does not bite. */
static int fed(struct port *port, const struct tmd_conformance_options *options,
	       struct tmd_conformance_result *result)
{
	int status;

	port->result = result;
	port->operations = 0;
	port->longest = 0;
	port->map_bytes = 0;
	status = tmd_conformance(&port->region, options, result);
	count_calls(port, 0);
	if (port->longest > OPERATIONS_MOST || port->map_starves) {
		(void)fprintf(stderr, "%s %s: %" PRIu32 " operations without a sign of life; %s\n",
			      port->sim.geometry.name, names[port->fault], port->longest,
			      port->map_starves ? "and none while memory was looked at" : "");
		exit(2);
	}
	return status;
}

/* Phase 1, a reset, phase 2, as on a device that cannot reset itself while it runs. */
static int in_two_phases(struct port *port, struct tmd_conformance_options options,
			 struct tmd_conformance_result *result)
{
	options.power_cycle = NULL;
	if (fed(port, &options, result) != TMD_OK ||
	    (result->checked & (uint32_t)1 << TMD_CONFORMANCE_PERSIST) != 0u) {
		return TMD_ERR_STATE;
	}
	(void)power_cycle(port);
	options.after_reset = true;
	return fed(port, &options, result);
}

static int run_one(const struct tmd_sim_geometry *geometry, enum fault fault, bool in_words)
{
	uint64_t work[TMD_CONFORMANCE_WORK / 8u];
	struct port port;
	struct tmd_conformance_result result;
	struct tmd_conformance_options options = {.work = work, .outside = true, .ctx = &port};
	const struct tmd_conformance_finding *first = &result.findings[0];
	int status;

	options.power_cycle = power_cycle;
	options.alive = alive;
	set_up(&port, geometry, fault);
	break_geometry(&port);
	port.map = port.flash.map;
	port.flash.map = counted_map;
	status = fed(&port, &options, &result);
	if ((status == TMD_OK) != (result.findings_n == 0u) || port.sim.counts.illegal != 0u) {
		(void)fprintf(stderr, "%s %s: status %d, %u findings; %s\n", geometry->name,
			      names[fault], status, (unsigned int)result.findings_n,
			      port.sim.illegal_text);
		exit(2);
	}
	if (in_words) {
		tmd_conformance_report(&result, print_line, NULL);
	} else {
		(void)printf("%s %s %s %" PRId64 " %" PRIu32 " %" PRId64 " ", geometry->name,
			     names[fault],
			     result.findings_n == 0u ? "-" : tmd_conformance_name(first->rule),
			     (int64_t)first->offset - port.region.offset, first->bytes,
			     first->from == UINT32_MAX
				     ? -1
				     : (int64_t)first->from - port.region.offset);
		for (uint32_t i = 0; i < result.findings_n; i++) {
			(void)printf("%s%s", i == 0u ? "" : ",",
				     tmd_conformance_name(result.findings[i].rule));
		}
		(void)printf("%s", result.findings_n == 0u ? "-" : "");
		(void)printf(" checked %08" PRIx32 " erases %" PRIu32 " units %" PRIu32,
			     result.checked, result.erases, result.units);
		status = fault == NONE || fault >= VOLATILE
				 ? in_two_phases(&port, options, &result)
				 : 0;
		(void)printf(" phases %s\n",
			     status == TMD_OK ? "-" : status == TMD_ERR_STATE ? "first"
							: tmd_conformance_name(first->rule));
	}
	tear_down(&port);
	return 0;
}

static int find(const char *name, const struct tmd_sim_geometry **geometry, const char *fault_name,
		enum fault *fault)
{
	for (*geometry = tmd_sim_geometries; (*geometry)->name != NULL; (*geometry)++) {
		if (strcmp((*geometry)->name, name) == 0) {
			break;
		}
	}
	for (unsigned int i = 0; i < FAULTS_N; i++) {
		if (strcmp(names[i], fault_name) == 0) {
			*fault = (enum fault)i;
			return (*geometry)->name == NULL ? FAILED : 0;
		}
	}
	return FAILED;
}

int main(int argc, char **argv)
{
	const struct tmd_sim_geometry *geometry;
	enum fault fault;

	if (argc == 4 && strcmp(argv[1], "report") == 0 &&
	    find(argv[3], &geometry, argv[2], &fault) == 0) {
		return run_one(geometry, fault, true);
	}
	if (argc != 1) {
		(void)fprintf(stderr, "usage: %s [report FAULT GEOMETRY]\n", argv[0]);
		return 2;
	}
	for (geometry = tmd_sim_geometries; geometry->name != NULL; geometry++) {
		for (unsigned int i = 0; i < FAULTS_N; i++) {
			if (can_have(geometry, (enum fault)i)) {
				(void)run_one(geometry, (enum fault)i, false);
			}
		}
	}
	return 0;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The flash simulator enforces what real flash enforces. If it did not, no test on it would show
 * anything.
 */
#include "harness.h"

#include <sim/sim.h>

#define UNITS 4u /* erase units of the devices below */

static const struct tmd_sim_geometry nor = {
	"nor", "plain NOR", {{64, 1}}, 1, 4, 0xFF, 0,
};
static const struct tmd_sim_geometry once = {
	"once", "with ECC", {{64, 1}}, 1, 8, 0xFF, TMD_SIM_WRITE_ONCE,
};
static const struct tmd_sim_geometry zero = {
	"zero", "erased to zero", {{64, 1}}, 1, 4, 0x00, 0,
};
static const struct tmd_sim_geometry ram = {
	"ram", "no erase", {{64, 1}}, 1, 1, 0xFF, TMD_FLASH_NO_ERASE,
};
static const struct tmd_sim_geometry unequal = {
	"unequal", "two sizes", {{32, 2}, {64, 1}}, 2, 4, 0xFF, 0,
};

static struct tmd_sim sim;

static void make(const struct tmd_sim_geometry *geometry)
{
	REQUIRE(tmd_sim_init(&sim, geometry, UNITS));
}

static int rd(uint32_t offset, uint32_t bytes)
{
	uint8_t buf[512];

	REQUIRE(bytes <= sizeof(buf));
	return sim.flash.read(sim.flash.ctx, offset, buf, bytes);
}

/* Write `bytes` times `value`. */
static int wr(uint32_t offset, uint8_t value, uint32_t bytes)
{
	uint8_t buf[512];

	REQUIRE(bytes <= sizeof(buf));
	memset(buf, value, sizeof(buf));
	return sim.flash.write(sim.flash.ctx, offset, buf, bytes);
}

static int er(uint32_t offset, uint32_t bytes)
{
	return sim.flash.erase(sim.flash.ctx, offset, bytes);
}

static bool all_are(uint32_t offset, uint32_t bytes, uint8_t value)
{
	for (uint32_t i = 0; i < bytes; i++) {
		if (sim.bytes[offset + i] != value) {
			return false;
		}
	}
	return true;
}

/* The call failed, was counted as illegal and described, and changed nothing. */
#define EXPECT_ILLEGAL(call, what) \
	do { \
		const uint64_t before = sim.counts.illegal; \
		uint8_t *copy = malloc(sim.size); \
\
		REQUIRE(copy != NULL); \
		memcpy(copy, sim.bytes, sim.size); \
		sim.illegal_text[0] = '\0'; \
		sim.counts.illegal = 0; \
		EXPECT((call) != 0); \
		EXPECT_EQ(sim.counts.illegal, 1); \
		EXPECT(strstr(sim.illegal_text, what) != NULL); \
		EXPECT_BYTES(sim.bytes, copy, sim.size); \
		sim.counts.illegal += before; \
		free(copy); \
	} while (0)

static void test_new_device_is_erased(void)
{
	make(&nor);
	EXPECT_EQ(sim.size, 64u * UNITS);
	EXPECT(all_are(0, sim.size, 0xFF));
	EXPECT_EQ(rd(0, sim.size), 0);
	tmd_sim_free(&sim);

	make(&zero);
	EXPECT_EQ(sim.flash.erased_value, 0x00);
	EXPECT(all_are(0, sim.size, 0x00));
	tmd_sim_free(&sim);
}

static void test_out_of_bounds(void)
{
	make(&nor);
	EXPECT_EQ(rd(sim.size - 1u, 1), 0);
	EXPECT_ILLEGAL(rd(sim.size, 1), "read out of bounds at 0x100, 1 bytes");
	EXPECT_ILLEGAL(rd(sim.size - 1u, 2), "read out of bounds");
	EXPECT_ILLEGAL(rd(0xFFFFFFFFu, 2), "read out of bounds");
	EXPECT_ILLEGAL(rd(0, 0), "read out of bounds"); /* "never asks for 0 bytes" */
	EXPECT_ILLEGAL(wr(sim.size, 0, 4), "write out of bounds");
	EXPECT_ILLEGAL(wr(0xFFFFFFFCu, 0, 8), "write out of bounds");
	EXPECT_ILLEGAL(wr(0, 0, 0), "write out of bounds");
	EXPECT_ILLEGAL(er(sim.size, 64), "erase of what is not one erase unit");
	EXPECT_ILLEGAL(er(0xFFFFFFC0u, 64), "erase of what is not one erase unit");
	tmd_sim_free(&sim);
}

static void test_unaligned(void)
{
	make(&nor);
	for (uint32_t off = 1; off < 4u; off++) {
		context("off by %u", (unsigned int)off);
		EXPECT_ILLEGAL(wr(off, 0, 4), "unaligned");
		EXPECT_ILLEGAL(wr(0, 0, 4u + off), "unaligned");
		EXPECT_EQ(rd(off, 3), 0); /* reads may be */
	}
	tmd_sim_free(&sim);
}

static void test_write_across_erase_units(void)
{
	make(&nor);
	EXPECT_EQ(wr(60, 0, 4), 0);
	EXPECT_ILLEGAL(wr(56, 0, 12), "across erase units");
	EXPECT_ILLEGAL(wr(64, 0, 128), "across erase units");
	EXPECT_EQ(wr(64, 0, 64), 0);
	tmd_sim_free(&sim);
}

static void test_write_to_what_is_not_erased(void)
{
	make(&nor);
	EXPECT_EQ(wr(0, 0xF0, 4), 0);
	EXPECT_ILLEGAL(wr(0, 0x0F, 4), "not erased"); /* bits would have to rise */
	EXPECT_ILLEGAL(wr(0, 0xF1, 8), "not erased");
	EXPECT_EQ(sim.counts.rewrites, 0);
	/* Clearing more bits is what this flash can do; it is counted all the same. */
	EXPECT_EQ(wr(0, 0x30, 4), 0);
	EXPECT_EQ(sim.counts.rewrites, 1);
	EXPECT(all_are(0, 4, 0x30));
	tmd_sim_free(&sim);

	make(&zero);
	EXPECT_EQ(wr(0, 0x0F, 4), 0);
	EXPECT_ILLEGAL(wr(0, 0xF0, 4), "not erased"); /* here bits cannot fall */
	EXPECT_EQ(wr(0, 0x3F, 4), 0);
	EXPECT_EQ(sim.counts.rewrites, 1);
	tmd_sim_free(&sim);
}

static void test_write_once(void)
{
	make(&once);
	EXPECT_EQ(wr(0, 0xFF, 8), 0); /* even all ones: the ECC is programmed */
	EXPECT_ILLEGAL(wr(0, 0x00, 8), "not erased");
	EXPECT_ILLEGAL(wr(0, 0xFF, 8), "not erased");
	EXPECT_EQ(wr(8, 0x00, 8), 0);
	EXPECT_EQ(er(0, 64), 0);
	EXPECT_EQ(wr(0, 0x00, 8), 0);
	EXPECT_EQ(sim.counts.rewrites, 0);
	tmd_sim_free(&sim);
}

static void test_erase_is_one_unit(void)
{
	make(&nor);
	EXPECT_EQ(wr(0, 0, 64), 0);
	EXPECT_EQ(wr(64, 0, 64), 0);
	EXPECT_ILLEGAL(er(0, 32), "not one erase unit");
	EXPECT_ILLEGAL(er(0, 128), "not one erase unit");
	EXPECT_ILLEGAL(er(32, 64), "not one erase unit");
	EXPECT_EQ(er(64, 64), 0);
	EXPECT(all_are(0, 64, 0x00));
	EXPECT(all_are(64, 64, 0xFF));
	EXPECT_EQ(wr(64, 0xAA, 64), 0);
	EXPECT_EQ(sim.counts.rewrites, 0);
	tmd_sim_free(&sim);
}

static void test_unequal_units(void)
{
	make(&unequal);
	EXPECT_EQ(tmd_sim_pattern_bytes(&unequal), 128);
	EXPECT_EQ(sim.size, 128u * UNITS);
	EXPECT_EQ(er(0, 32), 0);
	EXPECT_EQ(er(32, 32), 0);
	EXPECT_EQ(er(64, 64), 0);
	EXPECT_EQ(er(128, 32), 0);
	EXPECT_ILLEGAL(er(64, 32), "not one erase unit");
	EXPECT_ILLEGAL(er(96, 32), "not one erase unit");
	EXPECT_ILLEGAL(er(0, 64), "not one erase unit");
	EXPECT_ILLEGAL(wr(28, 0, 8), "across erase units");
	EXPECT_EQ(wr(64, 0, 64), 0);
	tmd_sim_free(&sim);
}

static void test_flash_without_erase(void)
{
	make(&ram);
	EXPECT_EQ(sim.flash.flags, TMD_FLASH_NO_ERASE);
	EXPECT_EQ(wr(3, 0x0F, 1), 0);
	EXPECT_EQ(wr(3, 0xF0, 1), 0);
	EXPECT_EQ(sim.bytes[3], 0xF0);
	EXPECT_EQ(sim.counts.rewrites, 0);
	EXPECT_ILLEGAL(er(0, 64), "erase of flash that has none");
	tmd_sim_free(&sim);
}

static void test_counts(void)
{
	make(&nor);
	EXPECT_EQ(wr(0, 1, 8), 0);
	EXPECT_EQ(wr(64, 1, 4), 0);
	EXPECT_EQ(er(0, 64), 0);
	EXPECT_EQ(rd(0, 10), 0);
	EXPECT_EQ(sim.counts.operations, 3);
	EXPECT_EQ(sim.counts.writes, 2);
	EXPECT_EQ(sim.counts.erases, 1);
	EXPECT_EQ(sim.counts.bytes_written, 12);
	EXPECT_EQ(sim.counts.reads, 1);
	EXPECT_EQ(sim.counts.bytes_read, 10);
	EXPECT_EQ(sim.counts.illegal, 0);
	tmd_sim_free(&sim);
}

static void test_map(void)
{
	make(&once);
	EXPECT(sim.flash.map(sim.flash.ctx, 8, 16) == &sim.bytes[8]);
	EXPECT(sim.flash.map(sim.flash.ctx, sim.size, 1) == NULL);
	sim.cut = TMD_SIM_CUT_TORN;
	sim.cut_at = 1;
	EXPECT(wr(0, 0, 8) != 0);
	EXPECT(sim.flash.map(sim.flash.ctx, 8, 16) == NULL); /* no power */
	tmd_sim_power_on(&sim);
	EXPECT(sim.flash.map(sim.flash.ctx, 8, 16) == &sim.bytes[8]);
	EXPECT(sim.flash.map(sim.flash.ctx, 0, 16) == NULL); /* torn */
	tmd_sim_free(&sim);
}

/* Cut the write of 64 bytes of 0xA5 in each way. */
static void test_cut_write(void)
{
	make(&once);
	for (uint32_t i = 0; i < 200u; i++) {
		const enum tmd_sim_cut cut = (enum tmd_sim_cut)(i % TMD_SIM_CUTS_N);
		uint32_t done = 0;

		context("cut %d, round %u", cut, (unsigned int)i);
		REQUIRE(er(64, 64) == 0);
		sim.cut = (uint8_t)cut;
		sim.cut_at = sim.counts.operations + 2u;
		EXPECT_EQ(er(192, 64), 0); /* not this one, but the next */
		EXPECT(wr(64, 0xA5, 64) != 0);
		EXPECT(rd(0, 1) != 0); /* nothing works without power */
		EXPECT(wr(128, 0, 8) != 0);
		EXPECT(er(128, 64) != 0);
		tmd_sim_power_on(&sim);
		EXPECT_EQ(rd(0, 8), 0);

		while (done < 64u && !tmd_sim_faults(&sim, 64u + done, 8) &&
		       all_are(64u + done, 8, 0xA5)) {
			done += 8u;
		}
		switch (cut) {
		case TMD_SIM_CUT_BEFORE:
			EXPECT_EQ(done, 0);
			EXPECT_EQ(rd(64, 64), 0);
			EXPECT(all_are(64, 64, 0xFF));
			break;
		case TMD_SIM_CUT_PREFIX:
			EXPECT(done < 64u);
			EXPECT_EQ(rd(64, 64), 0);
			EXPECT(all_are(64u + done, 64u - done, 0xFF));
			break;
		case TMD_SIM_CUT_TORN:
			EXPECT(done < 64u);
			EXPECT(tmd_sim_faults(&sim, 64u + done, 8));
			EXPECT(rd(64u + done, 8) != 0);
			EXPECT(rd(64u + done + 7u, 1) != 0);
			EXPECT(rd(64, 64) != 0);
			if (done < 56u) {
				EXPECT_EQ(rd(72u + done, 56u - done), 0);
				EXPECT(all_are(72u + done, 56u - done, 0xFF));
			}
			break;
		case TMD_SIM_CUT_SUBSET:
			for (uint32_t at = 64; at < 128u; at++) {
				EXPECT(rd(at, 1) != 0);
			}
			EXPECT(!tmd_sim_is_weak(&sim, 0, 64) && !tmd_sim_is_weak(&sim, 128, 64));
			break;
		case TMD_SIM_CUT_AFTER:
		case TMD_SIM_CUTS_N:
			EXPECT_EQ(done, 64);
			break;
		}
	}
	tmd_sim_free(&sim);
}

/* Torn writes and prefixes end at any unit, and tear any bits: all of it is seen in some run. */
static void test_cuts_are_of_many_shapes(void)
{
	uint64_t lengths[2] = {0, 0};
	uint8_t kept = 0;
	uint8_t done = 0;

	make(&nor);
	for (uint32_t i = 0; i < 1000u; i++) {
		const bool torn = i % 2u != 0u;
		uint32_t whole = 0;

		REQUIRE(er(0, 64) == 0);
		sim.cut = torn ? TMD_SIM_CUT_TORN : TMD_SIM_CUT_PREFIX;
		sim.cut_at = sim.counts.operations + 1u;
		EXPECT(wr(0, 0x00, 64) != 0);
		tmd_sim_power_on(&sim);
		while (whole < 64u && sim.bytes[whole] == 0x00u) {
			whole++;
		}
		lengths[torn ? 1 : 0] |= (uint64_t)1 << (whole / 4u);
		if (torn && whole < 60u) {
			EXPECT_EQ(rd(0, 64), 0); /* without ECC it reads, whatever it is */
			kept |= sim.bytes[whole];
			done |= (uint8_t)~sim.bytes[whole];
		}
	}
	EXPECT_EQ(lengths[0], 0xFFFF); /* 0 to 15 whole units */
	EXPECT_EQ(lengths[1] & 0xFFFFu, 0xFFFF);
	EXPECT_EQ(kept, 0xFF);
	EXPECT_EQ(done, 0xFF);
	tmd_sim_free(&sim);
}

/* The test says how much of the operation is done before the cut. */
static void test_cuts_at_a_given_part(void)
{
	for (uint32_t part = 0; part < 40u; part++) {
		uint32_t whole = 0;

		context("part %u", (unsigned int)part);
		make(&nor);
		sim.cut = TMD_SIM_CUT_PREFIX;
		sim.cut_at = 1;
		sim.cut_part = part;
		EXPECT(wr(0, 0x00, 64) != 0);
		tmd_sim_power_on(&sim);
		EXPECT_EQ(sim.cut_part, TMD_SIM_ANY);
		while (whole < 64u && sim.bytes[whole] == 0x00u) {
			whole++;
		}
		EXPECT_EQ(whole, part % 16u * 4u);
		REQUIRE(er(0, 64) == 0);
		REQUIRE(wr(0, 0x5A, 64) == 0);
		sim.cut_at = sim.counts.operations + 1u;
		sim.cut_part = part;
		EXPECT(er(0, 64) != 0);
		EXPECT(all_are(0, part % 16u * 4u, 0xFF));
		EXPECT(all_are(part % 16u * 4u, 64u - part % 16u * 4u, 0x5A));
		tmd_sim_free(&sim);
	}
}

static void test_cut_erase(void)
{
	bool random_bits = false;
	bool reads_as_erased = false;

	make(&nor);
	for (uint32_t i = 0; i < 200u; i++) {
		const enum tmd_sim_cut cut = (enum tmd_sim_cut)(i % TMD_SIM_CUTS_N);
		uint32_t done = 0;

		context("cut %d, round %u", cut, (unsigned int)i);
		REQUIRE(er(0, 64) == 0);
		REQUIRE(wr(0, 0x5A, 64) == 0);
		sim.cut = (uint8_t)cut;
		sim.cut_at = sim.counts.operations + 1u;
		EXPECT(er(0, 64) != 0);
		EXPECT(rd(0, 1) != 0);
		tmd_sim_power_on(&sim);
		EXPECT_EQ(rd(0, 64), 0);
		while (done < 64u && sim.bytes[done] == 0xFFu) {
			done++;
		}
		switch (cut) {
		case TMD_SIM_CUT_BEFORE:
			EXPECT(all_are(0, 64, 0x5A));
			break;
		case TMD_SIM_CUT_PREFIX:
			EXPECT(done < 64u);
			EXPECT(all_are(done, 64u - done, 0x5A));
			break;
		case TMD_SIM_CUT_TORN:
			/* It may read as erased, and does not hold: programming it is a rewrite. */
			if (done == 64u) {
				const uint64_t rewrites = sim.counts.rewrites;

				reads_as_erased = true;
				EXPECT_EQ(wr(0, 0x00, 4), 0);
				EXPECT_EQ(sim.counts.rewrites, rewrites + 1u);
			} else {
				random_bits = random_bits || !all_are(done, 64u - done, 0x5A);
			}
			break;
		case TMD_SIM_CUT_SUBSET:
			for (uint32_t at = 0; at < 64u; at++) {
				/* Bits were erased, and none was programmed. */
				EXPECT_EQ(sim.bytes[at] & 0x5Au, 0x5A);
			}
			EXPECT(tmd_sim_is_weak(&sim, 63, 1));
			EXPECT(!tmd_sim_is_weak(&sim, 64, 64));
			break;
		case TMD_SIM_CUT_AFTER:
		case TMD_SIM_CUTS_N:
			EXPECT(all_are(0, 64, 0xFF));
			EXPECT_EQ(wr(0, 0x00, 4), 0);
			break;
		}
	}
	EXPECT(random_bits);
	EXPECT(reads_as_erased);
	tmd_sim_free(&sim);

	make(&once);
	REQUIRE(wr(0, 0x5A, 64) == 0);
	sim.cut = TMD_SIM_CUT_TORN;
	sim.cut_at = sim.counts.operations + 1u;
	EXPECT(er(0, 64) != 0);
	tmd_sim_power_on(&sim);
	for (uint32_t at = 0; at < 64u; at++) {
		EXPECT(rd(at, 1) != 0); /* with ECC, no part of it reads */
	}
	EXPECT_ILLEGAL(wr(0, 0, 8), "not erased");
	EXPECT_EQ(er(0, 64), 0);
	EXPECT_EQ(rd(0, 64), 0);
	EXPECT_EQ(wr(0, 0, 8), 0);
	tmd_sim_free(&sim);
}

static uint32_t bits_that_differ(uint32_t offset, uint32_t bytes, uint8_t value)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < bytes; i++) {
		for (uint8_t diff = (uint8_t)(sim.bytes[offset + i] ^ value); diff != 0u;
		     diff = (uint8_t)(diff & (diff - 1u))) {
			bits++;
		}
	}
	return bits;
}

static void test_faults(void)
{
	make(&nor);
	sim.fault = TMD_SIM_FAULT_ERROR;
	sim.fault_at = 2;
	EXPECT_EQ(wr(0, 0, 4), 0);
	EXPECT(wr(4, 0, 4) != 0);
	EXPECT_EQ(wr(8, 0, 4), 0); /* one operation, not all later ones */
	EXPECT(all_are(4, 4, 0xFF));
	sim.fault_at = sim.counts.operations + 1u;
	EXPECT(er(0, 64) != 0);
	EXPECT(all_are(0, 4, 0x00));

	sim.fault = TMD_SIM_FAULT_LIE;
	sim.fault_at = sim.counts.operations + 1u;
	EXPECT_EQ(er(0, 64), 0);
	EXPECT(all_are(0, 4, 0x00));
	sim.fault_at = sim.counts.operations + 1u;
	EXPECT_EQ(wr(64, 0, 64), 0);
	EXPECT(all_are(64, 64, 0xFF));

	sim.fault = TMD_SIM_FAULT_FLIP;
	sim.fault_at = sim.counts.operations + 1u;
	EXPECT_EQ(wr(64, 0xA5, 64), 0);
	EXPECT_EQ(bits_that_differ(64, 64, 0xA5), 1);
	sim.fault_at = sim.counts.operations + 1u;
	EXPECT_EQ(er(64, 64), 0);
	EXPECT_EQ(bits_that_differ(64, 64, 0xFF), 1);

	sim.fault_at = sim.counts.operations + 1u;
	tmd_sim_power_on(&sim); /* takes what was ahead away */
	EXPECT_EQ(er(64, 64), 0);
	EXPECT_EQ(bits_that_differ(64, 64, 0xFF), 0);
	EXPECT_EQ(sim.counts.illegal, 0);
	tmd_sim_free(&sim);
}

static void test_same_seed_same_tear(void)
{
	uint8_t first[64];

	for (uint32_t run = 0; run < 3u; run++) {
		make(&nor);
		sim.random += run / 2u; /* the third run has another seed */
		sim.cut = TMD_SIM_CUT_TORN;
		sim.cut_at = 1;
		EXPECT(er(0, 64) != 0);
		tmd_sim_power_on(&sim);
		sim.cut_at = 2;
		EXPECT(wr(64, 0, 64) != 0);
		if (run == 0u) {
			memcpy(first, &sim.bytes[64], sizeof(first));
		} else {
			EXPECT_EQ(memcmp(first, &sim.bytes[64], sizeof(first)) == 0, run == 1u);
		}
		tmd_sim_free(&sim);
	}
}

static void test_known_geometries_make_devices(void)
{
	uint32_t n = 0;

	for (; tmd_sim_geometries[n].name != NULL; n++) {
		const struct tmd_sim_geometry *g = &tmd_sim_geometries[n];

		context("%s", g->name);
		REQUIRE(tmd_sim_init(&sim, g, 2));
		EXPECT_EQ(sim.size, 2u * tmd_sim_pattern_bytes(g));
		EXPECT_EQ(sim.flash.write_bytes, g->write_bytes);
		EXPECT_EQ(TMD_WRITE_UNIT_MAX % g->write_bytes, 0);
		EXPECT(all_are(0, sim.size, g->erased_value));
		tmd_sim_free(&sim);
		for (uint32_t k = 0; k < n; k++) {
			EXPECT(strcmp(g->name, tmd_sim_geometries[k].name) != 0);
		}
	}
	EXPECT(n >= 8u);
}

static void test_ill_formed_geometries(void)
{
	struct tmd_sim_geometry g = nor;

	EXPECT(!tmd_sim_init(&sim, &g, 0));
	EXPECT(!tmd_sim_init(&sim, &g, 0x7FFFFFFFu)); /* beyond 1 GB */
	g.write_bytes = 0;
	EXPECT(!tmd_sim_init(&sim, &g, 1));
	g = nor;
	g.pattern[0].bytes = 0;
	EXPECT(!tmd_sim_init(&sim, &g, 1));
	g = nor;
	g.pattern_n = TMD_SIM_RUNS_MAX + 1u;
	EXPECT(!tmd_sim_init(&sim, &g, 1));
}

int main(void)
{
	RUN(test_new_device_is_erased);
	RUN(test_out_of_bounds);
	RUN(test_unaligned);
	RUN(test_write_across_erase_units);
	RUN(test_write_to_what_is_not_erased);
	RUN(test_write_once);
	RUN(test_erase_is_one_unit);
	RUN(test_unequal_units);
	RUN(test_flash_without_erase);
	RUN(test_counts);
	RUN(test_map);
	RUN(test_cut_write);
	RUN(test_cuts_are_of_many_shapes);
	RUN(test_cuts_at_a_given_part);
	RUN(test_cut_erase);
	RUN(test_faults);
	RUN(test_same_seed_same_tear);
	RUN(test_known_geometries_make_devices);
	RUN(test_ill_formed_geometries);
	return harness_result();
}

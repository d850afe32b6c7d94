/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Updates of models that span several erase units, on every kind of flash that is known by name:
 * what is erased and written, and that it is no more than it has to be.
 */
#include "harness.h"

#include <store/region.h>

#include "bench.h"

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes patch;

/* Two and a half patterns of erase units: several units, the last of them filled in part. */
static uint32_t model_bytes(const struct tmd_sim_geometry *geometry)
{
	return tmd_sim_pattern_bytes(geometry) * 5u / 2u;
}

static void set_up(const struct tmd_sim_geometry *geometry, uint32_t base_bytes,
		   uint32_t target_bytes, uint8_t kind)
{
	base = model_make(base_bytes, 31);
	target = model_derive(&base, target_bytes, 32);
	patch = patch_make(&base, &target, kind);
	bench_init(&b, geometry, base_bytes > target_bytes ? base_bytes : target_bytes, &base,
		   BENCH_FACTORY);
	b.contract.accept = kind == TMD_DIGEST_NONE ? TMD_ACCEPT_NO_DIGEST : 0u;
	context("%s", geometry->name);
}

static void tear_down(void)
{
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&target);
	bytes_free(&patch);
}

static bool erases(void)
{
	return (b.flash.flags & TMD_FLASH_NO_ERASE) == 0u;
}

/* The erase units of the device, up to `offset`. */
static uint32_t units_until(uint32_t offset)
{
	uint32_t units = 0;
	uint32_t at = 0;

	for (uint32_t i = 0; i < b.flash.runs_n && at < offset; i++) {
		for (uint32_t k = 0; k < b.flash.runs[i].count && at < offset; k++) {
			at += b.flash.runs[i].bytes;
			units++;
		}
	}
	return units;
}

/*
 * Exactly the units that the model needs in its slot were erased, once each; and of the records no
 * more than what was appended needs.
 */
static void expect_erased(uint32_t slot, uint32_t bytes, uint32_t appended)
{
	const struct tmd_store_config *config = &b.device.config;
	const uint32_t first = units_until(config->slot[slot].offset);
	const uint32_t end = units_until(config->slot[slot].offset + bytes);
	const uint32_t records = units_until(config->records.offset);
	uint32_t of_records = 0;

	for (uint32_t unit = 0; unit < b.units_n; unit++) {
		if (unit < records) {
			EXPECT_EQ(b.erased[unit], erases() && unit >= first && unit < end);
		} else {
			of_records += b.erased[unit];
		}
	}
	EXPECT(of_records <= appended);
}

/* To a multiple of the write unit. */
static uint32_t rounded_up(uint32_t bytes)
{
	return (bytes + b.flash.write_bytes - 1u) / b.flash.write_bytes * b.flash.write_bytes;
}

/*
 * Records that an update to the target appends, if all of it is written: the switch; and a note at the
 * first erase unit and at each that begins 4096 bytes or more behind the one with the last note.
 */
static uint32_t appended(void)
{
	const struct tmd_region *slot = &b.device.config.slot[1];
	uint32_t notes = BENCH_NOTES;
	uint32_t due = 4096;

	for (uint32_t at = 0; notes != 0u && at < target.n; at += unit_at(slot, at)) {
		if (at >= due) {
			notes++;
			due = at + 4096u;
		}
	}
	return notes + 1u;
}

static void test_pieces_of_any_size(void)
{
	static const uint32_t pieces[] = {1, 2, 3, 7, 64, 1000, UINT32_MAX, 0};

	for (uint32_t g = 0; tmd_sim_geometries[g].name != NULL; g++) {
		const uint32_t bytes = model_bytes(&tmd_sim_geometries[g]);

		for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
			const struct tmd_region *slot;

			/* 3: the last unit is filled up even if it is a word */
			set_up(&tmd_sim_geometries[g], bytes, bytes - 3u, TMD_DIGEST_SHA256);
			context("%s, pieces of %u", b.device.sim.geometry.name,
				(unsigned int)pieces[i]);
			slot = b.device.config.slot;
			EXPECT_STATUS(bench_send(&b, &patch, pieces[i]), TMD_OK);
			EXPECT(bench_holds(&b, &target));
			EXPECT(bench_region_is_unchanged(&b, &slot[0]));
			expect_erased(1, target.n, appended());
			EXPECT_EQ(b.device.sim.counts.bytes_written - b.counts.bytes_written,
				  rounded_up(target.n) +
					  appended() * rounded_up(128));
			/* What fills up the last write unit is the erased value. */
			for (uint32_t at = target.n; at < rounded_up(target.n); at++) {
				EXPECT_EQ(b.device.sim.bytes[slot[1].offset + at],
					  b.flash.erased_value);
			}
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, &target));
			EXPECT_EQ(b.device.store.active.slot, 1);
			tear_down();
		}
	}
}

/* A -> B -> C -> A, of three lengths, by all kinds of digest, staged and streamed in turn. */
static void test_thirty_updates_in_a_row(void)
{
	for (uint32_t g = 0; tmd_sim_geometries[g].name != NULL; g++) {
		static const uint8_t kinds[] = {TMD_DIGEST_SHA256, TMD_DIGEST_CRC32,
						TMD_DIGEST_NONE};
		const uint32_t bytes = model_bytes(&tmd_sim_geometries[g]);
		struct bytes models[3];

		set_up(&tmd_sim_geometries[g], bytes, bytes, TMD_DIGEST_NONE);
		models[0] = base;
		models[1] = model_derive(&base, bytes / 2u, 33);
		models[2] = model_derive(&base, bytes - 1u, 34);
		for (uint32_t i = 0; i < 30u; i++) {
			const struct bytes *to = &models[(i + 1u) % 3u];
			struct bytes step = patch_make(&models[i % 3u], to, kinds[i % 3u]);

			context("%s, update %u", b.device.sim.geometry.name, (unsigned int)i);
			bench_mark(&b);
			EXPECT_STATUS(bench_send(&b, &step, i % 2u == 0u ? 200u : 0u), TMD_OK);
			EXPECT(bench_holds(&b, to));
			for (uint32_t unit = 0; unit < b.units_n; unit++) {
				EXPECT(b.erased[unit] <= 1u);
			}
			if (i % 5u == 0u) {
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				EXPECT(bench_holds(&b, to));
			}
			bytes_free(&step);
		}
		bytes_free(&models[1]);
		bytes_free(&models[2]);
		tear_down();
	}
}

#if TMD_RESUME

/* A staged update erases and writes the units that change: any one of them, the first, the last. */
static void test_staged_writes_what_changes(void)
{
	for (uint32_t g = 0; tmd_sim_geometries[g].name != NULL; g++) {
		const uint32_t bytes = model_bytes(&tmd_sim_geometries[g]);
		struct bytes back;

		set_up(&tmd_sim_geometries[g], bytes, bytes, TMD_DIGEST_SHA256);
		bytes_free(&target);
		bytes_free(&patch);
		target = model_make(bytes, 31);
		target.at[0] ^= 1u;
		patch = patch_make(&base, &target, TMD_DIGEST_SHA256);
		back = patch_make(&target, &base, TMD_DIGEST_SHA256);
		EXPECT_STATUS(bench_send(&b, &patch, 50), TMD_OK);
		EXPECT_STATUS(bench_send(&b, &back, 50), TMD_OK);
		/* Slot 1 holds the target; now it is to hold a model that differs in one place. */
		for (uint32_t place = 0; place < 4u; place++) {
			const uint32_t at = place == 3u ? bytes - 1u : bytes / 4u * place;
			const uint32_t unit = units_until(b.device.config.slot[1].offset + at + 1u);
			const uint32_t records = units_until(b.device.config.records.offset);
			struct bytes next = model_make(bytes, 31);
			struct bytes there;
			struct bytes again;

			context("%s, byte %u", b.device.sim.geometry.name, (unsigned int)at);
			next.at[0] ^= 1u;
			next.at[at] ^= 0x80u;
			there = patch_make(&base, &next, TMD_DIGEST_SHA256);
			again = patch_make(&next, &base, TMD_DIGEST_SHA256);
			bench_mark(&b);
			EXPECT_STATUS(bench_send(&b, &there, 0), TMD_OK);
			for (uint32_t u = 0; u < records; u++) {
				EXPECT_EQ(b.erased[u], erases() && u + 1u == unit);
			}
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, &next));
			/* And back, for which slot 0 already has what it takes. */
			bench_mark(&b);
			EXPECT_STATUS(bench_send(&b, &again, 0), TMD_OK);
			EXPECT(bench_region_is_unchanged(&b, &b.device.config.slot[0]));
			EXPECT(bench_operations(&b) <= 4u);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, &base));
			/* Slot 1 as it was, for the next place. */
			EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
			EXPECT_STATUS(bench_send(&b, &back, 0), TMD_OK);
			bytes_free(&next);
			bytes_free(&there);
			bytes_free(&again);
		}
		bytes_free(&back);
		tear_down();
	}
}

#endif

/* A refused patch that is staged leaves all as it is, though its fault is at the very end. */
static void test_staged_and_refused(void)
{
	for (uint32_t g = 0; tmd_sim_geometries[g].name != NULL; g++) {
		const uint32_t bytes = model_bytes(&tmd_sim_geometries[g]);

		set_up(&tmd_sim_geometries[g], bytes, bytes, TMD_DIGEST_SHA256);
		patch.at[44] ^= 1u; /* the target's digest */
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_ERR_TARGET);
		EXPECT(bench_is_unchanged(&b));
		EXPECT_EQ(bench_operations(&b), 0);
		EXPECT_STATUS(bench_send(&b, &patch, 99), TMD_ERR_TARGET);
		EXPECT(bench_region_is_unchanged(&b, &b.device.config.slot[0]));
		/* The part-written slot is known to be nothing. */
		EXPECT_EQ(bench_recorded_state(&b, 1), BENCH_NOTES != 0u ? 0 : -1);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &base));
		patch.at[44] ^= 1u;
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
		tear_down();
	}
}

#if TMD_RESUME

/* Beyond TMD_PAGES_MAX units no bit says that one is unchanged: all of them are written. */
static void test_more_units_than_bits(void)
{
	static const struct tmd_sim_geometry many = {
		"many", "", {{128, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE,
	};
	const uint32_t bytes = 128u * (TMD_PAGES_MAX + 44u) - 3u;
	struct bytes back;

	set_up(&many, bytes, bytes, TMD_DIGEST_SHA256);
	bytes_free(&target);
	bytes_free(&patch);
	target = model_make(bytes, 31);
	target.at[128u * 7u] ^= 1u;
	target.at[128u * (TMD_PAGES_MAX + 7u)] ^= 1u;
	patch = patch_make(&base, &target, TMD_DIGEST_SHA256);
	back = patch_make(&target, &base, TMD_DIGEST_SHA256);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	EXPECT_STATUS(bench_send(&b, &back, 0), TMD_OK);
	bench_mark(&b);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	for (uint32_t unit = 0; unit < TMD_PAGES_MAX + 44u; unit++) {
		EXPECT_EQ(b.erased[TMD_PAGES_MAX + 44u + unit], unit >= TMD_PAGES_MAX);
	}
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	bytes_free(&back);
	tear_down();
}

#endif

/* A count of erase units that does not fit 16 bits. */
static void test_more_than_65536_units(void)
{
	static const struct tmd_sim_geometry huge = {
		"huge", "", {{16, 66000}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE,
	};
	const uint32_t bytes = 16u * 66000u;
	struct tmd_sim records;

	base = model_make(bytes, 31);
	target = model_make(bytes, 31);
	target.at[16u * 65540u] ^= 1u;
	target.at[5] ^= 1u;
	patch = patch_make(&base, &target, TMD_DIGEST_SHA256);
	bench_init_config(&b, &huge, bytes, &base, BENCH_FACTORY, &bench_plain);
	REQUIRE(tmd_sim_init(&records, &tmd_sim_geometries[1], 2)); /* 16 bytes hold no record */
	b.device.config.records = (struct tmd_region){&records.flash, 0, records.size};
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	EXPECT_EQ(records.counts.illegal, 0);
	tmd_sim_free(&records);
	tear_down();
}

int main(void)
{
	RUN(test_pieces_of_any_size);
	RUN(test_thirty_updates_in_a_row);
#if TMD_RESUME
	RUN(test_staged_writes_what_changes);
#endif
	RUN(test_staged_and_refused);
#if TMD_RESUME
	RUN(test_more_units_than_bits);
#endif
	RUN(test_more_than_65536_units);
	return harness_result();
}

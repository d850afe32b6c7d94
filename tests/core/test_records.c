/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The log of records: the newest one is found whatever else stands there, and an append loses
 * nothing that is needed, whatever goes wrong in it.
 */
#include "harness.h"

#include <store/records.h>
#include <store/region.h>

#include "bench.h"

/* One record to an erase unit: what is erased is always the record before. */
static const struct tmd_sim_geometry single = {
	"single", "one record to an erase unit", {{128, 1}}, 1, 4, 0xFF, 0,
};
/* The same without an erase. */
static const struct tmd_sim_geometry single_no_erase = {
	"single-no-erase", "one record to a unit, no erase", {{128, 1}}, 1, 4, 0xFF,
	TMD_FLASH_NO_ERASE,
};

/* A record does not fill its write units, and what fills them up is not 0xFF. */
static const struct tmd_sim_geometry padded = {
	"padded", "write units of 256 bytes, erased to zero", {{512, 1}}, 1, 256, 0x00,
	TMD_SIM_WRITE_ONCE,
};

static const struct tmd_sim_geometry *geometry_at(uint32_t i)
{
	uint32_t known = 0;

	while (tmd_sim_geometries[known].name != NULL) {
		known++;
	}
	return i < known        ? &tmd_sim_geometries[i]
	       : i == known     ? &single
	       : i == known + 1 ? &single_no_erase
	       : i == known + 2 ? &padded
				: NULL;
}

static struct bench b;
static struct bytes model;

static void set_up(const struct tmd_sim_geometry *geometry)
{
	model = model_make(40, 1);
	bench_init(&b, geometry, 40, &model, BENCH_FACTORY);
	context("%s", geometry->name);
}

static void tear_down(void)
{
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	bench_free(&b);
	bytes_free(&model);
}

static const struct tmd_region *records(void)
{
	return &b.device.config.records;
}

static uint32_t stride(void)
{
	return bench_stride(&b);
}

/*
 * A record that can be told from others: its number is in `updates`, and all over the entry of slot
 * 1, of which nothing is known.
 */
static void put_number(uint8_t raw[REC_BYTES], uint32_t number)
{
	put_u32(&raw[REC_UPDATES], number);
	memset(&raw[REC_SLOT1], (int)(number & 0xFFu), SLOT_BYTES_N);
	raw[REC_SLOT1 + SLOT_STATE] = 0;
}

static int append(uint32_t number)
{
	put_number(tmd_records_draft(&b.device.store), number);
	return tmd_records_append(&b.device.store);
}

/* A store that has just read the records, and done nothing else. */
static const struct tmd_store *loaded(void)
{
	static struct tmd_store store;

	memset(&store, 0xA5, sizeof(store));
	store.config = &b.device.config;
	tmd_records_load(&store);
	return &store;
}

static bool newest_is(uint32_t number)
{
	const struct tmd_store *store = loaded();
	uint8_t want[REC_BYTES];

	memcpy(want, store->record, sizeof(want));
	put_number(want, number);
	return store->newest != UINT32_MAX && memcmp(want, store->record, sizeof(want)) == 0;
}

static bool there_is_none(void)
{
	const struct tmd_store *store = loaded();
	uint8_t nothing[REC_BYTES] = {0};

	nothing[REC_ACTIVE] = 2; /* the compiled-in model */
	return store->newest == UINT32_MAX &&
	       memcmp(store->record, nothing, sizeof(nothing)) == 0;
}

static uint32_t sequence(void)
{
	return get_u32(&b.device.store.record[REC_SEQUENCE]);
}

/* The start of the erase unit of the record region that contains `offset`. */
static uint32_t unit_start(uint32_t offset)
{
	uint32_t start = 0;

	while (start + unit_at(records(), start) <= offset) {
		start += unit_at(records(), start);
	}
	return start;
}

/* A record by SPEC.md: slot 0 is active, with the model of this test. */
static void lay_out(uint8_t raw[REC_BYTES], uint32_t number, uint32_t at_sequence)
{
	memset(raw, 0, 128);
	raw[0] = 0x54;
	raw[1] = 0x4D;
	raw[REC_VERSION] = 3;
	put_u32(&raw[REC_SEQUENCE], at_sequence);
	bench_put_entry(&raw[REC_SLOT0], &model);
	put_number(raw, number);
	bench_seal_record(raw);
}

/* Write 128 bytes as they are. */
static void plant(uint32_t offset, const uint8_t raw[REC_BYTES])
{
	uint8_t place[256];

	memset(place, b.flash.erased_value, sizeof(place));
	memcpy(place, raw, 128);
	REQUIRE(b.flash.write(b.flash.ctx, records()->offset + offset, place, stride()) == 0);
}

static void test_layout(void)
{
	uint8_t want[REC_BYTES];
	uint8_t raw[REC_BYTES];

	set_up(&tmd_sim_geometries[0]);
	EXPECT_STATUS(append(3), TMD_OK);
	EXPECT_STATUS(tmd_region_read(records(), 0, raw, sizeof(raw)), TMD_OK);
	lay_out(want, 3, 1);
	want[REC_SLOT0 + SLOT_PRESENT] = 0x1F; /* the contract knows the version, too: 0 */
	put_u32(&want[REC_ERASES], get_u32(&raw[REC_ERASES])); /* test_erases_are_counted */
	bench_seal_record(want);
	EXPECT_BYTES(raw, want, sizeof(want));

	/* Every field of a record that comes from elsewhere is kept by the next one. */
	lay_out(want, 4, 99);
	want[REC_ACTIVE] = 0x80;
	put_u32(&want[REC_FLOOR], 70000);
	put_u32(&want[REC_ERASES], 0x10000);
	put_u32(&want[REC_SLOT0 + SLOT_VERSION], 70001);
	want[REC_SLOT0 + SLOT_STARTS] = 1;
	bench_seal_record(want);
	plant(stride(), want);
	b.device.config.trial_starts = 2;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_STATUS(bench_record_again(&b), TMD_OK);
	EXPECT_STATUS(tmd_region_read(records(), 2u * stride(), raw, sizeof(raw)), TMD_OK);
	put_u32(&want[REC_SEQUENCE], 100);
	bench_seal_record(want);
	EXPECT_BYTES(raw, want, sizeof(want));
	tear_down();
}

/* The place behind the record is filled up to the write unit with the erased value. */
static void test_padding(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		set_up(geometry_at(i));
		EXPECT_STATUS(append(3), TMD_OK);
		for (uint32_t at = 128; at < stride(); at++) {
			EXPECT_EQ(b.device.sim.bytes[records()->offset + at],
				  b.flash.erased_value);
		}
		tear_down();
	}
}

static void test_none(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		set_up(geometry_at(i));
		EXPECT(there_is_none());
		EXPECT_EQ(b.device.store.newest, UINT32_MAX);
		EXPECT_EQ(sequence(), 0);
		tear_down();
	}
}

/* Round and round: two and a half times through the whole region. */
static void test_ring(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		uint32_t total;

		set_up(geometry_at(i));
		total = records()->bytes / stride() * 5u / 2u + 3u;
		for (uint32_t n = 0; n < total; n++) {
			const uint32_t before = b.device.store.newest;
			const uint64_t erases = b.device.sim.counts.erases;
			uint32_t place = 0;
			bool same_unit = false;

			if (n > 0u) {
				const uint32_t start = unit_start(before);
				const uint32_t end = start + unit_at(records(), start);

				/* Behind the last one if there is room, else in the next unit. */
				same_unit = before + 2u * stride() <= end;
				place = same_unit ? before + stride() : end % records()->bytes;
			}
			EXPECT_STATUS(append(n), TMD_OK);
			EXPECT_EQ(b.device.store.newest, place);
			EXPECT_EQ(sequence(), n + 1u);
			if ((b.flash.flags & TMD_FLASH_NO_ERASE) == 0u) {
				EXPECT_EQ(b.device.sim.counts.erases - erases, same_unit ? 0 : 1);
			}
			/* Scanning thousands of records after each append would take too long. */
			if (total < 1000u || n % 97u == 0u || n + 3u > total) {
				EXPECT(newest_is(n));
			}
		}
		tear_down();
	}
}

/* Which erase unit of the device it is that contains this offset of the record region. */
static uint32_t unit_number(uint32_t offset)
{
	uint32_t units = 0;

	for (uint32_t at = 0; at < records()->bytes; at += unit_at(records(), at)) {
		units += unit_start(offset) <= at ? 1u : 0u; /* from this one to the end */
	}
	return b.units_n - units; /* the records are the last thing on the device */
}

static void test_only_the_next_unit_is_erased(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		set_up(geometry_at(i));
		if ((b.flash.flags & TMD_FLASH_NO_ERASE) != 0u) {
			tear_down();
			continue;
		}
		for (uint32_t n = 0; n < 7u; n++) {
			uint32_t next;

			bench_fill_records(&b);
			next = unit_number(b.device.store.newest) + 1u;
			if (next == b.units_n) {
				next = unit_number(0);
			}
			EXPECT(next != unit_number(b.device.store.newest));
			EXPECT_STATUS(append(n), TMD_OK);
			for (uint32_t unit = 0; unit < b.units_n; unit++) {
				EXPECT_EQ(b.erased[unit], unit == next ? 1 : 0);
			}
		}
		tear_down();
	}
}

static void test_sequence_wraps(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		set_up(geometry_at(i));
		put_u32(&b.device.store.record[REC_SEQUENCE], 0xFFFFFFFAu);
		for (uint32_t n = 0; n < 12u; n++) {
			EXPECT_STATUS(append(n), TMD_OK);
			EXPECT(newest_is(n));
			EXPECT_EQ(sequence(), 0xFFFFFFFAu + n + 1u);
		}
		EXPECT_EQ(sequence(), 6);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_EQ(sequence(), 6);
		tear_down();
	}
}

/* Which of two records is the newer one, wherever they stand. */
static void test_newer_across_the_wrap(void)
{
	static const uint32_t pairs[][2] = {
		/* older, newer */
		{0, 1}, {0xFFFFFFFF, 0}, {0xFFFFFFF0, 5}, {0, 0x7FFFFFFF}, {0x80000000, 0xFFFFFFFF},
		{0x7FFFFFFF, 0x80000000}, {0x80000001, 0}, {0xFFFFFFFF, 0x7FFFFFFE},
	};
	uint8_t raw[REC_BYTES];

	for (size_t i = 0; i < 2u * sizeof(pairs) / sizeof(pairs[0]); i++) {
		const uint32_t *pair = pairs[i / 2u];

		set_up(&tmd_sim_geometries[1]);
		context("0x%x before 0x%x", (unsigned int)pair[0], (unsigned int)pair[1]);
		lay_out(raw, 10, pair[0]);
		plant(i % 2u * stride(), raw);
		lay_out(raw, 20, pair[1]);
		plant((i + 1u) % 2u * stride(), raw);
		EXPECT(newest_is(20));
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_EQ(sequence(), pair[1]);
		EXPECT_STATUS(append(30), TMD_OK);
		EXPECT(newest_is(30));
		tear_down();
	}
}

/* The device's life, as the simulator counts it; and a reset forgets none of it. */
static void test_erases_are_counted(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		struct tmd_store_info info;
		uint64_t before;

		set_up(geometry_at(i));
		before = b.device.sim.counts.erases;
		tmd_store_get_info(&b.device.store, &info);
		EXPECT_EQ(info.erases, 0);
		for (uint32_t n = 0; n < 9u; n++) {
			if (n % 2u == 0u) {
				bench_fill_records(&b);
			}
			EXPECT_STATUS(append(n), TMD_OK);
			tmd_store_get_info(&b.device.store, &info);
			EXPECT_EQ(info.erases, b.device.sim.counts.erases - before);
			if (n % 3u == 0u) {
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				tmd_store_get_info(&b.device.store, &info);
				EXPECT_EQ(info.erases, b.device.sim.counts.erases - before);
			}
		}
		tear_down();
	}
}

/*
 * Cut an append at each of its operations in each way: the old record or the new one is the newest,
 * and nothing else.
 */
static void test_cut_appends(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		for (uint32_t full = 0; full < 2u; full++) {
			uint64_t operations;

			model = model_make(40, 1);
			bench_init(&b, geometry_at(i), 40, &model, BENCH_RECORDED);
			EXPECT_STATUS(append(1), TMD_OK);
			bench_mark(&b);
			if (full != 0u) {
				bench_fill_records(&b);
			}
			EXPECT_STATUS(append(7), TMD_OK);
			operations = bench_operations(&b);
			EXPECT(operations == 1u || operations == 2u);
			for (uint32_t n = 0; n < operations * TMD_SIM_CUTS_N * 5u; n++) {
				const uint64_t at = 1u + n % operations;
				const uint64_t cut = n / operations % TMD_SIM_CUTS_N;
				context("%s, cut %u at %u, round %u", geometry_at(i)->name,
					(unsigned int)cut, (unsigned int)at, (unsigned int)n);
				bench_rewind(&b);
				b.device.sim.random += n;
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				bench_cut(&b, cut, at);
				EXPECT(append(7) != TMD_OK);
				EXPECT(!b.device.sim.powered);

				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				EXPECT(bench_holds(&b, &model));
				EXPECT(bench_is_firm(&b));
				if (!newest_is(7)) {
					EXPECT(newest_is(1));
					EXPECT(at < operations || cut != TMD_SIM_CUT_AFTER);
				}
				EXPECT_STATUS(bench_record_again(&b), TMD_OK);
				EXPECT_STATUS(append(8), TMD_OK);
				EXPECT(newest_is(8));
				EXPECT_EQ(b.device.sim.counts.illegal, 0);
				EXPECT_EQ(b.device.sim.counts.rewrites, 0);
			}
			tear_down();
		}
	}
}

/* A torn record does not stop the next one, nor the search. */
static void test_torn_record_is_skipped(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		uint32_t torn_at;

		set_up(geometry_at(i));
		EXPECT_STATUS(append(0), TMD_OK);
		torn_at = b.device.store.newest + stride();
		b.device.sim.cut = TMD_SIM_CUT_TORN;
		b.device.sim.cut_at = b.device.sim.counts.operations + 1u;
		EXPECT(append(1) != TMD_OK);
		EXPECT_EQ(b.device.store.newest, torn_at - stride());
		tmd_sim_power_on(&b.device.sim);
		EXPECT(newest_is(0));
		EXPECT_STATUS(append(2), TMD_OK);
		EXPECT(newest_is(2));
		tear_down();
	}
}

/* Whatever the region holds when a device is made: no record is seen, and the first one goes in. */
static void test_garbage_region(void)
{
	static const uint8_t fillings[] = {0x00, 0xFF, 0x54, 0x4D};

	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		for (uint64_t round = 0; round < 8u; round++) {
			uint64_t random = round;

			set_up(geometry_at(i));
			for (uint32_t at = 0; at < records()->bytes; at++) {
				b.device.sim.bytes[records()->offset + at] =
					round < 4u ? fillings[round]
						   : (uint8_t)bench_random(&random);
			}
			memset(&b.device.sim.state[records()->offset / b.flash.write_bytes], 1,
			       records()->bytes / b.flash.write_bytes);
			EXPECT(there_is_none());
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			for (uint32_t n = 0; n < 5u; n++) {
				EXPECT_STATUS(append(n), TMD_OK);
				EXPECT(newest_is(n));
			}
			tear_down();
		}
	}
}

/* A record that is not one of this version, or that says what cannot be, though its CRC is right. */
static void test_impossible_records_are_skipped(void)
{
	static const struct {
		uint32_t at;
		uint8_t value;
		bool counts;
	} changes[] = {
		{0, 0x55, false}, {1, 0x4C, false}, {2, 0, false},    {2, 1, false},
		{2, 2, false},    {2, 4, false},    {3, 3, false},    {3, 0x7F, false},
		{3, 0x83, false}, {3, 0xFE, false}, {3, 0xFF, false}, {3, 0, true},
		{3, 1, true},     {3, 2, true},     {3, 0x80, true},  {3, 0x81, true},
	};
	uint8_t raw[REC_BYTES];

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		set_up(&tmd_sim_geometries[1]);
		context("byte %u is 0x%02x", (unsigned int)changes[i].at, changes[i].value);
		lay_out(raw, 1, 7);
		plant(0, raw);
		lay_out(raw, 2, 8);
		raw[changes[i].at] = changes[i].value;
		bench_seal_record(raw);
		plant(stride(), raw);
		EXPECT(newest_is(changes[i].counts ? 2 : 1));
		tear_down();
	}
}

/* Records of another model of the firmware, or of another firmware, however new they are. */
static void test_records_of_another_model_are_skipped(void)
{
	uint8_t raw[REC_BYTES];

	for (uint32_t bit = 0; bit < 32u; bit++) {
		set_up(&tmd_sim_geometries[1]);
		context("bit %u of the name's CRC-32", (unsigned int)bit);
		lay_out(raw, 1, 7);
		plant(stride(), raw);
		lay_out(raw, 2, 8);
		put_u32(&raw[REC_CRC], tmd_crc32(b.model.id ^ (uint32_t)1 << bit, raw, REC_CRC));
		plant(0, raw);
		plant(2u * stride(), raw);
		EXPECT(newest_is(1));
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_STATUS(append(3), TMD_OK);
		EXPECT_EQ(b.device.store.newest, 3u * stride());
		EXPECT_EQ(sequence(), 8);
		EXPECT(newest_is(3));
		tear_down();
	}
}

/* Any bit of the newest record flips at rest: the one before it is the newest, no wrong one. */
static void test_bit_flips_at_rest(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		set_up(geometry_at(i));
		EXPECT_STATUS(append(0), TMD_OK);
		EXPECT_STATUS(append(1), TMD_OK);
		for (uint32_t bit = 0; bit < 8u * stride(); bit++) {
			uint8_t *cell = &b.device.sim.bytes[records()->offset +
							    b.device.store.newest + bit / 8u];

			context("%s, bit %u", b.device.sim.geometry.name, (unsigned int)bit);
			*cell ^= (uint8_t)(1u << (bit % 8u));
			EXPECT(newest_is(bit < 8u * 128u ? 0 : 1));
			*cell ^= (uint8_t)(1u << (bit % 8u));
		}
		EXPECT(newest_is(1));
		/* Both copies gone: none is found, and appending goes on. */
		b.device.sim.bytes[records()->offset] ^= 1u;
		b.device.sim.bytes[records()->offset + b.device.store.newest + 20u] ^= 0x80u;
		EXPECT(!newest_is(0) && !newest_is(1));
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_STATUS(append(2), TMD_OK);
		EXPECT(newest_is(2));
		tear_down();
	}
}

/* A write that fails, openly or not: the next place takes the record. */
static void test_write_failure_moves_on(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		for (uint8_t fault = TMD_SIM_FAULT_ERROR; fault < TMD_SIM_FAULTS_N; fault++) {
			set_up(geometry_at(i));
			EXPECT_STATUS(append(0), TMD_OK);
			if (2u * stride() > unit_at(records(), 0)) {
				tear_down(); /* the next place is another unit, erased first */
				continue;
			}
			context("%s, fault %u", b.device.sim.geometry.name, fault);
			b.device.sim.fault = fault;
			b.device.sim.fault_at = b.device.sim.counts.operations + 1u;
			EXPECT_STATUS(append(1), TMD_OK);
			EXPECT(b.device.store.newest != stride());
			EXPECT(newest_is(1));
			EXPECT_STATUS(append(2), TMD_OK);
			EXPECT(newest_is(2));
			tear_down();
		}
	}
}

/* The same in the unit that was just erased: one bad place must not end all updates for good. */
static void test_write_failure_moves_on_in_a_new_unit(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		for (uint8_t fault = TMD_SIM_FAULT_ERROR; fault < TMD_SIM_FAULTS_N; fault++) {
			set_up(geometry_at(i));
			if (2u * stride() > unit_at(records(), 0)) {
				tear_down(); /* the unit has no other place */
				continue;
			}
			bench_fill_records(&b);
			context("%s, fault %u", b.device.sim.geometry.name, fault);
			b.device.sim.fault = fault;
			b.device.sim.fault_at = b.device.sim.counts.operations +
						((b.flash.flags & TMD_FLASH_NO_ERASE) == 0u ? 2u
											    : 1u);
			EXPECT_STATUS(append(1), TMD_OK);
			EXPECT_EQ(b.device.store.newest,
				  unit_start(b.device.store.newest) + stride());
			EXPECT(newest_is(1));
			tear_down();
		}
	}
}

/* When every write fails, so does the append; and what was the newest record still is. */
static void test_writes_that_all_fail(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		set_up(geometry_at(i));
		EXPECT_STATUS(append(0), TMD_OK);
		b.fault = BENCH_FAULT_DONE_LAST;
		b.fault_at = 1; /* long past: dead */
		EXPECT(append(1) != TMD_OK);
		EXPECT_EQ(b.device.store.newest, 0);
		b.fault = BENCH_FAULT_NONE;
		EXPECT(newest_is(0));
		EXPECT_STATUS(append(2), TMD_OK);
		EXPECT(newest_is(2));
		tear_down();
	}
}

/*
 * A record that was reported as failed may be there all the same. What is appended after it has to
 * be newer: with the same number the two would contend.
 */
static void test_failed_append_uses_its_number_up(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		set_up(geometry_at(i));
		EXPECT_STATUS(append(0), TMD_OK);
		b.fault = BENCH_FAULT_DONE_LAST;
		b.fault_at = b.device.sim.counts.operations + 1u;
		if (2u * stride() > unit_at(records(), 0) &&
		    (b.flash.flags & TMD_FLASH_NO_ERASE) == 0u) {
			b.fault_at++; /* the first operation is the erase */
		}
		EXPECT(append(1) != TMD_OK);
		b.fault = BENCH_FAULT_NONE;
		EXPECT(newest_is(1));
		EXPECT_STATUS(append(2), TMD_OK);
		EXPECT(newest_is(2));
		tear_down();
	}
}

/* A place that cannot be read is passed over. */
static void test_read_errors(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		set_up(geometry_at(i));
		EXPECT_STATUS(append(0), TMD_OK);
		EXPECT_STATUS(append(1), TMD_OK);
		EXPECT(newest_is(1));
		b.fault = BENCH_FAULT_READ;
		b.fault_at = b.device.sim.counts.reads + 1u; /* of the first place */
		EXPECT(newest_is(1));
		b.fault_at = b.device.sim.counts.reads + 2u;
		EXPECT(newest_is(0));
		b.fault = BENCH_FAULT_READS;
		b.fault_at = b.device.sim.counts.reads;
		EXPECT(!newest_is(0) && !newest_is(1));
		b.fault = BENCH_FAULT_NONE;
		EXPECT(newest_is(1));
		tear_down();
	}
}

static void test_which_regions_take_records(void)
{
	struct tmd_region region;

	set_up(&tmd_sim_geometries[7]); /* units of 128 bytes */
	region = *records();
	EXPECT_EQ(region.bytes, 256);
	EXPECT(tmd_records_fit(&region));
	region.offset -= 128;
	region.bytes += 128;
	EXPECT(tmd_records_fit(&region));
	region.bytes = 128; /* a single unit would have to be erased with the newest record in it */
	EXPECT(!tmd_records_fit(&region));
	region.bytes = 0;
	EXPECT(!tmd_records_fit(&region));
	tear_down();

	{
		static const struct tmd_sim_geometry small = {
			"small", "units that hold no record", {{64, 1}}, 1, 4, 0xFF, 0,
		};
		struct tmd_sim sim;

		REQUIRE(tmd_sim_init(&sim, &small, 8));
		region = (struct tmd_region){&sim.flash, 0, sim.size};
		EXPECT(!tmd_records_fit(&region));
		tmd_sim_free(&sim);
	}
}

int main(void)
{
	RUN(test_layout);
	RUN(test_padding);
	RUN(test_none);
	RUN(test_ring);
	RUN(test_only_the_next_unit_is_erased);
	RUN(test_sequence_wraps);
	RUN(test_newer_across_the_wrap);
	RUN(test_erases_are_counted);
	RUN(test_cut_appends);
	RUN(test_torn_record_is_skipped);
	RUN(test_garbage_region);
	RUN(test_impossible_records_are_skipped);
	RUN(test_records_of_another_model_are_skipped);
	RUN(test_bit_flips_at_rest);
	RUN(test_write_failure_moves_on);
	RUN(test_write_failure_moves_on_in_a_new_unit);
	RUN(test_writes_that_all_fail);
	RUN(test_failed_append_uses_its_number_up);
	RUN(test_read_errors);
	RUN(test_which_regions_take_records);
	return harness_result();
}

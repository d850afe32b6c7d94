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
	"single", "one record to an erase unit", {{64, 1}}, 1, 4, 0xFF, 0,
};
/* The same without an erase. */
static const struct tmd_sim_geometry single_no_erase = {
	"single-no-erase", "one record to a unit, no erase", {{64, 1}}, 1, 4, 0xFF,
	TMD_FLASH_NO_ERASE,
};

/* A record does not fill its write units, and what fills them up is not 0xFF. */
static const struct tmd_sim_geometry padded = {
	"padded", "write units of 32 bytes, erased to zero", {{256, 1}}, 1, 32, 0x00,
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
	const uint32_t unit = b.flash.write_bytes;

	return (48u + unit - 1u) / unit * unit;
}

/* A record that can be told from others: its number is in slot, length and digest. */
static struct tmd_active numbered(uint32_t number)
{
	struct tmd_active active = {.bytes = number + 1u, .slot = (uint8_t)(number & 1u)};

	memset(active.sha256, (int)(number & 0xFFu), sizeof(active.sha256));
	return active;
}

static int append(uint32_t number)
{
	const struct tmd_active active = numbered(number);

	return tmd_records_append(&b.device.store, &active);
}

static bool newest_is(uint8_t slot, uint32_t number)
{
	const struct tmd_active want = numbered(number);
	struct tmd_record record;

	memset(&record, 0xA5, sizeof(record));
	return tmd_records_newest(records(), slot, &record) && record.bytes == want.bytes &&
	       record.slot == want.slot && memcmp(record.sha256, want.sha256, 32) == 0;
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

static void test_layout(void)
{
	static const uint8_t head[] = {0x54, 0x4D, 1, 1, 1, 0, 0, 0, 4, 0, 0, 0};
	uint8_t raw[48];

	set_up(&tmd_sim_geometries[0]);
	EXPECT_STATUS(append(3), TMD_OK);
	EXPECT_STATUS(tmd_region_read(records(), 0, raw, sizeof(raw)), TMD_OK);
	EXPECT_BYTES(raw, head, sizeof(head));
	for (uint32_t i = 12; i < 44u; i++) {
		EXPECT_EQ(raw[i], 3);
	}
	put_u32(raw, tmd_crc32(0, raw, 44));
	EXPECT_BYTES(&raw[44], raw, 4);
	tear_down();
}

/* The place behind the record is filled up to the write unit with the erased value. */
static void test_padding(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		set_up(geometry_at(i));
		EXPECT_STATUS(append(3), TMD_OK);
		for (uint32_t at = 48; at < stride(); at++) {
			EXPECT_EQ(b.device.sim.bytes[records()->offset + at],
				  b.flash.erased_value);
		}
		tear_down();
	}
}

static void test_none(void)
{
	struct tmd_record record;

	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		set_up(geometry_at(i));
		EXPECT(!tmd_records_newest(records(), TMD_SLOT_NONE, &record));
		EXPECT_EQ(b.device.store.newest, UINT32_MAX);
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
			EXPECT_EQ(b.device.store.sequence, n + 1u);
			if ((b.flash.flags & TMD_FLASH_NO_ERASE) == 0u) {
				EXPECT_EQ(b.device.sim.counts.erases - erases, same_unit ? 0 : 1);
			}
			/* Scanning thousands of records after each append would take too long. */
			if (total < 1000u || n % 97u == 0u || n + 3u > total) {
				EXPECT(newest_is(TMD_SLOT_NONE, n));
				if (n > 0u) {
					EXPECT(newest_is((uint8_t)(n & 1u), n));
					EXPECT(newest_is((uint8_t)(~n & 1u), n - 1u));
				}
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
		b.device.store.sequence = 0xFFFFFFFAu;
		for (uint32_t n = 0; n < 12u; n++) {
			EXPECT_STATUS(append(n), TMD_OK);
			EXPECT(newest_is(TMD_SLOT_NONE, n));
			EXPECT_EQ(b.device.store.sequence, 0xFFFFFFFAu + n + 1u);
		}
		EXPECT_EQ(b.device.store.sequence, 6);
		EXPECT_STATUS(bench_boot(&b), TMD_OK); /* the factory model, for want of these */
		EXPECT_EQ(b.device.store.sequence, 6);
		tear_down();
	}
}

/*
 * Cut an append at each of its operations in each way: the old record or the new one is there, and
 * the old one in either case, because its model is the way back from a new one that is no good.
 */
static void test_cut_appends(void)
{
	for (uint32_t i = 0; geometry_at(i) != NULL; i++) {
		for (uint32_t full = 0; full < 2u; full++) {
			uint64_t operations;

			model = model_make(40, 1);
			bench_init(&b, geometry_at(i), 40, &model, BENCH_RECORDED);
			if (full != 0u) {
				bench_fill_records(&b);
			}
			EXPECT_STATUS(append(7), TMD_OK);
			operations = bench_operations(&b);
			EXPECT(operations == 1u || operations == 2u);
			for (uint32_t n = 0; n < operations * TMD_SIM_CUTS_N * 5u; n++) {
				const uint64_t at = 1u + n % operations;
				const uint64_t cut = n / operations % TMD_SIM_CUTS_N;
				struct tmd_active active;

				context("%s, cut %u at %u, round %u", geometry_at(i)->name,
					(unsigned int)cut, (unsigned int)at, (unsigned int)n);
				bench_rewind(&b);
				b.device.sim.random += n;
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				active = b.device.store.active;
				b.device.sim.cut = (uint8_t)cut;
				b.device.sim.cut_at = b.device.sim.counts.operations + at;
				EXPECT(append(7) != TMD_OK);
				EXPECT(!b.device.sim.powered);

				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				EXPECT(bench_holds(&b, &model));
				EXPECT(at < operations || cut != TMD_SIM_CUT_AFTER ||
				       newest_is(TMD_SLOT_NONE, 7));
				EXPECT_STATUS(tmd_records_append(&b.device.store, &active),
					      TMD_OK);
				EXPECT_STATUS(append(8), TMD_OK);
				EXPECT(newest_is(TMD_SLOT_NONE, 8));
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
		EXPECT(newest_is(TMD_SLOT_NONE, 0));
		EXPECT_STATUS(append(2), TMD_OK);
		EXPECT(newest_is(TMD_SLOT_NONE, 2));
		EXPECT(newest_is(0, 2));
		tear_down();
	}
}

/* Whatever the region holds when a device is made: no record is seen, and the first one goes in. */
static void test_garbage_region(void)
{
	static const uint8_t fillings[] = {0x00, 0xFF, 0x54, 0x4D};
	struct tmd_record record;

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
			EXPECT(!tmd_records_newest(records(), TMD_SLOT_NONE, &record));
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			for (uint32_t n = 0; n < 5u; n++) {
				EXPECT_STATUS(append(n), TMD_OK);
				EXPECT(newest_is(TMD_SLOT_NONE, n));
			}
			tear_down();
		}
	}
}

/* Write 48 bytes where the next record would go, as they are. */
static void plant(uint32_t offset, const uint8_t raw[48])
{
	uint8_t place[256];

	memset(place, b.flash.erased_value, sizeof(place));
	memcpy(place, raw, 48);
	REQUIRE(b.flash.write(b.flash.ctx, records()->offset + offset, place, stride()) == 0);
}

/* A record that is not one of this version, though its CRC is right. */
static void test_impossible_records_are_skipped(void)
{
	static const struct {
		uint32_t at;
		uint8_t value;
	} changes[] = {{0, 0x55}, {1, 0x4C}, {2, 0}, {2, 2}, {3, 2}, {3, 0xFE}, {3, 0xFF}};
	uint8_t raw[48];

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		set_up(&tmd_sim_geometries[1]);
		context("byte %u is 0x%02x", (unsigned int)changes[i].at, changes[i].value);
		EXPECT_STATUS(append(0), TMD_OK);
		EXPECT_STATUS(tmd_region_read(records(), 0, raw, sizeof(raw)), TMD_OK);
		raw[4] = 9; /* a later sequence number */
		put_u32(&raw[44], tmd_crc32(0, raw, 44));
		plant(stride(), raw);
		EXPECT_EQ(tmd_crc32(0, raw, 44), raw[44] | (uint32_t)raw[45] << 8 |
							 (uint32_t)raw[46] << 16 |
							 (uint32_t)raw[47] << 24);
		raw[changes[i].at] = changes[i].value;
		raw[8] = 99; /* would be seen in `bytes` */
		put_u32(&raw[44], tmd_crc32(0, raw, 44));
		plant(2u * stride(), raw);
		EXPECT(newest_is(TMD_SLOT_NONE, 0));
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
			EXPECT(newest_is(TMD_SLOT_NONE, bit < 8u * 48u ? 0 : 1));
			*cell ^= (uint8_t)(1u << (bit % 8u));
		}
		EXPECT(newest_is(TMD_SLOT_NONE, 1));
		/* Both copies gone: none is found, and appending goes on. */
		b.device.sim.bytes[records()->offset] ^= 1u;
		b.device.sim.bytes[records()->offset + b.device.store.newest + 20u] ^= 0x80u;
		EXPECT(!newest_is(TMD_SLOT_NONE, 0) && !newest_is(TMD_SLOT_NONE, 1));
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_STATUS(append(2), TMD_OK);
		EXPECT(newest_is(TMD_SLOT_NONE, 2));
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
			EXPECT(newest_is(TMD_SLOT_NONE, 1));
			EXPECT_STATUS(append(2), TMD_OK);
			EXPECT(newest_is(TMD_SLOT_NONE, 2));
			EXPECT(newest_is(1, 1));
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
			EXPECT(newest_is(TMD_SLOT_NONE, 1));
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
		EXPECT(newest_is(TMD_SLOT_NONE, 0));
		EXPECT_STATUS(append(2), TMD_OK);
		EXPECT(newest_is(TMD_SLOT_NONE, 2));
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
		if (geometry_at(i) == &single) {
			b.fault_at++; /* the first operation is the erase */
		}
		EXPECT(append(1) != TMD_OK);
		b.fault = BENCH_FAULT_NONE;
		EXPECT(newest_is(TMD_SLOT_NONE, 1));
		EXPECT_STATUS(append(2), TMD_OK);
		EXPECT(newest_is(TMD_SLOT_NONE, 2));
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
		EXPECT(newest_is(TMD_SLOT_NONE, 1));
		b.fault = BENCH_FAULT_READ;
		b.fault_at = b.device.sim.counts.reads + 1u; /* of the first place */
		EXPECT(newest_is(TMD_SLOT_NONE, 1));
		b.fault_at = b.device.sim.counts.reads + 2u;
		EXPECT(newest_is(TMD_SLOT_NONE, 0));
		b.fault = BENCH_FAULT_READS;
		b.fault_at = b.device.sim.counts.reads;
		EXPECT(!newest_is(TMD_SLOT_NONE, 0) && !newest_is(TMD_SLOT_NONE, 1));
		b.fault = BENCH_FAULT_NONE;
		EXPECT(newest_is(TMD_SLOT_NONE, 1));
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
			"small", "units that hold no record", {{32, 1}}, 1, 4, 0xFF, 0,
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
	RUN(test_cut_appends);
	RUN(test_torn_record_is_skipped);
	RUN(test_garbage_region);
	RUN(test_impossible_records_are_skipped);
	RUN(test_bit_flips_at_rest);
	RUN(test_write_failure_moves_on);
	RUN(test_write_failure_moves_on_in_a_new_unit);
	RUN(test_writes_that_all_fail);
	RUN(test_failed_append_uses_its_number_up);
	RUN(test_read_errors);
	RUN(test_which_regions_take_records);
	return harness_result();
}

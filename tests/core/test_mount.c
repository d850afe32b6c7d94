/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Mounting a store: which model is active, whatever flash holds, and which configurations are
 * refused.
 */
#include "harness.h"

#include <store/records.h>

#include "bench.h"

#define SLOT_BYTES 600u

/* One record to an erase unit. */
static const struct tmd_sim_geometry single = {
	"single", "one record to an erase unit", {{128, 1}}, 1, 4, 0xFF, 0,
};

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes third;

static void set_up_place(const struct tmd_sim_geometry *geometry, enum bench_place place)
{
	base = model_make(500, 1);
	target = model_derive(&base, 600, 2);
	third = model_derive(&target, 450, 3);
	bench_init(&b, geometry, SLOT_BYTES, &base, place);
	context("%s", geometry->name);
}

static void set_up(enum bench_place place)
{
	set_up_place(&tmd_sim_geometries[7], place); /* pages of 128 bytes */
}

static void tear_down(void)
{
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&target);
	bytes_free(&third);
}

/* Update from one model to the other, and boot. */
static void update(const struct bytes *from, const struct bytes *to)
{
	struct bytes patch = patch_make(from, to, 2);

	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, to));
	bytes_free(&patch);
}

/* The byte of a slot in the simulated flash. */
static uint8_t *cell(uint32_t slot, uint32_t offset)
{
	return &b.device.sim.bytes[b.device.config.slot[slot].offset + offset];
}

static void expect_active(const struct bytes *model, uint32_t slot)
{
	bench_mark(&b);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, model));
	EXPECT_EQ(b.device.store.active.slot, slot);
	EXPECT_EQ(bench_operations(&b), 0); /* mounting writes nothing */
	EXPECT(bench_is_unchanged(&b));
}

/* Opened, the active model is there as memory: in flash, or where it is linked in. */
static void expect_mapped(const struct bytes *model)
{
	struct tmd_store *store = &b.device.store;
	struct tmd_model opened;

	memset(&opened, 0xA5, sizeof(opened));
	EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
	EXPECT_EQ(opened.slot, store->active.slot);
	EXPECT_EQ(opened.bytes, model->n);
	EXPECT_EQ(opened.total_bytes, model->n);
	if (opened.slot == TMD_SLOT_COMPILED_IN) {
		EXPECT(opened.at == base.at);
	} else {
		EXPECT(opened.at == cell(opened.slot, 0));
	}
	EXPECT_BYTES(opened.at, model->at, model->n);
	tmd_store_close(store, &opened);
	EXPECT(opened.at == NULL);
}

static void expect_no_model(void)
{
	struct tmd_store *store = &b.device.store;
	struct tmd_update *u = &b.device.update;
	struct tmd_model opened;
	uint8_t byte = 0x77;

	bench_mark(&b);
	EXPECT_STATUS(bench_boot(&b), TMD_ERR_NO_MODEL);
	EXPECT_EQ(store->active.slot, TMD_SLOT_NONE);
	EXPECT_STATUS(tmd_store_read(store, 0, &byte, 1), TMD_ERR_ARGUMENT);
	EXPECT_STATUS(tmd_store_read(store, 0, &byte, 0), TMD_ERR_ARGUMENT);
	EXPECT_EQ(byte, 0x77);
	memset(&opened, 0xA5, sizeof(opened));
	EXPECT_STATUS(tmd_store_open(store, &opened), TMD_ERR_NO_MODEL);
	EXPECT(opened.at == NULL);
	EXPECT_STATUS(tmd_model_read(store, &opened, 0, &byte, 1), TMD_ERR_ARGUMENT);
	EXPECT_EQ(byte, 0x77);
	EXPECT_STATUS(tmd_update_begin(u, store), TMD_ERR_NO_MODEL);
	EXPECT_STATUS(tmd_update_write(u, base.at, base.n), TMD_ERR_NO_MODEL); /* it stays */
	EXPECT_STATUS(tmd_update_finish(u), TMD_ERR_NO_MODEL);
	EXPECT_EQ(bench_operations(&b), 0);
	EXPECT(bench_is_unchanged(&b));
}

static void test_factory(void)
{
	for (uint32_t i = 0; tmd_sim_geometries[i].name != NULL; i++) {
		set_up_place(&tmd_sim_geometries[i], BENCH_FACTORY);
		expect_active(&base, 0);
		EXPECT_EQ(b.device.store.newest, UINT32_MAX);
		expect_mapped(&base);
		/* Opening it left a record that says what it is. */
		EXPECT_EQ(b.device.store.newest, 0);
		expect_active(&base, 0);
		EXPECT_EQ(b.device.store.newest, 0);
		bench_mark(&b);
		expect_mapped(&base);
		EXPECT(bench_is_unchanged(&b)); /* once is enough */
		tear_down();
	}
}

static void test_compiled_in(void)
{
	for (uint32_t i = 0; tmd_sim_geometries[i].name != NULL; i++) {
		set_up_place(&tmd_sim_geometries[i], BENCH_COMPILED_IN);
		expect_active(&base, TMD_SLOT_COMPILED_IN);
		expect_mapped(&base);
		EXPECT(bench_is_unchanged(&b));
		update(&base, &target);
		expect_active(&target, 0);
		update(&target, &third);
		expect_active(&third, 1);
		tear_down();
	}
}

static void test_record(void)
{
	for (uint32_t i = 0; tmd_sim_geometries[i].name != NULL; i++) {
		set_up_place(&tmd_sim_geometries[i], BENCH_FACTORY);
		update(&base, &target);
		expect_active(&target, 1);
		expect_mapped(&target);
		update(&target, &third);
		expect_active(&third, 0);
		tear_down();
	}
}

static void test_reading(void)
{
	static const uint32_t numbers[] = {0, 1, 499, 500, 501, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
	static const enum bench_place places[] = {BENCH_FACTORY, BENCH_COMPILED_IN, BENCH_RECORDED};
	uint8_t buf[500];

	for (size_t p = 0; p < 3u; p++) {
		set_up(places[p]);
		for (size_t i = 0; i < 64u; i++) {
			const uint32_t offset = numbers[i / 8u];
			const uint32_t bytes = numbers[i % 8u];
			const bool inside = (uint64_t)offset + bytes <= 500u;

			context("place %u, offset 0x%x, 0x%x bytes", (unsigned int)p,
				(unsigned int)offset, (unsigned int)bytes);
			memset(buf, 0, sizeof(buf));
			EXPECT_STATUS(tmd_store_read(&b.device.store, offset, buf, bytes),
				      inside ? TMD_OK : TMD_ERR_ARGUMENT);
			if (inside) {
				EXPECT_BYTES(buf, &base.at[offset], bytes);
			}
		}
		tear_down();
	}
}

static void test_flash_that_is_not_mapped(void)
{
	for (uint32_t i = 0; i < 2u; i++) {
		struct tmd_model opened;
		uint8_t buf[500];

		set_up(BENCH_FACTORY);
		if (i == 0u) {
			b.flash.map = NULL;
		} else {
			b.is_unmapped = true; /* the port says so by the address it gives */
		}
		EXPECT_STATUS(tmd_store_open(&b.device.store, &opened), TMD_OK);
		EXPECT(opened.at == NULL);
		EXPECT_EQ(opened.bytes, base.n);
		EXPECT_STATUS(tmd_model_read(&b.device.store, &opened, 0, buf, base.n), TMD_OK);
		EXPECT_BYTES(buf, base.at, base.n);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		tear_down();
	}
}

/* Any bit of the active slot flips at rest: back to the model before it, never to a wrong one. */
static void test_corrupted_slot_falls_back(void)
{
	static const enum bench_place places[] = {BENCH_FACTORY, BENCH_COMPILED_IN, BENCH_RECORDED};

	for (size_t p = 0; p < 3u; p++) {
		uint32_t slot;

		set_up(places[p]);
		update(&base, &target);
		slot = b.device.store.active.slot;
		for (uint32_t bit = 0; bit < 8u * target.n; bit += 7u) {
			uint8_t *c = cell(slot, bit / 8u);

			context("place %u, bit %u", (unsigned int)p, (unsigned int)bit);
			*c ^= (uint8_t)(1u << (bit % 8u));
			expect_active(&base, slot == 1u ? 0 : TMD_SLOT_COMPILED_IN);
			*c ^= (uint8_t)(1u << (bit % 8u));
		}
		*cell(slot, target.n) ^= 1u; /* behind the model: nobody's */
		expect_active(&target, slot);
		tear_down();
	}
}

static void test_from_slot_to_slot(void)
{
	set_up(BENCH_COMPILED_IN);
	update(&base, &target);
	update(&target, &third);
	*cell(1, 0) ^= 1u;
	expect_active(&target, 0); /* the record before the newest */
	*cell(0, 0) ^= 1u;
	expect_active(&base, TMD_SLOT_COMPILED_IN);
	*cell(1, 0) ^= 1u;
	expect_active(&third, 1); /* it is whole again, and still the newest */
	tear_down();
}

static void test_no_model(void)
{
	set_up(BENCH_FACTORY);
	*cell(0, 0) ^= 1u;
	expect_no_model();
	*cell(0, 0) ^= 1u;
	expect_active(&base, 0);
	update(&base, &target);
	*cell(0, 499) ^= 0x80u;
	expect_active(&target, 1);
	*cell(1, 599) ^= 0x80u;
	expect_no_model();
	*cell(0, 499) ^= 0x80u;
	expect_active(&base, 0);
	tear_down();

	set_up(BENCH_RECORDED);
	memset(&b.device.sim.bytes[b.device.config.records.offset], 0x00,
	       b.device.config.records.bytes);
	expect_no_model();
	tear_down();
}

static void test_torn_active_slot(void)
{
	set_up_place(&tmd_sim_geometries[9], BENCH_FACTORY); /* with ECC: its reads fail */
	update(&base, &target);
	b.device.sim.state[b.device.config.slot[1].offset / b.flash.write_bytes + 3u] = 2;
	expect_active(&base, 0);
	b.device.sim.state[b.device.config.slot[0].offset / b.flash.write_bytes + 3u] = 2;
	expect_no_model();
	tear_down();
}

/* Lengths that a record may claim: none of them is read beyond the slot, or taken. */
static void test_records_with_impossible_lengths(void)
{
	static const uint32_t lengths[] = {0, 1, 599, 601, 640, 641, 0x7FFFFFFF, 0xFFFFFFFF};

	for (size_t i = 0; i < 2u * sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint8_t *entry;

		set_up(BENCH_FACTORY);
		if (i % 2u != 0u) {
			b.model.slot_bytes = 640; /* as much as the region has */
		}
		context("%u bytes", (unsigned int)lengths[i / 2u]);
		update(&base, &target);
		entry = &tmd_records_draft(&b.device.store)[REC_SLOT1];
		EXPECT_EQ(entry[SLOT_STATE], 3);
		put_u32(entry, lengths[i / 2u]);
		EXPECT_STATUS(tmd_records_append(&b.device.store), TMD_OK);
		expect_active(&base, 0);
		tear_down();
	}
}

/* The SHA-256 of no bytes is that of an empty model, which is none. */
static void test_record_of_an_empty_model(void)
{
	struct bytes empty;
	uint8_t *draft;

	set_up(BENCH_FACTORY);
	empty = (struct bytes){base.at, 0};
	draft = tmd_records_draft(&b.device.store);
	draft[REC_ACTIVE] = 1;
	bench_put_entry(&draft[REC_SLOT1], &empty);
	EXPECT_STATUS(tmd_records_append(&b.device.store), TMD_OK);
	expect_active(&base, 0);
	tear_down();
}

/*
 * Back on the older model, the next update must not lose that model's record before its own is
 * written.
 */
static void test_cut_after_a_fallback(void)
{
	static const enum bench_place places[] = {BENCH_RECORDED, BENCH_FACTORY, BENCH_COMPILED_IN};
	static const uint8_t geometries[] = {7, 8, 9, 255};

	for (size_t i = 0; i < 12u; i++) {
		const uint8_t g = geometries[i / 3u];
		struct bytes patch;
		uint64_t operations;
		uint32_t broken;

		set_up_place(g == 255u ? &single : &tmd_sim_geometries[g], places[i % 3u]);
		patch = patch_make(&base, &third, 2);
		update(&base, &target);
		broken = b.device.store.active.slot;
		for (uint32_t at = 0; at < target.n; at += 64u) {
			*cell(broken, at) ^= 1u; /* everywhere: writing a page does not mend it */
		}
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &base));
		bench_mark(&b);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
		operations = bench_operations(&b);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &third));
		for (uint64_t n = 0; n < operations * TMD_SIM_CUTS_N * 4u; n++) {
			bench_rewind(&b);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			b.device.sim.random += n;
			b.device.sim.cut = (uint8_t)(n % TMD_SIM_CUTS_N);
			b.device.sim.cut_at = b.device.sim.counts.operations + 1u +
					      n / TMD_SIM_CUTS_N % operations;
			context("%s, place %u, cut %u at %u", b.device.sim.geometry.name,
				(unsigned int)(i % 3u), b.device.sim.cut,
				(unsigned int)(n / TMD_SIM_CUTS_N % operations) + 1u);
			EXPECT(bench_send(&b, &patch, 0) != TMD_OK);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_is_firm(&b));
			if (!bench_holds(&b, &third)) {
				EXPECT(bench_holds(&b, &base));
				EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
				EXPECT_STATUS(bench_boot(&b), TMD_OK);
				EXPECT(bench_holds(&b, &third));
			}
			EXPECT_EQ(b.device.sim.counts.illegal, 0);
			EXPECT_EQ(b.device.sim.counts.rewrites, 0);
		}
		bytes_free(&patch);
		tear_down();
	}
}

/* Any read of a mount fails, once or for good: a model that verifies, or none, but no wrong one. */
static void test_read_errors(void)
{
	set_up(BENCH_FACTORY);
	update(&base, &target);
	bench_mark(&b);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	for (uint64_t n = 1, reads = bench_reads(&b); n <= reads; n++) {
		for (int fault = BENCH_FAULT_READ; fault <= BENCH_FAULT_READ_FLIP; fault++) {
			struct tmd_store *store = &b.device.store;
			int err;

			context("read %u, fault %d", (unsigned int)n, fault);
			bench_rewind(&b);
			memset(store, 0xA5, sizeof(*store));
			b.fault = (enum bench_fault)fault;
			b.fault_at = b.device.sim.counts.reads + n;
			err = tmd_store_mount(store, &b.device.config);
			b.fault = BENCH_FAULT_NONE;
			if (err == TMD_OK) {
				EXPECT(bench_holds(&b, &base) || bench_holds(&b, &target));
				EXPECT(fault != BENCH_FAULT_READS);
			} else {
				EXPECT_STATUS(err, TMD_ERR_NO_MODEL);
				EXPECT_EQ(store->active.slot, TMD_SLOT_NONE);
			}
			EXPECT_EQ(bench_operations(&b), 0);
			expect_active(&target, 1);
		}
	}
	tear_down();
}

/* ---- configurations that are refused ---- */

static int mount(void)
{
	memset(&b.device.store, 0xA5, sizeof(b.device.store));
	return tmd_store_mount(&b.device.store, &b.device.config);
}

static void test_contract_that_is_none(void)
{
	struct tmd_store_config *config;

	set_up(BENCH_FACTORY);
	config = &b.device.config;
	EXPECT_STATUS(mount(), TMD_OK);
	b.contract.wire_version = TMD_WIRE_VERSION + 1;
	EXPECT_STATUS(mount(), TMD_ERR_ARGUMENT);
	EXPECT_EQ(b.device.store.active.slot, TMD_SLOT_NONE);
	b.contract.wire_version = 0;
	EXPECT_STATUS(mount(), TMD_ERR_ARGUMENT);
	b.contract.wire_version = TMD_WIRE_VERSION;
	config->model = 1;
	EXPECT_STATUS(mount(), TMD_ERR_ARGUMENT);
	config->model = UINT16_MAX;
	EXPECT_STATUS(mount(), TMD_ERR_ARGUMENT);
	config->model = 0;
	config->contract = NULL;
	EXPECT_STATUS(mount(), TMD_ERR_ARGUMENT);
	config->contract = &b.contract;
	b.contract.models_n = 0;
	EXPECT_STATUS(mount(), TMD_ERR_ARGUMENT);
	b.contract.models_n = 1;
	EXPECT_STATUS(mount(), TMD_OK);
	tear_down();
}

/* Change one thing, see that it is refused, and change it back. */
#define REFUSED(place, value) \
	do { \
		const uint32_t kept = (place); \
\
		context("%s = %s", #place, #value); \
		(place) = (value); \
		EXPECT_STATUS(mount(), TMD_ERR_GEOMETRY); \
		EXPECT_EQ(b.device.store.active.slot, TMD_SLOT_NONE); \
		(place) = kept; \
		EXPECT_STATUS(mount(), TMD_OK); \
	} while (0)

static void test_geometry(void)
{
	struct tmd_store_config *c;
	struct tmd_region *records;

	/* 128-byte pages: slots of 5 pages at 0 and 640, records of 2 pages at 1280 */
	set_up(BENCH_FACTORY);
	c = &b.device.config;
	records = &c->records;
	EXPECT_EQ(c->slot[0].bytes, 640);
	EXPECT_EQ(records->bytes, 256);

	/* what the contract says is not what the flash has */
	REFUSED(b.contract.erase_bytes, 256u);
	REFUSED(b.contract.erase_bytes, 64u);
	REFUSED(b.contract.write_bytes, 8u);
	REFUSED(b.contract.write_bytes, 1u);
	REFUSED(b.model.slot_bytes, 641u);
	REFUSED(b.model.slot_bytes, UINT32_MAX);
	REFUSED(b.model.slot_bytes, 499u); /* smaller than the firmware's own model */
	REFUSED(b.model.model_bytes, 601u);

	/* not at the bounds of erase units, or beyond the device */
	REFUSED(c->slot[0].bytes, 641u);
	REFUSED(c->slot[0].bytes, 512u); /* too small */
	REFUSED(c->slot[0].bytes, 0u);
	REFUSED(c->slot[0].offset, 64u);
	REFUSED(c->slot[1].offset, 0x7FFFFF80u);
	REFUSED(c->slot[1].offset, 0xFFFFFF80u);
	REFUSED(c->slot[1].bytes, 0xFFFFFF80u);
	REFUSED(records->offset, 1281u);
	REFUSED(records->bytes, 384u); /* ends behind the device */
	REFUSED(records->bytes, 128u); /* a single erase unit */
	REFUSED(records->bytes, 0u);
	REFUSED(b.flash.runs_n, 0u);

	/* one in another */
	REFUSED(c->slot[1].offset, 0u);
	REFUSED(c->slot[1].offset, 512u);
	REFUSED(c->slot[0].offset, 128u);
	REFUSED(records->offset, 1152u);
	REFUSED(records->offset, 512u);
	REFUSED(records->offset, 0u);
	REFUSED(c->slot[0].bytes, 768u);
	REFUSED(c->slot[1].bytes, 768u);

	/* no port */
	context("%s", "no port");
	c->slot[1].flash = NULL;
	EXPECT_STATUS(mount(), TMD_ERR_GEOMETRY);
	c->slot[1].flash = &b.flash;
	records->flash = NULL;
	EXPECT_STATUS(mount(), TMD_ERR_GEOMETRY);
	tear_down();
}

/* A slot may be larger than the contract asks, and the two need not be equal. */
static void test_room_to_spare(void)
{
	set_up(BENCH_FACTORY);
	b.model.slot_bytes = 500;
	EXPECT_STATUS(mount(), TMD_OK);
	b.device.config.slot[0].bytes = 512;
	EXPECT_STATUS(mount(), TMD_OK);
	EXPECT(bench_holds(&b, &base));
	tear_down();
}

/* Slots and records on flash devices of different kinds, with different erased values. */
static void test_regions_on_several_devices(void)
{
	struct tmd_sim other;

	set_up(BENCH_FACTORY); /* erased to zero */
	REQUIRE(tmd_sim_init(&other, &(const struct tmd_sim_geometry){
					     "other", "", {{128, 1}}, 1, 4, 0xFF,
					     TMD_SIM_WRITE_ONCE}, 10));
	b.device.config.slot[1] = (struct tmd_region){&other.flash, 0, 640};
	b.device.config.records = (struct tmd_region){&other.flash, 640, 640};
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	update(&base, &target);
	expect_active(&target, 1);
	update(&target, &third);
	expect_active(&third, 0);
	for (uint32_t i = 0; i < 30u; i++) {
		update(&third, &target);
		update(&target, &third);
	}
	EXPECT_EQ(other.counts.illegal, 0);
	EXPECT_EQ(other.counts.rewrites, 0);
	tmd_sim_free(&other);
	tear_down();
}

int main(void)
{
	RUN(test_factory);
	RUN(test_compiled_in);
	RUN(test_record);
	RUN(test_reading);
	RUN(test_flash_that_is_not_mapped);
	RUN(test_corrupted_slot_falls_back);
	RUN(test_from_slot_to_slot);
	RUN(test_no_model);
	RUN(test_torn_active_slot);
	RUN(test_records_with_impossible_lengths);
	RUN(test_record_of_an_empty_model);
	RUN(test_cut_after_a_fallback);
	RUN(test_read_errors);
	RUN(test_contract_that_is_none);
	RUN(test_geometry);
	RUN(test_room_to_spare);
	RUN(test_regions_on_several_devices);
	return harness_result();
}

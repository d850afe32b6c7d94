/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What stays with a model: where the metadata of its patch stand, that they are whole or the model is
 * passed over, that a firmware judges them again, and what tmd_store_metadata tells of them.
 */
#include "harness.h"

#include "format2.h"

#include <store/records.h>

static const uint8_t note1[] = "run 1, of a Monday";
static const uint8_t note2[] = "run 2, of a Friday";

static struct bench b;
static struct bytes base;
static struct bytes target;
static struct bytes said;  /* the metadata of `patch` */
static struct bytes patch; /* base to target */

/* Pages of 1,024 bytes that are written once, in units of any size. */
static struct tmd_sim_geometry geometry = {
	"pages", "", {{1024, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE};

/* How a patch is sent, as bench_send has it; TO_REGION: by the staging region. */
enum { STAGED = 0, STREAMED = 61, TO_REGION = 1 };

static const uint32_t ways[] = {STREAMED, STAGED, TO_REGION};
#define WAYS_N (TMD_STAGING ? 3u : 2u)

static int send(const struct bytes *p, uint32_t way)
{
#if TMD_STAGING
	if (way == TO_REGION) {
		return tmd_sim_device_stage(&b.device, p->at, p->n, 50, NULL);
	}
#endif
	return bench_send(&b, p, way);
}

static struct bytes said_with(const uint8_t *note)
{
	struct bytes tlvs = format2_needs();

	format2_text(&tlvs, 14, note, sizeof(note1) - 1u);
	return tlvs;
}

static void set_up(uint32_t write_bytes, uint32_t target_bytes, enum bench_place place)
{
	const struct tmd_sim_options options = {
		.progress_bytes = 1024,
		.staging_bytes = 8192,
	};

	geometry.write_bytes = write_bytes;
	base = model_make(1200, 71);
	target = model_derive(&base, target_bytes, 72);
	said = said_with(note1);
	patch = format2_patch(&base, &target, &said);
	bench_init_with(&b, &geometry, 4096, &base, place, &options);
	format2_contract(&b.contract, &b.model);
	bench_mark(&b);
}

static void tear_down(void)
{
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&target);
	bytes_free(&said);
	bytes_free(&patch);
}

static uint32_t active_slot(void)
{
	return b.device.store.active.slot;
}

/* The bytes of a slot, as they are in flash. */
static uint8_t *slot_bytes(uint32_t slot)
{
	return &b.device.sim.bytes[b.device.config.slot[slot].offset];
}

static uint32_t round_up(uint32_t n, uint32_t unit)
{
	return (n + unit - 1u) / unit * unit;
}

static uint8_t *metadata_in_flash(void)
{
	return slot_bytes(active_slot()) + round_up(target.n, b.flash.write_bytes);
}

static void expect_said(uint8_t tag, const void *value, int bytes)
{
	uint8_t buf[256];

	if (EXPECT_EQ(tmd_store_metadata(&b.device.store, tag, buf, sizeof(buf)), bytes) &&
	    bytes > 0) {
		EXPECT_BYTES(buf, value, (size_t)bytes);
	}
}

/* ---- where they stand ---- */

static void expect_in_slot(void)
{
	const uint32_t unit = b.flash.write_bytes;
	const uint32_t slot = active_slot();
	const uint32_t at = round_up(target.n, unit);
	const uint32_t end = round_up(at + said.n, 1024);
	const uint8_t *bytes = slot_bytes(slot);
	uint8_t record[REC_BYTES];
	const uint8_t *entry = &record[REC_SLOT0 + SLOT_BYTES_N * slot];

	EXPECT(bench_holds(&b, &target));
	EXPECT(bench_is_firm(&b));
	EXPECT(!tmd_sim_is_weak(&b.device.sim, b.device.config.slot[slot].offset, at + said.n));
	EXPECT_BYTES(&bytes[at], said.at, said.n);
	for (uint32_t i = target.n; i < at; i++) {
		EXPECT_EQ(bytes[i], 0xFF);
	}
	for (uint32_t i = at + said.n; i < end; i++) {
		EXPECT_EQ(bytes[i], 0xFF);
	}
	memcpy(record, b.device.store.record, sizeof(record));
	EXPECT_EQ(entry[SLOT_META], said.n);
	EXPECT_EQ(get_u32(&entry[SLOT_OPSET]), tmd_crc32(0, said.at, said.n));
	EXPECT_EQ(entry[SLOT_PRESENT], 0x01);
	expect_said(14, note1, sizeof(note1) - 1u);
	expect_said(12, "bench", 5);
}

/* Targets that end before, at and behind a write unit, the metadata's last place, and an erase unit. */
static void test_where_they_stand(void)
{
	for (uint32_t unit = 1; unit <= 256u; unit *= 2u) {
		uint32_t place[] = {1024u + 3u * unit, 2048, 0, 0};
		uint32_t before = 0;

		said = format2_needs();
		place[2] = 2048u - round_up(said.n + sizeof(note1) + 1u, unit);
		place[3] = 2048u - unit;
		bytes_free(&said);
		for (uint32_t i = 0; i < 12u * WAYS_N; i++) {
			const uint32_t n = place[i / 3u % 4u] + i % 3u - 1u;
			const uint32_t way = ways[i / 12u];

			context("write unit %u, %u bytes, way %u", (unsigned int)unit,
				(unsigned int)n, (unsigned int)way);
			set_up(unit, n, BENCH_FACTORY);
			EXPECT_STATUS(send(&patch, way), TMD_OK);
			expect_in_slot();
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			expect_in_slot();
			/* No more erase units than target and metadata take. */
			before = bench_erases_of(&b, &b.device.config.slot[1]);
			EXPECT_EQ(before, round_up(round_up(n, unit) + said.n, 1024) / 1024u);
			tear_down();
		}
	}
}

/* ---- bits that turn over ---- */

static void test_each_bit_of_them_counts(void)
{
	set_up(16, 2040, BENCH_FACTORY);
	EXPECT_STATUS(send(&patch, STREAMED), TMD_OK);
	for (uint32_t bit = 0; bit < 8u * said.n; bit++) {
		uint8_t *byte = metadata_in_flash() + bit / 8u;

		context("bit %u", (unsigned int)bit);
		*byte ^= (uint8_t)(1u << bit % 8u);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &base));
		*byte ^= (uint8_t)(1u << bit % 8u);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &target));
	}
	tear_down();
}

/* A device that is on looks at them too, when it opens the model. */
static void test_decay_before_open(void)
{
	struct tmd_model model;

	set_up(16, 2040, BENCH_COMPILED_IN);
	EXPECT_STATUS(send(&patch, STAGED), TMD_OK);
	EXPECT_STATUS(tmd_store_open(&b.device.store, &model), TMD_OK);
	tmd_store_close(&b.device.store, &model);
	EXPECT_EQ(active_slot(), 0);
	*metadata_in_flash() ^= 0x20u;
	EXPECT_STATUS(tmd_store_open(&b.device.store, &model), TMD_OK);
	EXPECT_EQ(model.slot, TMD_SLOT_COMPILED_IN);
	EXPECT(bench_holds(&b, &base));
	tmd_store_close(&b.device.store, &model);
	/* What has decayed is no longer known, and the update may come again. */
	EXPECT_STATUS(send(&patch, STAGED), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	tear_down();
}

/* Reads that fail or give a wrong bit, each in turn: the target with all of its metadata, or the base. */
static void test_reads_that_fail(void)
{
	uint64_t reads;

	set_up(16, 2040, BENCH_FACTORY);
	EXPECT_STATUS(send(&patch, STREAMED), TMD_OK);
	bench_mark(&b);
	EXPECT_STATUS(tmd_store_mount(&b.device.store, &b.device.config), TMD_OK);
	reads = bench_reads(&b);
	for (uint64_t n = 1; n <= reads; n++) {
		for (int fault = BENCH_FAULT_READ; fault <= BENCH_FAULT_READ_FLIP; fault++) {
			if (fault == BENCH_FAULT_READS) {
				continue;
			}
			context("fault %d at read %u", fault, (unsigned int)n);
			bench_rewind(&b);
			b.fault = (enum bench_fault)fault;
			b.fault_at = b.device.sim.counts.reads + n;
			EXPECT_STATUS(tmd_store_mount(&b.device.store, &b.device.config), TMD_OK);
			if (bench_holds(&b, &target)) {
				expect_said(14, note1, sizeof(note1) - 1u);
			} else {
				EXPECT(bench_holds(&b, &base));
				expect_said(14, NULL, 0);
			}
		}
	}
	tear_down();
}

/* ---- other firmware ---- */

static const struct tmd_operator fewer[] = {{3, 1, 6, 0x03}, {22, 1, 1, 0x03}};
static const struct tmd_operator older[] = {{3, 1, 5, 0x03}, {22, 1, 1, 0x03}, {25, 1, 2, 0x02}};
static const struct tmd_operator newer[] = {{3, 7, 9, 0x03}, {22, 1, 1, 0x03}, {25, 1, 2, 0x02}};
static const struct tmd_operator narrow[] = {{3, 1, 6, 0x02}, {22, 1, 1, 0x03}, {25, 1, 2, 0x02}};
static const struct tmd_operator wide[] = {
	{3, 1, 9, 0xFF}, {25, 2, 2, 0x02}, {26, 1, 1, 0x01}, {0x80000000u, 1, 1, 0x01}};

static const struct {
	const char *text;
	const struct tmd_operator *operators;
	uint16_t operators_n;
	uint16_t accept;     /* besides COMPARE_NAMES */
	uint32_t arena_less; /* modulo 2^32 */
	bool kernels, tensors, quantisation, names, name; /* are others */
	bool runs_it;
} firmware[] = {
	{.text = "fewer operators", .operators = fewer, .operators_n = 2},
	{.text = "an older version", .operators = older, .operators_n = 3},
	{.text = "newer versions alone", .operators = newer, .operators_n = 3},
	{.text = "fewer types", .operators = narrow, .operators_n = 3},
	{.text = "more operators", .operators = wide, .operators_n = 4, .runs_it = true},
	{.text = "other kernels", .kernels = true},
	{.text = "other kernels, unguarded", .kernels = true, .accept = 0x01},
	{.text = "other kernels, warned", .kernels = true, .accept = 0x04, .runs_it = true},
	{.text = "other kernels, free", .kernels = true, .accept = 0x08, .runs_it = true},
	{.text = "a smaller arena", .arena_less = 1},
	{.text = "a larger arena", .arena_less = UINT32_MAX, .runs_it = true},
	{.text = "other tensors", .tensors = true},
	{.text = "other scales", .quantisation = true},
	{.text = "other scales, free", .quantisation = true, .accept = 0x10, .runs_it = true},
	{.text = "other names of tensors", .names = true},
	{.text = "another name", .name = true},
};

static void install(size_t i, const struct tmd_contract *contract,
		    const struct tmd_model_contract *model)
{
	b.contract = *contract;
	b.model = *model;
	if (i >= sizeof(firmware) / sizeof(firmware[0])) {
		return; /* the firmware before */
	}
	if (firmware[i].operators != NULL) {
		b.contract.operators = firmware[i].operators;
		b.contract.operators_n = firmware[i].operators_n;
	}
	b.contract.accept |= firmware[i].accept;
	b.contract.kernels += firmware[i].kernels ? 1u : 0u;
	b.model.arena_bytes -= firmware[i].arena_less;
	b.model.tensors += firmware[i].tensors ? 1u : 0u;
	b.model.quantisation += firmware[i].quantisation ? 1u : 0u;
	b.model.tensor_names += firmware[i].names ? 1u : 0u;
	b.model.name = firmware[i].name ? "bank" : b.model.name; /* and finds its records all the same */
}

/* It runs the model or not, without forgetting it; the firmware before takes it back. */
static void test_other_firmware(void)
{
	for (size_t i = 0; i < sizeof(firmware) / sizeof(firmware[0]); i++) {
		struct tmd_contract contract;
		struct tmd_model_contract model;
		const bool runs_it = firmware[i].runs_it;

		context("%s", firmware[i].text);
		set_up(16, 2040, BENCH_COMPILED_IN);
		EXPECT_STATUS(send(&patch, STREAMED), TMD_OK);
		contract = b.contract;
		model = b.model;
		for (uint32_t records = 0; records < 2u; records++) {
			install(i, &contract, &model);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, runs_it ? &target : &base));
			expect_said(14, note1, runs_it ? (int)sizeof(note1) - 1 : 0);
			if (records > 0u) {
				EXPECT_STATUS(bench_record_again(&b), TMD_OK);
				EXPECT_EQ(bench_recorded_state(&b, 0), TMD_SLOT_IS_COMPLETE);
			}
			install(SIZE_MAX, &contract, &model);
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			/* What a record says is active is active. */
			EXPECT(bench_holds(&b, runs_it || records == 0u ? &target : &base));
		}
		tear_down();
	}
}

/* Say in a new record what metadata a slot holds. */
static void record_metadata(uint32_t slot, uint8_t n, uint32_t crc)
{
	uint8_t *entry = &tmd_records_draft(&b.device.store)[REC_SLOT0 + SLOT_BYTES_N * slot];

	entry[SLOT_META] = n;
	put_u32(&entry[SLOT_OPSET], crc);
	EXPECT_STATUS(tmd_records_append(&b.device.store), TMD_OK);
}

#if TMD_META_KEPT < UINT8_MAX
/* A firmware that keeps more than this one: its model is not run, and not forgotten. */
static void test_more_than_this_firmware_keeps(void)
{
	set_up(16, 2040, BENCH_COMPILED_IN);
	EXPECT_STATUS(send(&patch, STREAMED), TMD_OK);
	record_metadata(0, TMD_META_KEPT + 1u, tmd_crc32(0, metadata_in_flash(), TMD_META_KEPT + 1u));
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &base));
	EXPECT_STATUS(bench_record_again(&b), TMD_OK);
	EXPECT_EQ(bench_recorded_state(&b, 0), TMD_SLOT_IS_COMPLETE);
	tear_down();
}
#endif

/* Metadata with the right checksum that no patch would have been taken with. */
static void test_metadata_that_are_none(void)
{
	static const struct {
		const char *text;
		uint8_t n;
		uint8_t bytes[12];
	} cases[] = {
		{"one byte", 1, {14}},
		{"a byte too many", 5, {14, 2, 'a', 'b', 14}},
		{"a value beyond the end", 4, {14, 3, 'a', 'b'}},
		{"twice", 6, {14, 1, 'a', 14, 1, 'b'}},
		{"a tag of format 1", 6, {3, 4, 0, 0, 0, 0}},
		{"a tag of vendors", 3, {0x80, 1, 0}},
		{"a short number", 5, {1, 3, 0, 0, 0}},
		{"no operators", 4, {13, 2, 4, 1}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		context("%s", cases[i].text);
		set_up(16, 2040, BENCH_COMPILED_IN);
		b.contract.accept = TMD_ACCEPT_UNGUARDED;
		EXPECT_STATUS(send(&patch, STREAMED), TMD_OK);
		memcpy(metadata_in_flash(), cases[i].bytes, cases[i].n);
		record_metadata(0, cases[i].n, tmd_crc32(0, cases[i].bytes, cases[i].n));
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &base));
		tear_down();
	}
}

/* ---- rule SLOT ---- */

static void test_the_slot_bound(void)
{
	for (uint32_t unit = 1; unit <= 256u; unit *= 4u) {
		for (uint32_t way = 0; way < WAYS_N; way++) {
			context("write unit %u, way %u", (unsigned int)unit, (unsigned int)way);
			set_up(unit, 2001, BENCH_COMPILED_IN);
			b.model.slot_bytes = round_up(target.n, unit) + said.n - 1u;
			bench_mark(&b);
			EXPECT_STATUS(send(&patch, ways[way]), TMD_ERR_SLOT);
			EXPECT(bench_region_is_unchanged(&b, &b.device.config.slot[0]));
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			b.model.slot_bytes++;
			EXPECT_STATUS(send(&patch, ways[way]), TMD_OK);
			expect_in_slot();
			tear_down();
		}
	}
}

/* Slots that have not a byte more: metadata end at the slot's end, or would begin there. */
static void test_a_full_slot(void)
{
	for (uint32_t more = 0; more < 2u; more++) {
		set_up(1, 100, BENCH_COMPILED_IN);
		bytes_free(&target);
		bytes_free(&patch);
		target = model_derive(&base, 4096u - said.n + more, 73);
		patch = format2_patch(&base, &target, &said);
		EXPECT_EQ(b.device.config.slot[0].bytes, 4096);
		context("%u bytes too many", (unsigned int)more);
		EXPECT_STATUS(send(&patch, STREAMED), more == 0u ? TMD_OK : TMD_ERR_SLOT);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, more == 0u ? &target : &base));
		tear_down();
	}
}

/* ---- other metadata of the same target ---- */

static struct bytes other; /* a patch like `patch`, with another note */

static void set_up_other(uint32_t target_bytes)
{
	struct bytes tlvs = said_with(note2);

	set_up(16, target_bytes, BENCH_FACTORY);
	other = format2_patch(&base, &target, &tlvs);
	bytes_free(&tlvs);
}

static void tear_down_other(void)
{
	bytes_free(&other);
	tear_down();
}

/* A slot that holds the target already, from before: what is said of it is new all the same. */
static void test_the_target_is_there_already(void)
{
	for (uint32_t i = 0; i < 2u * WAYS_N; i++) {
		/* Metadata in the target's last erase unit, and in the next one. */
		const uint32_t n = i % 2u == 0u ? 1800u : 2048u;
		struct bytes back;

		context("%u bytes, way %u", (unsigned int)n, (unsigned int)ways[i / 2u]);
		set_up_other(n);
		back = format2_patch(&target, &base, &said);
		EXPECT_STATUS(send(&patch, ways[i / 2u]), TMD_OK);
		EXPECT_STATUS(send(&back, STREAMED), TMD_OK);
		expect_said(14, note1, sizeof(note1) - 1u);
		bench_mark(&b);
		EXPECT_STATUS(send(&other, ways[i / 2u]), TMD_OK);
		if (ways[i / 2u] != STREAMED) {
			/* Of the erase units, the one that changes. */
			EXPECT_EQ(bench_erases_of(&b, &b.device.config.slot[1]),
				  TMD_RESUME ? 1u : round_up(n + said.n, 1024) / 1024u);
		}
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &target));
		expect_said(14, note2, sizeof(note2) - 1u);
		bytes_free(&back);
		tear_down_other();
	}
}

/* An update was cut; then another one comes, to the same target, with other metadata. */
static void other_after_cut(uint64_t cut, uint32_t way, uint32_t next_way)
{
	const uint8_t *note = note1;
	int err = TMD_OK;

	bench_rewind(&b);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	b.device.sim.random += cut;
	bench_cut(&b, cut, 1u + cut / TMD_SIM_CUTS_N);
	EXPECT(send(&patch, way) != TMD_OK);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	if (bench_holds(&b, &base)) {
		note = note2;
		err = send(&other, next_way);
		if (err == TMD_ERR_TARGET) { /* it found the old ones, and says so */
			EXPECT(bench_holds(&b, &base));
			err = send(&other, next_way);
		}
	}
	EXPECT_STATUS(err, TMD_OK);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	EXPECT(bench_is_firm(&b));
	expect_said(14, note, sizeof(note1) - 1u);
}

static void test_other_metadata_after_a_cut(void)
{
	/* Targets whose metadata begin in one erase unit and end in the next, and which do not. */
	static const uint32_t lengths[] = {2000, 1800, 2048};

	for (uint32_t i = 0; i < 3u * 4u; i++) {
		const uint32_t way = ways[i / 3u % 2u];
		const uint32_t next_way = ways[i / 6u]; /* streamed and staged, after either */
		uint64_t cuts;

		set_up_other(lengths[i % 3u]);
		EXPECT_STATUS(send(&patch, way), TMD_OK);
		cuts = bench_operations(&b) * TMD_SIM_CUTS_N;
		for (uint64_t cut = 0; cut < cuts; cut++) {
			context("%u bytes, way %u then %u, cut %u", (unsigned int)target.n,
				(unsigned int)way, (unsigned int)next_way, (unsigned int)cut);
			other_after_cut(cut, way, next_way);
		}
		tear_down_other();
	}
}

/* ---- what is told ---- */

static const uint8_t own[] = {12, 5, 'b', 'e', 'n', 'c', 'h', 14, 3, 'o', 'w', 'n', 13, 0};

static void say_own(void)
{
	b.model.meta = own;
	b.model.meta_bytes = sizeof(own);
}

static void test_of_the_firmwares_own_model(void)
{
	static const enum bench_place places[] = {BENCH_FACTORY, BENCH_COMPILED_IN};

	for (int i = 0; i < 2; i++) {
		struct bytes there, back;

		context("place %d", i);
		set_up(16, 1500, places[i]);
		expect_said(14, NULL, 0); /* it says nothing */
		say_own();
		expect_said(14, "own", 3);
		expect_said(12, "bench", 5);
		expect_said(13, NULL, 0);
		expect_said(15, NULL, 0);
		expect_said(0, NULL, 0);

		/* A patch of format 1 says nothing; back at its own model, the firmware knows it. */
		there = patch_make(&base, &target, 2);
		back = patch_make(&target, &base, 2);
		EXPECT_STATUS(send(&there, STREAMED), TMD_OK);
		expect_said(14, NULL, 0);
		EXPECT_STATUS(send(&back, STREAMED), TMD_OK);
		expect_said(14, "own", 3);
		bytes_free(&there);
		bytes_free(&back);
		tear_down();
	}
}

/* The factory's model, under a firmware that describes another one. */
static void test_of_an_earlier_firmwares_model(void)
{
	set_up(16, 1500, BENCH_RECORDED);
	say_own();
	EXPECT(bench_holds(&b, &base));
	expect_said(14, NULL, 0);
	tear_down();
}

static void test_small_buffers(void)
{
	for (uint32_t place = 0; place < 2u; place++) {
		set_up(16, 1500, BENCH_COMPILED_IN);
		say_own();
		if (place == 1u) {
			EXPECT_STATUS(send(&patch, STREAMED), TMD_OK);
		}
		for (uint32_t size = 0; size <= 6u; size++) {
			uint8_t buf[8];

			context("place %u, %u bytes", (unsigned int)place, (unsigned int)size);
			memset(buf, 0xA5, sizeof(buf));
			EXPECT_EQ(tmd_store_metadata(&b.device.store, 12, buf, size), 5);
			EXPECT_BYTES(buf, "bench", size < 5u ? size : 5u);
			EXPECT_EQ(buf[size < 5u ? size : 5u], 0xA5);
		}
		EXPECT_EQ(tmd_store_metadata(&b.device.store, 12, NULL, 0), 5);
		EXPECT_EQ(tmd_store_metadata(&b.device.store, 16, NULL, 0), 0);
		tear_down();
	}
}

static void test_reads_that_fail_while_telling(void)
{
	uint8_t buf[64];
	uint64_t reads;

	set_up(16, 1500, BENCH_FACTORY);
	EXPECT_STATUS(send(&patch, STREAMED), TMD_OK);
	bench_mark(&b);
	expect_said(14, note1, sizeof(note1) - 1u);
	reads = bench_reads(&b);
	EXPECT(reads > 0u);
	for (uint64_t n = 1; n <= reads; n++) {
		context("read %u", (unsigned int)n);
		bench_rewind(&b);
		b.fault = BENCH_FAULT_READ;
		b.fault_at = b.device.sim.counts.reads + n;
		EXPECT_STATUS(tmd_store_metadata(&b.device.store, 14, buf, sizeof(buf)),
			      TMD_ERR_FLASH_READ);
	}
	bench_rewind(&b);
	/* They decay after the store looked at them last: nothing is read beyond their end. */
	metadata_in_flash()[1] = 0xFF;
	EXPECT_STATUS(tmd_store_metadata(&b.device.store, 14, buf, sizeof(buf)), TMD_ERR_METADATA);
	tear_down();
}

static void test_of_no_model(void)
{
	uint8_t buf[8];

	set_up(16, 1500, BENCH_FACTORY);
	slot_bytes(0)[7] ^= 1u;
	EXPECT_STATUS(bench_boot(&b), TMD_ERR_NO_MODEL);
	EXPECT_STATUS(tmd_store_metadata(&b.device.store, 12, buf, sizeof(buf)), TMD_ERR_NO_MODEL);
	tear_down();
}

int main(void)
{
	RUN(test_where_they_stand);
	RUN(test_each_bit_of_them_counts);
	RUN(test_decay_before_open);
	RUN(test_reads_that_fail);
	RUN(test_other_firmware);
#if TMD_META_KEPT < UINT8_MAX
	RUN(test_more_than_this_firmware_keeps);
#endif
	RUN(test_metadata_that_are_none);
	RUN(test_the_slot_bound);
	RUN(test_a_full_slot);
	RUN(test_the_target_is_there_already);
	RUN(test_other_metadata_after_a_cut);
	RUN(test_of_the_firmwares_own_model);
	RUN(test_of_an_earlier_firmwares_model);
	RUN(test_small_buffers);
	RUN(test_reads_that_fail_while_telling);
	RUN(test_of_no_model);
	return harness_result();
}

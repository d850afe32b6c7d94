/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <store/records.h>
#include <store/region.h>

static void *must(void *memory)
{
	if (memory == NULL) {
		(void)fputs("bench: out of memory\n", stderr);
		exit(2);
	}
	return memory;
}

static void must_be(bool holds, const char *what)
{
	if (!holds) {
		(void)fprintf(stderr, "bench: %s\n", what);
		exit(2);
	}
}

/* splitmix64: good for any seed. */
uint32_t bench_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9E3779B97F4A7C15u);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return (uint32_t)(z >> 32);
}

void bytes_free(struct bytes *bytes)
{
	free(bytes->at);
	*bytes = (struct bytes){NULL, 0};
}

static struct bytes bytes_make(uint32_t n)
{
	return (struct bytes){must(malloc(n > 0u ? n : 1u)), n};
}

static void fill(uint8_t *at, uint32_t n, uint64_t *random)
{
	for (uint32_t i = 0; i < n;) {
		const uint32_t r = bench_random(random);
		uint32_t run = (r & 7u) == 0u ? (r >> 8) % 700u : 1u;

		for (; run > 0u && i < n; run--) {
			at[i++] = (uint8_t)(r >> 24);
		}
	}
}

struct bytes model_make(uint32_t n, uint64_t seed)
{
	struct bytes model = bytes_make(n);

	fill(model.at, n, &seed);
	return model;
}

struct bytes model_derive(const struct bytes *base, uint32_t n, uint64_t seed)
{
	struct bytes model = bytes_make(n);
	const uint32_t common = base->n < n ? base->n : n;
	uint32_t at = 0;

	memcpy(model.at, base->at, common);
	fill(&model.at[common], n - common, &seed);
	do {
		uint32_t changed = 1u + bench_random(&seed) % 60u;

		for (at += bench_random(&seed) % (common / 3u + 1u); changed > 0u && at < common;
		     changed--) {
			/* Runs of one value as well as noise; never the old byte. */
			const uint8_t next = (uint8_t)(changed > 20u ? 0x5A
								     : bench_random(&seed));

			model.at[at] = (uint8_t)(next != base->at[at] ? next : ~next);
			at++;
		}
	} while (at < common);
	return model;
}

void put_u16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

void put_u32(uint8_t *at, uint32_t value)
{
	put_u16(at, value);
	put_u16(&at[2], value >> 16);
}

uint32_t get_u32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint8_t *grow(struct bytes *patch, uint32_t n)
{
	patch->at = must(realloc(patch->at, patch->n + n));
	patch->n += n;
	return &patch->at[patch->n - n];
}

static void put_digest(uint8_t *at, const struct bytes *model, uint8_t kind)
{
	if (kind == 1u) {
		put_u32(at, tmd_crc32(0, model->at, model->n));
	} else if (kind == 2u) {
		struct tmd_sha256 sha;

		tmd_sha256_init(&sha);
		tmd_sha256_update(&sha, model->at, model->n);
		(void)tmd_sha256_final(&sha, at);
	}
}

struct bytes patch_header(const struct bytes *base, const struct bytes *target, uint8_t kind)
{
	struct bytes patch = bytes_make(80);

	memset(patch.at, 0, patch.n);
	patch.at[0] = 1;
	patch.at[1] = kind;
	put_u32(&patch.at[4], base->n);
	put_u32(&patch.at[8], target->n);
	put_digest(&patch.at[12], base, kind);
	put_digest(&patch.at[44], target, kind);
	return patch;
}

/* Add to the u16 at `at`. */
static void add_u16(uint8_t *at, uint32_t more)
{
	put_u16(at, at[0] + 256u * at[1] + more);
}

void patch_tlv(struct bytes *patch, uint8_t tag, uint32_t value, uint8_t bytes)
{
	uint8_t *at = grow(patch, 2u + bytes);

	*at++ = tag;
	*at++ = bytes;
	for (uint32_t i = 0; i < bytes; i++) {
		at[i] = (uint8_t)(i < 4u ? value >> (8u * i) : 0u);
	}
	add_u16(&patch->at[76], 2u + bytes);
}

void patch_guardrails(struct bytes *patch)
{
	patch_tlv(patch, 1, BENCH_ARENA, 4);
	patch_tlv(patch, 2, BENCH_ABI, 2);
	patch_tlv(patch, 3, BENCH_OPSET, 4);
	patch_tlv(patch, 4, BENCH_IO, 4);
}

static void put_chunk(struct bytes *patch, uint32_t offset, uint8_t encoding, const uint8_t *data,
		      uint32_t n, bool crc)
{
	uint8_t *at = grow(patch, 8u + (crc ? 4u : 0u) + n);

	put_u32(at, offset);
	put_u16(&at[4], n);
	at[6] = encoding;
	at[7] = crc ? 1u : 0u;
	at += 8;
	if (crc) {
		put_u32(at, tmd_crc32(0, data, n));
		at += 4;
	}
	memcpy(at, data, n);
	add_u16(&patch->at[2], 1);
}

void patch_raw(struct bytes *patch, uint32_t offset, const uint8_t *data, uint16_t n, bool crc)
{
	put_chunk(patch, offset, 0, data, n, crc);
}

/* Runs as pairs; the caller keeps them below 65,536 bytes. */
void patch_runs(struct bytes *patch, uint32_t offset, const uint8_t *data, uint32_t n, bool crc)
{
	uint8_t *pairs = must(malloc(2u * (size_t)n));
	uint32_t used = 0;

	for (uint32_t i = 0; i < n;) {
		uint32_t run = 1;

		while (run < 256u && i + run < n && data[i + run] == data[i]) {
			run++;
		}
		pairs[used++] = (uint8_t)run; /* 256 becomes 0 */
		pairs[used++] = data[i];
		i += run;
	}
	put_chunk(patch, offset, 1, pairs, used, crc);
	free(pairs);
}

/* The end of the range that differs from `start` on: gaps of fewer than 8 equal bytes are in it. */
static uint32_t range_end(const struct bytes *base, const struct bytes *target, uint32_t start)
{
	uint32_t end = start;

	for (uint32_t i = start; i < target->n && i < end + 8u; i++) {
		if (i >= base->n || base->at[i] != target->at[i]) {
			end = i + 1u;
		}
	}
	return end;
}

static bool is_a_run(const uint8_t *data, uint32_t n)
{
	return n > 4u && memcmp(data, data + 1, n - 1u) == 0;
}

struct bytes patch_make(const struct bytes *base, const struct bytes *target, uint8_t kind)
{
	struct bytes patch = patch_header(base, target, kind);
	uint32_t chunks = 0;

	patch_guardrails(&patch);
	for (uint32_t at = 0; at < target->n;) {
		uint32_t end = range_end(base, target, at);

		if (end == at) {
			at++;
			continue;
		}
		if (end - at > 60000u) {
			end = at + 60000u;
		}
		if (is_a_run(&target->at[at], end - at)) {
			patch_runs(&patch, at, &target->at[at], end - at, chunks % 3u != 0u);
		} else {
			patch_raw(&patch, at, &target->at[at], (uint16_t)(end - at),
				  chunks % 3u != 0u);
		}
		chunks++;
		at = end;
	}
	return patch;
}

/* ---- the port in front of the simulator's ---- */

static bool reads_go_wrong(const struct bench *b, enum bench_fault fault)
{
	return b->fault == fault && b->device.sim.counts.reads == b->fault_at;
}

static int front_read(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	struct bench *b = ctx;
	const int err = b->device.sim.flash.read(&b->device.sim, offset, buf, bytes);

	if (err == 0 && reads_go_wrong(b, BENCH_FAULT_READ_FLIP)) {
		((uint8_t *)buf)[bytes / 2u] ^= 0x10u;
	}
	if (reads_go_wrong(b, BENCH_FAULT_READ) ||
	    (b->fault == BENCH_FAULT_READS && b->device.sim.counts.reads >= b->fault_at)) {
		memset(buf, 0xEE, bytes);
		return 5; /* any value but 0 is a failure */
	}
	return err;
}

/* Called with the operation done: what the caller is told. */
static int front_result(const struct bench *b, int err)
{
	const bool now = b->device.sim.counts.operations == b->fault_at;

	return now && (b->fault == BENCH_FAULT_DONE || b->fault == BENCH_FAULT_DONE_LAST) ? 7 : err;
}

static bool is_dead(const struct bench *b)
{
	return b->fault == BENCH_FAULT_DONE_LAST && b->device.sim.counts.operations >= b->fault_at;
}

static uint32_t unit_number(const struct tmd_flash *flash, uint32_t offset)
{
	uint32_t start = 0;
	uint32_t units = 0;

	for (uint32_t i = 0; i < flash->runs_n; i++) {
		const uint32_t bytes = flash->runs[i].bytes * flash->runs[i].count;

		if (offset - start < bytes) {
			return units + (offset - start) / flash->runs[i].bytes;
		}
		start += bytes;
		units += flash->runs[i].count;
	}
	return units;
}

static int front_write(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	struct bench *b = ctx;
	const uint32_t unit = unit_number(&b->flash, offset);

	if (b->device.sim.powered && unit < b->units_n && !is_dead(b)) {
		b->written[unit]++;
	}
	return is_dead(b) ? 7
			  : front_result(b, b->device.sim.flash.write(&b->device.sim, offset, buf,
								      bytes));
}

static int front_erase(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct bench *b = ctx;
	const uint32_t unit = unit_number(&b->flash, offset);
	int err;

	if (is_dead(b)) {
		return 7;
	}
	if (b->device.sim.powered && unit < b->units_n && b->erased[unit] < UINT8_MAX) {
		b->erased[unit]++;
	}
	err = b->device.sim.flash.erase(&b->device.sim, offset, bytes);
	if (b->device.sim.counts.operations == b->device.sim.fault_at) {
		b->erase_went_wrong = true;
	}
	return front_result(b, err);
}

static const void *front_map(void *ctx, uint32_t offset, uint32_t bytes)
{
	struct bench *b = ctx;

	return b->is_unmapped ? NULL : b->device.sim.flash.map(&b->device.sim, offset, bytes);
}

/* ---- the device ---- */

static size_t states_n(const struct bench *b)
{
	return b->device.sim.size / b->device.sim.flash.write_bytes;
}

static void put_port_in_front(struct bench *b)
{
	struct tmd_store_config *config = &b->device.config;

	b->flash = b->device.sim.flash;
	b->flash.read = front_read;
	b->flash.write = front_write;
	b->flash.erase = front_erase;
	b->flash.map = front_map;
	b->flash.ctx = b;
	config->slot[0].flash = &b->flash;
	config->slot[1].flash = &b->flash;
	config->records.flash = &b->flash;
	if (config->staging.flash != NULL) {
		config->staging.flash = &b->flash;
	}
}

const struct tmd_sim_options bench_plain = {.progress_bytes = 4096};

void bench_init_config(struct bench *b, const struct tmd_sim_geometry *geometry,
		       uint32_t slot_bytes, const struct bytes *base, enum bench_place place,
		       const struct tmd_sim_options *options)
{
	uint32_t largest = 0;

	memset(b, 0, sizeof(*b));
	for (uint32_t i = 0; i < geometry->pattern_n; i++) {
		if (geometry->pattern[i].bytes > largest) {
			largest = geometry->pattern[i].bytes;
		}
	}
	b->model = (struct tmd_model_contract){
		.name = "bench",
		.id = tmd_crc32(0, (const uint8_t *)"bench", 5),
		.arena_bytes = BENCH_ARENA,
		.opset_hash = BENCH_OPSET,
		.io_hash = BENCH_IO,
		.slot_bytes = slot_bytes,
		.model_bytes = place == BENCH_RECORDED ? slot_bytes : base->n,
	};
	if (place != BENCH_RECORDED) {
		put_digest(b->model.model_sha256, base, 2);
	}
	b->contract = (struct tmd_contract){
		.wire_version = TMD_WIRE_VERSION,
		.formats = 1u << 1,
		.tflm_abi = BENCH_ABI,
		.erase_bytes = largest,
		.write_bytes = geometry->write_bytes,
		.models_n = 1,
		.models = &b->model,
	};
	must_be(tmd_sim_device_init(&b->device, geometry, &b->contract, 0, options) == TMD_OK,
		"no such device");
	put_port_in_front(b);
	b->units_n = unit_number(&b->flash, b->device.sim.size);
	b->erased = must(calloc(b->units_n, sizeof(*b->erased)));
	b->written = must(calloc(b->units_n, sizeof(*b->written)));
	b->bytes = must(malloc(b->device.sim.size));
	b->state = must(malloc(states_n(b)));
	if (place == BENCH_COMPILED_IN) {
		b->device.config.compiled_in = base->at;
	} else {
		must_be(tmd_sim_device_factory(&b->device, base->at, base->n) == TMD_OK,
			"the base does not go into slot 0");
	}
	bench_mark(b);
}

void bench_seal_record(uint8_t record[REC_BYTES])
{
	const uint32_t id = tmd_crc32(0, (const uint8_t *)"bench", 5);

	put_u32(&record[REC_CRC], tmd_crc32(id, record, REC_CRC));
}

void bench_put_entry(uint8_t entry[SLOT_BYTES_N], const struct bytes *model)
{
	uint8_t sha256[32];

	put_digest(sha256, model, 2);
	memset(entry, 0, SLOT_BYTES_N);
	put_u32(&entry[SLOT_TOTAL], model->n);
	memcpy(&entry[SLOT_SHA256], sha256, 16);
	put_u32(&entry[SLOT_ARENA], BENCH_ARENA);
	put_u32(&entry[SLOT_ABI], BENCH_ABI);
	put_u32(&entry[SLOT_OPSET], BENCH_OPSET);
	put_u32(&entry[SLOT_IO], BENCH_IO);
	put_u32(&entry[SLOT_MODEL], model->n);
	entry[SLOT_PRESENT] = 0x0F;
	entry[SLOT_STATE] = 3; /* complete */
}

static void record_base(struct bench *b, const struct bytes *base)
{
	uint8_t *draft;

	must_be(bench_boot(b) == TMD_ERR_NO_MODEL, "the base is there without a record");
	draft = tmd_records_draft(&b->device.store);
	draft[REC_ACTIVE] = 0;
	bench_put_entry(&draft[REC_SLOT0], base);
	must_be(tmd_records_append(&b->device.store) == TMD_OK, "no record was written");
}

void bench_init_with(struct bench *b, const struct tmd_sim_geometry *geometry, uint32_t slot_bytes,
		     const struct bytes *base, enum bench_place place,
		     const struct tmd_sim_options *options)
{
	bench_init_config(b, geometry, slot_bytes, base, place, options);
	if (place == BENCH_RECORDED) {
		record_base(b, base);
	}
	must_be(bench_boot(b) == TMD_OK, "the device does not mount");
	bench_mark(b);
}

void bench_init(struct bench *b, const struct tmd_sim_geometry *geometry, uint32_t slot_bytes,
		const struct bytes *base, enum bench_place place)
{
	bench_init_with(b, geometry, slot_bytes, base, place, &bench_plain);
}

void bench_free(struct bench *b)
{
	tmd_sim_device_free(&b->device);
	free(b->erased);
	free(b->written);
	free(b->bytes);
	free(b->state);
	memset(b, 0, sizeof(*b));
}

void bench_mark(struct bench *b)
{
	memcpy(b->bytes, b->device.sim.bytes, b->device.sim.size);
	memcpy(b->state, b->device.sim.state, states_n(b));
	memset(b->erased, 0, b->units_n * sizeof(*b->erased));
	memset(b->written, 0, b->units_n * sizeof(*b->written));
	b->erase_went_wrong = false;
	b->counts = b->device.sim.counts;
	b->random = b->device.sim.random;
}

void bench_rewind(struct bench *b)
{
	struct tmd_sim *sim = &b->device.sim;

	memcpy(sim->bytes, b->bytes, sim->size);
	memcpy(sim->state, b->state, states_n(b));
	memset(b->erased, 0, b->units_n * sizeof(*b->erased));
	memset(b->written, 0, b->units_n * sizeof(*b->written));
	b->erase_went_wrong = false;
	sim->counts = b->counts;
	sim->random = b->random;
	sim->illegal_text[0] = '\0';
	b->fault = BENCH_FAULT_NONE;
	tmd_sim_power_on(sim);
}

bool bench_is_unchanged(const struct bench *b)
{
	return memcmp(b->bytes, b->device.sim.bytes, b->device.sim.size) == 0 &&
	       memcmp(b->state, b->device.sim.state, states_n(b)) == 0;
}

bool bench_region_is_unchanged(const struct bench *b, const struct tmd_region *region)
{
	const uint32_t unit = b->flash.write_bytes;

	return memcmp(&b->bytes[region->offset], &b->device.sim.bytes[region->offset],
		      region->bytes) == 0 &&
	       memcmp(&b->state[region->offset / unit],
		      &b->device.sim.state[region->offset / unit], region->bytes / unit) == 0;
}

int bench_boot(struct bench *b)
{
	b->fault = BENCH_FAULT_NONE;
	return tmd_sim_device_boot(&b->device, b->device.sim.counts.reads);
}

bool bench_holds(struct bench *b, const struct bytes *model)
{
	const struct tmd_store *store = &b->device.store;
	uint8_t piece[997];
	uint8_t sha256[32];

	put_digest(sha256, model, 2);
	if (store->active.bytes != model->n ||
	    memcmp(store->active.sha256, sha256, sizeof(sha256)) != 0) {
		return false;
	}
	for (uint32_t at = 0; at < model->n;) {
		const uint32_t left = model->n - at;
		const uint32_t n = left < sizeof(piece) ? left : (uint32_t)sizeof(piece);

		if (tmd_store_read(store, at, piece, n) != TMD_OK ||
		    memcmp(piece, &model->at[at], n) != 0) {
			return false;
		}
		at += n;
	}
	return true;
}

int bench_send(struct bench *b, const struct bytes *patch, uint32_t piece)
{
	return piece == 0u ? tmd_sim_device_staged(&b->device, patch->at, patch->n)
			   : tmd_sim_device_stream(&b->device, patch->at, patch->n, piece);
}

bool bench_is_firm(const struct bench *b)
{
	const struct tmd_active *active = &b->device.store.active;

	return active->slot > 1u ||
	       !tmd_sim_is_weak(&b->device.sim, b->device.config.slot[active->slot].offset,
				active->bytes);
}

void bench_cut(struct bench *b, uint64_t shape, uint64_t operation)
{
	b->device.sim.cut = (uint8_t)(shape % TMD_SIM_CUTS_N);
	b->device.sim.cut_at = b->device.sim.counts.operations + operation;
}

int bench_record_again(struct bench *b)
{
	(void)tmd_records_draft(&b->device.store);
	return tmd_records_append(&b->device.store);
}

int bench_recorded_state(const struct bench *b, uint32_t slot)
{
	static struct tmd_store store;

	memset(&store, 0, sizeof(store));
	store.config = &b->device.config;
	tmd_records_load(&store);
	return store.newest == UINT32_MAX
		       ? -1
		       : store.record[REC_SLOT0 + SLOT_BYTES_N * slot + SLOT_STATE];
}

uint32_t bench_stride(const struct bench *b)
{
	const uint32_t unit = b->flash.write_bytes;

	return (REC_BYTES + unit - 1u) / unit * unit;
}

void bench_fill_records(struct bench *b)
{
	const struct tmd_region *records = &b->device.config.records;
	uint32_t end; /* of the erase unit with the newest record */

	do {
		must_be(bench_record_again(b) == TMD_OK, "no record");
		end = 0;
		while (end <= b->device.store.newest) {
			end += unit_at(records, end);
		}
	} while (b->device.store.newest + 2u * bench_stride(b) <= end);
	bench_mark(b);
}

uint32_t bench_unit(const struct bench *b, const struct tmd_region *region, uint32_t offset)
{
	return unit_number(&b->flash, region->offset + offset);
}

uint32_t bench_erases_of(const struct bench *b, const struct tmd_region *region)
{
	uint32_t erases = 0;

	for (uint32_t unit = bench_unit(b, region, 0); unit < bench_unit(b, region, region->bytes);
	     unit++) {
		erases += b->erased[unit];
	}
	return erases;
}

uint64_t bench_operations(const struct bench *b)
{
	return b->device.sim.counts.operations - b->counts.operations;
}

uint64_t bench_reads(const struct bench *b)
{
	return b->device.sim.counts.reads - b->counts.reads;
}

uint32_t unit_at(const struct tmd_region *region, uint32_t offset)
{
	uint32_t start = 0;
	const uint32_t bytes =
		offset < region->bytes ? tmd_region_unit(region, offset, &start) : 0u;

	return start == offset && bytes <= region->bytes - offset ? bytes : 0u;
}

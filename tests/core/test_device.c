/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The simulated device in a file: what was kept comes back, and what is no device's is refused.
 */
#include "harness.h"

#include "bench.h"

static struct tmd_sim_device device;
static struct tmd_sim_device loaded;
static struct tmd_model_contract model;
static struct tmd_contract contract;
static struct bytes base;
static struct bytes target;
static const struct tmd_sim_options options = {
	.staging_bytes = 500, .progress_bytes = 77, .trial_starts = 3,
};
static char path[] = "test_device.tmp";

static void set_up(const struct tmd_sim_geometry *geometry)
{
	struct bytes patch;
	struct tmd_sha256 sha;

	base = model_make(300, 1);
	target = model_derive(&base, 310, 2);
	patch = patch_make(&base, &target, 2);
	model = (struct tmd_model_contract){
		.name = "kept",
		.id = 77,
		.arena_bytes = BENCH_ARENA,
		.opset_hash = BENCH_OPSET,
		.io_hash = BENCH_IO,
		.slot_bytes = 400,
		.model_bytes = base.n,
	};
	tmd_sha256_init(&sha);
	tmd_sha256_update(&sha, base.at, base.n);
	(void)tmd_sha256_final(&sha, model.model_sha256);
	contract = (struct tmd_contract){
		.wire_version = TMD_WIRE_VERSION,
		.formats = 2,
		.tflm_abi = BENCH_ABI,
		.erase_bytes = geometry->pattern[geometry->pattern_n - 1u].bytes,
		.write_bytes = geometry->write_bytes,
		.models_n = 1,
		.models = &model,
	};
	context("%s", geometry->name);
	REQUIRE(tmd_sim_device_init(&device, geometry, &contract, 0, &options) == TMD_OK);
	REQUIRE(tmd_sim_device_factory(&device, base.at, base.n) == TMD_OK);
	REQUIRE(tmd_sim_device_compile_in(&device, base.at, base.n));
	REQUIRE(tmd_sim_device_boot(&device, 0xA5) == TMD_OK);
	REQUIRE(tmd_sim_device_stream(&device, patch.at, patch.n, 9) == TMD_OK);
	device.note = malloc(5);
	REQUIRE(device.note != NULL);
	memcpy(device.note, "notes", 5);
	device.note_bytes = 5;
	bytes_free(&patch);
}

static void tear_down(void)
{
	tmd_sim_device_free(&device);
	bytes_free(&base);
	bytes_free(&target);
	(void)remove(path);
}

static void test_what_was_kept_comes_back(void)
{
	for (uint32_t g = 0; tmd_sim_geometries[g].name != NULL; g++) {
		uint8_t note[8] = {0};

		set_up(&tmd_sim_geometries[g]);
		device.sim.cut = TMD_SIM_CUT_TORN;
		device.sim.cut_at = 1000;
		device.sim.fault = TMD_SIM_FAULT_LIE;
		device.sim.fault_at = 2000;
		device.sim.state[3] = 2; /* torn */
		EXPECT(tmd_sim_device_save(&device, path));
		EXPECT_EQ(tmd_sim_device_note(path, note, sizeof(note)), 5);
		EXPECT_BYTES(note, "notes\0\0", 8);
		memset(note, 0, sizeof(note));
		EXPECT_EQ(tmd_sim_device_note(path, note, 2), 5);
		EXPECT_BYTES(note, "no\0\0", 5);

		memset(&loaded, 0xA5, sizeof(loaded));
		if (EXPECT(tmd_sim_device_load(&loaded, path, &contract, 0))) {
			const size_t units = device.sim.size / device.sim.flash.write_bytes;

			EXPECT_EQ(loaded.sim.size, device.sim.size);
			EXPECT_BYTES(loaded.sim.bytes, device.sim.bytes, device.sim.size);
			EXPECT_BYTES(loaded.sim.state, device.sim.state, units);
			EXPECT_BYTES(&loaded.sim.counts, &device.sim.counts,
				     sizeof(device.sim.counts));
			EXPECT_EQ(loaded.sim.cut, TMD_SIM_CUT_TORN);
			EXPECT_EQ(loaded.sim.cut_at, 1000);
			EXPECT_EQ(loaded.sim.fault, TMD_SIM_FAULT_LIE);
			EXPECT_EQ(loaded.sim.fault_at, 2000);
			EXPECT_EQ(loaded.sim.random, device.sim.random);
			EXPECT_EQ(loaded.note_bytes, 5);
			EXPECT_EQ(loaded.config.trial_starts, 3);
			EXPECT_EQ(loaded.config.progress_bytes, 77);
			EXPECT_EQ(loaded.config.staging.offset, device.config.staging.offset);
			EXPECT_EQ(loaded.config.staging.bytes, device.config.staging.bytes);
			EXPECT(loaded.config.staging.bytes >= 500u);
			EXPECT(loaded.compiled_in != device.compiled_in);
			EXPECT(loaded.config.compiled_in == loaded.compiled_in);
			EXPECT_BYTES(loaded.compiled_in, base.at, base.n);
			loaded.sim.state[3] = device.sim.state[4];
			EXPECT_STATUS(tmd_sim_device_boot(&loaded, 0x5A), TMD_OK);
			EXPECT_EQ(loaded.store.active.bytes, target.n);
			EXPECT_EQ(loaded.store.active.slot, 0);
			tmd_sim_device_free(&loaded);
		}
		tear_down();
	}
}

/* Write the first `n` bytes of the file, one of them changed. */
static void rewrite(const struct bytes *file, uint32_t n, uint32_t changed, uint8_t by)
{
	FILE *out = fopen(path, "wb");

	REQUIRE(out != NULL);
	file->at[changed] ^= by;
	REQUIRE(n == 0u || fwrite(file->at, 1, n, out) == n);
	file->at[changed] ^= by;
	REQUIRE(fclose(out) == 0);
}

static struct bytes read_file(void)
{
	struct bytes file = {malloc(100000), 0};
	FILE *in = fopen(path, "rb");

	REQUIRE(in != NULL && file.at != NULL);
	file.n = (uint32_t)fread(file.at, 1, 100000, in);
	REQUIRE(fclose(in) == 0 && file.n > 1000u && file.n < 100000u);
	return file;
}

static void test_files_that_are_cut_off(void)
{
	struct bytes file;

	set_up(&tmd_sim_geometries[7]);
	EXPECT(tmd_sim_device_save(&device, path));
	file = read_file();
	for (uint32_t n = 0; n < file.n; n += n < 400u ? 1u : 61u) {
		context("%u bytes", (unsigned int)n);
		rewrite(&file, n, 0, 0);
		EXPECT(!tmd_sim_device_load(&loaded, path, &contract, 0));
		EXPECT(loaded.sim.bytes == NULL); /* and nothing is left behind */
	}
	rewrite(&file, file.n, 0, 0);
	EXPECT(tmd_sim_device_load(&loaded, path, &contract, 0));
	tmd_sim_device_free(&loaded);
	bytes_free(&file);
	tear_down();
}

/* Bits of what stands before the contents: refused, or taken without harm. */
static void test_files_that_are_damaged(void)
{
	struct bytes file;

	set_up(&tmd_sim_geometries[7]);
	EXPECT(tmd_sim_device_save(&device, path));
	file = read_file();
	for (uint32_t bit = 0; bit < 8u * 320u; bit += 5u) {
		bool good;

		context("bit %u", (unsigned int)bit);
		rewrite(&file, file.n, bit / 8u, (uint8_t)(1u << (bit % 8u)));
		good = tmd_sim_device_load(&loaded, path, &contract, 0);
		EXPECT(!good || bit >= 64u); /* the magic at least is looked at */
		if (good) {
			EXPECT_EQ(loaded.sim.size, device.sim.size);
			tmd_sim_device_free(&loaded);
		}
	}
	bytes_free(&file);
	tear_down();
}

static void test_files_of_others(void)
{
	uint8_t note[4];

	set_up(&tmd_sim_geometries[7]);
	EXPECT(!tmd_sim_device_load(&loaded, "no such file", &contract, 0));
	EXPECT_EQ(tmd_sim_device_note("no such file", note, sizeof(note)), -1);
	EXPECT(!tmd_sim_device_save(&device, "no such folder/file"));
	EXPECT(tmd_sim_device_save(&device, path));
	model.slot_bytes = 4000; /* the device of another contract has another size */
	EXPECT(!tmd_sim_device_load(&loaded, path, &contract, 0));
	model.slot_bytes = 400;
	model.model_bytes--; /* that is not the model that was linked into the firmware */
	EXPECT(!tmd_sim_device_load(&loaded, path, &contract, 0));
	model.model_bytes++;
	EXPECT(!tmd_sim_device_load(&loaded, path, &contract, 1)); /* no such model */
	EXPECT(tmd_sim_device_load(&loaded, path, &contract, 0));
	tmd_sim_device_free(&loaded);
	tear_down();
}

static void test_devices_that_cannot_be(void)
{
	struct tmd_sim_geometry g = tmd_sim_geometries[7];
	struct tmd_sim_options other = options;

	set_up(&g);
	other.trial_starts = 256;
	EXPECT_STATUS(tmd_sim_device_init(&loaded, &g, &contract, 0, &other), TMD_ERR_GEOMETRY);
	other = options;
	other.staging_bytes = UINT32_MAX;
	EXPECT_STATUS(tmd_sim_device_init(&loaded, &g, &contract, 0, &other), TMD_ERR_GEOMETRY);
	EXPECT_STATUS(tmd_sim_device_init(&loaded, &g, &contract, 1, &options),
		      TMD_ERR_GEOMETRY);
	model.slot_bytes = TMD_MODEL_MAX;
	EXPECT_STATUS(tmd_sim_device_init(&loaded, &g, &contract, 0, &options),
		      TMD_ERR_GEOMETRY);
	model.slot_bytes = UINT32_MAX;
	EXPECT_STATUS(tmd_sim_device_init(&loaded, &g, &contract, 0, &options),
		      TMD_ERR_GEOMETRY);
	model.slot_bytes = 400;
	g.pattern_n = 0;
	EXPECT_STATUS(tmd_sim_device_init(&loaded, &g, &contract, 0, &options),
		      TMD_ERR_GEOMETRY);
	EXPECT_STATUS(tmd_sim_device_factory(&device, base.at, 5000), TMD_ERR_SLOT);
	tear_down();
}

int main(void)
{
	RUN(test_what_was_kept_comes_back);
	RUN(test_files_that_are_cut_off);
	RUN(test_files_that_are_damaged);
	RUN(test_files_of_others);
	RUN(test_devices_that_cannot_be);
	return harness_result();
}

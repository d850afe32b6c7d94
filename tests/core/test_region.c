/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Regions: erase units of unequal size, bounds that cannot be overrun by any numbers, and writes
 * that are read back.
 */
#include "bench.h"
#include "harness.h"

#include <store/region.h>

/* A port that notes what it is asked for. */
struct port {
	uint8_t bytes[1024];
	unsigned int calls;
	uint32_t offset;
	uint32_t n;
	int result;
	bool deaf; /* a write is acknowledged and not done */
};

static struct port port;

static int note(uint32_t offset, uint32_t n)
{
	port.calls++;
	port.offset = offset;
	port.n = n;
	return port.result;
}

static int port_read(void *ctx, uint32_t offset, void *buf, uint32_t n)
{
	const int err = note(offset, n);

	REQUIRE(ctx == &port && offset <= sizeof(port.bytes) && n <= sizeof(port.bytes) - offset);
	memcpy(buf, &port.bytes[offset], n);
	return err;
}

static int port_write(void *ctx, uint32_t offset, const void *buf, uint32_t n)
{
	const int err = note(offset, n);

	REQUIRE(ctx == &port && offset <= sizeof(port.bytes) && n <= sizeof(port.bytes) - offset);
	if (!port.deaf) {
		memcpy(&port.bytes[offset], buf, n);
	}
	return err;
}

static int port_erase(void *ctx, uint32_t offset, uint32_t n)
{
	const int err = note(offset, n);

	REQUIRE(ctx == &port && offset <= sizeof(port.bytes) && n <= sizeof(port.bytes) - offset);
	memset(&port.bytes[offset], 0xFF, n);
	return err;
}

/* 0, 32, 64, 192, 320, 336, 352, 368, 384: two of 32, two of 128, four of 16 */
static const struct tmd_flash_run runs[] = {{32, 2}, {128, 2}, {16, 4}};
static struct tmd_flash flash;

static struct tmd_region region_of(uint32_t offset, uint32_t bytes)
{
	memset(&port, 0, sizeof(port));
	flash = (struct tmd_flash){
		.read = port_read,
		.write = port_write,
		.erase = port_erase,
		.ctx = &port,
		.runs = runs,
		.runs_n = 3,
		.write_bytes = 4,
		.erased_value = 0xFF,
	};
	return (struct tmd_region){&flash, offset, bytes};
}

static void test_unequal_units(void)
{
	static const uint32_t begins[] = {0, 32, 64, 192, 320, 336, 352, 368};
	static const uint32_t sizes[] = {32, 32, 128, 128, 16, 16, 16, 16};
	struct tmd_region region = region_of(0, 384);
	struct tmd_region_shape shape;
	uint32_t k = 0;

	EXPECT(tmd_region_is_valid(&region, &shape));
	EXPECT_EQ(shape.largest, 128);
	for (uint32_t at = 0; at <= 400u; at++) {
		const bool begin = k < 8u && begins[k] == at;

		context("offset %u", (unsigned int)at);
		EXPECT_EQ(unit_at(&region, at), begin ? sizes[k] : 0u);
		k += begin ? 1u : 0u;
	}
	EXPECT_EQ(k, 8);
	EXPECT_EQ(unit_at(&region, UINT32_MAX), 0);
}

static void test_offsets_are_the_regions(void)
{
	struct tmd_region region = region_of(64, 272);
	struct tmd_region_shape shape;

	EXPECT(tmd_region_is_valid(&region, &shape));
	EXPECT_EQ(shape.largest, 128);
	EXPECT_EQ(unit_at(&region, 0), 128);
	EXPECT_EQ(unit_at(&region, 128), 128);
	EXPECT_EQ(unit_at(&region, 256), 16);
	EXPECT_EQ(unit_at(&region, 272), 0); /* behind its end, where one begins */
	EXPECT_EQ(unit_at(&region, 64), 0);
	region = region_of(320, 64);
	EXPECT(tmd_region_is_valid(&region, &shape));
	EXPECT_EQ(shape.largest, 16); /* of the region, not of the device */
}

/* A region begins and ends at bounds of erase units, within the device. */
static void test_which_regions_are_valid(void)
{
	static const uint32_t bounds[] = {0, 32, 64, 192, 320, 336, 352, 368, 384};
	struct tmd_region_shape shape;

	for (uint32_t start = 0; start <= 388u; start += 4u) {
		for (uint32_t end = start; end <= 420u; end += 4u) {
			const struct tmd_region region = region_of(start, end - start);
			bool starts = false;
			bool ends = false;

			for (uint32_t i = 0; i < 9u; i++) {
				starts = starts || bounds[i] == start;
				ends = ends || bounds[i] == end;
			}
			context("from %u to %u", (unsigned int)start, (unsigned int)end);
			EXPECT_EQ(tmd_region_is_valid(&region, &shape),
				  starts && ends && start < end);
		}
	}
}

static void expect_invalid(const struct tmd_region *region)
{
	struct tmd_region_shape shape;

	EXPECT(!tmd_region_is_valid(region, &shape));
}

static void test_ill_formed_ports(void)
{
	static const struct tmd_flash_run empty[] = {{32, 2}, {0, 5}};
	static const struct tmd_flash_run wraps[] = {{32, 2}, {0x10000, 0x10000}};
	static const struct tmd_flash_run wraps_to_one[] = {{0x8000, 0x20001}};
	static const struct tmd_flash_run wraps_in_sum[] = {{0x80000000u, 1}, {0x80000000u, 1}};
	struct tmd_region region = region_of(0, 384);
	struct tmd_region_shape shape;

	for (uint32_t unit = 0; unit <= 600u; unit++) {
		/* A divisor of the write buffer and of every erase unit: the least is 16. */
		const bool good = unit != 0u && TMD_WRITE_BUFFER % unit == 0u && 16u % unit == 0u;

		context("write unit of %u", (unsigned int)unit);
		flash.write_bytes = unit;
		EXPECT_EQ(tmd_region_is_valid(&region, &shape), good);
	}
	context("%s", "");

	region = region_of(0, 384);
	region.flash = NULL;
	expect_invalid(&region);
	region = region_of(0, 384);
	flash.runs_n = 0;
	expect_invalid(&region);
	region = region_of(0, 96);
	flash.runs = empty;
	flash.runs_n = 2;
	expect_invalid(&region);
	region = region_of(0, 0x20000);
	flash.runs = wraps;
	flash.runs_n = 2;
	expect_invalid(&region);
	region = region_of(0, 0x8000); /* as a device of 4 GB and one unit might look */
	flash.runs = wraps_to_one;
	flash.runs_n = 1;
	expect_invalid(&region);
	region = region_of(0, 0x80000000u);
	flash.runs = wraps_in_sum;
	flash.runs_n = 2;
	expect_invalid(&region);
	region = region_of(0x80000000u, 32); /* beyond TMD_MODEL_MAX */
	flash.runs = wraps_in_sum;
	flash.runs_n = 2;
	expect_invalid(&region);
}

/* Numbers that a patch or a record in flash could hold never reach the port. */
static void test_bounds_cannot_be_overrun(void)
{
	static const uint32_t numbers[] = {
		0, 1, 4, 63, 64, 65, 127, 128, 129, 0x7FFFFFFF, 0x80000000, 0xFFFFFF80, 0xFFFFFFFC,
		0xFFFFFFFF,
	};
	const size_t n = sizeof(numbers) / sizeof(numbers[0]);
	uint8_t buf[256];

	memset(buf, 0, sizeof(buf));
	for (size_t i = 0; i < n * n; i++) {
		const uint32_t offset = numbers[i / n];
		const uint32_t bytes = numbers[i % n];
		const bool inside = (uint64_t)offset + bytes <= 128u;
		struct tmd_region region = region_of(64, 128);

		context("offset 0x%x, 0x%x bytes", (unsigned int)offset, (unsigned int)bytes);
		EXPECT_STATUS(tmd_region_read(&region, offset, buf, bytes),
			      inside ? TMD_OK : TMD_ERR_FLASH_READ);
		EXPECT_EQ(port.calls, inside ? 1 : 0);
		if (inside) {
			EXPECT_EQ(port.offset, 64u + offset);
			EXPECT_EQ(port.n, bytes);
		}
		region = region_of(64, 128);
		EXPECT_STATUS(tmd_region_write(&region, offset, buf, bytes),
			      inside ? TMD_OK : TMD_ERR_FLASH_WRITE);
		EXPECT_EQ(port.calls > 0u, inside);
		region = region_of(64, 128);
		EXPECT_STATUS(tmd_region_erase(&region, offset, bytes),
			      inside ? TMD_OK : TMD_ERR_FLASH_ERASE);
		EXPECT_EQ(port.calls, inside ? 1 : 0);
	}
}

static void test_a_write_is_read_back(void)
{
	uint8_t data[100];
	struct tmd_region region = region_of(64, 128);

	memset(data, 0x3C, sizeof(data));
	EXPECT_STATUS(tmd_region_write(&region, 4, data, sizeof(data)), TMD_OK);
	EXPECT_BYTES(&port.bytes[68], data, sizeof(data));

	region = region_of(64, 128);
	port.deaf = true;
	EXPECT_STATUS(tmd_region_write(&region, 4, data, sizeof(data)), TMD_ERR_FLASH_VERIFY);
	region = region_of(64, 128);
	port.result = 1; /* done or not, it is reported as failed: any value but 0 */
	EXPECT_STATUS(tmd_region_write(&region, 4, data, sizeof(data)), TMD_ERR_FLASH_WRITE);
	EXPECT_STATUS(tmd_region_read(&region, 4, data, 4), TMD_ERR_FLASH_READ);
	EXPECT_STATUS(tmd_region_erase(&region, 0, 128), TMD_ERR_FLASH_ERASE);
}

static void test_equals(void)
{
	uint8_t data[100];
	struct tmd_region region = region_of(64, 128);

	memset(data, 0x3C, sizeof(data));
	memcpy(&port.bytes[68], data, sizeof(data));
	for (uint32_t n = 0; n <= sizeof(data); n++) {
		context("%u bytes", (unsigned int)n);
		EXPECT(tmd_region_equals(&region, 4, data, n));
		if (n > 0u) {
			port.bytes[68u + n - 1u] ^= 0x40u;
			EXPECT(!tmd_region_equals(&region, 4, data, n));
			EXPECT(tmd_region_equals(&region, 4, data, n - 1u));
			port.bytes[68u + n - 1u] ^= 0x40u;
		}
	}
	port.result = -1;
	EXPECT(!tmd_region_equals(&region, 4, data, 1)); /* a failing read is a no */
	port.result = 0;
	EXPECT(!tmd_region_equals(&region, 127, data, 2));
}

static void test_flash_without_erase(void)
{
	struct tmd_region region = region_of(64, 128);

	flash.flags = TMD_FLASH_NO_ERASE;
	flash.erase = NULL;
	EXPECT_STATUS(tmd_region_erase(&region, 0, 128), TMD_OK);
	EXPECT_EQ(port.calls, 0);
}

int main(void)
{
	RUN(test_unequal_units);
	RUN(test_offsets_are_the_regions);
	RUN(test_which_regions_are_valid);
	RUN(test_ill_formed_ports);
	RUN(test_bounds_cannot_be_overrun);
	RUN(test_a_write_is_read_back);
	RUN(test_equals);
	RUN(test_flash_without_erase);
	return harness_result();
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The port of the RA4M1 against the model of its flash: what it does, and what it says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tmd_ra4m1.h>

#include "sequencer.h"

#define CHECK(holds)                                                                               \
	do {                                                                                       \
		if (!(holds)) {                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds);                \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static struct tmd_ra4m1 port;

static const char *init(uint32_t first, uint32_t bytes)
{
	const char *wrong = tmd_ra4m1_init(&port, first, bytes);

	CHECK(wrong == nullptr || port.flash.read == nullptr);
	CHECK(standin_is_readable());
	return wrong;
}

static void refuses_what_is_no_place()
{
	CHECK(init(0x28000, 0x1801) != nullptr);
	CHECK(init(0x28001, 0x18000) != nullptr);
	CHECK(init(0x28000, 0) != nullptr);
	CHECK(init(0x28000, 0x18800) != nullptr);
	CHECK(init(0x40000, 0x800) != nullptr);
	CHECK(init(0x80000000, 0x800) != nullptr);
	CHECK(init(0xFFFFF800, 0x800) != nullptr);
	CHECK(init(0x28000, 0xFFFFF800) != nullptr);
	/* The stand-in's sketch ends at 0x12000, and 0x100 more are copied to RAM. */
	CHECK(tmd_ra4m1_sketch_end() >= 0x12100 && tmd_ra4m1_sketch_end() < 0x12200);
	CHECK(strstr(init(0x12000, 0x800), "sketch") != nullptr);
	CHECK(strstr(init(0x4000, 0x800), "sketch") != nullptr);
	CHECK(init(0x12800, 0x800) == nullptr);
}

static void refuses_clocks()
{
	standin_clock(48000000, 48000000, 0);
	CHECK(strstr(init(0x28000, 0x18000), "clock") != nullptr);
	standin_clock(48000000, 3000000, 0);
	CHECK(strstr(init(0x28000, 0x18000), "clock") != nullptr);
	standin_clock(8000000, 4000000, 2); /* middle speed: low-voltage mode */
	CHECK(init(0x28000, 0x18000) == nullptr);
}

static void writes_and_erases()
{
	uint8_t data[256], read[256];
	void *const ctx = port.flash.ctx;

	for (unsigned int i = 0; i < sizeof(data); i++) {
		data[i] = (uint8_t)(i * 7 + 1);
	}
	CHECK(port.flash.erase(ctx, 0, 2048) == 0);
	CHECK(port.flash.write(ctx, 0, data, sizeof(data)) == 0);
	CHECK(port.flash.write(ctx, 0x17FF8, data, 8) == 0);
	CHECK(port.flash.read(ctx, 1, read, 255) == 0);
	CHECK(memcmp(read, data + 1, 255) == 0);
	CHECK(memcmp(port.flash.map(ctx, 0, 256), data, 256) == 0);
	CHECK(memcmp(port.flash.map(ctx, 0x17FF8, 8), data, 8) == 0);
	CHECK(port.flash.erase(ctx, 0x17800, 2048) == 0);
	CHECK(*(const uint8_t *)port.flash.map(ctx, 0x17FF8, 8) == 0xFF);
	CHECK(standin_operations() == 1 + 32 + 1 + 1);
	/* Out of flash it cannot be written. */
	CHECK(port.flash.write(ctx, 0x800, port.flash.map(ctx, 0, 8), 8) != 0);
	CHECK(standin_is_readable());
}

static void reports_failures(enum fault fault, bool reported)
{
	uint8_t data[16];
	void *const ctx = port.flash.ctx;

	memset(data, 0x5A, sizeof(data));
	standin_fault(fault);
	CHECK((port.flash.write(ctx, 0x1000, data, 16) != 0) == reported);
	CHECK(standin_is_readable());
	standin_fault(fault);
	CHECK((port.flash.erase(ctx, 0x1000, 2048) != 0) == reported);
	CHECK(standin_is_readable());
	CHECK(port.flash.erase(ctx, 0x1000, 2048) == 0);
	CHECK(port.flash.write(ctx, 0x1000, data, 16) == 0);
	CHECK(port.flash.erase(ctx, 0x1000, 2048) == 0);
	CHECK(standin_is_readable());
}

static void leaves_others_alone()
{
	uint8_t data[8] = {0};

	standin_busy();
	CHECK(port.flash.write(port.flash.ctx, 0x1000, data, 8) != 0);
	CHECK(port.flash.erase(port.flash.ctx, 0x1000, 2048) != 0);
	CHECK(tmd_ra4m1_init(&port, 0x28000, 0x18000) != nullptr);
}

int main()
{
	standin_flash(nullptr);
	refuses_what_is_no_place();
	refuses_clocks();
	writes_and_erases();
	standin_clock(48000000, 24000000, 0);
	CHECK(init(0x28000, 0x18000) == nullptr);
	reports_failures(FAULT_REPORTED, true);
	reports_failures(FAULT_HANGS, true);
	reports_failures(FAULT_SILENT, false); /* the store finds that out: it reads back */
	leaves_others_alone();
	puts("done");
	return 0;
}

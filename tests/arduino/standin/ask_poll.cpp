/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * How long TinyMLDeltaSerial::poll() stays: time is what passes while it asks for it.
 */
#include <stdio.h>

#include <TinyMLDelta.h>

#include "tmd_contract.h"
#include "tmd_model_digits.h"

static unsigned long now;

unsigned long millis()
{
	return ++now;
}

void delay(unsigned long milliseconds)
{
	now += milliseconds;
}

size_t Print::print(const char *)
{
	return 0;
}

size_t Print::print(unsigned long)
{
	return 0;
}

size_t Print::println(const char *)
{
	return 0;
}

/* Gives so many bytes of a frame for STATUS, one in `gap` milliseconds, and counts what is said. */
class Line : public Stream {
public:
	int available() override
	{
		return now >= next && given < wanted ? 1 : 0;
	}
	int read() override
	{
		static const uint8_t frame[] = {0xA5, 1, 7, 0, 0, 0xFC, 0xAE, 0xB7, 0x9C};

		next = now + gap;
		return frame[given++];
	}
	size_t write(const uint8_t *, size_t bytes) override
	{
		said += bytes;
		return bytes;
	}
	void begin(unsigned bytes, unsigned long milliseconds)
	{
		given = 0;
		wanted = bytes;
		gap = milliseconds;
		next = now;
		said = 0;
	}

	unsigned given = 0, wanted = 0;
	unsigned long gap = 0, next = 0;
	size_t said = 0;
};

static uint8_t memory[18 * 1024];
static struct tmd_ram ram;
static struct tmd_store_config config;
static TinyMLDeltaSerial device;
static Line line;

static unsigned long poll()
{
	const unsigned long since = now;

	device.poll();
	return now - since;
}

#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                    \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

int main()
{
	tmd_ram_init(&ram, memory, 18, 1024);
	config.contract = &tmd_contract;
	config.compiled_in = tmd_model_digits;
	config.slot[0] = {&ram.flash, 0, 8 * 1024};
	config.slot[1] = {&ram.flash, 8 * 1024, 8 * 1024};
	config.records = {&ram.flash, 16 * 1024, 2 * 1024};
	device.start(line, config);

	EXPECT(poll() < 5);
	/* A frame whose bytes come slowly is answered in one turn. */
	line.begin(9, 20);
	poll();
	EXPECT(line.said > 20);
	EXPECT(poll() < 5);
	/* Of one that breaks off the rest is waited for, and not again at each turn. */
	line.begin(3, 0);
	EXPECT(poll() > TMD_SERIAL_STAY);
	EXPECT(poll() < 5);
	/* The next one that comes is answered, once the other has been given up. */
	now += TMD_SERIAL_PAUSE;
	line.begin(9, 0);
	poll();
	EXPECT(line.said > 20);
	puts("done");
	return 0;
}

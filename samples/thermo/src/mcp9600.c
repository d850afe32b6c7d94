/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mcp9600.h"

#include <math.h>
#include <string.h>

#define STEPS_PER_DEGREE 16.0f
#define COLD_CELSIUS 25.0f
#define REVISION 0x10u

/* Bytes of a register; 0: there is none. */
static size_t width_of(unsigned int at)
{
	static const uint8_t width[MCP9600_REGISTERS] = {
		[MCP9600_HOT_JUNCTION] = 2,
		[MCP9600_DIFFERENCE] = 2,
		[MCP9600_COLD_JUNCTION] = 2,
		[MCP9600_RAW_ADC] = 3,
		[MCP9600_STATUS] = 1,
		[MCP9600_SENSOR_CONFIG] = 1,
		[MCP9600_DEVICE_CONFIG] = 1,
		[MCP9600_ALERT_CONFIG] = 1, 1, 1, 1,
		[MCP9600_ALERT_HYSTERESIS] = 1, 1, 1, 1,
		[MCP9600_ALERT_LIMIT] = 2, 2, 2, 2,
		[MCP9600_ID] = 2,
	};

	return at < MCP9600_REGISTERS ? width[at] : 0u;
}

static bool is_writable(unsigned int at)
{
	return at >= MCP9600_STATUS && at < MCP9600_ID && width_of(at) > 0u;
}

static void set_temperature(struct mcp9600 *chip, enum mcp9600_register at, float celsius)
{
	float steps = fminf(fmaxf(roundf(celsius * STEPS_PER_DEGREE), INT16_MIN), INT16_MAX);
	uint16_t bits = (uint16_t)(int16_t)steps;

	chip->value[at][0] = (uint8_t)(bits >> 8);
	chip->value[at][1] = (uint8_t)(bits & 0xFFu);
}

static void convert(struct mcp9600 *chip)
{
	float hot = chip->celsius[chip->next];

	chip->next = (chip->next + 1u) % chip->count;
	set_temperature(chip, MCP9600_HOT_JUNCTION, hot);
	set_temperature(chip, MCP9600_DIFFERENCE, hot - COLD_CELSIUS);
	chip->value[MCP9600_STATUS][0] |= MCP9600_STATUS_UPDATE;
}

void mcp9600_start(struct mcp9600 *chip, const float *celsius, size_t count)
{
	*chip = (struct mcp9600){.celsius = celsius, .count = count};
	set_temperature(chip, MCP9600_COLD_JUNCTION, COLD_CELSIUS);
	chip->value[MCP9600_ID][0] = MCP9600_DEVICE;
	chip->value[MCP9600_ID][1] = REVISION;
}

bool mcp9600_write(struct mcp9600 *chip, const uint8_t *data, size_t bytes)
{
	if (bytes == 0u || width_of(data[0]) == 0u || bytes - 1u > width_of(data[0])) {
		return false;
	}
	if (bytes > 1u && !is_writable(data[0])) {
		return false;
	}
	chip->pointer = data[0];
	memcpy(chip->value[chip->pointer], &data[1], bytes - 1u);
	return true;
}

bool mcp9600_read(struct mcp9600 *chip, uint8_t *data, size_t bytes)
{
	if (bytes == 0u || bytes > width_of(chip->pointer)) {
		return false;
	}
	if (chip->pointer == MCP9600_HOT_JUNCTION) {
		convert(chip);
	}
	memcpy(data, chip->value[chip->pointer], bytes);
	return true;
}

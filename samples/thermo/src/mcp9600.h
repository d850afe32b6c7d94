/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The registers of a Microchip MCP9600 as its data sheet (DS20005426) has them, with a hot junction
 * that plays a series of temperatures. Plain C without Zephyr; emul_mcp9600.c puts it on a bus.
 */
#ifndef THERMO_MCP9600_H
#define THERMO_MCP9600_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mcp9600_register {
	MCP9600_HOT_JUNCTION = 0x00,  /* 16 bits, signed, 1/16 degree Celsius, as the next two */
	MCP9600_DIFFERENCE = 0x01,    /* hot junction less cold junction */
	MCP9600_COLD_JUNCTION = 0x02, /* the chip's own temperature */
	MCP9600_RAW_ADC = 0x03,       /* 24 bits; always 0 here */
	MCP9600_STATUS = 0x04,
	MCP9600_SENSOR_CONFIG = 0x05,
	MCP9600_DEVICE_CONFIG = 0x06,
	MCP9600_ALERT_CONFIG = 0x08,     /* four of them */
	MCP9600_ALERT_HYSTERESIS = 0x0C, /* four of them */
	MCP9600_ALERT_LIMIT = 0x10,      /* four of them, 16 bits */
	MCP9600_ID = 0x20,               /* device, revision */
	MCP9600_REGISTERS
};

#define MCP9600_STATUS_UPDATE 0x40u /* a new temperature is there */
#define MCP9600_DEVICE 0x40u        /* the MCP9601 says 0x41 */

struct mcp9600 {
	const float *celsius; /* the series; it begins again at its end */
	size_t count;
	size_t next;
	uint8_t pointer; /* the register that is read next */
	uint8_t value[MCP9600_REGISTERS][3];
};

void mcp9600_start(struct mcp9600 *chip, const float *celsius, size_t count);

/*
 * One transfer to the chip: the register pointer, then bytes for that register. False: the chip
 * does not acknowledge it, because there is no such register or it cannot be written.
 */
bool mcp9600_write(struct mcp9600 *chip, const uint8_t *data, size_t bytes);

/*
 * One transfer from the register that was pointed to. Each from the hot junction takes the next
 * temperature of the series: the real chip goes by time, but so a reader misses none.
 */
bool mcp9600_read(struct mcp9600 *chip, uint8_t *data, size_t bytes);

#endif /* THERMO_MCP9600_H */

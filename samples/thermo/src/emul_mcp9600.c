/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * An MCP9600 on an emulated I2C bus, so that Zephyr's own driver runs where there is no chip. It
 * plays models/readings.csv.
 */
#define DT_DRV_COMPAT microchip_mcp9600

#include <errno.h>

#include <zephyr/device.h>
#include <zephyr/drivers/emul.h>
#include <zephyr/drivers/i2c.h>
#include <zephyr/drivers/i2c_emul.h>
#include <zephyr/sys/util.h>

#include "mcp9600.h"

static const float readings[] = {
#include "readings.inc" /* made of models/readings.csv by CMakeLists.txt */
};

static int transfer(const struct emul *target, struct i2c_msg *msgs, int num_msgs, int addr)
{
	struct mcp9600 *chip = target->data;

	ARG_UNUSED(addr);
	for (int i = 0; i < num_msgs; i++) {
		bool taken = (msgs[i].flags & I2C_MSG_READ) != 0u
				     ? mcp9600_read(chip, msgs[i].buf, msgs[i].len)
				     : mcp9600_write(chip, msgs[i].buf, msgs[i].len);

		if (!taken) {
			return -EIO;
		}
	}
	return 0;
}

static int start(const struct emul *target, const struct device *parent)
{
	ARG_UNUSED(parent);
	mcp9600_start(target->data, readings, ARRAY_SIZE(readings));
	return 0;
}

static const struct i2c_emul_api bus_api = {
	.transfer = transfer,
};

#define THERMO_EMUL(n)                                                                             \
	static struct mcp9600 chip_##n;                                                            \
	EMUL_DT_INST_DEFINE(n, start, &chip_##n, NULL, &bus_api, NULL)

DT_INST_FOREACH_STATUS_OKAY(THERMO_EMUL)

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A thermocouple that is watched: learns how its process behaves, then scores each reading.
 */
#include <zephyr/device.h>
#include <zephyr/drivers/sensor.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

#include "autoencoder.h"
#include "welford.h"
#include "window.h"

#define RESOLUTION 0.0625 /* degrees Celsius, of the MCP9600 */

static const struct device *const thermocouple = DEVICE_DT_GET(DT_ALIAS(thermocouple));

static struct welford baseline;
static struct window window;

static int read_celsius(double *celsius)
{
	struct sensor_value value;
	int err = sensor_sample_fetch(thermocouple);

	if (err == 0) {
		err = sensor_channel_get(thermocouple, SENSOR_CHAN_AMBIENT_TEMP, &value);
	}
	if (err == 0) {
		*celsius = value.val1 + value.val2 / 1e6;
	}
	return err;
}

static void learn(double celsius)
{
	welford_add(&baseline, celsius);
	if (baseline.count == CONFIG_APP_BASELINE_READINGS) {
		printk("baseline: mean %.4f C, deviation %.4f C\n", baseline.mean,
		       welford_deviation(&baseline));
	}
}

static void print_score(uint32_t number, double celsius, float z)
{
	const char *how = "z-score";
	float score = z < 0.0f ? -z : z;
	float limit = CONFIG_APP_ZSCORE_LIMIT / 100.0f;
	float error;

	if (IS_ENABLED(CONFIG_APP_SCORE_AUTOENCODER) && window_is_full(&window) &&
	    autoencoder_score(&window, &error)) {
		how = "autoencoder";
		score = error;
		limit = CONFIG_APP_AUTOENCODER_LIMIT / 100.0f;
	}
	printk("%u: %.4f C, %s %.3f%s\n", number, celsius, how, (double)score,
	       score > limit ? " ANOMALY" : "");
}

int main(void)
{
	double celsius;
	float z;
	int err;

	if (!device_is_ready(thermocouple)) {
		printk("no thermocouple: %s does not answer\n", thermocouple->name);
		return 0;
	}
	if (IS_ENABLED(CONFIG_APP_SCORE_AUTOENCODER)) {
		autoencoder_start();
	}
	welford_start(&baseline);
	window_start(&window);
	for (uint32_t number = 0;; number++) {
		k_msleep(CONFIG_APP_PERIOD_MS);
		err = read_celsius(&celsius);
		if (err != 0) {
			printk("%u: no reading: error %d\n", number, err);
			continue;
		}
		if (baseline.count < CONFIG_APP_BASELINE_READINGS) {
			learn(celsius);
			printk("%u: %.4f C, learning\n", number, celsius);
			continue;
		}
		z = welford_z(&baseline, celsius, RESOLUTION);
		window_add(&window, z);
		print_score(number, celsius, z);
	}
	return 0;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The smallest application with a model that can be updated: opens it, says which one it is, and
 * takes up another one when an update has come.
 */
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

#include <tinymldelta/zephyr.h>

#include "tmd_models.h"

static int open_model(struct tmd_model *model)
{
	struct tmd_active active;
	struct tmd_store_info info;
	int err = tmd_zephyr_open(&tmd_digits, model);

	if (err == TMD_OK) {
		err = tmd_zephyr_get_status(&tmd_digits, &active, &info);
	}
	if (err != TMD_OK) {
		printk("no model: %s\n", tmd_status_name(err));
		return err;
	}
	printk("model of %u bytes, version %u.%u.%u, sha256", model->bytes, info.version >> 24,
	       (info.version >> 16) & 0xFFu, info.version & 0xFFFFu);
	for (size_t i = 0; i < sizeof(active.sha256); i++) {
		printk("%s%02x", i == 0u ? " " : "", active.sha256[i]);
	}
	printk("%s\n", info.trial ? ", on trial" : "");
	return TMD_OK;
}

int main(void)
{
	struct tmd_model model;

	if (open_model(&model) != TMD_OK) {
		return 0;
	}
	for (;;) {
		/* Here an interpreter would run model.at. What has run well is to stay: */
		if (tmd_zephyr_confirm(&tmd_digits) == TMD_OK) {
			printk("confirmed\n");
		}
		k_msleep(1000);

		/* Between two inferences, and with a new interpreter afterwards. */
		if (tmd_zephyr_changed(&tmd_digits, &model)) {
			tmd_zephyr_close(&tmd_digits, &model);
			if (open_model(&model) != TMD_OK) {
				return 0;
			}
		}
	}
}

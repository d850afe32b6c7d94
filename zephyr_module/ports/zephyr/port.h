/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Between the files of this port.
 */
#ifndef TMD_PORTS_ZEPHYR_PORT_H
#define TMD_PORTS_ZEPHYR_PORT_H

#include <tinymldelta/zephyr.h>

/*
 * Open the partition and describe it as a flash device. False, with the reason in the log, if there
 * is no such flash or its geometry is none that the store can use.
 */
bool tmd_zephyr_region_init(struct tmd_zephyr_region *region,
			    const struct tmd_zephyr_partition *partition);

/*
 * Read flash that may hold a half-written unit, whose reading faults on this part: with an error
 * then. 0, or negative.
 */
int tmd_zephyr_read_ecc(const struct flash_area *area, uint32_t offset, void *buf, uint32_t bytes);

/* The crypto port that Kconfig chose; NULL: none. */
const struct tmd_crypto *tmd_zephyr_chosen_crypto(void);

/* The firmware's one update: for a patch found staged at mount, then for smp_mgmt.c. */
struct tmd_update *tmd_zephyr_update(void);

/* It has brought the model's new target: log the guardrails that the contract only warns of. */
void tmd_zephyr_log_warnings(const struct tmd_zephyr_model *m);

#endif /* TMD_PORTS_ZEPHYR_PORT_H */

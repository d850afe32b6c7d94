/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading flash whose ECC does not hold, as a power cut in the middle of a write leaves it: the
 * STM32L5 and U5 raise an NMI. Here the read fails instead, as Zephyr's driver has it on the H7.
 * (Reference manuals RM0438, RM0456: FLASH_ECCR.)
 */
#include <errno.h>

#include <soc.h>
#include <zephyr/init.h>

#include "port.h"

/* Its header has moved with the architecture's folders. */
extern void z_arm_nmi_set_handler(void (*handler)(void));

/* The L5 with one bank reads two double words at once, and has a bit for each. */
#if defined(FLASH_ECCR_ECCD2)
#define ECC_FAILED (FLASH_ECCR_ECCD | FLASH_ECCR_ECCD2)
#else
#define ECC_FAILED FLASH_ECCR_ECCD
#endif

/* Counts, so that a read of another thread in between takes no failure away. */
static volatile uint32_t failures;

static void on_nmi(void)
{
	if ((FLASH->ECCR & ECC_FAILED) == 0u) {
		k_panic(); /* not flash: what an NMI does without this file */
	}
	FLASH->ECCR |= ECC_FAILED; /* write one to clear; the rest as it is */
	failures++;
}

static int take_nmi(void)
{
	z_arm_nmi_set_handler(on_nmi);
	return 0;
}

SYS_INIT(take_nmi, PRE_KERNEL_1, 0);

int tmd_zephyr_read_ecc(const struct flash_area *area, uint32_t offset, void *buf, uint32_t bytes)
{
	const uint32_t before = failures;
	const int err = flash_area_read(area, (off_t)offset, buf, bytes);

	__DSB();
	return failures != before ? -EIO : err;
}

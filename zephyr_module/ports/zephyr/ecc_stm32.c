/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading flash whose ECC does not hold, as a power cut in the middle of a write leaves it: the
 * STM32L5 and U5 raise an NMI, the H7 answers with a bus fault. Here the read fails instead.
 * (Reference manuals RM0438, RM0456: FLASH_ECCR; RM0399: "ECC protection", DBECCERR.)
 */
#include <errno.h>
#include <string.h>

#include <soc.h>

#include "port.h"

#if defined(CONFIG_SOC_SERIES_STM32H7X)

/* Interrupts wait while so many bytes are read: one flash word. */
#define PIECE_BYTES 32u

static void clear_faults(void)
{
	SCB->CFSR = SCB_CFSR_BUSFAULTSR_Msk; /* write one to clear */
	FLASH->CCR1 = FLASH_CCR_CLR_DBECCERR;
#if defined(DUAL_BANK)
	FLASH->CCR2 = FLASH_CCR_CLR_DBECCERR;
#endif
	__DSB();
}

/* With FAULTMASK set and BFHFNMIGN, a bus fault of a load is noted and otherwise ignored. */
static int read_piece(const struct flash_area *area, uint32_t offset, void *buf, uint32_t bytes)
{
	const uint32_t before = __get_FAULTMASK();
	uint32_t faults;
	int err;

	__set_FAULTMASK(1);
	clear_faults();
	SCB->CCR |= SCB_CCR_BFHFNMIGN_Msk;
	__DSB();
	__ISB();
	err = flash_area_read(area, (off_t)offset, buf, bytes);
	__DSB();
	faults = (SCB->CFSR & SCB_CFSR_BUSFAULTSR_Msk) | (FLASH->SR1 & FLASH_SR_DBECCERR);
#if defined(DUAL_BANK)
	faults |= FLASH->SR2 & FLASH_SR_DBECCERR;
#endif
	clear_faults();
	SCB->CCR &= ~SCB_CCR_BFHFNMIGN_Msk;
	__DSB();
	__ISB();
	__set_FAULTMASK(before);
	return faults != 0u ? -EIO : err;
}

#else

#include <zephyr/init.h>

/* The C library's whole read may be one piece: nothing has to wait. */
#define PIECE_BYTES UINT32_MAX

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

static int read_piece(const struct flash_area *area, uint32_t offset, void *buf, uint32_t bytes)
{
	const uint32_t before = failures;
	const int err = flash_area_read(area, (off_t)offset, buf, bytes);

	__DSB();
	return failures != before ? -EIO : err;
}

#endif

int tmd_zephyr_read_ecc(const struct flash_area *area, uint32_t offset, void *buf, uint32_t bytes)
{
	uint8_t *p = buf;

	while (bytes > 0u) {
		/* Up to the next bound of pieces: none of them is read twice. */
		const uint32_t room = PIECE_BYTES - offset % PIECE_BYTES;
		const uint32_t n = MIN(bytes, room);
		const int err = read_piece(area, offset, p, n);

		if (err != 0) {
			return err;
		}
		offset += n;
		p += n;
		bytes -= n;
	}
	return 0;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The code flash of the RA4M1, on Arduino UNO R4 Minima and WiFi: blocks of 2 KB, written in 8 bytes.
 *
 * Code flash cannot be read while it is written, so nothing runs then but the few functions that this
 * port keeps in RAM: interrupts are off for the time that a block is erased (some milliseconds; the
 * hardware manual allows 355) or up to 256 bytes are written (2 to 3 ms). millis() may lose what passes
 * meanwhile, and a serial byte that comes then may be lost; that a sender waits for its answer is
 * therefore part of the protocol in tmd_serial.h.
 *
 * The flash library in Arduino's core (R_FLASH_LP_Write, CodeFlashBlockDevice) is built for data flash
 * only (FLASH_LP_CFG_CODE_FLASH_PROGRAMMING_ENABLE is 0 in both variants), so this port drives the flash
 * sequencer itself.
 */
#ifndef TMD_RA4M1_H
#define TMD_RA4M1_H

#include <tinymldelta/flash.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TMD_RA4M1_BLOCK_BYTES 2048u
#define TMD_RA4M1_WRITE_BYTES 8u

struct tmd_ra4m1 {
	struct tmd_flash flash; /* the port */
	struct tmd_flash_run run;
	uint32_t first; /* address of its offset 0 */
};

/*
 * Make a flash device of the code flash from address `first` on, `bytes` long: both multiples of 2048,
 * within the 256 KB. Returns NULL, or what is wrong in one clause: that the sketch, which grows from the
 * other end and of which the linker knows no bound, reaches into it; that it lies outside of flash; or
 * that the flash's clock is one at which it cannot be written. It then must not be used.
 */
const char *tmd_ra4m1_init(struct tmd_ra4m1 *ra4m1, uint32_t first, uint32_t bytes);

/* The address behind the sketch, as the linker placed it: below, nothing may be written. */
uint32_t tmd_ra4m1_sketch_end(void);

#ifdef __cplusplus
}
#endif

#endif /* TMD_RA4M1_H */

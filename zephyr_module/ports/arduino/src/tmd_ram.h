/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A flash port over RAM, for boards whose flash a sketch cannot write. An update then lasts until the
 * next reset: no more is kept than the bytes of an array. After a reset the model that is compiled into
 * the sketch runs again, and the records are gone: trials, the version floor that keeps out old
 * models, what was learnt of a model that failed. An update that is cut begins again.
 */
#ifndef TMD_RAM_H
#define TMD_RAM_H

#include <tinymldelta/flash.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tmd_ram {
	struct tmd_flash flash; /* the port */
	struct tmd_flash_run run;
	uint8_t *bytes; /* the caller's */
};

/*
 * Make a flash device of `units` erase units of `unit_bytes` each out of `bytes`, which has to be that
 * large, aligned to 16 if an interpreter runs a model out of it, and there as long as the store. All of
 * it is erased. The write unit is 4 bytes, so unit_bytes is a multiple of 4.
 */
void tmd_ram_init(struct tmd_ram *ram, void *bytes, uint32_t units, uint32_t unit_bytes);

#ifdef __cplusplus
}
#endif

#endif /* TMD_RAM_H */

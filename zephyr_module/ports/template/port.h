/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A flash port to copy: docs/porting.md says how. What is marked TODO has to be filled in; until
 * then the conformance test refuses the port.
 */
#ifndef TMD_PORTS_TEMPLATE_H
#define TMD_PORTS_TEMPLATE_H

#include <tinymldelta/flash.h>

/*
 * TODO 1: the flash in which models, records and patches lie, from the reference manual.
 *
 * PORT_START is where it begins, as the functions of hardware.c have it: an address, or an offset
 * into an external chip. All offsets below count from there.
 */
#define PORT_START 0x00000000u
#define PORT_ERASE_BYTES 0u /* smallest unit that can be erased */
#define PORT_ERASE_UNITS 0u /* how many of them this firmware may use */
#define PORT_WRITE_BYTES 0u /* smallest unit that can be programmed by itself: 1, 2, 4 ... 256 */
#define PORT_ERASED 0xFF    /* what an erased byte reads as: 0xFF or 0x00 */
#define PORT_FLAGS 0        /* TMD_FLASH_NO_ERASE for RRAM, MRAM, FRAM, EEPROM */

/*
 * Erase units of one size: leave this. Of several: {bytes, count} of each run of equal ones, from
 * PORT_START on; PORT_ERASE_BYTES is then the smallest size, and PORT_ERASE_UNITS how many of that
 * size all of the flash would be.
 */
#define PORT_RUNS {PORT_ERASE_BYTES, PORT_ERASE_UNITS}

/*
 * TODO 2: what lies where, in units of PORT_ERASE_BYTES: two slots of one size, records of at least
 * two erase units, and if you like a staging region (0: none).
 */
#define PORT_SLOT_UNITS 0u
#define PORT_RECORD_UNITS 2u
#define PORT_STAGING_UNITS 0u

/* Where they begin, from PORT_START: one behind the other, unless erase units differ in size. */
#define PORT_SLOT_AT 0u
#define PORT_RECORD_AT (PORT_SLOT_AT + 2u * PORT_SLOT_UNITS)
#define PORT_STAGING_AT (PORT_RECORD_AT + PORT_RECORD_UNITS)

extern const struct tmd_flash port_flash;

/* All of the flash, and what of it is for what. */
extern const struct tmd_region port_all;
extern const struct tmd_region port_slot[2];
extern const struct tmd_region port_records;
extern const struct tmd_region port_staging; /* its flash is NULL if there is none */

/* Bytes of the erase unit that begins at `offset` from PORT_START; 0 if none begins there. */
uint32_t port_unit_bytes(uint32_t offset);

/*
 * What the port asks of this chip: hardware.c. Places are PORT_START and on. They return 0, or any
 * other value if it failed. Interrupts, other cores and the other bank are theirs to hold off.
 */

/* `bytes` from `place`, of any alignment. What faults or has an ECC error is an error. */
int hardware_read(uint32_t place, void *buf, uint32_t bytes);

/* PORT_WRITE_BYTES at `place`, a multiple of that; `unit` is aligned likewise, by 8 at most. */
int hardware_program(uint32_t place, const void *unit);

/* The erase unit that begins at `place`. */
int hardware_erase(uint32_t place);

/* Where `place` can be read as memory, without a cache that may be stale; NULL if it cannot. */
const void *hardware_address(uint32_t place);

#endif /* TMD_PORTS_TEMPLATE_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The four functions of this chip. Each fails until it is filled in, so that nothing passes by
 * itself.
 */
#include "port.h"

int hardware_read(uint32_t place, void *buf, uint32_t bytes)
{
	/*
	 * TODO 3. Memory-mapped flash without ECC: memcpy(buf, (const void *)(uintptr_t)place,
	 * bytes). With ECC that raises a fault or an NMI: see docs/porting.md, "Half-written
	 * units". An external chip: its read command.
	 */
	(void)place;
	(void)buf;
	(void)bytes;
	return -1;
}

int hardware_program(uint32_t place, const void *unit)
{
	/*
	 * TODO 4. Clear old error bits, unlock, program PORT_WRITE_BYTES, wait for the end, lock,
	 * drop the caches, and return what the error bits say.
	 */
	(void)place;
	(void)unit;
	return -1;
}

int hardware_erase(uint32_t place)
{
	/* TODO 5. Likewise; the unit's number is mostly (place - start of its bank) / its size. */
	(void)place;
	return -1;
}

const void *hardware_address(uint32_t place)
{
	/* TODO 6. (const void *)(uintptr_t)place if the CPU sees flash there; NULL if not. */
	(void)place;
	return NULL;
}

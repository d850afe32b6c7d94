/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The flash of an UNO R4, before a sketch runs: the file in TMD_FLASH.
 */
#include <stdlib.h>

#include "sequencer.h"

__attribute__((constructor)) static void power_on()
{
	standin_flash(getenv("TMD_FLASH"));
}

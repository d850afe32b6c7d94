/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The flash of an ESP32, before a sketch runs: the file in TMD_FLASH, with the partitions of the file in
 * TMD_PARTITIONS.
 */
#include <stdlib.h>

#include "esp_partition.h"

__attribute__((constructor)) static void power_on(void)
{
	standin_partitions(getenv("TMD_PARTITIONS"), getenv("TMD_FLASH"));
}

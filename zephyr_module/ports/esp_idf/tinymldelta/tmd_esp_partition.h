/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A partition of an ESP32's SPI flash as a flash device, by ESP-IDF's partition API; for ESP-IDF from
 * 5.0 and for Arduino's core from 3.0, which is made of it. Sectors of 4 KB, written in 4 bytes.
 *
 * While the driver writes, it stops the cache, so that only code in RAM runs, on both cores: an
 * inference waits. After a write or erase it empties the cache of what was mapped there, so that memory
 * shows what flash holds.
 */
#ifndef TMD_ESP_PARTITION_H
#define TMD_ESP_PARTITION_H

#include <tinymldelta/flash.h>

#include "esp_partition.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TMD_ESP_WRITE_BYTES 4u

struct tmd_esp_partition {
	struct tmd_flash flash; /* the port */
	struct tmd_flash_run run;
	const esp_partition_t *partition;
	const uint8_t *mapped; /* NULL: not mapped, models are read by tmd_model_read */
};

/*
 * Make a flash device of the data partition of this name. Returns NULL, or what is wrong in one clause:
 * there is none; it is read-only; or it is marked as encrypted. Encrypted flash is refused because an
 * erased sector reads as noise there, and records are found by what reads as erased. On a chip with
 * flash encryption a partition without the mark works, and what it holds can be read by who has the
 * flash in hand; memory shows such flash wrongly, so it is not mapped.
 *
 * The mapping is kept for good. It takes pages of the MMU (64 KB on most chips); if there are not
 * enough, the partition is not mapped either.
 */
const char *tmd_esp_partition_init(struct tmd_esp_partition *esp, const char *label);

#ifdef __cplusplus
}
#endif

#endif /* TMD_ESP_PARTITION_H */

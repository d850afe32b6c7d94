/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the ESP32 port uses of ESP-IDF's partition API, as 5.4 has it: a stand-in of our own, and what
 * tests do to it.
 */
#ifndef STANDIN_ESP_PARTITION_H
#define STANDIN_ESP_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "esp_err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { ESP_PARTITION_TYPE_APP = 0, ESP_PARTITION_TYPE_DATA = 1 } esp_partition_type_t;
typedef enum { ESP_PARTITION_SUBTYPE_ANY = 0xFF } esp_partition_subtype_t;
typedef enum { ESP_PARTITION_MMAP_DATA = 0 } esp_partition_mmap_memory_t;
typedef uint32_t esp_partition_mmap_handle_t;

typedef struct {
	void *flash_chip;
	esp_partition_type_t type;
	esp_partition_subtype_t subtype;
	uint32_t address;
	uint32_t size;
	uint32_t erase_size;
	char label[17];
	bool encrypted;
	bool readonly;
} esp_partition_t;

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type,
						esp_partition_subtype_t subtype, const char *label);
esp_err_t esp_partition_read(const esp_partition_t *partition, size_t offset, void *to, size_t size);
esp_err_t esp_partition_write(const esp_partition_t *partition, size_t offset, const void *from,
			      size_t size);
esp_err_t esp_partition_erase_range(const esp_partition_t *partition, size_t offset, size_t size);
esp_err_t esp_partition_mmap(const esp_partition_t *partition, size_t offset, size_t size,
			     esp_partition_mmap_memory_t memory, const void **at,
			     esp_partition_mmap_handle_t *handle);

/*
 * The flash is that of a file, or erased if `path` is NULL; its partitions are those of a partition
 * table in the format of partitions.csv.
 */
void standin_partitions(const char *table, const char *path);
void standin_encryption(bool enabled);
void standin_no_pages(bool none); /* for mapping */
void standin_fails(bool fails);   /* reads, writes and erases */

#ifdef __cplusplus
}
#endif

#endif

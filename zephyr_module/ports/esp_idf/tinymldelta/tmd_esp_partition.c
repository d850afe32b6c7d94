/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Also a file of the Arduino library, where all files are compiled for all boards.
 */
#if defined(ESP_PLATFORM)
#include "tmd_esp_partition.h"

#include <string.h>

#include "esp_idf_version.h"

#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(6, 1, 0)
#include "esp_efuse.h"
#define is_encryption_enabled esp_efuse_is_flash_encryption_enabled
#else
#include "esp_flash_encrypt.h"
#define is_encryption_enabled esp_flash_encryption_enabled
#endif

#if ESP_IDF_VERSION_MAJOR < 5
#error "TinyMLDelta needs ESP-IDF 5.0 or newer; with Arduino, core esp32 3.0 or newer"
#endif

static int read_partition(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	const struct tmd_esp_partition *esp = ctx;

	return esp_partition_read(esp->partition, offset, buf, bytes) == ESP_OK ? 0 : -1;
}

static int write_partition(void *ctx, uint32_t offset, const void *buf, uint32_t bytes)
{
	const struct tmd_esp_partition *esp = ctx;

	return esp_partition_write(esp->partition, offset, buf, bytes) == ESP_OK ? 0 : -1;
}

static int erase_partition(void *ctx, uint32_t offset, uint32_t bytes)
{
	const struct tmd_esp_partition *esp = ctx;

	return esp_partition_erase_range(esp->partition, offset, bytes) == ESP_OK ? 0 : -1;
}

static const void *map_partition(void *ctx, uint32_t offset, uint32_t bytes)
{
	const struct tmd_esp_partition *esp = ctx;

	(void)bytes; /* a partition is mapped as a whole */
	return esp->mapped + offset;
}

/* Where the partition is in memory, or NULL. */
static const uint8_t *map_all(const esp_partition_t *partition)
{
	const void *at = NULL;
	esp_partition_mmap_handle_t handle;

	/* What is read through the cache is decrypted then, also what never was encrypted. */
	if (is_encryption_enabled()) {
		return NULL;
	}
	if (esp_partition_mmap(partition, 0, partition->size, ESP_PARTITION_MMAP_DATA, &at,
			       &handle) != ESP_OK) {
		return NULL;
	}
	return at;
}

const char *tmd_esp_partition_init(struct tmd_esp_partition *esp, const char *label)
{
	const esp_partition_t *partition = esp_partition_find_first(
		ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, label);

	memset(esp, 0, sizeof(*esp));
	if (partition == NULL) {
		return "there is no data partition of this name: see partitions.csv";
	}
	if (partition->encrypted) {
		return "the partition is marked as encrypted: take the mark out of partitions.csv";
	}
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 2, 0)
	if (partition->readonly) {
		return "the partition is marked as read-only: take the mark out of partitions.csv";
	}
#endif
	if (partition->erase_size == 0u || partition->size % partition->erase_size != 0u) {
		return "the partition is no row of whole sectors";
	}
	esp->partition = partition;
	esp->mapped = map_all(partition);
	esp->run.bytes = partition->erase_size;
	esp->run.count = partition->size / partition->erase_size;
	esp->flash.read = read_partition;
	esp->flash.write = write_partition;
	esp->flash.erase = erase_partition;
	esp->flash.map = esp->mapped == NULL ? NULL : map_partition;
	esp->flash.ctx = esp;
	esp->flash.runs = &esp->run;
	esp->flash.runs_n = 1;
	esp->flash.write_bytes = TMD_ESP_WRITE_BYTES;
	esp->flash.erased_value = 0xFF;
	return NULL;
}
#endif

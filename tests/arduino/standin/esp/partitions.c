/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * SPI NOR flash as ESP-IDF's partition API shows it. What programs a bit that is not erased ends the
 * program. With TMD_CUT_AT=n it also ends in the middle of the nth write or erase.
 */
#include "esp_partition.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "esp_flash_encrypt.h"

#define FLASH_BYTES 0x400000u
#define SECTOR 0x1000u

static uint8_t *flash;
static esp_partition_t partitions[16];
static size_t partitions_n;
static bool encryption, no_pages, fails;
static unsigned long operations, cut_at;

static void demand(bool holds, const char *what)
{
	if (!holds) {
		(void)fprintf(stderr, "partitions: %s\n", what);
		abort();
	}
}

static void read_line(const char *line)
{
	esp_partition_t *partition = &partitions[partitions_n];
	char type[16], subtype[16], flags[32] = "";
	const int n = sscanf(line, " %16[^ ,] , %15[^ ,] , %15[^ ,] , %x , %x , %31s", partition->label,
			     type, subtype, &partition->address, &partition->size, flags);

	if (line[0] == '#' || n < 5) {
		return;
	}
	demand(partitions_n + 1 < sizeof(partitions) / sizeof(partitions[0]), "too many");
	partition->type = strcmp(type, "data") == 0 ? ESP_PARTITION_TYPE_DATA : ESP_PARTITION_TYPE_APP;
	partition->erase_size = SECTOR;
	partition->encrypted = strstr(flags, "encrypted") != NULL;
	partition->readonly = strstr(flags, "readonly") != NULL;
	demand(partition->address % SECTOR == 0 && partition->size <= FLASH_BYTES &&
		       partition->address <= FLASH_BYTES - partition->size,
	       "a partition lies outside of flash");
	partitions_n++;
}

void standin_partitions(const char *table, const char *path)
{
	const char *n = getenv("TMD_CUT_AT");
	const bool is_new = path == NULL || access(path, F_OK) != 0;
	const int file = path == NULL ? -1 : open(path, O_RDWR | O_CREAT, 0600);
	FILE *csv = fopen(table, "r");
	char line[256];

	demand(csv != NULL, "no partition table");
	while (fgets(line, sizeof(line), csv) != NULL) {
		read_line(line);
	}
	(void)fclose(csv);
	demand(path == NULL || (file >= 0 && ftruncate(file, FLASH_BYTES) == 0), "file of the flash");
	flash = mmap(NULL, FLASH_BYTES, PROT_READ | PROT_WRITE,
		     path == NULL ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, file, 0);
	demand(flash != MAP_FAILED, "no memory");
	if (is_new) {
		memset(flash, 0xFF, FLASH_BYTES);
	}
	cut_at = n == NULL ? 0 : strtoul(n, NULL, 10);
}

void standin_encryption(bool enabled)
{
	encryption = enabled;
}

void standin_no_pages(bool none)
{
	no_pages = none;
}

void standin_fails(bool now)
{
	fails = now;
}

bool esp_flash_encryption_enabled(void)
{
	return encryption;
}

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type,
						esp_partition_subtype_t subtype, const char *label)
{
	(void)subtype;
	for (size_t i = 0; i < partitions_n; i++) {
		if (partitions[i].type == type && strcmp(partitions[i].label, label) == 0) {
			return &partitions[i];
		}
	}
	return NULL;
}

static uint8_t *at(const esp_partition_t *partition, size_t offset, size_t size)
{
	demand(!partition->encrypted, "an encrypted partition is used");
	demand(offset <= partition->size && size <= partition->size - offset, "beyond a partition");
	return flash + partition->address + offset;
}

/* Half of it is done when the power goes. */
static size_t until_cut(size_t size)
{
	operations++;
	return operations == cut_at ? size / 2 : size;
}

static void cut(void)
{
	if (operations == cut_at) {
		_exit(9);
	}
}

esp_err_t esp_partition_read(const esp_partition_t *partition, size_t offset, void *to, size_t size)
{
	memcpy(to, at(partition, offset, size), size);
	return fails ? ESP_FAIL : ESP_OK;
}

esp_err_t esp_partition_write(const esp_partition_t *partition, size_t offset, const void *from,
			      size_t size)
{
	uint8_t *to = at(partition, offset, size);
	const uint8_t *data = from;
	const size_t n = until_cut(size);

	if (fails) {
		return ESP_FAIL;
	}
	for (size_t i = 0; i < n; i++) {
		demand((to[i] & data[i]) == data[i], "a bit is programmed that is not erased");
		to[i] = data[i];
	}
	cut();
	return ESP_OK;
}

esp_err_t esp_partition_erase_range(const esp_partition_t *partition, size_t offset, size_t size)
{
	uint8_t *from = at(partition, offset, size);

	demand(offset % SECTOR == 0 && size % SECTOR == 0, "an erase is not of whole sectors");
	if (fails) {
		return ESP_FAIL;
	}
	memset(from, 0xFF, until_cut(size));
	cut();
	return ESP_OK;
}

esp_err_t esp_partition_mmap(const esp_partition_t *partition, size_t offset, size_t size,
			     esp_partition_mmap_memory_t memory, const void **mapped,
			     esp_partition_mmap_handle_t *handle)
{
	(void)memory;
	demand(!encryption, "mapped, though what is read so would be decrypted");
	if (no_pages) {
		return ESP_FAIL;
	}
	*mapped = at(partition, offset, size);
	*handle = 1;
	return ESP_OK;
}

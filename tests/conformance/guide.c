/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The example of docs/porting.md on a PC: its hardware.c, the template's port.c, and behind the
 * HAL's names an STM32G071's flash, in memory at the very addresses. A unit takes one program per
 * erase.
 *
 *	guide                   the conformance test, by the guide's conform_on_device.c
 *	guide reset             its second phase, on what a file `flash.bin` has of the first
 *	guide half              a half-written unit: hardware_read has to return an error
 */
#define _DEFAULT_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "port.h"
#include "stm32g0xx_hal.h"

#define FLASH_BYTES 0x20000u
#define PAGE 2048u

int conform_on_device(bool after_reset);
void console_print(const char *line);
void watchdog_feed(void);

FLASH_TypeDef stand_in_flash;
static uint8_t *bytes; /* at FLASH_BASE */
static bool unlocked;
static unsigned long fed;

HAL_StatusTypeDef HAL_FLASH_Unlock(void)
{
	unlocked = true;
	return HAL_OK;
}

HAL_StatusTypeDef HAL_FLASH_Lock(void)
{
	unlocked = false;
	return HAL_OK;
}

HAL_StatusTypeDef HAL_FLASH_Program(uint32_t TypeProgram, uint32_t Address, uint64_t Data)
{
	const uint32_t at = Address - FLASH_BASE;

	if (!unlocked || TypeProgram != FLASH_TYPEPROGRAM_DOUBLEWORD || at % 8u != 0u ||
	    at > FLASH_BYTES - 8u) {
		return HAL_ERROR;
	}
	for (uint32_t i = 0; i < 8u; i++) {
		if (bytes[at + i] != 0xFFu) {
			return HAL_ERROR; /* PROGERR */
		}
	}
	memcpy(&bytes[at], &Data, sizeof(Data));
	return HAL_OK;
}

HAL_StatusTypeDef HAL_FLASHEx_Erase(FLASH_EraseInitTypeDef *pEraseInit, uint32_t *PageError)
{
	if (!unlocked || pEraseInit->TypeErase != FLASH_TYPEERASE_PAGES ||
	    pEraseInit->NbPages != 1u || pEraseInit->Page >= FLASH_BYTES / PAGE) {
		*PageError = pEraseInit->Page;
		return HAL_ERROR;
	}
	*PageError = 0xFFFFFFFFu;
	memset(&bytes[pEraseInit->Page * PAGE], 0xFF, PAGE);
	return HAL_OK;
}

void console_print(const char *line)
{
	(void)printf("%s\n", line);
}

void watchdog_feed(void)
{
	fed++;
}

/* From and to the file, as flash keeps it while the power is off. */
static bool keep(const char *mode)
{
	FILE *file = fopen("flash.bin", mode);
	bool good = file != NULL;

	if (good) {
		good = (mode[0] == 'w' ? fwrite(bytes, 1, FLASH_BYTES, file)
				       : fread(bytes, 1, FLASH_BYTES, file)) == FLASH_BYTES;
		good = fclose(file) == 0 && good;
	}
	return good;
}

/* The unit that was half-written is read: the NMI, and then the read goes on with what is there. */
static void on_access(int number)
{
	(void)number;
	stand_in_flash.ECCR = FLASH_ECCR_ECCD;
	NMI_Handler();
	stand_in_flash.ECCR = 0;
	if (mprotect(bytes, FLASH_BYTES, PROT_READ | PROT_WRITE) != 0) {
		abort();
	}
}

static int half_written(void)
{
	uint8_t buf[8];
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_access;
	if (sigaction(SIGSEGV, &action, NULL) != 0 ||
	    mprotect(bytes, FLASH_BYTES, PROT_NONE) != 0) {
		return 2;
	}
	if (hardware_read(PORT_START + 16u, buf, sizeof(buf)) == 0) {
		return EXIT_FAILURE;
	}
	return hardware_read(PORT_START + 16u, buf, sizeof(buf)) == 0 && buf[0] == 0x3Cu
		       ? EXIT_SUCCESS
		       : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	const bool again = argc > 1 && strcmp(argv[1], "reset") == 0;

	bytes = mmap((void *)(uintptr_t)FLASH_BASE, FLASH_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (bytes == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	memset(bytes, 0x3C, FLASH_BYTES);
	if (argc > 1 && !again) {
		return half_written();
	}
	if (again && !keep("rb")) {
		return 2;
	}
	if (conform_on_device(again) != 0 || (!again && fed < 100u)) {
		return EXIT_FAILURE;
	}
	return keep("wb") ? EXIT_SUCCESS : 2;
}

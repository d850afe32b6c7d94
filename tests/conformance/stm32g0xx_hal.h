/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A stand-in for the few names of ST's HAL that docs/porting.md uses in its example, written from
 * the HAL's documentation. guide.c plays the flash behind them, on a PC.
 */
#ifndef TESTS_CONFORMANCE_STM32G0XX_HAL_H
#define TESTS_CONFORMANCE_STM32G0XX_HAL_H

#include <stdint.h>

#define FLASH_BASE 0x08000000u
#define FLASH_TYPEERASE_PAGES 2u
#define FLASH_TYPEPROGRAM_DOUBLEWORD 1u
#define FLASH_ECCR_ECCD 0x80000000u

typedef enum {
	HAL_OK,
	HAL_ERROR
} HAL_StatusTypeDef;

typedef struct {
	uint32_t TypeErase;
	uint32_t Banks;
	uint32_t Page;
	uint32_t NbPages;
} FLASH_EraseInitTypeDef;

typedef struct {
	volatile uint32_t ECCR;
} FLASH_TypeDef;

extern FLASH_TypeDef stand_in_flash;
#define FLASH (&stand_in_flash)

HAL_StatusTypeDef HAL_FLASH_Unlock(void);
HAL_StatusTypeDef HAL_FLASH_Lock(void);
HAL_StatusTypeDef HAL_FLASH_Program(uint32_t TypeProgram, uint32_t Address, uint64_t Data);
HAL_StatusTypeDef HAL_FLASHEx_Erase(FLASH_EraseInitTypeDef *pEraseInit, uint32_t *PageError);

void NMI_Handler(void);

#endif /* TESTS_CONFORMANCE_STM32G0XX_HAL_H */

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STANDIN_ESP_FLASH_ENCRYPT_H
#define STANDIN_ESP_FLASH_ENCRYPT_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
bool esp_flash_encryption_enabled(void);
#ifdef __cplusplus
}
#endif

#endif

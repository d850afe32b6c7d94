/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STANDIN_ESP_EFUSE_H
#define STANDIN_ESP_EFUSE_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
bool esp_efuse_is_flash_encryption_enabled(void); /* since 6.1 */
#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STANDIN_ESP_ERR_H
#define STANDIN_ESP_ERR_H

#include <stdint.h>

typedef int esp_err_t;
#define ESP_OK 0
#define ESP_FAIL -1
#define ESP_ERROR_CHECK(err) (void)(err)

#endif

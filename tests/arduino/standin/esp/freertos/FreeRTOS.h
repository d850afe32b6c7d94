/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STANDIN_FREERTOS_H
#define STANDIN_FREERTOS_H

#define pdMS_TO_TICKS(milliseconds) ((uint32_t)(milliseconds))

#endif

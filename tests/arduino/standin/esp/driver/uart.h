/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STANDIN_UART_H
#define STANDIN_UART_H

#include <stddef.h>
#include <stdint.h>

#include "esp_err.h"

typedef enum { UART_NUM_0 } uart_port_t;

esp_err_t uart_driver_install(uart_port_t port, int rx, int tx, int events, void *queue, int flags);
int uart_read_bytes(uart_port_t port, void *to, uint32_t size, uint32_t ticks);
int uart_write_bytes(uart_port_t port, const void *from, size_t size);

#endif

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The rest of ESP-IDF that the sample uses, on a PC: UART 0 is the pseudo-terminal of arduino.cpp.
 */
#include <stdio.h>
#include <unistd.h>

#include "Arduino.h"

extern "C" {
#include "driver/uart.h"
#include "esp_timer.h"

void app_main(void);

esp_err_t uart_driver_install(uart_port_t, int, int, int, void *, int)
{
	return ESP_OK;
}

int uart_read_bytes(uart_port_t, void *to, uint32_t size, uint32_t)
{
	uint32_t n = 0;

	usleep(100);
	while (n < size && Serial.available() > 0) {
		static_cast<uint8_t *>(to)[n++] = static_cast<uint8_t>(Serial.read());
	}
	return static_cast<int>(n);
}

int uart_write_bytes(uart_port_t, const void *from, size_t size)
{
	return static_cast<int>(Serial.write(static_cast<const uint8_t *>(from), size));
}

int64_t esp_timer_get_time(void)
{
	return static_cast<int64_t>(millis()) * 1000;
}
}

void setup()
{
	setvbuf(stdout, nullptr, _IOLBF, 0);
	app_main();
}

void loop()
{
	_exit(4); /* app_main does not return */
}

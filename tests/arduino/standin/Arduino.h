/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * As much of Arduino's API as the sketches use, for a PC: a stand-in of our own. The serial ports are
 * all one pseudo-terminal.
 */
#ifndef STANDIN_ARDUINO_H
#define STANDIN_ARDUINO_H

#include <stddef.h>
#include <stdint.h>

class Print {
public:
	virtual ~Print() = default;
	virtual size_t write(const uint8_t *data, size_t bytes) = 0;
	size_t print(const char *text);
	size_t print(unsigned long number);
	size_t println(const char *text);
};

class Stream : public Print {
public:
	virtual int available() = 0;
	virtual int read() = 0;
};

class HardwareSerial : public Stream {
public:
	void begin(unsigned long baud);
	int available() override;
	int read() override;
	size_t write(const uint8_t *data, size_t bytes) override;
};

extern HardwareSerial Serial;
extern HardwareSerial Serial1;

unsigned long millis();
void delay(unsigned long milliseconds);
void setup();
void loop();

#endif

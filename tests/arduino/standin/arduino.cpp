/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Runs a sketch on a PC, its serial port being a pseudo-terminal whose name is printed. With a number n
 * in TMD_LOSE each nth byte is lost, in both directions.
 */
#include "Arduino.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

HardwareSerial Serial;
HardwareSerial Serial1;

static int terminal = -1;
static unsigned long lose, passed;

/* Bytes that were read and not asked for yet. */
static uint8_t waiting[4096];
static size_t first, last;

static bool is_lost()
{
	passed++;
	return lose != 0 && passed % lose == 0;
}

size_t Print::print(const char *text)
{
	return write(reinterpret_cast<const uint8_t *>(text), strlen(text));
}

size_t Print::print(unsigned long number)
{
	char text[24];

	snprintf(text, sizeof(text), "%lu", number);
	return print(text);
}

size_t Print::println(const char *text)
{
	return print(text) + print("\r\n");
}

void HardwareSerial::begin(unsigned long baud)
{
	(void)baud;
}

int HardwareSerial::available()
{
	if (first == last) {
		const ssize_t n = ::read(terminal, waiting, sizeof(waiting));

		first = 0;
		last = 0;
		for (ssize_t i = 0; i < n; i++) {
			if (!is_lost()) {
				waiting[last++] = waiting[i];
			}
		}
	}
	return static_cast<int>(last - first);
}

int HardwareSerial::read()
{
	return available() > 0 ? waiting[first++] : -1;
}

/* What nobody fetches is lost, as on a wire. */
size_t HardwareSerial::write(const uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (!is_lost() && ::write(terminal, data + i, 1) != 1) {
			break;
		}
	}
	return bytes;
}

unsigned long millis()
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	/* Near the end of 32 bits, so that tests see it wrap. */
	return (0xFFFFF000ul + static_cast<unsigned long>(now.tv_sec) * 1000ul +
		static_cast<unsigned long>(now.tv_nsec) / 1000000ul) &
	       0xFFFFFFFFul;
}

void delay(unsigned long milliseconds)
{
	usleep(static_cast<useconds_t>(milliseconds * 1000ul));
}

/* A terminal whose other end stays open, and that changes no byte. */
static bool open_terminal()
{
	struct termios settings;
	int other;

	terminal = posix_openpt(O_RDWR | O_NOCTTY);
	if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) {
		return false;
	}
	other = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	if (other < 0 || tcgetattr(other, &settings) != 0) {
		return false;
	}
	cfmakeraw(&settings);
	return tcsetattr(other, TCSANOW, &settings) == 0 &&
	       fcntl(terminal, F_SETFL, O_NONBLOCK) == 0;
}

int main()
{
	const char *n = getenv("TMD_LOSE");

	lose = n == nullptr ? 0 : strtoul(n, nullptr, 10);
	if (!open_terminal()) {
		perror("pseudo-terminal");
		return 1;
	}
	printf("%s\n", ptsname(terminal));
	fflush(stdout);
	setup();
	for (;;) {
		loop();
		usleep(100);
	}
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Runs a sketch on a PC, its serial port being a pseudo-terminal whose name is printed. With a number n
 * in TMD_LOSE each nth byte is lost, in both directions. TMD_DRIP: bytes that come in a millisecond,
 * as on a wire, instead of all at once; they come only while the sketch looks for them, which is the
 * worst that can happen to it. TMD_BUSY: milliseconds of other work between two turns of its loop.
 * TMD_ROOM: so many bytes are kept meanwhile, and what comes behind them is lost.
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
static unsigned long lose, passed, drip, ready, ticked;

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

/* Of so many bytes on the wire, those that have come. */
static size_t ready_of(size_t bytes)
{
	const unsigned long now = millis();

	if (drip == 0) {
		return bytes;
	}
	if (bytes == 0) {
		ready = 0;
	} else if (now != ticked) {
		ready += drip;
	}
	ticked = now;
	return ready < bytes ? ready : bytes;
}

static void fetch()
{
	const ssize_t n = ::read(terminal, waiting, sizeof(waiting));

	first = 0;
	last = 0;
	for (ssize_t i = 0; i < n; i++) {
		if (!is_lost()) {
			waiting[last++] = waiting[i];
		}
	}
}

/* The sketch has been busy: what has come since is in the core's buffer, if it has room for it. */
static void fetch_into(size_t room)
{
	if (first == last) {
		fetch();
	}
	if (last - first > room) {
		last = first + room;
	}
}

int HardwareSerial::available()
{
	if (first == last) {
		fetch();
	}
	return static_cast<int>(ready_of(last - first));
}

int HardwareSerial::read()
{
	if (available() == 0) {
		return -1;
	}
	ready -= drip == 0 ? 0 : 1;
	return waiting[first++];
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

static unsigned long number_of(const char *name)
{
	const char *n = getenv(name);

	return n == nullptr ? 0 : strtoul(n, nullptr, 10);
}

int main()
{
	const unsigned long busy = number_of("TMD_BUSY");
	const unsigned long room = number_of("TMD_ROOM");

	lose = number_of("TMD_LOSE");
	drip = number_of("TMD_DRIP");
	if (!open_terminal()) {
		perror("pseudo-terminal");
		return 1;
	}
	printf("%s\n", ptsname(terminal));
	fflush(stdout);
	setup();
	for (;;) {
		loop();
		usleep(100 + static_cast<useconds_t>(busy) * 1000);
		if (room != 0) {
			fetch_into(room);
		}
	}
}

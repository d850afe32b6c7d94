/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Hostile bytes into tmd_serial.c: noise, and frames with the right CRC around nonsense. Whatever comes,
 * replies stay within bounds, and the model is the one that it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tinymldelta/digest.h>
#include <tmd_ram.h>
#include <tmd_serial.h>

#include "tmd_contract.h"
#include "tmd_model_digits.h"

#define UNIT 1024u
#define FRAMES 60000

static uint8_t memory[30 * UNIT];
static struct tmd_ram ram;
static struct tmd_serial serial;
static struct tmd_store_config config;
static uint32_t state = 1, replies, refusals, now;

static uint32_t noise(uint32_t below)
{
	state = state * 1664525u + 1013904223u;
	return (state >> 8) % below;
}

static void take(uint8_t byte)
{
	const uint32_t n = tmd_serial_take(&serial, byte, now);

	if (n == 0u) {
		return;
	}
	if (n > sizeof(serial.reply) || serial.reply[0] != 0xA5u ||
	    n != 9u + serial.reply[3] + 256u * serial.reply[4]) {
		(void)fprintf(stderr, "a reply of %u bytes\n", (unsigned int)n);
		exit(1);
	}
	replies++;
	refusals += serial.reply[6] == 0xFFu ? 1u : 0u;
}

/* A frame of a random command; its length is sometimes not that of its payload. */
static void send_frame(void)
{
	uint8_t frame[600] = {0xA5u};
	const uint32_t length = noise(8) == 0u ? noise(500) : noise(16);
	uint32_t crc;

	frame[1] = (uint8_t)(noise(16) == 0u ? noise(256) : 1u + noise(8));
	frame[2] = (uint8_t)noise(256);
	frame[3] = (uint8_t)length;
	frame[4] = (uint8_t)(length >> 8);
	for (uint32_t i = 0; i < length; i++) {
		frame[5u + i] = (uint8_t)(noise(2) == 0u ? 0u : noise(256));
	}
	crc = tmd_crc32(0, frame + 1, 4u + length);
	for (uint32_t i = 0; i < 4u; i++) {
		frame[5u + length + i] = (uint8_t)(crc >> (8u * i));
	}
	if (noise(4) == 0u) {
		frame[noise(9u + length)] ^= (uint8_t)(1u << noise(8));
	}
	for (uint32_t i = 0; i < 9u + length; i++) {
		take(frame[i]);
	}
	now += noise(3) == 0u ? 501u : 1u;
}

/* A model of slot 0 that is gone when it is opened again: whoever runs it has to be told. */
static bool tells_that_none_is_left(void)
{
	uint32_t opened;

	config.compiled_in = NULL;
	tmd_ram_init(&ram, memory, 30, UNIT);
	memcpy(memory, tmd_model_digits, tmd_contract.models[0].model_bytes);
	if (tmd_serial_begin(&serial, &config) != TMD_OK || tmd_serial_open(&serial) != TMD_OK ||
	    serial.model.slot != 0u) {
		return false;
	}
	opened = serial.opened;
	memory[100] ^= 1u;
	return tmd_serial_open(&serial) != TMD_OK && serial.model.slot == TMD_SLOT_NONE &&
	       serial.model.at == NULL && serial.model.bytes == 0u && serial.opened != opened;
}

int main(void)
{
	tmd_ram_init(&ram, memory, 30, UNIT);
	config.contract = &tmd_contract;
	config.compiled_in = tmd_model_digits;
	config.trial_starts = 3;
	config.slot[0] = (struct tmd_region){&ram.flash, 0, 8 * UNIT};
	config.slot[1] = (struct tmd_region){&ram.flash, 8 * UNIT, 8 * UNIT};
	config.records = (struct tmd_region){&ram.flash, 16 * UNIT, 6 * UNIT};
	config.staging = (struct tmd_region){&ram.flash, 22 * UNIT, 8 * UNIT};
	if (tmd_serial_begin(&serial, &config) != TMD_OK) {
		return 1;
	}
	for (uint32_t i = 0; i < FRAMES; i++) {
		send_frame();
		take((uint8_t)noise(256));
	}
	if (serial.store.active.slot != TMD_SLOT_COMPILED_IN || replies < FRAMES / 4 ||
	    refusals < replies / 4u || refusals == replies) {
		(void)fprintf(stderr, "%u replies, %u refusals, slot %u\n", (unsigned int)replies,
			      (unsigned int)refusals, (unsigned int)serial.store.active.slot);
		return 1;
	}
	if (!tells_that_none_is_left()) {
		(void)fprintf(stderr, "a model that is gone\n");
		return 1;
	}
	(void)puts("done");
	return 0;
}

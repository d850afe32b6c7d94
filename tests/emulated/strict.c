/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Firmware that asks flash for what it cannot do. The command line says which case; what ends the
 * run is the flash, with its own exit status. A case that comes back to main() exits with 0.
 */
#include <string.h>

#include "board.h"
#include "flash.h"

static uint64_t words[2u * TMD_WRITE_UNIT_MAX / sizeof(uint64_t) + 1u];
static uint8_t *const data = (uint8_t *)words;

static void write_at(uint32_t offset, const void *buf, uint32_t bytes)
{
	if (flash_port.write(NULL, offset, buf, bytes) != 0) {
		board_print("write failed\n");
	}
}

static void erase_at(uint32_t offset, uint32_t bytes)
{
	if (flash_port.erase(NULL, offset, bytes) != 0) {
		board_print("erase failed\n");
	}
}

static void read_at(uint32_t offset)
{
	const int err = flash_port.read(NULL, offset, data, FLASH_WRITE);

	board_print(err == 0 ? "read\n" : "fault\n");
}

static void run(char which)
{
	switch (which) {
	case 'a': /* twice, which clears no further bit */
		write_at(0, data, FLASH_WRITE);
		write_at(0, data, FLASH_WRITE);
		break;
	case 'b':
		write_at(FLASH_WRITE / 2u, data, FLASH_WRITE);
		break;
	case 'c':
		write_at(0, data, FLASH_WRITE + 1u);
		break;
	case 'd':
		write_at(FLASH_ERASE - FLASH_WRITE, data, 2u * FLASH_WRITE);
		break;
	case 'e':
		write_at(FLASH_BYTES, data, FLASH_WRITE);
		break;
	case 'f':
		write_at(0, data + 1, FLASH_WRITE);
		break;
	case 'g':
		erase_at(FLASH_ERASE / 2u, FLASH_ERASE);
		break;
	case 'h':
		erase_at(0, 2u * FLASH_ERASE);
		break;
	case 'i':
		(void)flash_port.read(NULL, FLASH_BYTES - 1u, data, 2);
		break;
	case 'j':
		memset(words, FLASH_ERASED, sizeof(words));
		write_at(0, data, FLASH_WRITE);
		write_at(0, data, FLASH_WRITE);
		break;
	case 'w': /* what is right */
		write_at(FLASH_ERASE - FLASH_WRITE, data, FLASH_WRITE);
		erase_at(0, FLASH_ERASE);
		write_at(0, data, FLASH_WRITE);
		break;
	case 't': /* the power goes in the middle of it */
		flash_cut_at(1, 50);
		write_at(0, data, FLASH_WRITE);
		break;
	case 'r': /* at the next power-on */
		read_at(0);
		read_at(FLASH_WRITE);
		break;
	default:
		board_exit(2);
	}
}

int main(void)
{
	char line[32];

	memset(words, 0x5A, sizeof(words));
	if (!board_arguments(line, sizeof(line)) || !flash_power_on()) {
		return 3;
	}
	run(line[0]);
	return 0;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Does the flash port keep its promises (ports/conformance)? The command line says which phase: 1,
 * which destroys what is in the region, and after the next power-on 2. Exit status 0 if all holds,
 * 1 if not.
 */
#include <conformance/conformance.h>

#include "board.h"
#include "flash.h"

/* Of a flash of large blocks two, of one of small pages some more. */
#define REGION (2u * FLASH_ERASE < 16384u ? 16384u : 2u * FLASH_ERASE)

static uint64_t work[TMD_CONFORMANCE_WORK / sizeof(uint64_t)];
static struct tmd_conformance_result result;

static void say(void *ctx, const char *line)
{
	(void)ctx;
	board_print(line);
	board_print("\n");
}

int main(void)
{
	const struct tmd_region region = {&flash_port, 0, REGION};
	struct tmd_conformance_options options = {.work = work};
	char phase[32]; /* holds all of the line, before the first word is cut off */
	int err;

	if (!board_arguments(phase, sizeof(phase)) || (phase[0] != '1' && phase[0] != '2')) {
		board_print("say which phase: 1 or 2\n");
		return 2;
	}
	if (!flash_power_on()) {
		board_print("the flash is not there, or another one\n");
		return FLASH_STATUS_ILLEGAL;
	}
	options.after_reset = phase[0] == '2';
	err = tmd_conformance(&region, &options, &result);
	tmd_conformance_report(&result, say, NULL);
	return err == TMD_OK ? 0 : 1;
}

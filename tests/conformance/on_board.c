/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The conformance test as bare-metal firmware, on the flash of an emulated board. With the word
 * "reset": its second phase.
 */
#include <string.h>

#include <conformance/conformance.h>

#include "board.h"
#include "flash.h"

static uint64_t work[TMD_CONFORMANCE_WORK / 8u];
static struct tmd_conformance_result result;

static void say(void *ctx, const char *line)
{
	(void)ctx;
	board_print(line);
	board_print("\n");
}

int main(void)
{
	const struct tmd_region region = {&flash_port, 2u * FLASH_ERASE, 3u * FLASH_ERASE};
	struct tmd_conformance_options options = {.work = work, .outside = true};
	char words[16] = "";
	int err;

	options.after_reset = board_arguments(words, sizeof(words)) && strcmp(words, "reset") == 0;
	if (!flash_power_on()) {
		return 2;
	}
	board_paint_stack();
	err = tmd_conformance(&region, &options, &result);
	board_print("stack ");
	board_print_number(board_stack_used());
	board_print("\n");
	tmd_conformance_report(&result, say, NULL);
	return err == TMD_OK ? 0 : 1;
}

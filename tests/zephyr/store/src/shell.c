/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The shell commands: what they print, and that they say so when they could not do it.
 */
#include <string.h>

#include <zephyr/shell/shell.h>
#include <zephyr/shell/shell_dummy.h>
#include <zephyr/ztest.h>

#include "device.h"
#include "tmd_models.h"

/* Run a command; its status, and what it printed. */
static int run(const char *command, const char **printed)
{
	const struct shell *sh = shell_backend_dummy_get_ptr();
	size_t bytes;
	int err;

	shell_backend_dummy_clear_output(sh);
	err = shell_execute_cmd(sh, command);
	*printed = shell_backend_dummy_get_output(sh, &bytes);
	return err;
}

static void expect(const char *command, int status, const char *words)
{
	const char *printed;

	zassert_equal(run(command, &printed), status, "%s", command);
	zassert_not_null(strstr(printed, words), "%s prints %s", command, printed);
}

ZTEST(tinymldelta_shell, test_commands)
{
	struct tmd_model model;

	zassert_equal(tmd_zephyr_open(&tmd_digits, &model), TMD_OK);
	expect("tmd status", 0, "digits: version ");
	expect("tmd status digits", 0, " bytes, ");
	expect("tmd status", 0, "note: of the firmware");
	expect("tmd status", 0, "labels: nought,one,two,three,");
	expect("tmd status", 0, "..."); /* not all of them */
	expect("tmd status toaster", -ENOENT, "no such model");
	expect("tmd confirm toaster", -ENOENT, "no such model");
	expect("tmd forget", 0, "digits: done");
	expect("tmd confirm", -ENOEXEC, "STATE");
	expect("tmd revert digits", -ENOEXEC, "STATE");
	tmd_zephyr_close(&tmd_digits, &model);
}

static void *set_up(void)
{
	/* The shell's thread has to come up first. */
	k_msleep(50);
	return NULL;
}

ZTEST_SUITE(tinymldelta_shell, NULL, set_up, device_from_factory, NULL, NULL);

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Shell commands, for people.
 */
#include <zephyr/shell/shell.h>

#include "port.h"

/* One of the models, by the first argument; complains, and returns NULL, if there is none. */
static struct tmd_zephyr_model *model_of(const struct shell *sh, size_t argc, char **argv)
{
	struct tmd_zephyr_model *m = tmd_zephyr_find(argc > 1u ? argv[1] : NULL);

	if (m == NULL) {
		shell_error(sh, "no such model; `tmd status` lists them");
	}
	return m;
}

static int report(const struct shell *sh, struct tmd_zephyr_model *m, int status)
{
	if (status == TMD_OK) {
		shell_print(sh, "%s: done", tmd_zephyr_name(m));
		return 0;
	}
	shell_error(sh, "%s: %s: %s", tmd_zephyr_name(m), tmd_status_name(status),
		    tmd_status_text(status));
	return -ENOEXEC;
}

static const char *place(uint8_t slot)
{
	switch (slot) {
	case 0:
		return "slot 0";
	case 1:
		return "slot 1";
	case TMD_SLOT_COMPILED_IN:
		return "compiled in";
	default:
		return "nowhere";
	}
}

/* A version's parts, for "%u.%u.%u". */
#define VERSION_PARTS(version) (version) >> 24, ((version) >> 16) & 0xFFu, (version) & 0xFFFFu

/* All of a note; of many labels the first. */
#define TEXT_BYTES 96u

/* What is said of the active model, on one line: labels come with line feeds between them. */
static void print_text(const struct shell *sh, struct tmd_zephyr_model *m, const char *what,
		       uint8_t tag)
{
	char text[TEXT_BYTES + 1u];
	const int bytes = tmd_zephyr_get_metadata(m, tag, text, TEXT_BYTES);
	size_t n;

	if (bytes <= 0) {
		return; /* nothing is said; why a store cannot be read, the status has told */
	}
	for (n = 0; n < MIN((size_t)bytes, TEXT_BYTES); n++) {
		if (text[n] == '\n') {
			text[n] = ',';
		} else if ((unsigned char)text[n] < ' ') {
			text[n] = '?'; /* a terminal would obey it */
		}
	}
	text[n] = '\0';
	shell_print(sh, "  %s: %s%s", what, text, (size_t)bytes > n ? "..." : "");
}

static void print_status(const struct shell *sh, struct tmd_zephyr_model *m)
{
	struct tmd_active active;
	struct tmd_store_info info;
	const int err = tmd_zephyr_get_status(m, &active, &info);

	if (err != TMD_OK) {
		(void)report(sh, m, err);
		return;
	}
	shell_print(sh, "%s: version %u.%u.%u, %u bytes, %s, SHA-256 %02x%02x%02x%02x...",
		    tmd_zephyr_name(m), VERSION_PARTS(info.version), active.bytes,
		    place(active.slot), active.sha256[0], active.sha256[1], active.sha256[2],
		    active.sha256[3]);
	if (info.trial) {
		shell_print(sh, "  on trial, %u starts", info.starts);
	}
	shell_print(sh, "  %u updates, %u erases, versions from %u.%u.%u on", info.updates,
		    info.erases, VERSION_PARTS(info.floor));
	print_text(sh, m, "note", TMD_TLV_NOTE);
	print_text(sh, m, "labels", TMD_TLV_LABELS);
}

static int cmd_status(const struct shell *sh, size_t argc, char **argv)
{
	struct tmd_zephyr_model *m;

	if (argc > 1u) {
		m = model_of(sh, argc, argv);
		if (m == NULL) {
			return -ENOENT;
		}
		print_status(sh, m);
		return 0;
	}
	for (size_t n = 0; (m = tmd_zephyr_model_at(n)) != NULL; n++) {
		print_status(sh, m);
	}
	return 0;
}

static int change(const struct shell *sh, size_t argc, char **argv,
		  int (*how)(struct tmd_zephyr_model *m))
{
	struct tmd_zephyr_model *m = model_of(sh, argc, argv);

	return m == NULL ? -ENOENT : report(sh, m, how(m));
}

static int cmd_confirm(const struct shell *sh, size_t argc, char **argv)
{
	return change(sh, argc, argv, tmd_zephyr_confirm);
}

static int cmd_revert(const struct shell *sh, size_t argc, char **argv)
{
	return change(sh, argc, argv, tmd_zephyr_revert);
}

static int cmd_forget(const struct shell *sh, size_t argc, char **argv)
{
	return change(sh, argc, argv, tmd_zephyr_forget);
}

SHELL_STATIC_SUBCMD_SET_CREATE(
	commands,
	SHELL_CMD_ARG(status, NULL, "Show the models. Arguments: [model]", cmd_status, 1, 1),
	SHELL_CMD_ARG(confirm, NULL, "Keep the model on trial. Arguments: [model]", cmd_confirm, 1,
		      1),
	SHELL_CMD_ARG(revert, NULL, "Back to the one before it. Arguments: [model]", cmd_revert, 1,
		      1),
	SHELL_CMD_ARG(forget, NULL, "Forget the inactive slot. Arguments: [model]", cmd_forget, 1,
		      1),
	SHELL_SUBCMD_SET_END);

SHELL_CMD_REGISTER(tmd, &commands, "TinyMLDelta: models and their updates", NULL);

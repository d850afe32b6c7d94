/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <tinymldelta/status.h>

#define AS_NAME(symbol, name, text) \
	case symbol:                \
		return name;
#define AS_TEXT(symbol, name, text) \
	case symbol:                \
		return text;

const char *tmd_status_name(int status)
{
	switch (status) {
		TMD_STATUS_LIST(AS_NAME)
	default:
		return "?";
	}
}

const char *tmd_status_text(int status)
{
	switch (status) {
		TMD_STATUS_LIST(AS_TEXT)
	default:
		return "a status that this version does not know";
	}
}

const char *tmd_rule_name(int rule)
{
	switch (rule) {
		TMD_RULE_LIST(AS_NAME)
	default:
		return "?";
	}
}

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "operators.h"

#include "bytes.h"

#if TMD_DECODER != TMD_DECODER_NONE

#define IS_CUSTOM 0x80000000u
#define VERSION_BITS 0x3Fu
#define RESERVED_BIT 0x40u
#define TYPES_FOLLOW 0x80u

static uint8_t take(struct tmd_operators *list)
{
	list->bytes--;
	return *list->at++;
}

/* How far the code is from the one before: 1 to 127 in a byte, or 128 to 32767 in two. */
static bool read_code(struct tmd_operators *list, uint32_t step)
{
	struct tmd_operator_need *op = &list->last;

	if (list->any && op->id >= IS_CUSTOM) {
		return false; /* those without a code come last */
	}
	if (step >= 128u) {
		if (list->bytes == 0u) {
			return false;
		}
		step = (step & 127u) << 8 | take(list);
		if (step < 128u) {
			return false;
		}
	}
	/* Counted from -1, so that code 0 is one step from the start. */
	op->id = list->any ? op->id + step : step - 1u;
	return op->id <= TMD_OPERATOR_CODE_MAX;
}

static bool read_custom(struct tmd_operators *list)
{
	const uint32_t before = list->any ? list->last.id : 0u;

	if (list->bytes < 4u) {
		return false;
	}
	list->last.id = tmd_get_u32(list->at);
	list->at += 4;
	list->bytes -= 4u;
	return list->last.id >= IS_CUSTOM && list->last.id > before;
}

bool tmd_operators_next(struct tmd_operators *list)
{
	struct tmd_operator_need *op = &list->last;
	const uint8_t step = take(list);
	uint8_t version;

	if (!(step == 0u ? read_custom(list) : read_code(list, step)) || list->bytes == 0u) {
		return false;
	}
	version = take(list);
	op->version = version & VERSION_BITS;
	if (op->version == 0u || (version & RESERVED_BIT) != 0u) {
		return false;
	}
	if ((version & TYPES_FOLLOW) != 0u) {
		if (list->bytes == 0u) {
			return false;
		}
		op->types = take(list);
	} else if (!list->any) {
		return false;
	}
	list->any = true;
	return true;
}

bool tmd_operators_are_valid(const uint8_t *at, uint32_t bytes)
{
	struct tmd_operators list = {.at = at, .bytes = bytes};

	while (list.bytes > 0u) {
		if (!tmd_operators_next(&list)) {
			return false;
		}
	}
	return true;
}

#endif

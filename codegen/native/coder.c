/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include <tinymldelta/patch.h>

#include "coder.h"

void tmd_coder_start(struct tmd_coder *c)
{
	c->written = 0;
	c->full = false;
	c->interval = 0xFFFFFFFFu;
	c->low = 0;
}

static void put_byte(struct tmd_coder *c, uint8_t byte)
{
	if (c->written < c->room) {
		c->out[c->written++] = byte;
	} else {
		c->full = true;
	}
}

/* `low` has 32 bits of what is not final, and a carry above them. */
static void shift_out(struct tmd_coder *c)
{
	if (c->low >> 32 != 0u) {
		uint32_t i = c->written;

		while (i > 0u && ++c->out[i - 1u] == 0u) {
			i--;
		}
		c->low &= 0xFFFFFFFFu;
	}
	put_byte(c, (uint8_t)(c->low >> 24));
	c->low = c->low << 8 & 0xFFFFFFFFu;
}

static void refill(struct tmd_coder *c)
{
	while (c->interval < 1u << 24) {
		c->interval <<= 8;
		shift_out(c);
	}
}

void tmd_coder_bit(struct tmd_coder *c, uint32_t p, uint32_t bit)
{
	const uint32_t bound = (c->interval >> 12) * p;

	if (bit != 0u) {
		c->interval = bound;
	} else {
		c->low += bound;
		c->interval -= bound;
	}
	refill(c);
}

void tmd_coder_even(struct tmd_coder *c, uint32_t n, uint32_t bits)
{
	for (uint32_t i = n; i-- > 0u;) {
		c->interval >>= 1;
		if ((bits >> i & 1u) != 0u) {
			c->low += c->interval;
		}
		refill(c);
	}
}

void tmd_coder_end(struct tmd_coder *c)
{
	const uint64_t high = c->low + c->interval - 1u;

	for (uint32_t keep = 0; keep <= 4u; keep++) {
		const uint64_t mask = ((uint64_t)1 << (32u - 8u * keep)) - 1u;
		const uint64_t value = (c->low + mask) & ~mask;

		if (value <= high) {
			c->low = value;
			break;
		}
	}
	for (uint32_t i = 0; i < 4u; i++) {
		shift_out(c);
	}
	/* No more than the decoder reads beyond the end, though there may be zeros before these. */
	for (uint32_t i = 0; i < TMD_F2_BEYOND_MAX && c->written > 0u; i++) {
		if (c->out[c->written - 1u] != 0u) {
			break;
		}
		c->written--;
	}
}

uint32_t *tmd_decision_costs(void)
{
	uint32_t *costs = malloc(4097 * sizeof(*costs));

	if (costs != NULL) {
		costs[0] = 0;
		for (uint32_t p = 1; p <= 4096u; p++) {
			costs[p] = (uint32_t)(65536 * -log2(p / 4096.0) + 0.5);
		}
	}
	return costs;
}

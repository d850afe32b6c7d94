/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "../../zephyr_module/core/bytes.h"
#include "../../zephyr_module/core/tables.h"
#include "gains.h"

/* The weights that a row of the target and the same one of the base have in common. */
struct row {
	const uint8_t *base;
	const uint8_t *target;
	uint8_t flip;
	uint32_t d[2], e[2], n[2];
};

static struct row row_of(const uint8_t *base, const uint8_t *target, const struct tmd_hint *h,
			 uint32_t i)
{
	struct row row = {.flip = h->type == TMD_F2_U8 ? 128u : 0u};

	for (uint32_t k = 0; k < 2u; k++) {
		row.d[k] = h->d[k + 1u];
		row.e[k] = h->e[k + 1u];
		row.n[k] = i >= h->e[0] ? 0u : tmd_min_u32(row.d[k], row.e[k]);
	}
	row.target = &target[h->target_at + i * row.d[0] * row.d[1]];
	row.base = &base[h->base_at + (i >= h->e[0] ? 0u : i) * row.e[0] * row.e[1]];
	return row;
}

static double weight_of(uint8_t byte, const struct row *row)
{
	return (int8_t)(byte ^ row->flip);
}

/* About what a row costs in bits, with a gain. */
static double row_cost(const struct row *row, int32_t gain)
{
	const double factor = 1 + gain * ((1 << F2_GAIN_BITS) / 65536.0);
	double product = 1, cost = 0;

	for (uint32_t a = 0; a < row->n[0]; a++) {
		for (uint32_t c = 0; c < row->n[1]; c++) {
			const double b = weight_of(row->base[a * row->e[1] + c], row);
			const double t = weight_of(row->target[a * row->d[1] + c], row);

			product *= 0.3 + fabs(t - b * factor);
			if (product > 1e200 || product < 1e-200) { /* a logarithm for many at once */
				cost += log2(product);
				product = 1;
			}
		}
	}
	return cost + log2(product) + (gain == 0 ? 0 : 2 + 2 * log2(1 + abs(gain)));
}

/* Steps around the best one in the sense of least squares that are tried. */
#define GAINS_TRIED 6

static int32_t best_gain(const struct row *row)
{
	const double one = 65536.0 / (1 << F2_GAIN_BITS);
	double bb = 0, bt = 0, best = row_cost(row, 0), gain;
	int32_t best_at = 0;

	for (uint32_t a = 0; a < row->n[0]; a++) {
		for (uint32_t c = 0; c < row->n[1]; c++) {
			const double b = weight_of(row->base[a * row->e[1] + c], row);

			bb += b * b;
			bt += b * weight_of(row->target[a * row->d[1] + c], row);
		}
	}
	gain = bb > 0 ? floor((bt / bb - 1) * one + 0.5) : 0;
	gain = gain < -one ? -one : gain > 4 * one ? 4 * one : gain;
	for (int32_t k = -GAINS_TRIED; k <= GAINS_TRIED; k++) {
		const double cost = row_cost(row, (int32_t)gain + k);

		if (cost < best && gain + k > -one) {
			best = cost;
			best_at = (int32_t)gain + k;
		}
	}
	return best_at;
}

int32_t *tmd_gains(const uint8_t *base, const uint8_t *target, const struct tmd_hint *h)
{
	int32_t *gains = malloc(h->d[0] * sizeof(*gains));

	for (uint32_t i = 0; gains != NULL && i < h->d[0]; i++) {
		const struct row row = row_of(base, target, h, i);

		gains[i] = best_gain(&row);
	}
	return gains;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "welford.h"

#include <math.h>

void welford_start(struct welford *w)
{
	*w = (struct welford){0};
}

void welford_add(struct welford *w, double value)
{
	double before = value - w->mean;

	w->count++;
	w->mean += before / w->count;
	/* Distances from the old and from the new mean: no difference of two large sums. */
	w->squares += before * (value - w->mean);
}

double welford_deviation(const struct welford *w)
{
	return w->count < 2u ? 0.0 : sqrt(w->squares / (w->count - 1u));
}

float welford_z(const struct welford *w, double value, double resolution)
{
	return (float)((value - w->mean) / fmax(welford_deviation(w), resolution));
}

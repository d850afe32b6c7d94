/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Mean and deviation of readings, learned one by one in constant memory (B. P. Welford, 1962).
 * Plain C without Zephyr: tests/samples compiles it on a PC.
 */
#ifndef THERMO_WELFORD_H
#define THERMO_WELFORD_H

#include <stdint.h>

struct welford {
	uint32_t count;
	double mean;
	double squares; /* sum of the squared distances from the mean */
};

void welford_start(struct welford *w);
void welford_add(struct welford *w, double value);

/* Deviation of the readings so far, of a sample (n - 1); 0 with fewer than two. */
double welford_deviation(const struct welford *w);

/*
 * How many deviations `value` is from the mean. A deviation counts as at least `resolution`, the
 * sensor's step: a temperature that stands still has none.
 */
float welford_z(const struct welford *w, double value, double resolution);

#endif /* THERMO_WELFORD_H */

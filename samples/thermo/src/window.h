/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the autoencoder sees: the last readings, in deviations from the learned mean, as int8. And
 * how far what it restores is from that. Plain C without Zephyr; models/series.py does the same for
 * training, and tests/samples compares the two.
 */
#ifndef THERMO_WINDOW_H
#define THERMO_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_READINGS 16
#define WINDOW_CLIP 4.0f /* deviations that map to the ends of 0..1 */

/* Quantisation of an int8 tensor: value = scale * (q - zero_point). */
struct quantisation {
	float scale;
	int32_t zero_point;
};

struct window {
	float z[WINDOW_READINGS]; /* a ring */
	uint32_t count;           /* of readings, ever */
};

void window_start(struct window *w);
void window_add(struct window *w, float z);
bool window_is_full(const struct window *w);

/* The window as input of the autoencoder, oldest reading first. */
void window_quantise(const struct window *w, struct quantisation input,
		     int8_t out[WINDOW_READINGS]);

/* Root mean square of the error of restoring, in deviations. */
float window_error(const int8_t in[WINDOW_READINGS], struct quantisation input,
		   const int8_t out[WINDOW_READINGS], struct quantisation output);

#endif /* THERMO_WINDOW_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "window.h"

#include <math.h>

void window_start(struct window *w)
{
	*w = (struct window){0};
}

void window_add(struct window *w, float z)
{
	w->z[w->count % WINDOW_READINGS] = z;
	w->count++;
}

bool window_is_full(const struct window *w)
{
	return w->count >= WINDOW_READINGS;
}

static int8_t quantise(float value, struct quantisation q)
{
	float scaled = roundf(value / q.scale) + (float)q.zero_point;

	return (int8_t)fminf(fmaxf(scaled, INT8_MIN), INT8_MAX);
}

static float dequantise(int8_t value, struct quantisation q)
{
	return q.scale * (float)(value - q.zero_point);
}

void window_quantise(const struct window *w, struct quantisation input,
		     int8_t out[WINDOW_READINGS])
{
	for (uint32_t i = 0; i < WINDOW_READINGS; i++) {
		/* The one that the next reading replaces is the oldest. */
		float z = w->z[(w->count + i) % WINDOW_READINGS];
		float clipped = fminf(fmaxf(z, -WINDOW_CLIP), WINDOW_CLIP);

		out[i] = quantise((clipped + WINDOW_CLIP) / (2.0f * WINDOW_CLIP), input);
	}
}

float window_error(const int8_t in[WINDOW_READINGS], struct quantisation input,
		   const int8_t out[WINDOW_READINGS], struct quantisation output)
{
	float squares = 0.0f;

	for (uint32_t i = 0; i < WINDOW_READINGS; i++) {
		float error = dequantise(out[i], output) - dequantise(in[i], input);

		squares += error * error;
	}
	return sqrtf(squares / (float)WINDOW_READINGS) * 2.0f * WINDOW_CLIP;
}

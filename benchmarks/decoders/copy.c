/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * No decoder: the whole model is sent, and taken as it comes. What is left is what the callbacks cost.
 */
#include "decoder.h"

int bench_decode(void)
{
	const uint8_t *piece;
	uint32_t bytes;

	while ((piece = bench_piece(&bytes)) != NULL) {
		if (!bench_emit(piece, bytes)) {
			return 1;
		}
	}
	return 0;
}

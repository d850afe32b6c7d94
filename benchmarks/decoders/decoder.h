/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Between a decoder that is measured and the firmware that measures it (main.c). What a decoder is given is
 * the same for all: functions that read the base and the patch and take the target, and memory that is
 * counted. A decoder's own glue is one file with bench_decode() in it; the glue is not weighed, and has no
 * data of its own but constants.
 */
#ifndef TMD_BENCH_DECODER_H
#define TMD_BENCH_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Decode the patch: read it, read the base, and give the target from front to back. 0 when the decoder
 * says that all went well, else its own error. Whether the target is right, main.c looks.
 */
int bench_decode(void);

uint32_t bench_base_bytes(void);
uint32_t bench_target_bytes(void); /* for decoders whose patch does not say it */
uint32_t bench_patch_bytes(void);

/* `bytes` of the base from `offset`. False, and nothing read, if they do not lie within it. */
bool bench_read_base(uint32_t offset, void *buf, uint32_t bytes);

/*
 * The next piece of the patch, as it comes over the air: 64 bytes, and at last what is left. NULL and
 * 0 bytes at its end.
 */
const uint8_t *bench_piece(uint32_t *bytes);

/* For decoders that fetch: the next `bytes` of the patch, out of such pieces; fewer only at its end. */
uint32_t bench_read_patch(void *buf, uint32_t bytes);

/* The next `bytes` of the target. False if there are more of them than the target has. */
bool bench_emit(const void *data, uint32_t bytes);

/* For decoders that want all of the base, or of the patch, where they can point at it. */
const uint8_t *bench_base(void);
const uint8_t *bench_patch(void);

/*
 * All memory that a decoder works with, but for its stack: its state, dictionary and caches, and what it
 * asks of malloc. Aligned to 8. NULL if there is no more. What was freed is used again only if it was the
 * last; the bytes that are in use at the same time are what is counted.
 */
void *bench_allocate(size_t bytes);
void bench_free(void *memory);

#endif /* TMD_BENCH_DECODER_H */

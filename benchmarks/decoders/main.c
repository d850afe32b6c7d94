/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Runs one decoder once, on an emulated board, and says what it took. Base, target and patch lie in
 * memory, at BENCH_JOB, where QEMU's loader has put them. Results go out as hexadecimal words: the
 * decoder's status, bytes of the target, blocks of it that are wrong, instructions (high word first),
 * bytes of memory, bytes of stack, and whether the counter of instructions has overflowed.
 */
#include <string.h>

#include "board.h"
#include "decoder.h"

#define PIECE 64u
#define ALIGN 8u

/* What the loader puts there: lengths of base, target and patch, then where each lies. */
struct job {
	uint32_t bytes[3];
	uint32_t at[3];
};

enum { BASE, TARGET, PATCH };

#define JOB ((const struct job *)BENCH_JOB)
#define HEAP ((uint8_t *)BENCH_HEAP)

/* In front of what was allocated. */
struct block {
	uint32_t bytes; /* as asked for */
	uint32_t from;  /* where the heap ended before */
};

_Static_assert(sizeof(struct block) == ALIGN, "what follows is aligned");

static uint32_t heap_end, heap_used, heap_most;
static uint32_t patch_at, piece_left;
static uint32_t emitted, wrong;

static const uint8_t *content(int which)
{
	return (const uint8_t *)(uintptr_t)JOB->at[which];
}

uint32_t bench_base_bytes(void)
{
	return JOB->bytes[BASE];
}

uint32_t bench_target_bytes(void)
{
	return JOB->bytes[TARGET];
}

uint32_t bench_patch_bytes(void)
{
	return JOB->bytes[PATCH];
}

const uint8_t *bench_base(void)
{
	return content(BASE);
}

const uint8_t *bench_patch(void)
{
	return content(PATCH);
}

bool bench_read_base(uint32_t offset, void *buf, uint32_t bytes)
{
	if (offset > JOB->bytes[BASE] || bytes > JOB->bytes[BASE] - offset) {
		return false;
	}
	memcpy(buf, content(BASE) + offset, bytes);
	return true;
}

const uint8_t *bench_piece(uint32_t *bytes)
{
	const uint32_t left = JOB->bytes[PATCH] - patch_at;
	const uint8_t *piece = content(PATCH) + patch_at;

	*bytes = left < PIECE ? left : PIECE;
	patch_at += *bytes;
	return *bytes > 0u ? piece : NULL;
}

uint32_t bench_read_patch(void *buf, uint32_t bytes)
{
	static const uint8_t *piece;
	uint8_t *out = buf;
	uint32_t left = bytes;

	while (left > 0u) {
		uint32_t n;

		if (piece_left == 0u) {
			piece = bench_piece(&piece_left);
			if (piece == NULL) {
				break;
			}
		}
		n = left < piece_left ? left : piece_left;
		memcpy(out, piece, n);
		out += n;
		piece += n;
		piece_left -= n;
		left -= n;
	}
	return bytes - left;
}

bool bench_emit(const void *data, uint32_t bytes)
{
	if (bytes > JOB->bytes[TARGET] - emitted) {
		return false;
	}
	wrong += memcmp(data, content(TARGET) + emitted, bytes) != 0;
	emitted += bytes;
	return true;
}

void *bench_allocate(size_t bytes)
{
	const uint32_t left = BENCH_HEAP_BYTES - heap_end;
	struct block *block = (struct block *)(void *)(HEAP + heap_end);

	if (bytes > left || left - bytes < sizeof(*block) + ALIGN) {
		return NULL;
	}
	block->bytes = (uint32_t)bytes;
	block->from = heap_end;
	heap_end += (uint32_t)(sizeof(*block) + ((bytes + ALIGN - 1u) & ~(size_t)(ALIGN - 1u)));
	heap_used += block->bytes;
	if (heap_used > heap_most) {
		heap_most = heap_used;
	}
	return block + 1;
}

void bench_free(void *memory)
{
	struct block *block = memory;

	if (block == NULL) {
		return;
	}
	block--;
	heap_used -= block->bytes;
	if ((uint8_t *)memory + ((block->bytes + ALIGN - 1u) & ~(ALIGN - 1u)) == HEAP + heap_end) {
		heap_end = block->from;
	}
}

static void print(uint32_t value)
{
	char text[10];

	for (unsigned int i = 0; i < 8u; i++) {
		text[i] = "0123456789abcdef"[(value >> (28u - 4u * i)) & 15u];
	}
	text[8] = ' ';
	text[9] = '\0';
	board_print(text);
}

/*
 * SysTick, which counts on Arm, went round: then the count is too low. It started at its largest value
 * when board_instructions() was first called, and its flag is cleared when it is read.
 */
static bool overflowed(void)
{
#if defined(__arm__)
	return (*(volatile uint32_t *)0xE000E010u >> 16 & 1u) != 0u;
#else
	return false;
#endif
}

int main(void)
{
	uint64_t passed;
	uint32_t stack;
	bool over;
	int status;

	passed = board_instructions();
	board_paint_stack();
	(void)overflowed();
	passed = board_instructions();
	status = bench_decode();
	over = overflowed();
	passed = board_instructions() - passed;
	stack = board_stack_used();
	print((uint32_t)status);
	print(emitted);
	print(wrong);
	print((uint32_t)(passed >> 32));
	print((uint32_t)passed);
	print(heap_most);
	print(stack);
	print(over);
	return 0;
}

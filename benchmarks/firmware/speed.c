/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Decodes one patch on QEMU's mps2-an505 (Cortex-M33) and says how many instructions that took. QEMU
 * counts them: with `-icount shift=0` one instruction lasts 1 ns, and SysTick ticks every 50. What
 * the patch reads and what it has to give lie in memory, where QEMU's loader has put them. Results go
 * out by semihosting, as text: status, mismatches, bytes of the target, instructions of the decoder, and
 * of SHA-256 over the target.
 */
#include <stdint.h>
#include <string.h>

#include <board.h>
#include <tinymldelta/digest.h>
#include <tinymldelta/patch.h>

#define INSTRUCTIONS_PER_TICK 50u

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define SYST_MAX 0xFFFFFFu

/* What the loader puts here: lengths of base, target and patch, then where each lies. */
struct job {
	uint32_t bytes[3];
	const uint8_t *at[3];
	uint32_t piece; /* bytes of the patch that come at once */
};

enum { BASE, TARGET, PATCH };

#define JOB ((const struct job *)0x80000000u)

static struct tmd_patch patch;
static uint32_t position, mismatches;

static int read_base(void *ctx, uint32_t offset, uint8_t *buf, uint32_t bytes)
{
	(void)ctx;
	memcpy(buf, JOB->at[BASE] + offset, bytes);
	return TMD_OK;
}

static int emit(void *ctx, const uint8_t *buf, uint32_t bytes)
{
	(void)ctx;
	mismatches += memcmp(buf, JOB->at[TARGET] + position, bytes) != 0;
	position += bytes;
	return TMD_OK;
}

static void say(uint32_t value)
{
	board_print_number(value);
	board_print(" ");
}

/* Ticks since the last call. board_instructions() would be a count of its own, for each piece. */
static uint32_t ticks(void)
{
	static uint32_t before = SYST_MAX;
	const uint32_t now = SYST_CVR;
	const uint32_t passed = (before - now) & SYST_MAX;

	before = now;
	return passed;
}

static int decode(uint64_t *passed)
{
	static const struct tmd_contract any = {.accept = 0xFFFF, .formats = 0xFFFF,
						.decoder = TMD_DECODER,
						.meta_kept = TMD_META_KEPT};
	static const struct tmd_patch_io io = {read_base, emit, NULL};
	const uint8_t *data = JOB->at[PATCH];
	size_t left = JOB->bytes[PATCH], used = 0;
	int err;

	tmd_patch_init(&patch);
	(void)ticks();
	err = tmd_patch_head(&patch, &any, data, left, &used);
	data += used;
	left -= used;
	while (err == TMD_OK && left > 0u) {
		const size_t n = left < JOB->piece ? left : JOB->piece;

		err = tmd_patch_body(&patch, &io, data, n);
		data += n;
		left -= n;
		*passed += ticks();
	}
	if (err == TMD_OK) {
		err = tmd_patch_end(&patch, &io);
	}
	*passed += ticks();
	return err;
}

static uint64_t digest(void)
{
	struct tmd_fingerprint print;

	(void)ticks();
	tmd_fingerprint_init(&print, TMD_DIGEST_SHA256);
	tmd_fingerprint_update(&print, JOB->at[TARGET], JOB->bytes[TARGET]);
	return ticks();
}

int main(void)
{
	uint64_t passed = 0;
	int err;

	SYST_RVR = SYST_MAX;
	SYST_CVR = 0;
	SYST_CSR = 5; /* on, by the processor's clock */
	err = decode(&passed);
	say((uint32_t)-err);
	say(mismatches);
	say(position);
	say((uint32_t)(passed * INSTRUCTIONS_PER_TICK));
	say((uint32_t)(digest() * INSTRUCTIONS_PER_TICK));
	return 0;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a signature costs: verified alone, as part of a patch's head, and how much memory that takes; the
 * same for opening an encrypted patch; and how long MACs are compared. Runs on QEMU's mps2-an505
 * (Cortex-M33), and where 16 KB of RAM do on its microbit (Cortex-M0). With TRUST_SIZE it is only linked,
 * to be weighed.
 *
 * QEMU counts instructions: with `-icount shift=0` one lasts 1 ns, and SysTick ticks every TICK_NS. It is
 * set to 0 before each count, so that equal counts give equal ticks. Keys, signatures and patches come
 * from trust_job.h, which benchmarks/trust writes. Results go out by semihosting, a line each: name and
 * numbers.
 */
#include <stdint.h>
#include <string.h>

#include <tinymldelta/tinymldelta.h>

#include "trust_job.h"

#if defined(TRUST_HMAC)
#include <tinymldelta/hmac.h>
#elif defined(TRUST_ED25519)
#include <tinymldelta/monocypher.h>
#elif !defined(TRUST_NOTHING)
#include <tinymldelta/psa.h>
#define TRUST_PSA
#endif
#if defined(TRUST_X25519) || defined(TRUST_ECDH_P256)
#define TRUST_SEALED
#endif

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define SYST_MAX 0xFFFFFFu

#define PAINT 0xA5A5A5A5u
#define COMPARES 256u /* per count, so that a single instruction is seen */
#define CALLS 16u
#define TAGS 1024u

extern uint32_t stack_top;
extern uint32_t stack_limit;
extern uint32_t bss_start, bss_end;
extern uint32_t data_start, data_end, data_from;

void reset(void);

static void fault(void)
{
	for (;;) {
	}
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
	(void (*)(void))&stack_top, reset, fault, fault, fault, fault, fault,
};

static struct tmd_crypto crypto;
static volatile int result;

/* ---- what Mbed TLS asks of a platform ---- */

#if defined(TRUST_PSA)
/* First fit, in blocks that lie one behind the other. */
struct block {
	uint32_t bytes; /* behind this; 0: the end */
	uint32_t used;
};

#define HEAP_BYTES 8192u

static union {
	struct block first;
	uint8_t bytes[HEAP_BYTES];
} heap;
static uint32_t held, held_most;

static struct block *after(struct block *block)
{
	return (struct block *)(void *)((uint8_t *)(block + 1) + block->bytes);
}

void *trust_calloc(size_t n, size_t bytes)
{
	const uint32_t want = ((uint32_t)(n * bytes) + 7u) & ~7u;
	struct block *block = &heap.first;

	if (block->bytes == 0u) {
		block->bytes = HEAP_BYTES - 2u * (uint32_t)sizeof(*block);
	}
	for (; block->bytes != 0u; block = after(block)) {
		while (block->used == 0u && after(block)->bytes != 0u && after(block)->used == 0u) {
			block->bytes += (uint32_t)sizeof(*block) + after(block)->bytes;
		}
		if (block->used != 0u || block->bytes < want || want == 0u) {
			continue;
		}
		if (block->bytes >= want + 2u * sizeof(*block)) {
			const uint32_t rest = block->bytes - want - (uint32_t)sizeof(*block);

			block->bytes = want;
			*after(block) = (struct block){rest, 0};
		}
		block->used = 1;
		held += block->bytes;
		held_most = held > held_most ? held : held_most;
		return memset(block + 1, 0, block->bytes);
	}
	return NULL;
}

void trust_free(void *at)
{
	struct block *block = (struct block *)at - 1;

	if (at != NULL) {
		block->used = 0;
		held -= block->bytes;
	}
}

/* Blinding takes random numbers; how they come is not what is measured. */
psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
					     uint8_t *output, size_t size, size_t *length)
{
	static uint32_t state = 1;

	(void)context;
	for (size_t i = 0; i < size; i++) {
		state = state * 1664525u + 1013904223u;
		output[i] = (uint8_t)(state >> 24);
	}
	*length = size;
	return PSA_SUCCESS;
}

static psa_key_id_t import(psa_key_type_t type, psa_algorithm_t algorithm,
			   psa_key_usage_t usage, const uint8_t *bytes, size_t n)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t key = 0;

	psa_set_key_type(&attributes, type);
	psa_set_key_algorithm(&attributes, algorithm);
	psa_set_key_usage_flags(&attributes, usage);
	return psa_crypto_init() == PSA_SUCCESS &&
			       psa_import_key(&attributes, bytes, n, &key) == PSA_SUCCESS
		       ? key
		       : 0u;
}
#endif

/* ---- the port of each kind, with its secrets ---- */

#if defined(TRUST_HMAC)
static const struct tmd_hmac_key secrets[] = {{.number = 0, .secret = job_secret}};
static struct tmd_hmac port = {.secrets = secrets, .secrets_n = 1};

static void start(void)
{
	tmd_hmac_init(&crypto, &port);
}
#elif defined(TRUST_ED25519)
static struct tmd_monocypher port;

static void start(void)
{
	tmd_monocypher_init(&crypto, &port);
}
#elif defined(TRUST_PSA)
static struct tmd_psa port;

static void start(void)
{
#if defined(TRUST_HMAC_PSA)
	port.mac = import(PSA_KEY_TYPE_HMAC, PSA_ALG_HMAC(PSA_ALG_SHA_256),
			  PSA_KEY_USAGE_VERIFY_MESSAGE, job_secret, sizeof(job_secret));
#elif defined(TRUST_AES_CMAC)
	port.mac = import(PSA_KEY_TYPE_AES, PSA_ALG_CMAC, PSA_KEY_USAGE_VERIFY_MESSAGE, job_secret,
			  sizeof(job_secret));
#elif defined(TRUST_SEALED)
	port.pair = import(PSA_KEY_TYPE_ECC_KEY_PAIR(job_family), PSA_ALG_ECDH,
			   PSA_KEY_USAGE_DERIVE, job_secret, sizeof(job_secret));
#endif
	tmd_psa_init(&crypto, &port);
}
#else
static void start(void)
{
}
#endif

#if defined(TRUST_SIZE)

/* What a firmware has in any case: it checks the models' digests. */
static struct tmd_sha256 sha;
static uint8_t digest[32];

void reset(void)
{
	tmd_sha256_init(&sha);
	tmd_sha256_update(&sha, digest, sizeof(digest));
	result = tmd_sha256_final(&sha, digest);
	start();
#if defined(TRUST_SEALED)
	result = crypto.agree(crypto.ctx, &job_key, digest, digest);
	result = crypto.aes128(crypto.ctx, digest, digest, digest);
#elif !defined(TRUST_NOTHING)
	result = crypto.verify(crypto.ctx, &job_key, digest, digest);
#endif
}

#else

/* ---- counting ---- */

static uint32_t semihosting(uint32_t operation, const void *argument)
{
	register uint32_t r0 __asm__("r0") = operation;
	register const void *r1 __asm__("r1") = argument;

	__asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
	return r0;
}

static void print(uint32_t value)
{
	char text[12];
	char *p = &text[11];

	*p = '\0';
	*--p = ' ';
	do {
		*--p = (char)('0' + value % 10u);
		value /= 10u;
	} while (value != 0u);
	(void)semihosting(0x04, p); /* SYS_WRITE0 */
}

static void say(const char *name, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	(void)semihosting(0x04, name);
	(void)semihosting(0x04, " ");
	print(a);
	print(b);
	print(c);
	print(d);
	(void)semihosting(0x04, "\n");
}

static void begin(void)
{
	SYST_CVR = 0; /* whatever is written */
}

/* Since then; SysTick comes by 0 again after more instructions than anything here takes. */
static uint32_t ticks(void)
{
	return SYST_MAX - SYST_CVR;
}

/* All of the stack below what is in use. */
static void __attribute__((noinline)) paint(void)
{
	volatile uint32_t *p = &stack_limit;
	volatile uint32_t here;

	while (p < &here - 16) {
		*p++ = PAINT;
	}
}

static uint32_t __attribute__((noinline)) painted_over(void)
{
	const volatile uint32_t *p = &stack_limit;
	volatile uint32_t here = 0;

	while (*p == PAINT) {
		p++;
	}
	(void)here;
	return (uint32_t)((const volatile char *)&here - (const volatile char *)p);
}

/* Name, ticks, stack, most of the heap, and what came of it. */
static void measure(const char *name, int (*call)(void))
{
	uint32_t passed;
	uint32_t stack;
	int status;

#if defined(TRUST_PSA)
	held_most = held;
#endif
	paint();
	begin();
	status = call();
	passed = ticks();
	stack = painted_over();
#if defined(TRUST_PSA)
	say(name, passed, stack, held_most, (uint32_t)-status);
#else
	say(name, passed, stack, 0, (uint32_t)-status);
#endif
}

/* ---- what is measured ---- */

#if defined(TRUST_SEALED)

static uint8_t shared[32];

static int agree(void)
{
	return crypto.agree(crypto.ctx, &job_key, job_peer, shared);
}

static int one_block(void)
{
	return crypto.aes128(crypto.ctx, job_peer, job_peer, shared);
}

/* The agreement's result as it is known already: what is left is HKDF. No two agreements take the same. */
static int agreed(void *ctx, const struct tmd_key *key, const uint8_t *peer, uint8_t out[32])
{
	(void)ctx;
	(void)key;
	(void)peer;
	memcpy(out, shared, sizeof(shared));
	return TMD_OK;
}

static struct tmd_sealed sealed;
static uint8_t opened[sizeof(job_head)];
static uint32_t opened_n;

static int open_sealed(const struct tmd_crypto *by, const uint8_t *data, size_t bytes)
{
	int err = tmd_sealed_is_plain(&sealed, &job_contract, data[0]) ? TMD_ERR_FORMAT : TMD_OK;

	opened_n = 0;
	while (err == TMD_OK && bytes > 0u) {
		const uint8_t *plain;
		size_t n;

		err = tmd_sealed_open(&sealed, &job_contract, by, &data, &bytes, &plain, &n);
		if (n > sizeof(opened) - opened_n) {
			err = TMD_ERR_TRAILING;
		} else if (n > 0u) {
			memcpy(&opened[opened_n], plain, n);
			opened_n += (uint32_t)n;
		}
	}
	return err;
}

static int open_head(void)
{
	memset(&sealed, 0, sizeof(sealed));
	return open_sealed(&crypto, job_sealed, JOB_SEALED_HEAD);
}

static int derive(void)
{
	struct tmd_crypto by = crypto;

	by.agree = agreed;
	memset(&sealed, 0, sizeof(sealed));
	return open_sealed(&by, job_sealed, JOB_SEALED_HEAD);
}

static int open_rest(void)
{
	return open_sealed(&crypto, &job_sealed[JOB_SEALED_HEAD],
			   JOB_SEALED_BYTES - JOB_SEALED_HEAD);
}

static int check_opened(void)
{
	return opened_n == sizeof(opened) && memcmp(opened, job_head, sizeof(opened)) == 0
		       ? TMD_OK
		       : TMD_ERR_BODY;
}

static void measure_all(void)
{
	measure("agree", agree);
	measure("block", one_block);
	(void)agree(); /* what `block` has overwritten */
	measure("derive", derive);
	measure("envelope", open_head);
	measure("rest", open_rest);
	measure("opened", check_opened);
}

#elif !defined(TRUST_NOTHING)

static struct tmd_patch patch;

static int verify(void)
{
	return crypto.verify(crypto.ctx, &job_key, job_digest, job_signature);
}

static int wrong(void)
{
	uint8_t other[32];

	memcpy(other, job_digest, sizeof(other));
	other[0] ^= 1u;
	return crypto.verify(crypto.ctx, &job_key, other, job_signature);
}

static int head(void)
{
	size_t used = 0;
	int err;

	tmd_patch_init(&patch);
	err = tmd_patch_head(&patch, &job_contract, job_head, sizeof(job_head), &used);
	if (err == TMD_OK && !tmd_patch_head_complete(&patch)) {
		err = TMD_ERR_TRUNCATED;
	}
	return err == TMD_OK ? tmd_patch_verify(&patch, &job_contract, &crypto) : err;
}

static int plain_head(void)
{
	static const struct tmd_contract any = {.formats = 4, .decoder = TMD_DECODER,
						.meta_kept = TMD_META_KEPT};
	size_t used = 0;
	int err;

	tmd_patch_init(&patch);
	err = tmd_patch_head(&patch, &any, job_plain_head, sizeof(job_plain_head), &used);
	return err == TMD_OK && !tmd_patch_head_complete(&patch) ? TMD_ERR_TRUNCATED : err;
}

/* ---- comparing MACs ---- */

#if defined(TRUST_HMAC) || defined(TRUST_HMAC_PSA) || defined(TRUST_AES_CMAC)

/* The n-th tag: the right one, one bit of it changed, or noise. True if it is the right one. */
static bool tag_of(uint32_t n, uint8_t tag[JOB_SIGNATURE_BYTES])
{
	static uint32_t state = 1;
	const uint32_t bits = 8u * JOB_SIGNATURE_BYTES;

	memcpy(tag, job_signature, JOB_SIGNATURE_BYTES);
	if (n > 0u && n <= bits) {
		tag[(n - 1u) / 8u] ^= (uint8_t)(1u << (n - 1u) % 8u);
	} else if (n > bits) {
		for (uint32_t i = 0; i < JOB_SIGNATURE_BYTES; i++) {
			state = state * 1664525u + 1013904223u;
			tag[i] = (uint8_t)(state >> 24);
		}
	}
	return n == 0u;
}

static uint32_t compare_core(const uint8_t *tag)
{
	uint32_t same = 0;

	begin();
	for (uint32_t i = 0; i < COMPARES; i++) {
		same += tmd_is_equal(tag, job_signature, JOB_SIGNATURE_BYTES);
	}
	result = (int)same;
	return ticks();
}

static uint32_t verify_tag(const uint8_t *tag)
{
	begin();
	for (uint32_t i = 0; i < CALLS; i++) {
		result = crypto.verify(crypto.ctx, &job_key, job_digest, tag);
	}
	return ticks();
}

#if defined(TRUST_PSA)
#include <mbedtls/constant_time.h>

static uint32_t compare_library(const uint8_t *tag)
{
	uint32_t same = 0;

	begin();
	for (uint32_t i = 0; i < COMPARES; i++) {
		same += mbedtls_ct_memcmp(tag, job_signature, JOB_SIGNATURE_BYTES) == 0;
	}
	result = (int)same;
	return ticks();
}
#endif

/* What would stop early, to see that the count tells. */
static uint32_t compare_early(const uint8_t *tag)
{
	uint32_t same = 0;

	begin();
	for (uint32_t i = 0; i < COMPARES; i++) {
		uint32_t at = 0;

		while (at < JOB_SIGNATURE_BYTES &&
		       *(const volatile uint8_t *)&tag[at] == job_signature[at]) {
			at++;
		}
		same += at == JOB_SIGNATURE_BYTES;
	}
	result = (int)same;
	return ticks();
}

/* Name, ticks for the right tag, fewest and most for wrong ones, how many those were. */
static void compare(const char *name, uint32_t (*call)(const uint8_t *tag))
{
	uint8_t tag[JOB_SIGNATURE_BYTES];
	uint32_t right = 0, fewest = UINT32_MAX, most = 0;

	for (uint32_t n = 0; n <= TAGS; n++) {
		const bool is_right = tag_of(n, tag);
		const uint32_t passed = call(tag);

		if (is_right) {
			right = passed;
		} else {
			fewest = passed < fewest ? passed : fewest;
			most = passed > most ? passed : most;
		}
	}
	say(name, right, fewest, most, TAGS);
}

static void compare_all(void)
{
	compare("compare_core", compare_core);
	compare("compare_early", compare_early);
#if defined(TRUST_PSA)
	compare("compare_library", compare_library);
#endif
	compare("compare_verify", verify_tag);
}
#else
static void compare_all(void)
{
}
#endif

static void measure_all(void)
{
	measure("verify", verify);
	measure("wrong", wrong);
	measure("head", head);
	measure("plain_head", plain_head);
	compare_all();
}
#else
static void measure_all(void)
{
}
#endif

void reset(void)
{
	memcpy(&data_start, &data_from, (size_t)((char *)&data_end - (char *)&data_start));
	memset(&bss_start, 0, (size_t)((char *)&bss_end - (char *)&bss_start));
	SYST_RVR = SYST_MAX;
	SYST_CVR = 0;
	SYST_CSR = 5; /* on, by the processor's clock */
	start();
#if defined(TRUST_PSA)
	say("start", 0, 0, held, 0);
#endif
	measure_all();
	(void)semihosting(0x18, (const void *)0x20026u); /* SYS_EXIT, the application has ended */
	fault();
}
#endif

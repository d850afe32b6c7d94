/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The smallest firmware that uses one part of the API, for weighing what that part costs. It is
 * linked and never run. The build defines BENCH_DECODER, or BENCH_STREAMED and, beyond it,
 * BENCH_STAGED, BENCH_STAGING, BENCH_TRIAL, BENCH_OTHERS and BENCH_TEXTS. What a real firmware has
 * anyway (flash driver, transport, contract, inference) stands here as a pointer that the compiler
 * knows nothing of.
 */
#include <tinymldelta/tinymldelta.h>

void firmware(void);

static const void *volatile input;
static volatile uint32_t number;
static volatile int result;
static const void *volatile answer;

#ifdef BENCH_DECODER
static struct tmd_patch patch;
static struct tmd_fingerprint print;
static uint8_t sha256[32];

static void use_decoder(void)
{
	const struct tmd_contract *contract = input;
	const struct tmd_patch_io *io = input;
	size_t used;

	tmd_patch_init(&patch);
	result = tmd_patch_head(&patch, contract, input, number, &used);
	result = tmd_patch_head_complete(&patch);
	result = tmd_guard_check(contract, (uint16_t)number, &patch.info);
	result = tmd_patch_body(&patch, io, input, number);
	result = tmd_patch_end(&patch, io);

	tmd_fingerprint_init(&print, patch.info.digest_kind);
	tmd_fingerprint_update(&print, input, number);
	result = tmd_fingerprint_matches(&print, patch.info.target_digest,
					 patch.info.target_digest_bytes, sha256);
}
#endif

#ifdef BENCH_STREAMED
static struct tmd_store store;
static struct tmd_update update;
static struct tmd_model model;
static uint8_t piece[16];

static void use_store(void)
{
	result = tmd_store_mount(&store, input);
	result = tmd_update_begin(&update, &store);
	result = tmd_update_write(&update, input, number);
	result = tmd_update_finish(&update);
	tmd_update_abort(&update);
	result = tmd_store_open(&store, &model);
	answer = model.at;
	result = tmd_model_read(&store, &model, number, piece, number);
	tmd_store_close(&store, &model);
}
#endif

#ifdef BENCH_STAGED
static void use_staged(void)
{
	result = tmd_update_check(&update, &store, input);
	result = tmd_update_staged(&update, &store, input);
}
#endif

#ifdef BENCH_STAGING
static struct tmd_staging staging;

static void use_staging(void)
{
	result = tmd_staging_resume(&staging, &store, &update);
	result = tmd_staging_begin(&staging, &store, number, number);
	result = tmd_staging_write(&staging, input, number);
	result = tmd_staging_apply(&staging, &update);
}
#endif

#ifdef BENCH_TRIAL
static void use_trial(void)
{
	result = tmd_store_confirm(&store);
	result = tmd_store_revert(&store);
}
#endif

#ifdef BENCH_OTHERS
static struct tmd_store_info info;

static void use_others(void)
{
	tmd_store_get_info(&store, &info);
	result = tmd_store_changed(&store, &model);
	result = tmd_store_forget(&store);
	result = tmd_store_read(&store, number, piece, number);
	result = tmd_store_metadata(&store, (uint8_t)number, piece, number);
}
#endif

#ifdef BENCH_TEXTS
static void use_texts(void)
{
	answer = tmd_status_name(result);
	answer = tmd_status_text(result);
	answer = tmd_rule_name(result);
}
#endif

void firmware(void)
{
#ifdef BENCH_DECODER
	use_decoder();
#endif
#ifdef BENCH_STREAMED
	use_store();
#endif
#ifdef BENCH_STAGED
	use_staged();
#endif
#ifdef BENCH_STAGING
	use_staging();
#endif
#ifdef BENCH_TRIAL
	use_trial();
#endif
#ifdef BENCH_OTHERS
	use_others();
#endif
#ifdef BENCH_TEXTS
	use_texts();
#endif
}

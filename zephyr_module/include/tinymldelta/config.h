/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Options of the core, with their defaults. A platform overrides them on the compiler's command
 * line or, for all at once, with -DTMD_CONFIG_FILE='"file.h"'.
 */
#ifndef TINYMLDELTA_CONFIG_H
#define TINYMLDELTA_CONFIG_H

#include "wire.h"

#ifdef TMD_CONFIG_FILE
#include TMD_CONFIG_FILE
#endif

/*
 * Bytes of model that are gathered before they are programmed: a multiple of the flash's write
 * unit, 128 or more (a record has to fit), at most 256. Smaller saves RAM, larger saves calls. It
 * is also the length of a block of a staging region, and then a multiple of 64.
 */
#ifndef TMD_WRITE_BUFFER
#define TMD_WRITE_BUFFER 256
#endif

/*
 * Trials, 0 or 1: a new model is started a bounded number of times, and is gone unless the
 * application confirms it. tmd_store_config.trial_starts says how often.
 */
#ifndef TMD_TRIAL
#define TMD_TRIAL 1
#endif

/* Test vectors that come with a model, 0 or 1: run before its first use. Needs TMD_TRIAL. */
#ifndef TMD_SELF_TEST
#define TMD_SELF_TEST TMD_TRIAL
#endif

/*
 * Remembering in flash how far an update has come, 0 or 1: what was done before a power cut is not
 * done again, and a staged update leaves alone the erase units that hold their new content.
 */
#ifndef TMD_RESUME
#define TMD_RESUME 1
#endif

/* Keeping a patch in a region of flash until it is applied, 0 or 1. */
#ifndef TMD_STAGING
#define TMD_STAGING TMD_RESUME
#endif

/* Erase units of a slot that a staged update can leave alone; those beyond are always written. */
#define TMD_PAGES_MAX 224

/*
 * The decoder of format 2: TMD_DECODER_DEFAULT, TMD_DECODER_LEAN (patches are about a fifth larger,
 * it needs less than half of the memory), or TMD_DECODER_NONE (format 1 only). The contract says which
 * one a firmware has, and the generated header refuses to compile against another.
 */
#ifndef TMD_DECODER
#define TMD_DECODER TMD_DECODER_DEFAULT
#endif

/*
 * Whether a default decoder reads patches for a lean one too, 0 or 1. For the PC, which plays devices
 * of both kinds: it makes the decoder larger, and a default one gains nothing from a lean patch.
 */
#ifndef TMD_TAKES_LEAN
#define TMD_TAKES_LEAN 0
#endif

/*
 * Bytes of metadata that stay with a model: they stand in its slot behind it, and are judged again
 * whenever it is opened. 64 to 255, in RAM during an update. The contract says what a firmware has,
 * and the generated header refuses to compile against less.
 */
#ifndef TMD_META_KEPT
#define TMD_META_KEPT 192
#endif

/* Whether patches of format 1 are read, 0 or 1. */
#ifndef TMD_WITH_FORMAT_1
#define TMD_WITH_FORMAT_1 1
#endif

/*
 * Checking signatures, 0 or 1. A contract with keys then takes signed patches only. Needs a crypto port
 * (crypto.h) and format 2.
 */
#ifndef TMD_VERIFY
#define TMD_VERIFY 0
#endif

/* Decrypting patches as they come, 0 or 1. Needs TMD_VERIFY: encryption alone keeps nothing out. */
#ifndef TMD_DECRYPT
#define TMD_DECRYPT 0
#endif

/*
 * 0: SHA-256 is the core's own. Otherwise the platform defines the three functions of digest.h, with a
 * state of so many bytes.
 */
#ifndef TMD_SHA256_EXTERNAL
#define TMD_SHA256_EXTERNAL 0
#endif

/*
 * Buffers of a decoder. Input: a power of two that holds a step's (STEP_INPUT in core/body.c); the
 * others only save calls.
 */
#define TMD_F2_INPUT 128
#define TMD_F2_OUTPUT 16
#define TMD_F2_WINDOW 16

/* A function that is called from one place, and makes that place larger and slower if it is inlined. */
#if defined(__GNUC__) && !defined(TMD_CDEF)
#define TMD_NOINLINE __attribute__((noinline))
#else
#define TMD_NOINLINE
#endif

/* One that is small and called for every bit. Worth its place wherever it stands. */
#if defined(__GNUC__) && !defined(TMD_CDEF)
#define TMD_INLINE inline __attribute__((always_inline))
#else
#define TMD_INLINE inline
#endif

#if TMD_DECODER == TMD_DECODER_NONE && !TMD_WITH_FORMAT_1
#error "TMD_DECODER_NONE without TMD_WITH_FORMAT_1 leaves no format to take; choose one of them"
#endif
#if TMD_VERIFY && TMD_DECODER == TMD_DECODER_NONE
#error "TMD_VERIFY: patches of format 1 have no signature; choose a TMD_DECODER of format 2"
#endif
#if TMD_DECRYPT && !TMD_VERIFY
#error "TMD_DECRYPT: an encrypted patch is taken only if it is signed; set TMD_VERIFY"
#endif

/* A result that must not be dropped: every failure here means "do not trust what you have". */
#if defined(__GNUC__) && !defined(TMD_CDEF)
#define TMD_MUST_CHECK __attribute__((warn_unused_result))
#else
#define TMD_MUST_CHECK
#endif

#endif /* TINYMLDELTA_CONFIG_H */

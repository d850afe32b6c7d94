/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Turns ESP-IDF's Kconfig into the options of the core (TMD_CONFIG_FILE): nothing in core, store and smp
 * reads a Kconfig symbol. A bool that is off is not defined.
 */
#ifndef TMD_CONFIG_ESP_IDF_H
#define TMD_CONFIG_ESP_IDF_H

#include "sdkconfig.h"

#define TMD_WRITE_BUFFER CONFIG_TMD_WRITE_BUFFER
#define TMD_META_KEPT CONFIG_TMD_META_KEPT

#ifdef CONFIG_TMD_TRIAL
#define TMD_TRIAL 1
#else
#define TMD_TRIAL 0
#endif

#ifdef CONFIG_TMD_SELF_TEST
#define TMD_SELF_TEST 1
#else
#define TMD_SELF_TEST 0
#endif

#ifdef CONFIG_TMD_RESUME
#define TMD_RESUME 1
#else
#define TMD_RESUME 0
#endif

#ifdef CONFIG_TMD_STAGING
#define TMD_STAGING 1
#else
#define TMD_STAGING 0
#endif

#ifdef CONFIG_TMD_FORMAT_1
#define TMD_WITH_FORMAT_1 1
#else
#define TMD_WITH_FORMAT_1 0
#endif

#ifdef CONFIG_TMD_VERIFY
#define TMD_VERIFY 1
#else
#define TMD_VERIFY 0
#endif

#ifdef CONFIG_TMD_DECRYPT
#define TMD_DECRYPT 1
#else
#define TMD_DECRYPT 0
#endif

#if defined(CONFIG_TMD_DECODER_LEAN)
#define TMD_DECODER TMD_DECODER_LEAN
#elif defined(CONFIG_TMD_DECODER_NONE)
#define TMD_DECODER TMD_DECODER_NONE
#else
#define TMD_DECODER TMD_DECODER_DEFAULT
#endif

#endif /* TMD_CONFIG_ESP_IDF_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Stands in for Zephyr's header of this name, of which tmd_config.h needs one macro.
 */
#ifndef TMD_TESTS_MODULE_UTIL_MACRO_H
#define TMD_TESTS_MODULE_UTIL_MACRO_H

/* 1 if the option is defined as 1, else 0; in #if as well as in C. */
#define IS_ENABLED(option) EXPAND_OPTION(option)
#define EXPAND_OPTION(value) SECOND_OF(ONE_ARGUMENT_MORE_##value 1, 0, 0)
#define ONE_ARGUMENT_MORE_1 0,
#define SECOND_OF(...) SECOND_OF_THESE(__VA_ARGS__)
#define SECOND_OF_THESE(first, second, ...) second

#endif /* TMD_TESTS_MODULE_UTIL_MACRO_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Stands in for the port's header of this name, so that generated code compiles without Zephyr.
 */
#ifndef TMD_TESTS_MODULE_ZEPHYR_H
#define TMD_TESTS_MODULE_ZEPHYR_H

#include <stddef.h>
#include <stdint.h>

#include <tinymldelta/contract.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define TMD_PARTITION_ID(label) sizeof(#label)
#define TMD_ZEPHYR_PARTS 4

struct tmd_zephyr_partition {
	const void *mapped;
	uint32_t bytes;
	uint8_t id;
};

struct tmd_zephyr_model {
	const struct tmd_contract *contract;
	const struct tmd_zephyr_partition *partitions;
	const uint8_t *compiled_in;
	uint16_t index;
};

#define TMD_ZEPHYR_MODEL_DEFINE(name_, contract_, index_, partitions_, compiled_in_)               \
	struct tmd_zephyr_model name_ = {                                                          \
		.contract = &(contract_),                                                          \
		.partitions = (partitions_),                                                       \
		.compiled_in = (compiled_in_),                                                     \
		.index = (index_),                                                                 \
	}

struct tmd_zephyr_model *tmd_zephyr_model_at(size_t n);

#endif /* TMD_TESTS_MODULE_ZEPHYR_H */

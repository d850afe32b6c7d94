/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Constants and tables of format 2's context models. Rendered from codegen/wire.yaml by `./run wire`;
 * do not edit.
 */
#ifndef TMD_CORE_TABLES_H
#define TMD_CORE_TABLES_H

#include <stdint.h>

#include <tinymldelta/patch.h>

#define F2_DECISIONS 5u /* kinds of decision on an 8-bit residual */
#define F2_SCALES 10u /* buckets of its expected size */
#define F2_PARTS 6u /* parts of the way from one whole number to the next */
#define F2_LEVELS 6u /* buckets of the averages near and far */
#define F2_UNARY_MAX 20u /* where one-by-one ends and a number begins */
#define F2_HALVE_FROM 4u /* expected sizes from here on are halved */
#define F2_MIXER_RATE 6 /* how fast the mixer learns */
#define F2_WEIGHT_START 20000 /* weight of each opinion at first, in 1/65536 */
#define F2_WEIGHT_MAX 262143 /* largest weight, either sign */
#define F2_LEVEL_START 90 /* expected residual at first, in 1/256 */
#define F2_COLUMN_ZERO 4096 /* what stands for 0 in a column's level of words */
#define F2_SCALE_LEVEL_START 288 /* expected class of a scale at first, in 1/16 */
#define F2_TENSOR_LEVEL_START 208 /* expected class of another word at first, in 1/16 */
#define F2_GAIN_BITS 8u /* a gain of 1 is 2 to this, in 1/65536 */
#define F2_LEVEL_MIN 5u /* smallest level of a tensor that is divided by, in 1/256 */
#define F2_SIZE_MAX 20000u /* largest expected size, in 1/256 */
#define F2_GAP_MAX 4096u /* gaps between scales up to here are expected again */
#define F2_NUMBER_BITS 9u /* contexts for the length of a number, beside one for its second bit */

/* Numbers: each has 10 contexts in the plan. */
enum {
	F2_NUMBER_COPY,
	F2_NUMBER_COPY_1,
	F2_NUMBER_COPY_2,
	F2_NUMBER_EDIT,
	F2_NUMBER_INSERT,
	F2_NUMBER_REPEAT,
	F2_NUMBER_SEEK,
	F2_NUMBER_COUNT,
	F2_NUMBER_D,
	F2_NUMBER_D_1,
	F2_NUMBER_D_2,
	F2_NUMBER_AT,
	F2_NUMBER_AT_1,
	F2_NUMBER_AT_2,
	F2_NUMBER_WORDS,
	F2_NUMBER_GAIN,
	F2_NUMBER_ESCAPE,
};

/* The contexts of the plan, by what they decide. */
enum {
	F2_PLAN_NUMBER = 0,
	F2_PLAN_OP = 170,
	F2_PLAN_TYPE = 234,
	F2_PLAN_MODE = 242,
	F2_PLAN_SLOT = 250,
	F2_PLAN_PARTS = 258,
	F2_PLAN_ODD = 266,
	F2_PLAN_HIGH = 278,
	F2_PLAN_BY_CHANNEL = 279,
	F2_PLAN_RENEWED = 280,
	F2_PLAN_D = 281,
	F2_PLAN_E = 287,
	F2_PLAN_COUNT = 289,
	F2_PLAN_WORDS = 290,
	F2_PLAN_TREND = 291,
};

static const uint8_t f2_element_bytes[8] = {
	1, 1, 2, 4, 8, 4, 2, 4,
};

static const uint16_t f2_scales[9] = {
	8, 20, 41, 69, 102, 154, 256, 461, 819,
};

static const uint16_t f2_rates[16] = {
	40960, 25206, 18204, 14247, 11703, 9930, 8623, 7282, 5958, 5041, 4369, 3641, 3121, 2731,
	2341, 2048,
};

static const uint8_t f2_start_counts[8] = {
	0, 1, 2, 3, 4, 5, 7, 8,
};

static const uint8_t f2_plan_start[311] = {
	78, 223, 233, 218, 218, 242, 241, 233, 204, 207, 34, 80, 248, 129, 249, 248, 248, 208,
	119, 41, 103, 117, 155, 101, 175, 154, 204, 180, 153, 156, 39, 61, 118, 76, 47, 167, 44,
	9, 120, 120, 81, 211, 177, 58, 116, 128, 80, 95, 120, 151, 11, 248, 248, 33, 111, 0, 128,
	128, 128, 128, 127, 248, 251, 247, 196, 238, 227, 223, 229, 167, 79, 218, 207, 248, 151,
	103, 96, 16, 82, 120, 80, 144, 184, 251, 215, 64, 160, 58, 100, 123, 148, 151, 108, 249,
	152, 248, 0, 120, 128, 128, 32, 239, 248, 248, 88, 104, 224, 80, 104, 63, 127, 244, 252,
	255, 247, 241, 223, 239, 239, 175, 192, 195, 242, 245, 183, 252, 40, 192, 210, 183, 71,
	236, 248, 242, 248, 255, 248, 244, 228, 143, 9, 248, 248, 248, 238, 233, 232, 24, 128,
	122, 111, 105, 248, 247, 160, 136, 145, 83, 23, 0, 111, 239, 207, 197, 107, 95, 75, 0,
	128, 128, 128, 131, 15, 66, 72, 67, 216, 199, 128, 39, 7, 0, 0, 39, 0, 128, 128, 124, 18,
	0, 35, 248, 0, 128, 128, 25, 64, 0, 144, 17, 0, 128, 128, 1, 0, 48, 5, 128, 248, 248,
	128, 51, 0, 252, 0, 73, 0, 0, 128, 10, 0, 208, 8, 8, 0, 0, 128, 2, 0, 176, 0, 1, 120, 0,
	128, 80, 218, 0, 0, 248, 248, 0, 128, 0, 48, 128, 128, 24, 208, 112, 128, 1, 3, 0, 15,
	111, 9, 128, 128, 0, 248, 192, 248, 200, 136, 248, 128, 17, 11, 155, 128, 0, 0, 128, 128,
	210, 65, 229, 0, 18, 189, 94, 32, 127, 3, 0, 97, 4, 0, 193, 7, 50, 100, 103, 111, 95,
	119, 110, 127, 143, 151, 127, 151, 170, 191, 207, 73, 103, 127, 143, 191,
};

static const uint8_t f2_top_start[16] = {
	120, 87, 151, 111, 120, 135, 130, 135, 120, 103, 111, 111, 120, 95, 95, 151,
};

#if TMD_F2_FULL
static const uint16_t f2_levels[5] = {
	25, 80, 200, 500, 2000,
};

static const int16_t f2_stretch[64] = {
	4, 12, 20, 28, 36, 44, 52, 60, 68, 77, 85, 93, 101, 110, 118, 127, 135, 144, 152, 161,
	170, 179, 188, 197, 207, 216, 226, 235, 245, 255, 265, 276, 287, 298, 309, 320, 332, 344,
	356, 369, 382, 396, 410, 424, 439, 455, 472, 489, 507, 527, 547, 569, 593, 618, 646, 677,
	711, 750, 794, 848, 914, 1002, 1135, 1419,
};

static const uint16_t f2_squash[33] = {
	1, 2, 4, 6, 10, 17, 27, 45, 74, 120, 194, 311, 488, 747, 1102, 1546, 2048, 2550, 2994,
	3349, 3608, 3785, 3902, 3976, 4022, 4051, 4069, 4079, 4086, 4090, 4092, 4094, 4095,
};
#endif

#endif /* TMD_CORE_TABLES_H */

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
#define F2_WEIGHT_START 24000 /* weight of each opinion at first, in 1/65536 */
#define F2_WEIGHT_MAX 262143 /* largest weight, either sign */
#define F2_LEVEL_START 90 /* expected residual at first, in 1/256 */
#define F2_COLUMN_ZERO 4096 /* what stands for 0 in a column's level of words */
#define F2_SCALE_LEVEL_START 288 /* expected class of a scale at first, in 1/16 */
#define F2_TENSOR_LEVEL_START 128 /* expected class of another word at first, in 1/16 */
#define F2_NUMBER_BITS 9u /* contexts for the length of a number, beside one for its second bit */

/* Numbers: each has 10 contexts in the plan. */
enum {
	F2_NUMBER_COPY,
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
	F2_NUMBER_FACTOR,
	F2_NUMBER_SCALE,
	F2_NUMBER_ESCAPE,
};

/* The contexts of the plan, by what they decide. */
enum {
	F2_PLAN_NUMBER = 0,
	F2_PLAN_OP = 150,
	F2_PLAN_TYPE = 214,
	F2_PLAN_SCALED = 222,
	F2_PLAN_SLOT = 223,
	F2_PLAN_KIND = 239,
	F2_PLAN_ODD = 243,
	F2_PLAN_HIGH = 247,
	F2_PLAN_BY_CHANNEL = 248,
	F2_PLAN_SHRUNK = 249,
	F2_PLAN_FACTOR = 250,
	F2_PLAN_STAYS = 251,
	F2_PLAN_D = 252,
	F2_PLAN_E = 258,
	F2_PLAN_COUNT = 261,
	F2_PLAN_SCALE = 264,
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

static const uint8_t f2_plan_start[267] = {
	52, 210, 201, 91, 185, 204, 171, 178, 131, 132, 46, 98, 117, 108, 101, 135, 90, 55, 128,
	128, 99, 221, 170, 139, 155, 154, 179, 231, 178, 158, 93, 248, 248, 79, 122, 66, 88, 231,
	185, 95, 119, 248, 247, 247, 215, 223, 223, 207, 206, 143, 49, 224, 250, 248, 223, 184,
	176, 112, 47, 8, 105, 248, 169, 255, 191, 161, 169, 97, 103, 95, 145, 151, 105, 248, 65,
	224, 8, 128, 128, 128, 33, 231, 255, 255, 239, 184, 200, 96, 71, 95, 103, 248, 248, 248,
	248, 248, 248, 252, 241, 199, 123, 248, 248, 248, 248, 248, 248, 251, 231, 167, 79, 248,
	248, 217, 248, 248, 238, 209, 233, 175, 79, 248, 248, 248, 248, 248, 248, 248, 248, 199,
	159, 248, 248, 248, 248, 248, 248, 239, 200, 146, 95, 191, 175, 127, 79, 103, 79, 0, 128,
	128, 128, 169, 23, 15, 225, 23, 192, 0, 128, 12, 7, 0, 0, 47, 0, 128, 128, 45, 73, 0, 47,
	248, 0, 128, 128, 15, 219, 8, 63, 55, 8, 128, 128, 13, 0, 0, 7, 128, 248, 128, 128, 29,
	9, 232, 16, 18, 8, 0, 128, 167, 9, 250, 32, 8, 128, 0, 128, 128, 128, 128, 128, 128, 128,
	128, 128, 97, 135, 184, 0, 248, 224, 224, 33, 128, 8, 17, 88, 95, 79, 128, 128, 25, 0,
	55, 152, 128, 128, 128, 128, 128, 8, 95, 0, 128, 72, 17, 177, 128, 81, 25, 56, 32, 126,
	129, 135, 24, 9, 72, 6, 4, 2, 123, 32, 72, 128, 24, 0,
};

static const uint8_t f2_top_start[16] = {
	128, 127, 127, 135, 128, 127, 135, 135, 128, 103, 119, 119, 128, 87, 103, 119,
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

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ARENA_OPERATORS_H_
#define ARENA_OPERATORS_H_

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

/* TFLM of 2026 has fewer than 130 operators; the others are for AddMoreOperators(). */
using Resolver = tflite::MicroMutableOpResolver<192>;

/* Registers all operators that TFLM has, then those of AddMoreOperators(). */
TfLiteStatus AddOperators(Resolver &resolver);

/* Does nothing unless a file of ARENA_SOURCES defines it: registers operators of your own. */
TfLiteStatus AddMoreOperators(Resolver &resolver);

#endif /* ARENA_OPERATORS_H_ */

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "operators.h"

__attribute__((weak)) TfLiteStatus AddMoreOperators(Resolver &)
{
	return kTfLiteOk;
}

TfLiteStatus AddOperators(Resolver &resolver)
{
#define OPERATOR(method)                                                                           \
	if (resolver.method() != kTfLiteOk) {                                                      \
		return kTfLiteError;                                                               \
	}
#include "operators.inc" /* made by CMakeLists.txt */
#undef OPERATOR
	return AddMoreOperators(resolver);
}

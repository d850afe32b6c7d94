/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "inference.h"

#include <new>

#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

/* Up to 2021 an interpreter was given an error reporter (Zephyr 3.5 and before). */
#if __has_include("tensorflow/lite/micro/micro_error_reporter.h")
#include "tensorflow/lite/micro/micro_error_reporter.h"
#define THERMO_ERROR_REPORTER
#endif

#include "tmd_contract.h"
#include "tmd_op_resolver.h"

namespace {

alignas(16) uint8_t arena[TMD_ARENA_THERMO_BYTES];

/* An interpreter cannot be given another model: each is made anew in the same place. */
alignas(tflite::MicroInterpreter) uint8_t place[sizeof(tflite::MicroInterpreter)];
tflite::MicroInterpreter *interpreter;

const tmd::OpResolver *Resolver()
{
	static tmd::OpResolver resolver;
	static const bool registered = tmd::RegisterOperators(resolver) == kTfLiteOk;

	return registered ? &resolver : nullptr;
}

tflite::MicroInterpreter *Construct(const tflite::Model *model, const tmd::OpResolver &resolver)
{
#ifdef THERMO_ERROR_REPORTER
	static tflite::MicroErrorReporter reporter;

	return new (place)
		tflite::MicroInterpreter(model, resolver, arena, sizeof(arena), &reporter);
#else
	return new (place) tflite::MicroInterpreter(model, resolver, arena, sizeof(arena));
#endif
}

void Destroy()
{
	if (interpreter != nullptr) {
		interpreter->~MicroInterpreter();
		interpreter = nullptr;
	}
}

inference_tensor AsTensor(TfLiteTensor *tensor)
{
	return {tensor->data.int8,
		tensor->bytes,
		{tensor->params.scale, tensor->params.zero_point}};
}

} // namespace

bool inference_set_up(const void *model)
{
	const tmd::OpResolver *resolver = Resolver();

	Destroy();
	if (resolver == nullptr) {
		return false;
	}
	interpreter = Construct(tflite::GetModel(model), *resolver);
	if (interpreter->AllocateTensors() != kTfLiteOk) {
		Destroy();
		return false;
	}
	return true;
}

inference_tensor inference_input()
{
	return AsTensor(interpreter->input(0));
}

inference_tensor inference_output()
{
	return AsTensor(interpreter->output(0));
}

bool inference_invoke()
{
	return interpreter->Invoke() == kTfLiteOk;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One trial: is this arena enough for this model? Which model, and how large an arena, stands in
 * memory before the firmware starts. The answer is QEMU's exit code, and a line for people.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <zephyr/devicetree.h>
#include <zephyr/sys/crc.h>
#include <zephyr/sys/printk.h>

#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

/* Up to 2021 an interpreter was given an error reporter (Zephyr 3.5 and before). */
#if __has_include("tensorflow/lite/micro/micro_error_reporter.h")
#include "tensorflow/lite/micro/micro_error_reporter.h"
#define ARENA_ERROR_REPORTER
#else
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#endif

#include "leave.h"
#include "operators.h"

namespace {

#define TRIAL_NODE DT_NODELABEL(trial)

constexpr size_t kAlignment = 16;
constexpr size_t kGuardBytes = 64;
constexpr uint8_t kRubbish = 0xa5; /* in the arena, and in the guards on both sides of it */

/* As measuring.py writes it. The model follows at once; guard, arena and guard follow the model. */
struct alignas(kAlignment) Trial {
	static constexpr uint32_t kMagic = 0x616e7261;
	static constexpr uint32_t kInvoke = 1; /* flag: run the model too, not only AllocateTensors() */

	uint32_t magic;
	uint32_t model_bytes;
	uint32_t arena_bytes;
	uint32_t flags;
};

const Trial *const trial = reinterpret_cast<const Trial *>(DT_REG_ADDR(TRIAL_NODE));
const void *const model_data = trial + 1;

uint8_t *ArenaStart()
{
	const uintptr_t end = reinterpret_cast<uintptr_t>(model_data) + trial->model_bytes;

	return reinterpret_cast<uint8_t *>((end + kAlignment - 1) / kAlignment * kAlignment +
					   kGuardBytes);
}

bool IsTrial()
{
	const uint64_t needed = static_cast<uint64_t>(trial->model_bytes) + trial->arena_bytes +
				sizeof(Trial) + kAlignment + 2 * kGuardBytes;

	return trial->magic == Trial::kMagic && needed <= DT_REG_SIZE(TRIAL_NODE);
}

bool IsRubbish(const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; ++i) {
		if (bytes[i] != kRubbish) {
			return false;
		}
	}
	return true;
}

#ifndef ARENA_ERROR_REPORTER
/*
 * The table of resource variables is in memory of its own, as applications have it; the variables
 * themselves are in the interpreter's arena. A model without any is given no table.
 */
tflite::MicroResourceVariables *ResourceVariables(const tflite::Model *model)
{
	alignas(kAlignment) static uint8_t memory[4096];
	int count = 0;

	for (const tflite::SubGraph *graph : *model->subgraphs()) {
		if (graph->operators() == nullptr) {
			continue;
		}
		for (const tflite::Operator *op : *graph->operators()) {
			const auto *code = model->operator_codes()->Get(op->opcode_index());

			count += code->builtin_code() == tflite::BuiltinOperator_VAR_HANDLE;
		}
	}
	if (count == 0) {
		return nullptr;
	}
	return tflite::MicroResourceVariables::Create(
		tflite::MicroAllocator::Create(memory, sizeof(memory)), count);
}
#endif

/* The same in every trial. Whole numbers are indices or sizes more often than not: zero is safe. */
void Fill(TfLiteTensor *tensor)
{
	switch (tensor->type) {
	case kTfLiteFloat32:
		for (size_t i = 0; i < tensor->bytes / sizeof(float); ++i) {
			tensor->data.f[i] = static_cast<float>(i % 17) / 8 - 1;
		}
		break;
	case kTfLiteInt8:
	case kTfLiteUInt8:
	case kTfLiteInt16:
		for (size_t i = 0; i < tensor->bytes; ++i) {
			tensor->data.uint8[i] = static_cast<uint8_t>(37 * i + 11);
		}
		break;
	default:
		memset(tensor->data.raw, 0, tensor->bytes);
	}
}

uint32_t Run(tflite::MicroInterpreter &interpreter)
{
	uint32_t crc = 0;

	for (size_t i = 0; i < interpreter.inputs_size(); ++i) {
		TfLiteTensor *tensor = interpreter.input(i);

		if (tensor == nullptr) {
			leave(OUTCOME_INVOCATION_FAILED);
		}
		Fill(tensor);
	}
	if (interpreter.Invoke() != kTfLiteOk) {
		leave(OUTCOME_INVOCATION_FAILED);
	}
	for (size_t i = 0; i < interpreter.outputs_size(); ++i) {
		const TfLiteTensor *tensor = interpreter.output(i);

		if (tensor == nullptr) {
			leave(OUTCOME_INVOCATION_FAILED);
		}
		crc = crc32_ieee_update(crc, tensor->data.uint8, tensor->bytes);
	}
	return crc;
}

} // namespace

int main()
{
	static Resolver resolver;

	if (!IsTrial()) {
		leave(OUTCOME_NO_TRIAL);
	}
	if (AddOperators(resolver) != kTfLiteOk) {
		leave(OUTCOME_NO_OPERATORS);
	}
	const tflite::Model *model = tflite::GetModel(model_data);

	if (model->version() != TFLITE_SCHEMA_VERSION) {
		leave(OUTCOME_NO_MODEL);
	}
	uint8_t *const arena = ArenaStart();
	const size_t arena_bytes = trial->arena_bytes;

	memset(arena - kGuardBytes, kRubbish, arena_bytes + 2 * kGuardBytes);
#ifdef ARENA_ERROR_REPORTER
	tflite::MicroErrorReporter reporter;
	tflite::MicroInterpreter interpreter(model, resolver, arena, arena_bytes, &reporter);
#else
	tflite::MicroInterpreter interpreter(model, resolver, arena, arena_bytes,
					     ResourceVariables(model));
#endif

	if (interpreter.AllocateTensors() != kTfLiteOk) {
		leave(OUTCOME_ALLOCATION_FAILED);
	}
	const uint32_t crc = (trial->flags & Trial::kInvoke) != 0 ? Run(interpreter) : 0;

	if (!IsRubbish(arena - kGuardBytes, kGuardBytes) ||
	    !IsRubbish(arena + arena_bytes, kGuardBytes)) {
		leave(OUTCOME_OVERRUN);
	}
	printk("arena: used %u, outputs %08x\n",
	       static_cast<unsigned int>(interpreter.arena_used_bytes()),
	       static_cast<unsigned int>(crc));
	leave(OUTCOME_DONE);
}

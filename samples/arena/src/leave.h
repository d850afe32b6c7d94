/*
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ARENA_LEAVE_H_
#define ARENA_LEAVE_H_

#ifdef __cplusplus
extern "C" {
#endif

/* How a trial ended: QEMU's exit code, known to tinymldelta's measuring.py. */
enum outcome {
	OUTCOME_DONE = 0,
	OUTCOME_ALLOCATION_FAILED = 20, /* AllocateTensors() refused */
	OUTCOME_INVOCATION_FAILED = 21, /* a tensor is missing, or Invoke() refused */
	OUTCOME_OVERRUN = 22,           /* bytes beside the arena were written */
	OUTCOME_FAULT = 23,             /* a fault of the processor, an assertion, abort() */
	OUTCOME_NO_TRIAL = 30,          /* what the loader put into memory is no trial */
	OUTCOME_NO_OPERATORS = 31,      /* the operators could not be registered */
	OUTCOME_NO_MODEL = 32,          /* another schema version than TFLM's */
};

/* Ends the emulator. */
void leave(enum outcome outcome) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif

#endif /* ARENA_LEAVE_H_ */

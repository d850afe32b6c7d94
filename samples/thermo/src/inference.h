/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A model in TensorFlow Lite Micro; the only C++ of the sample. One thread at a time.
 */
#ifndef THERMO_INFERENCE_H
#define THERMO_INFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "window.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An int8 tensor of the model that was set up. */
struct inference_tensor {
	int8_t *data;
	size_t bytes;
	struct quantisation quantisation;
};

/*
 * A new interpreter for the model at `model`, which has to stay where it is. The one before is gone
 * in any case. False: TensorFlow Lite Micro does not run it; its log says why.
 */
bool inference_set_up(const void *model);
struct inference_tensor inference_input(void);
struct inference_tensor inference_output(void);
bool inference_invoke(void);

#ifdef __cplusplus
}
#endif

#endif /* THERMO_INFERENCE_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "autoencoder.h"

#include <string.h>

#include <zephyr/sys/printk.h>
#include <zephyr/sys/util.h>

#include <tinymldelta/zephyr.h>

#include "inference.h"
#include "tmd_models.h"

static struct tmd_model model = {.slot = TMD_SLOT_NONE};
static bool is_open;
static int said = TMD_OK;   /* why there is no model, as it was printed last */
static bool works;          /* the interpreter is set up with the model */
static uint32_t inferences; /* with this model */

/* ---- test vectors that come with a patch run through the same interpreter ---- */

static int vector_setup(void *ctx, const struct tmd_store *store, const struct tmd_model *m)
{
	ARG_UNUSED(ctx);
	ARG_UNUSED(store);
	return m->at != NULL && inference_set_up(m->at) ? 0 : -1;
}

static int vector_input(void *ctx, uint32_t offset, const void *data, uint32_t bytes)
{
	struct inference_tensor input = inference_input();

	ARG_UNUSED(ctx);
	if (offset > input.bytes || bytes > input.bytes - offset) {
		return -1;
	}
	memcpy(input.data + offset, data, bytes);
	return 0;
}

static int vector_invoke(void *ctx)
{
	ARG_UNUSED(ctx);
	return inference_invoke() ? 0 : -1;
}

static int vector_output(void *ctx, uint32_t offset, void *data, uint32_t bytes)
{
	struct inference_tensor output = inference_output();

	ARG_UNUSED(ctx);
	if (offset > output.bytes || bytes > output.bytes - offset) {
		return -1;
	}
	memcpy(data, output.data + offset, bytes);
	return 0;
}

static const struct tmd_inference vectors = {
	.setup = vector_setup,
	.input = vector_input,
	.invoke = vector_invoke,
	.output = vector_output,
};

/* ---- the model that is in use ---- */

static void report(void)
{
	struct tmd_active active;
	struct tmd_store_info info;

	if (tmd_zephyr_get_status(&tmd_thermo, &active, &info) != TMD_OK) {
		return;
	}
	printk("model %02x%02x%02x%02x version %u.%u.%u from %s%s\n", active.sha256[0],
	       active.sha256[1], active.sha256[2], active.sha256[3], info.version >> 24,
	       (info.version >> 16) & 0xFFu, info.version & 0xFFFFu,
	       model.slot == TMD_SLOT_COMPILED_IN ? "the firmware"
	       : model.slot == 0u                 ? "slot 0"
						  : "slot 1",
	       info.trial ? ", on trial" : "");
}

/* The model is no good: back to the one before it, if there is one. */
static void give_up(const char *why)
{
	works = false;
	printk("model: %s\n", why);
	if (tmd_zephyr_revert(&tmd_thermo) == TMD_OK) {
		printk("model reverted\n");
	}
}

static void open_model(void)
{
	int err = tmd_zephyr_open(&tmd_thermo, &model);

	is_open = err == TMD_OK;
	if (!is_open) {
		/* Tried again with each reading, said once. */
		if (err != said) {
			printk("no model: %s: scoring by z-score\n", tmd_status_name(err));
		}
		model.slot = TMD_SLOT_NONE;
		said = err;
		return;
	}
	said = TMD_OK;
	inferences = 0;
	report();
	tmd_zephyr_run_begin(&tmd_thermo);
	works = model.at != NULL && inference_set_up(model.at);
	tmd_zephyr_run_end(&tmd_thermo);
	if (!works) {
		give_up(model.at == NULL ? "its flash cannot be read as memory"
					 : "TensorFlow Lite Micro does not run it");
	}
}

/* Between two inferences: take up what an update, or a model that was given up, has left. */
static void refresh(void)
{
	uint8_t before = model.slot;

	if (is_open && !tmd_zephyr_changed(&tmd_thermo, &model)) {
		return;
	}
	works = false;
	if (is_open) {
		tmd_zephyr_close(&tmd_thermo, &model);
	}
	open_model();
	if (is_open && model.slot == before) {
		printk("the update has failed its test vectors or its trial\n");
	}
}

void autoencoder_start(void)
{
	tmd_zephyr_set_inference(&tmd_thermo, &vectors);
	open_model();
}

bool autoencoder_score(const struct window *window, float *score)
{
	struct inference_tensor input;
	struct inference_tensor output;
	int8_t in[WINDOW_READINGS];
	bool invoked;

	refresh();
	if (!works) {
		return false;
	}
	/* Kept here: TensorFlow Lite Micro may use the memory of its input for something else. */
	input = inference_input();
	window_quantise(window, input.quantisation, in);
	memcpy(input.data, in, sizeof(in));

	tmd_zephyr_run_begin(&tmd_thermo);
	invoked = inference_invoke();
	tmd_zephyr_run_end(&tmd_thermo);
	if (!invoked) {
		give_up("an inference failed");
		return false;
	}
	output = inference_output();
	*score = window_error(in, input.quantisation, output.data, output.quantisation);

	inferences++;
	if (inferences >= CONFIG_APP_CONFIRM_AFTER && tmd_zephyr_confirm(&tmd_thermo) == TMD_OK) {
		printk("model confirmed after %u inferences\n", inferences);
	}
	return true;
}

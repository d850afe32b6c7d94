/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Test vectors that come with a model. The models here are small, but models: y = a x + b, with a, b
 * and the type of x and y in their bytes, run by an interpreter that reads them through the store.
 */
#include "harness.h"

#include <math.h>
#include <setjmp.h>

#include "bench.h"

#define SLOT_BYTES 1000u
#define MODEL_BYTES 123u /* the coefficients, and noise */
#define STARTS 3u

/* Element types, as TFLite's schema numbers them. */
enum {
	FLOAT32 = 0,
	INT32 = 2,
	UINT8 = 3,
	INT16 = 7,
	INT8 = 9,
};

static const struct tmd_sim_geometry once16 = {
	"once16", "", {{256, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE,
};

static struct bench b;
static struct bytes base;
static struct bytes target;

static struct tmd_store *const store = &b.device.store;

/* ---- the interpreter ---- */

#define IO_MAX 200u

static struct {
	uint8_t type;
	float a;
	float b;
	uint8_t in[IO_MAX];
	uint8_t out[IO_MAX];
	uint32_t in_bytes;  /* that were set */
	uint32_t setups;    /* how often a model was set up */
	uint32_t invokes;
	uint32_t fails_in;  /* 1 setup, 2 input, 3 invoke, 4 output; 0 none */
	bool crashes;       /* invoke does not return */
	bool unmapped;      /* was the model given without an address? */
	jmp_buf reset;
} interpreter;

static uint32_t width(uint8_t type)
{
	return type == FLOAT32 || type == INT32 ? 4u : type == INT16 ? 2u : 1u;
}

static int setup(void *ctx, const struct tmd_store *from, const struct tmd_model *model)
{
	uint8_t head[9];

	EXPECT(ctx == &interpreter);
	interpreter.setups++;
	interpreter.in_bytes = 0;
	interpreter.unmapped = model->at == NULL;
	EXPECT_EQ(model->bytes, MODEL_BYTES);
	EXPECT(model->total_bytes > model->bytes);
	if (interpreter.fails_in == 1u ||
	    tmd_model_read(from, model, 0, head, sizeof(head)) != TMD_OK) {
		return 1;
	}
	EXPECT(model->at == NULL || memcmp(model->at, head, sizeof(head)) == 0);
	interpreter.type = head[0];
	memcpy(&interpreter.a, &head[1], 4);
	memcpy(&interpreter.b, &head[5], 4);
	return 0;
}

static int input(void *ctx, uint32_t offset, const void *data, uint32_t bytes)
{
	(void)ctx;
	if (interpreter.fails_in == 2u || offset > IO_MAX || bytes > IO_MAX - offset) {
		return -5;
	}
	memcpy(&interpreter.in[offset], data, bytes);
	interpreter.in_bytes = offset + bytes;
	return 0;
}

static float element(uint32_t i)
{
	const uint8_t *at = &interpreter.in[i * width(interpreter.type)];
	float x;

	switch (interpreter.type) {
	case FLOAT32:
		memcpy(&x, at, 4);
		return x;
	case INT32:
		return (float)(int32_t)get_u32(at);
	case INT16:
		return (int16_t)(at[0] | at[1] << 8);
	case INT8:
		return (int8_t)at[0];
	default:
		return at[0];
	}
}

static int invoke(void *ctx)
{
	const uint32_t n = interpreter.in_bytes / width(interpreter.type);

	(void)ctx;
	interpreter.invokes++;
	if (interpreter.crashes) {
		longjmp(interpreter.reset, 1);
	}
	for (uint32_t i = 0; i < n; i++) {
		const float y = interpreter.a * element(i) + interpreter.b;
		uint8_t *at = &interpreter.out[i * width(interpreter.type)];

		if (interpreter.type == FLOAT32) {
			memcpy(at, &y, 4);
		} else {
			const uint32_t bits = (uint32_t)(int32_t)y;

			for (uint32_t k = 0; k < width(interpreter.type); k++) {
				at[k] = (uint8_t)(bits >> 8u * k);
			}
		}
	}
	return interpreter.fails_in == 3u ? 1 : 0;
}

static int output(void *ctx, uint32_t offset, void *data, uint32_t bytes)
{
	(void)ctx;
	if (interpreter.fails_in == 4u || offset > IO_MAX || bytes > IO_MAX - offset) {
		return 1;
	}
	memcpy(data, &interpreter.out[offset], bytes);
	return 0;
}

static const struct tmd_inference inference = {setup, input, invoke, output, &interpreter};

/* ---- models with vectors ---- */

static struct bytes affine(uint8_t type, float a, float at_zero)
{
	struct bytes model = model_make(MODEL_BYTES, 111);

	model.at[0] = type;
	memcpy(&model.at[1], &a, 4);
	memcpy(&model.at[5], &at_zero, 4);
	return model;
}

static void add(struct bytes *to, const void *data, uint32_t n)
{
	uint8_t *grown = realloc(to->at, to->n + n + 1u);

	REQUIRE(grown != NULL);
	memcpy(&grown[to->n], data, n);
	to->at = grown;
	to->n += n;
}

static void add_u32(struct bytes *to, uint32_t value)
{
	uint8_t raw[4];

	put_u32(raw, value);
	add(to, raw, 4);
}

/* What stands before the vectors, by SPEC.md. */
static void add_head(struct bytes *to, uint16_t vectors, uint8_t type, uint32_t input_bytes,
		     uint32_t output_bytes, uint32_t tolerance)
{
	const uint8_t head[4] = {(uint8_t)vectors, (uint8_t)(vectors >> 8), type, 0};

	add(to, head, 4);
	add_u32(to, input_bytes);
	add_u32(to, output_bytes);
	add_u32(to, tolerance);
}

/* One vector of one element. */
static void add_number(struct bytes *to, uint8_t type, float number)
{
	if (type == FLOAT32) {
		uint32_t bits;

		memcpy(&bits, &number, 4);
		add_u32(to, bits);
	} else {
		uint8_t raw[4];

		put_u32(raw, (uint32_t)(int32_t)number);
		add(to, raw, width(type));
	}
}

static struct bytes patch_with_vectors(uint32_t at)
{
	struct bytes patch = patch_header(&base, &target, TMD_DIGEST_SHA256);

	patch_guardrails(&patch);
	patch_tlv(&patch, 7, at, 4);
	patch_raw(&patch, 0, target.at, (uint16_t)target.n, true);
	return patch;
}

static void set_up(void)
{
	static const struct tmd_sim_options options = {.trial_starts = STARTS};

	memset(&interpreter, 0, sizeof(interpreter));
	base = model_make(200, 112);
	target = (struct bytes){NULL, 0};
	bench_init_with(&b, &once16, SLOT_BYTES, &base, BENCH_RECORDED, &options);
	b.device.config.inference = &inference;
	context("%s", "");
}

static void tear_down(void)
{
	EXPECT_EQ(b.device.sim.counts.illegal, 0);
	EXPECT_EQ(b.device.sim.counts.rewrites, 0);
	bench_free(&b);
	bytes_free(&base);
	bytes_free(&target);
}

/* Update to the target, which is taken, and open it: is it given out? Else the base is, for good. */
static bool is_given_out(void)
{
	struct bytes patch = patch_with_vectors(MODEL_BYTES);
	struct tmd_store_info info;
	struct tmd_model opened;
	bool given;

	EXPECT_STATUS(bench_send(&b, &patch, target.n % 2u * 50u), TMD_OK);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &target));
	EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
	EXPECT(opened.at != NULL);
	tmd_store_get_info(store, &info);
	given = opened.slot == 1u;
	if (given) {
		EXPECT_EQ(opened.bytes, MODEL_BYTES);
		EXPECT_EQ(opened.total_bytes, target.n);
		EXPECT_BYTES(opened.at, target.at, target.n);
		EXPECT(info.trial);
		EXPECT_EQ(info.starts, 1);
		EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
	} else {
		EXPECT_EQ(opened.total_bytes, base.n);
		EXPECT_BYTES(opened.at, base.at, base.n);
		EXPECT(!info.trial);
		EXPECT_EQ(info.slot_state[1], TMD_SLOT_IS_REVERTED);
		EXPECT_STATUS(tmd_store_confirm(store), TMD_ERR_STATE);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_ERR_REVERTED);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT(bench_holds(&b, &base));
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_ERR_REVERTED);
	}
	bytes_free(&patch);
	return given;
}

struct tolerance {
	uint8_t type;
	float a;
	float b;
	float x;        /* input */
	float expected; /* output, by the vector */
	float tolerance;
	bool passes;
};

static void test_tolerances(void)
{
	static const struct tolerance cases[] = {
		/* y = 2 x + 3 = 13 */
		{INT8, 2, 3, 5, 13, 0, true},
		{INT8, 2, 3, 5, 14, 0, false},
		{INT8, 2, 3, 5, 12, 0, false},
		{INT8, 2, 3, 5, 17, 4, true},
		{INT8, 2, 3, 5, 18, 4, false},
		{INT8, 2, 3, 5, 9, 4, true},
		{INT8, 2, 3, 5, 8, 4, false},
		{INT8, -2, 3, 5, -7, 0, true},
		{INT8, -2, 3, 5, -11, 4, true},
		{INT8, -2, 3, 5, -12, 4, false},
		/* the widest differences do not wrap */
		{INT8, 1, 0, -128, 127, 255, true},
		{INT8, 1, 0, -128, 127, 254, false},
		{INT8, 1, 0, 127, -128, 255, true},
		{INT8, 1, 0, 127, -128, 254, false},
		{INT8, 1, 0, -1, 1, 2, true},
		{INT8, 1, 0, -1, 1, 1, false},
		{UINT8, 1, 0, 0, 255, 255, true},
		{UINT8, 1, 0, 0, 255, 254, false},
		{UINT8, 1, 0, 255, 0, 254, false},
		{UINT8, 1, 0, 127, 128, 1, true},
		{UINT8, 1, 0, 128, 127, 0, false},
		{UINT8, 3, 1, 80, 241, 0, true},
		{INT16, 1, 0, -32768, 32767, 65535, true},
		{INT16, 1, 0, -32768, 32767, 65534, false},
		{INT16, 1, 0, 32767, -32768, 65535, true},
		{INT16, 1, 0, 32767, -32768, 65534, false},
		{INT16, 7, -1, 1000, 6999, 0, true},
		{INT16, 7, -1, 1000, 7255, 256, true},
		{INT16, 7, -1, 1000, 7256, 256, false},
		{INT16, 7, -1, 1000, 6743, 256, true},
		{INT16, 7, -1, 1000, 6742, 256, false},
		{FLOAT32, 0.5f, 0.25f, 3, 1.75f, 0, true},
		{FLOAT32, 0.5f, 0.25f, 3, 1.7500001f, 0, false},
		{FLOAT32, 0.5f, 0.25f, 3, 2.25f, 0.5f, true},
		{FLOAT32, 0.5f, 0.25f, 3, 2.2500002f, 0.5f, false},
		{FLOAT32, 0.5f, 0.25f, 3, 1.25f, 0.5f, true},
		{FLOAT32, 0.5f, 0.25f, 3, 1.2499999f, 0.5f, false},
		{FLOAT32, 1, 0, 0, -0.0f, 0, true},
		{FLOAT32, 1, 0, 3e38f, -3e38f, 3e38f, false}, /* the difference is infinite */
		{FLOAT32, 1, NAN, 0, 0, 1, false},
		{FLOAT32, 1, NAN, 0, NAN, 1, false},
		{FLOAT32, 1, 0, 0, NAN, 1, false},
		{FLOAT32, 1, 0, 0, 0, NAN, false},
		{FLOAT32, 1, 0, 0, 0, -1, false},
		{FLOAT32, 1, INFINITY, 0, 0, 1e30f, false},
		/* of a type that is only compared: no tolerance helps */
		{INT32, 5, 1, 100, 501, 0, true},
		{INT32, 5, 1, 100, 502, 9, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct tolerance *c = &cases[i];
		uint32_t tolerance = (uint32_t)(c->type == FLOAT32 ? 0.0f : c->tolerance);

		set_up();
		context("case %u", (unsigned int)i);
		if (c->type == FLOAT32) {
			memcpy(&tolerance, &c->tolerance, 4);
		}
		target = affine(c->type, c->a, c->b);
		add_head(&target, 1, c->type, width(c->type), width(c->type), tolerance);
		add_number(&target, c->type, c->x);
		add_number(&target, c->type, c->expected);
		EXPECT_EQ(is_given_out(), c->passes);
		EXPECT_EQ(interpreter.setups, 1);
		EXPECT_EQ(interpreter.invokes, 1);
		tear_down();
	}
}

/* The largest number that a tolerance can be is no negative one. */
static void test_largest_tolerance(void)
{
	set_up();
	target = affine(INT16, 1, 0);
	add_head(&target, 1, INT16, 2, 2, UINT32_MAX);
	add_number(&target, INT16, -32768);
	add_number(&target, INT16, 32767);
	EXPECT(is_given_out());
	tear_down();
}

/* Many elements in several vectors, of which one in one is off by one: wherever it is, it counts. */
static void test_every_element_counts(void)
{
	static const uint8_t types[] = {INT8, UINT8, INT16, FLOAT32};

	for (size_t t = 0; t < sizeof(types); t++) {
		const uint8_t type = types[t];
		const uint32_t elements = 75u / width(type);

		for (uint32_t wrong = 0; wrong <= 3u * elements; wrong++) {
			const float half = 0.5f;
			uint32_t tolerance = 0;

			set_up();
			context("type %u, element %u of %u", type, (unsigned int)wrong,
				(unsigned int)(3u * elements));
			if (type == FLOAT32) {
				memcpy(&tolerance, &half, 4);
			}
			target = affine(type, 2, 1);
			add_head(&target, 3, type, elements * width(type), elements * width(type),
				 tolerance);
			for (uint32_t v = 0; v < 3u; v++) {
				for (uint32_t i = 0; i < elements; i++) {
					add_number(&target, type, (float)((i + v) % 60u));
				}
				for (uint32_t i = 0; i < elements; i++) {
					const uint32_t y = 2u * ((i + v) % 60u) + 1u;

					add_number(&target, type,
						   (float)(v * elements + i == wrong ? y + 1u : y));
				}
			}
			EXPECT_EQ(is_given_out(), wrong == 3u * elements);
			EXPECT_EQ(interpreter.invokes,
				  wrong == 3u * elements ? 3u : wrong / elements + 1u);
			tear_down();
		}
	}
}

/* ---- blocks that are none ---- */

static void test_malformed_vectors(void)
{
	static const struct {
		const char *what;
		uint16_t vectors;
		uint32_t input_bytes;
		uint32_t output_bytes;
		uint32_t there; /* bytes behind the head; each 0, and 0 * 1 + 0 is 0 */
	} cases[] = {
		{"no vectors", 0, 2, 2, 0},
		{"no vectors, but bytes", 0, 2, 2, 4},
		{"a byte too few", 1, 2, 2, 3},
		{"a byte too many", 1, 2, 2, 5},
		{"a vector too few", 2, 2, 2, 4},
		{"a vector too many", 2, 2, 2, 12},
		{"no output", 1, 4, 0, 4},
		{"half an element", 1, 2, 3, 5},
		{"no bytes at all", 1, 2, 2, 0},
		{"an input that is too long", 1, 5, 2, 4},
		{"an output that is too long", 1, 2, 6, 4},
		{"an input beyond everything", 1, UINT32_MAX, 2, 4},
		{"an output beyond everything", 1, 2, 0xFFFFFFFE, 4},
		{"lengths whose sum wraps", 1, 0xFFFFFFFE, 6, 4},
		{"lengths whose sum wraps to what is there", 1, 0x80000002, 0x80000002, 4},
		{"more vectors than there are", 65535, 2, 2, 4},
		{"more than the interpreter takes", 1, IO_MAX + 2u, 2, IO_MAX + 4u},
		{"more than the interpreter gives", 1, 2, IO_MAX + 2u, IO_MAX + 4u},
	};
	static const uint8_t zeros[IO_MAX + 8u];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_up();
		context("%s", cases[i].what);
		target = affine(INT16, 1, 0);
		add_head(&target, cases[i].vectors, INT16, cases[i].input_bytes,
			 cases[i].output_bytes, 0);
		add(&target, zeros, cases[i].there);
		EXPECT(!is_given_out());
		tear_down();
	}
	/* The same without a fault; and without an input, which a model may do without. */
	for (uint32_t input_bytes = 0; input_bytes <= 2u; input_bytes += 2u) {
		set_up();
		context("good, input of %u", (unsigned int)input_bytes);
		target = affine(INT16, 1, 0);
		add_head(&target, 2, INT16, input_bytes, 2, 0);
		add(&target, zeros, 2u * (input_bytes + 2u));
		EXPECT(is_given_out());
		tear_down();
	}
	for (uint32_t bytes = 1; bytes < 16u; bytes++) {
		set_up();
		context("%u bytes of the head", (unsigned int)bytes);
		target = affine(INT16, 1, 0);
		add(&target, "\x01\0\x07\0\0\0\0\0\x02\0\0\0\0\0\0", bytes);
		EXPECT(!is_given_out());
		EXPECT_EQ(interpreter.setups, 0);
		tear_down();
	}
}

static void good_target(void)
{
	target = affine(INT8, 2, 3);
	add_head(&target, 2, INT8, 1, 1, 0);
	add(&target, "\x05\x0D\x06\x0F", 4); /* 13 and 15 */
}

static void test_where_vectors_begin(void)
{
	static const uint32_t places[] = {0, MODEL_BYTES + 20u, MODEL_BYTES + 21u, 0x7FFFFFFF,
					  0x80000000, UINT32_MAX};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct bytes patch;

		set_up();
		good_target();
		EXPECT_EQ(target.n, MODEL_BYTES + 20u);
		patch = patch_with_vectors(places[i]);
		context("at 0x%x", (unsigned int)places[i]);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_ERR_METADATA);
		EXPECT_STATUS(bench_send(&b, &patch, 40), TMD_ERR_METADATA);
		EXPECT(bench_is_unchanged(&b));
		bytes_free(&patch);
		tear_down();
	}
}

/* ---- who runs them, and when ---- */

/* Vectors that nobody would run are no reason to believe in a model. */
static void test_firmware_that_cannot_run_them(void)
{
	for (uint32_t i = 0; i < 2u; i++) {
		struct bytes patch;

		set_up();
		good_target();
		patch = patch_with_vectors(MODEL_BYTES);
		if (i == 0u) {
			b.device.config.inference = NULL;
		} else {
			b.device.config.trial_starts = 0;
		}
		context("without %s", i == 0u ? "inference" : "trial");
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_ERR_SELF_TEST);
		EXPECT_STATUS(bench_send(&b, &patch, 40), TMD_ERR_SELF_TEST);
		EXPECT_STATUS(tmd_sim_device_check(&b.device, patch.at, patch.n),
			      TMD_ERR_SELF_TEST);
		EXPECT(bench_is_unchanged(&b));
		EXPECT_EQ(interpreter.setups, 0);
		bytes_free(&patch);
		tear_down();
	}
}

static void test_models_without_vectors(void)
{
	struct tmd_model opened;
	struct bytes patch;

	set_up();
	target = affine(INT8, 2, 3);
	patch = patch_make(&base, &target, TMD_DIGEST_SHA256);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
	EXPECT_EQ(opened.bytes, target.n);
	EXPECT_EQ(opened.total_bytes, target.n);
	EXPECT_EQ(interpreter.setups, 0);
	bytes_free(&patch);
	tear_down();
}

static void test_any_callback_fails(void)
{
	for (uint32_t fails = 1; fails <= 4u; fails++) {
		set_up();
		context("callback %u", (unsigned int)fails);
		good_target();
		interpreter.fails_in = fails;
		EXPECT(!is_given_out());
		EXPECT_EQ(interpreter.setups, 1);
		tear_down();
	}
}

/* At each start on trial, mapped or not; and not again once the model is confirmed. */
static void test_when_they_run(void)
{
	for (uint32_t unmapped = 0; unmapped < 2u; unmapped++) {
		struct tmd_model opened;
		struct bytes patch;
		uint8_t last;

		set_up();
		good_target();
		patch = patch_with_vectors(MODEL_BYTES);
		b.is_unmapped = unmapped != 0u;
		EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
		EXPECT_EQ(interpreter.setups, 0);
		for (uint32_t n = 1; n <= STARTS; n++) {
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT_EQ(interpreter.setups, n - 1u);
			EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
			EXPECT_EQ(opened.slot, 1);
			EXPECT_EQ(interpreter.setups, n);
			EXPECT_EQ(interpreter.invokes, 2u * n);
			EXPECT_EQ(interpreter.unmapped, unmapped != 0u);
		}
		EXPECT_STATUS(tmd_store_confirm(store), TMD_OK);
		for (uint32_t n = 0; n < 3u; n++) {
			EXPECT_STATUS(bench_boot(&b), TMD_OK);
			EXPECT(bench_holds(&b, &target));
			EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
			EXPECT_EQ(opened.bytes, MODEL_BYTES);
			EXPECT_EQ(opened.total_bytes, target.n);
			EXPECT_STATUS(tmd_model_read(store, &opened, target.n - 1u, &last, 1),
				      TMD_OK);
			EXPECT_EQ(last, 15);
			EXPECT_STATUS(tmd_model_read(store, &opened, target.n, &last, 1),
				      TMD_ERR_ARGUMENT);
		}
		EXPECT_EQ(interpreter.setups, STARTS);
		/* A firmware without the callback runs what was confirmed under another one. */
		b.device.config.inference = NULL;
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
		EXPECT_EQ(opened.slot, 1);
		bytes_free(&patch);
		tear_down();
	}
}

/* A model that hangs or crashes the device in its test was counted before. */
static void test_model_that_crashes(void)
{
	struct tmd_model opened;
	struct bytes patch;
	volatile uint32_t boots = 0;

	set_up();
	good_target();
	patch = patch_with_vectors(MODEL_BYTES);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	interpreter.crashes = true;
	(void)setjmp(interpreter.reset);
	EXPECT(boots++ < 10u);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
	EXPECT_EQ(opened.slot, 0);
	EXPECT_EQ(interpreter.invokes, STARTS);
	EXPECT_EQ(boots, STARTS + 1u);
	EXPECT(bench_holds(&b, &base));
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_ERR_REVERTED);
	bytes_free(&patch);
	tear_down();
}

/* On trial under a firmware that cannot run them: nobody has seen it pass. */
static void test_trial_goes_on_without_the_callback(void)
{
	struct tmd_model opened;
	struct bytes patch;

	set_up();
	good_target();
	patch = patch_with_vectors(MODEL_BYTES);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	b.device.config.inference = NULL;
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
	EXPECT_EQ(opened.slot, 0);
	EXPECT(bench_holds(&b, &base));
	bytes_free(&patch);
	tear_down();
}

/* The base of the next patch is all that the slot holds. */
static void test_update_from_a_model_with_vectors(void)
{
	struct bytes third = model_make(300, 113);
	struct bytes next;

	set_up();
	good_target();
	next = patch_make(&target, &third, TMD_DIGEST_SHA256);
	EXPECT(is_given_out());
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT_STATUS(bench_send(&b, &next, 9), TMD_OK);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	EXPECT(bench_holds(&b, &third));
	bytes_free(&third);
	bytes_free(&next);
	tear_down();
}

/* Reads that fail while vectors run: never given out without having passed. */
static void test_failing_reads(void)
{
	struct bytes patch;
	uint64_t reads;

	set_up();
	good_target();
	patch = patch_with_vectors(MODEL_BYTES);
	EXPECT_STATUS(bench_send(&b, &patch, 0), TMD_OK);
	EXPECT_STATUS(bench_boot(&b), TMD_OK);
	bench_mark(&b);
	{
		struct tmd_model opened;

		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
		EXPECT_EQ(opened.slot, 1);
	}
	reads = bench_reads(&b);
	EXPECT(reads > 5u);
	for (uint64_t n = 1; n <= reads; n++) {
		struct tmd_model opened;

		context("read %u", (unsigned int)n);
		bench_rewind(&b);
		EXPECT_STATUS(bench_boot(&b), TMD_OK);
		interpreter.invokes = 0;
		b.fault = BENCH_FAULT_READ;
		b.fault_at = b.device.sim.counts.reads + n;
		EXPECT_STATUS(tmd_store_open(store, &opened), TMD_OK);
		b.fault = BENCH_FAULT_NONE;
		EXPECT(opened.slot == 0u || interpreter.invokes == 2u);
		EXPECT(bench_holds(&b, opened.slot == 0u ? &base : &target));
	}
	bytes_free(&patch);
	tear_down();
}

int main(void)
{
	RUN(test_tolerances);
	RUN(test_largest_tolerance);
	RUN(test_every_element_counts);
	RUN(test_malformed_vectors);
	RUN(test_where_vectors_begin);
	RUN(test_firmware_that_cannot_run_them);
	RUN(test_models_without_vectors);
	RUN(test_any_callback_fails);
	RUN(test_when_they_run);
	RUN(test_model_that_crashes);
	RUN(test_trial_goes_on_without_the_callback);
	RUN(test_update_from_a_model_with_vectors);
	RUN(test_failing_reads);
	return harness_result();
}

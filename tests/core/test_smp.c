/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The management group: what each command does in each state of a transfer, with requests that are
 * lost, doubled, late, or nonsense; and that two models and two clients do not get mixed up.
 */
#include "harness.h"

#include <tinymldelta/smp.h>

#include "bench.h"

#define SLOT_BYTES 1000u

static const struct tmd_sim_geometry kind = {
	"once16", "", {{256, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE,
};

/* Two models of one firmware, on devices of their own; most tests know the first alone. */
static struct bench benches[2];
static struct bench *const b = &benches[0];
static struct bytes base;
static struct bytes target;
static struct bytes third;
static struct bytes patch;       /* base to target */
static struct bytes from_target; /* target to third */
static struct bytes foreign;     /* third to base */
static bool is_staged;

static struct tmd_model_contract models[2];
static struct tmd_contract contract;
static int get_status;       /* what the port answers */
static uint32_t gets[2];     /* how often the port was asked */
static uint32_t in_use;      /* stores that were not given back */
static struct tmd_smp smp;
static struct tmd_update update;
static struct tmd_smp_reply r;
static struct tmd_model model; /* as the application has it open */
static uint8_t meta[TMD_STORE_METADATA_MAX];

static int get(void *ctx, uint16_t number, struct tmd_store **store)
{
	(void)ctx;
	EXPECT(number < 2u);
	EXPECT_EQ(in_use, 0);
	gets[number]++;
	if (get_status == TMD_OK) {
		in_use++;
		*store = &benches[number].device.store;
	}
	return get_status;
}

static void put(void *ctx, uint16_t number)
{
	(void)ctx;
	(void)number;
	EXPECT_EQ(in_use, 1);
	in_use--;
}

static const struct tmd_smp_port port = {get, put, NULL, &contract};

static struct bytes whole_patch(const struct bytes *from, const struct bytes *to)
{
	struct bytes made = patch_header(from, to, TMD_DIGEST_SHA256);

	patch_guardrails(&made);
	patch_raw(&made, 0, to->at, (uint16_t)to->n, true);
	return made;
}

static void set_up_with(bool staged, uint32_t starts)
{
	const struct tmd_sim_options options = {
		.staging_bytes = staged ? 4096 : 0, .progress_bytes = 0, .trial_starts = starts,
	};

	is_staged = staged && TMD_STAGING;
	base = model_make(900, 201);
	target = model_derive(&base, SLOT_BYTES, 202);
	third = model_derive(&target, 950, 203);
	patch = whole_patch(&base, &target);
	from_target = whole_patch(&target, &third);
	foreign = whole_patch(&third, &base);
	for (uint32_t i = 0; i < 2u; i++) {
		bench_init_with(&benches[i], &kind, SLOT_BYTES, &base, BENCH_FACTORY, &options);
		models[i] = benches[i].model;
		gets[i] = 0;
	}
	models[0].name = "one";
	models[1].name = "other";
	contract = b->contract;
	contract.models = models;
	contract.models_n = 2;
	get_status = TMD_OK;
	memset(&update, 0xA5, sizeof(update));
	memset(&smp, 0xA5, sizeof(smp));
	tmd_smp_init(&smp, &port, &update);
	bench_mark(b);
	context("%s", is_staged ? "staged" : "streamed");
}

static void set_up(bool staged)
{
	set_up_with(staged, 0);
}

static void tear_down(void)
{
	EXPECT_EQ(in_use, 0);
	for (uint32_t i = 0; i < 2u; i++) {
		EXPECT_EQ(benches[i].device.sim.counts.illegal, 0);
		EXPECT_EQ(benches[i].device.sim.counts.rewrites, 0);
		bench_free(&benches[i]);
	}
	bytes_free(&base);
	bytes_free(&target);
	bytes_free(&third);
	bytes_free(&patch);
	bytes_free(&from_target);
	bytes_free(&foreign);
}

/* The device restarts: RAM is gone. */
static void restart(void)
{
	EXPECT_STATUS(bench_boot(b), TMD_OK);
	memset(&update, 0x5A, sizeof(update));
	tmd_smp_init(&smp, &port, &update);
}

static uint32_t id_of(const struct bytes *of)
{
	return tmd_crc32(0, of->at, of->n);
}

/* ---- requests ---- */

static int ask(const struct tmd_smp_request *request)
{
	memset(&r, 0xA5, sizeof(r));
	tmd_smp_handle(&smp, request, &r);
	return r.status;
}

static int command(uint8_t number)
{
	const struct tmd_smp_request request = {.command = number};

	return ask(&request);
}

static int begin_for(const char *name, const struct bytes *of)
{
	const struct tmd_smp_request request = {
		.model = name, .model_bytes = name != NULL ? (uint32_t)strlen(name) : 0u,
		.len = of->n, .id = id_of(of), .command = TMD_SMP_BEGIN,
		.fields = TMD_SMP_HAS_LEN | TMD_SMP_HAS_ID,
	};

	return ask(&request);
}

static int begin(const struct bytes *of)
{
	return begin_for(NULL, of);
}

static int data(const struct bytes *of, uint32_t off, uint32_t n)
{
	const struct tmd_smp_request request = {
		.off = off, .data = &of->at[off], .data_bytes = n, .command = TMD_SMP_DATA,
		.fields = TMD_SMP_HAS_OFF | TMD_SMP_HAS_DATA,
	};

	return ask(&request);
}

static int data_id(const struct bytes *of, uint32_t off, uint32_t n)
{
	const struct tmd_smp_request request = {
		.off = off, .data = &of->at[off], .data_bytes = n, .id = id_of(of),
		.command = TMD_SMP_DATA,
		.fields = TMD_SMP_HAS_OFF | TMD_SMP_HAS_DATA | TMD_SMP_HAS_ID,
	};

	return ask(&request);
}

static int metadata_of(const char *name)
{
	const struct tmd_smp_request request = {
		.model = name, .model_bytes = (uint32_t)strlen(name), .meta = meta,
		.command = TMD_SMP_METADATA,
	};

	memset(meta, 0xA5, sizeof(meta));
	return ask(&request);
}

static int finish(void)
{
	return command(TMD_SMP_FINISH);
}

static int finish_id(uint32_t id)
{
	const struct tmd_smp_request request = {
		.id = id, .command = TMD_SMP_FINISH, .fields = TMD_SMP_HAS_ID,
	};

	return ask(&request);
}

/* As a client does: all data from where the device wants it, up to `end`. */
static int send_to(const struct bytes *of, uint32_t end, uint32_t piece)
{
	while (r.status == TMD_OK && r.off < end) {
		const uint32_t left = end - r.off;

		(void)data(of, r.off, left < piece ? left : piece);
	}
	return r.status;
}

static int send_all(const struct bytes *of, uint32_t piece)
{
	if (begin(of) != TMD_OK || send_to(of, of->n, piece) != TMD_OK) {
		return r.status;
	}
	return finish();
}

static bool is_open(uint32_t len, uint32_t off)
{
	EXPECT_STATUS(command(TMD_SMP_STATUS), TMD_OK);
	return r.len == len && r.off == off;
}

/* ---- tests ---- */

static void test_status(void)
{
	for (uint32_t staged = 0; staged < 2u; staged++) {
		set_up_with(staged != 0u, 2);
		EXPECT_STATUS(command(TMD_SMP_STATUS), TMD_OK);
		EXPECT_EQ(r.model, 0);
		EXPECT_EQ(r.active.slot, 0);
		EXPECT_EQ(r.active.bytes, base.n);
		EXPECT_BYTES(r.active.sha256, b->model.model_sha256, 32);
		EXPECT_EQ(r.info.trial, false);
		EXPECT_EQ(r.info.updates, 0);
		EXPECT_EQ(r.info.slot_state[0], TMD_SLOT_IS_COMPLETE);
		EXPECT_EQ(r.info.slot_state[1], TMD_SLOT_IS_NONE);
		EXPECT_EQ(r.trial_starts, TMD_TRIAL ? 2 : 0);
		EXPECT_EQ(r.staging, is_staged);
		EXPECT_EQ(r.len, 0);
		EXPECT_EQ(r.id, 0);
		EXPECT_EQ(r.off, 0);
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_STATUS(data(&patch, 0, 50), TMD_OK);
		EXPECT(is_open(patch.n, 50));
		EXPECT_EQ(r.id, id_of(&patch));
		tear_down();
	}
}

/* What is said of the firmware's model, as long as it is active, and whatever a transfer does. */
static void test_metadata(void)
{
	static const uint8_t said[] = {14, 3, 'n', 'o', 't', 15, 1, 'a'};

	for (uint32_t staged = 0; staged < 2u; staged++) {
		set_up(staged != 0u);
		EXPECT_STATUS(metadata_of("one"), TMD_OK);
		EXPECT_EQ(r.meta_bytes, 0);
		b->model.meta = said;
		b->model.meta_bytes = sizeof(said);
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_STATUS(data(&patch, 0, 50), TMD_OK);
		EXPECT_STATUS(metadata_of("one"), TMD_OK);
		EXPECT_EQ(r.meta_bytes, sizeof(said));
		EXPECT_BYTES(meta, said, sizeof(said));
		EXPECT_EQ(meta[sizeof(said)], 0xA5);
		EXPECT_STATUS(metadata_of("other"), TMD_OK);
		EXPECT_EQ(r.meta_bytes, 0);
		EXPECT_STATUS(metadata_of("none"), TMD_ERR_MODEL);
		get_status = TMD_ERR_NO_MODEL;
		EXPECT_STATUS(metadata_of("one"), TMD_ERR_NO_MODEL);
		get_status = TMD_OK;
		EXPECT(is_open(patch.n, 50));
		EXPECT_STATUS(send_to(&patch, patch.n, 100), TMD_OK);
		EXPECT_STATUS(finish(), TMD_OK);
		EXPECT_STATUS(metadata_of("one"), TMD_OK);
		EXPECT_EQ(r.meta_bytes, 0); /* the patch said nothing of its model */
		tear_down();
	}
}

static void test_pieces_of_any_size(void)
{
	for (uint32_t n = 0; n < 2u * 40u; n++) {
		const uint32_t piece = n / 2u < 39u ? 1u + n / 2u : UINT32_MAX;

		set_up(n % 2u != 0u);
		EXPECT_STATUS(send_all(&patch, piece), TMD_OK);
		EXPECT_EQ(r.off, patch.n);
		EXPECT_EQ(r.active.slot, 1);
		EXPECT_EQ(r.active.bytes, target.n);
		EXPECT_EQ(r.info.updates, 1);
		EXPECT(bench_holds(b, &target));
		EXPECT(is_open(0, 0));
		EXPECT_STATUS(bench_boot(b), TMD_OK);
		EXPECT(bench_holds(b, &target));
		tear_down();
	}
}

/* Every command with nothing begun. Nothing of it may write, but for erase. */
static void test_without_a_transfer(void)
{
	for (uint32_t staged = 0; staged < 2u; staged++) {
		set_up(staged != 0u);
		EXPECT_STATUS(data(&patch, 0, 10), TMD_ERR_TRANSFER);
		EXPECT_EQ(r.off, 0);
		EXPECT_STATUS(finish(), TMD_ERR_TRANSFER);
		EXPECT_STATUS(finish_id(0), TMD_ERR_TRANSFER);
		EXPECT_STATUS(command(TMD_SMP_CONFIRM), TMD_ERR_STATE);
		EXPECT_STATUS(command(TMD_SMP_REVERT), TMD_ERR_STATE);
		EXPECT(is_open(0, 0));
		EXPECT(bench_is_unchanged(b));
		EXPECT_STATUS(command(TMD_SMP_ERASE), TMD_OK);
		EXPECT(bench_holds(b, &base));
		tear_down();
	}
}

/* Every command with a transfer half way. */
static void test_with_a_transfer(void)
{
	for (uint32_t staged = 0; staged < 2u; staged++) {
		const uint32_t half = 600;

		set_up(staged != 0u);
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_EQ(r.off, 0);
		EXPECT_STATUS(send_to(&patch, half, 100), TMD_OK);
		EXPECT_STATUS(finish(), TMD_ERR_ARGUMENT);
		EXPECT_EQ(r.off, half);
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_EQ(r.off, half);
		EXPECT_STATUS(command(TMD_SMP_CONFIRM), TMD_ERR_STATE);
		EXPECT_STATUS(command(TMD_SMP_REVERT), TMD_ERR_STATE);
		EXPECT(is_open(patch.n, half));
		EXPECT_STATUS(send_to(&patch, patch.n, 100), TMD_OK);
		EXPECT(is_open(patch.n, patch.n));
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_EQ(r.off, patch.n);
		EXPECT_STATUS(finish(), TMD_OK);
		EXPECT(bench_holds(b, &target));
		tear_down();
	}
}

/* Data that does not fit is answered with the offset that does, and nothing is taken. */
static void test_doubled_and_late_data(void)
{
	for (uint32_t staged = 0; staged < 2u; staged++) {
		uint64_t random = staged;

		set_up(staged != 0u);
		EXPECT_STATUS(begin(&patch), TMD_OK);
		for (uint32_t next = 0; next < patch.n;) {
			const uint32_t off = bench_random(&random) % patch.n;
			const uint32_t room = patch.n - off;
			const uint32_t n = bench_random(&random) % (room < 90u ? room + 1u : 90u);

			EXPECT_STATUS(data(&patch, off, n), TMD_OK);
			next += off == next ? n : 0u;
			EXPECT_EQ(r.off, next);
			if (bench_random(&random) % 4u == 0u) {
				const uint32_t left = patch.n - next;

				EXPECT_STATUS(data(&patch, next, left < 30u ? left : 30u), TMD_OK);
				next += left < 30u ? left : 30u;
				EXPECT_EQ(r.off, next);
			}
		}
		EXPECT_STATUS(finish(), TMD_OK);
		EXPECT(bench_holds(b, &target));
		tear_down();
	}
}

/* What is out of range is refused, and the transfer that is open stays. */
static void test_nonsense(void)
{
	for (uint32_t staged = 0; staged < 2u; staged++) {
		static const uint32_t lengths[] = {0, TMD_MODEL_MAX + 1u, UINT32_MAX};
		struct tmd_smp_request request = {
			.id = 7, .command = TMD_SMP_BEGIN,
			.fields = TMD_SMP_HAS_LEN | TMD_SMP_HAS_ID,
		};

		set_up(staged != 0u);
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_STATUS(data(&patch, 0, 300), TMD_OK);
		for (uint32_t i = 0; i < 3u; i++) {
			request.len = lengths[i];
			EXPECT_STATUS(ask(&request), TMD_ERR_ARGUMENT);
			EXPECT_EQ(r.off, 300);
		}
		request.len = patch.n;
		for (uint8_t fields = 0; fields < 3u; fields++) {
			request.fields = fields;
			EXPECT_STATUS(ask(&request), TMD_ERR_ARGUMENT);
		}
		request.command = TMD_SMP_DATA;
		request.off = 300;
		request.data = patch.at;
		request.data_bytes = 5;
		request.fields = TMD_SMP_HAS_DATA;
		EXPECT_STATUS(ask(&request), TMD_ERR_ARGUMENT);
		request.fields = TMD_SMP_HAS_OFF;
		EXPECT_STATUS(ask(&request), TMD_ERR_ARGUMENT);
		request.fields = TMD_SMP_HAS_OFF | TMD_SMP_HAS_DATA;
		request.data_bytes = patch.n - 300u + 1u; /* more than there is */
		EXPECT_STATUS(ask(&request), TMD_ERR_ARGUMENT);
		request.data_bytes = UINT32_MAX;
		EXPECT_STATUS(ask(&request), TMD_ERR_ARGUMENT);
		EXPECT_EQ(r.off, 300);
		request.data_bytes = 0;
		EXPECT_STATUS(ask(&request), TMD_OK);
		request.off = UINT32_MAX;
		EXPECT_STATUS(ask(&request), TMD_OK);
		EXPECT_EQ(r.off, 300);
		EXPECT_STATUS(command(TMD_SMP_METADATA), TMD_ERR_ARGUMENT); /* nowhere to put them */
		EXPECT_STATUS(command(TMD_SMP_METADATA + 1u), TMD_ERR_ARGUMENT);
		EXPECT_STATUS(command(UINT8_MAX), TMD_ERR_ARGUMENT);
		EXPECT_STATUS(begin_for("on", &patch), TMD_ERR_MODEL);
		EXPECT_STATUS(begin_for("one ", &patch), TMD_ERR_MODEL);
		EXPECT_STATUS(begin_for("", &patch), TMD_ERR_MODEL);
		EXPECT(is_open(patch.n, 300));
		r.off = 300;
		EXPECT_STATUS(send_to(&patch, patch.n, 77), TMD_OK);
		EXPECT_STATUS(finish(), TMD_OK);
		EXPECT(bench_holds(b, &target));
		/* A patch that the region has no room for; streamed, its length says little. */
		request = (struct tmd_smp_request){
			.len = TMD_MODEL_MAX, .command = TMD_SMP_BEGIN,
			.fields = TMD_SMP_HAS_LEN | TMD_SMP_HAS_ID,
		};
		EXPECT_STATUS(ask(&request), is_staged ? TMD_ERR_STAGING : TMD_OK);
		tear_down();
	}
}

/* The reply to finish is lost: asked again, it is the same, until something else happens. */
static void test_lost_reply_to_finish(void)
{
	for (uint32_t staged = 0; staged < 2u; staged++) {
		uint64_t operations;

		set_up(staged != 0u);
		EXPECT_STATUS(send_all(&patch, 100), TMD_OK);
		operations = bench_operations(b);
		for (uint32_t n = 0; n < 3u; n++) {
			EXPECT_STATUS(finish_id(id_of(&patch)), TMD_OK);
			EXPECT_EQ(r.off, patch.n);
			EXPECT_EQ(r.active.slot, 1);
			EXPECT_STATUS(finish(), TMD_OK);
			EXPECT_STATUS(data(&patch, 100, 50), TMD_OK); /* late */
			EXPECT_EQ(r.off, patch.n);
			EXPECT_STATUS(begin(&patch), TMD_OK); /* of a client that restarted */
			EXPECT_EQ(r.off, patch.n);
			EXPECT(is_open(0, 0));
		}
		EXPECT_STATUS(finish_id(id_of(&patch) ^ 1u), TMD_ERR_TRANSFER);
		EXPECT_EQ(bench_operations(b), operations);
		EXPECT_STATUS(command(TMD_SMP_ERASE), TMD_OK);
		EXPECT_STATUS(finish(), TMD_ERR_TRANSFER);
		EXPECT(bench_holds(b, &target));
		/* And after a restart: status tells, and the patch does not fit any more. */
		restart();
		EXPECT_STATUS(finish(), TMD_ERR_TRANSFER);
		EXPECT_STATUS(send_all(&patch, 100), TMD_ERR_BASE);
		EXPECT_STATUS(send_all(&from_target, 100), TMD_OK);
		EXPECT(bench_holds(b, &third));
		tear_down();
	}
}

/* A refusal is repeated too: the client that lost it hears why. */
static void test_lost_refusals(void)
{
	for (uint32_t staged = 0; staged < 2u; staged++) {
		set_up(staged != 0u);
		if (is_staged) {
			EXPECT_STATUS(begin(&foreign), TMD_OK);
			EXPECT_STATUS(send_to(&foreign, foreign.n, 64), TMD_OK);
			EXPECT(bench_region_is_unchanged(b, &b->device.config.slot[0]));
			EXPECT(bench_region_is_unchanged(b, &b->device.config.slot[1]));
		} else {
			EXPECT_STATUS(begin(&foreign), TMD_OK);
			EXPECT_STATUS(send_to(&foreign, foreign.n, 64), TMD_ERR_BASE);
			EXPECT(bench_is_unchanged(b));
		}
		for (uint32_t n = 0; n < 3u; n++) {
			EXPECT_STATUS(finish(), TMD_ERR_BASE);
			EXPECT_EQ(r.off, 0);
			EXPECT_STATUS(data(&foreign, 64, 64), TMD_ERR_BASE);
			EXPECT_EQ(r.off, 0);
		}
		EXPECT(is_open(0, 0));
		EXPECT(bench_holds(b, &base));
		EXPECT_STATUS(send_all(&patch, 64), TMD_OK);
		EXPECT(bench_holds(b, &target));
		tear_down();
	}
}

/* Another patch is begun: the one before is given up. */
static void test_another_patch(void)
{
	for (uint32_t staged = 0; staged < 2u; staged++) {
		set_up(staged != 0u);
		EXPECT_STATUS(begin(&foreign), TMD_OK);
		EXPECT_STATUS(data_id(&foreign, 0, 70), TMD_OK);
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_EQ(r.off, 0);
		/* The first client has not noticed. */
		EXPECT_STATUS(data_id(&foreign, 70, 70), TMD_ERR_TRANSFER);
		EXPECT_EQ(r.off, 0);
		EXPECT_STATUS(data_id(&patch, 0, 70), TMD_OK);
		EXPECT_STATUS(data_id(&foreign, 70, 70), TMD_ERR_TRANSFER);
		EXPECT_STATUS(finish_id(id_of(&foreign)), TMD_ERR_TRANSFER);
		EXPECT(is_open(patch.n, 70));
		r.off = 70;
		EXPECT_STATUS(send_to(&patch, patch.n, 70), TMD_OK);
		EXPECT_STATUS(finish_id(id_of(&patch)), TMD_OK);
		EXPECT(bench_holds(b, &target));
		tear_down();
	}
}

/* Two models: names, and one transfer for both. */
static void test_two_models(void)
{
	for (uint32_t staged = 0; staged < 2u; staged++) {
		struct tmd_smp_request request = {
			.model = "other", .model_bytes = 5, .command = TMD_SMP_STATUS,
		};

		set_up(staged != 0u);
		EXPECT_STATUS(ask(&request), TMD_OK);
		EXPECT_EQ(r.model, 1);
		EXPECT_EQ(gets[0], 0);
		EXPECT_STATUS(begin_for("other", &patch), TMD_OK);
		/* Data and finish need no name; another model's is refused. */
		EXPECT_STATUS(data(&patch, 0, 200), TMD_OK);
		EXPECT_EQ(r.off, 200);
		EXPECT(is_open(0, 0)); /* of the first model, there is none */
		EXPECT_STATUS(ask(&request), TMD_OK);
		EXPECT_EQ(r.off, 200);
		request.model = "one";
		request.model_bytes = 3;
		request.command = TMD_SMP_FINISH;
		EXPECT_STATUS(ask(&request), TMD_ERR_TRANSFER);
		/* Commands for the first model leave it alone. */
		EXPECT_STATUS(command(TMD_SMP_ERASE), TMD_OK);
		EXPECT_STATUS(command(TMD_SMP_CONFIRM), TMD_ERR_STATE);
		r.status = TMD_OK;
		r.off = 200;
		EXPECT_STATUS(send_to(&patch, patch.n, 100), TMD_OK);
		/* A transfer for the first model displaces it. */
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_EQ(r.off, 0);
		EXPECT_EQ(benches[1].device.store.updating, false);
		EXPECT_STATUS(send_to(&patch, patch.n, 100), TMD_OK);
		EXPECT_STATUS(finish(), TMD_OK);
		EXPECT_EQ(r.model, 0);
		EXPECT(bench_holds(b, &target));
		EXPECT(bench_holds(&benches[1], &base));
		/* With staging, what the other model had is still there. */
		EXPECT_STATUS(begin_for("other", &patch), TMD_OK);
		EXPECT_EQ(r.off, is_staged ? patch.n : 0);
		EXPECT_STATUS(send_to(&patch, patch.n, 100), TMD_OK);
		EXPECT_STATUS(finish(), TMD_OK);
		EXPECT_EQ(r.model, 1);
		EXPECT(bench_holds(&benches[1], &target));
		tear_down();
	}
}

/* A store that cannot be had. The transfer is where it was when it can be had again. */
static void test_no_store(void)
{
	for (uint32_t staged = 0; staged < 2u; staged++) {
		set_up(staged != 0u);
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_STATUS(data(&patch, 0, 100), TMD_OK);
		get_status = TMD_ERR_NO_MODEL;
		for (uint8_t number = TMD_SMP_CONFIRM; number < TMD_SMP_ERASE; number++) {
			EXPECT_STATUS(command(number), TMD_ERR_NO_MODEL);
		}
		EXPECT_STATUS(command(TMD_SMP_STATUS), TMD_ERR_NO_MODEL);
		EXPECT_STATUS(begin(&patch), TMD_ERR_NO_MODEL);
		EXPECT_EQ(r.off, 100);
		EXPECT_STATUS(data(&patch, 100, 5), TMD_ERR_NO_MODEL);
		EXPECT_STATUS(finish(), TMD_ERR_NO_MODEL);
		get_status = TMD_OK;
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_STATUS(send_to(&patch, patch.n, 100), TMD_OK);
		EXPECT_STATUS(finish(), TMD_OK);
		EXPECT(bench_holds(b, &target));
		tear_down();
	}
}

/* The device restarts anywhere: streamed from the first byte, staged from the last block. */
static void test_restarts(void)
{
	for (uint32_t n = 0; n < 2u * 12u; n++) {
		const uint32_t at = n / 2u * 100u;

		set_up(n % 2u != 0u);
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_STATUS(send_to(&patch, at < patch.n ? at : patch.n, 60), TMD_OK);
		restart();
		EXPECT(is_open(0, 0));
		EXPECT_STATUS(data_id(&patch, at, 1), TMD_ERR_TRANSFER);
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT(is_staged ? r.off <= at && at - r.off < TMD_WRITE_BUFFER : r.off == 0u);
		EXPECT_STATUS(send_to(&patch, patch.n, 60), TMD_OK);
		EXPECT_STATUS(finish(), TMD_OK);
		EXPECT(bench_holds(b, &target));
		tear_down();
	}
}

/* Erase: what is open is given up, and what is staged is forgotten. */
static void test_erase(void)
{
	for (uint32_t staged = 0; staged < 2u; staged++) {
		set_up(staged != 0u);
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_STATUS(send_to(&patch, 700, 60), TMD_OK);
		EXPECT_STATUS(command(TMD_SMP_ERASE), TMD_OK);
		EXPECT(is_open(0, 0));
		EXPECT_EQ(r.info.slot_state[1], TMD_SLOT_IS_NONE);
		EXPECT_STATUS(data(&patch, 700, 10), TMD_ERR_TRANSFER);
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_EQ(r.off, 0);
		EXPECT_STATUS(send_to(&patch, patch.n, 60), TMD_OK);
		EXPECT_STATUS(finish(), TMD_OK);
		EXPECT_STATUS(command(TMD_SMP_STATUS), TMD_OK);
		EXPECT_EQ(r.info.slot_state[0], TMD_SLOT_IS_COMPLETE);
		EXPECT_STATUS(command(TMD_SMP_ERASE), TMD_OK);
		EXPECT_STATUS(command(TMD_SMP_STATUS), TMD_OK);
		EXPECT_EQ(r.info.slot_state[0], TMD_SLOT_IS_NONE);
		EXPECT(bench_holds(b, &target));
		EXPECT_STATUS(bench_boot(b), TMD_OK);
		EXPECT(bench_holds(b, &target));
		tear_down();
	}
}

/* The application has the slot open that would be written. */
static void test_slot_is_open(void)
{
	for (uint32_t staged = 0; staged < 2u; staged++) {
		set_up(staged != 0u);
		EXPECT_STATUS(tmd_store_open(&b->device.store, &model), TMD_OK);
		EXPECT_STATUS(send_all(&patch, 100), TMD_OK); /* the other slot is free */
		EXPECT_STATUS(send_all(&from_target, 100), TMD_ERR_BUSY);
		EXPECT_EQ(r.off, 0);
		EXPECT(is_open(0, 0));
		/* A refused begin takes nothing from a client that still waits to hear of its finish. */
		EXPECT_STATUS(finish_id(id_of(is_staged ? &from_target : &patch)),
			      is_staged ? TMD_ERR_BUSY : TMD_OK);
		EXPECT(bench_holds(b, &target));
		tmd_store_close(&b->device.store, &model);
		EXPECT_STATUS(begin(&from_target), TMD_OK);
		EXPECT_EQ(r.off, is_staged ? from_target.n : 0); /* it is still staged */
		EXPECT_STATUS(send_to(&from_target, from_target.n, 100), TMD_OK);
		EXPECT_STATUS(finish(), TMD_OK);
		EXPECT(bench_holds(b, &third));
		tear_down();
	}
}

/* A finish that was refused because the slot is open leaves nothing that cannot be erased. */
static void test_erase_after_busy(void)
{
	set_up(true);
	EXPECT_STATUS(tmd_store_open(&b->device.store, &model), TMD_OK);
	EXPECT_STATUS(send_all(&patch, 100), TMD_OK);
	if (is_staged) {
		EXPECT_STATUS(begin(&from_target), TMD_OK);
		EXPECT_STATUS(send_to(&from_target, from_target.n, 100), TMD_OK);
		EXPECT_STATUS(finish(), TMD_ERR_BUSY);
		tmd_store_close(&b->device.store, &model);
		EXPECT(!b->device.store.updating);
		EXPECT_STATUS(command(TMD_SMP_ERASE), TMD_OK);
		EXPECT_STATUS(begin(&from_target), TMD_OK);
		EXPECT_EQ(r.off, 0);
	}
	tear_down();
}

/* The application begins an update of its own. */
static void test_update_in_between(void)
{
	for (uint32_t staged = 0; staged < 2u; staged++) {
		static struct tmd_update own;

		set_up(staged != 0u);
		EXPECT_STATUS(begin(&patch), TMD_OK);
		EXPECT_STATUS(send_to(&patch, 300, 60), TMD_OK);
		EXPECT_STATUS(tmd_update_begin(&own, &b->device.store), TMD_OK);
		EXPECT_STATUS(data(&patch, 300, 60), TMD_ERR_BUSY);
		EXPECT_EQ(r.off, 0);
		EXPECT_STATUS(finish(), TMD_ERR_BUSY);
		EXPECT_STATUS(command(TMD_SMP_ERASE), TMD_ERR_BUSY);
		tmd_update_abort(&own);
		EXPECT_STATUS(command(TMD_SMP_ERASE), TMD_OK);
		EXPECT_STATUS(send_all(&patch, 60), TMD_OK);
		EXPECT(bench_holds(b, &target));
		tear_down();
	}
}

#if TMD_TRIAL
/* Every command during a trial, and after each way in which it ends. */
static void test_trial(void)
{
	for (uint32_t n = 0; n < 6u; n++) {
		const uint32_t way = n / 2u; /* confirmed, reverted, or its starts are used up */
		uint64_t operations;

		set_up_with(n % 2u != 0u, 2);
		EXPECT_STATUS(send_all(&patch, 100), TMD_OK);
		EXPECT(r.info.trial);
		EXPECT_STATUS(command(TMD_SMP_CONFIRM), TMD_ERR_STATE); /* not opened yet */
		operations = bench_operations(b);
		EXPECT_STATUS(begin(&from_target), TMD_ERR_TRIAL);
		EXPECT_EQ(r.off, 0);
		EXPECT_STATUS(command(TMD_SMP_ERASE), TMD_ERR_TRIAL);
		EXPECT_STATUS(data_id(&from_target, 0, 5), TMD_ERR_TRANSFER);
		EXPECT_EQ(bench_operations(b), operations);
		EXPECT_STATUS(tmd_store_open(&b->device.store, &model), TMD_OK);
		EXPECT_STATUS(command(TMD_SMP_STATUS), TMD_OK);
		EXPECT(r.info.trial);
		EXPECT_EQ(r.info.starts, 1);
		if (way == 0u) {
			EXPECT_STATUS(command(TMD_SMP_CONFIRM), TMD_OK);
			EXPECT_STATUS(command(TMD_SMP_CONFIRM), TMD_ERR_STATE);
			EXPECT_STATUS(command(TMD_SMP_REVERT), TMD_ERR_STATE);
			EXPECT_STATUS(send_all(&from_target, 100), TMD_OK);
			EXPECT(bench_holds(b, &third));
			tear_down();
			continue;
		}
		tmd_store_close(&b->device.store, &model);
		if (way == 1u) {
			EXPECT_STATUS(command(TMD_SMP_REVERT), TMD_OK);
			EXPECT_STATUS(command(TMD_SMP_REVERT), TMD_ERR_STATE);
		} else {
			EXPECT_STATUS(bench_boot(b), TMD_OK);
			EXPECT_STATUS(tmd_store_open(&b->device.store, &model), TMD_OK);
			EXPECT_STATUS(bench_boot(b), TMD_OK);
		}
		EXPECT(bench_holds(b, &base));
		/* What was applied is gone, and nothing says that it is there. */
		EXPECT_STATUS(finish_id(id_of(&patch)), TMD_ERR_TRANSFER);
		EXPECT_STATUS(send_all(&patch, 100), TMD_ERR_REVERTED);
		EXPECT_STATUS(command(TMD_SMP_ERASE), TMD_OK);
		EXPECT_STATUS(send_all(&patch, 100), TMD_OK);
		EXPECT(bench_holds(b, &target));
		tear_down();
	}
}
#endif

/* Requests without sense or order: no model but the two is ever active, and nothing is left open. */
static void test_anything(void)
{
	for (uint32_t n = 0; n < 60u; n++) {
		uint64_t random = n;

		set_up_with(n % 2u != 0u, n % 3u);
		for (uint32_t i = 0; i < 400u; i++) {
			const struct bytes *of = bench_random(&random) % 4u != 0u ? &patch : &foreign;
			const uint32_t off = bench_random(&random) % 3u != 0u
						     ? r.off
						     : bench_random(&random) % of->n;
			const uint32_t room = off < of->n ? of->n - off : 0u;
			const struct tmd_smp_request request = {
				.model = bench_random(&random) % 8u != 0u ? NULL : "other",
				.model_bytes = 5,
				.data = &of->at[room != 0u ? off : 0u],
				.data_bytes = room < 300u ? room : bench_random(&random) % 300u,
				.len = of->n,
				.id = id_of(of),
				.off = off,
				.meta = bench_random(&random) % 2u != 0u ? NULL : meta,
				.command = (uint8_t)(bench_random(&random) % 3u == 0u
							     ? bench_random(&random) % 9u
							     : TMD_SMP_DATA),
				.fields = (uint8_t)(bench_random(&random) % 16u == 0u
							    ? bench_random(&random) % 16u
							    : 15u),
			};

			context("run %u, request %u", (unsigned int)n, (unsigned int)i);
			(void)ask(&request);
			EXPECT_EQ(in_use, 0);
			if (bench_random(&random) % 50u == 0u &&
			    tmd_store_open(&b->device.store, &model) == TMD_OK) {
				tmd_store_close(&b->device.store, &model);
			}
			if (bench_random(&random) % 100u == 0u) {
				restart();
				r.off = 0;
			}
		}
		for (uint32_t i = 0; i < 2u; i++) {
			EXPECT(bench_holds(&benches[i], &base) ||
			       bench_holds(&benches[i], &target));
		}
		tear_down();
	}
}

static void test_codes(void)
{
	EXPECT_EQ(tmd_smp_rc(TMD_OK), 0);
	EXPECT_EQ(tmd_smp_rc(TMD_ERR_ARENA), 41);
	EXPECT_EQ(tmd_smp_rc_1(TMD_OK), 0);
	EXPECT_EQ(tmd_smp_rc_1(TMD_ERR_ARENA), 297);
	EXPECT_EQ(tmd_smp_rc_1(TMD_ERR_ARGUMENT), 257);
}

int main(void)
{
	RUN(test_status);
	RUN(test_metadata);
	RUN(test_pieces_of_any_size);
	RUN(test_without_a_transfer);
	RUN(test_with_a_transfer);
	RUN(test_doubled_and_late_data);
	RUN(test_nonsense);
	RUN(test_lost_reply_to_finish);
	RUN(test_lost_refusals);
	RUN(test_another_patch);
	RUN(test_two_models);
	RUN(test_no_store);
	RUN(test_restarts);
	RUN(test_erase);
	RUN(test_slot_is_open);
	RUN(test_erase_after_busy);
	RUN(test_update_in_between);
#if TMD_TRIAL
	RUN(test_trial);
#endif
	RUN(test_anything);
	RUN(test_codes);
	return harness_result();
}

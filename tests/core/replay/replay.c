/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Puts cases through the C core on simulated flash and compares with what the plain Python reader
 * says must happen.
 *
 *	replay CASES
 *
 * The file, all numbers little-endian: 8 bytes "TMDCASE3", then cases until the end, each
 *
 *	i32 expected status
 *	u32 bytes of base | of patch | of target | of what is kept (the last two 0 unless it is OK)
 *	u32 accept flags | formats, as bits | decoder | metadata kept at most | write unit
 *	u32 arena | slot bytes | TFLM ABI | opset hash | io hash
 *	u32 kernels | tensors | quantisation | tensor names
 *	u32 device class | keys | decryption keys
 *	u32 bytes of the model's name | operators
 *	keys, and then decryption keys, each u8 kind, u8 id[4], u8 secret[32]
 *	name | operators, each u32 id, u8 lowest, u8 highest, u8 types | base | patch | target | kept
 *
 * The crypto port is one that needs no library, as tests/codegen/signkit.py has it too: a signature of
 * any kind is made of an HMAC, a shared secret is a SHA-256, and so is a block of the cipher.
 *
 * Case n runs on the geometry n modulo their number, whose write unit it has. It is applied staged
 * and streamed, each on a fresh device. What must hold besides the status: OK leaves exactly the
 * target, seen by a store that starts from rubbish in RAM, and behind it, at the next write unit,
 * what is kept of the patch's metadata; a refusal
 * leaves base and its slot, staged and before the body also every byte of flash, and nobody takes
 * what a streamed body left in the other slot for anything; no operation was one that flash does not
 * allow, and no place was programmed twice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sim/device.h>

#define FIELDS 24
#define CASE_MAX 0x100000u
#define NAME_MAX_BYTES 31u
#define OPERATORS_MAX 64u
#define OPERATOR_BYTES 7u
#define KEYS_MAX 8u
#define SECRET_BYTES 32u
#define KEY_BYTES (5u + SECRET_BYTES)

/* Small, so that a case costs little; unlike each other in all that the store has to mind. */
static const struct tmd_sim_geometry geometries[] = {
	{"once16", "", {{256, 1}}, 1, 16, 0xFF, TMD_SIM_WRITE_ONCE},
	{"words", "", {{128, 1}}, 1, 4, 0xFF, 0},
	{"ram", "", {{128, 1}}, 1, 1, 0xFF, TMD_FLASH_NO_ERASE},
	{"pages", "", {{1024, 1}}, 1, 256, 0xFF, 0},
	{"zeros", "", {{512, 1}}, 1, 8, 0x00, TMD_SIM_WRITE_ONCE},
	{"unequal", "", {{128, 2}, {512, 1}}, 2, 32, 0xFF, TMD_SIM_WRITE_ONCE},
};
#define GEOMETRIES_N (sizeof(geometries) / sizeof(geometries[0]))

struct one_case {
	int expected;
	uint32_t base_bytes;
	uint32_t patch_bytes;
	uint32_t target_bytes;
	uint32_t kept_bytes;
	struct tmd_contract contract;
	struct tmd_model_contract model;
	char name[NAME_MAX_BYTES + 1u];
	struct tmd_operator operators[OPERATORS_MAX];
	struct tmd_key keys[KEYS_MAX]; /* and behind those that sign, those that decrypt */
	uint8_t secrets[KEYS_MAX][SECRET_BYTES];
	uint8_t *bytes; /* base, patch, target, kept */
};

static unsigned long passed;
static unsigned long failed;
static unsigned long by_status[128]; /* index: minus the status */

static uint32_t get_u32(const uint8_t *p)
{
	return p[0] | ((uint32_t)p[1] << 8) | ((uint32_t)p[2] << 16) | ((uint32_t)p[3] << 24);
}

static uint32_t largest_unit(const struct tmd_sim_geometry *g)
{
	uint32_t largest = 0;

	for (uint32_t i = 0; i < g->pattern_n; i++) {
		if (g->pattern[i].bytes > largest) {
			largest = g->pattern[i].bytes;
		}
	}
	return largest;
}

/* The model's name and the operators, which are told by their number. */
static bool read_linked(FILE *file, struct one_case *c, uint32_t name_bytes, uint32_t operators_n)
{
	uint8_t raw[OPERATOR_BYTES];

	if (name_bytes > NAME_MAX_BYTES || operators_n > OPERATORS_MAX ||
	    fread(c->name, 1, name_bytes, file) != name_bytes) {
		return false;
	}
	for (uint32_t i = 0; i < operators_n; i++) {
		if (fread(raw, sizeof(raw), 1, file) != 1u) {
			return false;
		}
		c->operators[i] = (struct tmd_operator){get_u32(raw), raw[4], raw[5], raw[6]};
	}
	c->contract.operators = c->operators;
	c->contract.operators_n = (uint16_t)operators_n;
	c->model.name = c->name;
	c->model.id = tmd_crc32(0, (const uint8_t *)c->name, name_bytes);
	return true;
}

static bool read_keys(FILE *file, struct one_case *c, uint32_t keys_n, uint32_t sealed_keys_n)
{
	uint8_t raw[KEY_BYTES];

	if (keys_n > KEYS_MAX || sealed_keys_n > KEYS_MAX - keys_n) {
		return false;
	}
	for (uint32_t i = 0; i < keys_n + sealed_keys_n; i++) {
		if (fread(raw, sizeof(raw), 1, file) != 1u) {
			return false;
		}
		c->keys[i].kind = raw[0];
		memcpy(c->keys[i].id, &raw[1], sizeof(c->keys[i].id));
		memcpy(c->secrets[i], &raw[5], SECRET_BYTES);
	}
	c->contract.keys = c->keys;
	c->contract.keys_n = (uint16_t)keys_n;
	c->contract.sealed_keys = &c->keys[keys_n];
	c->contract.sealed_keys_n = (uint16_t)sealed_keys_n;
	return true;
}

static const uint8_t *secret_of(const struct one_case *c, const struct tmd_key *key)
{
	return c->secrets[key - c->keys];
}

/* What is made of a secret stands twice, as far as the kind has room; ECDSA's r and s in their range. */
static int verify(void *ctx, const struct tmd_key *key, const uint8_t digest[32],
		  const uint8_t *signature)
{
	static const uint8_t sizes[TMD_SIGNATURE_KINDS_N] = TMD_SIGNATURE_SIZES;
	uint8_t want[TMD_SIGNATURE_MAX];

	(void)tmd_hmac_sha256(secret_of(ctx, key), SECRET_BYTES, digest, 32, want);
	memcpy(&want[32], want, 32);
	if (key->kind == TMD_SIGNATURE_ECDSA_P256) {
		want[0] &= 0x3Fu;
		want[32] &= 0x3Fu;
	}
	return tmd_is_equal(want, signature, sizes[key->kind - 1u]) ? TMD_OK : TMD_ERR_SIGNATURE;
}

static void hash_two(const uint8_t *a, size_t a_bytes, const uint8_t *b, size_t b_bytes,
		     uint8_t out[32])
{
	struct tmd_sha256 sha;

	tmd_sha256_init(&sha);
	tmd_sha256_update(&sha, a, a_bytes);
	tmd_sha256_update(&sha, b, b_bytes);
	(void)tmd_sha256_final(&sha, out);
}

/* A public key of zeros is none. */
static int agree(void *ctx, const struct tmd_key *key, const uint8_t *peer, uint8_t shared[32])
{
	static const uint8_t sizes[TMD_AGREEMENT_KINDS_N] = TMD_AGREEMENT_SIZES;
	static const uint8_t zero[TMD_AGREEMENT_MAX];
	const size_t bytes = sizes[key->kind - 1u];

	if (memcmp(peer, zero, bytes) == 0) {
		return TMD_ERR_SIGNATURE;
	}
	hash_two(peer, bytes, secret_of(ctx, key), SECRET_BYTES, shared);
	return TMD_OK;
}

static int aes128(void *ctx, const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
	uint8_t block[32];

	(void)ctx;
	hash_two(key, 16, in, 16, block);
	memcpy(out, block, 16);
	return TMD_OK;
}

static bool read_case(FILE *file, struct one_case *c, const struct tmd_sim_geometry *g)
{
	uint8_t raw[4 * FIELDS];
	uint32_t f[FIELDS];
	struct tmd_sha256 sha;
	size_t total;

	if (fread(raw, sizeof(raw), 1, file) != 1u) {
		return false;
	}
	for (size_t i = 0; i < FIELDS; i++) {
		f[i] = get_u32(&raw[4u * i]);
	}
	memset(c, 0, sizeof(*c));
	c->expected = (int)(int32_t)f[0];
	c->base_bytes = f[1];
	c->patch_bytes = f[2];
	c->target_bytes = f[3];
	c->kept_bytes = f[4];
	c->contract = (struct tmd_contract){
		.wire_version = TMD_WIRE_VERSION,
		.accept = (uint16_t)f[5],
		.formats = (uint16_t)f[6],
		.decoder = (uint16_t)f[7],
		.meta_kept = (uint16_t)f[8],
		.write_bytes = f[9],
		.tflm_abi = (uint16_t)f[12],
		.kernels = f[15],
		.erase_bytes = largest_unit(g),
		.models = &c->model,
		.models_n = 1,
		.device_class = f[19],
	};
	c->model = (struct tmd_model_contract){
		.arena_bytes = f[10],
		.slot_bytes = f[11],
		.opset_hash = f[13],
		.io_hash = f[14],
		.tensors = f[16],
		.quantisation = f[17],
		.tensor_names = f[18],
		.model_bytes = c->base_bytes,
	};
	if (c->contract.write_bytes != g->write_bytes || !read_keys(file, c, f[20], f[21]) ||
	    !read_linked(file, c, f[22], f[23])) {
		return false;
	}
	total = (size_t)c->base_bytes + c->patch_bytes + c->target_bytes + c->kept_bytes;
	if (c->base_bytes > CASE_MAX || c->patch_bytes > CASE_MAX ||
	    c->target_bytes > CASE_MAX || c->kept_bytes > TMD_STORE_METADATA_MAX) {
		return false;
	}
	c->bytes = malloc(total + 1u);
	if (c->bytes == NULL || fread(c->bytes, 1, total, file) != total) {
		free(c->bytes);
		return false;
	}
	tmd_sha256_init(&sha);
	tmd_sha256_update(&sha, c->bytes, c->base_bytes);
	(void)tmd_sha256_final(&sha, c->model.model_sha256);
	return true;
}

static void fail(unsigned long number, const char *how, const char *what, int got, int expected)
{
	if (failed++ < 20u) {
		(void)printf("case %lu, %s: %s: got %s, expected %s\n", number, how, what,
			     tmd_status_name(got), tmd_status_name(expected));
	}
}

/* A number of format 2's head at *at, which is moved behind it; UINT32_MAX if it is not all there. */
static uint32_t number_at(const uint8_t *patch, uint32_t bytes, uint32_t *at)
{
	uint32_t value = 0;

	for (uint32_t shift = 0; *at < bytes && shift < 35u; shift += 7u) {
		const uint8_t byte = patch[(*at)++];

		value |= shift < 32u ? (byte & 127u) << shift : 0u;
		if (byte < 128u) {
			return value;
		}
	}
	return UINT32_MAX;
}

/* Does the patch end before its body? */
static bool ends_in_head(const uint8_t *patch, uint32_t bytes)
{
	uint32_t at = 1;
	uint32_t meta;

	if (bytes != 0u && (patch[0] & 15u) == TMD_SEALED_FIRST) {
		return bytes <= TMD_SEALED_HEAD_MAX; /* what is in it is not known here */
	}
	if (bytes == 0u || (patch[0] & 15u) != TMD_FORMAT_2) {
		return bytes < 80u || bytes < 80u + patch[76] + 256u * patch[77];
	}
	if ((patch[0] & TMD_F2_SAME_LENGTH) == 0u) {
		(void)number_at(patch, bytes, &at);
	}
	(void)number_at(patch, bytes, &at);
	at += TMD_F2_BASE_DIGEST_SIZE;
	if ((patch[0] & TMD_F2_SIGNED) == 0u) {
		at += TMD_F2_TARGET_DIGEST_SIZE;
	} else {
		at += TMD_F2_SIGNED_TARGET_DIGEST_SIZE + TMD_F2_SIGNER_SIZE;
	}
	meta = number_at(patch, bytes, &at);
	return meta > bytes || at + meta + TMD_F2_CRC_SIZE > bytes;
}

/* Was this decided before the first byte of the body? */
static bool is_of_head(int status, const uint8_t *patch, uint32_t bytes)
{
	if (status == TMD_ERR_TRUNCATED) {
		return ends_in_head(patch, bytes);
	}
	return status == TMD_ERR_FORMAT || status == TMD_ERR_HEADER ||
	       status == TMD_ERR_DECODER || status == TMD_ERR_SIGNATURE ||
	       status == TMD_ERR_KEY || status == TMD_ERR_UNSIGNED || status == TMD_ERR_CRYPTO ||
	       status == TMD_ERR_DIGEST_KIND || status == TMD_ERR_METADATA ||
	       (status <= TMD_ERR_UNGUARDED && status >= TMD_ERR_CLASS);
}

static bool holds_model(struct tmd_sim_device *d, const uint8_t *model, uint32_t bytes)
{
	struct tmd_model opened;

	if (tmd_sim_device_boot(d, 0x5A) != TMD_OK ||
	    tmd_store_open(&d->store, &opened) != TMD_OK) {
		return false;
	}
	return opened.bytes == bytes && opened.at != NULL && memcmp(opened.at, model, bytes) == 0;
}

/* Does the slot with the new model hold this behind it, and does the store tell it? */
static bool holds_kept(struct tmd_sim_device *d, const struct one_case *c)
{
	const uint8_t *kept = c->bytes + c->base_bytes + c->patch_bytes + c->target_bytes;
	const uint32_t unit = c->contract.write_bytes;
	const uint32_t at = (c->target_bytes + unit - 1u) / unit * unit;
	uint8_t told[TMD_STORE_METADATA_MAX];

	return d->store.active.slot < 2u &&
	       tmd_store_metadata_block(&d->store, told, sizeof(told)) == (int)c->kept_bytes &&
	       memcmp(told, kept, c->kept_bytes) == 0 &&
	       memcmp(&d->sim.bytes[d->config.slot[d->store.active.slot].offset + at], kept,
		      c->kept_bytes) == 0;
}

static void run(struct one_case *c, unsigned long number, bool staged)
{
	const struct tmd_sim_geometry *g = &geometries[number % GEOMETRIES_N];
	const char *how = staged ? "staged" : "streamed";
	const uint8_t *base = c->bytes;
	const uint8_t *patch = base + c->base_bytes;
	const uint8_t *target = patch + c->patch_bytes;
	const unsigned long failed_before = failed;
	/* Notes never, once and for each erase unit; with a trial and without. */
	const struct tmd_sim_options options = {
		.progress_bytes = number % 3u == 0u ? 0u : number % 3u == 1u ? 4096u : 1u,
		.trial_starts = number % 5u == 0u ? 2u : 0u,
	};
	const struct tmd_crypto crypto = {verify, agree, aes128, c};
	struct tmd_sim_device d;
	uint8_t *before;
	int got;

	if (tmd_sim_device_init(&d, g, &c->contract, 0, &options) != TMD_OK) {
		fail(number, how, "device", TMD_ERR_GEOMETRY, TMD_OK);
		return;
	}
	d.config.crypto = &crypto;
	if ((number & 8u) != 0u) {
		d.config.compiled_in = base;
	}
	before = malloc(d.sim.size);
	if (before == NULL || tmd_sim_device_factory(&d, base, c->base_bytes) != TMD_OK ||
	    tmd_sim_device_boot(&d, 0xA5) != TMD_OK) {
		fail(number, how, "start", TMD_ERR_NO_MODEL, TMD_OK);
		free(before);
		tmd_sim_device_free(&d);
		return;
	}
	memcpy(before, d.sim.bytes, d.sim.size);

	if (staged) {
		got = tmd_sim_device_staged(&d, patch, c->patch_bytes);
	} else {
		got = tmd_sim_device_stream(&d, patch, c->patch_bytes,
					    1u + (uint32_t)(number * 2654435761u >> 7) % 97u);
	}
	if (got != c->expected) {
		fail(number, how, "status", got, c->expected);
	}
	if (got == TMD_OK) {
		if (!holds_model(&d, target, c->target_bytes)) {
			fail(number, how, "the active model is not the target", got, c->expected);
		}
		if (c->expected == TMD_OK && !holds_kept(&d, c)) {
			fail(number, how, "the metadata are not behind it", got, c->expected);
		}
	} else {
		struct tmd_store_info info;
		uint32_t other;

		if ((staged || is_of_head(got, patch, c->patch_bytes)) &&
		    memcmp(before, d.sim.bytes, d.sim.size) != 0) {
			fail(number, how, "flash changed", got, c->expected);
		}
		if (d.config.compiled_in == NULL &&
		    memcmp(before, d.sim.bytes, d.config.slot[0].bytes) != 0) {
			fail(number, how, "active slot changed", got, c->expected);
		}
		if (!holds_model(&d, base, c->base_bytes)) {
			fail(number, how, "the active model is not the base", got, c->expected);
		}
		tmd_store_get_info(&d.store, &info);
		other = d.store.active.slot == 0u ? 1u : 0u;
		if (info.slot_state[other] != TMD_SLOT_IS_NONE || info.trial) {
			fail(number, how, "something is known of the other slot", got, c->expected);
		}
	}
	if (d.sim.counts.illegal != 0u || d.sim.counts.rewrites != 0u) {
		fail(number, how, d.sim.illegal_text, got, c->expected);
	}
	if (failed == failed_before) {
		passed++;
	}
	free(before);
	tmd_sim_device_free(&d);
}

int main(int argc, char **argv)
{
	char magic[8];
	struct one_case c;
	unsigned long number = 0;
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;

	if (file == NULL || fread(magic, sizeof(magic), 1, file) != 1u ||
	    memcmp(magic, "TMDCASE3", sizeof(magic)) != 0) {
		(void)fprintf(stderr, "usage: %s CASES\n", argv[0]);
		return 2;
	}
	while (read_case(file, &c, &geometries[number % GEOMETRIES_N])) {
		run(&c, number, true);
		run(&c, number, false);
		by_status[-c.expected & 127]++;
		free(c.bytes);
		number++;
	}
	(void)fclose(file);
	for (int i = 0; i < 128; i++) {
		if (by_status[i] != 0u) {
			(void)printf("%s %lu\n", tmd_status_name(-i), by_status[i]);
		}
	}
	(void)printf("cases %lu\n%lu passed, %lu failed\n", number, passed, failed);
	return failed == 0u && number > 0u ? 0 : 1;
}

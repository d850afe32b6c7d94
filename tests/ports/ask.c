/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Puts the crypto ports at the disposal of a script: reads a line, calls what it names, and answers with
 * a line. Bytes are hexadecimal, "-" is NULL, numbers are decimal. The answer is the name of a status,
 * then what came out.
 *
 *	secret hmac|cmac|x25519|p256 NUMBER BYTES     the device has this secret, in every port
 *	persistent hmac|cmac NUMBER BYTES             PSA keeps it in its storage, and starts again; it is
 *	                                              then the key of all MACs
 *	locked                                        PSA lets nobody use the next secret
 *	forget                                        no port has a secret any more
 *	verify PORT KIND NUMBER KEY DIGEST SIGNATURE
 *	agree PORT KIND NUMBER PEER                   and the shared secret
 *	aes128 PORT KEY IN                            and the block
 *	hmac KEY DATA                                 and the MAC: the core's own
 *	equal BYTES BYTES                             OK or SIGNATURE: the core's own
 *	fail N                                        the N-th allocation of the next call fails
 *
 * PORT: psa; hmac; mono; chain, which is mono before psa; back, which is psa before mono; all, which is
 * hmac before mono and psa. After each call it is checked that PSA holds as many keys as before; if not,
 * the answer is LEAK.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tinymldelta/hmac.h>
#include <tinymldelta/psa.h>
#include <tinymldelta/status.h>
#ifdef ASK_MONOCYPHER
#include <tinymldelta/monocypher.h>
#endif

#define SECRETS_N 8u
#define LINE 4096u
#define WORDS_N 8u
#define BYTES_N 512u
#define PERSISTENT_ID 0x4D31u

static struct tmd_psa_key macs[SECRETS_N], pairs[SECRETS_N];
static struct tmd_hmac_key hmacs[SECRETS_N];
static uint8_t kept[2u * SECRETS_N][32];
static unsigned int kept_n;

static struct tmd_psa psa = {.macs = macs, .pairs = pairs};
static struct tmd_hmac hmac = {.secrets = hmacs};
static struct tmd_crypto of_psa, of_hmac, of_mono, of_all;
#ifdef ASK_MONOCYPHER
static struct tmd_monocypher_key monos[SECRETS_N];
static struct tmd_monocypher mono = {.secrets = monos};
#endif

static unsigned int fail_at; /* 0: none */
static bool locked;

/* Mbed TLS's allocations come by here: the linker is told so. */
void *__real_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);

void *__wrap_calloc(size_t n, size_t bytes)
{
	return fail_at != 0u && --fail_at == 0u ? NULL : __real_calloc(n, bytes);
}

static void need(int holds, const char *what)
{
	if (!holds) {
		(void)fprintf(stderr, "ask: %s\n", what);
		exit(2);
	}
}

/* Bytes of a word, on the heap and no longer than it says, so that a sanitizer sees a step beyond. */
static uint8_t *to_bytes(const char *word, size_t *bytes)
{
	uint8_t *out = NULL;

	*bytes = 0;
	if (strcmp(word, "-") != 0) {
		*bytes = strlen(word) / 2u;
		need(*bytes <= BYTES_N && strlen(word) % 2u == 0u, word);
		out = malloc(*bytes == 0u ? 1u : *bytes);
		need(out != NULL, "no memory");
		for (size_t i = 0; i < *bytes; i++) {
			unsigned int value = 0;

			need(sscanf(&word[2u * i], "%2x", &value) == 1, word);
			out[i] = (uint8_t)value;
		}
	}
	return out;
}

static uint32_t to_number(const char *word)
{
	return (uint32_t)strtoul(word, NULL, 10);
}

static void answer(int status, const uint8_t *out, size_t bytes)
{
	(void)printf("%s", tmd_status_name(status));
	if (status == TMD_OK && bytes > 0u) {
		(void)printf(" ");
		for (size_t i = 0; i < bytes; i++) {
			(void)printf("%02x", out[i]);
		}
	}
	(void)printf("\n");
}

static struct tmd_crypto *port_of(const char *name)
{
	of_psa = of_hmac = of_mono = of_all = (struct tmd_crypto){0};
	tmd_psa_init(&of_psa, &psa);
	psa.next = hmac.next = NULL;
#ifdef ASK_MONOCYPHER
	mono.next = strcmp(name, "mono") == 0 ? NULL : &of_psa;
	tmd_monocypher_init(&of_mono, &mono);
	if (strcmp(name, "back") == 0) {
		mono.next = NULL;
		tmd_monocypher_init(&of_mono, &mono);
		psa.next = &of_mono;
		return &of_psa;
	}
	if (strcmp(name, "all") == 0) {
		hmac.next = &of_mono;
		tmd_hmac_init(&of_all, &hmac);
		return &of_all;
	}
	if (strcmp(name, "mono") == 0 || strcmp(name, "chain") == 0) {
		return &of_mono;
	}
#endif
	if (strcmp(name, "hmac") == 0) {
		tmd_hmac_init(&of_hmac, &hmac);
		return &of_hmac;
	}
	need(strcmp(name, "psa") == 0, name);
	return &of_psa;
}

/* Give PSA a secret; `id`: in its storage, if that is not 0. */
static psa_key_id_t import(const char *type, const uint8_t *bytes, size_t n, psa_key_id_t id)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t key = 0;

	if (strcmp(type, "hmac") == 0) {
		psa_set_key_type(&attributes, PSA_KEY_TYPE_HMAC);
		psa_set_key_algorithm(&attributes, PSA_ALG_HMAC(PSA_ALG_SHA_256));
		psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_MESSAGE);
	} else if (strcmp(type, "cmac") == 0) {
		psa_set_key_type(&attributes, PSA_KEY_TYPE_AES);
		psa_set_key_algorithm(&attributes, PSA_ALG_CMAC);
		psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_MESSAGE);
	} else {
		psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(
						      strcmp(type, "p256") == 0
							      ? PSA_ECC_FAMILY_SECP_R1
							      : PSA_ECC_FAMILY_MONTGOMERY));
		psa_set_key_algorithm(&attributes, PSA_ALG_ECDH);
		psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_DERIVE);
	}
	if (locked) {
		psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_EXPORT);
		locked = false;
	}
	if (id != 0u) {
		psa_set_key_id(&attributes, id);
		(void)psa_destroy_key(id);
	}
	need(psa_import_key(&attributes, bytes, n, &key) == PSA_SUCCESS, "PSA does not take the secret");
	return key;
}

static void add_secret(const char *type, uint32_t number, const uint8_t *bytes, size_t n,
		       psa_key_id_t key)
{
	uint8_t *own = kept[kept_n];

	need(kept_n < SECRETS_N && n <= 32u, "too many secrets");
	memcpy(own, bytes, n);
	kept_n++;
	if (strcmp(type, "hmac") == 0 || strcmp(type, "cmac") == 0) {
		macs[psa.macs_n++] = (struct tmd_psa_key){number, key};
	} else {
		pairs[psa.pairs_n++] = (struct tmd_psa_key){number, key};
	}
	if (strcmp(type, "hmac") == 0) {
		hmacs[hmac.secrets_n++] = (struct tmd_hmac_key){number, own};
	}
#ifdef ASK_MONOCYPHER
	if (strcmp(type, "x25519") == 0) {
		monos[mono.secrets_n++] = (struct tmd_monocypher_key){number, own};
	}
#endif
}

static void forget(void)
{
	psa.macs_n = psa.pairs_n = hmac.secrets_n = 0;
#ifdef ASK_MONOCYPHER
	mono.secrets_n = 0;
#endif
	kept_n = 0;
	mbedtls_psa_crypto_free();
	need(psa_crypto_init() == PSA_SUCCESS, "PSA does not start");
}

static size_t keys_held(void)
{
	mbedtls_psa_stats_t stats;

	mbedtls_psa_get_stats(&stats);
	return stats.volatile_slots + stats.half_filled_slots + stats.locked_slots;
}

static struct tmd_key key_of(const char *kind, const char *number, const uint8_t *bytes)
{
	const uint32_t id = to_number(number);

	return (struct tmd_key){
		.bytes = bytes,
		.kind = (uint8_t)to_number(kind),
		.id = {(uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16), (uint8_t)(id >> 24)},
	};
}

/* What can be asked, how many words that has, and how many at their end are bytes. */
enum { FORGET, LOCKED, FAIL, SECRET, PERSISTENT, HMAC, EQUAL, VERIFY, AGREE, AES128, COMMANDS_N };

static const struct {
	const char *name;
	unsigned int words;
	unsigned int bytes;
} commands[COMMANDS_N] = {
	[FORGET] = {"forget", 1, 0}, [LOCKED] = {"locked", 1, 0}, [FAIL] = {"fail", 2, 0},
	[SECRET] = {"secret", 4, 1}, [PERSISTENT] = {"persistent", 4, 1},
	[HMAC] = {"hmac", 3, 2},     [EQUAL] = {"equal", 3, 2},
	[VERIFY] = {"verify", 7, 3}, [AGREE] = {"agree", 5, 1},
	[AES128] = {"aes128", 4, 2},
};

static void call_port(unsigned int command, char *const words[], uint8_t *const bytes[3])
{
	const struct tmd_crypto *port = port_of(words[1]);
	const size_t before = keys_held();
	struct tmd_key key;
	uint8_t out[32] = {0};
	int status = TMD_ERR_KEY;

	if (command == AES128) {
		if (port->aes128 != NULL) {
			status = port->aes128(port->ctx, bytes[0], bytes[1], out);
		}
	} else {
		key = key_of(words[2], words[3], command == VERIFY ? bytes[0] : NULL);
		if (command == VERIFY && port->verify != NULL) {
			status = port->verify(port->ctx, &key, bytes[1], bytes[2]);
		} else if (command == AGREE && port->agree != NULL) {
			status = port->agree(port->ctx, &key, bytes[0], out);
		}
	}
	fail_at = 0;
	if (keys_held() != before) {
		(void)printf("LEAK\n");
	} else {
		answer(status, out, command == VERIFY ? 0u : command == AGREE ? 32u : 16u);
	}
}

static void take(char *const words[], unsigned int n)
{
	uint8_t *bytes[3] = {NULL, NULL, NULL};
	size_t lengths[3] = {0, 0, 0};
	uint8_t out[32];
	unsigned int command = 0;
	bool same;

	while (command < COMMANDS_N && strcmp(words[0], commands[command].name) != 0) {
		command++;
	}
	need(command < COMMANDS_N && n == commands[command].words, words[0]);
	for (unsigned int i = 0; i < commands[command].bytes; i++) {
		bytes[i] = to_bytes(words[n - commands[command].bytes + i], &lengths[i]);
	}
	switch (command) {
	case FORGET:
		forget();
		answer(TMD_OK, NULL, 0);
		break;
	case LOCKED:
		locked = true;
		answer(TMD_OK, NULL, 0);
		break;
	case FAIL:
		fail_at = to_number(words[1]);
		answer(TMD_OK, NULL, 0);
		break;
	case SECRET:
		add_secret(words[1], to_number(words[2]), bytes[0], lengths[0],
			   import(words[1], bytes[0], lengths[0], 0));
		answer(TMD_OK, NULL, 0);
		break;
	case PERSISTENT:
		(void)import(words[1], bytes[0], lengths[0], PERSISTENT_ID);
		forget();
		psa.mac = PERSISTENT_ID;
		answer(TMD_OK, NULL, 0);
		break;
	case HMAC:
		same = tmd_hmac_sha256(bytes[0], lengths[0], bytes[1], lengths[1], out);
		answer(same ? TMD_OK : TMD_ERR_CRYPTO, out, 32);
		break;
	case EQUAL:
		need(lengths[0] == lengths[1], "not of one length");
		same = tmd_is_equal(bytes[0], bytes[1], lengths[0]);
		answer(same ? TMD_OK : TMD_ERR_SIGNATURE, NULL, 0);
		break;
	default:
		call_port(command, words, bytes);
		break;
	}
	for (unsigned int i = 0; i < 3u; i++) {
		free(bytes[i]);
	}
}

int main(void)
{
	char line[LINE];

	need(psa_crypto_init() == PSA_SUCCESS, "PSA does not start");
	while (fgets(line, sizeof(line), stdin) != NULL) {
		char *words[WORDS_N];
		unsigned int n = 0;

		for (char *word = strtok(line, " \n"); word != NULL && n < WORDS_N;
		     word = strtok(NULL, " \n")) {
			words[n++] = word;
		}
		need(n > 0u && n < WORDS_N, "an empty line, or one too long");
		take(words, n);
	}
	mbedtls_psa_crypto_free();
	return 0;
}

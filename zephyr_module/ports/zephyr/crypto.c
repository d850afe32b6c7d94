/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The crypto port that Kconfig chose: Monocypher before PSA, or one of the two, or none.
 */
#include <zephyr/init.h>

#if defined(CONFIG_TMD_CRYPTO_MONOCYPHER)
#include <tinymldelta/monocypher.h>
#endif
#if defined(CONFIG_TMD_CRYPTO_PSA)
#include <tinymldelta/psa.h>
#endif

#include "port.h"

static const struct tmd_crypto *chosen;

#if defined(CONFIG_TMD_CRYPTO_PSA) || defined(CONFIG_TMD_CRYPTO_MONOCYPHER)
/* Before any thread may mount a model; nothing here needs more than memory. */
static int init_crypto(void)
{
#if defined(CONFIG_TMD_CRYPTO_PSA)
	static struct tmd_crypto psa_crypto;
	static struct tmd_psa psa = {
		.mac = CONFIG_TMD_MAC_PSA_KEY_ID,
#if defined(CONFIG_TMD_DECRYPT)
		.pair = CONFIG_TMD_DECRYPTION_PSA_KEY_ID,
#endif
	};

	tmd_psa_init(&psa_crypto, &psa);
	chosen = &psa_crypto;
#endif
#if defined(CONFIG_TMD_CRYPTO_MONOCYPHER)
	static struct tmd_crypto monocypher_crypto;
	static struct tmd_monocypher monocypher;

	monocypher.next = chosen;
	tmd_monocypher_init(&monocypher_crypto, &monocypher);
	chosen = &monocypher_crypto;
#endif
	return 0;
}

SYS_INIT(init_crypto, PRE_KERNEL_1, 0);
#endif

const struct tmd_crypto *tmd_zephyr_chosen_crypto(void)
{
	return chosen;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading whole models where they are: in a slot or compiled in.
 */
#ifndef TMD_STORE_MODEL_H
#define TMD_STORE_MODEL_H

#include <tinymldelta/store.h>

/* `slot` is 0, 1 or TMD_SLOT_COMPILED_IN; the range must lie within the model. */
int tmd_model_read(const struct tmd_store *store, uint8_t slot, uint32_t offset, void *buf,
		   uint32_t bytes);

/* Read `bytes` of the slot from its start into `print`, begun for digest `kind`. Uses store->buf. */
int tmd_model_fingerprint(struct tmd_store *store, uint8_t slot, uint32_t bytes, uint8_t kind,
			  struct tmd_fingerprint *print);

#endif /* TMD_STORE_MODEL_H */

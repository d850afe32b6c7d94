/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Arrays as large as the structs that a caller owns, and as the room for metadata in one of them: the
 * sizes are read from the object file.
 */
#include <tinymldelta/tinymldelta.h>

extern const char sizeof_tmd_store[];
extern const char sizeof_tmd_update[];
extern const char sizeof_tmd_model[];
extern const char sizeof_tmd_patch[];
extern const char sizeof_tmd_fingerprint[];
extern const char sizeof_kept[];

const char sizeof_tmd_store[sizeof(struct tmd_store)] = {1};
const char sizeof_tmd_update[sizeof(struct tmd_update)] = {1};
const char sizeof_tmd_model[sizeof(struct tmd_model)] = {1};
const char sizeof_tmd_patch[sizeof(struct tmd_patch)] = {1};
const char sizeof_tmd_fingerprint[sizeof(struct tmd_fingerprint)] = {1};
const char sizeof_kept[sizeof(((struct tmd_patch_info *)0)->kept)] = {1};

#if TMD_STAGING
extern const char sizeof_tmd_staging[];

const char sizeof_tmd_staging[sizeof(struct tmd_staging)] = {1};
#endif

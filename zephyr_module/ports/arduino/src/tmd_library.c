/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tmd_library.h"

struct tmd_library tmd_library_built(void)
{
	const struct tmd_library built = {
		(uint32_t)sizeof(struct tmd_store),
		(uint32_t)sizeof(struct tmd_update),
		TMD_LIBRARY_OPTIONS,
	};

	return built;
}

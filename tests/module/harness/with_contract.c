/* SPDX-License-Identifier: Apache-2.0 */

#include "tmd_contract.h"

uint32_t arena_bytes(void);

uint32_t arena_bytes(void)
{
	return tmd_contract.models[0].arena_bytes;
}

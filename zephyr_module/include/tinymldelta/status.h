/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Names and texts of status codes and rules, from the lists in wire.h. Linked only where used.
 */
#ifndef TINYMLDELTA_STATUS_H
#define TINYMLDELTA_STATUS_H

#include "wire.h"

#if defined(__cplusplus) && !defined(TMD_CDEF)
extern "C" {
#endif

const char *tmd_status_name(int status); /* "ARENA"; "?" for a number that is none */
const char *tmd_status_text(int status); /* one clause, without a full stop */
const char *tmd_rule_name(int rule);

#if defined(__cplusplus) && !defined(TMD_CDEF)
}
#endif

#endif /* TINYMLDELTA_STATUS_H */

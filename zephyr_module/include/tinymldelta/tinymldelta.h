/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything that an application needs.
 */
#ifndef TINYMLDELTA_H
#define TINYMLDELTA_H

#include "contract.h"
#include "crypto.h"
#include "digest.h"
#include "flash.h"
#include "guard.h"
#include "patch.h"
#include "sealed.h"
#include "staging.h"
#include "status.h"
#include "store.h"
#include "update.h"

#define TMD_VERSION "0.1.0"

#endif /* TINYMLDELTA_H */

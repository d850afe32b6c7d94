/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * All that the Python package sees of the C.
 */
#include "encoder.h"
#include "sim/device.h"
#include <tinymldelta/smp.h>

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The autoencoder in the model store: opened, changed between two inferences when an update has
 * come, confirmed once it has worked.
 */
#ifndef THERMO_AUTOENCODER_H
#define THERMO_AUTOENCODER_H

#include <stdbool.h>

#include "window.h"

void autoencoder_start(void);

/*
 * The error of restoring the window, in deviations. False: there is no model that works, which has
 * been said; a later update may bring one.
 */
bool autoencoder_score(const struct window *window, float *score);

#endif /* THERMO_AUTOENCODER_H */

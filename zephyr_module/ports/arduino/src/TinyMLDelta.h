/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * TinyMLDelta for Arduino: everything that a sketch needs. The C functions are those of every other
 * platform; here are besides
 *
 *	TinyMLDeltaSerial.h    a store that is updated over a serial port
 *	tmd_ra4m1.h            flash of UNO R4 Minima and WiFi
 *	tmd_esp_partition.h    flash of ESP32s
 *	tmd_ram.h              RAM in place of flash, for boards whose flash a sketch cannot write
 *	tmd_library.h          the library's options, and how to set them
 */
#ifndef TINYMLDELTA_ARDUINO_H
#define TINYMLDELTA_ARDUINO_H

#include <tinymldelta/tinymldelta.h>

#include "TinyMLDeltaSerial.h"
#include "tmd_library.h"
#include "tmd_ram.h"

#if defined(ARDUINO_ARCH_RENESAS_UNO) || defined(ARDUINO_ARCH_RENESAS)
#include "tmd_ra4m1.h"
#elif defined(ARDUINO_ARCH_ESP32)
#include "tmd_esp_partition.h"
#endif

#endif /* TINYMLDELTA_ARDUINO_H */

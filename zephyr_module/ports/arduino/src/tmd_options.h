/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The library's own options: config.h reads this file first, in the sketch and in the library alike.
 * `bundle.py --option` writes them below; so does an editor. Options on the compiler's command line
 * come before these, so each stands in an #ifndef.
 */
#ifndef TMD_OPTIONS_H
#define TMD_OPTIONS_H

#endif /* TMD_OPTIONS_H */

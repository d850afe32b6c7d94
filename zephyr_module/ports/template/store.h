/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The store of one model on this port: what an application calls. Statuses are those of
 * tinymldelta/wire.h; one thread at a time.
 */
#ifndef TMD_PORTS_TEMPLATE_STORE_H
#define TMD_PORTS_TEMPLATE_STORE_H

#include <tinymldelta/tinymldelta.h>

extern struct tmd_model port_model; /* after port_store_start: what runs */

int port_store_mount(void); /* at power-on, before all else */

/* A patch, as it arrives, in pieces of any size. */
int port_store_begin(void);
int port_store_take(const void *piece, size_t bytes);
int port_store_finish(void);

int port_store_start(void);   /* port_model.at, port_model.bytes: for the interpreter */
int port_store_confirm(void); /* it works: keep it */

#endif /* TMD_PORTS_TEMPLATE_STORE_H */

/*
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TESTS_STORE_DEVICE_H
#define TESTS_STORE_DEVICE_H

/* Before each test: a device as the factory ships it, just powered on. */
void device_from_factory(void *fixture);

#endif /* TESTS_STORE_DEVICE_H */

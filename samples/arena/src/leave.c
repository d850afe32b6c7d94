/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "leave.h"

#include <stdint.h>
#include <version.h>
#include <zephyr/arch/common/semihost.h>
#include <zephyr/fatal.h>

/* Not among Zephyr's enum: SYS_EXIT_EXTENDED and its reason, of Arm's semihosting. */
#define EXIT_EXTENDED    0x20
#define APPLICATION_EXIT 0x20026

void leave(enum outcome outcome)
{
	uintptr_t arguments[] = {APPLICATION_EXIT, outcome};

	semihost_exec((enum semihost_instr)EXIT_EXTENDED, arguments);
	for (;;) {
		/* Only without semihosting; the measurement's time limit ends this. */
	}
}

/*
 * TFLM may fault instead of returning an error when the arena is too small. Zephyr's abort(), which
 * its checks call, ends here too.
 */
#if KERNEL_VERSION_NUMBER >= 0x030700 /* 3.7 renamed the type */
void k_sys_fatal_error_handler(unsigned int reason, const struct arch_esf *frame)
#else
void k_sys_fatal_error_handler(unsigned int reason, const z_arch_esf_t *frame)
#endif
{
	(void)reason;
	(void)frame;
	leave(OUTCOME_FAULT);
}

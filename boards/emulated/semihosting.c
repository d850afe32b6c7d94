/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The host's services, by the calls of "Semihosting for AArch32 and AArch64" (Arm IHI 0101), which
 * RISC-V has taken over. Lengths and results are of the processor's word.
 */
#include <string.h>

#include "board.h"

#define SYS_OPEN 0x01u
#define SYS_CLOSE 0x02u
#define SYS_WRITE0 0x04u
#define SYS_WRITE 0x05u
#define SYS_READ 0x06u
#define SYS_SEEK 0x0Au
#define SYS_FLEN 0x0Cu
#define SYS_GET_CMDLINE 0x15u
#define SYS_EXIT_EXTENDED 0x20u
#define APPLICATION_EXIT 0x20026u

void board_print(const char *text)
{
	(void)board_semihosting(SYS_WRITE0, text);
}

void board_print_number(uint32_t value)
{
	char text[11];
	char *p = &text[sizeof(text) - 1u];

	*p = '\0';
	do {
		*--p = (char)('0' + value % 10u);
		value /= 10u;
	} while (value != 0u);
	board_print(p);
}

_Noreturn void board_exit(int status)
{
	const uintptr_t block[2] = {APPLICATION_EXIT, (uintptr_t)status};

	(void)board_semihosting(SYS_EXIT_EXTENDED, block);
	for (;;) {
	}
}

bool board_arguments(char *text, size_t size)
{
	uintptr_t block[2] = {(uintptr_t)text, size};
	char *behind;

	if (board_semihosting(SYS_GET_CMDLINE, block) != 0u) {
		return false;
	}
	behind = strchr(text, ' ');
	if (behind == NULL) {
		return false;
	}
	memmove(text, behind + 1, strlen(behind + 1) + 1u);
	return true;
}

int board_file_open(const char *name, enum board_file_mode mode)
{
	const uintptr_t block[3] = {(uintptr_t)name, (uintptr_t)mode, strlen(name)};

	return (int)board_semihosting(SYS_OPEN, block);
}

void board_file_close(int file)
{
	const uintptr_t block[1] = {(uintptr_t)file};

	(void)board_semihosting(SYS_CLOSE, block);
}

int32_t board_file_bytes(int file)
{
	const uintptr_t block[1] = {(uintptr_t)file};

	return (int32_t)board_semihosting(SYS_FLEN, block);
}

/* SYS_READ or SYS_WRITE; both return how many bytes were *not* moved. */
static bool moved(uintptr_t operation, int file, uint32_t offset, const void *buf, uint32_t bytes)
{
	const uintptr_t seek[2] = {(uintptr_t)file, offset};
	const uintptr_t block[3] = {(uintptr_t)file, (uintptr_t)buf, bytes};

	return board_semihosting(SYS_SEEK, seek) == 0u && board_semihosting(operation, block) == 0u;
}

bool board_file_read(int file, uint32_t offset, void *buf, uint32_t bytes)
{
	return moved(SYS_READ, file, offset, buf, bytes);
}

bool board_file_write(int file, uint32_t offset, const void *buf, uint32_t bytes)
{
	return moved(SYS_WRITE, file, offset, buf, bytes);
}

/* SPDX-License-Identifier: Apache-2.0 */

int without(void);

int without(void)
{
	return 1;
}

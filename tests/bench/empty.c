/* SPDX-License-Identifier: ISC */
/* Begins and ends: what the static libc does in each program. */
int main(void)
{
	return 0;
}

/* SPDX-License-Identifier: ISC */
/* The least that can be executed: it ends. What a program costs beyond it before main() is the loader's and libc's. */
#include <sys/syscall.h>

void _start(void)
{
#if defined(__x86_64__)
	__asm__ volatile("syscall" : : "a"(SYS_exit), "D"(0));
#elif defined(__aarch64__)
	register long call __asm__("x8") = SYS_exit;
	register long status __asm__("x0") = 0;

	__asm__ volatile("svc 0" : : "r"(call), "r"(status));
#elif defined(__i386__)
	__asm__ volatile("int $0x80" : : "a"(SYS_exit), "b"(0));
#endif
	/* elsewhere it ends by a signal */
	__builtin_trap();
}

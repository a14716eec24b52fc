/* SPDX-License-Identifier: ISC */
/*
 * The socket functions for an architecture whose libc uses socketcall(). They replace
 * those of libc, and use the separate calls that Linux has since 4.3, whose arguments a
 * filter can read.
 */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __i386__
int socket(int domain, int type, int protocol)
{
	return (int)syscall(SYS_socket, domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int ret_ends[2])
{
	return (int)syscall(SYS_socketpair, domain, type, protocol, ret_ends);
}

int connect(int fd, const struct sockaddr *to, socklen_t n)
{
	return (int)syscall(SYS_connect, fd, to, n);
}

int accept4(int fd, struct sockaddr *from, socklen_t *n, int flags)
{
	return (int)syscall(SYS_accept4, fd, from, n, flags);
}

int shutdown(int fd, int how)
{
	return (int)syscall(SYS_shutdown, fd, how);
}

int getsockname(int fd, struct sockaddr *to, socklen_t *n)
{
	return (int)syscall(SYS_getsockname, fd, to, n);
}

int getpeername(int fd, struct sockaddr *to, socklen_t *n)
{
	return (int)syscall(SYS_getpeername, fd, to, n);
}

int getsockopt(int fd, int level, int name, void *to, socklen_t *n)
{
	return (int)syscall(SYS_getsockopt, fd, level, name, to, n);
}

int setsockopt(int fd, int level, int name, const void *from, socklen_t n)
{
	return (int)syscall(SYS_setsockopt, fd, level, name, from, n);
}

ssize_t recvfrom(
	int fd, void *to, size_t n, int flags, struct sockaddr *from, socklen_t *n_from)
{
	return syscall(SYS_recvfrom, fd, to, n, flags, from, n_from);
}

ssize_t recv(int fd, void *to, size_t n, int flags)
{
	return recvfrom(fd, to, n, flags, NULL, NULL);
}

ssize_t recvmsg(int fd, struct msghdr *to, int flags)
{
	return syscall(SYS_recvmsg, fd, to, flags);
}

ssize_t sendto(int fd, const void *from, size_t n, int flags, const struct sockaddr *to,
	socklen_t n_to)
{
	return syscall(SYS_sendto, fd, from, n, flags, to, n_to);
}

ssize_t send(int fd, const void *from, size_t n, int flags)
{
	return sendto(fd, from, n, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *from, int flags)
{
	return syscall(SYS_sendmsg, fd, from, flags);
}
#else
_Static_assert(SYS_sendto > 0, "libc calls it by itself");
#endif

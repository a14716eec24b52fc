/* SPDX-License-Identifier: ISC */
/* The floor for a big message: copies standard input to FILE as quickly as it can, and syncs it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCK (128 * 1024) /* as postern reads */

int main(int argc, char **argv)
{
	char *block = malloc(BLOCK);
	ssize_t n = -1;
	int fd = argc == 2 ? open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;

	if (!block || fd < 0) {
		perror(argc == 2 ? argv[1] : "usage: copy FILE");
		return 1;
	}
	while ((n = read(STDIN_FILENO, block, BLOCK)) > 0)
		if (write(fd, block, (size_t)n) != n)
			break;
	if (n != 0 || fsync(fd) < 0) {
		perror(argv[1]);
		return 1;
	}
	free(block);
	return close(fd) < 0;
}

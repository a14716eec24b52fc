/* SPDX-License-Identifier: ISC */
/*
 * Put before the program by LD_PRELOAD, it lets allocations of one process fail: the NTH, or all from it on. Modules
 * are loaded so that they find these functions, too, and a program that executes itself anew keeps them.
 *
 * POSTERN_ALLOCATIONS names a file of struct state, which is mapped before the program begins: later on a sandbox
 * forbids most calls. A crash leaves there the functions that were active.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

#define PROCESSES_MAX 64
#define WHERE_MAX 1024
#define VARIABLE "POSTERN_ALLOCATIONS"

/* tests/system/campaign.py writes and reads the same */
struct state {
	uint32_t process, nth, always; /* which fails: nth from 1, 0 for none */
	uint32_t hit;
	_Atomic uint32_t n_processes;
	int32_t pids[PROCESSES_MAX]; /* in the order of their start */
	uint32_t counts[PROCESSES_MAX];
	/* for the allocation: objects and functions, innermost first, with spaces between them */
	char asked[WHERE_MAX];
	char crashed[WHERE_MAX]; /* likewise */
};

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static struct state *state;
static uint32_t process;
static char preload[4096], file[4096];
static void *(*real_dlopen)(const char *, int);
static int (*real_execv)(const char *, char *const[]);

static _Unwind_Reason_Code note_frame(struct _Unwind_Context *context, void *where)
{
	Dl_info info;
	const char *name;
	size_t n = strlen(where);

	if (!dladdr((void *)_Unwind_GetIP(context), &info) || !info.dli_fname)
		return _URC_NO_REASON;
	name = strrchr(info.dli_fname, '/');
	name = name ? name + 1 : info.dli_fname;
	snprintf((char *)where + n, WHERE_MAX - n, "%s:%s+0x%lx ", name,
		info.dli_sname ? info.dli_sname : "",
		(unsigned long)_Unwind_GetIP(context) - (unsigned long)info.dli_fbase);
	return _URC_NO_REASON;
}

static bool fails(void)
{
	uint32_t n;

	if (!state || process >= PROCESSES_MAX)
		return false;
	n = ++state->counts[process];
	if (process != state->process || state->nth == 0 || n < state->nth ||
		(n > state->nth && !state->always))
		return false;
	if (!state->hit)
		_Unwind_Backtrace(note_frame, state->asked);
	state->hit = 1;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}

void *reallocarray(void *p, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, n * size);
}

void *memalign(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	void *p = memalign(alignment, size);

	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}

/* A module that looks into its own libraries first would find malloc() of libc. */
void *dlopen(const char *path, int flags)
{
	return real_dlopen(path, flags & ~RTLD_DEEPBIND);
}

int execv(const char *path, char *const argv[])
{
	setenv("LD_PRELOAD", preload, 1);
	setenv(VARIABLE, file, 1);
	return real_execv(path, argv);
}

static void find_process(void)
{
	int32_t pid = getpid();
	uint32_t n = state->n_processes;

	/* one that has executed itself anew is the same */
	for (process = 0; process < n && process < PROCESSES_MAX; process++)
		if (state->pids[process] == pid)
			return;
	process = atomic_fetch_add(&state->n_processes, 1);
	if (process < PROCESSES_MAX)
		state->pids[process] = pid;
}

/* The action is the default one again: what has failed fails once more, and ends the process. */
static void on_crash(int number)
{
	(void)number;
	if (state->crashed[0] == '\0')
		_Unwind_Backtrace(note_frame, state->crashed);
}

static void catch_crashes(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGILL, SIGABRT, SIGFPE };
	const struct sigaction action = { .sa_handler = on_crash,
		.sa_flags = (int)SA_RESETHAND };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		sigaction(numbers[i], &action, NULL);
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv(VARIABLE), *library = getenv("LD_PRELOAD");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *mapped = MAP_FAILED;

	real_dlopen = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
	real_execv = (int (*)(const char *, char *const[]))dlsym(RTLD_NEXT, "execv");
	if (fd >= 0) {
		mapped = mmap(
			NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (mapped == MAP_FAILED || !library)
		return;
	snprintf(preload, sizeof(preload), "%s", library);
	snprintf(file, sizeof(file), "%s", path);
	catch_crashes();
	state = mapped;
	find_process();
	pthread_atfork(NULL, NULL, find_process);
}

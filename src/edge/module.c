/* SPDX-License-Identifier: ISC */
/*
 * Finds and loads the modules tls.so, sasl.so and idn.so. A missing library disables
 * only the feature that needs it.
 */
#include "edge/module.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "edge/file.h"

/*
 * Files by which a build folder is recognised. One of them may be missing, which is
 * reported later.
 */
static const char *const modules_beside[] = { "/tls.so", "/idn.so" };

/*
 * COST: lazy binding, with the module's own libraries searched first, saves a tenth of
 * the instructions of a TLS session; without it: RTLD_NOW | RTLD_LOCAL. MODULE_SCOPE is
 * RTLD_DEEPBIND, but 0 under the sanitizers, which replace malloc everywhere.
 */
#define FLAGS (RTLD_LOCAL | MODULE_SCOPE)

/* Cuts "/usr/sbin/postern" to "/usr/sbin". */
static void cut_name(struct buf *path)
{
	while (path->n && path->p[path->n - 1] != '/')
		path->n--;
	if (path->n)
		path->n--;
	else
		buf_put_char(path, '.');
}

/*
 * True when the modules are in the directory of that program; *ret_path is then this
 * directory.
 */
static bool is_beside(const char *program, struct buf *ret_path)
{
	struct stat st;
	size_t n;

	*ret_path = (struct buf){ .p = ret_path->p, .cap = ret_path->cap };
	buf_put_str(ret_path, program);
	cut_name(ret_path);
	n = ret_path->n;
	for (size_t i = 0; i < sizeof(modules_beside) / sizeof(*modules_beside); i++) {
		ret_path->n = n;
		buf_put_str(ret_path, modules_beside[i]);
		if (!buf_terminate(ret_path) || lstat(ret_path->p, &st) < 0)
			continue;
		ret_path->n = n;
		return buf_terminate(ret_path);
	}
	return false;
}

/* Like is_beside(), for the running program, whatever its name is. */
static bool is_beside_us(struct buf *ret_path)
{
	char path[MODULE_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return false;
	path[n] = '\0';
	return is_beside(path, ret_path);
}

/*
 * COST: 37 us of a session, 3 %: the first access to /proc (readlink() alone, lowest
 * tenth of 400 processes); without it: the program's directory is always looked up.
 */
static bool is_installed(const char *name)
{
	return name && strcmp(name, PROGRAM_DIR "/postern") == 0;
}

void module_directory(struct buf *ret_path)
{
	/* the caller of a set-user-ID program could choose the name */
	const char *name =
		getauxval(AT_SECURE) ? NULL : (const char *)getauxval(AT_EXECFN);

	if (!is_installed(name) &&
		((name && is_beside(name, ret_path)) || is_beside_us(ret_path)))
		return;
	*ret_path = (struct buf){ .p = ret_path->p, .cap = ret_path->cap };
	buf_put_str(ret_path, MODULE_DIR);
	buf_terminate(ret_path);
}

/* Follows the path of a module that lacks the table of this version. */
static const char other_version[] =
	" is of another version of postern; processes that start now use it; "
	"if they report this, too: install postern again: meson install -C build";

static const void *load(const char *directory, const char *file, const char *name,
	int when, const char **ret_error)
{
	char path[2 * MODULE_PATH_MAX];
	struct buf b = BUF(path);
	const void *table = NULL;
	void *module;

	buf_put_str(&b, directory);
	buf_put_char(&b, '/');
	buf_put_str(&b, file);
	module = buf_terminate(&b) ? dlopen(path, when | FLAGS) : NULL;
	if (module)
		table = dlsym(module, name);
	if (module && !table) {
		*ret_error = other_version;
	} else if (!table) {
		*ret_error = dlerror();
		if (!*ret_error)
			*ret_error = "the path of the module is too long";
	}
	return table;
}

void module_put_fault(
	struct buf *to, const char *directory, const char *file, const char *error)
{
	char path[2 * MODULE_PATH_MAX];
	struct buf b = BUF(path);
	struct stat st;
	bool is_there;

	buf_put_str(&b, directory);
	buf_put_char(&b, '/');
	buf_put_str(&b, file);
	if (error == other_version)
		buf_put(to, buf_span(&b));
	buf_put_str(to, error);
	if (!buf_terminate(&b) || error == other_version) {
		buf_terminate(to);
		return;
	}
	is_there = stat(path, &st) == 0;
	if (is_there && strncmp(error, path, b.n) != 0) {
		buf_put(to, SPAN("; install what is missing: ldd "));
		buf_put_str(to, path);
	} else if (is_there && strstr(error, "failed to map")) {
		buf_put(to, SPAN("; a mount with noexec or a unit with NoExecPaths= "
				 "forbids to execute it, see findmnt -T "));
		buf_put_str(to, path);
		buf_put(to, SPAN(", or add to the unit ExecPaths="));
		buf_put_str(to, directory);
	} else if (is_there && strstr(error, strerror(EACCES))) {
		buf_put(to, SPAN("; chmod 755 "));
		buf_put_str(to, path);
	} else if (!is_there && errno == EACCES) {
		file_put_closed(to, path);
	} else {
		buf_put(to, SPAN("; install postern again: meson install -C build"));
	}
	buf_terminate(to);
}

const void *module_load(
	const char *directory, const char *file, const char *name, const char **ret_error)
{
	return load(directory, file, name, RTLD_LAZY, ret_error);
}

const void *module_load_whole(
	const char *directory, const char *file, const char *name, const char **ret_error)
{
	return load(directory, file, name, RTLD_NOW, ret_error);
}

const char *module_inside(void)
{
	return NULL;
}

/* Files that the loader reads, in addition to its search path. */
static const char *const loader_files[] = {
	"/etc/ld.so.cache",
	"/usr/local/lib", /* the loader finds it only by its cache */
	NULL,
};

/* True for Debian's directory of an architecture: x86_64-linux-gnu. */
static bool is_architecture(const char *name)
{
	const char *rest = strchr(name, '-');

	return rest && strncmp(rest, "-linux-", 7) == 0 && !strchr(rest, '/');
}

/*
 * True when another directory of the path, such as /lib, contains this one. Only
 * directories of an architecture are left out for this reason: others may be links to
 * another place, which a rule for the parent does not cover.
 */
static bool is_within_another(const Dl_serinfo *path, unsigned i)
{
	const char *name = path->dls_serpath[i].dls_name;

	for (unsigned j = 0; j < path->dls_cnt; j++) {
		const char *above = path->dls_serpath[j].dls_name;
		size_t n = strlen(above);

		if (strncmp(name, above, n) == 0 && name[n] == '/' &&
			is_architecture(name + n + 1))
			return true;
	}
	return false;
}

/*
 * Lists the directories that dlopen() searches: DT_RPATH, LD_LIBRARY_PATH and those of
 * the system.
 */
static int take_search_path(
	void *program, int (*take)(void *ctx, const char *path), void *ctx)
{
	Dl_serinfo size;
	OWNED Dl_serinfo *path = NULL;
	int r = 0;

	if (dlinfo(program, RTLD_DI_SERINFOSIZE, &size) < 0)
		return -ELIBACC;
	path = malloc(size.dls_size);
	if (!path)
		return -ENOMEM;
	path->dls_size = size.dls_size;
	path->dls_cnt = size.dls_cnt;
	if (dlinfo(program, RTLD_DI_SERINFO, path) < 0)
		return -ELIBACC;
	for (unsigned i = 0; r == 0 && i < size.dls_cnt; i++)
		if (!is_within_another(path, i))
			r = take(ctx, path->dls_serpath[i].dls_name);
	return r;
}

int module_search(int (*take)(void *ctx, const char *path), void *ctx)
{
	void *program = dlopen(NULL, RTLD_LAZY);
	int r;

	if (!program)
		return -ELIBACC;
	r = take_search_path(program, take, ctx);
	dlclose(program);
	for (const char *const *file = loader_files; *file && r == 0; file++)
		r = take(ctx, *file);
	return r;
}

/* What a shared library has made for itself, no other code can free. */
void module_rest(void)
{
}

/* SPDX-License-Identifier: ISC */
/*
 * Replacements in a static program for functions that cannot be linked into one: p11-kit
 * and GSSAPI, for which Debian has no archives; iconv and the name services, which would
 * load modules and with them another libc. Users are those of /etc/passwd; all else
 * fails: there are no keys in tokens and no Kerberos, and no character set is converted.
 */
#include <errno.h>
#include <iconv.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

/* All results fit into one register: a pointer or a number. */
#define STAND_IN(name, result)                                                           \
	long name(void);                                                                 \
	long name(void)                                                                  \
	{                                                                                \
		return (result);                                                         \
	}

#define NOTHING 0 /* NULL, false, or the length of nothing */
#define P11_FAILED (-1) /* P11_KIT_URI_UNEXPECTED; not a valid CK_RV either */
#define P11_BAD_SCHEME (-2) /* P11_KIT_URI_BAD_SCHEME */
#define GSS_FAILED (13L << 16) /* GSS_S_FAILURE */

STAND_IN(p11_kit_config_option, NOTHING)
STAND_IN(p11_kit_message, NOTHING)
STAND_IN(p11_kit_module_finalize, P11_FAILED)
STAND_IN(p11_kit_module_get_flags, NOTHING)
STAND_IN(p11_kit_module_get_name, NOTHING)
STAND_IN(p11_kit_module_load, NOTHING)
STAND_IN(p11_kit_module_release, NOTHING)
STAND_IN(p11_kit_modules_load, NOTHING)
STAND_IN(p11_kit_pin_file_callback, NOTHING)
STAND_IN(p11_kit_pin_get_length, NOTHING)
STAND_IN(p11_kit_pin_get_value, NOTHING)
STAND_IN(p11_kit_pin_new_for_string, NOTHING)
STAND_IN(p11_kit_pin_register_callback, NOTHING)
STAND_IN(p11_kit_pin_request, NOTHING)
STAND_IN(p11_kit_pin_unref, NOTHING)
STAND_IN(p11_kit_pin_unregister_callback, NOTHING)
STAND_IN(p11_kit_space_strdup, NOTHING)
STAND_IN(p11_kit_space_strlen, NOTHING)
STAND_IN(p11_kit_uri_format, P11_FAILED)
STAND_IN(p11_kit_uri_free, NOTHING)
STAND_IN(p11_kit_uri_get_attribute, NOTHING)
STAND_IN(p11_kit_uri_get_attributes, NOTHING)
STAND_IN(p11_kit_uri_get_module_info, NOTHING)
STAND_IN(p11_kit_uri_get_pin_source, NOTHING)
STAND_IN(p11_kit_uri_get_pin_value, NOTHING)
STAND_IN(p11_kit_uri_get_token_info, NOTHING)
STAND_IN(p11_kit_uri_match_module_info, NOTHING)
STAND_IN(p11_kit_uri_match_token_info, NOTHING)
/* without a URI, and where its fault is P11_FAILED, GnuTLS finds that memory is short */
STAND_IN(p11_kit_uri_new, (long)"a URI")
STAND_IN(p11_kit_uri_parse, P11_BAD_SCHEME)
STAND_IN(p11_kit_uri_set_attribute, P11_FAILED)

const char *p11_kit_strerror(long error);

const char *p11_kit_strerror(long error)
{
	(void)error;
	return "this program has no PKCS#11";
}

extern const void *const GSS_C_NT_HOSTBASED_SERVICE;
const void *const GSS_C_NT_HOSTBASED_SERVICE = NULL;

STAND_IN(gss_accept_sec_context, GSS_FAILED)
STAND_IN(gss_acquire_cred, GSS_FAILED)
STAND_IN(gss_decapsulate_token, GSS_FAILED)
STAND_IN(gss_delete_sec_context, GSS_FAILED)
STAND_IN(gss_display_name, GSS_FAILED)
STAND_IN(gss_encapsulate_token, GSS_FAILED)
STAND_IN(gss_import_name, GSS_FAILED)
STAND_IN(gss_init_sec_context, GSS_FAILED)
STAND_IN(gss_inquire_mech_for_saslname, GSS_FAILED)
STAND_IN(gss_oid_equal, NOTHING)
STAND_IN(gss_release_buffer, GSS_FAILED)
STAND_IN(gss_release_cred, GSS_FAILED)
STAND_IN(gss_release_name, GSS_FAILED)
STAND_IN(gss_release_oid_set, GSS_FAILED)
STAND_IN(gss_test_oid_set_member, GSS_FAILED)
STAND_IN(gss_unwrap, GSS_FAILED)
STAND_IN(gss_wrap, GSS_FAILED)

iconv_t iconv_open(const char *to, const char *from)
{
	(void)to;
	(void)from;
	errno = EINVAL;
	return (iconv_t)-1;
}

size_t iconv(iconv_t converter, char **from, size_t *n_from, char **to, size_t *n_to)
{
	(void)converter;
	(void)from;
	(void)n_from;
	(void)to;
	(void)n_to;
	errno = EBADF;
	return (size_t)-1;
}

int iconv_close(iconv_t converter)
{
	(void)converter;
	errno = EBADF;
	return -1;
}

/* Reads only /etc/passwd. Like the function that it replaces, it is not reentrant. */
struct passwd *getpwnam(const char *name)
{
	FILE *users = fopen("/etc/passwd", "re");
	struct passwd *user = NULL;

	if (!users)
		return NULL;
	do
		user = fgetpwent(users);
	while (user && strcmp(user->pw_name, name) != 0);
	fclose(users);
	if (!user)
		errno = 0;
	return user;
}

/* Finds a user by name, or by number where that is NULL, in /etc/passwd alone. */
static int find_user(const char *name, uid_t uid, struct passwd *user, char *to, size_t n,
	struct passwd **ret_user)
{
	FILE *users = fopen("/etc/passwd", "re");
	struct passwd *found = NULL;
	int r = users ? 0 : errno;

	*ret_user = NULL;
	if (!users)
		return r;
	do
		r = fgetpwent_r(users, user, to, n, &found);
	while (r == 0 && found &&
		(name ? strcmp(found->pw_name, name) != 0 : found->pw_uid != uid));
	fclose(users);
	if (r == 0)
		*ret_user = found;
	return r == ENOENT ? 0 : r;
}

int getpwnam_r(const char *name, struct passwd *user, char *to, size_t n,
	struct passwd **ret_user)
{
	return find_user(name, 0, user, to, n, ret_user);
}

/* Also of GnuTLS, to find the home directory, for lists of known hosts. */
int getpwuid_r(
	uid_t uid, struct passwd *user, char *to, size_t n, struct passwd **ret_user)
{
	return find_user(NULL, uid, user, to, n, ret_user);
}

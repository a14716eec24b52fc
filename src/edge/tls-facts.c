/*
 * Names what was negotiated, or why nothing was. No peer's octet passes unless it is
 * plain text.
 */
#include "edge/tls-facts.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/span.h"

#define ALERT_PREFIX "GNUTLS_A_"

static void set(char *to, size_t n, const char *from)
{
	snprintf(to, n, "%s", from ? from : "");
}

static void lower(char *text)
{
	for (; *text; text++)
		*text = ascii_lower(*text);
}

/* Printable, and nothing that a log line or a quoted string would have to escape. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || *text == '"' || *text == '\'' ||
			*text == '`' || *text == '\\')
			return false;
	return true;
}

static void set_sni(gnutls_session_t session, struct tls_facts *ret)
{
	size_t n = sizeof(ret->sni);
	unsigned int type;

	if (gnutls_server_name_get(session, ret->sni, &n, &type, 0) < 0 ||
		strlen(ret->sni) != n || !is_plain(ret->sni))
		ret->sni[0] = '\0';
}

static void set_alpn(gnutls_session_t session, struct tls_facts *ret)
{
	gnutls_datum_t chosen;

	/* One of ours: the server chooses from its own list. */
	if (gnutls_alpn_get_selected_protocol(session, &chosen) == 0 &&
		chosen.size < sizeof(ret->alpn))
		memcpy(ret->alpn, chosen.data, chosen.size);
}

void facts_of_session(gnutls_session_t session, struct tls_facts *ret)
{
	gnutls_group_t group = gnutls_group_get(session);

	*ret = (struct tls_facts){ .resumed = gnutls_session_is_resumed(session) };
	set(ret->version, sizeof(ret->version),
		gnutls_protocol_get_name(gnutls_protocol_get_version(session)));
	set(ret->cipher, sizeof(ret->cipher), gnutls_ciphersuite_get(session));
	if (group != GNUTLS_GROUP_INVALID)
		set(ret->group, sizeof(ret->group), gnutls_group_get_name(group));
	lower(ret->group);
	set_sni(session, ret);
	set_alpn(session, ret);
}

static void set_alert(gnutls_session_t session, struct tls_facts *ret)
{
	gnutls_alert_description_t alert = gnutls_alert_get(session);
	const char *name = gnutls_alert_get_strname(alert);

	if (name && strncmp(name, ALERT_PREFIX, strlen(ALERT_PREFIX)) == 0)
		set(ret->alert, sizeof(ret->alert), name + strlen(ALERT_PREFIX));
	else
		snprintf(ret->alert, sizeof(ret->alert), "alert %d", (int)alert);
	lower(ret->alert);
}

/* What ended the handshake below TLS. */
static const char *io_words(int error)
{
	switch (error) {
	case -ETIMEDOUT:
	case -ETIME:
		return "The handshake took too long";
	case -EINTR:
		return "Stopped by a signal";
	default:
		return strerror(-error);
	}
}

void facts_of_failure(
	gnutls_session_t session, int code, int io_error, struct tls_facts *ret)
{
	set(ret->error, sizeof(ret->error),
		io_error ? io_words(io_error) : gnutls_strerror(code));
	if (code == GNUTLS_E_FATAL_ALERT_RECEIVED ||
		code == GNUTLS_E_WARNING_ALERT_RECEIVED)
		set_alert(session, ret);
	set_sni(session, ret);
}

/*
 * Names what was negotiated, or why nothing was. No peer's octet passes unless it is
 * plain text.
 */
#include "edge/tls/facts.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/span.h"
#include "proto/tls-names.h"

static void set(char *to, size_t n, const char *from)
{
	snprintf(to, n, "%s", from ? from : "");
}

static void lower(char *text)
{
	for (; *text; text++)
		*text = ascii_lower(*text);
}

void facts_of_name(gnutls_session_t session, char ret[FACT_NAME_MAX])
{
	size_t n = FACT_NAME_MAX;
	unsigned int type;

	if (gnutls_server_name_get(session, ret, &n, &type, 0) < 0 ||
		!tls_name_is_plain((struct span){ ret, n }))
		ret[0] = '\0';
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
	facts_of_name(session, ret->sni);
	set_alpn(session, ret);
}

void facts_of_client(const struct tls_client *client, struct tls_facts *ret)
{
	if (client)
		set(ret->client, sizeof(ret->client),
			client->trusted ? "trusted" : client->fault);
}

/* What ended it below TLS. */
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

static enum tls_end end_of_io(int error)
{
	switch (error) {
	case -ETIMEDOUT:
	case -ETIME:
		return TLS_END_TIMEOUT;
	case -EINTR:
		return TLS_END_STOPPED;
	case -ECONNRESET:
	case -EPIPE:
		return TLS_END_CLOSED;
	default:
		return TLS_END_BROKEN;
	}
}

static enum tls_end end_of_tls(int code)
{
	switch (code) {
	case 0: /* close_notify */
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_SESSION_EOF:
		return TLS_END_CLOSED;
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return TLS_END_ALERT;
	case GNUTLS_E_MEMORY_ERROR:
		return TLS_END_BROKEN;
	default:
		return TLS_END_REFUSED;
	}
}

static void set_alert(gnutls_session_t session, int code, struct tls_failure *ret)
{
	int level;

	ret->alert = TLS_NO_ALERT;
	if (ret->how == TLS_END_ALERT) {
		ret->alert = (int)gnutls_alert_get(session);
	} else if (ret->opening.alert != TLS_NO_ALERT) {
		ret->alert = ret->opening.alert;
	} else if (ret->how == TLS_END_REFUSED) {
		ret->alert = gnutls_error_to_alert(code, &level);
		ret->alert_sent = true;
	} else if (code == 0 || code == GNUTLS_E_SESSION_EOF) {
		ret->alert = TLS_ALERT_CLOSE_NOTIFY;
	}
}

/*
 * An alert in the clear where GnuTLS wanted a sealed one is to it a record that cannot be
 * opened. OpenSSL's clients send it so in TLS 1.3 when they do not like the certificate.
 */
static void heed_clear_alert(struct tls_failure *ret)
{
	if (ret->how != TLS_END_REFUSED || ret->opening.alert == TLS_NO_ALERT)
		return;
	set(ret->error, sizeof(ret->error),
		gnutls_strerror(GNUTLS_E_FATAL_ALERT_RECEIVED));
	ret->how = ret->opening.alert == TLS_ALERT_CLOSE_NOTIFY ||
				   ret->opening.alert == TLS_ALERT_USER_CANCELED
			   ? TLS_END_CLOSED
			   : TLS_END_ALERT;
}

/* A message of ours that says more than "once again". */
static bool has_answered(gnutls_session_t session)
{
	switch (gnutls_handshake_get_last_out(session)) {
	case GNUTLS_HANDSHAKE_SERVER_HELLO:
	case GNUTLS_HANDSHAKE_ENCRYPTED_EXTENSIONS:
	case GNUTLS_HANDSHAKE_CERTIFICATE_PKT:
	case GNUTLS_HANDSHAKE_CERTIFICATE_STATUS:
	case GNUTLS_HANDSHAKE_SERVER_KEY_EXCHANGE:
	case GNUTLS_HANDSHAKE_CERTIFICATE_REQUEST:
	case GNUTLS_HANDSHAKE_SERVER_HELLO_DONE:
	case GNUTLS_HANDSHAKE_CERTIFICATE_VERIFY:
	case GNUTLS_HANDSHAKE_NEW_SESSION_TICKET:
	case GNUTLS_HANDSHAKE_FINISHED:
		return true;
	default:
		return false;
	}
}

void facts_of_failure(
	gnutls_session_t session, int code, int io_error, struct tls_failure *ret)
{
	if (io_error || code < 0)
		set(ret->error, sizeof(ret->error),
			io_error ? io_words(io_error) : gnutls_strerror(code));
	ret->how = io_error ? end_of_io(io_error) : end_of_tls(code);
	set_alert(session, code, ret);
	heed_clear_alert(ret);
	ret->answered = has_answered(session);
}

void facts_of_no_memory(struct tls_failure *ret)
{
	*ret = (struct tls_failure){
		.how = TLS_END_BROKEN,
		.alert = TLS_NO_ALERT,
		.opening.alert = TLS_NO_ALERT,
	};
	set(ret->error, sizeof(ret->error), gnutls_strerror(GNUTLS_E_MEMORY_ERROR));
}

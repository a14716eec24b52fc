/* SPDX-License-Identifier: ISC */
/*
 * Reads the settings, certificates and keys for the panel. Files without permission to
 * read are counted. Faults have the same words as in `postern --check`.
 */
#include "tools/status/panel.h"
#include <errno.h>
#include <libgen.h>
#include "base/cleanup.h"
#include "edge/module.h"

static void add_fault(void *ctx, const char *text)
{
	struct status_setting *s = ctx;

	if (s->n_faults < STATUS_FAULTS_MAX)
		snprintf(s->faults[s->n_faults], CONFIG_FAULT_MAX, "%s", text);
	s->n_faults++;
}

const char *status_setting_word(const struct status_setting *s)
{
	static const char *const words[] = {
		[TLS_OFF] = "Off",
		[TLS_ON] = "On",
		[TLS_REQUIRED] = "SSL",
		[TLS_IMPLICIT] = "Implicit",
	};

	return s->known ? words[s->config.session.tls] : "unknown";
}

static char *directory_of(const char *path)
{
	OWNED char *copy = strdup(path);

	return copy ? strdup(dirname(copy)) : NULL;
}

void status_setting_read(struct status_setting *s, const char *path)
{
	char text[CONFIG_FAULT_MAX];

	*s = (struct status_setting){ .path = path, .directory = directory_of(path) };
	/* the shipped units take credentials from there */
	config_init(&s->config, s->directory, add_fault, s);
	s->known = access(path, R_OK) == 0;
	if (!s->known) {
		snprintf(text, sizeof(text), "%s: %s", path, strerror(errno));
		add_fault(s, text);
		return;
	}
	config_read(&s->config, path, true);
	config_finish(&s->config);
	if (s->config.clients_file)
		clients_read(
			&s->config.clients, s->config.clients_file, &s->config.faults);
}

static void add_certificate(void *ctx, const struct tls_description *description)
{
	struct status_setting *s = ctx;

	if (s->n_certificates < TLS_PAIR_MAX)
		s->certificates[s->n_certificates++] = *description;
}

static bool is_hidden(struct status_setting *s, const char *path)
{
	if (access(path, R_OK) == 0 || errno != EACCES)
		return false;
	if (s->n_hidden++ == 0)
		s->hidden = path;
	return true;
}

/*
 * Pairs with an unreadable file are not checked: postern itself may be able to read them.
 */
static struct tls_settings readable(struct status_setting *s)
{
	struct tls_settings settings = s->config.tls;

	settings.n_pairs = 0;
	for (size_t i = 0; i < s->config.tls.n_pairs; i++) {
		const struct tls_pair *pair = &s->config.tls.pairs[i];
		if (is_hidden(s, pair->certificate)) {
			if (!s->hidden_certificate)
				s->hidden_certificate = pair->certificate;
		} else if (!is_hidden(s, pair->key)) {
			settings.pairs[settings.n_pairs++] = *pair;
		}
	}
	return settings;
}

void status_setting_look(struct status_setting *s)
{
	const struct tls_report report = { .ctx = s, .fault = add_fault };
	char modules[MODULE_PATH_MAX];
	struct buf directory = BUF(modules);
	struct tls_settings settings;
	const struct tls_api *api;
	char text[CONFIG_FAULT_MAX];
	const char *error;

	if (!s->known || !config_may_use_tls(&s->config))
		return;
	module_directory(&directory);
	api = module_load(modules, TLS_MODULE, TLS_MODULE_TABLE, &error);
	if (!api) {
		snprintf(text, sizeof(text), "TLS does not work: %s", error);
		add_fault(s, text);
		return;
	}
	api->describe(&s->config.tls, add_certificate, s);
	settings = readable(s);
	/* the agent has the keys, and its records tell of their faults */
	if (settings.n_pairs && !settings.agent)
		api->check(&settings, &report);
	else
		api->check_priority(&settings, &report);
}

void status_setting_done(struct status_setting *s)
{
	config_done(&s->config);
	free(s->directory);
}

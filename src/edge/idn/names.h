/* Internationalized names for the engine (smtp/names.h), by way of idn.so. */
#pragma once

#include "edge/idn/idn.h"
#include "edge/log/log.h"

struct idn_names {
	struct names names;
	const char *modules; /* their directory */
	struct log *log; /* hears when a module that is needed cannot be had, once */
	const struct idn_api *api;
	bool tried; /* to load it */
	char fault[CONFIG_FAULT_MAX]; /* why it was not loaded */
};

/* Loads nothing yet. */
void idn_names_init(struct idn_names *n, const char *modules, struct log *log);

/* Another module has the functions: none is loaded for them. */
void idn_names_lend(struct idn_names *n, const struct idn_api *api);

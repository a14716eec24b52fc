/* Internationalized names for the engine (smtp/names.h), by way of idn.so. */
#pragma once

#include "edge/idn.h"
#include "edge/log.h"

struct idn_names {
	struct names names;
	const char *modules; /* their directory */
	struct log *log; /* hears when a module that is needed cannot be had, once */
	const struct idn_api *api;
	char fault[CONFIG_FAULT_MAX]; /* what log has not heard yet */
	bool tried;
};

/* Loads nothing yet. */
void idn_names_init(struct idn_names *n, const char *modules, struct log *log);

/* Loads the module, unless that has been tried: for when the sandbox is about to forbid it. */
void idn_names_load(struct idn_names *n);

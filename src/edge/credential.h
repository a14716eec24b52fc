/*
 * Files that systemd's LoadCredential= puts in place, "credential:NAME" in settings. Where the file that the unit
 * names is missing, systemd puts the text of SetCredential= there: "missing: " and the path of that file.
 */
#pragma once

#include <stdbool.h>
#include "base/buf.h"

#define CREDENTIAL_PREFIX "credential:"
#define CREDENTIAL_MISSING "missing: "
#define CREDENTIAL_FAULT_MAX 320 /* a sentence */

/* True when the path is a credential's name still: the process was started without a directory for them. */
bool credential_is_unset(const char *path);

/* True when a file with that content is none, but what SetCredential= has put in its place. */
bool credential_is_placeholder(struct span content);

/* What is wrong with a file that is unset or a placeholder, and what to do. */
void credential_put_fault(struct buf *to, const char *path, struct span content);

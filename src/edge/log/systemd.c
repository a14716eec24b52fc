/* The module systemd.so: the only file that uses libsystemd for writing. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "edge/log/sinks.h"
#include <systemd/sd-journal.h>

extern const struct systemd_api postern_systemd;

__attribute__((visibility("default"))) const struct systemd_api postern_systemd = {
	.send = sd_journal_sendv,
};

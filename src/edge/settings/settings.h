/* The settings of a process: files, options, and rules for clients. */
#pragma once

#include "edge/settings/config.h"

/* Logins: the table of users, and the module that does the exchanges. */
#pragma once

#include "edge/auth/backend.h"
#include "edge/auth/sasl.h"
#include "edge/auth/secret.h"

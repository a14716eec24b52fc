/* What becomes of a message: recipients, mailboxes, Maildirs, and DSN reports to come. */
#pragma once

#include "edge/store/dsn-stage.h"
#include "edge/store/mailbox.h"
#include "edge/store/maildir.h"
#include "edge/store/message-file.h"
#include "edge/store/recipients.h"

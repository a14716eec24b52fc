/* Sockets: the stream to a client, and the addresses of both ends. */
#pragma once

#include "edge/net/peer.h"
#include "edge/net/stream.h"

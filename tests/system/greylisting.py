#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""greylisting.py SOCKET: a filter on libmilter (python3-milter) that defers the first message of a client, a sender and
a recipient, and lets the same three pass afterwards. It keeps them until it ends."""

import os
import sys

import Milter

seen = set()


class Greylisting(Milter.Base):
    def connect(self, name, family, address):
        self.address = address[0]
        return Milter.CONTINUE

    def envfrom(self, sender, *parameters):
        self.sender = sender
        return Milter.CONTINUE

    def envrcpt(self, recipient, *parameters):
        three = (self.address, self.sender, recipient)
        if three in seen:
            return Milter.CONTINUE
        seen.add(three)
        self.setreply("451", "4.7.1", "Greylisted, try again later")
        return Milter.TEMPFAIL


Milter.factory = Greylisting
os.umask(0)  # a connection of a listener that root started connects without root's rights
Milter.runmilter("greylisting", sys.argv[1], 60)

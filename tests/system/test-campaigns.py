#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""After any fault, and after killing a process at any time: a 250 has its file, no message is incomplete, no process
hangs or loops, a record has the fault, and the next session works. Each test plays a fixed sample; tests/campaign
plays all.
"""

import harness
from campaign import SETTINGS, Campaign
from injections import Allocations, Calls, list_allocations, list_calls, list_kills


@harness.table_of({name: name for name in SETTINGS})
def test_calls(name):
    Campaign(SETTINGS[name], Calls, list_calls, 60).run()


@harness.table_of({name: name for name in SETTINGS})
def test_kills(name):
    Campaign(SETTINGS[name], Calls, list_kills, 40).run()


@harness.table_of({name: name for name in SETTINGS})
def test_allocations(name):
    Campaign(SETTINGS[name], Allocations, list_allocations, 60).run()


harness.main()

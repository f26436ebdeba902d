"""The CGI program against one that does nothing, through the same httpd."""
# SPDX-License-Identifier: Apache-2.0

import ctypes
import os
import statistics

import cpu
import traffic
from cost import delivered_cost
from servers import PATIENCE, Programs, wait_for

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
CONNECTIONS = 4


class Orphans:
    """Programs that were left behind: the sender outlives the CGI program that starts it, and becomes our child."""

    def __init__(self):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.own = set(cpu.children(os.getpid()))  # that this process has started itself
        self.ended = 0

    def used(self):
        """Nanoseconds of those that have ended, once all have."""
        wait_for(self._reaped, PATIENCE, "the end of the programs that deliver")
        return self.ended

    def _reaped(self):
        left = set(cpu.children(os.getpid())) - self.own
        for pid in sorted(left):
            ended, _, usage = os.wait4(int(pid), os.WNOHANG)
            if ended:
                left.discard(pid)
                self.ended += round((usage.ru_utime + usage.ru_stime) * 1e9)
        return not left


def measure(firehose, rounds, seconds, say):
    found = {"empty": [], "ours": []}
    with Programs(firehose) as httpd:
        orphans = Orphans()
        for _ in range(rounds):
            before = cpu.used(httpd.process.pid)
            result = traffic.drive(httpd, 1, seconds, CONNECTIONS, path="/empty/")
            found["empty"].append((cpu.used(httpd.process.pid) - before) / result.requests / 1000)
            cost, result = delivered_cost(httpd, firehose, 1, seconds, CONNECTIONS,
                                          used=lambda pid: orphans.used() + cpu.used(pid))
            found["ours"].append(cost)
            say(f"ours {cost:.0f} us a request, the empty one {found['empty'][-1]:.0f} us")
    return {
        "ratio": statistics.median(ours / empty for ours, empty in zip(found["ours"], found["empty"])),
        "ours_us": statistics.median(found["ours"]),
        "empty_us": statistics.median(found["empty"]),
        "rounds": found,
    }

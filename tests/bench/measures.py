"""What one round of a measurement is: load, until everything has arrived, and what that took."""
# SPDX-License-Identifier: Apache-2.0

import time

import cpu
import traffic
from servers import wait_for

PATIENCE = 120  # seconds until everything must have arrived


def bare_cost(bare, seconds, events=1):
    """Microseconds of CPU a request."""
    before = cpu.used(bare.process.pid)
    result = traffic.drive(bare, events, seconds)
    return (cpu.used(bare.process.pid) - before) / result.requests / 1000, result


def delivered_cost(ours, firehose, events, seconds, **more):
    """Microseconds of CPU a request, from before the first one until all that was answered 200 has arrived."""
    firehose.tell("reset")
    before = cpu.used(ours.process.pid)
    result = traffic.drive(ours, events, seconds, **more)
    promised = result.requests * events
    wait_for(lambda: firehose.counts()["events"] >= promised, PATIENCE, f"the delivery of {promised} events")
    used = cpu.used(ours.process.pid) - before
    settle(firehose)
    # wrk leaves without the answers that are under way; these requests have been served all the same.
    arrived = firehose.counts()["events"]
    assert promised <= arrived <= promised + more.get("connections", 16) * events, (promised, arrived)
    return used * events / arrived / 1000, result


def settle(firehose):
    """Until nothing has arrived for longer than a stream lingers."""
    last, since = None, time.monotonic()
    while time.monotonic() < since + 1.3:
        now = firehose.counts()["events"]
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.02)

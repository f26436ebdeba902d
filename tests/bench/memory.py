"""What stays resident, without the mapped queue file."""
# SPDX-License-Identifier: Apache-2.0

import os
import statistics
import time

import cpu
import traffic
from servers import THREADS, Bare, Ours

MIB = 1 << 20
MILLION = 1_000_000
EVENTS = 100
MINUTE = int(os.environ.get("BENCH_MINUTE", "60"))


def resident(httpd):
    return cpu.resident(httpd.process.pid) / MIB


def post_million(ours):
    posted = 0
    while posted < MILLION:
        posted += traffic.drive(ours, EVENTS, 1).requests * EVENTS


def measure_queued(firehose, rounds, say):
    """The same load, delivered and queued in turn, so that what the requests themselves leave behind is in both."""
    found = {"none": [], "million": []}
    with Ours(firehose, "queue=1G") as ours:
        ours.expected_errors += ["delivery has failed", "delivery still fails"]
        post_million(ours)
        for _ in range(rounds):
            ours.settle()
            found["none"].append(resident(ours))
            firehose.tell("away 1")
            post_million(ours)
            time.sleep(1)
            queued = ours.waiting()
            assert queued >= MILLION, queued
            found["million"].append(resident(ours))
            firehose.tell("away 0")
            say(f"{found['none'][-1]:.1f} MiB with nothing queued, {found['million'][-1]:.1f} MiB with {queued:,} events")
        ours.settle()
    medians = {state: statistics.median(values) for state, values in found.items()}
    return {"more_mib": medians["million"] - medians["none"], **medians, "rounds": found}


def measure_minute(firehose, say):
    """Both servers in the same minute, with a connection for each thread. Where the machine is too busy to deliver what
    comes, the queue fills up, which is nothing to this measurement."""
    with Bare() as bare, Ours(firehose, "queue=512M") as ours:
        ours.expected_errors.append("its queue is full")
        at_start = {"bare": resident(bare), "ours": resident(ours)}
        loads = [traffic.Load(httpd, EVENTS, MINUTE, THREADS, may_be_full=True) for httpd in (bare, ours)]
        results = [load.result() for load in loads]
        accepted = (results[1].requests - results[1].refused) * EVENTS
        ours.settle()
        at_end = {"bare": resident(bare), "ours": resident(ours)}
    say(f"bare {at_end['bare']:.1f} MiB, ours {at_end['ours']:.1f} MiB after {accepted:,} events")
    return {"more_mib": at_end["ours"] - at_end["bare"], "at_start_mib": at_start, "at_end_mib": at_end,
            "events": accepted, "seconds": MINUTE}

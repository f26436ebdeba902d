"""What stays resident, without the mapped queue file."""
# SPDX-License-Identifier: Apache-2.0

import os
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


def measure_queued(firehose, say):
    """The same load, delivered and then queued, so that what the requests themselves leave behind is in both."""
    with Ours(firehose, "queue=1G") as ours:
        ours.expected_errors.append("delivery has failed")
        for _ in range(2):
            post_million(ours)
            ours.settle()
        firehose.tell("away 1")
        before = resident(ours)
        post_million(ours)
        time.sleep(1)
        queued, after = ours.waiting(), resident(ours)
        firehose.tell("away 0")
        ours.settle()
    say(f"{before:.1f} MiB with nothing queued, {after:.1f} MiB with {queued:,} events")
    assert queued >= MILLION, queued
    return {"more_mib": after - before, "before_mib": before, "after_mib": after, "queued": queued}


def measure_minute(firehose, say):
    """Both servers in the same minute; every thread has its connection."""
    with Bare() as bare, Ours(firehose, "queue=512M") as ours:
        at_start = {"bare": resident(bare), "ours": resident(ours)}
        loads = [traffic.Load(httpd, EVENTS, MINUTE, THREADS) for httpd in (bare, ours)]
        results = [load.result() for load in loads]
        ours.settle()
        at_end = {"bare": resident(bare), "ours": resident(ours)}
    say(f"bare {at_end['bare']:.1f} MiB, ours {at_end['ours']:.1f} MiB after {results[1].requests * EVENTS:,} events")
    return {"more_mib": at_end["ours"] - at_end["bare"], "at_start_mib": at_start, "at_end_mib": at_end,
            "events": results[1].requests * EVENTS, "seconds": MINUTE}

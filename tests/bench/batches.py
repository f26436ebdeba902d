"""How full the requests to Firehose are, under each MPM and with few and many clients, and what AWS bills."""
# SPDX-License-Identifier: Apache-2.0

import statistics

import traffic
from servers import Ours

POSSIBLE = 4 << 20  # sink_firehose.c's REQUEST_MOST
EVENTS = 100
CONNECTIONS = (1, 4, 16, 64)


def fullness(firehose, ours, connections, seconds):
    """The mean of all requests but the one that takes what is left at the end; the last one to be made, it is the
    shortest, and need not be the last one to arrive."""
    firehose.tell("reset")
    result = traffic.drive(ours, EVENTS, seconds, connections, may_be_full=True)
    ours.settle()
    bodies = sorted(firehose.bodies())[1:]
    return {
        "connections": connections,
        "requests": len(bodies),
        "fullness": statistics.mean(bodies) / POSSIBLE if bodies else 0,
        "shortest": min(bodies, default=0),
        "events_per_second": result.requests * EVENTS / result.seconds,
    }


def measure(firehose, seconds, say):
    found = {}
    for mpm in ("event", "prefork"):
        with Ours(firehose, "queue=512M", mpm=mpm) as ours:
            traffic.drive(ours, EVENTS, 1)
            ours.settle()
            found[mpm] = []
            ours.expected_errors.append("its queue is full")  # 64 clients may outrun the sender
            for connections in CONNECTIONS:
                found[mpm].append(fullness(firehose, ours, connections, seconds))
                say("{mpm}, {connections} connections: {requests} requests, {share:.1f}% full, {rate:,.0f} events a second"
                    .format(mpm=mpm, share=100 * found[mpm][-1]["fullness"], rate=found[mpm][-1]["events_per_second"],
                            **{key: found[mpm][-1][key] for key in ("connections", "requests")}))
    return {"least": min(case["fullness"] for cases in found.values() for case in cases), "cases": found}


def measure_billed(firehose, seconds, say):
    """Single events, as apps send them, each its own POST."""
    with Ours(firehose) as ours:
        firehose.tell("reset")
        traffic.drive(ours, 1, seconds)
        ours.settle()
        counts = firehose.counts()
    say(f"{counts['record_bytes'] / counts['events']:.1f} bytes an event, in {counts['records']} records")
    return {"ratio": counts["billed_bytes"] / counts["record_bytes"],
            "event_bytes": counts["record_bytes"] / counts["events"], "counts": counts}

"""CPU of a request and of an event, delivered, against httpd's own; by events in a request."""
# SPDX-License-Identifier: Apache-2.0

import statistics

import cpu
import traffic
from servers import PATIENCE, Bare, Ours, wait_for


def clients(events):
    """So many that the one sender is not outrun on two CPUs, within a second and by more than the queue holds."""
    return traffic.CONNECTIONS if events == 1 else 4 if events <= 100 else 2


def bare_cost(bare, seconds, connections):
    """Microseconds of CPU a request, and what wrk says."""
    before = cpu.used(bare.process.pid)
    result = traffic.drive(bare, 1, seconds, connections)
    return (cpu.used(bare.process.pid) - before) / result.requests / 1000, result


def delivered_cost(ours, firehose, events, seconds, connections=traffic.CONNECTIONS, path=traffic.PATH, used=cpu.used):
    """Likewise, from before the first request until all that was answered 200 has arrived."""
    firehose.tell("reset")
    before = used(ours.process.pid)
    result = traffic.drive(ours, events, seconds, connections, path=path)
    promised = result.requests * events
    wait_for(lambda: firehose.counts()["events"] >= promised, PATIENCE, f"the delivery of {promised} events")
    after = used(ours.process.pid)
    ours.settle()
    # wrk leaves without the answers that are under way; these requests have been served all the same.
    arrived = firehose.counts()["events"]
    assert promised <= arrived <= promised + connections * events, (promised, arrived)
    return (after - before) * events / arrived / 1000, result


def measure(firehose, sizes, rounds, seconds, say):
    """In turn: bare, ours, bare, ours with the next size ... For each size the costs, those of bare before each, and the
    requests a second of both."""
    found = {events: {"ours": [], "bare": [], "rate": [], "bare_rate": []} for events in sizes}
    with Bare() as bare, Ours(firehose, "queue=256M") as ours:
        bare_cost(bare, 1, clients(1))
        for events in {min(sizes), max(sizes)}:
            delivered_cost(ours, firehose, events, 1, clients(events))
        for _ in range(rounds):
            for events in sizes:
                here = found[events]
                cost, result = bare_cost(bare, seconds, clients(events))
                here["bare"].append(cost)
                here["bare_rate"].append(result.requests / result.seconds)
                cost, result = delivered_cost(ours, firehose, events, seconds, clients(events))
                here["ours"].append(cost)
                here["rate"].append(result.requests / result.seconds)
                say(f"{events:4} in a POST: {here['ours'][-1]:8.1f} us, bare {here['bare'][-1]:6.1f} us")
    return {events: summary(events, here) for events, here in found.items()}


def summary(events, here):
    """Medians. A ratio is of two that were measured one after the other: what else the machine does changes slowly."""
    return {
        "events": events,
        "post_us": statistics.median(here["ours"]),
        "bare_us": statistics.median(here["bare"]),
        "ratio": statistics.median(ours / bare for ours, bare in zip(here["ours"], here["bare"])),
        "event_us": statistics.median(here["ours"]) / events,
        "posts_per_second": statistics.median(here["rate"]),
        "bare_posts_per_second": statistics.median(here["bare_rate"]),
        "rounds": here,
    }

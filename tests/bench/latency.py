"""How long a client waits at half of what the server could do: with Firehose well, slow, and away."""
# SPDX-License-Identifier: Apache-2.0

import statistics

import traffic
from servers import Bare, Ours

CONNECTIONS = 32
SLOW = 1000  # milliseconds before each answer
STATES = {"healthy": ("delay 0", "away 0"), "slow": (f"delay {SLOW}", "away 0"), "away": ("delay 0", "away 1")}


def half_load(ours):
    """The pause between two requests of a connection at which half of the possible comes."""
    best = traffic.drive(ours, 1, 2, CONNECTIONS)
    ours.settle()
    return 2 * CONNECTIONS * best.seconds / best.requests * 1000, best.requests / best.seconds / 2


def measure(firehose, rounds, seconds, say):
    found = {name: [] for name in ("bare", *STATES)}
    with Bare() as bare, Ours(firehose, "queue=512M") as ours:
        ours.expected_errors += ["delivery has failed", "delivery still fails"]
        pause, rate = half_load(ours)
        for _ in range(rounds):
            found["bare"].append(traffic.drive(bare, 1, seconds, CONNECTIONS, pause))
            for name in STATES:
                for command in STATES[name]:
                    firehose.tell(command)
                traffic.drive(ours, 1, 1, CONNECTIONS, pause)  # until the sender has noticed
                found[name].append(traffic.drive(ours, 1, seconds, CONNECTIONS, pause))
                for command in STATES["healthy"]:
                    firehose.tell(command)
                ours.settle()
            say(", ".join(f"{name} p99 {results[-1].p99:.0f} us" for name, results in found.items()))
    p99 = {name: statistics.median(result.p99 for result in results) for name, results in found.items()}
    return {
        "ratio": p99["away"] / p99["healthy"],
        "slow_ratio": p99["slow"] / p99["healthy"],
        "p99_us": p99,
        "p50_us": {name: statistics.median(result.p50 for result in results) for name, results in found.items()},
        "posts_per_second": rate,
        "reached_per_second": {name: statistics.median(result.requests / result.seconds for result in results)
                               for name, results in found.items()},
        "rounds": {name: [result.p99 for result in results] for name, results in found.items()},
    }

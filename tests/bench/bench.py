"""make bench: what collecting costs, against an httpd that only answers."""
# SPDX-License-Identifier: Apache-2.0

import os
import statistics

import measures
from servers import Bare, Firehose, Ours

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))


def main():
    rows = os.environ.get("BENCH", "").split() or ["single", "hundred"]
    sizes = [events for name, events in (("single", 1), ("hundred", 100)) if name in rows]
    costs = {"bare": [], **{events: [] for events in sizes}}
    with Firehose() as firehose, Bare() as bare, Ours(firehose) as ours:
        measures.bare_cost(bare, 1)
        for events in sizes:
            measures.delivered_cost(ours, firehose, events, 1)
        for _ in range(ROUNDS):
            cost, result = measures.bare_cost(bare, SECONDS)
            costs["bare"].append(cost)
            print(f"bare   {cost:8.1f} us a POST, {result.requests / result.seconds:.0f}/s", flush=True)
            for events in sizes:
                cost, result = measures.delivered_cost(ours, firehose, events, SECONDS)
                costs[events].append(cost)
                print(f"{events:6} {cost:8.1f} us a POST, {result.requests / result.seconds:.0f}/s", flush=True)
    bare_median = statistics.median(costs["bare"])
    for events in sizes:
        median = statistics.median(costs[events])
        print(f"{events} events a POST: {median:.1f} us, {median / bare_median:.3f} of bare's {bare_median:.1f} us; "
              f"{median / events:.3f} us an event")


if __name__ == "__main__":
    main()

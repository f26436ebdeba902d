// The last minutes of a stream. Its status has counters, as they are now and as they were every ten seconds (the
// trend); asked every second they are known more finely. A rate is the difference of two moments.
// SPDX-License-Identifier: Apache-2.0

/** What the charts show of the past, in milliseconds. */
export const SPAN = 300000;
const MARGIN = 15000; // one sample more than that, from which the first rate is taken
const RECENT = 5000; // what "now" is the mean of

const counters = ({ appended, delivered, refused_total, waiting }, latency) =>
    [appended, delivered, refused_total, waiting, ...latency];

/** The latency within which `share` of the deliveries were done, in seconds: as if they were spread evenly over their
    bucket (cs_latency_quantile()). `within` counts up to each of `bounds`, the last one is null. */
export function quantile(within, bounds, share) {
    const wanted = share * within.at(-1);
    const i = within.findIndex(sum => sum >= wanted);
    if (bounds[i] === null)
        return bounds[i - 1];
    const below = i ? within[i - 1] : 0, lower = i ? bounds[i - 1] : 0;
    return lower + (bounds[i] - lower) * (wanted - below) / (within[i] - below);
}

export class History {
    #moments = []; // {at, counters}, the oldest first
    #bounds = [];

    /** Takes a stream's object out of the status that was made `at` (milliseconds). */
    add(stream, at) {
        if (stream.appended === null) // unusable
            return;
        const { buckets } = stream.latency;
        this.#bounds = buckets.map(bucket => bucket.within_seconds);
        const now = { at, counters: counters(stream, buckets.map(bucket => bucket.count)) };
        if (this.#moments.at(-1)?.counters[0] > stream.appended) // another queue file
            this.#moments = [];
        const trend = stream.trend.filter(sample => sample.latency)
            .map(sample => ({ at: Date.parse(sample.at), counters: counters(sample, sample.latency) }));
        const all = new Map([...trend, ...this.#moments, now].map(moment => [moment.at, moment]));
        this.#moments = [...all.values()].filter(moment => moment.at > at - SPAN - MARGIN).sort((a, b) => a.at - b.at);
    }

    get from() {
        return this.#moments[0]?.at;
    }

    get to() {
        return this.#moments.at(-1)?.at;
    }

    /** The counters at any time in between: as if what happens between two moments happens evenly. */
    #counters(at) {
        const i = Math.max(this.#moments.findIndex(moment => moment.at >= at), 1);
        const before = this.#moments[i - 1], after = this.#moments[i];
        const share = Math.min(Math.max((at - before.at) / (after.at - before.at), 0), 1);
        return before.counters.map((number, k) => number + (after.counters[k] - number) * share);
    }

    /** What happened between two times: {from, to, accepted, delivered, refused (each a second), waiting (at the end),
        p50, p99 (seconds; null: nothing was delivered)}. */
    between(from, to) {
        const first = this.#counters(from), last = this.#counters(to);
        const rate = k => Math.max(last[k] - first[k], 0) * 1000 / (to - from);
        const within = last.slice(4).map((number, k) => Math.max(number - first[k + 4], 0));
        const some = within.at(-1) > 1e-3; // less is the rest of a division
        return {
            from, to, accepted: rate(0), delivered: rate(1), refused: rate(2), waiting: last[3],
            p50: some ? quantile(within, this.#bounds, 0.5) : null,
            p99: some ? quantile(within, this.#bounds, 0.99) : null,
        };
    }

    /** The last seconds; null where there is but one moment. */
    now() {
        return this.#moments.length > 1 ? this.between(Math.max(this.to - RECENT, this.from), this.to) : null;
    }

    /** The time that the charts show in equal parts, as far as it is known. The parts stay where they are as time goes
        on, so that a chart moves and does not flicker. */
    parts(width) {
        const parts = [];
        if (this.#moments.length < 2)
            return parts;
        for (let from = Math.floor((this.to - SPAN) / width) * width; from < this.to; from += width) {
            const begin = Math.max(from, this.from), end = Math.min(from + width, this.to);
            if (end - begin >= Math.min(width, 1000) / 2)
                parts.push(this.between(begin, end));
        }
        return parts;
    }
}

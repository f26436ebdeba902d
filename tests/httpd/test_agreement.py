"""The metrics are true, to the event: held against what the clients were told and what the fake Firehose counted, after
a load of all that can be sent and all that can fail, through the module and the CGI into one queue."""
# SPDX-License-Identifier: Apache-2.0

import collections
import itertools
import json
import os
import random
import signal
import threading
import time

import pytest
from exposition import STATUS_LOCATION, metrics_of
from fake_firehose import SLOWNESS
from load import event, lines_of
from server import HEADERS, LIBEXECDIR, is_running, wait_for
from test_cgi import MODULE_PATH, MODULES, PATH, Site
from test_load import sender_pid

# So small a queue that it fills up while Firehose is away.
STREAM = "queue=1M linger=20ms timeout=2s"
# The same for both doors: in httpd's configuration, and in the CGI's.
SETTINGS = "ClickstreamClient touchwood-app\nClickstreamMaxEvents 50\nClickstreamMaxBody 64K\nClickstreamOptOut drop\n"

TROUBLE = ["delivery has failed", "delivery still fails", "will never take an event", "the queue is full",
           "clients get 503"]


# --- what is sent ---

MEMBERS = '"token":"fkxnjuxdn8j0czwl","timestamp":"2022-02-22T18:37:28.205Z","tag":"LIKE_WOOD"'
# Events that are refused, and why.
FLAWED = [
    ('{"token":"a"', "malformed_json"),
    ("[]", "not_an_object"),
    ("{" + MEMBERS.replace('"tag"', '"Tag"') + "}", "missing_field"),
    ("{" + MEMBERS.replace('"LIKE_WOOD"', "5") + "}", "wrong_type"),
    ("{" + MEMBERS.replace("2022-02-22T", "2022-02-30T") + "}", "bad_timestamp"),
]
# Requests that are refused unread, and why.
UNREAD = [
    (1, {"Authorization": "Basic Zm9v"}, 401, "unauthorized"),
    (1, {"client_id": "stranger"}, 403, "unknown_client"),
    (51, {}, 413, "too_many_events"),
    (400, {}, 413, "too_large"),
]


class Sent:
    """One request, and what must come of it: so many events taken, or opted out, and others refused for a reason."""

    def __init__(self, rng, numbers, poison=False):
        self.headers = {**HEADERS, "Content-Type": "application/x-ndjson"}
        self.status, self.opted_out = 200, False
        self.refused, self.listed = collections.Counter(), collections.Counter()  # all, and those that the answer lists
        count = rng.choice((1, 1, 1, rng.randint(2, 40)))
        dice = 1 if poison else rng.random()
        if dice < 0.1:
            count, changes, self.status, reason = rng.choice(UNREAD)
            self.headers.update(changes)
            self.refused[reason] += 1
        lines = [self._event(number, rng) for number in itertools.islice(numbers, count)]
        if poison:
            lines[0] = lines[0].replace('"pad"', '"poison"')
        if 0.1 <= dice < 0.15:
            self.status, lines = 400, []
        self.good = len(lines) if self.status == 200 else 0
        if 0.1 <= dice < 0.3:
            for text, reason in rng.choices(FLAWED, k=rng.randint(1, 5)):
                lines.insert(rng.randint(0, len(lines)), text)
                self.listed[reason] += 1
            self.refused.update(self.listed)
        if 0.3 <= dice < 0.35:
            self.opted_out = True
            self.headers["Sec-GPC"] = "1"
        self.body = "\n".join(lines)

    @staticmethod
    def _event(number, rng):
        return "{" + f'{MEMBERS},"number":{number},"pad":"{"x" * rng.randint(0, 600)}"' + "}"


class Tally:
    """What the clients were told, in events."""

    def __init__(self):
        self.accepted = self.opted_out = 0
        self.refused = collections.Counter()
        self.surprises = []
        self.lock = threading.Lock()

    def note(self, sent, status, text):
        with self.lock:
            if status == 503:
                self.refused.update(sent.refused)
                self.refused["queue_full"] += sent.good
                return
            answer = json.loads(text)
            listed = collections.Counter(each["reason"] for each in answer.get("rejected", ()))
            if (status, listed, answer.get("accepted", 0)) != (sent.status, sent.listed, sent.good):
                self.surprises.append((sent.body[:200], sent.headers, sent.status, status, text[:500]))
            self.refused.update(sent.refused)
            if sent.opted_out:
                self.opted_out += sent.good
            else:
                self.accepted += sent.good


class Clients:
    """Threads that send through one door each: until it has answered 503, and then for so many requests more.

    One of these has an event that is good for us, and that Firehose will never take.
    """

    def __init__(self, site, requests):
        self.site, self.tally = site, Tally()
        self.numbers = itertools.count()
        self.full = {door: threading.Event() for door in (MODULE_PATH, PATH)}  # whether it has answered 503
        self.threads = [threading.Thread(target=self._client, args=(door, count, random.Random(seed)), daemon=True)
                        for seed, (door, count) in enumerate(requests)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join(60 * SLOWNESS)
            assert not thread.is_alive(), "a client hangs"

    def wait_until_full(self):
        wait_for(lambda: all(full.is_set() for full in self.full.values()), what="503 by both doors")

    def _client(self, door, requests, rng):
        connection = self.site.connect()
        poisoned = False
        while requests:
            poison = self.full[door].is_set() and not poisoned
            sent = Sent(rng, self.numbers, poison)
            connection.request("POST", door, sent.body, sent.headers)
            response = connection.getresponse()
            self.tally.note(sent, response.status, response.read())
            if response.status == 503:
                self.full[door].set()
                time.sleep(0.02)
            elif self.full[door].is_set():
                requests -= 1
                poisoned |= poison
            if response.will_close:
                connection.close()
                connection = self.site.connect()


# --- what is counted ---

def site_of(fake, keys, mpm, options):
    """The module and the CGI with one queue; in both the stream is the same."""
    site = Site(fake, keys, mpm=mpm, options=options, environment=dict(keys))
    stream = f"region=us-east-1 endpoint={fake.url}/ ca={fake.directory}/public-ca.pem {options}"
    site.configure(MODULES.format(cgi="cgid", libexec=LIBEXECDIR)
                   + f'ClickstreamQueueDir "{site.queue}"\nClickstreamStream clicks firehose {stream}\n'
                   + SETTINGS + STATUS_LOCATION)
    site.conf.write_text(site.conf.read_text() + SETTINGS.partition("\n")[2])
    site.expected_errors = TROUBLE
    return site


def metrics_when_empty(site):
    wait_for(lambda: metrics_of(site).number("queue_events") == 0, 60, "the queue to be empty")
    return metrics_of(site)


def check_what_clients_were_told(metrics, tally):
    assert not tally.surprises
    refused = {reason: count for reason, count in metrics.by("reason", "events_refused_total").items() if count}
    assert refused == tally.refused
    assert set(refused) == {reason for _, reason in FLAWED} | {row[3] for row in UNREAD} | {"queue_full"}
    assert metrics.number("events_accepted_total") == tally.accepted
    assert metrics.number("events_opted_out_total") == tally.opted_out > 0


def check_the_ledger(metrics, site):
    """What holds whatever became of requests."""
    delivered, rejected = (metrics.number(f"events_{name}_total") for name in ("delivered", "rejected"))
    assert delivered + rejected == metrics.number("events_accepted_total")
    assert metrics.number("events_lost_total") == 0
    path = site.queue / "clicks.rejected"
    assert rejected == (len(path.read_text().splitlines()) if path.exists() else 0)
    assert metrics.number("delivery_latency_seconds_count") == delivered
    assert metrics.number("delivery_latency_seconds_bucket", le="+Inf") == delivered
    assert 0 < metrics.number("delivery_latency_seconds_sum") < delivered * 60
    assert metrics.number("sent_bytes_total") == metrics.number("delivered_bytes_total") + delivered  # newlines
    assert metrics.number("trouble_seconds") == 0 < metrics.number("last_failure_timestamp_seconds")


def print_it(what, mpm, metrics, stats):
    numbers = {name.removeprefix("clickstream_"): int(value) for (name, *labels), value in metrics.samples.items()
               if not labels and name.endswith("_total")}
    print(f"\n{what}, {mpm}: {numbers}, refused {metrics.by('reason', 'events_refused_total')}; the fake: {stats}")


AWAY = [{"kind": "status", "code": 500}]
FAILURES = [
    {"kind": "invalid", "matching": '"poison"'},
    {"kind": "throttle", "rate": 0.2, "count": 3},
    {"kind": "status", "code": 500, "rate": 0.2, "count": 3},
    {"kind": "lie", "rate": 0.2, "count": 3, "answer": '{"FailedPutCount":0,"RequestResponses":[]}'},
    {"kind": "fail_records", "rate": 0.2},
]


@pytest.mark.parametrize("mpm, more, requests", [("event", "", 200), ("prefork", " aggregate=off", 60)])
def test_the_metrics_agree_to_the_event(fake, keys, mpm, more, requests):
    """Nothing is in doubt here: each answer arrives, and so each number is exact."""
    fake.faults(AWAY)
    with site_of(fake, keys, mpm, STREAM + more) as site:
        with Clients(site, [*[(MODULE_PATH, requests)] * 4, *[(PATH, 40)] * 2]) as clients:
            clients.wait_until_full()
            fake.faults(FAILURES)
        metrics, stats = metrics_when_empty(site), fake.stats()
        print_it("the failures", mpm, metrics, stats)
        check_what_clients_were_told(metrics, clients.tally)
        check_the_ledger(metrics, site)
    assert metrics.number("events_delivered_total") == stats["events_taken"] == len(set(lines_of(fake)))
    assert metrics.number("events_rejected_total") == len(clients.threads)
    assert metrics.number("records_delivered_total") == stats["records_taken"]
    assert metrics.number("sent_bytes_total") == stats["bytes_taken"]
    assert metrics.number("billed_bytes_total") == stats["billed_bytes"]
    assert metrics.number("batches_total") == stats["requests"]
    failed = {name: count for name, count in stats["by_result"].items() if name not in ("ok", "partial", "invalid")}
    assert set(failed) == {"throttle", "status", "lie"}
    least = sum(failed.values())
    assert least <= metrics.number("batches_failed_total") <= least + stats["by_result"]["partial"]
    assert metrics.number("events_retried_total") > 0


CUTS = [{"kind": "cut_response", "rate": 0.5, "count": 4}, {"kind": "cut_request", "rate": 0.2, "count": 4},
        {"kind": "fail_records", "rate": 0.1}]


def check_duplicates(metrics, stats, lines):
    duplicates = len(lines) - len(set(lines))
    assert metrics.number("events_delivered_total") == len(set(lines)) == stats["events_taken"] - duplicates
    assert metrics.number("records_delivered_total") <= stats["records_taken"]
    assert 0 < duplicates <= metrics.number("events_maybe_duplicated_total")


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_no_duplicate_passes_unannounced(fake, keys, mpm):
    """Requests and answers are cut: what may have been taken is sent again, and counted as such."""
    fake.faults(AWAY)
    with site_of(fake, keys, mpm, STREAM) as site:
        with Clients(site, [(MODULE_PATH, 200), (PATH, 40)]) as clients:
            clients.wait_until_full()
            fake.faults(CUTS)
        metrics, stats = metrics_when_empty(site), fake.stats()
        print_it("cuts", mpm, metrics, stats)
        check_what_clients_were_told(metrics, clients.tally)
        check_the_ledger(metrics, site)
    check_duplicates(metrics, stats, lines_of(fake))


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_what_a_dead_sender_had_under_way_is_counted_by_the_next(fake, keys, mpm):
    fake.faults([{"kind": "slow", "seconds": 0.5, "count": 1}])
    with site_of(fake, keys, mpm, STREAM) as site:
        site.expected_errors.append("exit signal Killed")
        for door, start in ((MODULE_PATH, 0), (PATH, 50)):
            body = "[" + ",".join(map(event, range(start, start + 50))) + "]"
            assert site.post(body, path=door).status == 200
        wait_for(lambda: fake.faults()[0]["hits"], what="a request under way")
        sender = sender_pid(site, fake)
        os.kill(sender, signal.SIGKILL)
        wait_for(lambda: not is_running(sender), what="its end")
        metrics = metrics_when_empty(site)
        wait_for(lambda: fake.stats()["events_taken"] > 100, what="the request of the dead")
        assert metrics.number("events_accepted_total") == 100
        assert metrics.number("delivery_latency_seconds_count") == 100
        assert metrics.number("lock_takeovers_total") == 1
    check_duplicates(metrics, fake.stats(), lines_of(fake))


def test_what_libcurl_sends_again_by_itself_is_counted(fake, keys):
    """It does so, whatever the method, where a connection that it had kept ends without one byte of an answer."""
    with site_of(fake, keys, "event", STREAM) as site:
        assert site.post(event(1), path=MODULE_PATH).status == 200
        wait_for(lambda: lines_of(fake), what="the event that opens the connection")
        fake.faults([{"kind": "cut_response", "share": 0, "count": 1}])
        assert site.post(event(2), path=MODULE_PATH).status == 200
        wait_for(lambda: len(lines_of(fake)) == 3, what="the same event twice")
        metrics = metrics_when_empty(site)
    check_duplicates(metrics, fake.stats(), lines_of(fake))

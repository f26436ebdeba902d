"""Time goes wrong: the clock is set forward and back by hours under load and during an outage, the year turns, summer
time begins and ends. Nothing is lost, nothing waits for a time that is far away, and nothing is dated wrong.

The servers' clock is that of clock.c; the fake Firehose's is right."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import datetime
import json
import math
import re
import struct
import time

import pytest
from load import Load, event, lines_of
from server import BUILD, FILE_STREAM, HEADERS, LIBEXECDIR, Httpd, firehose_stream, preloaded, wait_for
from test_cgi import Site
from test_status import health, place, status
from tokens import HS256, hs256, payload, token
from tokens import keys as token_keys

HOUR = 3600
# The right time, in these tests, is two days from now: certificates are not valid before they are made.
RIGHT = 48 * HOUR
# How far the clock is from that.
JUMPS = [5 * HOUR, -7 * HOUR, -2 * HOUR, 26 * HOUR, 0]
OF_CLOCKS = ["this machine's clock is", "delivery has failed", "delivery still fails"]


class Clock:
    """The clock of a server that runs with its environment."""

    def __init__(self, folder):
        self.path = folder / "clock"
        self.path.touch(0o644)
        self.environment = preloaded("clock", CLICKSTREAM_TEST_CLOCK=str(self.path))
        self.path.write_bytes(bytes(8))
        self.set(0)

    def set(self, seconds):
        """So far from the right time."""
        self.offset = RIGHT + seconds
        with open(self.path, "r+b") as file:
            file.write(struct.pack("=q", self.offset))

    def set_to(self, moment):
        self.set(math.ceil(datetime.datetime.fromisoformat(moment).timestamp() - time.time()) - RIGHT)


@pytest.fixture
def clock(fake):
    fake.set_clock(RIGHT)
    return Clock(fake.directory)


@contextlib.contextmanager
def module(fake, keys, clock, mpm, options="queue=16M linger=20ms"):
    with Httpd(firehose_stream(fake, options) + place(), mpm=mpm, environment={**keys, **clock.environment}) as httpd:
        yield httpd


@contextlib.contextmanager
def cgi(fake, keys, clock, _):
    """Its programs have next to no environment: httpd and a script beside the configuration hand it on."""
    site = Site(fake, keys, options="queue=16M", environment=clock.environment)
    text = (site.root / "httpd.conf").read_text()
    (site.root / "httpd.conf").write_text(text + "PassEnv LD_PRELOAD CLICKSTREAM_TEST_CLOCK\n")
    site.sender.unlink()
    exports = " ".join(f"{name}='{value}'" for name, value in clock.environment.items())
    site.sender.write_text(f'#!/bin/sh\n{exports} exec {BUILD}/cgi/clickstreamctl "$@"\n')
    site.sender.chmod(0o755)
    site.expected_errors += OF_CLOCKS
    with site:
        yield site


DOORS = {"event": module, "prefork": module, "CGI": cgi}


@pytest.mark.parametrize("door", DOORS)
def test_the_clock_is_set_under_load(fake, keys, clock, figures, door):
    """Firehose's is right all the while: what is signed goes by its clock as soon as that is known."""
    with DOORS[door](fake, keys, clock, door) as server:
        server.expected_errors += OF_CLOCKS
        with Load(server.port, total=10**9, largest=20, pause=0.005) as load:
            for offset in JUMPS:
                before, delivered = load.progress(), len(lines_of(fake))
                clock.set(offset)
                began = time.monotonic()
                wait_for(lambda before=before: load.progress() > before + 200, 30, "answers")
                wait_for(lambda delivered=delivered: len(lines_of(fake)) > delivered + 200, 60, "deliveries")
                figures.append(f"time: {door}, clock set to {offset / HOUR:+.0f} h: 200 more answered and delivered "
                               f"after {time.monotonic() - began:.1f} s")
                if door != "CGI":
                    check_status(status(server)["clicks"])
        wait_for(lambda: len(lines_of(fake)) >= len(load.ledger.promised), 60, "the rest")
        assert set(load.ledger.statuses) == {200}
        assert load.ledger.check(lines_of(fake)) == 0
        if door != "CGI":
            assert re.search(r"this machine's clock is 1\d{4} s ahead of AWS's", server.log())
            assert re.search(r"this machine's clock is 2\d{4} s behind AWS's", server.log())


def check_status(stream):
    """No age or rate of a time that is not yet."""
    def numbers(value):
        values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        yield from [value] if isinstance(value, (int, float)) else []
        for inner in values:
            yield from numbers(inner)
    assert min(numbers(stream)) >= 0
    assert stream["latency"]["window_seconds"] <= 700


def test_health_after_the_clock_was_set(fake, keys, clock):
    """An event does not count as old because the clock was set while it waited, once it is through."""
    with module(fake, keys, clock, "event") as httpd:
        httpd.expected_errors += OF_CLOCKS
        for offset in JUMPS:
            clock.set(offset)
            assert httpd.post(event(1)).status == 200
            wait_for(lambda: status(httpd)["clicks"]["waiting"] == 0, 30, "the delivery")
            assert health(httpd)[0] == 200
            page = httpd.request("GET", "/clickstream-status", headers={}).text
            assert "nan" not in page and "inf" not in page and not re.search(r">-\d", page)


@pytest.mark.parametrize("offset", [7 * HOUR, -7 * HOUR], ids=["forward", "back"])
def test_the_clock_is_set_during_an_outage(fake, keys, clock, offset):
    """It is tried again as before, and the log tells both of its begin and of its end."""
    with module(fake, keys, clock, "event") as httpd:
        httpd.expected_errors += OF_CLOCKS
        fake.kill()
        assert httpd.post(event(1)).status == 200
        wait_for(lambda: "delivery has failed" in httpd.log(), what="the line at its begin")
        clock.set(offset)
        failed = status(httpd)["clicks"]["batches_failed"]
        wait_for(lambda: status(httpd)["clicks"]["batches_failed"] >= failed + 2, 60, "two more tries")
        error = status(httpd)["clicks"]["last_error"]
        assert error["since"] <= error["at"]
        fake.start()
        fake.set_clock(RIGHT)
        wait_for(lambda: lines_of(fake), 60, "the event")
        wait_for(lambda: "delivers again after" in httpd.log(), what="the line at its end")
        assert int(re.search(r"delivers again after (\d+) s", httpd.log())[1]) <= 7 * HOUR + 60


@pytest.mark.parametrize("offset", [9 * HOUR, -9 * HOUR], ids=["forward", "back"])
def test_linger_and_interval_go_on(clock, offset):
    """What waits for its batch or object to be full, or for their time, does not wait by the clock that is set."""
    stream = FILE_STREAM.replace("linger=20ms interval=50ms", "linger=1s interval=2s")
    with Httpd(stream, environment=clock.environment) as httpd:
        assert httpd.post(event(1)).status == 200
        clock.set(offset)
        began = time.monotonic()
        wait_for(httpd.delivered_lines, 10, "the object")
        assert time.monotonic() - began < 6
        clock.set(0)
        assert httpd.post(event(2)).status == 200
        wait_for(lambda: len(httpd.delivered_lines()) == 2, 10, "the next one")


# --- turns of the year, and of summer time ---

TURNS = {  # a moment two seconds before, the zone, and the folders before and after
    "the year": ("2026-12-31T23:59:58+00:00", "UTC", "2026/12/31/23", "2027/01/01/00"),
    "the year, far from Greenwich": ("2026-12-31T23:59:58+00:00", "Asia/Tokyo", "2026/12/31/23", "2027/01/01/00"),
    "the zone's year": ("2027-12-31T14:59:58+00:00", "Asia/Tokyo", "2027/12/31/14", "2027/12/31/15"),
    "summer time begins": ("2027-03-28T00:59:58+00:00", "Europe/Berlin", "2027/03/28/00", "2027/03/28/01"),
    "summer time ends": ("2027-10-31T00:59:58+00:00", "Europe/Berlin", "2027/10/31/00", "2027/10/31/01"),
    "the hour that comes twice": ("2027-10-31T01:59:58+00:00", "Europe/Berlin", "2027/10/31/01", "2027/10/31/02"),
    "29 February": ("2028-02-29T23:59:58+00:00", "America/New_York", "2028/02/29/23", "2028/03/01/00"),
    "the end of 32 bits": ("2038-01-19T03:14:06+00:00", "UTC", "2038/01/19/03", None),
}


@pytest.mark.parametrize("turn", TURNS)
def test_a_turn(clock, turn):
    """Folders, names and received_at go by UTC and on; event_id is in the same order."""
    moment, zone, before, after = TURNS[turn]
    with Httpd(FILE_STREAM, "ClickstreamAdd event_id received_at",
               environment={**clock.environment, "TZ": zone}) as httpd:
        clock.set_to(moment)
        posts = [httpd.post(event(number)).status for number in range(40) if not time.sleep(0.1)]
        assert posts == [200] * 40
        wait_for(lambda: len(httpd.delivered_lines()) == 40, what="the events")
        clock.set(0)  # or httpd, at its end, counts the years
        records = sorted(map(json.loads, httpd.delivered_lines()), key=lambda record: record["number"])
        received = [record["received_at"] for record in records]
        assert received == sorted(received)
        started = datetime.datetime.fromisoformat(moment)
        for record in records:
            at = datetime.datetime.fromisoformat(record["received_at"].replace("Z", "+00:00"))
            assert 0 <= (at - started).total_seconds() < 15
            assert abs(int(record["event_id"].replace("-", "")[:12], 16) / 1000 - at.timestamp()) < 0.002
        folders = {str(path.parent.relative_to(httpd.root / "objects")) for path in httpd.objects()}
        assert folders == {before, after} - {None}
        for path in httpd.objects():
            stamp = re.fullmatch(r"clicks-1-(\d{4})-(\d\d)-(\d\d)-(\d\d)-\d\d-\d\d-[0-9a-f-]{36}", path.name)
            assert "/".join(stamp.groups()) == str(path.parent.relative_to(httpd.root / "objects"))


@pytest.mark.parametrize("moment", ["2026-12-31T23:59:58+00:00", "2027-03-28T00:59:58+00:00"])
def test_requests_are_signed_over_a_turn(fake, keys, clock, moment):
    """The day is in the key that signs, and the machine may be in any zone."""
    clock.environment["TZ"] = "America/St_Johns"
    clock.set_to(moment)
    fake.set_clock(clock.offset)
    with module(fake, keys, clock, "event") as httpd:
        for number in range(40):
            assert httpd.post(event(number)).status == 200
            time.sleep(0.1)
        wait_for(lambda: len(lines_of(fake)) == 40, what="the events")


# --- who is let in ---


def test_a_token_ends_by_the_clock_that_is_set(clock):
    """And is good again when the clock is mended."""
    secret = token_keys() / "app.secret"
    with Httpd(FILE_STREAM, f'ClickstreamAuth jwt\nClickstreamClient touchwood-app "secret={secret}"',
               environment=clock.environment) as httpd:
        bearer = {**HEADERS, "Authorization": "Bearer " + token(HS256, payload(nbf=RIGHT - 300, exp=RIGHT + 1800), hs256)}
        answers = []
        for offset in [0, HOUR, 0, -HOUR, 0]:
            clock.set(offset)
            answers.append(httpd.post(event(1), headers=bearer).status)
    assert answers == [200, 401, 200, 401, 200]

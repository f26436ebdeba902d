"""Load on a private httpd, and the ledger that is held against what was delivered.

Each client has a connection of its own and posts numbered events, single and in arrays; the ledger
keeps for each number the record that must come out, and what the client was told about it.
"""
# SPDX-License-Identifier: Apache-2.0

import http.client
import itertools
import json
import random
import threading
import time

from fake_firehose import SLOWNESS
from server import ADDED, HEADERS

TAGS = ('"tag":"LIKE_WOOD","value":{n}', '"tag":"CLICK_LANG","value":"en","n":{n}',
        '"tag":"GEO_LOC","latitude":22.3193,"longitude":114.1694,"n":{n}',
        '"tag":"BIG","value":12345678901234567890123,"x":1.10,"y":1e2,"n":{n}')


def event(number):
    """Event `number`, as text: digits and spelling must come out as they went in."""
    members = TAGS[number % len(TAGS)].format(n=number)
    return f'{{"token":"fkxnjuxdn8j0czwl","timestamp":"2022-02-22T18:37:28.205Z","number":{number},{members}}}'


def record(number):
    return f"{event(number)[:-1]},{ADDED}}}"


def lines_of(fake):
    """The delivered records, as lines."""
    return b"".join(fake.records()).decode().splitlines()


class Ledger:
    """What was posted (`sent`), answered 200 (`promised`), and refused for certain (`refused`)."""

    def __init__(self):
        self.sent, self.promised, self.refused = set(), set(), set()
        self.statuses = {}
        self.broken = 0  # connections that ended before an answer
        self.lock = threading.Lock()

    def note(self, numbers, status):
        with self.lock:
            self.sent.update(numbers)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status == 200:
                self.promised.update(numbers)
            elif status:
                self.refused.update(numbers)
            else:
                self.broken += 1

    def all_there(self, lines):
        """Whether every promised event is among the lines. As many lines are not enough: they have those of requests whose
        answer was broken off, too."""
        lines = set(lines)
        return len(lines) >= len(self.promised) and self.promised <= {json.loads(line)["number"] for line in lines}

    def check(self, lines, duplicates_allowed=False):
        """Holds delivered lines against the ledger; returns how many were there more than once."""
        counts = {}
        for line in lines:
            number = json.loads(line)["number"]
            assert line == record(number), f"event {number} was changed: {line}"
            counts[number] = counts.get(number, 0) + 1
        lost = self.promised - counts.keys()
        assert not lost, f"{len(lost)} events of {len(self.promised)} that were answered 200 are lost: {sorted(lost)[:5]}"
        assert not counts.keys() & self.refused, "an event that was refused was delivered"
        assert counts.keys() <= self.sent
        duplicates = sum(count - 1 for count in counts.values())
        assert duplicates_allowed or duplicates == 0, f"{duplicates} events were delivered twice"
        return duplicates


class Load:
    """`clients` threads that post until `total` numbers are used up, or until the end of the `with`.

    A request on a kept connection that the server closed without an answer is sent once more on a new one, as
    browsers do: httpd closes idle connections when its workers are busy, and when it restarts.
    """

    def __init__(self, port, clients=8, total=20000, largest=60, seed=1, pause=0.0):
        self.port = port
        self.ledger = Ledger()
        self.numbers = itertools.count()
        self.total = total
        self.largest = largest
        self.pause = pause
        self.timings = []  # of each request: when it began, and how many seconds it took
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._client, args=(random.Random(seed + i),), daemon=True)
                        for i in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.join()

    def join(self, seconds=120):
        for thread in self.threads:
            thread.join(seconds * SLOWNESS)
            assert not thread.is_alive(), "a client hangs"

    def progress(self):
        return len(self.ledger.promised)

    def take(self, count):
        """Numbers that nobody has sent yet."""
        with self.lock:
            numbers = list(itertools.islice(self.numbers, count))
        return [number for number in numbers if number < self.total]

    def _client(self, rng):
        connection = None
        while not self.stopped.is_set():
            numbers = self.take(1 if rng.random() < 0.7 else rng.randint(2, self.largest))
            if not numbers:
                return
            body = event(numbers[0]) if len(numbers) == 1 else "[" + ",".join(map(event, numbers)) + "]"
            kept = connection is not None
            began = time.monotonic()
            status, connection = self._post(body, connection)
            if not status and kept:
                status, connection = self._post(body, None)
            self.timings.append((began, time.monotonic() - began))
            self.ledger.note(numbers, status)
            if status in (500, 503) or self.pause:
                time.sleep(self.pause or 0.01)

    def _post(self, body, connection):
        """Returns the status, 0 for no answer, and the connection where it can be used again."""
        try:
            connection = connection or self._connect()
            connection.request("POST", "/poc-kstream/", body, HEADERS)
            response = connection.getresponse()
            response.read()
            return response.status, None if response.will_close else connection
        except (OSError, http.client.HTTPException):
            return 0, None

    def _connect(self):
        """A connection; while the server is away, waits for it rather than use up its numbers."""
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                connection.connect()
                return connection
            except ConnectionRefusedError:
                if self.stopped.is_set():
                    raise
                time.sleep(0.01)

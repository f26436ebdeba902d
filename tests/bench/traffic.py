"""The load: wrk, with the headers that a phone sends, and events of 107 bytes."""
# SPDX-License-Identifier: Apache-2.0

import json
import random
import subprocess
from typing import NamedTuple

from servers import prepare_child

PATH = "/poc-kstream/"
CONNECTIONS = 16
TOKEN = ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI3MzE2NTgyOTQwMTIiLCJhcHAiOiJ0b3VjaHdvb2QiLCJpYXQiOjE2NDU1NTQ0"
         "NTgsImV4cCI6MTY0NTU1ODA1OH0.c2lnbmF0dXJlLW9mLXRoaXMtdG9rZW4tb2YtMzItYg")
HEADERS = {
    "client_id": "touchwood-app",
    "Authorization": f"Bearer {TOKEN}",
    "Content-Type": "application/json",
    "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 15_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
                  " Mobile/15E148",
    "Accept": "*/*",
    "Accept-Language": "de-DE,de;q=0.9",
    "Origin": "https://app.example.com",
    "X-Forwarded-For": "90.200.187.19, 165.225.197.24",
}
EVENT_LENGTH = 107
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"

# Printed at the end, with what wrk's own summary leaves out.
LUA = """
wrk.method = "POST"
wrk.path = "{path}"
{headers}
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
{delay}
function done(summary, latency, requests)
    io.write(string.format('RESULT {{"requests":%d,"seconds":%f,"p50":%f,"p99":%f,"refused":%d,"closed":%d,"broken":%d}}\\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        summary.errors.status,
        summary.errors.read, summary.errors.connect + summary.errors.write + summary.errors.timeout))
end
"""


class Result(NamedTuple):
    """p50 and p99 are microseconds. `refused`: answers of 400 and above. `closed`: connections, by the server: the event
    MPM does so with kept ones when a child has as many as threads, whatever module serves them."""
    requests: int
    seconds: float
    p50: float
    p99: float
    refused: int
    closed: int
    broken: int


def event(number):
    """Event `number`: its token and its time differ from the others', its length does not."""
    letters = random.Random(number)
    token = "".join(letters.choice(LETTERS) for _ in range(16))
    text = (f'{{"token":"{token}","timestamp":"2022-02-22T18:{number // 60 % 60:02}:{number % 60:02}.205Z",'
            f'"tag":"LIKE_WOOD","value":{number % 10},"screen":{number % 90 + 10}}}')
    assert len(text) == EVENT_LENGTH
    return text


def body(events):
    return event(0) if events == 1 else "[" + ",".join(map(event, range(events))) + "]"


class Load:
    """wrk, which posts as fast as it is answered, or after pauses of `pause` milliseconds on average on each
    connection; it ends with this process."""

    def __init__(self, httpd, events, seconds, connections=CONNECTIONS, pause=0, path=PATH, may_be_full=False):
        self.httpd, self.seconds, self.may_be_full = httpd, seconds, may_be_full
        files = httpd.root / "body", httpd.root / "wrk.lua"
        files[0].write_text(body(events))
        files[1].write_text(LUA.format(
            path=path, body=files[0],
            headers="\n".join(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in HEADERS.items()),
            # Irregular, or the connections would post all at once.
            delay=f"function delay() return math.random(0, {round(2 * pause)}) end" if pause else ""))
        command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "30s", "-s", files[1],
                   f"http://127.0.0.1:{httpd.port}/"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        preexec_fn=prepare_child)

    def result(self):
        try:
            said, _ = self.process.communicate(timeout=self.seconds + 120)
        finally:
            self.process.kill()
        line = next((line for line in said.splitlines() if line.startswith("RESULT ")), None)
        assert line, f"wrk ended: {said}"
        result = Result(**json.loads(line[7:]))
        good = (result.requests and result.seconds > 0.9 * self.seconds and not result.broken
                and (self.may_be_full or not result.refused))
        assert good, f"{result}\n{said}\n{self.httpd.log()[-2000:]}"
        return result


def drive(*arguments, **more):
    return Load(*arguments, **more).result()

"""The HTTP contract against httpd under the event MPM: the table of cases, and what no table can say.

After each case a marker is sent and waited for: as a queue keeps its order, all that the case put into it
has been delivered by then, and what was refused is seen to have left nothing there.
"""
# SPDX-License-Identifier: Apache-2.0

import itertools
import json
import socket

import pytest
from cases import A, B, CASES, EVENT, NO_METHOD, NO_TOKEN, NO_TYPE, UNKNOWN, added, as_bytes, collected, event, \
    invalid, malformed, padded, record, refusal, rejection
from server import COLLECTED, HEADERS, Httpd, firehose_stream, wait_for

# As quick as a stream can be: a test waits for each of its markers.
QUICK = 'ClickstreamStream {name} file "path=@ROOT@/{name}" queue=4M linger=1ms interval=10ms'
PATH = "/poc-kstream/"


def location(path, directives):
    return f'<Location "{path}">\nSetHandler clickstream\n{directives}\n</Location>\n'


class Collector(Httpd):
    """A server that delivers to folders, and hands out each delivered line once."""

    def __init__(self, directives="", location="", streams=("clicks",), **more):
        declared = "".join(QUICK.format(name=name) + "\n" for name in streams)
        super().__init__(declared + directives, location, **more)
        self.streams = streams
        self.seen = set()
        self.numbers = itertools.count()

    def _new_lines(self):
        new = [path for stream in self.streams for path in self.objects(stream) if path not in self.seen]
        self.seen.update(new)
        new.sort(key=lambda path: path.stat().st_mtime_ns)
        return [line for path in new for line in path.read_bytes().decode().split("\n")[:-1]]

    def lines_until_marker(self, path=PATH):
        """What was delivered since the last marker."""
        text = f'"marker-{next(self.numbers)}"'
        response = self.post(event(f'"marker":{text}'), path=path)
        assert (response.status, response.text) == (200, COLLECTED)
        lines = []

        def marked():
            lines.extend(self._new_lines())
            return any(text in line for line in lines)

        wait_for(marked, what="the marker")
        lines.extend(self._new_lines())  # a listing of folders may show a later object and not yet an earlier one
        return [line for line in lines if text not in line]

    def raw(self, text, half_close=False):
        """Sends bytes over a connection of their own; all that comes until the server closes it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(text)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))


# --- the table ---

SETS = {directives: f"/set-{number}/" for number, directives in enumerate(sorted({case.directives for case in CASES}))}


@pytest.fixture(scope="module")
def collector():
    places = "".join(location(path, directives) for directives, path in SETS.items())
    with Collector(places) as server:
        yield server


def exchange(connection, path, case):
    connection.request(case.method, path + case.target, case.payload(), case.request_headers(),
                       encode_chunked=isinstance(case.body, list))
    response = connection.getresponse()
    response.text = response.read().decode()
    return response


def check_answer(response, case):
    assert response.status == case.status, response.text
    assert response.text == case.answer
    if response.text:
        assert json.loads(response.text)["response_code"] == str(case.status)
    if case.status != 204:
        assert response.headers.get_all("Content-Type") == ["application/json"]
    assert response.headers.get_all("Cache-Control") == ["no-store"]
    for name, value in case.answer_headers.items():
        assert response.headers.get_all(name) == (None if value is None else [value]), name


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(collector, case):
    connection = collector.connect()
    response = exchange(connection, SETS[case.directives], case)
    connection.close()
    lines = collector.lines_until_marker()  # before any check, so that nothing is left to the next test
    check_answer(response, case)
    assert lines == list(case.records)
    for line in lines:
        json.loads(line)


# --- the connection ---


def head(method="POST", path=PATH, **headers):
    """The head of a raw request; underscores of capitalized names stand for hyphens."""
    changes = {name if name.islower() else name.replace("_", "-"): value for name, value in headers.items()}
    lines = {"Host": "localhost", **HEADERS, **changes}
    return f"{method} {path} HTTP/1.1\r\n".encode() + b"".join(
        f"{name}: {value}\r\n".encode() for name, value in lines.items() if value is not None) + b"\r\n"


def raw_request(body=EVENT, **more):
    return head(Content_Length=len(as_bytes(body)), **more) + as_bytes(body)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(as_bytes(data)), as_bytes(data))


def raw_answers(text):
    """(status, body) of each of several answers."""
    parts = [part.split(b"\r\n\r\n", 1) for part in text.split(b"HTTP/1.1 ")[1:]]
    return [(int(lines[:3]), body.decode()) for lines, body in parts]


# (change of the headers, method, body, status, answer) of what is refused, or partly so, on an open connection.
OPEN = [
    ({"Authorization": None}, "POST", EVENT, 401, NO_TOKEN),
    ({"client_id": None}, "POST", EVENT, 403, UNKNOWN),
    ({"Content-Type": "a/b"}, "POST", EVENT, 415, NO_TYPE),
    ({}, "GET", None, 405, NO_METHOD),
    ({}, "HEAD", None, 405, ""),
    ({}, "PUT", "x" * 100_000, 405, NO_METHOD),
    ({}, "POST", "{", 400, invalid(malformed(1))),
    ({}, "POST", "{}", 400, invalid(rejection("missing_field", field="token"))),
    ({}, "POST", " " * (1 << 20) + " ", 413, refusal(413, "Body too large: at most 1048576 bytes")),
    ({}, "POST", " " * (5 << 20), 413, refusal(413, "Body too large: at most 1048576 bytes")),
    ({}, "POST", f"[{A},1]", 200, collected(1, rejection("not_an_object", 1))),
    ({}, "OPTIONS", None, 204, ""),
    ({}, "POST", EVENT, 200, COLLECTED),
]


def test_connection_stays_open(collector):
    connection = collector.connect()
    sockets, found = set(), []
    for change, method, body, _, _ in OPEN * 2:
        response = collector.request(method, PATH, body, {**HEADERS, **change}, connection)
        found.append((response.status, response.text, response.will_close))
        sockets.add(connection.sock)
    connection.close()
    assert collector.lines_until_marker() == [record(A), record(), record(A), record()]
    assert found == [(status, answer, False) for _, _, _, status, answer in OPEN * 2]
    assert len(sockets) == 1


# Of what is 4 MiB too long or more, the rest is not read: the connection ends, and the answer says so.
CLOSING = {
    "with a length": head(Content_Length=(5 << 20) + 1) + b" " * 100_000,
    "chunked": head(Transfer_Encoding="chunked") + chunk(" " * 65536) * 81 + b"0\r\n\r\n",
}


@pytest.mark.parametrize("what", CLOSING)
def test_connection_ends_with_a_body_far_too_long(collector, what):
    """The answer comes whole, even to a client that sends on."""
    text = collector.raw(CLOSING[what])
    assert collector.lines_until_marker() == []
    assert raw_answers(text) == [(413, refusal(413, "Body too large: at most 1048576 bytes"))]
    assert b"\r\nConnection: close\r\n" in text


@pytest.mark.parametrize("version, change, kept", [
    ("1.1", {}, None), ("1.1", {"Connection": "close"}, b"close"), ("1.1", {"Connection": "keep-alive"}, b"Keep-Alive"),
    ("1.0", {}, b"close"), ("1.0", {"Connection": "keep-alive"}, b"Keep-Alive"),
])
def test_connection_header_of_an_error_is_as_of_a_200(collector, version, change, kept):
    """HTTP/1.0 and clients that ask to close get what they would get with a 200."""
    for body, status in ((A, 200), ("{", 400)):
        text = collector.raw(raw_request(body, **change).replace(b"HTTP/1.1", b"HTTP/" + version.encode(), 1), True)
        assert raw_answers(text)[0][0] == status
        lines = text.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
        assert [line[12:] for line in lines if line.startswith(b"Connection: ")] == ([kept] if kept else [])
    assert len(collector.lines_until_marker()) == 1


def test_pipelined_requests(collector):
    requests = [raw_request(A), raw_request(Authorization=None), head("HEAD"), raw_request(method="PUT"),
                head(Transfer_Encoding="chunked") + chunk(B) + b"0\r\n\r\n", raw_request(client_id=None),
                raw_request(f"[{A},{B}]", Connection="close")]
    text = collector.raw(b"".join(requests))
    assert collector.lines_until_marker() == [record(A), record(B), record(A), record(B)]
    assert raw_answers(text) == [(200, COLLECTED), (401, NO_TOKEN), (405, ""), (405, NO_METHOD), (200, COLLECTED),
                                 (403, UNKNOWN), (200, collected(2))]


def test_what_is_pipelined_behind_an_error_is_collected(collector):
    text = collector.raw(raw_request("{") + raw_request(A) + raw_request("[") + raw_request(B, Connection="close"))
    assert collector.lines_until_marker() == [record(A), record(B)]
    assert [status for status, _ in raw_answers(text)] == [400, 200, 400, 200]


LINES = {"Content_Type": "application/x-ndjson"}
CHUNKED = {"Transfer_Encoding": "chunked", **LINES}
# Each holds a whole event, so that a body that is taken for whole too early would show.
BROKEN_OFF = {
    "at once": head(Content_Length=1000, **LINES),
    "in a body with a length": head(Content_Length=1000, **LINES) + (A + "\n").encode(),
    "one byte before the end": head(Content_Length=len(A) + 2, **LINES) + (A + "\n").encode(),
    "before the first chunk": head(**CHUNKED),
    "in a chunk": head(**CHUNKED) + chunk(A + "\n" + B)[:-4],
    "between chunks": head(**CHUNKED) + chunk(A + "\n"),
    "in a chunk's length": head(**CHUNKED) + chunk(A + "\n") + b"1",
    "in the last chunk": head(**CHUNKED) + chunk(A + "\n") + b"0",
    "a chunk's length that is none": head(**CHUNKED) + chunk(A + "\n") + b"xyz\r\n",
    "a chunk's length beyond all numbers": head(**CHUNKED) + chunk(A + "\n") + b"f" * 40 + b"\r\n",
}


@pytest.mark.parametrize("text", BROKEN_OFF.values(), ids=BROKEN_OFF)
def test_body_that_stops_half_way(collector, text):
    answers = raw_answers(collector.raw(text, half_close=True))
    assert collector.lines_until_marker() == []
    assert [status for status, _ in answers] in ([], [400], [413]), "413: httpd's own for such a chunk"


def test_expect_100_continue(collector):
    with socket.create_connection(("127.0.0.1", collector.port), timeout=30) as connection:
        connection.sendall(head(Content_Length=len(A), Expect="100-continue", Connection="close"))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(A.encode())
        text = b"".join(iter(lambda: connection.recv(65536), b""))
    assert collector.lines_until_marker() == [record(A)]
    assert raw_answers(text) == [(200, COLLECTED)]


@pytest.mark.parametrize("status, headers", [(401, {"Authorization": None}), (415, {"Content_Type": "a/b"}),
                                             (413, {"Content_Length": 1 << 30})])
def test_a_refused_head_asks_for_no_body(collector, status, headers):
    text = collector.raw(head(**{"Content_Length": len(A), "Expect": "100-continue", **headers}), half_close=True)
    assert collector.lines_until_marker() == []
    assert [answer[0] for answer in raw_answers(text)] == [status]


@pytest.mark.parametrize("length", [0, 5, 1 << 30])
def test_length_and_chunked(collector, length):
    """What a proxy before us might take for the end of the body is none: the chunks count (RFC 9112, 6.3)."""
    smuggled = chunk(A) + b"0\r\n\r\n" + raw_request(B)
    answers = raw_answers(collector.raw(head(Content_Length=length, Transfer_Encoding="chunked") + smuggled))
    assert collector.lines_until_marker() == [record(A)]
    assert answers == [(200, COLLECTED)], "and the connection is closed"


def test_head_of_more_than_8_kib(collector):
    answers = raw_answers(collector.raw(raw_request(X_Long="x" * 8192)))
    assert collector.lines_until_marker() == []
    assert [status for status, _ in answers] == [400]


def test_several_forwarded_for(collector):
    text = raw_request(A, Connection="close").replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n", 1)
    answers = raw_answers(collector.raw(text))
    assert answers == [(200, COLLECTED)]
    assert collector.lines_until_marker() == [record(A, added(client_ip=HEADERS["X-Forwarded-For"] + ", 10.0.0.1"))]


# --- which stream, which settings ---


def test_streams_of_locations():
    places = (location("/a/", "ClickstreamDeliverTo a") + location("/b/", "ClickstreamDeliverTo b")
              + location("/a/b/", "ClickstreamDeliverTo b"))
    with Collector(places, streams=("a", "b")) as server:
        server.expected_errors = ["no stream for /poc-kstream/: there are several, so write ClickstreamDeliverTo NAME"]
        for path in ("/a/", "/b/", "/a/b/"):
            assert server.post(event(f'"at":"{path}"'), path=path).status == 200
        response = server.post(EVENT)
        assert (response.status, response.text) == (500, refusal(50001, "Failed to collect data."))
        assert server.expected_errors[0] in server.log()
        wait_for(lambda: len(server.delivered_lines("a")) == 1 and len(server.delivered_lines("b")) == 2)
        assert server.delivered_lines("a") == [record(event('"at":"/a/"'))]
        assert server.delivered_lines("b") == [record(event(f'"at":"{path}"')) for path in ("/b/", "/a/b/")]


MERGED = """
ClickstreamClient everywhere
ClickstreamMaxEvents 2
<Location "/poc-kstream/inner/">
    ClickstreamClient inner
    ClickstreamRequire a
    ClickstreamRequire b
</Location>
<VirtualHost *:*>
    ServerName first.example
</VirtualHost>
<VirtualHost *:*>
    ServerName second.example
    ClickstreamMaxEvents 1
    <Location "/poc-kstream/">
        ClickstreamAuth none
        ClickstreamRequire token
    </Location>
</VirtualHost>
"""
FIRST, SECOND = {"Host": "first.example"}, {"Host": "second.example", "Authorization": None}
EVERYWHERE, INNER = {"client_id": "everywhere"}, {"client_id": "inner"}
# (path behind ours, headers, body, status) with the configuration above.
MERGES = [
    ("", {**FIRST, **EVERYWHERE}, f"[{A},{B}]", 200),
    ("", {**FIRST, **EVERYWHERE}, f"[{A},{A},{A}]", 413),
    ("", {**FIRST, **INNER}, A, 403),
    ("", {**FIRST, **EVERYWHERE, "Authorization": None}, A, 401),
    ("inner/", {**FIRST, **INNER}, '[{"a":1,"b":1},{"b":1,"a":1}]', 200),
    ("inner/", {**FIRST, **INNER}, '{"a":1}', 400),
    ("inner/", {**FIRST, **INNER}, "[1,2,3]", 413),
    ("inner/", {**FIRST, **EVERYWHERE}, A, 403),
    ("", {**SECOND, **EVERYWHERE}, '{"token":"a"}', 200),
    ("", {**SECOND, **EVERYWHERE}, f"[{A},{B}]", 413),
    # The virtual host's Location comes after the main server's, as httpd merges them.
    ("inner/", {**SECOND, **INNER}, '{"token":"a"}', 200),
    ("inner/", {**SECOND, **INNER}, '{"a":1,"b":1}', 400),
]


def test_settings_are_merged():
    with Collector(MERGED) as server:
        found = [server.post(body, path=PATH + path, headers={**HEADERS, **headers}).status
                 for path, headers, body, _ in MERGES]
        assert found == [row[-1] for row in MERGES]


# --- a queue that is full ---

FULL = refusal(503, "Queue full, try again later.")
TROUBLE = ["its queue is full, clients get 503", "not all was taken"]
LARGE = "ClickstreamMaxBody 4M"


def sized_event(number, size=60_000):
    return padded(size).replace("xxxxxxxx", f"{number:08}", 1)


def fill(server):
    """Posts until there is no room; returns what was collected, and the answer that said so."""
    sent = []
    while True:
        text = sized_event(len(sent))
        response = server.post(text)
        if response.status != 200:
            return sent, response
        sent.append(text)


def delivered_by(fake):
    return b"".join(fake.records()).decode().split("\n")[:-1]


@pytest.mark.parametrize("fault", [{"kind": "status", "code": 500}, {"kind": "hang", "seconds": 60}],
                         ids=lambda fault: fault["kind"])
def test_queue_full(fake, keys, fault):
    # Where Firehose hangs, a request is given up after the least time that can be set.
    stream = firehose_stream(fake, "queue=1M linger=1ms timeout=1s")
    fake.faults([fault])
    with Httpd(stream, LARGE, environment=keys) as server:
        server.expected_errors = TROUBLE
        sent, response = fill(server)
        assert (response.status, response.text, response.headers["Retry-After"]) == (503, FULL, "5")
        assert len(sent) == (1 << 20) // 60_480, "a frame and the additions take 480 bytes at most"
        # A small event has room, and so it must not be taken out of a request that has none as a whole.
        small = event('"value":"small"')
        response = server.post(f"[{small},{sized_event(99)}]")
        assert (response.status, response.text) == (503, FULL)
        assert server.post(A).status == 200
        assert TROUBLE[0] in server.log()
        fake.faults([])
        wait_for(lambda: len(delivered_by(fake)) > len(sent), what="what was collected")
        assert server.post(B).status == 200
        # What Firehose has is settled a little later.
        wait_for(lambda: server.post(f"[{small},{sized_event(99)}]").status == 200, what="room")
        expected = [*sent, A, B, small, sized_event(99)]
        wait_for(lambda: len(delivered_by(fake)) >= len(expected), what="the rest")
    # Several requests are under way at once, so the order is not ours to promise.
    assert sorted(delivered_by(fake)) == sorted(map(record, expected))


def test_more_than_the_queue_can_ever_hold(fake, keys):
    with Httpd(firehose_stream(fake, "queue=1M linger=1ms"), LARGE, environment=keys) as server:
        server.expected_errors = ["its queue cannot be used, clients get 413: write a larger queue="]
        response = server.post(f"[{','.join(map(sized_event, range(20)))}]")
        assert (response.status, response.text) == (
            413, refusal(413, "More events than the queue can hold: send fewer at once"))
        assert server.expected_errors[0] in server.log()
        assert server.post(A).status == 200
        wait_for(lambda: delivered_by(fake) == [record(A)])

"""The connection under the contract: what is kept open, pipelined, broken off, or said twice.

Where the CGI's door differs, httpd's own way with CGI programs is the reason, and stands at the test.
"""
# SPDX-License-Identifier: Apache-2.0

import pathlib
import socket

import pytest
from cases import A, B, EVENT, NO_METHOD, NO_TOKEN, NO_TYPE, UNKNOWN, Case, added, as_bytes, collected, invalid, \
    malformed, record, refusal, rejection
from cases_body import BY_HTTPD, BY_GZIP, GZIP, INFLATE, bomb
from doors import CGI, PATH, CgiDoor, Collector, Doors
from server import COLLECTED, HEADERS, LIBEXECDIR

MODULE = "module, event"
HTTP2 = pathlib.Path(LIBEXECDIR) / "mod_http2.so"
# The CGI's place has the line that this undoes.
WITHOUT = "SetEnvIfNoCase ^client_id$ . !CLICKSTREAM_CLIENT_ID"


@pytest.fixture(scope="module")
def doors():
    made = Doors([*BY_GZIP, Case("without the variable", directives=WITHOUT)])
    with made.stack:
        yield made


@pytest.fixture
def module(doors):
    return doors.server(MODULE)


@pytest.fixture
def cgi(doors):
    return doors.server(CGI)


@pytest.fixture(params=[MODULE, CGI])
def door(request, doors):
    return doors.server(request.param)


@pytest.fixture(scope="module")
def offering():
    """The module where httpd offers HTTP/2: on a connection's first answer, with `Upgrade` in the Connection line."""
    if not HTTP2.exists():
        pytest.skip(f"there is no {HTTP2}")
    with Collector(f'LoadModule http2_module "{HTTP2}"\nProtocols h2c http/1.1\n') as server:
        yield server


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


def unchunked(body):
    """The body that is in chunks."""
    whole = b""
    while body:
        length, _, body = body.partition(b"\r\n")
        whole += body[:int(length, 16)]
        body = body[int(length, 16) + 2:]
    return whole


def raw_answers(text):
    """(status, body) of each of several answers."""
    parts = [part.split(b"\r\n\r\n", 1) for part in text.split(b"HTTP/1.1 ")[1:]]
    return [(int(lines[:3]), (unchunked(body) if b"\r\nTransfer-Encoding: chunked" in lines else body).decode())
            for lines, body in parts]


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


def test_connection_stays_open(door):
    """From the CGI, httpd itself closes it after a 400 and a 413, as the end of such a request is in doubt to it."""
    is_closed = (400, 413) if isinstance(door, CgiDoor) else ()
    connection = door.connect()
    sockets, found = set(), []
    for change, method, body, _, _ in OPEN * 2:
        response = door.request(method, PATH, body, {**HEADERS, **change}, connection)
        found.append((response.status, response.text, response.will_close))
        sockets.add(connection.sock)
    connection.close()
    assert door.lines_until_marker() == [record(A), record(), record(A), record()]
    assert found == [(status, answer, status in is_closed) for _, _, _, status, answer in OPEN * 2]
    assert is_closed or len(sockets) == 1


# Of what is 4 MiB too long or more, the rest is not read: the connection ends, and the answer says so.
CLOSING = {
    "with a length": head(Content_Length=(5 << 20) + 1) + b" " * 100_000,
    "chunked": head(Transfer_Encoding="chunked") + chunk(" " * 65536) * 81 + b"0\r\n\r\n",
}


@pytest.mark.parametrize("what", CLOSING)
def test_connection_ends_with_a_body_far_too_long(module, what):
    """The answer comes whole, even to a client that sends on. (A CGI's comes when httpd has the whole body.)"""
    text = module.raw(CLOSING[what])
    assert module.lines_until_marker() == []
    assert raw_answers(text) == [(413, refusal(413, "Body too large: at most 1048576 bytes"))]
    assert b"\r\nConnection: close\r\n" in text


@pytest.mark.parametrize("version, change, kept", [
    ("1.1", {}, []), ("1.1", {"Connection": "close"}, ["close"]), ("1.1", {"Connection": "keep-alive"}, ["Keep-Alive"]),
    ("1.0", {}, ["close"]), ("1.0", {"Connection": "keep-alive"}, ["Keep-Alive"]),
])
@pytest.mark.parametrize("fixture, offer", [("module", []), ("offering", ["Upgrade"])], ids=["HTTP/1.1", "HTTP/2 too"])
def test_connection_header_of_an_error_is_as_of_a_200(request, fixture, offer, version, change, kept):
    """HTTP/1.0 and clients that ask to close get what they would get with a 200; and who may upgrade is told so."""
    server = request.getfixturevalue(fixture)
    for body, status in ((A, 200), ("{", 400)):
        text = server.raw(raw_request(body, **change).replace(b"HTTP/1.1", b"HTTP/" + version.encode(), 1), True)
        assert raw_answers(text)[0][0] == status
        lines = text.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        expected = ", ".join(offer + kept)
        assert [line[12:] for line in lines if line.startswith("Connection: ")] == ([expected] if expected else [])
        assert ("Upgrade: h2c" in lines) == bool(offer)
    assert len(server.lines_until_marker()) == 1


def test_what_is_pipelined_behind_the_first_error_is_collected_where_http_2_is_offered(offering):
    text = offering.raw(raw_request("{") + raw_request(A) + raw_request("[") + raw_request(B, Connection="close"))
    assert offering.lines_until_marker() == [record(A), record(B)]
    assert [status for status, _ in raw_answers(text)] == [400, 200, 400, 200]


def test_pipelined_requests(door):
    requests = [raw_request(A), raw_request(Authorization=None), head("HEAD"), raw_request(method="PUT"),
                head(Transfer_Encoding="chunked") + chunk(B) + b"0\r\n\r\n", raw_request(client_id=None),
                raw_request(f"[{A},{B}]", Connection="close")]
    text = door.raw(b"".join(requests))
    assert door.lines_until_marker() == [record(A), record(B), record(A), record(B)]
    assert raw_answers(text) == [(200, COLLECTED), (401, NO_TOKEN), (405, ""), (405, NO_METHOD), (200, COLLECTED),
                                 (403, UNKNOWN), (200, collected(2))]


def test_what_is_pipelined_behind_an_error_is_collected(door):
    """From the CGI, httpd closes the connection after a 400: the client has to send again what it got no answer to."""
    text = door.raw(raw_request("{") + raw_request(A) + raw_request("[") + raw_request(B, Connection="close"))
    ends = isinstance(door, CgiDoor)
    assert door.lines_until_marker() == ([] if ends else [record(A), record(B)])
    assert [status for status, _ in raw_answers(text)] == ([400] if ends else [400, 200, 400, 200])


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
def test_body_that_stops_half_way(door, text):
    """To a CGI the end of a chunked body and the end of its client look the same. httpd answers 400 and ends the
    program, which may have been quicker: then the whole lines that came are collected, as if they had been all."""
    answers = raw_answers(door.raw(text, half_close=True))
    lines = door.lines_until_marker()
    assert lines == [] or (isinstance(door, CgiDoor) and b"chunked" in text and lines == [record(A)])
    assert [status for status, _ in answers] in ([], [400], [413]), "413: httpd's own for such a chunk"


def test_expect_100_continue(door):
    with socket.create_connection(("127.0.0.1", door.port), timeout=30) as connection:
        connection.sendall(head(Content_Length=len(A), Expect="100-continue", Connection="close"))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(A.encode())
        text = b"".join(iter(lambda: connection.recv(65536), b""))
    assert door.lines_until_marker() == [record(A)]
    assert raw_answers(text) == [(200, COLLECTED)]


@pytest.mark.parametrize("status, headers", [(401, {"Authorization": None}), (415, {"Content_Type": "a/b"}),
                                             (413, {"Content_Length": 1 << 30})])
def test_a_refused_head_asks_for_no_body(module, status, headers):
    """A CGI is asked when httpd has the body."""
    text = module.raw(head(**{"Content_Length": len(A), "Expect": "100-continue", **headers}), half_close=True)
    assert module.lines_until_marker() == []
    assert [answer[0] for answer in raw_answers(text)] == [status]


@pytest.mark.parametrize("body, lines, answer", [(A, [record(A)], (200, COLLECTED)),
                                                 ("{", [], (400, invalid(malformed(1))))], ids=["200", "400"])
@pytest.mark.parametrize("length", [0, 5, 1 << 30])
def test_length_and_chunked(door, length, body, lines, answer):
    """What a proxy before us might take for the end of the body is none: the chunks count (RFC 9112, 6.3). And where it
    sees the next request none may be, so that httpd closes the connection; after an error of ours too."""
    smuggled = chunk(body) + b"0\r\n\r\n" + raw_request(B)
    text = door.raw(head(Content_Length=length, Transfer_Encoding="chunked") + smuggled)
    assert door.lines_until_marker() == lines
    assert raw_answers(text) == [answer]
    assert b"\r\nConnection: close\r\n" in text


@pytest.mark.parametrize("length", [8192, 1 << 20])
def test_header_that_is_too_long(door, length):
    """More than httpd takes, which is 8 KiB if nobody says otherwise."""
    answers = raw_answers(door.raw(raw_request(X_Long="x" * length)))
    assert door.lines_until_marker() == []
    assert [status for status, _ in answers] == [400]


LONG_HEADERS = "LimitRequestFieldSize 2097152\n"


def test_header_of_1_mib():
    """Where httpd takes it: of what is in a record the beginning is kept, and beside one it does no harm."""
    with Collector(LONG_HEADERS) as server:
        response = server.post(EVENT, headers={**HEADERS, "X-Long": "x" * (1 << 20)})
        assert (response.status, response.text) == (200, COLLECTED)
        response = server.post(EVENT, headers={**HEADERS, "User-Agent": "x" * (1 << 20)})
        assert (response.status, response.text) == (200, COLLECTED)
        assert server.lines_until_marker() == [record(), record(added=added(user_agent="x" * 2048))]


def test_header_of_1_mib_for_the_cgi():
    """No program can be started with such a variable, so it is not asked at all; the next one is."""
    with CgiDoor({}, LONG_HEADERS) as server:
        server.expected_errors.append("[cgid:error]")  # what httpd says of it differs with its version and the moment
        for length, statuses in ((1 << 20, (500, 503)), (20_000, (200,))):
            assert server.post(EVENT, headers={**HEADERS, "X-Long": "x" * length}).status in statuses
        assert server.lines_until_marker() == [record()]


@pytest.mark.parametrize("limit, status, media_type", [(len(A) - 1, 413, "text/html; charset=iso-8859-1"),
                                                       (len(A), 200, "application/json")])
@pytest.mark.parametrize("body", [A, [A]], ids=["with a length", "chunked"])
def test_a_limit_of_httpd_goes_first(limit, status, media_type, body):
    with Collector(location=f"LimitRequestBody {limit}") as server:
        found = server.exchange(PATH, Case("", body))
        assert (found.status, found.headers["Content-Type"]) == (status, media_type)


@pytest.mark.parametrize("asked", ["bytes=0-3", "bytes=1000-", "bytes=0-0,-1"])
def test_nobody_gets_a_part_of_the_answer(module, asked):
    """Of a CGI's answer httpd gives it."""
    for header in ("Range", "Request-Range"):
        response = module.post(A, headers={**HEADERS, header: asked})
        assert (response.status, response.text) == (200, COLLECTED)
    assert module.lines_until_marker() == [record(A)] * 2


# The headers that come twice: what becomes of them; None: it is refused, with that status.
TWICE = {
    "client_id": ("b", 200, added("touchwood-app, b")),
    "X-Forwarded-For": ("10.0.0.1", 200, added(client_ip=HEADERS["X-Forwarded-For"] + ", 10.0.0.1")),
    "User-Agent": ("b", 200, added(user_agent=HEADERS["User-Agent"] + ", b")),
    "Authorization": ("Bearer b", 401, None),
    "Content-Type": ("application/json", 415, None),
    "Content-Length": (str(len(A) - 1), 400, None),
    "Host": ("localhost", 400, None),
}


@pytest.mark.parametrize("name", TWICE)
def test_header_that_comes_twice(door, name):
    """httpd joins them with a comma, or refuses what cannot be joined."""
    value, status, additions = TWICE[name]
    text = raw_request(A, Connection="close").replace(b"\r\n\r\n", f"\r\n{name}: {value}\r\n\r\n".encode(), 1)
    answers = raw_answers(door.raw(text))
    assert [answer[0] for answer in answers] == [status]
    assert door.lines_until_marker() == ([record(A, additions)] if additions else [])


@pytest.mark.parametrize("name, status", [("client_id", 403), ("client-id", 200)])
def test_httpd_drops_a_header_with_an_underscore(doors, cgi, name, status):
    """Without the line that puts it into a variable of its own, the CGI does not get it."""
    headers = {**HEADERS, "client_id": None, name: "touchwood-app"}
    assert cgi.post(A, path=doors.paths[WITHOUT], headers=headers).status == status
    assert cgi.lines_until_marker() == [record(A)] * (status == 200)


# --- gzip ---


@pytest.mark.parametrize("case", [case for case in BY_GZIP if case.not_cgi == BY_HTTPD], ids=lambda case: case.name)
def test_gzip_that_httpd_cannot_inflate_for_the_cgi(cgi, doors, case):
    found = cgi.exchange(doors.paths[case.directives], case)
    assert found.status == case.status
    assert cgi.lines_until_marker() == []


def peak_memory(server):
    """Of the child that took most, in KiB."""
    return max(int(line.split()[1]) for pid in server.children()
               for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))


def test_bombs_cost_no_memory(doors, module):
    """Each would be 256 MiB: what is beyond the limit is not kept, and soon not inflated."""
    path, body = doors.paths[INFLATE], bomb(256 << 20)
    assert len(body) < 3 << 20
    module.request(path=path, body=bomb(4 << 20), headers={**HEADERS, **GZIP})
    before = peak_memory(module)
    for _ in range(4):
        response = module.request(path=path, body=body, headers={**HEADERS, **GZIP})
        assert (response.status, response.text) == (413, refusal(413, "Body too large: at most 1048576 bytes"))
    assert peak_memory(module) - before < 16 << 10
    assert module.lines_until_marker() == []

"""Requests that mean harm: smuggled, injected, endless, slow, enormous inside, of names that collide. What they bring
is refused or is one clean record; nobody else waits, nothing is told apart wrongly, no process dies. Tokens, cookies
and origins that almost fit are cases of the contract; gzip bombs are test_wire.py's."""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import pathlib
import random
import re
import select
import socket
import time

import pytest
from cases import A, EVENT, ID, added, event, record
from doors import CGI, DOORS, PATH, Collector, ModuleDoor
from server import HEADERS, LIBEXECDIR
from test_wire import chunk, head, raw_answers, raw_request

MODULE = "module, event"
ROOM = "ClickstreamMaxBody 16M\nClickstreamMaxEvent 1000K\nClickstreamMaxEvents 1000"
ROOMY = "/roomy/"
# httpd's own words for what it refuses itself.
BY_HTTPD = ["AH00", "AH01", "AH02", "AH03", "AH10"]


@pytest.fixture(scope="module", params=[MODULE, CGI])
def door(request):
    with DOORS[request.param]({ROOM: ROOMY}) as made:
        made.is_cgi = request.param == CGI
        made.expected_errors += BY_HTTPD
        yield made
        works(made)


def works(server):
    """The next honest request is served as ever, and nothing of others' comes with it."""
    assert server.post(EVENT).status == 200
    assert server.lines_until_marker() == [record()]


HIDDEN = raw_request(event('"hidden":true'))


def framed(*headers, body=b""):
    """A head with exactly these framing headers."""
    plain = head().removesuffix(b"\r\n")
    return plain + b"".join(line.encode("latin-1") + b"\r\n" for line in headers) + b"\r\n" + body


# What RFC 9112 lets nobody read in two ways: the framing is refused, and never is a part of a body a request.
SMUGGLED = {
    "two lengths": framed(f"Content-Length: {len(A)}", "Content-Length: 5", body=A.encode() + HIDDEN),
    "lengths in one": framed(f"Content-Length: 5, {len(A)}", body=A.encode() + HIDDEN),
    "a signed length": framed(f"Content-Length: +{len(A)}", body=A.encode() + HIDDEN),
    "a negative length": framed("Content-Length: -1", body=HIDDEN),
    "a length in hex": framed("Content-Length: 0x10", body=HIDDEN),
    "a length of 2^64": framed("Content-Length: 18446744073709551616", body=HIDDEN),
    "a length of 30 digits": framed("Content-Length: " + "9" * 30, body=HIDDEN),
    "an empty length": framed("Content-Length:", body=HIDDEN),
    "chunked with a tab": framed("Transfer-Encoding:\tchunked\x0b", body=b"0\r\n\r\n" + HIDDEN),
    "xchunked": framed("Transfer-Encoding: xchunked", body=b"0\r\n\r\n" + HIDDEN),
    "chunked, identity": framed("Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n" + HIDDEN),
    "an unknown coding": framed("Transfer-Encoding: gzip", body=HIDDEN),
    "a space before the colon": framed("Transfer-Encoding : chunked", body=b"0\r\n\r\n" + HIDDEN),
    "a bare CR in a header": framed("X-A: b\rTransfer-Encoding: chunked", body=HIDDEN),
    "a NUL in a header": framed("X-A: b\0c", body=b""),
    "a line without a colon": framed("Transfer-Encoding chunked", body=HIDDEN),
    "a negative chunk": framed("Transfer-Encoding: chunked", body=b"-1\r\n" + HIDDEN),
    "a chunk of 0x10": framed("Transfer-Encoding: chunked", body=b"0x10\r\n" + HIDDEN),
    "a chunk of +5": framed("Transfer-Encoding: chunked", body=b"+5\r\nabcde\r\n0\r\n\r\n" + HIDDEN),
    "a chunk beyond 64 bits": framed("Transfer-Encoding: chunked", body=b"1" + b"0" * 16 + b"\r\n" + HIDDEN),
    "a chunk shorter than it says": framed("Transfer-Encoding: chunked", body=b"5\r\nabcdefgh\r\n0\r\n\r\n" + HIDDEN),
    "no end of a chunk's line": framed("Transfer-Encoding: chunked", body=b"5" * 100_000),
    "two protocols in a line": b"POST " + PATH.encode() + b" HTTP/1.1 HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN,
    "no host": b"POST " + PATH.encode() + b" HTTP/1.1\r\n\r\n",
    "a space in the target": b"POST " + PATH.encode() + b" x HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("what", SMUGGLED)
def test_smuggling(door, what):
    answers = raw_answers(door.raw(SMUGGLED[what], half_close=True))
    assert answers and all(status in (400, 411, 413, 417, 501, 505, 500) for status, _ in answers), answers
    works(door)  # and the hidden one was not collected


def test_what_is_behind_a_body_is_a_request_of_its_own(door):
    """Not smuggling but pipelining: both are answered, both are collected, in their order."""
    other = event('"second":true')
    answers = raw_answers(door.raw(raw_request(A) + raw_request(other, Connection="close")))
    assert [status for status, _ in answers] == [200, 200]
    assert door.lines_until_marker() == [record(A), record(other)]


def test_a_folded_header_is_one_header(door):
    request = framed("X-A: b\r\n Transfer-Encoding: chunked", f"Content-Length: {len(A)}", body=A.encode())
    answers = raw_answers(door.raw(request, half_close=True))
    assert [status for status, _ in answers] == [200]
    assert door.lines_until_marker() == [record(A)]


def test_a_body_with_get_and_options(door):
    for method, status in (("GET", 405), ("OPTIONS", 204), ("DELETE", 405), ("TRACE", 405)):
        answers = raw_answers(door.raw(raw_request(HIDDEN, method=method, Connection="close")))
        assert len(answers) == 1 and answers[0][0] in (status, 413, 403), (method, answers)
    works(door)


# --- injection ---

NASTY = ['a"b', "a\\b", "a\\", '"', "{}", "a\x1b[31mb", "a\x7fb", "a\tb", "é".encode().decode("latin-1"),
         "\xff\xfe", "\u0085", "a" * 4000, "%0d%0aX: y", "$(id)", "<script>", "a\\u0000b", "a, b", " a ", "\u00a0"]
FIELDS = ["User-Agent", "X-Forwarded-For", "client_id", "Authorization", "Origin", "Cookie", "Referer"]


@pytest.mark.parametrize("field", FIELDS)
def test_injection_into_headers(door, field):
    """Each text in each header that we read: one answer with our headers alone; a record is one line of JSON; the log
    has no control character."""
    before = len(door.log())
    for text in NASTY:
        value = f"Bearer {text}" if field == "Authorization" else text
        request = raw_request(EVENT, Connection="close")
        name = field.encode() + b":"
        lines = [line for line in request.split(b"\r\n\r\n")[0].split(b"\r\n") if not line.startswith(name)]
        answer = door.raw(b"\r\n".join([*lines, name + b" " + value.encode("latin-1"), b"", EVENT.encode()]))
        assert answer.startswith(b"HTTP/1.1 ") and b"\r\nX: y" not in answer, answer
        assert len(raw_answers(answer)) == 1 and raw_answers(answer)[0][0] in (200, 400, 401, 403), answer
    for line in door.lines_until_marker():
        members = json.loads(line)
        assert list(members)[-3:] in ([*("client_id", "client_ip", "user_agent")], ["value", "client_id", "client_ip"])
        assert not any(ord(c) < 32 for c in line)
    assert not any(ord(c) < 32 and c != "\n" for c in door.log()[before:]), "a control character in the log"


@pytest.mark.parametrize("query", [
    "client_id=a%0d%0aSet-Cookie:%20x=y", "client_id=a%00b", "client_id=%22%7d%0a%7b", "client_id=%1b[0m",
    "client_id=" + "x" * 5000, "client_id=%", "client_id=%zz", "%63lient_id=a"])
def test_injection_into_the_query(door, query):
    response = door.request(path=f"{PATH}?{query}", body=EVENT, headers={**HEADERS, "client_id": None})
    assert response.status in (200, 403)
    assert response.headers["Set-Cookie"] is None
    lines = door.lines_until_marker()
    assert len(lines) == (response.status == 200)
    for line in lines:
        assert isinstance(json.loads(line)["client_id"], str)


def test_forged_members_in_every_spelling(door):
    """What the server adds is there once, with the server's value."""
    forged = ['"client_id":"x"', r'"\u0063lient_id":"x"', r'"client\u005fid":"x"', r'"clien\u0074_ip":"x"',
              '"user_agent":{"a":1}', r'"user\u005Fagent":null', '"client_ip":["x"]']
    text = "{" + ",".join(forged) + "," + ID + "," + ",".join(reversed(forged)) + "}"
    assert door.post(text).status == 200
    line, = door.lines_until_marker()
    pairs = json.loads(line, object_pairs_hook=list)
    names = [name for name, _ in pairs]
    assert names == ["token", "timestamp", "tag", "client_id", "client_ip", "user_agent"]
    assert dict(pairs)["client_id"] == HEADERS["client_id"]


BEHIND = (f'LoadModule headers_module "{LIBEXECDIR}/mod_headers.so"\n'
          f'LoadModule remoteip_module "{LIBEXECDIR}/mod_remoteip.so"\n'
          "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1\n")
WITHOUT_REST = "RequestHeader unset X-Forwarded-For"


@pytest.mark.parametrize("directives, client_ip", [
    ("ClickstreamClientIP remote", "90.200.187.19"),
    (WITHOUT_REST, "90.200.187.19"),
    (f"{WITHOUT_REST}\nClickstreamClientIP anonymized", "90.200.187.0"),
    ("ClickstreamClientIP remote\nClickstreamOptOut anonymize", "90.200.187.0"),
    ("", "6.6.6.6"),  # which DIRECTIVES.md warns of
])
def test_a_forged_address_where_mod_remoteip_reads_the_header(directives, client_ip):
    """The proxy has put the client's own address behind what that made up; mod_remoteip takes it from there."""
    with Collector(BEHIND, directives) as server:
        forged = {**HEADERS, "X-Forwarded-For": "6.6.6.6, 90.200.187.19", "Sec-GPC": "1"}
        assert server.post(EVENT, headers=forged).status == 200
        assert server.lines_until_marker() == [record(added=added(client_ip=client_ip))]


# --- endless and slow ---


def test_an_endless_body(door):
    """Chunks without an end: answered at the limit and a little more, while the client still sends."""
    if door.is_cgi:
        pytest.skip("httpd gives a program the whole body first, which its LimitRequestBody bounds")
    sent = 0
    with socket.create_connection(("127.0.0.1", door.port), timeout=30) as connection:
        connection.sendall(head(Transfer_Encoding="chunked"))
        while not select.select([connection], [], [], 0)[0]:
            connection.sendall(chunk(b" " * 65536))
            sent += 65536
            assert sent < 64 << 20, "it reads on and on"
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
    works(door)


@pytest.fixture(scope="module")
def slow_site():
    site = ModuleDoor({}, "event")
    with open(site.root / "httpd.conf", "a", encoding="utf-8") as conf:
        conf.write(f'LoadModule reqtimeout_module "{LIBEXECDIR}/mod_reqtimeout.so"\n'
                   "RequestReadTimeout header=2 body=2\n")
    site.expected_errors += BY_HTTPD
    with site:
        yield site


def test_slow_bodies_and_heads(slow_site):
    """As slow as can be, on 20 connections: mod_reqtimeout ends them, nothing of them is
    collected, and others are served meanwhile."""
    slow = []
    for number in range(20):
        connection = socket.create_connection(("127.0.0.1", slow_site.port), timeout=30)
        whole = raw_request(EVENT)
        connection.sendall(whole[:len(whole) - 20] if number % 2 else whole[:50])
        slow.append(connection)
    began = time.monotonic()
    works(slow_site)
    assert time.monotonic() - began < 10
    for connection in slow:
        answer = connection.recv(65536)
        assert answer == b"" or raw_answers(answer)[0][0] in (400, 408), answer
        connection.close()
    works(slow_site)


# --- enormous inside ---


def cpu(server):
    """Seconds of CPU that httpd and those who have ended under it have used."""
    ticks = 0
    for pid in [server.process.pid, *server.children()]:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def spent(server, body, times):
    before = cpu(server)
    for _ in range(times):
        response = server.post(body, path=ROOMY)
        assert response.status in (200, 400), response.text
    return cpu(server) - before


def names(count, name):
    return event(",".join(f'"{name(number)}":0' for number in range(count)))


def colliding(count):
    """Names that collide in hashes that multiply and add: all the permutations of pairs with the same sum."""
    found, number = [], 0
    while len(found) < count:
        found.append("".join(("Aa", "BB")[number >> bit & 1] for bit in range(16)))
        number += 1
    return found


@pytest.mark.parametrize("what, body", [
    ("10,000 members", names(10_000, lambda n: f"name{n}")),
    ("10,000 times the same", names(10_000, lambda n: "same")),
    ("10,000 times the same, by turns", names(10_000, lambda n: f"same{n % 2}")),
    ("names of 50,000 bytes", names(10, lambda n: "n" * 50_000 + str(n))),
    ("a name of 900,000 bytes", names(1, lambda n: "n" * 900_000)),
    ("10,000 empty names", names(10_000, lambda n: "")),
], ids=lambda value: value if len(value) < 50 else "")
def test_many_members(door, what, body):
    assert door.post(body, path=ROOMY).status == 200, what
    members = json.loads(body)
    line, = door.lines_until_marker()
    assert {name: value for name, value in json.loads(line).items() if name not in
            ("client_id", "client_ip", "user_agent")} == members


def test_names_that_collide_cost_as_others(door):
    """Four times as many names cost about four times as much, whether they were chosen to collide or not."""
    if door.is_cgi:
        pytest.skip("the CPU of programs that have ended is nobody's; the core is the same")
    chosen = colliding(16_000)
    ordinary = [f"{random.Random(7).random()}{n:05}" for n in range(16_000)]
    figures = {}
    for what, pool in (("chosen", chosen), ("ordinary", ordinary)):
        for count in (4_000, 16_000):
            body = event(",".join(f'"{name}":0' for name in pool[:count]))
            figures[what, count] = spent(door, body, 64_000 // count * 4)  # as many names in all
    door.lines_until_marker()
    least = 0.05  # of a tick or two nothing can be told
    assert figures["chosen", 16_000] < 3 * max(figures["ordinary", 16_000], least), figures
    assert figures["chosen", 16_000] < 3 * max(figures["chosen", 4_000], least), figures


@pytest.mark.parametrize("text", [
    "[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, event('"v":' + "[" * 60 + "]" * 60),
    "[" + "[]," * 100_000 + "[]]", '"' + "\\" * 200_001, "1" * 900_000],
    ids=["brackets", "objects", "closed", "60 deep", "wide", "backslashes", "digits"])
def test_deep_and_wide(door, text):
    response = door.post(text, path=ROOMY)
    assert response.status in (400, 413) and json.loads(response.text)["response_code"] == str(response.status)
    works(door)


def test_members_of_what_is_too_large_take_no_memory(door):
    """The shortest members that there are, in a body of the usual limits: not more than a few bodies in memory."""
    if door.is_cgi:
        pytest.skip("each request is a process of its own")

    def most():
        return max(int(re.search(r"VmHWM:\s*(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])
                   for pid in door.children())

    works(door)
    before = most()
    body = "{" + ",".join(['"":0'] * 200_000) + "}"
    for text in (body, f"[{body}]", f"{body}\n{body[:40_000]}"):
        response = door.post(text)
        assert response.status == 400 and '"too_large"' in response.text
    assert most() - before < 12 << 10, "KiB more than before"


def test_memory_stays(door):
    """After all that, and as much again: a child is no larger than some bodies."""
    if door.is_cgi:
        pytest.skip("each request is a process of its own")

    def resident():
        return max(int(re.search(r"RssAnon:\s*(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])
                   for pid in door.children())

    bodies = [names(10_000, lambda n: f"name{n}"), "[" * 100_000, event('"v":"' + "x" * 900_000 + '"')]
    def post_all(times):
        for _ in range(times):
            for body in bodies:
                door.post(body, path=ROOMY)
            door.lines_until_marker()  # so that the queue has room for more

    post_all(3)
    before = resident()
    post_all(10)
    assert resident() - before < 48 << 10, "KiB more than before"

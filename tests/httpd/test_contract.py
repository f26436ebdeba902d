"""The HTTP contract (design.md §3), case by case, through each front door, and that the doors deliver the same."""
# SPDX-License-Identifier: Apache-2.0

import json
import re
import time

import cases_added
import cases_body
import cases_event
import cases_json
import cases_request
import cases_tag
import cases_token
import pytest
from cases import A, B, FORMS, Case, as_bytes, blanked
from doors import CGI, DOORS, Doors

CASES = [case for table in (cases_event, cases_json, cases_request, cases_token, cases_tag, cases_added,
                                         cases_body)
         for case in table.CASES]
# Made once more by tests that look at what cases leave out.
STAMPED = Case("stamped", "\n".join([A] * 200), directives=cases_added.BOTH)
VISITED = Case("visited", f"[{A},{B}]", directives=cases_added.COOKIE)
MORE = [STAMPED, VISITED]
GOOD = [case for case in CASES if case.status == 200]

# The same through both doors but for these, which are httpd's own or about the connection.
NOT_OURS = ("Date", "Server", "Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length")


def test_the_table_is_a_table():
    names = [case.name for case in CASES]
    assert [name for name in names if names.count(name) > 1] == [], "a case's name is its id"
    assert len(CASES) > 800 and len(GOOD) > 300
    assert sum(1 for case in CASES if case.not_cgi) < 10


@pytest.fixture(scope="module")
def doors():
    made = Doors([*CASES, *MORE])
    with made.stack:
        yield made


def by_case(cases):
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


by_door = pytest.mark.parametrize("door", DOORS)


def outcome_of(doors, door, case):
    if door == CGI and case.not_cgi:
        pytest.skip(case.not_cgi)
    return doors.outcome(door, case)


def check_headers(found, case):
    for name, expected in case.answer_headers.items():
        values = found.get_all(name)
        if isinstance(expected, re.Pattern):
            assert len(values) == 1 and expected.fullmatch(values[0]), (name, values)
        else:
            assert values == (None if expected is None else [expected]), name


def check_answer(found, case):
    if isinstance(case.answer, re.Pattern):
        assert found.status == case.status and case.answer.fullmatch(found.body.decode()), found.body
    else:
        assert (found.status, found.body) == (case.status, as_bytes(case.answer))
    if isinstance(case.answer, bytes):
        assert found.headers.get_all("Content-Type") == ["image/gif"]
    elif case.status != 204:
        assert found.headers.get_all("Content-Type") == ["application/json"]
        assert not found.body or json.loads(found.body)["response_code"] == str(case.status)
    assert found.headers.get_all("Cache-Control") == ["no-store"]
    check_headers(found.headers, case)


@by_door
@by_case(CASES)
def test_case(doors, case, door):
    found = outcome_of(doors, door, case)
    assert found.error is None
    check_answer(found, case)
    assert found.records == case.records
    assert found.rejects == case.rejects
    for line in (*found.records, *found.rejects):
        json.loads(line)


# --- the doors against each other ---


def our_headers(found):
    return sorted((name, re.sub(FORMS["visitor_id"], "*", value) if name == "Set-Cookie" else value)
                  for name, value in found.headers.items() if name not in NOT_OURS)


@by_case(GOOD)
def test_the_doors_deliver_the_same_bytes(doors, case):
    """Apart from the values that blanked() looks at by their form."""
    through = {door: outcome_of(doors, door, case) for door in DOORS}
    first, *others = through.values()
    for other in others:
        assert [line.encode() for line in other.records] == [line.encode() for line in first.records]
        assert [line.encode() for line in other.rejects] == [line.encode() for line in first.rejects]
        assert (other.body, our_headers(other)) == (first.body, our_headers(first))


@by_case([case for case in CASES if case.status != 200])
def test_the_doors_refuse_in_the_same_words(doors, case):
    through = {door: outcome_of(doors, door, case) for door in DOORS}
    first, *others = through.values()
    for other in others:
        assert (other.status, other.body, our_headers(other)) == (first.status, first.body, our_headers(first))


# --- what blanked() leaves out ---


@pytest.mark.parametrize("line, left", [
    ('{"event_id":"01890a5d-ac96-774b-bcce-b302099a8057"}', '{"event_id":"*"}'),
    ('{"visitor_id":"9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"}', '{"visitor_id":"*"}'),
    ('{"received_at":"2026-01-31T23:59:59.123Z"}', '{"received_at":"*"}'),
    *((line, line) for line in (
        '{"event_id":"01890a5d-ac96-474b-bcce-b302099a8057"}', '{"event_id":"01890A5D-AC96-774B-BCCE-B302099A8057"}',
        '{"event_id":"01890a5d-ac96-774b-1cce-b302099a8057"}', '{"visitor_id":"9b1deb4d-3b7d-1bad-9bdd-2b0d7b3dcb6d"}',
        '{"received_at":"2026-01-31T23:59:59Z"}', '{"received_at":1}')),
])
def test_blanked(line, left):
    assert blanked(line) == left


def whole_lines(doors, door, case, headers=None):
    """The records as they are, with the answer."""
    server = doors.server(door)
    found = server.exchange(doors.paths[case.directives], case._replace(headers={**case.headers, **(headers or {})}))
    return found, [json.loads(line) for line in server.lines_until_marker()]


@by_door
def test_event_ids_ascend(doors, door):
    """Within a request, and from one millisecond to the next; no two are the same."""
    ids = []
    for _ in range(3):
        before = int(time.time() * 1000)
        _, records = whole_lines(doors, door, STAMPED)
        assert len(records) == 200
        ids += [record["event_id"] for record in records]
        times = {int(record["event_id"].replace("-", "")[:12], 16) for record in records}
        assert len(times) == 1 and before <= times.pop() <= time.time() * 1000
    assert ids == sorted(set(ids))


@by_door
def test_received_at_is_the_time_of_the_request(doors, door):
    before = time.time()
    _, records = whole_lines(doors, door, STAMPED)
    after = time.time()
    texts = {record["received_at"] for record in records}
    assert len(texts) == 1
    text = texts.pop()
    assert text.endswith("Z")
    seconds = time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone + int(text[20:23]) / 1000
    assert int(before * 1000) / 1000 <= round(seconds, 3) <= after


@by_door
def test_a_visitor_returns(doors, door):
    """The cookie that was set is the id of each event, and is taken when it comes back; others get another."""
    cookies = []
    for _ in range(2):
        found, records = whole_lines(doors, door, VISITED)
        cookies.append(found.headers["Set-Cookie"].split(";")[0])
        assert [f"visitor={record['visitor_id']}" for record in records] == cookies[-1:] * 2
    assert cookies[0] != cookies[1]
    for cookie in cookies:
        found, records = whole_lines(doors, door, VISITED, {"Cookie": cookie})
        assert found.headers["Set-Cookie"].split(";")[0] == cookie
        assert [f"visitor={record['visitor_id']}" for record in records] == [cookie] * 2

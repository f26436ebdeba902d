"""Which stream and which settings a location has, and what happens when a queue is full."""
# SPDX-License-Identifier: Apache-2.0

import pytest
from cases import A, B, EVENT, event, padded, record, refusal
from doors import PATH, Collector, location
from server import HEADERS, Httpd, firehose_stream, wait_for
from test_ctl import status

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


# --- a stream that is taken out of the configuration while something waits for it ---

def stray(folder, name, where, count):
    return f"queue {folder}/{name}.queue belongs to no ClickstreamStream of {where}, and {count} events wait in it: "


def reload(server, *configuration):
    before = server.log().count("resuming normal operations")
    server.configure(*configuration)
    server.graceful()
    wait_for(lambda: server.log().count("resuming normal operations") > before, what="the reload")


def test_a_stream_that_is_renamed(fake, keys):
    fake.set_streams(("a", "b"))
    streams = {name: firehose_stream(fake, "queue=1M linger=1ms", name) for name in ("a", "b")}
    with Httpd(streams["a"], environment=keys) as server:
        server.expected_errors = ["delivery has failed", "belongs to no ClickstreamStream"]
        line = stray(server.queues, "a", "httpd's configuration", 5)
        fake.faults([{"kind": "status", "code": 500}])
        for number in range(5):
            assert server.post(event(f'"value":{number}')).status == 200
        reload(server, streams["b"])
        wait_for(lambda: server.log().count(line) == 1, what="the line")
        assert "write the ClickstreamStream line of a again until it is empty" in server.log()
        assert server.post(A).status == 200  # goes to b
        reload(server, streams["b"])
        wait_for(lambda: server.log().count(line) == 2, what="the line at each start, until something is done about it")
        fake.faults([])
        wait_for(lambda: delivered_by(fake) == [record(A)], what="the other stream's")
        reload(server, streams["a"] + "\n" + streams["b"], "ClickstreamDeliverTo b")
        wait_for(lambda: len(delivered_by(fake)) == 6, 60, "what had waited")
        assert sorted(delivered_by(fake)[1:]) == [record(event(f'"value":{number}')) for number in range(5)]
        conf = server.root / "httpd.conf"
        wait_for(lambda: status(conf)["a"]["waiting"] == 0, what="its acknowledgement")
        reload(server, streams["b"])
        assert server.log().count("belongs to no ClickstreamStream") == 2, "nothing is said of one that is empty"


# --- a queue that is full ---

FULL = refusal(503, "Queue full, try again later.")
TROUBLE = ["its queue is full, clients get 503", "delivery has failed"]
PAGE = "https://app.example.com"
LARGE = f"ClickstreamMaxBody 4M\nClickstreamAllowOrigin {PAGE}"


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
        # A page that is let in may read when to come again.
        response = server.post(f"[{small},{sized_event(99)}]", headers={**HEADERS, "Origin": PAGE})
        assert (response.status, response.headers["Access-Control-Expose-Headers"]) == (503, "Retry-After")
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


def test_trouble_of_one_stream_hides_no_other_s(fake, keys):
    """In one child, whose requests of the full stream never end."""
    fake.faults([{"kind": "status", "code": 500}])
    streams = "\n".join(firehose_stream(fake, "queue=1M linger=1ms timeout=1s", name=name) for name in ("clicks", "other"))
    places = f"ClickstreamDeliverTo clicks\n{LARGE}"
    one_child = "StartServers 1\nServerLimit 1\nThreadsPerChild 25\nMaxRequestWorkers 25\n"
    other = location("/other/", f"ClickstreamDeliverTo other\n{LARGE}")
    with Httpd(f"{one_child}{streams}\n{other}", places, environment=keys) as server:
        assert len(server.children()) == 1
        server.expected_errors = [*TROUBLE, "its queue cannot be used, clients get 413: write a larger queue="]
        fill(server)
        assert "stream clicks: its queue is full" in server.log()
        response = server.post(f"[{','.join(map(sized_event, range(20)))}]", path="/other/")
        assert response.status == 413
        assert "stream other: its queue cannot be used" in server.log()


def test_more_than_the_queue_can_ever_hold(fake, keys):
    with Httpd(firehose_stream(fake, "queue=1M linger=1ms"), LARGE, environment=keys) as server:
        server.expected_errors = ["its queue cannot be used, clients get 413: write a larger queue="]
        response = server.post(f"[{','.join(map(sized_event, range(20)))}]")
        assert (response.status, response.text) == (
            413, refusal(413, "More events than the queue can hold: send fewer at once"))
        assert server.expected_errors[0] in server.log()
        assert server.post(A).status == 200
        wait_for(lambda: delivered_by(fake) == [record(A)])


# --- two servers with a stream of one name into one folder ---

def test_two_queues_into_one_folder():
    """One of them waits for the other: neither writes over what the other counts as delivered."""
    stream = 'ClickstreamStream clicks file "path={}/objects" queue=1M linger=1ms interval={}'
    with Httpd(stream.format("@ROOT@", "1h")) as first, Httpd(stream.format(first.root, "50ms")) as second:
        second.expected_errors = ["delivery has failed"]
        for number in range(5):
            assert first.post(event(f'"value":{number}')).status == 200
        wait_for(lambda: [path.stat().st_size for path in (first.root / "objects").glob(".clicks.partial")] > [0],
                 what="the object of the first")
        assert second.post(A).status == 200
        wait_for(lambda: "/objects/.clicks.partial: another sender is writing it; two queues have a stream of this name "
                 "and path=: write another path= for one of them" in second.log(), what="word of it")
        first.stop()
        wait_for(lambda: len(first.delivered_lines()) == 6, 60, "all events")
        assert sorted(first.delivered_lines()) == sorted(
            map(record, [A, *(event(f'"value":{number}') for number in range(5))]))

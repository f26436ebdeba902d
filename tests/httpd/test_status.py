"""The status through the front door: the page, JSON, Prometheus's text, health, and mod_status's section."""
# SPDX-License-Identifier: Apache-2.0

import base64
import hashlib
import html.parser
import json
import re
import subprocess

import pytest
from cases import EVENT, event, padded
from server import BUILD, FILE_STREAM, LIBEXECDIR, MPMS, TOP, Httpd, firehose_stream, wait_for

PATH = "/clickstream-status"
STATES = ("idle", "delivering", "waiting", "retrying", "full", "no_queue", "unusable")
FAILS = ["delivery has failed", "delivery still fails"]


def place(directives=""):
    return f'\n<Location "{PATH}">\nSetHandler clickstream-status\n{directives}\n</Location>\n'


def get(httpd, query="", method="GET", path=PATH):
    return httpd.request(method, path + query, headers={})


def status(httpd):
    """The streams of ?format=json, by name."""
    response = get(httpd, "?format=json")
    assert (response.status, response.getheader("Content-Type")) == (200, "application/json")
    return {stream["name"]: stream for stream in json.loads(response.text)["streams"]}


def metrics(httpd):
    """What ?format=prometheus says, without what a stream's label adds where there is one stream."""
    lines = [line for line in get(httpd, "?format=prometheus").text.splitlines() if not line.startswith("#")]
    return {name.replace('{stream="clicks"}', "").replace('stream="clicks",', ""): float(value)
            for name, value in (line.rsplit(" ", 1) for line in lines)}


def health(httpd):
    response = get(httpd, "?health")
    assert response.getheader("Content-Type") == "application/json"
    return response.status, json.loads(response.text)


# --- a page, read strictly ---

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(html.parser.HTMLParser):
    """Reads a page, and fails on what a browser would silently mend."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []
        assert text.startswith("<!DOCTYPE html>\n")

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        assert not any(value is None for _, value in attrs), f"an attribute without a value in {tag}"
        self.tags.append((tag, dict(attrs), tuple(name for name, _ in self.open)))
        if tag not in VOID:
            self.open.append((tag, len(self.texts)))

    def handle_startendtag(self, tag, attrs):
        assert "svg" in [name for name, _ in self.open], f"{tag} has no need of a slash"
        self.tags.append((tag, dict(attrs), tuple(name for name, _ in self.open)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1][0] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        inside = self.open[-1][0] if self.open else ""
        assert inside or not data.strip()
        if inside != "style":
            self.texts.append(data)

    def all(self, tag, **attributes):
        return [found for name, found, _ in self.tags
                if name == tag and all(found.get(key) == value for key, value in attributes.items())]

    def text(self):
        return " ".join(" ".join(self.texts).split())


def page_of(httpd, query=""):
    response = get(httpd, query)
    assert (response.status, response.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
    page = Page(response.text)
    check_accessible(page)
    return page


def check_accessible(page):
    ids = [attributes["id"] for _, attributes, _ in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for tag, attributes, _ in page.tags:
        for reference in ("aria-labelledby", "for", "aria-describedby"):
            assert set(attributes.get(reference, "").split()) <= set(ids), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("href", "src", "action"):
            assert attributes.get(name, "?").startswith("?"), "the page is all there is"
    assert page.all("html", lang="en") and page.all("title") and page.all("meta", name="viewport")
    names = [tag for tag, _, _ in page.tags]
    assert not {"script", "iframe", "img", "form", "link", "object"} & set(names)
    assert (names.count("h1"), names.count("main"), names.count("style")) == (1, 1, 1)
    levels = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
    assert all(after <= before + 1 for before, after in zip([0, *levels], levels))
    assert names.count("table") == names.count("caption")
    for number, (tag, attributes, _) in enumerate(page.tags):
        if tag == "table":
            assert names[number + 1] == "caption"
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
        if tag == "section":
            assert attributes["aria-labelledby"] in ids
        if tag == "svg":
            drawn = attributes.get("role") == "img" and names[number + 1:number + 3] == ["title", "desc"]
            assert drawn or attributes.get("aria-hidden") == "true"
        if tag == "meter":
            assert page.all("label", **{"for": attributes["id"]})


@pytest.mark.parametrize("text", [
    "<p>", "<p></b></p>", "<p></p></p>", '<p id="a" id="a"></p>', "<p hidden></p>", "text", "<br/>",
])
def test_the_parser_is_strict(text):
    with pytest.raises(AssertionError):
        Page("<!DOCTYPE html>\n" + text)


@pytest.mark.parametrize("old, new", [
    ("<h1>", '<h1 onclick="x()">'), ("</main>", "</main><script></script>"), ('id="stream-1"', 'id="stream-2"'),
    ("<caption>", "<p></p><caption>"), ('<th scope="row">', "<th>"), ("<desc ", "<g></g><desc "), (' lang="en"', ""),
    ("<h3>", "<h4>"), ('href="?"', 'href="/"'), ("<h1>", '<h1 style="x">'), ("<label for", "<label id"),
])
def test_the_check_of_a_page_is_strict(whole_page, old, new):
    assert old in whole_page
    check_accessible(Page(whole_page))
    with pytest.raises((AssertionError, KeyError)):
        check_accessible(Page(whole_page.replace(old, new, 1)))


@pytest.fixture(scope="module")
def whole_page():
    """A page with all there is on it."""
    stream = firehose_stream(Nowhere, "queue=1M linger=1ms")
    with Httpd(stream + place(), environment={"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}) as httpd:
        httpd.expected_errors = FAILS
        httpd.post(EVENT)
        httpd.post("{}")
        wait_for(lambda: status(httpd)["clicks"]["last_error"], what="a failure")
        wait_for(lambda: "<desc" in get(httpd).text, what="the trend")
        return get(httpd, "?refresh=0").text


class Nowhere:
    """Of a Firehose that nobody is: connections to port 1 are refused."""
    url, directory = "https://127.0.0.1:1", "/nowhere"


# --- how it is asked ---

@pytest.fixture(scope="module")
def idle():
    """A server with two streams; one of them has had five events, one of which is still on its way into a folder."""
    other = FILE_STREAM.replace(" clicks ", " other ").replace("/objects", "/others")
    with Httpd(f"{FILE_STREAM}\n{other}\nClickstreamDeliverTo clicks{place()}") as httpd:
        for _ in range(5):
            assert httpd.post(EVENT).status == 200
        assert httpd.post(event('"tag":1')).status == 400
        wait_for(lambda: status(httpd)["clicks"]["delivered"] == 5, what="the events")
        yield httpd


COMMON_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@pytest.mark.parametrize("query, kind", [
    ("", "text/html; charset=utf-8"), ("?", "text/html; charset=utf-8"), ("?refresh=0", "text/html; charset=utf-8"),
    ("?format=html", "text/html; charset=utf-8"), ("?format=html&refresh=0", "text/html; charset=utf-8"),
    ("?format=json", "application/json"), ("?x=y&format=json", "application/json"),
    ("?format=prometheus", "text/plain; version=0.0.4; charset=utf-8"), ("?health", "application/json"),
    ("?health=1", "application/json"), ("?healthy", "text/html; charset=utf-8"),
])
def test_formats(idle, query, kind):
    response, head = get(idle, query), get(idle, query, "HEAD")
    for each in (response, head):
        assert each.status == 200
        assert each.getheader("Content-Type") == kind
        assert {name: each.getheader(name) for name in COMMON_HEADERS} == COMMON_HEADERS
    assert head.text == ""
    assert len(response.text.encode()) == int(response.getheader("Content-Length"))
    refreshes = kind.startswith("text/html") and "refresh=0" not in query
    assert response.getheader("Refresh") == ("5" if refreshes else None)


@pytest.mark.parametrize("query", ["?format", "?format=", "?format=xml", "?format=JSON", "?format=json%20"])
def test_an_unknown_format(idle, query):
    response = get(idle, query)
    assert (response.status, response.getheader("Content-Type")) == (400, "text/plain; charset=utf-8")
    assert response.text == ("There is no such format: write format=html, format=json or format=prometheus.\n")
    assert {name: response.getheader(name) for name in COMMON_HEADERS} == COMMON_HEADERS


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
def test_other_methods(idle, method):
    response = idle.request(method, PATH, body="x" * 1000 if method != "OPTIONS" else None, headers={})
    assert (response.status, response.getheader("Allow")) == (405, "GET, HEAD")


def test_the_page_lets_nothing_in_but_its_style(idle):
    response = get(idle)
    style = re.search("<style>(.*?)</style>", response.text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert response.getheader("Content-Security-Policy") == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'")
    assert "url(" not in style and "@import" not in style


def test_the_page(idle):
    page = page_of(idle)
    text = page.text()
    assert len(page.all("section")) == 2
    assert "All streams are healthy" in text
    assert "Accepted answered 200 and queued 5" in text
    assert "wrong_type a value is of the wrong type 1" in text
    assert page.all("a", href="?refresh=0") and page.all("a", href="?health")
    assert page_of(idle, "?refresh=0").all("a", href="?")


def test_no_path_of_the_machine(idle):
    for query in ("", "?format=json", "?format=prometheus", "?health"):
        assert str(idle.root) not in get(idle, query).text


def test_the_same_as_clickstreamctl(idle):
    """One code writes both; what changes with time is left out."""
    done = subprocess.run([BUILD / "cgi/clickstreamctl", "-f", idle.root / "httpd.conf", "status", "--json"],
                          capture_output=True, text=True, timeout=30, check=True)
    documents = [json.loads(done.stdout), json.loads(get(idle, "?format=json").text)]
    assert documents[0].pop("queue_dir") == str(idle.queues)
    for document in documents:
        del document["generated_at"]
        for stream in document["streams"]:
            for name in ("sender_seen", "trend"):
                assert stream.pop(name)
            del stream["latency"]["window_seconds"]
    assert documents[0] == documents[1]
    assert [stream["name"] for stream in documents[0]["streams"]] == ["clicks", "other"]


@pytest.mark.parametrize("mpm", MPMS)
def test_each_mpm(mpm):
    with Httpd(FILE_STREAM + place(), mpm=mpm) as httpd:
        for number in range(10):
            httpd.post(event(f'"number":{number}'))
        wait_for(lambda: metrics(httpd)["clickstream_events_delivered_total"] == 10, what="the events")
        page_of(httpd)


def without_collector(directives):
    """A server that shows the status, and has nothing to collect."""
    httpd = Httpd()
    path = httpd.root / "httpd.conf"
    path.write_text(path.read_text().replace("SetHandler clickstream\n", "") + directives)
    return httpd


def test_without_a_stream():
    with without_collector(place()) as httpd:
        assert "No stream is declared: write ClickstreamStream" in page_of(httpd).text()
        assert health(httpd) == (200, {"healthy": True, "streams": []})
        assert status(httpd) == {}
        assert "\nclickstream_build_info{" in get(httpd, "?format=prometheus").text


def test_every_metric_is_documented(idle):
    """And nothing else is: name, type, in the order of neither."""
    text = get(idle, "?format=prometheus").text
    page = (TOP / "httpd-conf/DIRECTIVES.md").read_text()
    documented = re.findall(r"^\| `(clickstream_\w+)` \| (\w+) \| \S", page, re.MULTILINE)
    assert sorted(documented) == sorted(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    assert len(documented) == 27
    states = page[page.index("A stream is in one of these states"):page.index("Where mod_status is loaded")]
    assert sorted(re.findall(r"^\| `(\w+)` \|", states, re.MULTILINE)) == sorted(STATES)


# --- the states, reached for real ---

def check_state(httpd, state, healthy=True):
    """What all forms say of the only stream."""
    seen, numbers = status(httpd)["clicks"], metrics(httpd)
    assert (seen["state"], seen["healthy"]) == (state, healthy)
    assert {name: numbers[f'clickstream_stream_state{{state="{name}"}}'] for name in STATES} == {
        name: float(name == state) for name in STATES}
    assert numbers["clickstream_stream_healthy"] == healthy
    code, document = health(httpd)
    assert code == (200 if healthy else 503)
    assert document["healthy"] == healthy
    assert [(each["name"], each["state"], each["healthy"]) for each in document["streams"]] == [
        ("clicks", state, healthy)]
    assert (document["streams"][0]["why"] is None) == healthy
    page = page_of(httpd)
    assert page.all("p", **{"class": f"state {state}"})
    assert ("Not healthy: " in page.text()) != healthy
    return seen, numbers, document["streams"][0]["why"]


def test_idle_and_delivering():
    """A file stream holds its events for the interval, at work all the while."""
    with Httpd(FILE_STREAM.replace("interval=50ms", "interval=1h") + place()) as httpd:
        wait_for(lambda: status(httpd)["clicks"]["sender_seen"], what="the sender")
        check_state(httpd, "idle")
        httpd.post(EVENT)
        seen, numbers, _ = check_state(httpd, "delivering")
        assert (seen["waiting"], numbers["clickstream_queue_events"]) == (1, 1)
        assert seen["last_error"] is None
        assert numbers["clickstream_trouble_seconds"] == 0
        assert page_of(httpd).all("meter")


def test_retrying_and_idle_again(fake, keys):
    with Httpd(firehose_stream(fake, "queue=1M linger=1ms timeout=2s") + place(), environment=keys) as httpd:
        httpd.expected_errors = FAILS
        fake.stop()
        httpd.post(EVENT)
        wait_for(lambda: status(httpd)["clicks"]["batches_failed"], what="a failure")
        seen, numbers, _ = check_state(httpd, "retrying")
        error = seen["last_error"]
        assert error["since"] <= error["at"] and error["failures"] >= 1 and error["reason"] and error["advice"]
        wait_for(lambda: metrics(httpd)["clickstream_trouble_seconds"] > 0, what="the time that it lasts")
        assert numbers["clickstream_last_failure_timestamp_seconds"] > 1e9
        text = page_of(httpd).text()
        assert f"What to do: {error['advice']}" in text
        # how many ms it took is another number at each attempt
        assert error["reason"].partition(" after ")[0] in text and "It has lasted since" in text
        fake.start()
        wait_for(lambda: status(httpd)["clicks"]["state"] == "idle", 60, "the delivery")
        wait_for(lambda: status(httpd)["clicks"]["last_error"]["since"] is None, what="the end of the trouble")
        seen, numbers, _ = check_state(httpd, "idle")
        assert (seen["delivered"], numbers["clickstream_trouble_seconds"]) == (1, 0)
        assert seen["retried"] >= 1 and seen["sent_bytes"] > 0 and seen["billed_bytes"] == 5120
        assert numbers["clickstream_billed_bytes_total"] == 5120
        assert "It is over: " in page_of(httpd).text()


def test_too_old(fake, keys):
    with Httpd(firehose_stream(fake, "queue=1M linger=1ms") + place("ClickstreamHealthAge 1s"),
               environment=keys) as httpd:
        httpd.expected_errors = FAILS
        fake.stop()
        httpd.post(EVENT)
        wait_for(lambda: status(httpd)["clicks"]["batches_failed"], what="a failure")
        wait_for(lambda: health(httpd)[0] == 503, what="the limit")
        _, _, why = check_state(httpd, "retrying", healthy=False)
        assert re.fullmatch(r"its oldest event has waited for \d+ s, the limit is 1 s", why)


def test_full(fake, keys):
    with Httpd(firehose_stream(fake, "queue=1M linger=1ms") + place(), environment=keys) as httpd:
        httpd.expected_errors = [*FAILS, "its queue is full"]
        fake.stop()
        while httpd.post(padded(60_000)).status == 200:
            pass
        seen, numbers, why = check_state(httpd, "full", healthy=False)
        assert re.fullmatch(r"its queue is 9\d% full, the limit is 90%", why)
        assert seen["used_percent"] >= 90
        assert seen["refused"]["queue_full"] == 1
        assert numbers['clickstream_events_refused_total{reason="queue_full"}'] == 1
        assert numbers["clickstream_queue_used_bytes"] >= 0.9 * numbers["clickstream_queue_capacity_bytes"]


def test_unusable():
    with Httpd(FILE_STREAM + place()) as httpd:
        httpd.stop()
        path = httpd.queues / "clicks.queue"
        path.unlink(missing_ok=True)
        path.mkdir()
        httpd.expected_errors = ["clicks.queue"]
        httpd.start()
        seen = status(httpd)["clicks"]
        assert (seen["state"], seen["healthy"], seen["waiting"]) == ("unusable", False, None)
        assert health(httpd)[0] == 503
        text = get(httpd, "?format=prometheus").text
        assert 'clickstream_stream_state{stream="clicks",state="unusable"} 1\n' in text
        assert not re.search(r"^clickstream_events_\w+\{", text, re.MULTILINE)
        page = page_of(httpd)
        assert "Not healthy: its queue file cannot be used." in page.text()
        assert not page.all("table")


# --- what AWS says may hold anything ---

HOSTILE = "</p><script>alert(1)</script>\"'&amp; \u202e\x1b[31m{stream=\"x\"} 1\nclickstream_evil 2"


def test_hostile_text(fake, keys):
    fake.faults([{"kind": "status", "code": 400, "error_type": "Odd<b>Exception",
                  "body": json.dumps({"__type": "Odd<b>Exception", "message": HOSTILE})}])
    with Httpd(firehose_stream(fake, "queue=1M linger=1ms") + place(), environment=keys) as httpd:
        httpd.expected_errors = FAILS
        httpd.post(EVENT)
        wait_for(lambda: status(httpd)["clicks"]["last_error"], what="the failure")
        reason = status(httpd)["clicks"]["last_error"]["reason"]
        assert "</p><script>alert(1)</script>" in reason
        response = get(httpd)
        assert "<script" not in response.text and "&lt;script&gt;alert(1)" in response.text
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", response.text)
        assert "</p><script>alert(1)</script>" in page_of(httpd).text()
        text = get(httpd, "?format=prometheus").text
        assert "evil" not in text and "script" not in text
        get(httpd, "?health")


# --- mod_status ---

MOD_STATUS = f"""
LoadModule status_module "{LIBEXECDIR}/mod_status.so"
<Location "/server-status">
    SetHandler server-status
</Location>
"""


def test_mod_status():
    with Httpd(FILE_STREAM + MOD_STATUS) as httpd:
        httpd.post(EVENT)
        wait_for(lambda: "ClickstreamDelivered-clicks: 1\n" in get(httpd, "?auto", path="/server-status").text,
                 what="the event")
        lines = get(httpd, "?auto", path="/server-status").text.splitlines()
        assert [line for line in lines if line.startswith("Clickstream")] == [
            "ClickstreamState-clicks: idle", "ClickstreamHealthy-clicks: 1", "ClickstreamWaiting-clicks: 0",
            "ClickstreamOldestSeconds-clicks: 0", "ClickstreamUsedPercent-clicks: 0",
            "ClickstreamAppended-clicks: 1", "ClickstreamDelivered-clicks: 1", "ClickstreamRefused-clicks: 0"]
        for query in ("", "?notable"):
            text = get(httpd, query, path="/server-status").text
            section = text[text.index("<h2>mod_clickstream</h2>"):]
            assert "<caption>Streams</caption>" in section
            assert '<tr><th scope="row">clicks</th><td>idle</td><td>0</td>' in section


def test_mod_status_without_a_stream():
    with without_collector(MOD_STATUS) as httpd:
        for query in ("", "?auto"):
            assert "lickstream" not in get(httpd, query, path="/server-status").text

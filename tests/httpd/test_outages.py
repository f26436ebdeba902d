"""Outages of Firehose and of what lies in between: the requests notice nothing, no event is lost, the log tells of it.

Each case has load before, during and after its outage. They mostly wait, so a few of them run at once.
"""
# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import contextlib
import ctypes
import json
import os
import re
import signal
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from conftest import KEYS, running_fake
from fake_proxy import FakeProxy
from load import Load, event, lines_of
from server import Httpd, firehose_stream, is_running, preloaded, wait_for

# What the log says: when it starts, each minute while it lasts, and when it ends.
STARTS = re.compile(r"\[clickstream:warn\] \[pid (?P<pid>\d+)\] stream clicks: delivery has failed: "
                    r"(?P<reason>.+; .+); (?P<waiting>\d+) events wait, nothing is lost")
LASTS = re.compile(r"stream clicks: delivery still fails after \d+ s, \d+ failures: .+; .+; \d+ events wait")
ENDS = re.compile(r"\[clickstream:notice\] \[pid \d+\] stream clicks: delivers again after (?P<seconds>\d+) s and "
                  r"(?P<failures>\d+) failures; at most (?P<waited>\d+) events waited")

AT_ONCE = 3  # cases
WARMING = 50  # requests before any is looked at
LONGEST_REQUEST = 5.0  # seconds: how fast they are is seen in the figures, this only tells that none hangs
HOSTS_NAME = "firehose.test"  # it stands in the fake's certificate


class World:
    """What a case happens to."""

    def __init__(self, fake):
        self.fake = fake
        self.endpoint = fake.url
        self.httpd = self.load = self.proxy = self.names = None

    def stream(self, options):
        return firehose_stream(self.fake, f"queue=16M linger=20ms {options}").replace(self.fake.url, self.endpoint)

    def configure(self, directives):
        """By a graceful restart, as an administrator would."""
        before = self.httpd.log().count("resuming normal operations")
        self.httpd.configure(directives)
        self.httpd.graceful()
        wait_for(lambda: self.httpd.log().count("resuming normal operations") > before, what="the graceful restart")

    def lines(self, pattern):
        return list(pattern.finditer(self.httpd.log()))

    def started(self):
        """The line that says that there is an outage."""
        return wait_for(lambda: self.lines(STARTS), 30, "the line about the outage")[0]

    def answers(self, count):
        """Waits until so many requests more are answered."""
        goal = len(self.load.timings) + count
        wait_for(lambda: len(self.load.timings) >= goal, 60, f"{count} answers")


# --- what lies around: each yields httpd's environment ---

@contextlib.contextmanager
def nothing(_):
    yield {}


@contextlib.contextmanager
def balancer(world):
    """Connections go through something that can lead them elsewhere."""
    with FakeProxy(leads_to=world.fake.port) as world.proxy:
        world.endpoint = f"https://localhost:{world.proxy.port}"
        yield {}


@contextlib.contextmanager
def proxy(world):
    """All goes through a proxy, which some outages change."""
    with FakeProxy() as world.proxy:
        yield {"https_proxy": f"http://collector:hush-hush@127.0.0.1:{world.proxy.port}"}
        assert world.proxy.tunnels > 0
        assert "hush-hush" not in world.httpd.log()


@contextlib.contextmanager
def names(world):
    """Firehose has a name that only a file of ours knows: see names.c."""
    world.names = world.fake.directory / "names"
    write_names(world, "127.0.0.1")
    world.endpoint = f"https://{HOSTS_NAME}:{world.fake.port}"
    yield preloaded("names", CLICKSTREAM_TEST_NAMES=str(world.names))


def write_names(world, text):
    new = world.names.with_name("names.new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(world.names)


# --- outages: begun, and ended when the `with` ends ---

def faults(*these):
    """Firehose misbehaves as its fake can."""
    @contextlib.contextmanager
    def misbehaving(world):
        world.fake.faults(list(these))
        yield
        world.fake.faults([])
    return misbehaving


@contextlib.contextmanager
def away(world):
    world.fake.kill()
    yield
    world.fake.start()


@contextlib.contextmanager
def silent(world):
    """Its kernel takes connections, and nobody answers."""
    world.fake.process.send_signal(signal.SIGSTOP)
    yield
    world.fake.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def nameless(world):
    """DNS is gone, when a new sender asks for the first time: libcurl remembers an address for a minute."""
    write_names(world, "")
    world.configure(world.stream(""))
    yield
    write_names(world, "127.0.0.1")


@contextlib.contextmanager
def no_answer(world):
    """DNS is asked and silent."""
    version = ctypes.CDLL("libcurl.so.4").curl_version
    version.restype = ctypes.c_char_p
    if tuple(map(int, re.search(rb"/(\d+)\.(\d+)", version()).groups())) < (7, 87):
        pytest.skip("libcurl before 7.87 waits for a name as long as the system's resolver does")
    write_names(world, "silent")
    world.configure(world.stream("timeout=10s"))
    yield
    write_names(world, "127.0.0.1")


@contextlib.contextmanager
def deleted(world):
    world.fake.set_streams([])
    yield
    world.fake.set_streams(["clicks"])


@contextlib.contextmanager
def mistyped(world):
    right = world.stream("")
    world.configure("ClickstreamStream clicks firehose region=us-esat-1 queue=16M linger=20ms")
    yield
    world.configure(right)


@contextlib.contextmanager
def proxy_away(world):
    world.proxy.stop()
    yield
    world.proxy.start()


@contextlib.contextmanager
def proxy_asks(world):
    world.proxy.user = "collector:changed"
    world.proxy.cut()
    yield
    assert world.proxy.refused > 0
    world.proxy.user = "collector:hush-hush"


class Impostor(socketserver.ThreadingTCPServer):
    """A TLS server with a certificate that must not be believed."""

    daemon_threads = True

    def __init__(self, certificate, key):
        super().__init__(("127.0.0.1", 0), None)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)
        self.received = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def finish_request(self, request, client_address):
        with contextlib.suppress(OSError), self.tls.wrap_socket(request, server_side=True) as connection:
            self.received.append(connection.recv(1))


NEW_CERTIFICATE = ("req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN={name}"
                   " -addext subjectAltName=DNS:{name} -keyout impostor.key -out new.pem")
SIGN_AGAIN = "x509 -in new.pem -signkey impostor.key -days {days} -out impostor.pem"  # req knows no days that are over


def wrong_certificate(name="localhost", days=1, trusted=True):
    """A server that signed its own, which is a CA to trust or none."""
    @contextlib.contextmanager
    def impersonated(world):
        folder = world.fake.directory
        certificate, key = folder / "impostor.pem", folder / "impostor.key"
        for command in (NEW_CERTIFICATE, SIGN_AGAIN):
            subprocess.run(["openssl", *command.format(name=name, days=days).split()], cwd=folder, check=True,
                           capture_output=True)
        if trusted:
            with open(folder / "public-ca.pem", "a") as authorities:
                authorities.write(certificate.read_text())
        with Impostor(certificate, key) as impostor:
            world.proxy.diverted_to = impostor.server_address[1]
            world.proxy.cut()
            yield
            world.proxy.diverted_to = None
            impostor.shutdown()
        assert not any(impostor.received), "events went to a server that nobody may trust"
    return impersonated


@contextlib.contextmanager
def away_until_full(world):
    world.fake.kill()
    wait_for(lambda: 503 in world.load.ledger.statuses, 60, "the queue to fill")
    numbers = world.load.take(60)
    answer = world.httpd.post("[" + ",".join(map(event, numbers)) + "]")
    world.load.ledger.note(numbers, answer.status)
    assert answer.status == 503 and int(answer.getheader("Retry-After")) > 0
    assert json.loads(answer.text)["response_code"] == "503"
    yield
    world.fake.start()


def away_while(happens):
    """Firehose is away, and in the middle of that something else happens too."""
    @contextlib.contextmanager
    def unlucky(world):
        world.fake.kill()
        world.started()
        happens(world)
        yield
        world.fake.start()
    return unlucky


def graceful_restart(world):
    world.configure(world.stream(""))


def kill_sender(world):
    """The process that has logged it."""
    pid = int(world.started()["pid"])
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_running(pid), what="its end")


# --- the cases ---

def oldest_first(world):
    """One client, one request at a time: each event comes for the first time in the order of the numbers."""
    numbers = list(dict.fromkeys(json.loads(line)["number"] for line in lines_of(world.fake)))
    assert numbers == sorted(numbers)


def nothing_more(_):
    pass


@dataclass
class Case:
    name: str
    outage: Callable
    says: str  # in the line that it starts with: what is wrong, and what to do about it
    around: Callable = nothing
    options: str = ""
    duplicates: bool = False  # an answer may be lost
    total: bool = True  # nothing is delivered meanwhile
    mpm: str = "event"
    requests: tuple = (150, 300, 50)  # that must be answered before it, meanwhile and after it
    expected_errors: tuple = ()
    load: dict = field(default_factory=dict)
    check: Callable = nothing_more


HTML = "<html><head><title>502 Bad Gateway</title></head><body>none</body></html>"

CASES = [
    Case("connection refused", away, "onnect.*network", duplicates=True),
    Case("connection refused, prefork", away, "onnect.*network", mpm="prefork", duplicates=True),
    Case("requests hang", faults({"kind": "hang", "seconds": 30}), "timed out.*network", options="timeout=1s"),
    # What a fake had got before it stopped it may have kept: duplicates.
    Case("connections hang", silent, "timed out.*network", options="timeout=1s", duplicates=True),
    Case("DNS gone", nameless, f"resolve host: {HOSTS_NAME}.*DNS", around=names),
    Case("DNS silent", no_answer, "Resolving timed out.*DNS", around=names),
    Case("certificate of another CA", wrong_certificate(trusted=False), "(self.signed|peer) certificate.*certificate",
         around=balancer, duplicates=True),
    Case("certificate of another host", wrong_certificate(name="elsewhere.test"),
         "(subject name|peer certificate).*certificate", around=balancer, duplicates=True),
    Case("certificate has expired", wrong_certificate(days=-1), "certificate.*certificate", around=balancer,
         duplicates=True),
    Case("throttled", faults({"kind": "throttle"}), "HTTP 503 ServiceUnavailableException.*quota"),
    Case("throttled, with Retry-After", faults({"kind": "throttle", "retry_after": "1"}), "HTTP 503 Service.*quota"),
    Case("throttled, half of it", faults({"kind": "throttle", "rate": 0.5}), "HTTP 503 Service.*quota", total=False),
    Case("limit exceeded", faults({"kind": "status", "code": 400, "error_type": "LimitExceededException"}),
         "HTTP 400 LimitExceededException.*quota"),
    Case("every record fails", faults({"kind": "fail_records"}), "records refused.*Service.*quota"),
    Case("half of the records fail", faults({"kind": "fail_records", "rate": 0.5}), "records refused.*quota",
         options="aggregate=off", total=False),
    Case("stream deleted", deleted, "ResourceNotFoundException.*make the delivery stream"),
    Case("region mistyped", mistyped, r"(resolve host: firehose\.us-esat-1|timed out).*DNS"),
    Case("proxy away", proxy_away, "onnect.*network", around=proxy, duplicates=True),
    Case("proxy asks for another password", proxy_asks, "407.*https_proxy", around=proxy, duplicates=True),
    Case("502 with a page", faults({"kind": "status", "code": 502, "body": HTML, "content_type": "text/html"}),
         "HTTP 502.*AWS status page"),
    Case("500", faults({"kind": "status"}), "HTTP 500 InternalFailure.*AWS status page"),
    Case("answers cut", faults({"kind": "cut_response"}), "network", duplicates=True, total=False),
    Case("requests cut", faults({"kind": "cut_request"}), "network"),
    Case("until the queue is full", away_until_full, "onnect.*network", options="queue=1M concurrency=1",
         duplicates=True, expected_errors=("its queue is full",), check=oldest_first,
         load={"clients": 1, "largest": 60, "pause": 0.003}),
    Case("graceful restart meanwhile", away_while(graceful_restart), "onnect.*network", duplicates=True),
    Case("graceful restart meanwhile, prefork", away_while(graceful_restart), "onnect.*network", mpm="prefork",
         duplicates=True),
    Case("kill -9 of the sender meanwhile", away_while(kill_sender), "onnect.*network", duplicates=True,
         expected_errors=("exit signal Killed",)),
]


# --- running one ---

def run(case):
    """Returns its line of figures."""
    with running_fake() as fake, contextlib.ExitStack() as stack:
        world = World(fake)
        environment = stack.enter_context(case.around(world))
        httpd = world.httpd = stack.enter_context(
            Httpd(world.stream(case.options), mpm=case.mpm, environment=KEYS | environment))
        httpd.expected_errors = ["delivery has failed", *case.expected_errors]
        spans, late = go_through(case, world)
        ledger = world.load.ledger
        wait_for(lambda: ledger.all_there(lines_of(fake)), 60, "the events to be delivered")
        duplicates = ledger.check(lines_of(fake), case.duplicates)
        assert set(ledger.statuses) <= {200, 503 if "its queue is full" in case.expected_errors else 200, 0}
        check_log(case, world, spans["during"])
        case.check(world)
        return figures_of(case, world, spans, f"{duplicates} twice, delivers {late:.1f} s later")


def go_through(case, world):
    """When there was nothing else going on than load, and how long after the outage the first event came."""
    load = {"clients": 2, "largest": 10, "pause": 0.008, "total": 10 ** 9, **case.load}
    before, during, after = case.requests
    spans = {}

    @contextlib.contextmanager
    def span(name):
        began = time.monotonic()
        yield
        spans[name] = (began, time.monotonic())

    with Load(world.httpd.port, **load) as world.load:
        world.answers(WARMING)
        with span("before"):
            world.answers(before)
        with case.outage(world):
            world.started()
            with span("during"):
                world.answers(during)
        ended = time.monotonic()
        taken = world.fake.stats()["events_taken"]
        wait_for(lambda: world.fake.stats()["events_taken"] > taken, 60, "the first event after the outage")
        late = time.monotonic() - ended
        wait_for(lambda: world.lines(ENDS), 60, "the line about its end")
        promised = world.load.progress()
        with span("after"):
            world.answers(after)
        wait_for(lambda: world.load.progress() > promised, what="collecting to go on")
    return spans, late


def check_log(case, world, span):
    starts, ends = world.lines(STARTS), world.lines(ENDS)
    assert (len(starts), len(world.lines(LASTS)), len(ends)) == (1, 0, 1), world.httpd.log()
    assert re.search(case.says, starts[0]["reason"]), starts[0][0]
    assert int(ends[0]["failures"]) > 0
    assert int(ends[0]["waited"]) >= int(starts[0]["waiting"]) > 0
    if case.total:
        assert int(ends[0]["seconds"]) >= int(span[1] - span[0]), ends[0][0]


def figures_of(case, world, spans, more):
    def p99(first, last):
        took = sorted(seconds for start, seconds in world.load.timings if first <= start < last)
        return f"{took[len(took) * 99 // 100] * 1000:.1f} ms"

    assert max(seconds for _, seconds in world.load.timings) < LONGEST_REQUEST
    shown = ", ".join(f"{name} {p99(*span)}" for name, span in spans.items())
    first, last = spans["during"]
    return (f"outage, {case.name}: p99 {shown}; {last - first:.1f} s, "
            f"{len(world.load.ledger.promised)} events, 0 lost, {more}")


@pytest.mark.parametrize("case", [
    Case("alone, requests hang", faults({"kind": "hang", "seconds": 30}), "timed out", options="timeout=1s",
         requests=(600, 600, 300)),
    Case("alone, connection refused", away, "onnect", duplicates=True, requests=(600, 600, 300)),
], ids=lambda case: case.name.replace(" ", "-"))
def test_requests_are_answered_as_fast(case, figures):
    """The one figure that people ask for, so nothing else runs meanwhile: the cases below begin later."""
    figures.append(run(case))


@pytest.fixture(scope="module")
def outcomes(request):
    """Begins all cases that are to be run, a few at once."""
    cases = [item.callspec.params["case"] for item in request.session.items if item.function is test_outage]
    pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
    yield {case.name: pool.submit(run, case) for case in cases}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_outage(case, outcomes, figures):
    figures.append(outcomes[case.name].result())


def test_no_proxy_goes_around_it(fake, keys):
    with FakeProxy() as between:
        environment = {"https_proxy": f"http://127.0.0.1:{between.port}", "no_proxy": "localhost"}
        with Httpd(firehose_stream(fake, "linger=20ms"), environment=keys | environment) as httpd:
            with Load(httpd.port, total=100) as load:
                load.join()
            wait_for(lambda: len(lines_of(fake)) == 100, what="the events to be delivered")
            load.ledger.check(lines_of(fake))
        assert between.tunnels == between.refused == 0

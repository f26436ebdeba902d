"""What the README shows a stranger: `make demo`, and the configuration for AWS that is shipped."""
# SPDX-License-Identifier: Apache-2.0

import gzip
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.request

import pytest
from cases_body import bomb
from load import event, record
from server import BUILD, COLLECTED, FILE_STREAM, HEADERS, LIBEXECDIR, TOP, Httpd, free_port, is_running, \
    public_folder, run_example, wait_for

DEMO = BUILD / "httpd-conf/demo/demo.sh"
SHIPPED = TOP / "httpd-conf/clickstream.conf"
REQUIRE_LOCAL = f'LoadModule authz_host_module "{LIBEXECDIR}/mod_authz_host.so"\n'


def start_demo(port, folder):
    """Without a terminal, and with its output in a file. It heeds Ctrl-C even where these tests run in the background."""
    environment = {**os.environ, "PORT": str(port), "TMPDIR": str(folder)}
    with open(folder / "output", "wb") as output:
        return subprocess.Popen([str(DEMO)], env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT, start_new_session=True,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


@pytest.fixture
def demo_folder():
    """Open to httpd's user, as /tmp is."""
    folder = public_folder()
    yield folder
    shutil.rmtree(folder)


def has_status(address, delivered):
    """Whether the page shows that many events, accepted and delivered."""
    with urllib.request.urlopen(address) as page:
        text = re.sub(r"<[^>]+>", " ", page.read().decode())
    return re.search(rf"Accepted +answered 200 and queued +{delivered}\s+Delivered[a-z ]+ {delivered}\s", text)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_shows_the_delivered_events_serves_and_cleans_up(demo_folder, ending):
    port = free_port()
    process = start_demo(port, demo_folder)
    try:
        text = wait_for(lambda: (lambda said: "until Ctrl-C" in said and said)((demo_folder / "output").read_text()),
                        what="the demo to serve")
        assert text.count("Clickstream collected.") == 4
        flat = re.sub(r"\s", "", text)
        for member in ('"value":"en"', '"value":3', '"latitude":22.3193', '"client_ip":"90.200.187.19,165.225.197.24"'):
            assert flat.count(member) >= 1 + (member != '"client_ip":"90.200.187.19,165.225.197.24"')
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/objects/") as page:
            assert "Index of /objects" in page.read().decode()
        assert run_example(demo_folder / "output", port) == COLLECTED
        address = re.search(r"http://\S+/clickstream-status", text)[0]
        wait_for(lambda: has_status(address, 5), what="the status of the demo's events")
        roots = list(demo_folder.glob("clickstream-demo.*"))
        assert len(roots) == 1
        httpd = int((roots[0] / "httpd.pid").read_text())
    finally:
        process.send_signal(ending)
        code = process.wait(timeout=20)
    assert code == 0
    assert not is_running(httpd)
    assert list(demo_folder.glob("clickstream-demo.*")) == []


def test_the_demo_names_a_port_that_is_taken(demo_folder):
    with Httpd(FILE_STREAM) as other:
        process = start_demo(other.port, demo_folder)
        assert process.wait(timeout=20) == 1
    assert "choose another port" in (demo_folder / "output").read_text()


def test_a_killed_demo_leaves_no_server(demo_folder):
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed: nothing tells httpd that the demo was killed")
    port = free_port()
    process = start_demo(port, demo_folder)
    wait_for(lambda: "until Ctrl-C" in (demo_folder / "output").read_text(), what="the demo to serve")
    process.kill()
    process.wait()

    def is_closed():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0
    wait_for(is_closed, what="its httpd to end")


def test_the_shipped_configuration_is_right():
    httpd = Httpd(REQUIRE_LOCAL + SHIPPED.read_text())
    code, said = httpd.check()
    shutil.rmtree(httpd.root)
    assert (code, "Syntax OK" in said) == (0, True), said


def shipped(fake):
    """As it is, but for where the queue and Firehose are."""
    text = SHIPPED.read_text()
    assert "/var/lib/clickstream" in text and "region=us-east-1" in text
    text = text.replace("ClickstreamQueueDir /var/lib/clickstream", 'ClickstreamQueueDir "@ROOT@/made/queues"')
    return REQUIRE_LOCAL + text.replace("region=us-east-1", f"region=us-east-1 endpoint={fake.url}/ ca={fake.directory}/public-ca.pem")


def test_the_shipped_configuration_collects(fake, keys):
    with Httpd(shipped(fake), environment=keys) as httpd:
        answer = httpd.post(event(1), headers=None)
        assert answer.status == 200
        assert httpd.request(body=event(2), headers={"client_id": "stranger", "Authorization": "Bearer x"}).status == 403
        wait_for(fake.records, what="the event")
    assert b"".join(fake.records()).decode() == record(1) + "\n"


def test_the_shipped_configuration_shows_its_status_to_this_machine_alone(fake, keys):
    with Httpd(shipped(fake), environment=keys) as httpd:
        assert "The stream is healthy" in httpd.request("GET", "/clickstream-status", headers={}).text
    assert re.search(r'<Location "/clickstream-status">[^<]*\n    Require local\n', SHIPPED.read_text())


def test_the_example_of_the_page_works(fake, keys):
    with Httpd(shipped(fake), environment=keys) as httpd:
        assert run_example(TOP / "README.md", httpd.port) == COLLECTED
        wait_for(fake.records, what="the event")


def packed(text):
    return {"body": gzip.compress(text.encode()), "headers": {**HEADERS, "Content-Encoding": "gzip"}}


def test_the_shipped_configuration_inflates(fake, keys):
    """Where httpd has mod_deflate; and not beyond the limit."""
    deflate = f'LoadModule deflate_module "{LIBEXECDIR}/mod_deflate.so"\n'
    with Httpd(deflate + shipped(fake), environment=keys) as httpd:
        assert httpd.request(**packed(event(1))).status == 200
        assert httpd.request(**{**packed(""), "body": bomb(4 << 20)}).status == 413
        wait_for(fake.records, what="the event")
    assert b"".join(fake.records()).decode() == record(1) + "\n"


def test_the_shipped_configuration_refuses_what_it_cannot_inflate(fake, keys):
    with Httpd(shipped(fake), environment=keys) as httpd:
        assert httpd.request(**packed(event(1))).status == 415
        assert httpd.post(event(2), headers=None).status == 200
        wait_for(fake.records, what="the event")
    assert b"".join(fake.records()).decode() == record(2) + "\n"


def test_the_demo_inflates(demo_folder):
    port = free_port()
    process = start_demo(port, demo_folder)
    try:
        wait_for(lambda: "until Ctrl-C" in (demo_folder / "output").read_text(), what="the demo to serve")
        request = urllib.request.Request(f"http://127.0.0.1:{port}/poc-kstream/", packed(event(1))["body"],
                                         packed("")["headers"])
        with urllib.request.urlopen(request) as response:
            assert response.status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0

"""What the README shows a stranger: `make demo`, and the configuration for AWS that is shipped."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import gzip
import json
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
from server import BUILD, COLLECTED, FILE_STREAM, HEADERS, LIBEXECDIR, PRELOAD, TOP, Httpd, free_port, is_running, \
    public_folder, run_example, wait_for

DEMO = BUILD / "httpd-conf/demo/demo.sh"
SHIPPED = TOP / "httpd-conf/clickstream.conf"
REQUIRE_LOCAL = f'LoadModule authz_host_module "{LIBEXECDIR}/mod_authz_host.so"\n'


def start_demo(port, folder):
    """Without a terminal, and with its output in a file. It heeds Ctrl-C even where these tests run in the background."""
    if PRELOAD:
        pytest.skip("make demo has no sanitizer's library to put before httpd's others")
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


def address_in(text, path):
    """The path, where the demo has said its address."""
    assert re.search(rf"^  http://127\.0\.0\.1:\d+{path} ", text, re.MULTILINE), text
    return path


def fetch(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as page:
        return page.headers, page.read().decode()


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
        assert "Index of /objects" in fetch(port, "/objects/")[1]
        assert "<title>Touchwood</title>" in fetch(port, address_in(text, "/"))[1]
        assert "<title>Clickstream, live</title>" in fetch(port, address_in(text, "/live.html"))[1]
        headers, records = fetch(port, "/latest.ndjson")
        tags = [json.loads(line)["tag"] for line in records.splitlines()]
        assert tags == ["CLICK_LANG", "LIKE_WOOD", "LIKE_WOOD", "GEO_LOC"]
        assert headers["Content-Type"] == "application/x-ndjson"
        assert run_example(demo_folder / "output", port) == COLLECTED
        address = f"http://127.0.0.1:{port}{address_in(text, '/clickstream-status')}"
        wait_for(lambda: has_status(address, 5), what="the status of the demo's events")
        wait_for(lambda: '"tag":"HELLO"' in fetch(port, "/latest.ndjson")[1].splitlines()[-1], what="the latest record")
        headers, _ = fetch(port, "/clickstream-status?format=json")
        assert headers["Link"] == '</latest.ndjson>; rel=related; type="application/x-ndjson"'
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


INDEX = "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule . /index.php\n"
FOLDER = '<Directory "@ROOT@/htdocs">\nAllowOverride All\nOptions FollowSymLinks\n</Directory>\n'
# What has all URLs of a site, and what of it stands in .htaccess.
OTHERS = {
    "a proxy": ('ProxyPass "/" "http://127.0.0.1:9/"\n', None),
    "a proxy by its section": ('<Location "/">\nProxyPass "http://127.0.0.1:9/"\n</Location>\n', None),
    "a proxy of a virtual host": ('<VirtualHost *:*>\nProxyPass "/" "http://127.0.0.1:9/"\n</VirtualHost>\n', None),
    "an application's .htaccess": (FOLDER, INDEX),
    "rules of the server": ("RewriteEngine On\nRewriteRule ^ /index.php\n", None),
    "rules that lead to a proxy": ("RewriteEngine On\nRewriteRule ^/(.*) http://127.0.0.1:9/$1 [P]\n", None),
}


@pytest.mark.parametrize("what", OTHERS)
def test_the_shipped_configuration_collects_where_others_have_the_site(fake, keys, what):
    """Where they have the collector's URL as well, an app's POST is answered by them, perhaps with a 200."""
    modules = "".join(f'LoadModule {name}_module "{LIBEXECDIR}/mod_{name}.so"\n'
                      for name in ("proxy", "proxy_http", "rewrite"))
    others, rules = OTHERS[what]
    with Httpd(modules + others + shipped(fake), environment=keys) as httpd:
        httpd.expected_errors = ["AH00957", "AH01114"]  # nobody is behind the proxy
        (httpd.root / "htdocs/index.php").write_text("a page")
        if rules:
            (httpd.root / "htdocs/.htaccess").write_text(rules)
        other = httpd.request("GET", "/other", headers={})
        assert (other.status, other.text == "a page") in ((200, True), (503, False)), "the others have nothing"
        for path in ("/poc-kstream/", "/poc-kstream/a"):
            assert httpd.post(event(1), headers=None, path=path).text == COLLECTED
        assert "The stream is healthy" in httpd.request("GET", "/clickstream-status", headers={}).text


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


def get(httpd, path, headers=None):
    """Not as text: pictures are none."""
    with contextlib.closing(httpd.connect()) as connection:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        answer.read()
    return answer


def webapp(httpd, *modules):
    """The site of httpd-conf/webapp.conf, as an administrator includes it."""
    shutil.copytree(TOP / "webapp", httpd.root / "htdocs", dirs_exist_ok=True)
    load = "".join(f'LoadModule {name}_module "{LIBEXECDIR}/mod_{name}.so"\n'
                   for name in ("dir", "headers", "mime", *modules))
    httpd.configure(f"""{load}
TypesConfig /dev/null
Define TOUCHWOOD "@ROOT@/htdocs"
Include "{TOP}/httpd-conf/webapp.conf"
{FILE_STREAM}
<Location "/clickstream-status">
    SetHandler clickstream-status
</Location>""")
    return httpd


@pytest.mark.parametrize("path, status, media_type", [
    ("/", 200, "text/html; charset=utf-8"),
    ("/live.html", 200, "text/html; charset=utf-8"),
    ("/clickstream.js", 200, "text/javascript; charset=utf-8"),
    ("/clickstream.d.ts", 200, "text/plain; charset=utf-8"),
    ("/manifest.webmanifest", 200, "application/manifest+json; charset=utf-8"),
    ("/icon-192.png", 200, "image/png"),
    ("/live/", 404, "text/html; charset=utf-8"),
    ("/no/such/page", 404, "text/html; charset=utf-8"),
])
def test_the_webapp_is_served_with_a_strict_policy(path, status, media_type):
    with webapp(Httpd()) as httpd:
        answer = get(httpd, path)
    policy = answer.getheader("Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';") and "unsafe" not in policy
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert (answer.status, answer.getheader("Content-Type").lower()) == (status, media_type)


def test_the_webapp_leaves_the_status_page_its_own_policy():
    with webapp(Httpd()) as httpd:
        policies = httpd.request("GET", "/clickstream-status", headers={}).headers.get_all("Content-Security-Policy")
    assert len(policies) == 1 and "script-src" not in policies[0]


def test_the_webapp_is_compressed_where_that_can_be():
    with webapp(Httpd(), "deflate") as httpd:
        for path, encoding in (("/app.js", "gzip"), ("/icon-192.png", None)):
            first = get(httpd, path, {"Accept-Encoding": "gzip"})
            assert first.getheader("Content-Encoding") == encoding
            known = {"Accept-Encoding": "gzip", "If-None-Match": first.getheader("ETag")}
            assert get(httpd, path, known).status == 304


def test_the_webapp_collects_from_its_app_alone():
    with webapp(Httpd()) as httpd:
        assert httpd.post(event(1), headers=None).status == 200
        assert httpd.request(body=event(2), headers={"client_id": "stranger", "Authorization": "Bearer x"}).status == 403

"""The other side lies: AWS, or who stands in its place, answers what it must not, sends us elsewhere, or is not who it
says. Nothing is followed or trusted, nobody dies; what was collected is delivered once the true one is there again."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import threading

import pytest
from conftest import KEYS
from fake_firehose import SLOWNESS
from load import event, lines_of, record
from server import HTTPD, PRELOAD, Httpd, firehose_stream, free_port, public_folder, wait_for

TOKEN = "SESSIONTOKENthatnobodymayseeAAAAAAAAAAAAAAAA"


def make(folder, name, *more):
    """A certificate, signed by itself, and its key."""
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-subj", f"/CN={name}", "-days", "1", *more],
                   check=True, capture_output=True)
    return cert, key


class Hostile:
    """A server on a port of its own: answers each request with the same bytes, or does something else with the
    connection; remembers all that came."""

    def __init__(self, answer=b"", context=None, talk=None):
        self.answer, self.context, self.talk = answer, context, talk
        self.came, self.connections = b"", 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = True
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while self.open:
            with contextlib.suppress(OSError):
                connection, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection):
        with contextlib.suppress(OSError, ValueError):
            connection.settimeout(20)
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            if self.talk:
                self.talk(self, connection)
            else:
                while self._request(connection):
                    self._send(connection)
        with contextlib.suppress(OSError):
            connection.close()

    def _request(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(65536)
            if not more:
                return False
            head += more
        head, _, body = head.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)|$", head)[1] or 0)
        while len(body) < length:
            body += connection.recv(65536)
        self.came += head + b"\r\n\r\n" + body
        return True

    def _send(self, connection):
        for part in self.answer() if callable(self.answer) else [self.answer]:
            connection.sendall(part)

    def close(self):
        self.open = False
        self.listener.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return {"good": make(folder, "localhost", "-addext", "subjectAltName=DNS:localhost"),
            "another name": make(folder, "example", "-addext", "subjectAltName=DNS:other.example")}


def tls(certificates, which="good", **settings):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates[which])
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def stream_to(hostile, ca, scheme="https", options=f"queue=4M linger=10ms timeout={SLOWNESS}s"):
    return (f"ClickstreamStream clicks firehose region=us-east-1 endpoint={scheme}://localhost:{hostile.port}/ ca={ca} "
            f"{options}")


@contextlib.contextmanager
def site_with(hostile, certificate, keys, directives=None):
    public = pathlib.Path("/tmp") / f"clickstream-ca-{hostile.port}.pem"
    public.write_bytes(pathlib.Path(certificate).read_bytes())
    public.chmod(0o644)
    with Httpd(directives or stream_to(hostile, public), environment={**keys, "AWS_SESSION_TOKEN": TOKEN}) as server:
        server.expected_errors = ["delivery has failed", "clients get 503"]
        try:
            yield server
        finally:
            public.unlink()
            hostile.close()


def resident(server):
    return max(int(re.search(r"RssAnon:\s*(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])
               for pid in server.children())


def then_delivers(server, fake, numbers):
    """The stream's endpoint becomes the fake: everything is there, once."""
    secret = {"secret": KEYS["AWS_SECRET_ACCESS_KEY"], "token": TOKEN, "expired": False}
    fake.set_credentials({KEYS["AWS_ACCESS_KEY_ID"]: secret})
    server.configure(firehose_stream(fake, "queue=4M linger=10ms"))
    server.graceful()
    wait_for(lambda: {record(n) for n in numbers} <= set(lines_of(fake)), 30, "the events, from the true one")
    assert len(lines_of(fake)) == len(set(lines_of(fake)))


def http(status, body=b"", *headers):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Content-Type: application/x-amz-json-1.1",
             *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def answer_of(**members):
    return http(200, json.dumps(members).encode())


def endless():
    yield b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"10000\r\n" + b" " * 65536 + b"\r\n"


def endless_headers():
    yield b"HTTP/1.1 200 X\r\n"
    while True:
        yield b"X-A: " + b"b" * 1000 + b"\r\n"


def endless_1xx():
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 1000


OK = {"RecordId": "a"}
# What it answers to one record -> what the log's line says of it.
LIES = {
    "no JSON": (http(200, b"thanks"), "none of Firehose's"),
    "HTML": (http(200, b"<html>captive portal</html>"), "none of Firehose's"),
    "nothing": (http(200), "none of Firehose's"),
    "an array": (http(200, b"[]"), "none of Firehose's"),
    "cut JSON": (http(200, b'{"RequestResponses":[{"RecordId":"a"}'), "none of Firehose's"),
    "too many responses": (answer_of(FailedPutCount=0, RequestResponses=[OK] * 500), "none of Firehose's"),
    "no responses": (answer_of(FailedPutCount=0, RequestResponses=[]), "none of Firehose's"),
    "no list": (answer_of(FailedPutCount=0, RequestResponses={"0": OK}), "none of Firehose's"),
    "none at all": (answer_of(FailedPutCount=0), "none of Firehose's"),
    "both": (answer_of(FailedPutCount=0, RequestResponses=[{"RecordId": "a", "ErrorCode": "Both"}]), "Both"),
    "neither": (answer_of(FailedPutCount=0, RequestResponses=[{}]), "no RecordId"),
    "null": (answer_of(FailedPutCount=0, RequestResponses=[None]), "no RecordId"),
    "failed, counted as 0": (answer_of(FailedPutCount=0, RequestResponses=[{"ErrorCode": "InternalFailure"}]),
                             "InternalFailure; look at the AWS status page"),
    "throttled, by the record": (answer_of(FailedPutCount=1, RequestResponses=[{"ErrorCode": "ServiceUnavailableException"}]),
                                 "ServiceUnavailableException; if it goes on, ask AWS for a higher quota"),
    "very deep": (http(200, b"[" * 100_000), "none of Firehose's"),
    "no UTF-8": (http(200, b'{"RequestResponses":"\xff\xfe"}'), "none of Firehose's"),
    "a huge length": (http(200).replace(b"Content-Length: 0", b"Content-Length: 99999999999"), ""),
    "a length that is too long": (http(200, b"{}").replace(b"Content-Length: 2", b"Content-Length: 200"), ""),
    "a negative length": (http(200).replace(b"Content-Length: 0", b"Content-Length: -5"), ""),
    "16 MiB": (http(200, b" " * (16 << 20)), ""),
    "without an end": (endless, ""),
    "headers without an end": (endless_headers, ""),
    "a hundred for ever": (endless_1xx, ""),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", ""),
    "HTTP/0.9": (b'{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"}]}', ""),
    "gzip": (http(200, b"\x1f\x8b\x08\x00rubbish", "Content-Encoding: gzip"), ""),
    "204": (http(204), "204"), "206": (http(206, b"{}"), "206"), "304": (http(304), "304"),
    "401": (http(401, b"", 'WWW-Authenticate: Basic realm="x"'), "401"),
    "407": (http(407, b"", 'Proxy-Authenticate: Basic realm="x"'), "407"),
    "426": (http(426, b"", "Upgrade: h2c", "Connection: Upgrade"), "426"),
    "a Retry-After of ages": (http(503, b"", "Retry-After: 99999999999999999999"), "503"),
    "a negative Retry-After": (http(503, b"", "Retry-After: -5"), "503"),
    "an error with control characters": (
        http(400, json.dumps({"__type": "a#B\x1b[31m\r\nC", "message": "x\r\ny\x1b[0m\x00z"}).encode()), ""),
    "an error of 1 MiB": (http(400, json.dumps({"__type": "T" * 500_000, "message": "m" * 500_000}).encode()), ""),
}


@pytest.mark.parametrize("what", LIES)
def test_lies(fake, keys, certificates, what):
    """Nothing is taken for delivered; the memory stays; the log has one clean line."""
    answer, says = LIES[what]
    hostile = Hostile(answer, tls(certificates))
    with site_with(hostile, certificates["good"][0], keys) as server:
        before = resident(server)
        for number in range(3):
            assert server.post(event(number)).status == 200
        wait_for(lambda: "delivery has failed" in server.log(), 20, "the line about it")
        line, = [line for line in server.log().splitlines() if "delivery has failed" in line]
        assert says in line, line
        assert len(line) < 1500 and not any(ord(c) < 32 or ord(c) == 127 for c in line), line
        if not PRELOAD and SLOWNESS == 1:  # sanitizers and valgrind keep what was freed
            assert resident(server) - before < 24 << 10
        assert TOKEN not in server.log() and keys["AWS_SECRET_ACCESS_KEY"] not in server.log()
        then_delivers(server, fake, range(3))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_redirects_are_never_followed(fake, keys, certificates, status, scheme):
    elsewhere = Hostile(answer_of(FailedPutCount=0, RequestResponses=[OK]),
                        tls(certificates) if scheme == "https" else None)
    redirect = http(status, b"", f"Location: {scheme}://localhost:{elsewhere.port}/", "Set-Cookie: a=b",
                    'Alt-Svc: h2=":1"')
    hostile = Hostile(redirect, tls(certificates))
    with site_with(hostile, certificates["good"][0], keys) as server:
        assert server.post(event(1)).status == 200
        wait_for(lambda: hostile.came.count(b"PutRecordBatch") >= 2, 20, "another attempt")
        assert elsewhere.connections == 0
        assert b"cookie" not in hostile.came.lower()
        assert str(status) in next(line for line in server.log().splitlines() if "delivery has failed" in line)
        then_delivers(server, fake, [1])
    elsewhere.close()


def plain_http(hostile, connection):
    hostile.came += connection.recv(65536)
    connection.sendall(http(400, b"speak plain"))


def rubbish(hostile, connection):
    connection.sendall(b"\x00" * 1000)
    hostile.came += connection.recv(65536)


def silence(hostile, connection):
    hostile.came += connection.recv(65536)
    threading.Event().wait(8)


def only_old_tls(certificates):
    context = tls(certificates)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def no_encryption(certificates):
    context = tls(certificates, maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("eNULL:@SECLEVEL=0")
    return context


IMPOSTORS = {
    "another authority": lambda certificates: ({"context": tls(certificates)}, "another name"),
    "another name": lambda certificates: ({"context": tls(certificates, "another name")}, "another name"),
    "plain HTTP": lambda certificates: ({"talk": plain_http}, "good"),
    "rubbish": lambda certificates: ({"talk": rubbish}, "good"),
    "silence": lambda certificates: ({"talk": silence}, "good"),
    "TLS 1.0 and 1.1": lambda certificates: ({"context": only_old_tls(certificates)}, "good"),
    "no encryption": lambda certificates: ({"context": no_encryption(certificates)}, "good"),
}


@pytest.mark.parametrize("what", IMPOSTORS)
def test_who_is_not_who_it_says(fake, keys, certificates, what):
    """Not one byte of a request reaches it, nor a secret."""
    more, trusted = IMPOSTORS[what](certificates)
    hostile = Hostile(answer_of(FailedPutCount=0, RequestResponses=[OK]), **more)
    with site_with(hostile, certificates[trusted][0], keys) as server:
        assert server.post(event(1)).status == 200
        wait_for(lambda: "delivery has failed" in server.log(), 20, "the line about it")
        assert hostile.connections > 0
        for secret in (b"PutRecordBatch", b"Authorization", b"fkxnjuxdn8j0czwl", TOKEN.encode(), b"AKIDEXAMPLE"):
            assert secret not in hostile.came
        then_delivers(server, fake, [1])


def with_authorities(folder, certificate):
    """httpd on a system that trusts this certificate alone."""
    authorities = folder / "authorities"
    authorities.mkdir()
    (authorities / "ca-certificates.crt").write_bytes(certificate.read_bytes())
    name = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", certificate], check=True, capture_output=True,
                          text=True).stdout.strip()
    (authorities / f"{name}.0").write_bytes(certificate.read_bytes())
    wrapper = folder / "httpd"
    wrapper.write_text(f"""#!/bin/sh
exec unshare -m sh -c 'mount --bind {authorities} /etc/ssl/certs && exec {HTTPD} "$@"' - "$@"
""")
    wrapper.chmod(0o755)
    return str(wrapper)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has disks to mount")
def test_the_file_of_authorities_is_all_that_is_trusted(fake, keys, certificates, monkeypatch):
    """Not also what the system trusts; and one that is mended is used at once."""
    folder = public_folder()
    monkeypatch.setattr("server.HTTPD", with_authorities(folder, fake.directory / "public-ca.pem"))
    ca = folder / "ca.pem"
    stream = firehose_stream(fake, "queue=4M linger=10ms")
    system = stream.replace(f"ca={fake.directory}/public-ca.pem", "")
    with Httpd(system, environment=keys) as server:
        server.expected_errors = ["delivery has failed"]
        assert server.post(event(1)).status == 200
        wait_for(lambda: lines_of(fake) == [record(1)], what="the event, as the system trusts the fake")
        ca.write_bytes(certificates["good"][0].read_bytes())
        server.configure(f"{system} ca={ca}")
        before = set(server.children())
        server.graceful()
        wait_for(lambda: server.children() and not before & set(server.children()), what="the new children")
        assert server.post(event(2)).status == 200
        wait_for(lambda: "certificate" in server.log(), what="the line about the certificate")
        assert lines_of(fake) == [record(1)]
        ca.write_bytes((fake.directory / "public-ca.pem").read_bytes())
        wait_for(lambda: lines_of(fake) == [record(1), record(2)], what="the event, as the file has been mended")
    shutil.rmtree(folder)


def test_an_expired_certificate(fake, keys, certificates, tmp_path):
    """Made with openssl ca, which can date back."""
    (tmp_path / "index").write_text("")
    (tmp_path / "serial").write_text("01")
    (tmp_path / "ca.cnf").write_text("[ca]\ndefault_ca=d\n[d]\n"
                                     f"database={tmp_path}/index\nserial={tmp_path}/serial\nnew_certs_dir={tmp_path}\n"
                                     "default_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\n"
                                     "subjectAltName=DNS:localhost\n")
    ca, ca_key = make(tmp_path, "authority")
    subprocess.run(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "old.key",
                    "-out", tmp_path / "old.csr", "-subj", "/CN=localhost"], check=True, capture_output=True)
    subprocess.run(["openssl", "ca", "-batch", "-config", tmp_path / "ca.cnf", "-cert", ca, "-keyfile", ca_key,
                    "-in", tmp_path / "old.csr", "-out", tmp_path / "old.pem", "-startdate", "20200101000000Z",
                    "-enddate", "20200201000000Z"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "old.pem", tmp_path / "old.key")
    hostile = Hostile(answer_of(FailedPutCount=0, RequestResponses=[OK]), context)
    with site_with(hostile, ca, keys) as server:
        assert server.post(event(1)).status == 200
        wait_for(lambda: "delivery has failed" in server.log(), 20, "the line about it")
        assert "expired" in server.log()
        assert hostile.came == b""
        then_delivers(server, fake, [1])


def test_the_impostors_could_be_trusted(keys, certificates):
    """The same server with the right certificate gets the request: so the tests above can fail."""
    hostile = Hostile(answer_of(FailedPutCount=0, RequestResponses=[OK]), tls(certificates))
    with site_with(hostile, certificates["good"][0], keys) as server:
        assert server.post(event(1)).status == 200
        wait_for(lambda: b"PutRecordBatch" in hostile.came, what="the request")
        assert TOKEN.encode() in hostile.came


def test_nothing_secret_in_the_process_list(keys, certificates, fake):
    """Of httpd, its children, and clickstreamctl: their command lines say nothing."""
    with Httpd(firehose_stream(fake, "linger=10ms"), environment={**keys}) as server:
        assert server.post(event(1)).status == 200
        wait_for(lambda: lines_of(fake), what="the event")
        for pid in [server.process.pid, *server.children()]:
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            assert keys["AWS_SECRET_ACCESS_KEY"].encode() not in command and b"AKIDEXAMPLE" not in command


def test_a_port_where_nobody_is(fake, keys, certificates):
    hostile = Hostile()
    hostile.close()
    hostile.port = free_port()
    with site_with(hostile, certificates["good"][0], keys) as server:
        assert server.post(event(1)).status == 200
        wait_for(lambda: "delivery has failed" in server.log(), 20, "the line about it")
        then_delivers(server, fake, [1])

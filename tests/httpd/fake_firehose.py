"""A fake Amazon Data Firehose for tests: PutRecordBatch over HTTPS, as strict as AWS.

It checks signature, shape and limits of every request, keeps what it takes in
DIR/records.jsonl, and misbehaves on request of its control API (plain HTTP).
Tests drive it through the class FakeFirehose, which runs this file as a process.
"""
# SPDX-License-Identifier: Apache-2.0

import argparse
import base64
import collections
import contextlib
import datetime
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import random
import re
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

TARGET = "Firehose_20150804.PutRecordBatch"
JSON_TYPE = "application/x-amz-json-1.1"
MAX_RECORDS, MAX_RECORD, MAX_BODY = 500, 1_024_000, 4 * 1024 * 1024
BILLING_STEP = 5 * 1024
CLOCK_SKEW = datetime.timedelta(minutes=15)
TIMESTAMP = "%Y%m%dT%H%M%SZ"
# The headers that Firehose wants to be signed, besides the session token's.
SIGNED = frozenset({"host", "x-amz-date", "x-amz-target", "content-type"})
# As long as those of AWS, so that a client meets answers of the true size.
RECORD_ID_LENGTH = 224

COUNTS = (
    "requests", "connections", "in_flight_max", "largest_request", "most_records",
    "records_taken", "records_failed", "bytes_taken", "billed_bytes", "events_taken",
)

# What a fault may say, with what holds if it does not; anything else is a typo.
# "hits" counts how often it struck; fail_records strikes records, the others requests.
ANY_FAULT = {"rate": 1.0, "count": None, "matching": None, "hits": 0}
FAULTS = {
    "throttle": {"retry_after": None},
    "invalid": {},
    "status": {"code": 500, "error_type": "InternalFailure", "body": None, "content_type": JSON_TYPE},
    "refuse_signature": {},
    "expired": {},
    "hang": {"seconds": 1},
    "lie": {"answer": "{}"},
    "cut_request": {},
    "cut_response": {"share": 0.5},
    "slow": {"seconds": 1},
    "fail_records": {},
}
REFUSALS = {
    "throttle": (503, "ServiceUnavailableException"),
    "invalid": (400, "ValidationException"),
    "refuse_signature": (400, "InvalidSignatureException"),
    "expired": (400, "ExpiredTokenException"),
}
# The first strike whatever came, the others only what AWS would take.
SIGNATURE_FAULTS = {"refuse_signature", "expired"}
REFUSING_FAULTS = {*REFUSALS, "status", "hang", "lie"}

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<key>[^/,\s]+)/(?P<scope>[^,\s]+), *"
    r"SignedHeaders=(?P<signed>[^,\s]+), *Signature=(?P<signature>[0-9a-f]{64})"
)
SERVICE = ServiceModel(Loader().load_service_model("firehose", "service-2"), "firehose")
BATCH = SERVICE.operation_model("PutRecordBatch").input_shape

Request = collections.namedtuple("Request", "method path headers body")
# share is how much of the body is sent before the connection is cut: 1 all, 0 not even a header.
Reply = collections.namedtuple("Reply", "status body headers share", defaults=({}, 1))


class Refusal(Exception):
    """An error answer; a violation is one that no test provokes by its settings."""

    def __init__(self, error_type, message, status=400, violation=False):
        super().__init__(message)
        self.error_type, self.message = error_type, message
        self.status, self.violation = status, violation


def violation(error_type, message, status=400):
    return Refusal(error_type, message[:500], status, violation=True)


def bad_signature(message):
    return Refusal("InvalidSignatureException", message)


def error_reply(status, error_type, message, headers=None):
    body = json.dumps({"__type": error_type, "message": message}).encode()
    return Reply(status, body, {"Content-Type": JSON_TYPE, **(headers or {})})


def check_operation(request):
    asked = (request.method, request.path, request.headers.get("X-Amz-Target"), request.headers.get("Content-Type"))
    if asked != ("POST", "/", TARGET, JSON_TYPE):
        raise violation("UnknownOperationException", f"no such operation: {asked}")


def check_signature(request, credentials, region, now, service="firehose", required=SIGNED):
    """Returns the access key id."""
    if "Authorization" not in request.headers:
        raise Refusal("MissingAuthenticationTokenException", "Missing Authentication Token")
    claim = AUTHORIZATION.fullmatch(request.headers["Authorization"])
    if not claim:
        raise Refusal("IncompleteSignatureException", "Authorization header is not that of SigV4.")
    secret = find_secret(claim["key"], request.headers, credentials, now)
    signed = claim["signed"].split(";")
    check_signed_headers(signed, request, required)
    stamp = request.headers["X-Amz-Date"]
    check_date(stamp, now)
    if claim["scope"] != f"{stamp[:8]}/{region}/{service}/aws4_request":
        raise bad_signature(f"Credential should be scoped to a valid date, region and service, not {claim['scope']}.")
    compare_signature(request, signed, claim, SigV4AsListed(Credentials(claim["key"], secret), service, region))
    return claim["key"]


def find_secret(key, headers, credentials, now):
    known = credentials.get(key)
    if not known or headers.get("X-Amz-Security-Token") != known.get("token"):
        raise Refusal("UnrecognizedClientException", "The security token included in the request is invalid.")
    if known.get("expired") or now >= known.get("expires", now + 1):
        raise Refusal("ExpiredTokenException", "The security token included in the request is expired")
    return known["secret"]


def check_signed_headers(signed, request, required):
    required = required | {"x-amz-security-token"} & {name.lower() for name in request.headers}
    for name in sorted(required - set(signed)):
        raise bad_signature(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
    for name in signed:
        if name not in request.headers:
            raise bad_signature(f"The signed header '{name}' is not in the request.")
    # botocore would believe this header, so a body that was changed would pass.
    content_hash = request.headers.get("X-Amz-Content-SHA256")
    if content_hash and content_hash != hashlib.sha256(request.body).hexdigest():
        raise bad_signature("X-Amz-Content-SHA256 is not the hash of the body.")


def read_date(stamp):
    return datetime.datetime.strptime(stamp, TIMESTAMP).replace(tzinfo=datetime.timezone.utc)


def check_date(stamp, now):
    try:
        sent = read_date(stamp)
    except ValueError:
        raise Refusal("IncompleteSignatureException", f"X-Amz-Date is no date: {stamp}") from None
    now = datetime.datetime.fromtimestamp(now, datetime.timezone.utc)
    if sent < now - CLOCK_SKEW:
        raise bad_signature(f"Signature expired: {stamp} is now earlier than {now - CLOCK_SKEW:{TIMESTAMP}}")
    if sent > now + CLOCK_SKEW:
        raise bad_signature(f"Signature not yet current: {stamp} is still later than {now + CLOCK_SKEW:{TIMESTAMP}}")


class SigV4AsListed(SigV4Auth):
    """botocore never signs some headers (User-Agent), AWS goes by the client's list."""

    def headers_to_sign(self, request):
        return request.headers


def compare_signature(request, signed, claim, auth):
    url = f"https://{request.headers['Host']}{request.path}"
    again = AWSRequest(request.method, url, data=request.body)
    for name in signed:
        for value in request.headers.get_all(name):
            again.headers[name] = value
    again.context["timestamp"] = request.headers["X-Amz-Date"]
    canonical = auth.canonical_request(again)
    to_sign = auth.string_to_sign(again, canonical)
    if claim["signature"] != auth.signature(to_sign, again):
        raise bad_signature(
            "The request signature we calculated does not match the signature you provided.\n\n"
            f"The Canonical String for this request should have been\n'{canonical}'\n\n"
            f"The String-to-Sign should have been\n'{to_sign}'\n"
        )


def read_batch(body):
    """The stream's name and the decoded records of a request body."""
    if len(body) > MAX_BODY:
        raise violation("InvalidArgumentException", f"{len(body)} bytes of body are more than {MAX_BODY}")
    try:
        # loads() of bytes would guess the encoding and take UTF-16 too.
        batch = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise violation("SerializationException", f"the body is no JSON: {error}") from None
    report = ParamValidator().validate(batch, BATCH)
    if report.has_errors():
        raise violation("ValidationException", report.generate_report())
    # botocore's validator knows the minima of the model, but not maxima and patterns.
    name, records = batch["DeliveryStreamName"], batch["Records"]
    shape = BATCH.members["DeliveryStreamName"].metadata
    if len(name) > shape["max"] or not re.fullmatch(shape["pattern"], name):
        raise violation("ValidationException", f"the stream's name breaks {shape}: {name}")
    if len(records) > MAX_RECORDS:
        raise violation("ValidationException", f"{len(records)} records are more than {MAX_RECORDS}")
    return name, [read_data(record["Data"]) for record in records]


def read_data(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise violation("SerializationException", f"Data is no base64: {error}") from None
    # What validate lets pass at the end (bits, padding) depends on Python's version.
    end = data[-(len(data) % 3 or 3) :]
    if len(text) % 4 or base64.b64encode(end).decode() != text[-4:]:
        raise violation("SerializationException", "Data is no canonical base64")
    if len(data) > MAX_RECORD:
        raise violation("ValidationException", f"a record of {len(data)} bytes is more than {MAX_RECORD}")
    return data


def digest(data):
    return hashlib.sha256(data).hexdigest()


def record_line(line, data):
    try:
        line["data"] = data.decode("utf-8")
    except UnicodeDecodeError:
        line["data_base64"] = base64.b64encode(data).decode()
    return json.dumps(line).encode() + b"\n"


def record_data(line):
    return line["data"].encode("utf-8") if "data" in line else base64.b64decode(line["data_base64"])


class RecordFile:
    """DIR/records.jsonl: what was taken, written so that kill -9 loses no answered record."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        # A kill in the middle of a write leaves half a line, of a request without an answer.
        os.ftruncate(self.fd, path.read_bytes().rfind(b"\n") + 1)

    def append(self, stream, number, taken):
        text = b"".join(
            record_line({"stream": stream, "request": number, "index": index}, data) for index, data in taken
        )
        if os.write(self.fd, text) != len(text):
            raise OSError("records.jsonl: short write")

    def clear(self):
        os.ftruncate(self.fd, 0)


class Firehose:
    """The service: its settings, what it has seen, and how it answers a request."""

    def __init__(self, file, credentials, region, streams, seed):
        self.file, self.credentials, self.region, self.streams = file, credentials, region, set(streams)
        self.seed = seed
        self.clock = 0  # how many seconds AWS's clock, that is ours, is ahead of this machine's
        self.lock = threading.Lock()
        self.flying = 0
        self.forget()

    def reset(self):
        with self.lock:
            self.file.clear()
            self.forget()

    def forget(self):
        self.random = random.Random(self.seed)
        self.faults = []
        self.failed = []
        self.taken = collections.Counter()
        self.violations = []
        self.by_result, self.by_key = collections.Counter(), collections.Counter()
        self.skew = None
        self.counts = {**dict.fromkeys(COUNTS, 0), "in_flight_max": self.flying}

    def stats(self):
        with self.lock:
            failed = set(self.failed)
            came = failed & set(self.taken)
            return {
                **self.counts,
                "by_result": dict(self.by_result),
                "by_key": dict(self.by_key),  # requests that were signed well, by access key id
                "skew": self.skew,  # of the latest of them: its X-Amz-Date less our time
                "violations": list(self.violations),
                "failed_then": {"taken": len(came), "missing": len(failed - came)},
            }

    def duplicates(self):
        with self.lock:
            return [{"sha256": sha, "times": times} for sha, times in self.taken.items() if times > 1]

    def routes(self):
        """The control API."""
        return {
            ("GET", "/stats"): lambda _: self.stats(),
            ("GET", "/faults"): lambda _: self.faults,
            ("PUT", "/faults"): self.set_faults,
            ("PUT", "/credentials"): lambda given: setattr(self, "credentials", given),
            ("POST", "/credentials"): lambda given: setattr(self, "credentials", {**self.credentials, **given}),
            ("PUT", "/streams"): lambda given: setattr(self, "streams", set(given)),
            ("PUT", "/region"): lambda given: setattr(self, "region", given),
            ("PUT", "/clock"): lambda given: setattr(self, "clock", given),
            ("POST", "/reset"): lambda _: self.reset(),
            ("GET", "/failed"): lambda _: self.failed,
            ("GET", "/duplicates"): lambda _: self.duplicates(),
        }

    def now(self):
        return time.time() + self.clock

    def set_faults(self, faults):
        made = []
        for fault in faults:
            allowed = {**ANY_FAULT, **FAULTS[fault["kind"]], "kind": None}
            if not allowed.keys() >= fault.keys():
                raise ValueError(f"{fault['kind']} has no {sorted(fault.keys() - allowed.keys())}")
            made.append({**allowed, **fault})
        with self.lock:
            self.faults = made

    def strike(self, kinds, records=()):
        """The first fault of these kinds that hits, if any."""
        with self.lock:
            for fault in self.faults:
                if fault["kind"] in kinds and self.hits(fault, records):
                    fault["hits"] += 1
                    return fault
        return None

    def hits(self, fault, records):
        if fault["count"] is not None and fault["hits"] >= fault["count"]:
            return False
        matching = fault["matching"]
        if matching is not None and not any(matching.encode() in data for data in records):
            return False
        return self.random.random() < fault["rate"]

    @contextlib.contextmanager
    def request(self):
        """Counts a request in and out, and gives its number."""
        with self.lock:
            self.flying += 1
            self.counts["requests"] += 1
            number = self.counts["requests"]
            self.counts["in_flight_max"] = max(self.counts["in_flight_max"], self.flying)
        try:
            yield number
        finally:
            with self.lock:
                self.flying -= 1

    def connected(self):
        with self.lock:
            self.counts["connections"] += 1

    def result(self, name, reply):
        """Every request ends here, before its answer is sent: whoever has the answer finds it counted."""
        with self.lock:
            self.by_result[name] += 1
        return reply

    def refuse(self, number, refusal):
        if refusal.violation:
            with self.lock:
                self.violations.append(f"request {number}: {refusal.error_type}: {refusal.message}")
        return self.result(refusal.error_type, error_reply(refusal.status, refusal.error_type, refusal.message))

    def answer(self, number, request):
        stream, records, refusal = None, [], None
        try:
            check_operation(request)
            self.signed(request, check_signature(request, self.credentials, self.region, self.now()))
            stream, records = read_batch(request.body)
            if stream not in self.streams:
                raise Refusal("ResourceNotFoundException", f"Firehose {stream} not found.")
        except Refusal as caught:
            refusal = caught
        with self.lock:
            for name, size in (("largest_request", len(request.body)), ("most_records", len(records))):
                self.counts[name] = max(self.counts[name], size)
        fault = self.strike(SIGNATURE_FAULTS if refusal else REFUSING_FAULTS, records)
        if fault:
            self.fail(records)
            return self.result(fault["kind"], fault_reply(fault))
        if refusal:
            return self.refuse(number, refusal)
        return self.take(number, stream, records)

    def signed(self, request, key):
        with self.lock:
            self.by_key[key] += 1
            self.skew = read_date(request.headers["X-Amz-Date"]).timestamp() - self.now()

    def fail(self, records):
        digests = [digest(data) for data in records]
        with self.lock:
            self.failed += digests
            self.counts["records_failed"] += len(records)

    def take(self, number, stream, records):
        slow = self.strike({"slow"}, records)
        if slow:
            time.sleep(slow["seconds"])
        failed = {index for index, data in enumerate(records) if self.strike({"fail_records"}, [data])}
        taken = [(index, data) for index, data in enumerate(records) if index not in failed]
        self.fail([records[index] for index in sorted(failed)])
        self.file.append(stream, number, taken)
        self.count_taken([data for _, data in taken])
        entries = [
            {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}
            if index in failed
            else {"RecordId": f"{number}-{index}-".ljust(RECORD_ID_LENGTH, "0")}
            for index in range(len(records))
        ]
        answer = {"FailedPutCount": len(failed), "Encrypted": False, "RequestResponses": entries}
        cut = self.strike({"cut_response"}, records)
        reply = Reply(200, json.dumps(answer).encode(), {"Content-Type": JSON_TYPE}, cut["share"] if cut else 1)
        return self.result("cut_response" if cut else "partial" if failed else "ok", reply)

    def count_taken(self, records):
        digests = [digest(data) for data in records]
        with self.lock:
            self.taken.update(digests)
            self.counts["records_taken"] += len(records)
            for data in records:
                self.counts["bytes_taken"] += len(data)
                self.counts["billed_bytes"] += -(-len(data) // BILLING_STEP) * BILLING_STEP
                self.counts["events_taken"] += data.count(b"\n")


def fault_reply(fault):
    kind = fault["kind"]
    if kind in REFUSALS:
        headers = {"Retry-After": fault["retry_after"]} if fault.get("retry_after") is not None else {}
        return error_reply(*REFUSALS[kind], "As the test has asked for.", headers)
    if kind == "lie":
        return Reply(200, fault["answer"].encode(), {"Content-Type": JSON_TYPE})
    if kind == "hang":
        time.sleep(fault["seconds"])
        return Reply(200, b"", share=0)
    if fault["body"] is None:
        return error_reply(fault["code"], fault["error_type"], "As the test has asked for.")
    return Reply(fault["code"], fault["body"].encode(), {"Content-Type": fault["content_type"]})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        """Silent: the statistics tell more."""

    def send(self, reply):
        self.close_connection |= reply.share < 1
        if not reply.share:
            return
        headers = {"Date": self.date_time_string(self.server.service.now()), "Content-Length": len(reply.body), **reply.headers}
        if self.close_connection:
            headers["Connection"] = "close"
        head = f"HTTP/1.1 {reply.status} {http.client.responses.get(reply.status, '')}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        # One write: a head of its own would wait for the client's delayed ACK.
        self.wfile.write(head.encode("latin-1") + reply.body[: int(len(reply.body) * reply.share)])


class AwsHandler(Handler):
    def serve(self):
        with self.server.service.request() as number:
            reply = self.reply(number)
            self.send(reply._replace(headers={"x-amzn-RequestId": uuid.uuid4(), **reply.headers}))

    do_GET = do_PUT = do_POST = do_DELETE = serve

    def reply(self, number):
        firehose, length = self.server.service, self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self.close_connection = True
            return firehose.refuse(number, violation("LengthRequiredException", "no Content-Length", 411))
        cut = firehose.strike({"cut_request"})
        wanted = int(length) // 2 if cut else int(length)
        try:
            body = self.rfile.read(wanted)
        except OSError:
            body = b""
        if cut or len(body) < wanted:
            return firehose.result("cut_request" if cut else "client_gone", Reply(400, b"", share=0))
        return firehose.answer(number, Request(self.command, self.path, self.headers, body))


class ControlHandler(Handler):
    def serve(self):
        routes = self.server.service.routes()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, answer = 200, routes[self.command, self.path](json.loads(body or b"null"))
        except (KeyError, TypeError, ValueError) as error:
            status, answer = 400, {"error": repr(error)}
        self.send(Reply(status, json.dumps(answer).encode(), {"Content-Type": "application/json"}))

    do_GET = do_PUT = do_POST = serve


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """One thread a connection. Not HTTPServer: that one asks the DNS for its own name."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port, handler, service, tls=None, host="127.0.0.1"):
        super().__init__((host, port), handler)
        self.service, self.tls, self.port = service, tls, self.server_address[1]

    def finish_request(self, request, client_address):
        # In the connection's thread: a client that is silent must not hold up the others.
        if not self.tls:
            return super().finish_request(request, client_address)
        with self.tls.wrap_socket(request, server_side=True) as connection:
            self.service.connected()
            return super().finish_request(connection, client_address)

    def handle_error(self, request, client_address):
        # A client may go when it likes, but a defect of the fake must not pass unseen.
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            self.service.violations.append("the fake is broken: " + traceback.format_exc())


OPENSSL_CONFIG = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost, DNS:firehose.test, IP:127.0.0.1
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
NEW_KEY = "-config openssl.cnf -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
OPENSSL_COMMANDS = (
    f"req -x509 {NEW_KEY} -extensions ca -days 365 -subj /CN=throw-away-CA -keyout ca.key -out ca.pem",
    f"req {NEW_KEY} -subj /CN=localhost -keyout server.key -out server.csr",
    "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 2 -days 365"
    " -extfile openssl.cnf -extensions server -out server.pem",
)


def make_certificates(directory):
    """A restarted fake must still be trusted, so what is there stays. The CA's key is dropped."""
    files = ("server.key", "server.pem", "ca.pem")
    if all((directory / name).exists() for name in files):
        return
    with tempfile.TemporaryDirectory(dir=directory) as work:
        pathlib.Path(work, "openssl.cnf").write_text(OPENSSL_CONFIG)
        for command in OPENSSL_COMMANDS:
            subprocess.run(["openssl", *command.split()], cwd=work, check=True, capture_output=True)
        for name in files:
            os.replace(pathlib.Path(work, name), directory / name)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--credentials", required=True, metavar="AKID:SECRET[:SESSION_TOKEN]")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--stream", nargs="+", action="extend", default=[], metavar="NAME")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    parent = os.getppid()
    options = parse_arguments()
    directory = options.dir.resolve()
    make_certificates(directory)
    key, secret, token = (options.credentials.split(":", 2) + [None])[:3]
    credentials = {key: {"secret": secret, "token": token, "expired": False}}
    file = RecordFile(directory / "records.jsonl")
    firehose = Firehose(file, credentials, options.region, options.stream, options.seed)
    aws = Server(options.port, AwsHandler, firehose, server_tls(directory))
    control = Server(options.control_port, ControlHandler, firehose)
    ready = {"port": aws.port, "control_port": control.port, "ca": str(directory / "ca.pem")}
    serve(directory, [aws, control], ready, parent)


def server_tls(directory):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "server.pem", directory / "server.key")
    return tls


def serve(directory, servers, ready, parent):
    """Until this process is stopped, or is left by the one that began it."""
    # There is nothing to flush, and threads that hang must not hold up the end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    (directory / "ready.tmp").write_text(json.dumps({**ready, "pid": os.getpid()}))
    os.replace(directory / "ready.tmp", directory / "ready.json")
    while os.getppid() == parent:
        time.sleep(0.2)


# How much longer all takes: under valgrind, see ../valgrind.
SLOWNESS = 8 if "HTTPD_IS_SLOW" in os.environ else 1


def wait_for(condition, seconds=20, what="the condition"):
    """The first true value of condition(), asked again and again until the deadline."""
    seconds *= SLOWNESS
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {seconds} s")
        time.sleep(0.01)


def free_port():
    """Below those that clients get: one of these could take it while its server is dead for a moment."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(first // 2, first)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class FakeProcess:
    """Runs a fake as a process in a directory of its own, for `with` and for fixtures."""

    script = __file__

    def __init__(self, directory, arguments):
        self.directory = pathlib.Path(directory)
        self.arguments = arguments
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        (self.directory / "ready.json").unlink(missing_ok=True)
        command = [sys.executable, self.script, "--dir", self.directory, *self.arguments, *self.more_arguments()]
        with open(self.directory / "fake.log", "ab") as log:
            self.process = subprocess.Popen([str(word) for word in command], stderr=log)
        self.started(wait_for(self._ready, what="ready.json"))

    def more_arguments(self):
        return ()

    def _ready(self):
        if self.process.poll() is not None:
            raise RuntimeError((self.directory / "fake.log").read_text())
        path = self.directory / "ready.json"
        return path.exists() and json.loads(path.read_text())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def _control(self, method, path, value=None):
        return control(self.control_port, method, path, value)

    def stats(self):
        return self._control("GET", "/stats")

    def faults(self, faults=None):
        """Sets the faults if given, and returns those that are set, with their hits."""
        if faults is not None:
            self._control("PUT", "/faults", faults)
        return self._control("GET", "/faults")

    def set_clock(self, seconds):
        """AWS's time becomes that of this machine and `seconds`; by it answers are dated and signatures judged."""
        self._control("PUT", "/clock", seconds)


def control(port, method, path, value=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    with contextlib.closing(connection):
        connection.request(method, path, json.dumps(value))
        response = connection.getresponse()
        answer = json.load(response)
    if response.status != 200:
        raise ValueError(answer["error"])
    return answer


class FakeFirehose(FakeProcess):
    """The fake Firehose as a process.

    kill() and start() give a crash and a return on the same ports: the records stay, while
    statistics, faults and what set_credentials() and set_streams() said begin anew.
    """

    def __init__(self, directory, credentials="AKIDEXAMPLE:secret", streams=("clicks",), options=()):
        super().__init__(directory, ["--credentials", credentials, "--stream", *streams, *options])
        self.port, self.control_port = free_port(), free_port()

    def more_arguments(self):
        return "--port", self.port, "--control-port", self.control_port

    def started(self, ready):
        self.port, self.control_port, self.ca = ready["port"], ready["control_port"], ready["ca"]
        self.url = f"https://localhost:{self.port}"

    def set_credentials(self, credentials):
        self._control("PUT", "/credentials", credentials)

    def add_credentials(self, credentials):
        self._control("POST", "/credentials", credentials)

    def set_region(self, region):
        self._control("PUT", "/region", region)

    def set_streams(self, streams):
        self._control("PUT", "/streams", list(streams))

    def reset(self):
        self._control("POST", "/reset")

    def failed(self):
        return self._control("GET", "/failed")

    def duplicates(self):
        return self._control("GET", "/duplicates")

    def records(self):
        """The data of the records taken, in their order; an unfinished last line is none."""
        lines = (self.directory / "records.jsonl").read_bytes().split(b"\n")[:-1]
        return [record_data(json.loads(line)) for line in lines]

    def events(self):
        """The events taken: every line of every record must be JSON."""
        lines = b"".join(self.records()).split(b"\n")
        return [json.loads(line) for line in (lines if lines[-1] else lines[:-1])]


if __name__ == "__main__":
    main()

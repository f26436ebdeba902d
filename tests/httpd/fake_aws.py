"""Fakes of the places where AWS's SDKs get temporary credentials: STS, instance metadata, a container's endpoint.

What they hand out is made known to a fake Firehose first, which refuses it once it has expired. They
check tokens, signatures, roles and external ids as AWS does, and misbehave on request of the control API.
Tests drive them through the class FakeAws, which runs this file as a process.
"""
# SPDX-License-Identifier: Apache-2.0

import argparse
import base64
import collections
import datetime
import json
import os
import pathlib
import re
import threading
import time
import urllib.parse
import uuid
from xml.sax.saxutils import escape

from botocore.loaders import Loader
from botocore.model import ServiceModel

import fake_firehose
from fake_firehose import ControlHandler, FakeProcess, Handler, Refusal, Reply, Request, Server, check_signature

VERSION = "2011-06-15"
NAMESPACE = f"https://sts.amazonaws.com/doc/{VERSION}/"
STS = ServiceModel(Loader().load_service_model("sts", "service-2"), "sts")
# Firehose's names of what may be wrong with a signature, and STS's.
STS_REFUSALS = {
    "InvalidSignatureException": ("SignatureDoesNotMatch", 403),
    "IncompleteSignatureException": ("IncompleteSignature", 400),
    "UnrecognizedClientException": ("InvalidClientTokenId", 403),
    "ExpiredTokenException": ("ExpiredToken", 403),
    "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403),
}
# The headers that STS wants to be signed, besides the session token's.
SIGNED = frozenset({"host", "x-amz-date"})
ROLE_ARN = re.compile(r"arn:aws[\w-]*:iam::(?P<account>\d{12}):role/(?:.*/)?(?P<name>[\w+=,.@-]+)")
TOKEN_PATH = "/latest/api/token"
ROLES_PATH = "/latest/meta-data/iam/security-credentials/"
PLACEMENT_PATH = "/latest/meta-data/placement/"
# "IAM roles for Amazon EC2": new ones are there at least five minutes before the old ones expire.
NEW_BEFORE = 300

# What a test may set; a source's lives are [seconds until they are refused, seconds as told] of what is handed out
# next, and the last of them of all that follow.
SETTINGS = {
    "region": "us-east-1",
    "keys": {},  # what STS knows besides what it handed out: {access key id: secret}
    "roles": {},  # {ARN: what an assuming request must have: external_id, session_name, token (of a web identity), by}
    "instance_role": "collector",  # None: the instance has none
    "container_path": "/v2/credentials/0",
    "container_authorization": None,  # None: any will do
    "lives": {},
}
ANY_FAULT = {"source": None, "path": "", "count": None, "hits": 0}
FAULTS = {
    "hang": {"seconds": 60},
    "status": {"code": 500, "error_type": "InternalFailure"},
    "garbage": {"body": "<html>garbage", "code": 200},
}


def known_only(given, allowed):
    if not allowed.keys() >= given.keys():
        raise ValueError(f"unknown: {sorted(given.keys() - allowed.keys())}")
    return given


def timestamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def random_text(length):
    """As base64 has it, so with characters that forms, JSON and headers treat differently."""
    return base64.b64encode(os.urandom(length)).decode()


def json_reply(value, status=200):
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def text_reply(text, status=200):
    return Reply(status, text.encode(), {"Content-Type": "text/plain", "Server": "EC2ws"})


def xml_reply(text, status=200):
    return Reply(status, text.encode(), {"Content-Type": "text/xml"})


def sts_error(code, message, status):
    return xml_reply(f'<ErrorResponse xmlns="{NAMESPACE}">\n  <Error>\n    <Type>Sender</Type>\n'
                     f"    <Code>{code}</Code>\n    <Message>{escape(message)}</Message>\n  </Error>\n"
                     f"  <RequestId>{uuid.uuid4()}</RequestId>\n</ErrorResponse>\n", status)


def check_form(operation, form):
    """The parameters against the service's model; the numbers among them become numbers."""
    shape = STS.operation_model(operation).input_shape
    for name in shape.required_members:
        if name not in form:
            raise Refusal("ValidationError", f"{name} is missing", violation=True)
    for name, value in form.items():
        if name in ("Action", "Version"):
            continue
        if name not in shape.members:
            raise Refusal("ValidationError", f"{operation} has no {name}", violation=True)
        check_value(name, value, shape.members[name])


def check_value(name, value, member):
    limits = member.metadata
    size = int(value) if member.type_name == "integer" and value.isdecimal() else len(value)
    # The model has Java's patterns, of characters that Python would not take.
    pattern = limits.get("pattern", ".*") if member.type_name == "string" and "\\u" not in str(limits) else ".*"
    if not limits.get("min", 0) <= size <= limits.get("max", size) or not re.fullmatch(pattern, value, re.DOTALL):
        raise Refusal("ValidationError", f"{name} breaks {limits}: {value[:100]}", violation=True)


class Aws:
    """The sources: what is set, what has been asked, and what is answered."""

    def __init__(self, firehose_port):
        self.firehose_port = firehose_port
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        self.clock = 0
        self.settings = dict(SETTINGS)
        self.faults_set, self.violations = [], []
        self.requests, self.signed_by = collections.Counter(), collections.Counter()
        self.issued = {}  # by access key id
        self.latest = {}  # by source
        self.tokens = {}  # of the metadata service, with their ends

    def routes(self):
        """The control API."""
        return {
            ("GET", "/stats"): lambda _: self.stats(),
            ("GET", "/secrets"): lambda _: self.secrets(),
            ("GET", "/faults"): lambda _: self.faults_set,
            ("PUT", "/faults"): self.set_faults,
            ("PUT", "/settings"): lambda given: self.settings.update(known_only(given, SETTINGS)),
            ("PUT", "/clock"): lambda given: setattr(self, "clock", given),
            ("POST", "/rotate"): lambda _: self.latest.clear(),
            ("POST", "/reset"): lambda _: self.reset(),
        }

    def now(self):
        return time.time() + self.clock

    def connected(self):
        """Of a connection with TLS; nobody asks for their number."""

    def stats(self):
        with self.lock:
            issued = [{name: made[name] for name in ("key", "source", "role", "expires")} for made in self.issued.values()]
            return {"requests": dict(self.requests), "signed_by": dict(self.signed_by), "issued": issued,
                    "violations": list(self.violations)}

    def secrets(self):
        """Everything that was handed out and must never be seen anywhere."""
        with self.lock:
            made = [made[name] for made in self.issued.values() for name in ("secret", "token")]
            return made + list(self.tokens)

    def set_faults(self, faults):
        made = []
        for fault in faults:
            allowed = {**ANY_FAULT, **FAULTS[fault["kind"]], "kind": None}
            made.append({**allowed, **known_only(fault, allowed)})
        self.faults_set = made

    def strike(self, source, path):
        with self.lock:
            for fault in self.faults_set:
                if (fault["source"] in (None, source) and fault["path"] in path
                        and (fault["count"] is None or fault["hits"] < fault["count"])):
                    fault["hits"] += 1
                    return fault
        return None

    # --- what is handed out ---

    def issue(self, source, role):
        """New credentials, known to the fake Firehose before anybody else knows them."""
        with self.lock:
            lives = self.settings["lives"].get(source) or [[3600, 3600]]
            refused_after, told = lives.pop(0) if len(lives) > 1 else lives[0]
            key = f"ASIA{source.upper()}{len(self.issued):0{16 - len(source)}}"
            now = self.now()
            made = {"key": key, "source": source, "role": role, "secret": random_text(30), "token": random_text(600),
                    "expires": now + refused_after, "told": now + told}
            self.issued[key] = made
        known = {name: made[name] for name in ("secret", "token", "expires")}
        fake_firehose.control(self.firehose_port, "POST", "/credentials", {key: known})
        return made

    def current(self, source, role):
        """What an endpoint hands out to all that ask, until it is time for new ones."""
        made = self.latest.get(source)
        if not made or made["expires"] <= self.now() or made["told"] <= self.now() + NEW_BEFORE:
            made = self.latest[source] = self.issue(source, role)
        return {"AccessKeyId": made["key"], "SecretAccessKey": made["secret"], "Token": made["token"],
                "Expiration": timestamp(made["told"])}

    # --- answers ---

    def answer(self, source, request):
        what, make = getattr(self, source)(request)
        with self.lock:
            self.requests[f"{source} {what}"] += 1
        fault = self.strike(source, what)
        if fault and fault["kind"] == "hang":
            time.sleep(fault["seconds"])
            return Reply(200, b"", share=0)
        if fault and fault["kind"] == "garbage":
            return Reply(fault["code"], fault["body"].encode(), {"Content-Type": "text/plain"})
        if fault and source == "sts":
            return sts_error(fault["error_type"], "As the test has asked for.", fault["code"])
        return text_reply("As the test has asked for.", fault["code"]) if fault else make()

    def violation(self, text):
        with self.lock:
            self.violations.append(text)

    def metadata(self, request):
        path = request.path
        if path == TOKEN_PATH:
            return "token", lambda: self.metadata_token(request)
        role = self.settings["instance_role"]
        texts = {ROLES_PATH: role, PLACEMENT_PATH + "region": self.settings["region"],
                 PLACEMENT_PATH + "availability-zone/": self.settings["region"] + "a"}
        what = ("credentials" if role and path == ROLES_PATH + role else
                {ROLES_PATH: "role"}.get(path, path.removeprefix("/latest/meta-data/")))
        return what, lambda: self.metadata_answer(request, texts.get(path), what, role)

    def metadata_token(self, request):
        seconds = request.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if request.method != "PUT":
            return text_reply("", 405)
        if "X-Forwarded-For" in request.headers:
            return text_reply("", 403)
        if not seconds.isdecimal() or not 1 <= int(seconds) <= 21600:
            self.violation(f"metadata: a token for {seconds!r} seconds")
            return text_reply("", 400)
        token = random_text(40)
        with self.lock:
            self.tokens[token] = self.now() + int(seconds)
        reply = text_reply(token)
        return reply._replace(headers={**reply.headers, "X-Aws-Ec2-Metadata-Token-Ttl-Seconds": seconds})

    def metadata_answer(self, request, text, what, role):
        token = request.headers.get("X-aws-ec2-metadata-token")
        if token is None:
            self.violation(f"metadata: {request.method} {request.path} as in version 1, without a token")
        if request.method != "GET":
            return text_reply("", 405)
        if self.tokens.get(token, 0) <= self.now():
            return text_reply("", 401)
        if what == "credentials":
            return json_reply({"Code": "Success", "LastUpdated": timestamp(self.now()), "Type": "AWS-HMAC",
                               **self.current("metadata", role)})
        return text_reply(text) if text else text_reply("Not Found", 404)

    def container(self, request):
        wanted = self.settings["container_authorization"]

        def make():
            if request.method != "GET" or request.path != self.settings["container_path"]:
                return json_reply({"code": "InvalidURL", "message": "no such path"}, 404)
            if wanted is not None and request.headers.get("Authorization") != wanted:
                return json_reply({"code": "AccessDenied", "message": "Authorization is not what it should be"}, 401)
            return json_reply({"RoleArn": "arn:aws:iam::123456789012:role/task", **self.current("container", "task")})

        return "credentials", make

    def sts(self, request):
        try:
            form = dict(urllib.parse.parse_qsl(request.body.decode(), True, True))
        except ValueError:
            form = {}
        return form.get("Action", request.path), lambda: self.sts_answer(request, form)

    def sts_answer(self, request, form):
        try:
            asked = (request.method, request.path, request.headers.get("Content-Type", "").partition(";")[0],
                     form.get("Version"))
            operations = {"AssumeRole": self.may_assume, "AssumeRoleWithWebIdentity": self.may_assume_by_token}
            if asked != ("POST", "/", "application/x-www-form-urlencoded", VERSION) or form["Action"] not in operations:
                raise Refusal("InvalidAction", f"no such action: {asked} {form.get('Action')}", violation=True)
            check_form(form["Action"], form)
            operations[form["Action"]](request, form)
        except Refusal as refusal:
            if refusal.violation:
                self.violation(f"sts: {refusal.error_type}: {refusal.message}")
            return sts_error(refusal.error_type, refusal.message, refusal.status)
        return self.assumed(form)

    def may_assume(self, request, form):
        known = {**{key: {"secret": secret} for key, secret in self.settings["keys"].items()}, **self.issued}
        try:
            key = check_signature(request, known, self.settings["region"], self.now(), "sts", SIGNED)
        except Refusal as refusal:
            code, status = STS_REFUSALS[refusal.error_type]
            raise Refusal(code, refusal.message, status) from None
        with self.lock:
            self.signed_by[key] += 1
        # Who asks: the role whose credentials sign, or the access key itself.
        self.check_role(form, {"external_id": form.get("ExternalId"), "session_name": form["RoleSessionName"],
                               "by": known[key].get("role", key), "token": None})

    def may_assume_by_token(self, request, form):
        if "Authorization" in request.headers:
            self.violation("sts: AssumeRoleWithWebIdentity is not to be signed")
        token = form["WebIdentityToken"]
        role = self.settings["roles"].get(form["RoleArn"], {})
        if token in role.get("expired_tokens", ()):
            raise Refusal("ExpiredTokenException", "Token expired: current date/time must be before the expiration")
        if "token" in role and token != role["token"]:
            raise Refusal("InvalidIdentityToken", "The web identity token that was passed could not be validated")
        self.check_role(form, {"token": token, "session_name": form["RoleSessionName"]})

    def check_role(self, form, given):
        """AWS, too, does not tell what is missing."""
        wanted = self.settings["roles"].get(form["RoleArn"])
        known_only(wanted or {}, dict.fromkeys(("external_id", "session_name", "by", "token", "expired_tokens")))
        if (not ROLE_ARN.fullmatch(form["RoleArn"]) or wanted is None
                or any(given.get(name) != value for name, value in wanted.items() if name != "expired_tokens")):
            raise Refusal("AccessDenied", f"not authorized to perform: sts:{form['Action']} on {form['RoleArn']}", 403)

    def assumed(self, form):
        operation, made = form["Action"], self.issue("sts", form["RoleArn"])
        role, session = ROLE_ARN.fullmatch(form["RoleArn"]), form["RoleSessionName"]
        return xml_reply(f'''<{operation}Response xmlns="{NAMESPACE}">
  <{operation}Result>
    <AssumedRoleUser>
      <AssumedRoleId>AROAEXAMPLE:{escape(session)}</AssumedRoleId>
      <Arn>arn:aws:sts::{role["account"]}:assumed-role/{role["name"]}/{escape(session)}</Arn>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>{made["key"]}</AccessKeyId>
      <SecretAccessKey>{made["secret"]}</SecretAccessKey>
      <SessionToken>{made["token"]}</SessionToken>
      <Expiration>{timestamp(made["told"])}</Expiration>
    </Credentials>
  </{operation}Result>
  <ResponseMetadata>
    <RequestId>{uuid.uuid4()}</RequestId>
  </ResponseMetadata>
</{operation}Response>
''')


def handler(name):
    """The HTTP side of one source."""

    class SourceHandler(Handler):
        def serve(self):
            aws = self.server.service
            if "Transfer-Encoding" in self.headers:
                aws.violation(f"{name}: a chunked request")
                self.close_connection = True
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send(aws.answer(name, Request(self.command, self.path, self.headers, body)))

        do_GET = do_PUT = do_POST = do_HEAD = serve

    return SourceHandler


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    parser.add_argument("--certificates", type=pathlib.Path, required=True, help="the fake Firehose's folder")
    parser.add_argument("--firehose", type=int, required=True, help="its control port")
    for name in ("metadata", "container"):
        parser.add_argument(f"--{name}", type=address, default=("127.0.0.1", 0), metavar="HOST:PORT")
    return parser.parse_args()


def main():
    parent = os.getppid()
    options = parse_arguments()
    aws = Aws(options.firehose)
    tls = fake_firehose.server_tls(options.certificates)
    servers = {"sts": Server(0, handler("sts"), aws, tls), "control": Server(0, ControlHandler, aws)}
    for name in ("metadata", "container"):
        host, port = getattr(options, name)
        servers[name] = Server(port, handler(name), aws, host=host)
    ready = {name: server.port for name, server in servers.items()}
    fake_firehose.serve(options.dir, list(servers.values()), ready, parent)


class FakeAws(FakeProcess):
    """The fake sources as a process, beside the fake Firehose that is to know what they hand out."""

    script = __file__

    def __init__(self, directory, firehose, options=()):
        more = ["--certificates", firehose.directory, "--firehose", firehose.control_port, *options]
        super().__init__(directory, more)

    def started(self, ready):
        self.control_port = ready["control"]
        self.sts_url = f"https://localhost:{ready['sts']}"
        self.metadata_url = f"http://127.0.0.1:{ready['metadata']}"
        self.container_url = f"http://127.0.0.1:{ready['container']}"

    def settings(self, **settings):
        self._control("PUT", "/settings", settings)

    def secrets(self):
        return self._control("GET", "/secrets")

    def issued(self, source):
        """The access key ids that this source has handed out, in their order."""
        return [made["key"] for made in self.stats()["issued"] if made["source"] == source]

    def reset(self):
        self._control("POST", "/reset")

    def rotate(self):
        """The metadata's and the container's next answers have new credentials."""
        self._control("POST", "/rotate")


if __name__ == "__main__":
    main()

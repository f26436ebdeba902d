"""How a case of the HTTP contract is written, for every front door to run; the cases are in cases_*.py.

A case is a request and all that must come of it: the answer, and the lines that are delivered. A front
door runs it under a path of its own, with the case's directives in force; see doors.py and test_contract.py.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import re
from typing import NamedTuple

from server import ADDED, COLLECTED, HEADERS

ID = '"token":"fkxnjuxdn8j0czwl","timestamp":"2022-02-22T18:37:28.205Z","tag":"LIKE_WOOD"'
EVENT = "{" + ID + ',"value":3}'
REMOTE = "127.0.0.1"  # where the tests come from
ALLOW = {"Allow": "POST, OPTIONS"}
NO_CORS = {name: None for name in (
    "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers", "Access-Control-Max-Age", "Access-Control-Expose-Headers")}


class Case(NamedTuple):
    name: str
    body: object = EVENT  # str or bytes; a list of them is sent in chunks
    status: int = 200
    answer: object = COLLECTED  # the exact text, or a pattern; bytes: a picture
    records: tuple = ()  # the exact lines that are delivered, after blanked()
    method: str = "POST"
    target: str = ""  # behind the front door's path, such as "?client_id=a"
    headers: dict = {}  # changes to server.HEADERS; None removes; a function tells the value when it is sent
    directives: str = ""  # of the location, ours and httpd's; @KEYS@ is the folder of tokens.py
    answer_headers: dict = {}  # those that must be there, as text or pattern; None: must not be there
    rejects: tuple = ()  # the exact lines that the stream REJECT_TO names gets, after blanked()
    not_cgi: str = ""  # why it cannot be run through the CGI

    def request_headers(self):
        """What is sent, as http.client takes it."""
        merged = {**HEADERS, **self.headers}
        if isinstance(self.body, list):
            merged["Transfer-Encoding"] = "chunked"
        return {name: value() if callable(value) else value for name, value in merged.items() if value is not None}

    def payload(self):
        if isinstance(self.body, list):
            return iter([as_bytes(chunk) for chunk in self.body])
        return as_bytes(self.body)


def as_bytes(text):
    return text.encode() if isinstance(text, str) else text


# --- what an answer and a record look like ---


def event(more=""):
    """An event that is whole, with more members behind the required ones."""
    return "{" + ID + ("," + more if more else "") + "}"


def record(text=EVENT, added=ADDED):
    """The line made of an event that was sent without white space."""
    return f"{text[:-1]},{added}}}"


def added(client_id="touchwood-app", client_ip=HEADERS["X-Forwarded-For"], user_agent=HEADERS["User-Agent"], **more):
    """What the server adds, from values as they stand in JSON; None leaves out."""
    members = {"client_id": client_id, "client_ip": client_ip, "user_agent": user_agent, **more}
    return ",".join(f'"{name}":"{value}"' for name, value in members.items() if value is not None)


def collected(accepted, *rejections):
    """The answer to a list."""
    rejected = f',"rejected":[{",".join(rejections)}]' if rejections else ""
    return COLLECTED[:-1] + f',"accepted":{accepted}{rejected}}}'


def invalid(*rejections):
    return '{"response_code":"400","message":"Invalid clickstream.","rejected":[' + ",".join(rejections) + "]}"


def rejection(reason, index=0, **more):
    return json.dumps({"index": index, "reason": reason, **more}, separators=(",", ":"))


def malformed(position, index=0):
    return rejection("malformed_json", index, position=position)


def malformed_somewhere(many=False):
    """As malformed(), for what is wrong at a place that is not promised; `many`: or in several events of a list."""
    one = '{"index":\\d+,"reason":"malformed_json","position":\\d+}'
    return re.compile(re.escape('{"response_code":"400","message":"Invalid clickstream.","rejected":[') + one
                      + (f"(?:,{one})*" if many else "") + re.escape("]}"))


def refusal(status, message):
    return f'{{"response_code":"{status}","message":"{message}"}}'


def quoted(text):
    """As the server writes text."""
    def escaped(at):
        return "\\" + at[0] if at[0] in '"\\' else f"\\u{ord(at[0]):04x}"
    return '"' + re.sub('[\x00-\x1f"\\\\]', escaped, text) + '"'


def refused(reason, text, field=None, client_id="touchwood-app", client_ip=HEADERS["X-Forwarded-For"]):
    """The line about an event that was refused; None leaves out."""
    members = {"reason": reason, "field": field, "received_at": "*", "client_id": client_id, "client_ip": client_ip,
               "event": text}
    return "{" + ",".join(f'"{name}":{quoted(value)}' for name, value in members.items() if value is not None) + "}"


# What differs from one time to the next, by its form: a UUID of version 7 or 4, RFC 3339 with milliseconds in UTC.
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-%d[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
FORMS = {"event_id": UUID % 7, "visitor_id": UUID % 4, "received_at": r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"}


def blanked(line):
    """The line with "*" for each such value that has its form."""
    for name, form in FORMS.items():
        line = re.sub(f'"{name}":"{form}"', f'"{name}":"*"', line)
    return line


NO_TOKEN = refusal(401, "Invalid authorization")
UNKNOWN = refusal(403, "Unknown client")
NO_METHOD = refusal(405, "Method not allowed")
NO_TYPE = refusal(415, "Unsupported media type")
NO_TAG = '{"token":"a","timestamp":"2022-02-22T18:37:28.205Z"}'

# --- what many cases have ---

NDJSON = {"Content-Type": "application/x-ndjson"}
A, B = event('"value":"a"'), event('"value":"b"')
AB = (record(A), record(B))
NO_AUTH = "ClickstreamAuth none"
NOBODY = {"client_id": None}
CHALLENGE = {"WWW-Authenticate": "Bearer"}
REJECT_TO = "ClickstreamRejectTo refused"
SHORT = "ClickstreamMaxBody 200"
TOO_LONG = refusal(413, "Body too large: at most 200 bytes")


def padded(length):
    """An event of so many bytes."""
    return event('"value":"' + "x" * (length - len(event('"value":""'))) + '"')

"""Other ways for events to come, and where they go when they are refused: gzip, beacons, pixels, ClickstreamRejectTo."""
# SPDX-License-Identifier: Apache-2.0

import gzip
import random
import zlib

from cases import A, AB, B, CHALLENGE, EVENT, NDJSON, NO_AUTH, NO_METHOD, NO_TAG, NO_TOKEN, NOBODY, REJECT_TO, SHORT, \
    TOO_LONG, UNKNOWN, Case, added, as_bytes, collected, event, invalid, malformed, padded, record, refusal, refused, \
    rejection
from cases_added import ANONYMIZE, COOKIE, CUT_FORWARDED, DROP, FORWARDED, GPC, KNOWN, NEW, NO_COOKIE, SAME
from cases_request import ASKS, ORIGINS, PREFLIGHT
from cases_tag import STRICT, tagged
from server import HEADERS

# --- gzip ---

INFLATE = "SetInputFilter DEFLATE"
GZIP = {"Content-Encoding": "gzip"}
NO_INFLATING = refusal(415, "Unsupported content encoding")
NO_READING = refusal(400, "The body cannot be read")
BY_HTTPD = "httpd, which inflates before a CGI is asked, answers this itself: see test_wire.py"


def gzipped(text):
    return gzip.compress(as_bytes(text), mtime=0)


def bomb(length, ratio=150):
    """Gzip that inflates to so many bytes; mod_deflate itself stops where the ratio is beyond 200."""
    noise = random.Random(1)
    pieces = (noise.randbytes(32768 // ratio) + bytes(32768 - 32768 // ratio) for _ in range(length // 32768))
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(piece) for piece in pieces), packer.flush()])


def deflated(name, body, **more):
    return Case(f"gzip: {name}", body, headers={**GZIP, **more.pop("headers", {})},
                directives="\n".join([INFLATE, *filter(None, [more.pop("directives", None)])]), **more)


PACKED = gzipped(EVENT)
BY_GZIP = [
    deflated("one event", PACKED, records=(record(),)),
    deflated("in capital letters", PACKED, headers={"Content-Encoding": "GZIP"}, records=(record(),)),
    deflated("by its old name", PACKED, headers={"Content-Encoding": "x-gzip"}, records=(record(),)),
    deflated("in chunks", [PACKED[:3], PACKED[3:40], PACKED[40:]], records=(record(),)),
    deflated("a list", gzipped(f"[{A},{B}]"), answer=collected(2), records=AB),
    deflated("lines", gzipped(f"{A}\n{B}\n"), answer=collected(2), records=AB, headers=NDJSON),
    deflated("stored only", gzip.compress(EVENT.encode(), 0), records=(record(),)),
    deflated("nothing in it", gzipped(""), status=400, answer=invalid(malformed(0))),
    deflated("no JSON in it", gzipped("{oops"), status=400, answer=invalid(malformed(1))),
    deflated("as long as may be", gzipped(padded(200)), records=(record(padded(200)),), directives=SHORT),
    deflated("one byte too long", gzipped(padded(201)), status=413, answer=TOO_LONG, directives=SHORT),
    deflated("one byte too long, in chunks", [gzipped(padded(201))], status=413, answer=TOO_LONG, directives=SHORT),
    deflated("longer than what it inflates to", gzip.compress(padded(199).encode() + b"\n", 0),
             records=(record(padded(199)),), directives=SHORT),
    deflated("a small bomb", bomb(2 << 20), status=413, answer=refusal(413, "Body too large: at most 1048576 bytes")),
    deflated("a large bomb", bomb(32 << 20), status=413, answer=refusal(413, "Body too large: at most 1048576 bytes")),
    deflated("a bomb that mod_deflate stops", gzip.compress(bytes(32 << 20), 9), status=400, answer=NO_READING,
             not_cgi=BY_HTTPD),
    deflated("no gzip", EVENT, status=400, answer=NO_READING, not_cgi=BY_HTTPD),
    deflated("a damaged one", PACKED[:20] + b"\xff\xff\xff" + PACKED[23:], status=400, answer=NO_READING,
             not_cgi=BY_HTTPD),
    deflated("with another checksum", PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], status=400, answer=NO_READING,
             not_cgi=BY_HTTPD),
    deflated("cut", PACKED[:-20], status=400, answer=NO_READING, not_cgi=BY_HTTPD),
    Case("gzip: a body without, where it may be", directives=INFLATE, records=(record(),)),
    Case("gzip: not said", PACKED, 415, NO_INFLATING, directives=INFLATE),
    Case("gzip: nothing inflates it", PACKED, 415, NO_INFLATING, headers=GZIP),
    Case("gzip: nothing inflates it, in chunks", [PACKED], 415, NO_INFLATING, headers=GZIP),
    Case("gzip: said, and it is not", EVENT, headers=GZIP, records=(record(),)),
    Case("gzip: an encoding that nothing knows", EVENT, headers={"Content-Encoding": "br"}, records=(record(),)),
]

# --- beacons: what navigator.sendBeacon() sends ---

BEACON = {**{name: None for name in HEADERS}, "Content-Type": "text/plain;charset=UTF-8", "Origin": "https://a.example",
          "Sec-Fetch-Mode": "no-cors"}
BARE = {name: None for name in HEADERS}


def from_beacon(client_id="page"):
    return added(client_id, "127.0.0.1", None)


BY_BEACON = [
    Case("beacon", headers=BEACON, target="?client_id=page", directives=NO_AUTH, records=(record(added=from_beacon()),)),
    Case("beacon: a list", f"[{A},{B}]", headers=BEACON, target="?client_id=page", directives=NO_AUTH,
         answer=collected(2), records=(record(A, from_beacon()), record(B, from_beacon()))),
    Case("beacon: lines", f"{A}\n{B}", headers=BEACON, target="?client_id=page", directives=NO_AUTH,
         answer=collected(2), records=(record(A, from_beacon()), record(B, from_beacon()))),
    Case("beacon: a Blob without a type, no header at all", headers=BARE, target="?client_id=page", directives=NO_AUTH,
         records=(record(added=from_beacon()),)),
    Case("beacon: no client", status=403, answer=UNKNOWN, headers=BEACON, directives=NO_AUTH),
    Case("beacon: a client that is not on the list", status=403, answer=UNKNOWN, headers=BEACON,
         target="?client_id=page", directives=NO_AUTH + "\nClickstreamClient other"),
    Case("beacon: a client on the list", headers=BEACON, target="?client_id=page",
         directives=NO_AUTH + "\nClickstreamClient page", records=(record(added=from_beacon()),)),
    Case("beacon: where a token is asked for", status=401, answer=NO_TOKEN, headers=BEACON, target="?client_id=page",
         answer_headers=CHALLENGE),
    Case("beacon: a form", status=415, answer=refusal(415, "Unsupported media type"), target="?client_id=page",
         headers={**BEACON, "Content-Type": "application/x-www-form-urlencoded"}, directives=NO_AUTH),
    Case("beacon: no JSON", "hello", 400, invalid(malformed(0)), headers=BEACON, target="?client_id=page",
         directives=NO_AUTH),
]

# --- ClickstreamPixel ---

PIXEL = "ClickstreamPixel on\nClickstreamAuth none"
PICTURE = (b"GIF89a\1\0\1\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;")
assert len(PICTURE) == 43
MEMBERS = "token=a1&timestamp=2022-02-22T18:37:28Z&tag=OPENED"
QUERY = "?client_id=mail&" + MEMBERS
ALLOW_GET = {"Allow": "GET, POST, OPTIONS"}
# What follows MEMBERS: the members that come of it.
PARAMETERS = {
    "": "",
    "&value=3": '"value":3',
    "&value=-1.50e%2B3": '"value":-1.50e+3',
    "&value=12345678901234567890123": '"value":12345678901234567890123',
    "&value=true&b=false&c=null": '"value":true,"b":false,"c":null',
    "&value=True": '"value":"True"',
    "&value=truex": '"value":"truex"',
    "&value=007": '"value":"007"',
    "&value=3.": '"value":"3."',
    "&value=%2B3": '"value":"+3"',
    "&value=3+": '"value":"3 "',
    "&value=+3": '"value":" 3"',
    "&value=0x1F": '"value":"0x1F"',
    "&value=NaN": '"value":"NaN"',
    "&value=": '"value":""',
    "&value=text": '"value":"text"',
    "&value=a%20b+c%2Bd": '"value":"a b c+d"',
    "&value=%22a%22%5C": '"value":"\\"a\\"\\\\"',
    "&value=%0A%1F": '"value":"\\u000a\\u001f"',
    "&value=%7B%22a%22:1%7D": '"value":"{\\"a\\":1}"',
    "&value=[1]": '"value":"[1]"',
    "&value=a=b": '"value":"a=b"',
    "&value=caf%C3%A9": '"value":"café"',
    "&value=caf%E9": '"value":"caf\ufffd"',
    "&na%20me=1": '"na me":1',
    "&na%22me=1": '"na\\"me":1',
    "&z=1&a=2": '"z":1,"a":2',
    "&a=1&b=2&a=3": '"a":3,"b":2',
    "&value": "",
    "&=3": "",
    "&&&": "",
    "&value=1&": '"value":1',
    "&client_id=other": "",
    "&client%5Fid=other": "",
    "&client_ip=6.6.6.6&user_agent=x": "",
    "&a.b=1&c[]=2": '"a.b":1,"c[]":2',
}
# Queries behind "?client_id=mail&": the rejection.
REFUSED = {
    "token=a&timestamp=2022-02-22T18:37:28Z": rejection("missing_field", field="tag"),
    "": rejection("missing_field", field="token"),
    "token&timestamp=2022-02-22T18:37:28Z&tag=t": rejection("missing_field", field="token"),
    "token=a&timestamp=now&tag=t": rejection("bad_timestamp", field="timestamp"),
    "token=a&timestamp=2022&tag=t": rejection("bad_timestamp", field="timestamp"),
    MEMBERS + "&value=%zz": malformed(len(QUERY)),
    MEMBERS + "&value=%": malformed(len(QUERY)),
    MEMBERS + "&value=%4": malformed(len(QUERY)),
    MEMBERS + "&value=a%00b": malformed(len(QUERY)),
    MEMBERS + "&%zz=1": malformed(len(QUERY)),
    "%00=1&" + MEMBERS: malformed(len("client_id=mail&")),
    MEMBERS + "&value=" + "x" * 200: rejection("too_large"),
}
GET = {"method": "GET", "body": "", "headers": BARE}
OPENED = '{"token":"a1","timestamp":"2022-02-22T18:37:28Z","tag":"OPENED"}'


def opened(more="", **additions):
    text = OPENED[:-1] + ("," + more if more else "") + "}"
    return record(text, added(**{"client_id": "mail", "client_ip": "127.0.0.1", "user_agent": None, **additions}))


def seen(name, target=QUERY, directives=PIXEL, records=None, **more):
    """A pixel that collects."""
    return Case(f"pixel: {name}", target=target, directives=directives, answer=PICTURE,
                records=records or (opened(),), **{**GET, **more})


def unseen(name, target, status, answer, directives=PIXEL, **more):
    return Case(f"pixel: {name}", target=target, directives=directives, status=status, answer=answer,
                **{**GET, **more})


def other_method(method):
    return unseen(f"no {method}", QUERY, 405, "" if method == "HEAD" else NO_METHOD, method=method,
                  answer_headers=ALLOW_GET)


BY_PIXEL = [
    *(seen(more or "only what is required", QUERY + more, records=(opened(members),))
      for more, members in PARAMETERS.items()),
    seen("token, timestamp and tag are always text", "?token=1&timestamp=2022-02-22T18:37:28Z&tag=null&client_id=mail",
         records=(record('{"token":"1","timestamp":"2022-02-22T18:37:28Z","tag":"null"}',
                         added("mail", "127.0.0.1", None)),)),
    seen("the client in a header", "?" + MEMBERS, headers={**BARE, "client-id": "mail"}),
    seen("an app's headers", headers={}, records=(opened(client_ip=FORWARDED, user_agent=HEADERS["User-Agent"]),),
         target="?" + MEMBERS + "&client_id=other")._replace(
             records=(opened(client_id="touchwood-app", client_ip=FORWARDED, user_agent=HEADERS["User-Agent"]),)),
    seen("any media type", headers={**BARE, "Content-Type": "image/gif"}),
    seen("a bearer token where it is asked for", headers={**BARE, "Authorization": "Bearer abc"},
         directives="ClickstreamPixel on"),
    seen("a tag's value", QUERY.replace("OPENED", "LIKE_WOOD") + "&value=3", PIXEL + "\n" + STRICT,
         records=(opened('"value":3').replace("OPENED", "LIKE_WOOD"),)),
    seen("a new visitor", directives=PIXEL + "\n" + COOKIE, answer_headers=NEW, records=(opened(visitor_id="*"),)),
    seen("a visitor who returns", directives=PIXEL + "\n" + COOKIE, answer_headers=SAME,
         headers={**BARE, "Cookie": f"visitor={KNOWN}"}, records=(opened(visitor_id=KNOWN),)),
    seen("anonymous", directives=PIXEL + "\n" + COOKIE + "\n" + ANONYMIZE, headers={**BARE, **GPC},
         answer_headers=NO_COOKIE, records=(opened(client_ip="127.0.0.0"),)),
    seen("dropped", directives=PIXEL + "\n" + DROP, headers={**BARE, **GPC})._replace(records=()),
    seen("from a page", directives=PIXEL + "\n" + ORIGINS, headers={**BARE, "Origin": "https://app.example.com"},
         answer_headers={"Access-Control-Allow-Origin": "https://app.example.com", "Vary": "Origin"}),
    *(unseen(f"refused {query[-40:]}", f"?client_id=mail&{query}", 400, invalid(why),
             PIXEL + "\nClickstreamMaxEvent 200") for query, why in REFUSED.items()),
    unseen("no query", "", 403, UNKNOWN),
    unseen("no client", "?" + MEMBERS, 403, UNKNOWN),
    unseen("a client that is not on the list", QUERY, 403, UNKNOWN, PIXEL + "\nClickstreamClient other"),
    unseen("no bearer token where it is asked for", QUERY, 401, NO_TOKEN, "ClickstreamPixel on",
           answer_headers=CHALLENGE),
    unseen("a tag's value that is wrong", QUERY.replace("OPENED", "LIKE_WOOD") + "&value=x", 400,
           invalid(rejection("wrong_type", field="value")), PIXEL + "\n" + STRICT),
    unseen("a tag that is unknown", QUERY, 400, invalid(rejection("unknown_tag", field="tag")), PIXEL + "\n" + STRICT),
    *map(other_method, ("HEAD", "PUT", "DELETE", "get")),
    Case("pixel: a POST is taken as ever", directives=PIXEL, records=(record(),)),
    Case("pixel: a POST's event is in its body", directives=PIXEL, target=QUERY, headers=NOBODY,
         records=(record(added=added("mail")),)),
    Case("pixel: preflight", "", 204, "", method="OPTIONS", headers={**ASKS, "Origin": "https://app.example.com"},
         directives=PIXEL + "\n" + ORIGINS,
         answer_headers={**ALLOW_GET, **PREFLIGHT, "Access-Control-Allow-Methods": "GET, POST, OPTIONS"}),
    Case("pixel: off", "", 405, NO_METHOD, method="GET", target=QUERY, directives=NO_AUTH + "\nClickstreamPixel off",
         answer_headers={"Allow": "POST, OPTIONS"}),
]

# --- ClickstreamRejectTo ---

TAGGED = REJECT_TO + "\n" + STRICT


def turned_down(name, body, why, lines, directives=REJECT_TO, **more):
    """A request of which nothing is taken; `why` is the answer's list of rejections."""
    return Case(f"RejectTo: {name}", body, 400, invalid(*why), directives=directives, rejects=tuple(lines), **more)


def one(reason, body, field=None, directives=REJECT_TO, position=None, text=None, **more):
    where = {name: value for name, value in (("field", field), ("position", position)) if value is not None}
    return turned_down(f"{reason} {field or ''}, {str(text or body)[-30:]}", body, [rejection(reason, **where)],
                       [refused(reason, text or body, field)], directives, **more)


LONG = '{"token":"' + "x" * 9000 + '"}'
LONG_KANJI = '{"token":"' + "x" + "漢" * 4000 + '"}'


def cut(text, length=8192):
    return text.encode()[:length].decode(errors="ignore")


MIXED = [A, NO_TAG, "1", event('"value":' + "[" * 20 + "]" * 20), B]
MIXED_LINES = (refused("missing_field", NO_TAG, "tag"), refused("not_an_object", "1"), refused("too_deep", MIXED[3]))
MIXED_WHY = (rejection("missing_field", 1, field="tag"), rejection("not_an_object", 2), rejection("too_deep", 3))
BY_REJECTS = [
    one("missing_field", NO_TAG, "tag"),
    one("missing_field", "{}", "token"),
    one("missing_field", "{}", 'a"b', REJECT_TO + "\nClickstreamRequire 'a\"b'"),
    one("wrong_type", '{"token":1,"timestamp":"2022-02-22T18:37:28Z","tag":"t"}', "token"),
    one("bad_timestamp", '{"token":"a","timestamp":"now","tag":"t"}', "timestamp"),
    one("not_an_object", "null"),
    one("not_an_object", '"caf\u00e9"'),
    one("malformed_json", "{oops", position=1),
    one("malformed_json", "a \"quoted\"\\\ttext\x01\x7f", position=0),
    one("malformed_json", b'{"a":"caf\xe9 \xe2\x82"}', position=9, text='{"a":"caf\ufffd \ufffd\ufffd"}'),
    one("malformed_json", EVENT + "x", position=len(EVENT)),
    one("malformed_json", b"a\0b", position=0, text="a\0b"),
    one("too_deep", event('"value":' + "[" * 16 + "]" * 16)),
    one("too_large", padded(121), directives=REJECT_TO + "\nClickstreamMaxEvent 120"),
    one("out_of_range", tagged("LIKE_WOOD", '"value":-1'), "value", TAGGED),
    one("unknown_tag", tagged("OTHER"), "tag", TAGGED),
    one("missing_field", tagged("GEO_LOC", '"latitude":1'), "longitude", TAGGED),
    turned_down("white space around is none of the event's", f" \n{NO_TAG}\t", [rejection("missing_field", field="tag")],
                [refused("missing_field", NO_TAG, "tag")]),
    turned_down("white space within is", '{ "a" :\n1 }', [rejection("missing_field", field="token")],
                [refused("missing_field", '{ "a" :\n1 }', "token")]),
    turned_down("8 KiB at most", LONG, [rejection("missing_field", field="timestamp")],
                [refused("missing_field", LONG[:8192], "timestamp")]),
    turned_down("8 KiB exactly", LONG[:8192], [malformed(8192)], [refused("malformed_json", LONG[:8192])]),
    turned_down("cut where a character begins", LONG_KANJI, [rejection("missing_field", field="timestamp")],
                [refused("missing_field", cut(LONG_KANJI), "timestamp")]),
    turned_down("nothing in it", "", [malformed(0)], [refused("malformed_json", "")]),
    turned_down("an empty list leaves none", "[]", [], []),
    turned_down("a list of which nothing is taken", "[1,{}]",
                [rejection("not_an_object"), rejection("missing_field", 1, field="token")],
                [refused("not_an_object", "1"), refused("missing_field", "{}", "token")]),
    Case("RejectTo: those of a list that are refused", f"[{','.join(MIXED)}]", directives=REJECT_TO, records=AB,
         answer=collected(2, *MIXED_WHY), rejects=MIXED_LINES),
    Case("RejectTo: those lines that are refused", "\n".join(MIXED + ["{oops "]), directives=REJECT_TO, records=AB,
         answer=collected(2, *MIXED_WHY, malformed(len("\n".join(MIXED)) + 2, 5)),
         rejects=(*MIXED_LINES, refused("malformed_json", "{oops "))),
    Case("RejectTo: none where all is taken", f"[{A},{B}]", directives=REJECT_TO, answer=collected(2), records=AB),
    turned_down("a list that is malformed is one", f"[{A},{{]", [malformed(len(A) + 3)],
                [refused("malformed_json", f"[{A},{{]")]),
    turned_down("of a client in the query", "1", [rejection("not_an_object")],
                [refused("not_an_object", "1", client_id="a b")], headers=NOBODY, target="?client_id=a%20b"),
    turned_down("ClientIP off", "1", [rejection("not_an_object")], [refused("not_an_object", "1", client_ip=None)],
                REJECT_TO + "\nClickstreamClientIP off"),
    turned_down("ClientIP anonymized", "1", [rejection("not_an_object")],
                [refused("not_an_object", "1", client_ip=CUT_FORWARDED)],
                REJECT_TO + "\nClickstreamClientIP anonymized"),
    turned_down("OptOut anonymize", "1", [rejection("not_an_object")],
                [refused("not_an_object", "1", client_ip=CUT_FORWARDED)], f"{REJECT_TO}\n{ANONYMIZE}", headers=GPC),
    turned_down("OptOut drop leaves none", "1", [rejection("not_an_object")], [], f"{REJECT_TO}\n{DROP}", headers=GPC),
    Case("RejectTo: OptOut drop of a list leaves none", f"[{A},1]", directives=f"{REJECT_TO}\n{DROP}", headers=GPC,
         answer=collected(1, rejection("not_an_object", 1))),
    *(Case(f"RejectTo: a {status} leaves none", body, status, answer, headers=changes,
           directives=f"{REJECT_TO}\n{SHORT}\nClickstreamMaxEvents 2")
      for status, body, answer, changes in (
          (401, "1", NO_TOKEN, {"Authorization": None}), (403, "1", UNKNOWN, NOBODY),
          (415, "1", refusal(415, "Unsupported media type"), {"Content-Type": "a/b"}),
          (413, padded(201), TOO_LONG, {}))),
    Case("RejectTo: too many events leave none", "[1,2,3]", 413, refusal(413, "Too many events: at most 2 in a request"),
         directives=f"{REJECT_TO}\n{SHORT}\nClickstreamMaxEvents 2"),
    Case("RejectTo: a GET leaves none", "", 405, NO_METHOD, method="GET", directives=REJECT_TO),
    unseen("RejectTo", f"{QUERY}&tag=LIKE_WOOD&value=%2D1".replace("&tag=OPENED", ""), 400,
           invalid(rejection("out_of_range", field="value")), f"{PIXEL}\n{TAGGED}",
           rejects=(refused("out_of_range", '{"token":"a1","timestamp":"2022-02-22T18:37:28Z","tag":"LIKE_WOOD",'
                            '"value":-1}', "value", "mail", "127.0.0.1"),)),
    unseen("RejectTo, wrongly encoded", f"{QUERY}&value=%zz", 400, invalid(malformed(len(QUERY))),
           f"{PIXEL}\n{TAGGED}",
           rejects=(refused("malformed_json", f"{QUERY[1:]}&value=%zz", None, "mail", "127.0.0.1"),)),
    Case("RejectTo: what is added to records is not added here", f"[{A},1]", headers={"Cookie": f"visitor={KNOWN}"},
         directives=f"{REJECT_TO}\n{COOKIE}\nClickstreamAdd event_id received_at\nClickstreamField site x",
         answer=collected(1, rejection("not_an_object", 1)), rejects=(refused("not_an_object", "1"),),
         records=(record(A, added(site="x", visitor_id=KNOWN, received_at="*", event_id="*")),), answer_headers=SAME),
]

CASES = [*BY_GZIP, *BY_BEACON, *BY_PIXEL, *BY_REJECTS]

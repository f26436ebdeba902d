"""What the server adds, and what it leaves out for those who do not want to be tracked."""
# SPDX-License-Identifier: Apache-2.0

import re

from cases import A, B, EVENT, FORMS, NO_TAG, NOBODY, REMOTE, UNKNOWN, Case, added, collected, event, invalid, \
    record, rejection
from server import HEADERS

CUT_REMOTE = "127.0.0.0"
FORWARDED = HEADERS["X-Forwarded-For"]
CUT_FORWARDED = "90.200.187.0, 165.225.197.0"


def plain(name, directives, headers=None, body=EVENT, more=None):
    """One event that is taken; `more` is what the server adds otherwise than without these directives."""
    return Case(name, body, directives=directives, headers=headers or {}, records=(record(added=added(**(more or {}))),))


# --- ClickstreamClientIP ---

# X-Forwarded-For: what is left of it; None: nothing, and so the connection's address counts.
ANONYMIZED = {
    "90.200.187.19": "90.200.187.0",
    FORWARDED: CUT_FORWARDED,
    "1.2.3.4:56789": "1.2.3.0",
    "2001:db8:85a3:8d3:1319:8a2e:370:7348": "2001:db8:85a3::",
    "2001:DB8::1": "2001:db8::",
    "[2001:db8:1:2::3]:443": "2001:db8:1::",
    "[2001:db8:1:2::3]": "2001:db8:1::",
    "fe80::1%eth0": "fe80::",
    "::1": "::",
    "::ffff:90.200.187.19": "90.200.187.0",
    "1.2.3.4,5.6.7.8 ,\t2001:db8::1": "1.2.3.0, 5.6.7.0, 2001:db8::",
    "unknown, 1.2.3.4": "1.2.3.0",
    "_hidden": None,
    "unknown": None,
    ", ,": None,
    "1.2.3": None,
    "1.2.3.256": None,
    "1.2.3.4.5": None,
    "0x7f.1": None,
    "1:2:3": None,
    "": None,
    None: None,
}
BY_IP = [
    plain("ClientIP forwarded", "ClickstreamClientIP forwarded"),
    plain("ClientIP forwarded, without the header", "ClickstreamClientIP forwarded", {"X-Forwarded-For": None},
          more={"client_ip": REMOTE}),
    plain("ClientIP remote", "ClickstreamClientIP remote", more={"client_ip": REMOTE}),
    # As mod_remoteip makes it known: the harness's configuration trusts X-Real-IP.
    plain("ClientIP remote, behind a proxy", "ClickstreamClientIP remote", {"X-Real-IP": "203.0.113.9"},
          more={"client_ip": "203.0.113.9"}),
    plain("ClientIP forwarded, behind a proxy", "", {"X-Real-IP": "203.0.113.9", "X-Forwarded-For": None},
          more={"client_ip": "203.0.113.9"}),
    plain("ClientIP anonymized, behind a proxy", "ClickstreamClientIP anonymized",
          {"X-Real-IP": "2001:db8:1:2::3", "X-Forwarded-For": None}, more={"client_ip": "2001:db8:1::"}),
    *(plain(f"ClientIP anonymized: {sent!r}", "ClickstreamClientIP anonymized", {"X-Forwarded-For": sent},
            more={"client_ip": left or CUT_REMOTE}) for sent, left in ANONYMIZED.items()),
    plain("ClientIP off", "ClickstreamClientIP off", more={"client_ip": None}),
    plain("ClientIP off: not even a forged one", "ClickstreamClientIP off", body=EVENT[:-1] + ',"client_ip":"6.6.6.6"}',
          more={"client_ip": None}),
]

# --- ClickstreamAdd ---

BOTH = "ClickstreamAdd event_id received_at"
FORGED_BOTH = '{"event_id":"x","received_at":null,' + EVENT[1:-1] + ',"event_\\u0069d":"y"}'
STAMPED = {"received_at": "*", "event_id": "*"}
BY_ADD = [
    plain("Add none", "ClickstreamAdd none"),
    plain("Add event_id", "ClickstreamAdd event_id", more={"event_id": "*"}),
    plain("Add received_at", "ClickstreamAdd received_at", more={"received_at": "*"}),
    plain("Add both", BOTH, more=STAMPED),
    plain("Add both on two lines", "ClickstreamAdd received_at\nClickstreamAdd event_id", more=STAMPED),
    plain("Add: cannot be forged", BOTH, body=FORGED_BOTH, more=STAMPED),
    Case("Add: a name that is not asked for is the client's", event('"event_id":"mine","received_at":1'),
         records=(record(event('"event_id":"mine","received_at":1')),)),
    Case("Add: each event of a list", f"[{A},1,{B}]", directives=BOTH,
         answer=collected(2, rejection("not_an_object", 1)),
         records=(record(A, added(**STAMPED)), record(B, added(**STAMPED)))),
]

# --- ClickstreamField ---

COUNTRY = 'SetEnvIf X-Country "^([A-Z][A-Z])$" COUNTRY=$1\nClickstreamField country "%{ENV:COUNTRY}"'
HEADER = 'ClickstreamField custom "%{HTTP:X-Custom}"'
SERVER = """ClickstreamField host "%{HTTP_HOST}"
ClickstreamField page "%{HTTP_REFERER}"
ClickstreamField agent "%{HTTP_USER_AGENT}"
ClickstreamField address "%{REMOTE_ADDR}"
ClickstreamField how "%{REQUEST_SCHEME} %{REQUEST_METHOD} %{SERVER_PROTOCOL}"
ClickstreamField who "%{SERVER_NAME}"
ClickstreamField query "%{QUERY_STRING}\""""
OF_SERVER = {"host": "first.example", "page": "https://first.example/a?b=c", "agent": HEADERS["User-Agent"],
             "address": REMOTE, "how": "http POST HTTP/1.1", "who": "first.example", "query": "a=1&client_id=x"}
FUNCTIONS = "the CGI knows no functions, and says so at start"
# The value of a header, and what it is in JSON; None: there is no member.
VALUES = {"a": "a", "two  words": "two  words", 'a"b\\c': 'a\\"b\\\\c', "a\tb": "a\\u0009b", "": None, None: None,
          "café".encode(): "café", b"caf\xe9": "caf\ufffd", "%{ENV:PATH}": "%{ENV:PATH}", "3": "3"}


BY_FIELD = [
    plain("Field: text", "ClickstreamField stage production", more={"stage": "production"}),
    plain("Field: text in quotes", "ClickstreamField stage 'a \"b\"'", more={"stage": 'a \\"b\\"'}),
    plain("Field: a variable", COUNTRY, {"X-Country": "CH"}, more={"country": "CH"}),
    plain("Field: a variable that is not set", COUNTRY, {"X-Country": "nowhere"}),
    *(plain(f"Field: a header {value!r}", HEADER, {"X-Custom": value}, more={"custom": means} if means else {})
      for value, means in VALUES.items()),
    plain("Field: a header in other letters", 'ClickstreamField custom "%{http:x-cUSTOM}"', {"X-Custom": "a"},
          more={"custom": "a"}),
    plain("Field: text around", 'ClickstreamField f "<%{HTTP:X-A}|%{HTTP:X-B}>"', {"X-A": "1"}, more={"f": "<1|>"}),
    plain("Field: names", "ClickstreamField a-b.c_D 1\nClickstreamField " + "x" * 64 + " 2",
          more={"a-b.c_D": "1", "x" * 64: "2"}),
    Case("Field: the server's variables", directives=SERVER, target="?a=1&client_id=x",
         headers={"Host": "first.example", "Referer": OF_SERVER["page"], **NOBODY},
         records=(record(added=added("x", **OF_SERVER)),)),
    plain("Field: in the order of the lines", "ClickstreamField z 1\nClickstreamField a 2", more={"z": "1", "a": "2"}),
    plain("Field: cannot be forged", COUNTRY, {"X-Country": "CH"}, EVENT[:-1] + ',"country":"US"}',
          more={"country": "CH"}),
    plain("Field: cannot be forged where there is none", COUNTRY, None, EVENT[:-1] + ',"c\\u006funtry":"US"}'),
    plain("Field: a value of the client's may be the field's", "ClickstreamField tag2 2", body=EVENT, more={"tag2": "2"}),
    plain("Field: instead of a member of the client's", "ClickstreamField value server",
          body=EVENT.replace('"value":3', '"value":4'), more={"value": "server"})._replace(
              records=(EVENT.replace(',"value":3}', "," + added(value="server") + "}"),)),
    plain("Field: a function", 'ClickstreamField f "%{tolower:%{HTTP:X-A}}"', {"X-A": "LOUD"},
          more={"f": "loud"})._replace(not_cgi=FUNCTIONS),
    plain("Field: a function of SSI's kind", 'ClickstreamField f "%{md5:a}"',
          more={"f": "0cc175b9c0f1b6a831c399e269772661"})._replace(not_cgi=FUNCTIONS),
]

# --- ClickstreamVisitorCookie ---

COOKIE = "ClickstreamVisitorCookie visitor"
KNOWN = "9b1deb4d-3b7d-1bad-9bdd-2b0d7b3dcb6d"
OTHER = "1ec9414c-232a-6b00-b3c8-9e6bdeced846"
ATTRIBUTES = "; Path=/; Max-Age=34128000; HttpOnly; SameSite=Lax"
NEW = {"Set-Cookie": re.compile(f"visitor={FORMS['visitor_id']}{ATTRIBUTES}")}
SAME = {"Set-Cookie": f"visitor={KNOWN}{ATTRIBUTES}"}
NO_COOKIE = {"Set-Cookie": None}
# Cookie headers with an id that we take, and those with none.
RETURNING = (f"visitor={KNOWN}", f"a=b; visitor={KNOWN}; c=d", f"visitor={KNOWN};c=d", f"a=b;visitor={KNOWN}",
             f"visitor=x; visitor={KNOWN}", f"visitor={KNOWN}; visitor={OTHER}", f";; visitor={KNOWN}",
             f"xvisitor={OTHER}; visitor={KNOWN}", f"a=visitor; visitor={KNOWN}", f"; a ; =b; visitor={KNOWN}")
FOREIGN = (None, "", "visitor", "visitor=", "visitor=x", "a=b", f"Visitor={KNOWN}", f"visitor={KNOWN.upper()}",
           f"visitor={KNOWN}x", f"visitor={KNOWN[:-1]}", f'visitor="{KNOWN}"', f"visitor= {KNOWN}", f"visitor ={KNOWN}",
           f"xvisitor={KNOWN}", f"visitorx={KNOWN}", f"visitor={KNOWN.replace('-', '_')}", f"visitor={{{KNOWN}}}",
           f"visitor={KNOWN[:-1]}g", f"visitor={KNOWN.replace('-', '')}", f"visitor=%39{KNOWN[1:]}",
           f"visitor={KNOWN[:-3]}\xe9a")
ALL = "\n".join([COOKIE, BOTH, "ClickstreamField site touchwood"])


def visit(name, cookie, visitor, answer_headers, directives=COOKIE, **more):
    return plain(name, directives, {"Cookie": cookie}, more={"visitor_id": visitor})._replace(
        answer_headers=answer_headers, **more)


def with_options(options, attributes):
    return visit(f"VisitorCookie {options}", f"visitor={KNOWN}", KNOWN, {"Set-Cookie": f"visitor={KNOWN}; {attributes}"},
                 f"{COOKIE} {options}")


SECURE = {"Host": "secure.example", "Cookie": f"visitor={KNOWN}"}
BY_VISITOR = [
    *(visit(f"VisitorCookie: a visitor returns, {cookie}", cookie, KNOWN, SAME) for cookie in RETURNING),
    *(visit(f"VisitorCookie: a new visitor, {cookie!r}", cookie, "*", NEW) for cookie in FOREIGN),
    with_options("max-age=1h", "Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"),
    with_options("domain=example.com", "Path=/; Max-Age=34128000; Domain=example.com; HttpOnly; SameSite=Lax"),
    with_options("domain=.example.com max-age=400d",
                 "Path=/; Max-Age=34560000; Domain=.example.com; HttpOnly; SameSite=Lax"),
    # The harness's virtual host of this name says that TLS ends before it.
    plain("VisitorCookie: Secure where it came over TLS", COOKIE, SECURE, more={"visitor_id": KNOWN})._replace(
        answer_headers={"Set-Cookie": SAME["Set-Cookie"] + "; Secure"}),
    visit("VisitorCookie: another name", f"_cs.1={KNOWN}", KNOWN, {"Set-Cookie": f"_cs.1={KNOWN}{ATTRIBUTES}"},
          "ClickstreamVisitorCookie _cs.1"),
    visit("VisitorCookie: the last line counts", f"other={KNOWN}; visitor={OTHER}", OTHER,
          {"Set-Cookie": f"visitor={OTHER}; Path=/; Max-Age=1; HttpOnly; SameSite=Lax"},
          f"ClickstreamVisitorCookie other\n{COOKIE} max-age=1s"),
    visit("VisitorCookie: cannot be forged", f"visitor={KNOWN}", KNOWN, SAME,
          body=EVENT[:-1] + f',"visitor_id":"{OTHER}"}}'),
    Case("VisitorCookie: the member is the client's where there is no such line", event('"visitor_id":"mine"'),
         headers={"Cookie": f"visitor={KNOWN}"}, records=(record(event('"visitor_id":"mine"')),),
         answer_headers=NO_COOKIE),
    Case("VisitorCookie: all of a list are one visitor's", f"[{A},{NO_TAG},{B}]", directives=COOKIE,
         headers={"Cookie": f"visitor={KNOWN}"}, answer_headers=SAME,
         answer=collected(2, rejection("missing_field", 1, field="tag")),
         records=tuple(record(text, added(visitor_id=KNOWN)) for text in (A, B))),
    Case("VisitorCookie: none with a 400", "{}", 400, invalid(rejection("missing_field", field="token")),
         directives=COOKIE, answer_headers=NO_COOKIE),
    Case("VisitorCookie: none with a 403", status=403, answer=UNKNOWN, headers=NOBODY, directives=COOKIE,
         answer_headers=NO_COOKIE),
    Case("VisitorCookie: none with a 204", "", 204, "", method="OPTIONS", directives=COOKIE, answer_headers=NO_COOKIE),
    visit("all that can be added, in its order", f"visitor={KNOWN}", KNOWN, SAME, ALL)._replace(
        records=(record(added=added(site="touchwood", visitor_id=KNOWN, received_at="*", event_id="*")),)),
]

# --- ClickstreamOptOut ---

GPC, DNT = {"Sec-GPC": "1"}, {"DNT": "1"}
ANONYMIZE, DROP = "ClickstreamOptOut anonymize", "ClickstreamOptOut drop"
NOT_OUT = ({}, {"Sec-GPC": "0"}, {"DNT": "0"}, {"DNT": "null"}, {"Sec-GPC": "true"}, {"Sec-GPC": "?1"}, {"DNT": "11"},
           {"DNT": "0, 0"}, {"DNT": "10, 0"}, {"Sec-GPC": "", "DNT": ""})
OUT = (GPC, DNT, {**GPC, "DNT": "0"}, {"Sec-GPC": "0", **DNT}, {"sec-gpc": "1"}, {"Sec-GPC": "1, 1"}, {"DNT": "0,1"})
WITH_COOKIE = {"Cookie": f"visitor={KNOWN}"}


def anonymous(name, headers, directives, client_ip=CUT_FORWARDED, body=EVENT):
    return plain(f"OptOut anonymize: {name}", f"{ANONYMIZE}\n{directives}", headers, body,
                 {"client_ip": client_ip})._replace(answer_headers=NO_COOKIE)


BY_OPT_OUT = [
    *(plain(f"OptOut anonymize: not for {headers}", ANONYMIZE, headers) for headers in NOT_OUT),
    *(plain(f"OptOut drop: not for {headers}", DROP, headers) for headers in NOT_OUT),
    *(plain(f"OptOut {directives or 'by default'}: ignored", directives, GPC)
      for directives in ("", "ClickstreamOptOut ignore")),
    *(anonymous(f"{headers}", headers, "") for headers in OUT),
    anonymous("the connection's address", {**GPC, "X-Forwarded-For": None}, "", CUT_REMOTE),
    anonymous("ClientIP remote", GPC, "ClickstreamClientIP remote", CUT_REMOTE),
    anonymous("ClientIP anonymized", GPC, "ClickstreamClientIP anonymized"),
    anonymous("ClientIP off", GPC, "ClickstreamClientIP off", None),
    anonymous("a new visitor stays unknown", GPC, COOKIE),
    anonymous("a visitor who returns is not known", {**GPC, **WITH_COOKIE}, COOKIE),
    anonymous("a visitor's id cannot be forged", GPC, COOKIE, body=EVENT[:-1] + f',"visitor_id":"{KNOWN}"}}'),
    visit("OptOut anonymize: a visitor who lets us", f"visitor={KNOWN}", KNOWN, SAME, f"{ANONYMIZE}\n{COOKIE}"),
    visit("OptOut ignore: a visitor all the same", f"visitor={KNOWN}", KNOWN, SAME)._replace(
        headers={**GPC, **WITH_COOKIE}),
    *(Case(f"OptOut drop: {headers}", headers=headers, directives=f"{DROP}\n{COOKIE}", answer_headers=NO_COOKIE)
      for headers in OUT),
    Case("OptOut drop: a list", f"[{A},{B}]", headers=GPC, directives=DROP, answer=collected(2)),
    Case("OptOut drop: a list with one that is refused", f"[{A},1]", headers=GPC, directives=DROP,
         answer=collected(1, rejection("not_an_object", 1))),
    Case("OptOut drop: what is refused is refused", "{}", 400, invalid(rejection("missing_field", field="token")),
         headers=GPC, directives=DROP),
    Case("OptOut drop: an unknown client", status=403, answer=UNKNOWN, headers={**GPC, **NOBODY}, directives=DROP),
    Case("OptOut drop: a visitor who lets us", f"[{A},{B}]", headers=WITH_COOKIE, directives=f"{DROP}\n{COOKIE}",
         answer=collected(2), records=tuple(record(text, added(visitor_id=KNOWN)) for text in (A, B)),
         answer_headers=SAME),
]

CASES = [*BY_IP, *BY_ADD, *BY_FIELD, *BY_VISITOR, *BY_OPT_OUT]

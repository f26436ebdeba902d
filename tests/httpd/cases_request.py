"""The contract's requests: who sends, how, and from which page."""
# SPDX-License-Identifier: Apache-2.0

from cases import A, AB, ALLOW, B, CHALLENGE, EVENT, NO_AUTH, NO_CORS, NO_METHOD, NO_TOKEN, NO_TYPE, NOBODY, REMOTE, \
    SHORT, TOO_LONG, UNKNOWN, Case, added, collected, invalid, padded, record, rejection
from server import HEADERS

OUTGROWN = '{"response_code":"413","message":"Too much is added to so many events: send fewer at once"}'

# --- who sends ---

BEARERS = {"simple": "Bearer abc", "lower case": "bearer abc", "upper case": "BEARER abc",
           "several blanks": "Bearer   abc", "all characters": "Bearer aZ09-._~+/==", "trailing blank": "Bearer abc "}
NO_BEARERS = {"missing": None, "empty": "", "scheme only": "Bearer", "other scheme": "Basic dXNlcjpwYXNz",
              "token only": "abc", "no blank": "Bearerabc", "two tokens": "Bearer abc def",
              "a list": "Bearer abc, Bearer def", "padding within": "Bearer a=b",
              "padding only": "Bearer ==", "a quoted token": 'Bearer "abc"',
              "not ASCII": "Bearer caf\xe9"}
FORWARDED = HEADERS["X-Forwarded-For"]
LIST = "ClickstreamClient touchwood-app\nClickstreamClient other"

# By query: what is written there, and what it means as JSON; None: no client.
QUERIES = {
    "?client_id=app": "app",
    "?a=1&client_id=app&b=2": "app",
    "?client_id=a%20b+c%2Bd": "a b c+d",
    "?client_id=caf%C3%A9": "café",
    "?client_id=a%22b%5Cc": 'a\\"b\\\\c',
    "?client_id=a%0Ab": "a\\u000ab",
    "?client_id=a%FFb": "a\ufffdb",
    "?client_id=a&client_id=b": "a",
    "?client_id=a=b": "a=b",
    "?client_id=": None,
    "?client_id": None,
    "?CLIENT_ID=app": None,
    "?xclient_id=app": None,
    "?client_id=%zz": None,
    "?client_id=%00a": None,
    "?": None,
}


def by_query(target, means):
    if means is None:
        return Case(f"client {target}", status=403, answer=UNKNOWN, headers=NOBODY, target=target)
    return Case(f"client {target}", headers=NOBODY, target=target, records=(record(added=added(means)),))


def by_headers(name, headers, means, target=""):
    if means is None:
        return Case(f"client: {name}", status=403, answer=UNKNOWN, headers=headers, target=target)
    return Case(f"client: {name}", headers=headers, target=target, records=(record(added=added(means)),))


WHO = [
    *(Case(f"bearer: {name}", headers={"Authorization": value}, records=(record(),))
      for name, value in BEARERS.items()),
    *(Case(f"no bearer: {name}", status=401, answer=NO_TOKEN, headers={"Authorization": value},
           answer_headers=CHALLENGE) for name, value in NO_BEARERS.items()),
    Case("no bearer comes before no client", status=401, answer=NO_TOKEN, headers={"Authorization": None, **NOBODY}),
    Case("Auth none", headers={"Authorization": None}, records=(record(),), directives=NO_AUTH,
         answer_headers={"WWW-Authenticate": None}),
    Case("Auth none: any scheme", headers={"Authorization": "Basic x"}, records=(record(),), directives=NO_AUTH),
    Case("Auth none still asks for a client", status=403, answer=UNKNOWN, headers={"Authorization": None, **NOBODY},
         directives=NO_AUTH),
    by_headers("client-id", {**NOBODY, "client-id": "app"}, "app"),
    by_headers("capital letters", {**NOBODY, "Client-ID": "app"}, "app"),
    by_headers("client_id goes before client-id", {"client_id": "a", "client-id": "b"}, "a"),
    by_headers("a header goes before the query", {"client_id": "a"}, "a", "?client_id=b"),
    by_headers("none", NOBODY, None),
    by_headers("empty", {"client_id": ""}, None),
    by_headers("empty, and client-id", {"client_id": "", "client-id": "b"}, "b"),
    by_headers("empty, and by query", {"client_id": "", "client-id": ""}, "c", "?client_id=c"),
    by_headers("as long as one may be", {"client_id": "x" * 256}, "x" * 256),
    by_headers("longer", {"client_id": "x" * 257}, None),
    by_headers("quotes", {"client_id": 'a"b\\c'}, 'a\\"b\\\\c'),
    *(by_query(target, means) for target, means in QUERIES.items()),
    Case("Client: first on the list", records=(record(),), directives=LIST),
    Case("Client: second on the list, by query", headers=NOBODY, target="?client_id=other", directives=LIST,
         records=(record(added=added("other")),)),
    *(Case(f"Client: {name!r} is not on the list", status=403, answer=UNKNOWN, headers={"client_id": name},
           directives=LIST) for name in (None, "touchwood", "touchwood-apps", "Touchwood-app", "nobody")),
]

# --- what the server adds ---

ADDITIONS = [
    Case("no X-Forwarded-For", headers={"X-Forwarded-For": None}, records=(record(added=added(client_ip=REMOTE)),)),
    Case("X-Forwarded-For as received", headers={"X-Forwarded-For": 'unknown,  "a\\" , ::1'},
         records=(record(added=added(client_ip='unknown,  \\"a\\\\\\" , ::1')),)),
    Case("no user agent", headers={"User-Agent": None}, records=(record(added=added(user_agent=None)),)),
    Case("user agent with quotes", headers={"User-Agent": 'a "b" c\\d'},
         records=(record(added=added(user_agent='a \\"b\\" c\\\\d')),)),
    Case("user agent with a tab", headers={"User-Agent": "a\tb"},
         records=(record(added=added(user_agent="a\\u0009b")),)),
    Case("user agent in UTF-8", headers={"User-Agent": "café 漢".encode()},
         records=(record(added=added(user_agent="café 漢")),)),
    Case("user agent that is not UTF-8", headers={"User-Agent": b"caf\xe9 \xff\xc0\xaf \xe2\x82"},
         records=(record(added=added(user_agent="caf\ufffd \ufffd\ufffd\ufffd \ufffd\ufffd")),)),
    Case("user agent of 2 KiB", headers={"User-Agent": "x" * 2048},
         records=(record(added=added(user_agent="x" * 2048)),)),
    Case("a longer user agent is cut", headers={"User-Agent": ("x" * 2047 + "é" * 1000).encode()},
         records=(record(added=added(user_agent="x" * 2047)),)),
    # What a client has made up stands before what proxies add.
    *(Case(f"of too many addresses the last are kept: {name}", headers={"X-Forwarded-For": forged + FORWARDED},
           records=(record(added=added(client_ip=left + FORWARDED)),))
      for name, forged, left in (("many", "6.6.6.6, " * 600, "6.6.6.6, " * ((2048 - len(FORWARDED)) // 9)),
                                 ("a long one", "6" * 4000 + ", ", ""),
                                 ("just enough", "6" * (2046 - len(FORWARDED)) + ", ", "6" * (2046 - len(FORWARDED)) + ", "),
                                 ("one byte too many", "6" * (2047 - len(FORWARDED)) + ", ", ""),
                                 ("whole ones alone", "1," + "6" * (2046 - len(FORWARDED)) + ", ",
                                  "6" * (2046 - len(FORWARDED)) + ", "))),
    Case("of too many addresses the last are kept: without their ends", directives="ClickstreamClientIP anonymized",
         headers={"X-Forwarded-For": "6.6.6.6," * 240 + FORWARDED},
         records=(record(added=added(client_ip="6.6.6.0, " * 224 + "90.200.187.0, 165.225.197.0")),)),
    Case("of one address that is too long, and a comma, nothing", headers={"X-Forwarded-For": "1" * 3000 + ","},
         records=(record(added=added(client_ip=REMOTE)),)),
    Case("of one address that is too long the end", headers={"X-Forwarded-For": "a" + "1" * 2048},
         records=(record(added=added(client_ip="1" * 2048)),)),
    Case("a small request that would make many large records", f"[{','.join([A] * 100)}]", 413, OUTGROWN,
         headers={"User-Agent": "x" * 2048}, directives="ClickstreamMaxBody 16K"),
    Case("one that is just not too large", f"[{','.join([A] * 50)}]", answer=collected(50),
         headers={"User-Agent": "x" * 2048}, directives="ClickstreamMaxBody 16K",
         records=(record(A, added(user_agent="x" * 2048)),) * 50),
    Case("neither address nor agent", headers={"X-Forwarded-For": None, "User-Agent": None},
         records=(record(added=added(client_ip=REMOTE, user_agent=None)),)),
]

# --- media types and methods ---

TYPES = (None, "application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8",
         "APPLICATION/JSON", "application/json ; charset=utf-8", "text/plain", "Text/Plain;charset=utf-8")
NO_TYPES = ("application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html",
            "json", "application/jsonp", "application/json-seq", "application", "*/*", "application/json, text/plain")

HEAD = [
    *(Case(f"media type {kind}", headers={"Content-Type": kind}, records=(record(),)) for kind in TYPES),
    Case("media type of lines, upper case", f"{A}\n{B}", answer=collected(2), records=AB,
         headers={"Content-Type": "Application/X-NDJSON; charset=utf-8"}),
    *(Case(f"media type {kind}", status=415, answer=NO_TYPE, headers={"Content-Type": kind}) for kind in NO_TYPES),
    Case("no client comes before the media type", status=403, answer=UNKNOWN,
         headers={**NOBODY, "Content-Type": "a/b"}),
    *(Case(f"method {method}", EVENT if method in ("PUT", "PATCH", "BREW") else "", 405,
           "" if method == "HEAD" else NO_METHOD, method=method, answer_headers=ALLOW)
      for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "BREW", "post")),
    Case("GET with an event in the query", "", 405, NO_METHOD, method="GET", target="?token=a&client_id=b&tag=c"),
    Case("the method comes before the bearer", "", 405, NO_METHOD, method="GET", headers={"Authorization": None}),
]

# --- CORS ---

ORIGINS = ("ClickstreamAllowOrigin https://app.example.com https://*.example.org\n"
           "ClickstreamAllowOrigin http://localhost:8080")
ANYBODY = "ClickstreamAllowOrigin *"
BOTH = "ClickstreamAllowOrigin * https://app.example.com"
VARY = {"Vary": "Origin"}
PREFLIGHT = {"Access-Control-Allow-Methods": "POST, OPTIONS", "Access-Control-Max-Age": "86400",
             "Access-Control-Allow-Headers":
                 "Content-Type, Content-Encoding, Cache-Control, Authorization, client_id, client-id"}
# A browser sends a preflight with none of the app's own headers.
ASKS = {**{name: None for name in HEADERS}, "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,client_id,content-type"}
ALLOWED = ("https://app.example.com", "https://a.example.org", "https://a.b.example.org", "http://localhost:8080")
FOREIGN = ("https://example.com", "https://evil.com", "http://app.example.com", "https://app.example.com:8443",
           "https://app.example.com.evil.com", "https://evilexample.org", "https://example.org", "https://.example.org",
           "https://a.example.org:8443", "http://a.example.org", "https://evil.com/.example.org",
           "https://evil.com?.example.org", "https://user@a.example.org", "http://localhost", "null", "*", "")


def welcome(origin, credentials=True):
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true" if credentials else None}


def preflight(name, origin, directives, answer_headers):
    return Case(f"preflight: {name}", "", 204, "", method="OPTIONS", headers={**ASKS, "Origin": origin},
                directives=directives, answer_headers={**ALLOW, "Content-Type": None, **answer_headers})


def from_page(name, origin, directives, answer_headers, **more):
    return Case(f"CORS: {name}", headers={"Origin": origin, **more.pop("headers", {})}, directives=directives,
                answer_headers=answer_headers, **more)


READABLE = {**VARY, **welcome(ALLOWED[0]), "Access-Control-Expose-Headers": None,
           "Access-Control-Allow-Methods": None, "Access-Control-Max-Age": None}
CORS = [
    *(preflight(origin, origin, ORIGINS, {**VARY, **welcome(origin), **PREFLIGHT}) for origin in ALLOWED),
    *(preflight(f"foreign {origin}", origin, ORIGINS, {**VARY, **NO_CORS}) for origin in FOREIGN),
    preflight("no Origin", None, ORIGINS, {**VARY, **NO_CORS}),
    preflight("anybody", "https://evil.com", ANYBODY, {**VARY, **welcome("*", credentials=False), **PREFLIGHT}),
    preflight("anybody, and one by name", ALLOWED[0], BOTH, {**VARY, **welcome(ALLOWED[0]), **PREFLIGHT}),
    preflight("anybody, and another by name", "https://evil.com", BOTH, welcome("*", credentials=False)),
    preflight("without a list", ALLOWED[0], "", {"Vary": None, **NO_CORS}),
    from_page("collected", ALLOWED[0], ORIGINS, READABLE, records=(record(),)),
    from_page("collected for anybody", "https://evil.com", ANYBODY, welcome("*", credentials=False),
              records=(record(),)),
    # The page of a foreign origin may not read the answer; what came is collected, as from an app.
    from_page("foreign", "https://evil.com", ORIGINS, {**VARY, **NO_CORS}, records=(record(),)),
    from_page("no Origin", None, ORIGINS, {**VARY, **NO_CORS}, records=(record(),)),
    from_page("without a list", ALLOWED[0], "", {"Vary": None, **NO_CORS}, records=(record(),)),
    from_page("on 400", ALLOWED[0], ORIGINS, READABLE, body="{}", status=400,
              answer=invalid(rejection("missing_field", field="token"))),
    from_page("on 401", ALLOWED[0], ORIGINS, {**READABLE, **CHALLENGE}, headers={"Authorization": None}, status=401,
              answer=NO_TOKEN),
    from_page("on 403", ALLOWED[0], ORIGINS, READABLE, headers=NOBODY, status=403, answer=UNKNOWN),
    from_page("on 405", ALLOWED[0], ORIGINS, {**READABLE, **ALLOW}, method="GET", body="", status=405, answer=NO_METHOD),
    from_page("on 413", ALLOWED[0], ORIGINS + "\n" + SHORT, READABLE, body=padded(201), status=413, answer=TOO_LONG),
    from_page("on 415", ALLOWED[0], ORIGINS, READABLE, headers={"Content-Type": "a/b"}, status=415, answer=NO_TYPE),
]

CASES = [*WHO, *ADDITIONS, *HEAD, *CORS]

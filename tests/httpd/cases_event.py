"""The contract's events: what one is, lists of them, and the limits."""
# SPDX-License-Identifier: Apache-2.0

import json

from cases import A, AB, B, EVENT, ID, NDJSON, NO_TAG, SHORT, TOO_LONG, Case, added, collected, event, invalid, \
    malformed, padded, record, refusal, rejection

# --- one event ---

TAKEN_AS_SENT = {
    "only what is required": "",
    "integer of 64 bits": '"value":9223372036854775807',
    "integer beyond 64 bits": '"value":12345678901234567890123',
    "negative integer beyond 64 bits": '"value":-12345678901234567890123',
    "trailing zero": '"value":1.10',
    "exponent": '"value":1e2',
    "exponent with signs": '"value":[1E+2,1e-2,0.5E05]',
    "beyond a double": '"value":1E400',
    "more digits than a double": '"value":0.1234567890123456789012345678901234567890',
    "negative zero": '"value":[-0,-0.0,0]',
    "key order": '"z":1,"a":2,"m":3,"B":4',
    "words": '"value":[true,false,null]',
    "empty things": '"a":{},"b":[],"c":"","":0',
    "nested": '"value":{"a":[{"b":[1,{"c":null}]}]}',
    "nested name of the server": '"value":{"client_id":"mine","client_ip":"mine"}',
    "name like the server's": '"client_idx":1,"Client_Id":2,"client-id":3',
    "duplicate keys further in": '"value":{"a":1,"a":2}',
    "escapes": r'"value":"\u00e9\u00E9 \n\r\t\b\f \/\\\" \ud83d\ude00 \u0041"',
    "escape of NUL in a value": r'"value":"a\u0000b"',
    "half of a surrogate pair": r'"value":"\ud800"',
    "escape in a name": r'"n\u0061me\n":1',
    "name that ends in a backslash": r'"n\\":1,"n\\u0000":2',
    "characters beyond ASCII": '"value":"é漢字😀","ключ":1',
    "line and paragraph separators": '"value":"a\u2028b\u2029c\u0085d"',
    "DEL": '"value":"a\x7fb"',
    "white space in a string": '"value":"  a  :  b , { }  "',
    "geo": '"latitude":51.501364,"longitude":-0.14189',
}

WHITE_SPACE = "{ " + ID.replace(",", " , ").replace('":', '" : ') + ' ,\r\n\t"value" : [ 1 ,{ } , { "a" :\t-1.0 } ]\n}'
SHUFFLED = '{"tag":"t","value":1,"timestamp":"2022-02-22T18:37:28Z","token":"a"}'
FORGED = ('{"client_id":"forged","token":"a","client\\u005fid":"forged","client_ip":"6.6.6.6","timestamp":'
          '"2022-02-22T18:37:28Z","user_agent":{"a":1},"tag":"t","\\u0063lient_ip":6}')
HONEST = '{"token":"a","timestamp":"2022-02-22T18:37:28Z","tag":"t"}'

ONE = [
    *(Case(f"as sent: {name}", event(more), records=(record(event(more)),)) for name, more in TAKEN_AS_SENT.items()),
    Case("required members in another order", SHUFFLED, records=(record(SHUFFLED),)),
    Case("white space is left out", WHITE_SPACE, records=(record(event('"value":[1,{},{"a":-1.0}]')),)),
    Case("white space around", f" \r\n\t{EVENT}\t\r\n ", records=(record(),)),
    Case("chunked", [EVENT[:7], EVENT[7:8], EVENT[8:]], records=(record(),)),
    Case("what the server adds cannot be forged", FORGED, records=(record(HONEST),)),
    Case("forged user agent where there is none", FORGED, headers={"User-Agent": None},
         records=(record(HONEST, added(user_agent=None)),)),
    Case("duplicate: first place, last value", '{"tag":1,"token":"a","timestamp":"2022-02-22T18:37:28Z","tag":"b"}',
         records=(record('{"tag":"b","token":"a","timestamp":"2022-02-22T18:37:28Z"}'),)),
    Case("duplicate in another spelling",
         '{"x":1,"token":"a","tag":"t","\\u0078":2,"timestamp":"2022-02-22T18:37:28Z"}',
         records=(record('{"\\u0078":2,"token":"a","tag":"t","timestamp":"2022-02-22T18:37:28Z"}'),)),
    Case("duplicate whose last value is wrong", '{"tag":"b","token":"a","timestamp":"2022-02-22T18:37:28Z","tag":1}',
         status=400, answer=invalid(rejection("wrong_type", field="tag"))),
]

# --- required members ---

GOOD_TIMESTAMPS = (
    "2022-02-22T18:37:28Z", "2022-02-22T18:37:28.1Z", "2022-02-22T18:37:28.123456789Z", "2022-02-22t18:37:28z",
    "2022-02-22T18:37:28+05:30", "2022-02-22T18:37:28.205-00:00", "2016-12-31T23:59:60Z", "2020-02-29T00:00:00Z",
    "2000-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59+23:59",
)
BAD_TIMESTAMPS = (
    "", "now", "2022-02-22", "2022-02-22T18:37Z", "2022-02-22T18:37:28", "2022-02-22 18:37:28Z",
    "2022-02-22T18:37:28.Z", "2022-02-22T18:37:28,5Z", "2022-02-30T18:37:28Z", "2021-02-29T18:37:28Z",
    "1900-02-29T18:37:28Z", "2022-04-31T18:37:28Z", "2022-00-22T18:37:28Z", "2022-13-22T18:37:28Z",
    "2022-02-00T18:37:28Z", "2022-02-22T24:00:00Z", "2022-02-22T18:60:28Z", "2022-02-22T18:37:61Z",
    "2022-02-22T18:37:28+24:00", "2022-02-22T18:37:28+05:60", "2022-02-22T18:37:28+0530", "2022-02-22T18:37:28+05",
    "2022-02-22T18:37:28Z ", " 2022-02-22T18:37:28Z", "2022-02-22T18:37:28ZZ", "2022-2-2T18:37:28.00Z",
    "+022-02-22T18:37:28Z", "20220222T183728Z----", "2022-02-22T18:37:28Z\\u0000", "２０２２-02-22T18:37:28Z",
    "Tue, 22 Feb 2022 18:37:28 GMT",
)
WRONG_TYPES = ("1", "true", "null", "[]", "{}", '["a"]')


def with_timestamp(text):
    return f'{{"token":"a","timestamp":"{text}","tag":"t"}}'


def without(field):
    members = {"token": "a", "timestamp": "2022-02-22T18:37:28Z", "tag": "t", "value": 1}
    return json.dumps({name: value for name, value in members.items() if name != field})


def with_value(field, value):
    return ID.replace(f'"{field}":', f'"{field}":{value},"was":').join("{}")


REQUIRED = [
    *(Case(f"timestamp {text}", with_timestamp(text), records=(record(with_timestamp(text)),))
      for text in GOOD_TIMESTAMPS),
    *(Case(f"bad timestamp {text!r}", with_timestamp(text), 400, invalid(rejection("bad_timestamp", field="timestamp")))
      for text in BAD_TIMESTAMPS),
    *(Case(f"without {field}", without(field), 400, invalid(rejection("missing_field", field=field)))
      for field in ("token", "timestamp", "tag")),
    *(Case(f"{field} is {value}", with_value(field, value), 400, invalid(rejection("wrong_type", field=field)))
      for field in ("token", "timestamp", "tag") for value in WRONG_TYPES),
    Case("empty object", "{}", 400, invalid(rejection("missing_field", field="token"))),
    Case("empty strings", '{"token":"","timestamp":"2022-02-22T18:37:28Z","tag":""}',
         records=(record('{"token":"","timestamp":"2022-02-22T18:37:28Z","tag":""}'),)),
    *(Case(f"no object: {text}", text, 400, invalid(rejection("not_an_object")))
      for text in ("1", "-1.5e3", '"token"', "true", "null", " null ")),
]

REQUIRE = "ClickstreamRequire id page"
REQUIRE_CASES = [
    Case("Require: other members", '{"page":null,"id":1}', records=(record('{"page":null,"id":1}'),),
         directives=REQUIRE),
    Case("Require: names the first that is missing", '{"page":1}', 400,
         invalid(rejection("missing_field", field="id")), directives=REQUIRE),
    Case("Require: a known member keeps its type", '{"page":1,"id":1,"tag":1}', 400,
         invalid(rejection("wrong_type", field="tag")), directives=REQUIRE),
    Case("Require: quotes in a name are escaped", "{}", 400, invalid(rejection("missing_field", field='a"b')),
         directives="ClickstreamRequire 'a\"b'"),
]

# --- no JSON: each with the position of the byte that is at fault ---

MALFORMED = {
    "empty body": ("", 0),
    "white space only": (" \r\n\t ", 5),
    "cut in an object": ('{"a":1', 6),
    "cut in a string": ('{"a":"b', 7),
    "cut in an escape": ('{"a":"b\\', 8),
    "cut in a word": ('{"a":tru', 8),
    "cut behind a comma": ('{"a":1,', 7),
    "cut in an array": ('[{"a":1},', 9),
    "trailing comma in an object": ('{"a":1,}', 7),
    "trailing comma in an array": ('{"a":[1,]}', 8),
    "trailing comma in the outer array": (f"[{EVENT},]", len(EVENT) + 2),
    "two commas": ('{"a":1,,"b":2}', 7),
    "comma first": ('{,"a":1}', 1),
    "comma for a colon": ('{"a","b"}', 4),
    "no colon": ('{"a" 1}', 5),
    "no value": ('{"a":}', 5),
    "no name": ("{:1}", 1),
    "number for a name": ("{1:1}", 1),
    "name without quotes": ("{a:1}", 1),
    "name in single quotes": ("{'a':1}", 1),
    "string in single quotes": ("{\"a\":'b'}", 5),
    "wrong bracket": ('{"a":[1}', 7),
    "closing bracket only": ("]", 0),
    "closing brace only": ("}", 0),
    "comment before": ("/* x */{}", 0),
    "comment within": ('{"a":1/* x */}', 6),
    "comment to the end of the line": ('{"a":1 // x\n}', 7),
    "NaN": ('{"a":NaN}', 5),
    "Infinity": ('{"a":Infinity}', 5),
    "negative Infinity": ('{"a":-Infinity}', 6),
    "word in capitals": ('{"a":TRUE}', 5),
    "undefined": ('{"a":undefined}', 5),
    "minus only": ('{"a":-}', 6),
    "plus sign": ('{"a":+1}', 5),
    "point last": ('{"a":1.}', 7),
    "point last before an exponent": ('{"a":1.e2}', 7),
    "point first": ('{"a":.5}', 5),
    "leading zero": ('{"a":01}', 6),
    "negative leading zero": ('{"a":-01}', 7),
    "exponent without digits": ('{"a":1e}', 7),
    "exponent with a sign only": ('{"a":1e+}', 8),
    "hexadecimal": ('{"a":0x1F}', 6),
    "two points": ('{"a":1.2.3}', 8),
    "unknown escape": ('{"a":"\\a"}', 7),
    "short unicode escape": ('{"a":"\\u12"}', 10),
    "unicode escape that is not hexadecimal": ('{"a":"\\u12G4"}', 10),
    "raw tab in a string": ('{"a":"b\tc"}', 7),
    "raw newline in a string": ('{"a":"b\nc"}', 7),
    "raw control character in a string": ('{"a":"b\x01c"}', 7),
    "raw control character in a name": ('{"b\x1fc":1}', 3),
    "form feed as white space": ('\f{"a":1}', 0),
    "vertical tab as white space": ('{"a":\v1}', 5),
    "no-break space as white space": ('{"a":\u00a01}', 5),
    "byte order mark": (b"\xef\xbb\xbf" + EVENT.encode(), 0),
    "UTF-8: a lone byte": (b'{"a":"b\xff"}', 7),
    "UTF-8: a lone continuation": (b'{"a":"b\x80"}', 7),
    "UTF-8: Latin-1": (b'{"a":"caf\xe9"}', 9),
    "UTF-8: overlong slash": (b'{"a":"b\xc0\xaf"}', 7),
    "UTF-8: overlong of three": (b'{"a":"b\xe0\x80\xaf"}', 7),
    "UTF-8: a surrogate": (b'{"a":"b\xed\xa0\x80"}', 7),
    "UTF-8: beyond the last code point": (b'{"a":"b\xf4\x90\x80\x80"}', 7),
    "UTF-8: cut": (b'{"a":"b\xe2\x82"}', 7),
    "UTF-8: bad in a name": (b'{"b\xff":1}', 3),
    "UTF-8: bad outside of strings": (b'{"a":\xff}', 5),
    "UTF-16": ('{"a":1}'.encode("utf-16-le"), 1),
    "NUL within": (b'{"a":\x001}', 5),
    "NUL in a string": (b'{"a":"b\x00c"}', 7),
    "NUL behind": (EVENT.encode() + b"\x00", len(EVENT)),
    "NUL before": (b"\x00" + EVENT.encode(), 0),
    "NUL only": (b"\x00", 0),
    "escaped NUL in a name": (event('"client_id\\u0000x":1'), len(event())),
    "text after the value": (EVENT + " x", len(EVENT) + 1),
    "second object on the line": (EVENT + EVENT, len(EVENT)),
    "second object behind a comma": (EVENT + "," + EVENT, len(EVENT)),
    "text after an array": (f"[{EVENT}]x", len(EVENT) + 2),
    "lines behind an array": (f"[{EVENT}]\n{EVENT}", len(EVENT) + 3),
    "bracket too many": (EVENT + "}", len(EVENT)),
    "HTML": ("<html>", 0),
    "form": ("client_id=a&token=b", 0),
    "first line is no JSON": (f"{{oops\n{EVENT}", 1),
}
MALFORMED_CASES = [Case(f"malformed: {name}", body, 400, invalid(malformed(position)))
                   for name, (body, position) in MALFORMED.items()]

# --- lists ---

LISTS = [
    Case("array of one", f"[{A}]", answer=collected(1), records=AB[:1]),
    Case("array of two", f" [\n{A} ,\r\n{B}] ", answer=collected(2), records=AB),
    Case("empty array", "[]", 400, invalid()),
    Case("empty array with white space", " [ \n ] ", 400, invalid()),
    Case("array with one that is refused", f"[{A},{NO_TAG},{B}]", records=AB,
         answer=collected(2, rejection("missing_field", 1, field="tag"))),
    Case("array of things that are no objects", f'[1,"a",null,[{A}],{A}]', records=AB[:1],
         answer=collected(1, *(rejection("not_an_object", index) for index in range(4)))),
    Case("array with nothing to take", f"[{NO_TAG},[]]", 400,
         invalid(rejection("missing_field", 0, field="tag"), rejection("not_an_object", 1))),
    Case("array that is malformed behind a good event", f"[{A},{{]", 400, invalid(malformed(len(A) + 3))),
    Case("array with an escaped NUL in a name", f'[{A},{event(chr(34) + chr(92) + "u0000" + chr(34) + ":1")}]',
         answer=collected(1, malformed(len(A) + 2 + len(event()), 1)), records=AB[:1]),
    Case("lines by media type", f"{A}\n{B}\n", headers=NDJSON, answer=collected(2), records=AB),
    Case("one line by media type", A, headers=NDJSON, answer=collected(1), records=AB[:1]),
    Case("lines by text", f"{A}\n{B}", answer=collected(2), records=AB),
    Case("lines of a beacon", f"{A}\n{B}", headers={"Content-Type": "text/plain;charset=UTF-8"},
         answer=collected(2), records=AB),
    Case("blank lines and CRLF", f"\r\n\n{A}\r\n \t\r\n\n{B}\r\n\n", answer=collected(2), records=AB),
    Case("no line by media type", "\n \n", 400, invalid(), headers=NDJSON),
    Case("empty body by media type", "", 400, invalid(), headers=NDJSON),
    Case("lines with a malformed one", f"{A}\n{{oops}}\n\n{B}\n", headers=NDJSON, records=AB,
         answer=collected(2, malformed(len(A) + 2, 1))),
    Case("lines by text with a malformed one", f"{A}\n{B}x\n{NO_TAG}", records=AB[:1],
         answer=collected(1, malformed(len(A) + 1 + len(B), 1), rejection("missing_field", 2, field="tag"))),
    Case("first line malformed by media type", f"{{oops\n{A}", headers=NDJSON, records=AB[:1],
         answer=collected(1, malformed(1, 0))),
    Case("lines that are no objects", f"[{A}]\n1\n{A}", headers=NDJSON, records=AB[:1],
         answer=collected(1, rejection("not_an_object", 0), rejection("not_an_object", 1))),
    Case("lines with nothing to take", "{}\nx", 400,
         invalid(rejection("missing_field", 0, field="token"), malformed(3, 1)), headers=NDJSON),
    Case("an object over several lines is one", EVENT.replace(",", ",\n") + "\n", records=(record(),)),
    Case("lines in chunks", [A[:9], A[9:] + "\n" + B[:1], B[1:]], answer=collected(2), records=AB),
]

# --- limits ---

SMALL_EVENT = "ClickstreamMaxEvent 120"
FEW = "ClickstreamMaxEvents 3"
FLAT = "ClickstreamMaxDepth 2"
TOO_MANY = refusal(413, "Too many events: at most 3 in a request")


def nested(depth):
    """An event of that depth; the event itself is the first level."""
    return event('"value":' + "[" * (depth - 1) + "]" * (depth - 1))


LIMITS = [
    Case("as deep as may be", nested(16), records=(record(nested(16)),)),
    Case("too deep", nested(17), 400, invalid(rejection("too_deep"))),
    Case("far too deep", nested(5000), 400, invalid(rejection("too_deep"))),
    Case("too deep in objects", event('"value":' + '{"a":' * 16 + "1" + "}" * 16), 400, invalid(rejection("too_deep"))),
    Case("an array around does not count", f"[{nested(16)},{nested(17)}]", records=(record(nested(16)),),
         answer=collected(1, rejection("too_deep", 1))),
    Case("MaxDepth: as deep as may be", nested(2), records=(record(nested(2)),), directives=FLAT),
    Case("MaxDepth: too deep", nested(3), 400, invalid(rejection("too_deep")), directives=FLAT),
    Case("as large as an event may be", padded(65536), records=(record(padded(65536)),)),
    Case("event too large", padded(65537), 400, invalid(rejection("too_large"))),
    Case("MaxEvent: as large as may be", padded(120), records=(record(padded(120)),), directives=SMALL_EVENT),
    Case("MaxEvent: too large", padded(121), 400, invalid(rejection("too_large")), directives=SMALL_EVENT),
    Case("MaxEvent: one of a list", f"[{padded(121)},{padded(120)}]", records=(record(padded(120)),),
         answer=collected(1, rejection("too_large")), directives=SMALL_EVENT),
    Case("MaxEvents: as many as may be", f"[{A},{B},{A}]", answer=collected(3), records=(*AB, AB[0]), directives=FEW),
    Case("MaxEvents: too many in an array", f"[{A},{B},{A},1]", 413, TOO_MANY, directives=FEW),
    Case("MaxEvents: as many lines as may be", f"{A}\n\n\n{B}\n\n{A}\n", answer=collected(3), records=(*AB, AB[0]),
         directives=FEW),
    Case("MaxEvents: too many lines", f"{A}\n{B}\n{A}\nx", 413, TOO_MANY, directives=FEW),
    Case("five hundred events", f"[{','.join([A] * 500)}]", answer=collected(500), records=(record(A),) * 500),
    Case("five hundred and one", f"[{','.join([A] * 501)}]", 413,
         refusal(413, "Too many events: at most 500 in a request")),
    Case("MaxBody: as long as may be", padded(200), records=(record(padded(200)),), directives=SHORT),
    Case("MaxBody: one byte too long", padded(201), 413, TOO_LONG, directives=SHORT),
    Case("MaxBody: white space counts", padded(200) + "\n", 413, TOO_LONG, directives=SHORT),
    Case("MaxBody: as long as may be, chunked", [padded(200)[:150], padded(200)[150:]],
         records=(record(padded(200)),), directives=SHORT),
    Case("MaxBody: one byte too long, chunked", [padded(201)[:150], padded(201)[150:]], 413, TOO_LONG,
         directives=SHORT),
    Case("MaxBody: far too long, chunked", [padded(5000)] * 20, 413, TOO_LONG, directives=SHORT),
    Case("the default of MaxBody: as long as may be", EVENT.ljust(1 << 20), records=(record(),)),
    Case("the default of MaxBody: one byte too long", EVENT.ljust((1 << 20) + 1), 413,
         refusal(413, "Body too large: at most 1048576 bytes")),
]

CASES = [*ONE, *REQUIRED, *REQUIRE_CASES, *MALFORMED_CASES, *LISTS, *LIMITS]

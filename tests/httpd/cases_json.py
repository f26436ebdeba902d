"""JSON documents, good and bad, of the kind that RFC 8259 tells apart, each as the value of an event's member, and
others as a whole body. What is good is delivered as it was sent, but for white space; what is bad is refused as
malformed_json at some position. test_json_table.py holds the verdicts against another parser's."""
# SPDX-License-Identifier: Apache-2.0

from cases import AB, A, B, Case, EVENT, collected, event, invalid, malformed_somewhere, record, rejection

# --- as the value of a member: good ---

# Without white space around, so that each is delivered exactly as it stands here.
NUMBERS = """0 -0 1 -1 7 10 19 -90 123456789 9007199254740993 -9007199254740993 9223372036854775808
-9223372036854775809
18446744073709551616 340282366920938463463374607431768211456 0.0 -0.0 0.1 -0.1 1.0 1.10 10.01 123.456
0.000000000000000001
3.141592653589793238462643383279502884 0e0 0e5 0E-5 0e+0 -0e-0 1e1 1E1 1e+1 1E-1 1e01 1e-007 12e34 1.5e3
-2.5E-3 0.5e+10
1e308 1e309 -1e400 1e-400 4.9e-324 0.1e1 100e100 1e9999999999""".split()
LITERALS = "true false null".split()
STRINGS = [r'""', r'"a"', r'" "', r'"\""', r'"\\"', r'"\/"', '"/"', r'"\b\f\n\r\t"', r'"\u0000"', r'"\u001f"',
           r'"\u0022"',
           r'"\u005c"', r'"\u005C\u005c"', r'"\u002f"', r'"\u0041"', r'"\u00e9"', r'"\u00E9"', r'"\u20ac"',
           r'"\ud83d\ude00"',
           r'"\uD83D\uDE00"', r'"\uffff"', r'"\ufffe"', r'"\ufeff"', r'"\u2028\u2029"', r'"\ud800"', r'"\udc00"',
           r'"\ude00\ud83d"', r'"\ud83dx"', r'"\ud83d\u0041"', r'"\ud83d\ud83d\ude00"', r'"\\u0041"', r'"\\\""',
           r'"\\\\"',
           r'"\"\"\""', '"\x7f"', '"\x80\x9f"', '"é"', '"e\u0301"', '"漢字かな交じり文"', '"한국어"', '"עברית"', '"العربية"',
           '"ไทย"', '"😀"', '"👩\u200d👩\u200d👧"', '"\U0010ffff"', '"\ufffd"', '"\ufffe\uffff"', '"\ufdd0"', '"\ufeff"',
           '"a\u2028b\u2029c"', '"\u202ergb"', '"\'"', '"`"', '"<script>"', '"&lt;%00"', '"${x}"', '"{"', '"}"',
           '"["', '"]"',
           '","', '":"', '"{\\"a\\":1}"', '"//"', '"/* */"', '"#"', '"NaN"', '"null"', '"0x1"', '"-"',
           '"' + "x" * 5000 + '"', '"' + "é" * 2000 + '"', '"' + r"\u0061" * 500 + '"', '"' + r"\\" * 999 + '"']
ARRAYS = ["[]", "[1]", "[[]]", "[[],[]]", "[[[[[[]]]]]]", "[null]", "[true,false,null]", "[1,2,3]", '["a","b"]',
          '[1,"a",{}]',
          "[0,-0,0.0]", "[1e2,1E2]", '["",""]', "[{},{}]", '[[1,[2,[3]]]]', "[" + ",".join(["0"] * 1000) + "]",
          "[" * 14 + "]" * 14]
OBJECTS = ['{}', '{"a":1}', '{"":0}', '{"":{"":{}}}', '{"a":{}}', '{"a":[]}', '{"a":1,"b":2}', '{"b":1,"a":2}',
           '{"a":1,"A":2}',
           '{"a":1,"a":2}', '{"a":{"a":1},"a":[]}', r'{"a":1,"\u0061":2}', r'{"\n":1}', r'{"\"":1}', r'{"\\":1}',
           '{"é":1}',
           '{"😀":1}', '{"a b":1}', '{"0":1}', '{"true":false}', '{"__proto__":1}', '{"constructor":{"prototype":1}}',
           '{"client_id":"x","user_agent":1}', '{"a":{"b":{"c":{"d":{}}}}}', '{"' + "k" * 3000 + '":1}',
           "{" + ",".join(f'"k{n}":{n}' for n in range(500)) + "}"]
GOOD = [*NUMBERS, *LITERALS, *STRINGS, *ARRAYS, *OBJECTS]

# What is sent, and what is delivered of it.
SPACED = {
    "spaces": ("  1  ", "1"), "tabs": ("\t1\t", "1"), "line feeds": ("\n\n1\n", "1"),
    "carriage returns": ("\r1\r\r", "1"),
    "CRLF": ("\r\n1\r\n", "1"), "all four": (" \t\r\n[ \t\r\n] \t\r\n", "[]"), "in an array": ("[ 1 ,\t2\n,\r3 ]",
    "[1,2,3]"),
    "in an object": ('{ "a" : 1 ,\n"b"\t:\r2 }', '{"a":1,"b":2}'), "in empty ones": ("[ { } , [ ] ]", "[{},[]]"),
    "not in strings": ('[ " a  b " ]', '[" a  b "]'), "much": (" " * 3000 + "0" + "\n" * 3000, "0"),
    "indented": ('{\n    "a": [\n        1,\n        2\n    ]\n}', '{"a":[1,2]}'),
}

# --- as the value of a member: bad ---

BAD_NUMBERS = r"""00 01 -01 007 0123 -00 1. -1. 1.e1 0.e1 .1 -.1 .e1 1e 1E 1e+ 1e- 1.5e +1 +0 ++1 --1 -+1 - +
1-1 1+1 -a 1a 0a 0b1 0o7
0x1 0X1F -0x1 0xe 1_000 1,000.0 1'000 1.2.3 1..2 1e1.5 1e1e1 1ee1 1e+-1 1f 1L 1n 1d 0.1f NaN -NaN nan NAN
Infinity -Infinity
+Infinity infinity inf -inf INF 1e∞ ∞ ½ １ ٣ −1 1e１ 0.٣ 1\u00a0 0\u00e9 1/2 1% $1 1e1_0 1#INF 0-0""".split()
BAD_NUMBERS = [text.replace(r"\u00a0", "\u00a0").replace(r"\u00e9", "\u00e9") for text in BAD_NUMBERS]
BAD_LITERALS = r"""True TRUE tRue False FALSE Null NULL nULL nil None undefined t tr tru truee f fals falsee
n nul nulll yes no on off
a truefalse nulltrue true1 1true true"" ""null trüe nu\u006cl""".split()
BAD_STRINGS = ["'a'", "''", "`a`", "“a”", '"', '"a', 'a"', '"a""b"', '"a" "b"', '"a"b', r'"\"', '"\\', r'"\x41"',
               r'"\a"', r'"\v"',
               r'"\0"', r'"\e"', r'"\'"', r'"\ "', r'"\é"', r'"\U0041"', r'"\u"', r'"\u0"', r'"\u00"', r'"\u004"',
               r'"\u00g1"',
               r'"\u+041"', r'"\u-041"', r'"\u 041"', r'"\u{41}"', r'"\u00é1"', r'"\u004１"', r'"\ud83d\u"',
               r'"\ud83d\ude0"',
               r'"\ud83d\ug000"', '"\t"', '"\n"', '"\r"', '"a\r\nb"', '"\x01"', '"\x08"', '"\x0b"', '"\x0c"',
               '"\x1b[0m"', '"\x1f"',
               '"\\\n"', '"\\\t"', '"\\\x01"', 'r"a"', 'u"a"', 'b"a"', '@"a"', '"""a"""', "\\u0022a\\u0022"]
BAD_UTF8 = {
    "a continuation alone": b'"\x80"', "two continuations": b'"\xbf\xbf"', "two bytes cut": b'"\xc3"',
    "three bytes cut": b'"\xe2\x82"',
    "four bytes cut": b'"\xf0\x9f\x98"', "cut before the quote": b'"a\xe2\x82"', "Latin-1": b'"caf\xe9"',
    "Windows-1252": b'"\x93a\x94"', "overlong slash": b'"\xc0\xaf"', "overlong of three": b'"\xe0\x80\xaf"',
    "overlong of four": b'"\xf0\x80\x80\xaf"', "overlong NUL": b'"\xc0\x80"', "overlong quote": b'"\xc0\xa2"',
    "C1": b'"\xc1\xbf"',
    "a high surrogate": b'"\xed\xa0\x80"', "a low surrogate": b'"\xed\xbf\xbf"',
    "CESU-8": b'"\xed\xa0\xbd\xed\xb8\x80"',
    "beyond U+10FFFF": b'"\xf4\x90\x80\x80"', "F5": b'"\xf5\x80\x80\x80"', "F8, of five": b'"\xf8\x88\x80\x80\x80"',
    "FC, of six": b'"\xfc\x84\x80\x80\x80\x80"', "FE": b'"\xfe"', "FF": b'"\xff"', "in a name": b'{"\xff":1}',
    "a continuation too many": b'"\xc3\xa9\xa9"', "between tokens": b"[1\xff,2]", "a BOM inside": b"[\xef\xbb\xbf1]",
}
BAD_ARRAYS = ["[", "]", "[1", "1]", "[1,", "[,", "[,1]", "[1,]", "[1,,2]", "[,]", "[,,]", "[1 2]", "[1;2]", "[1:2]",
              "[1}", "[1}]", "[[]",
              "[]]", "[][]", "[] []", "[1,2", "[\"a\" \"b\"]", "[\"a\":1]", "[1,]]", "[-]", "[+]", "[.]", "[a]",
              "[1,a]", "(1)", "<1>",
              "[1\x0c]", "[1\x0b]", "[\x01]", "[1\u00a0,2]", "[1\u2003]", "[\u20281]", "[1\u3000]", "[\ufeff]",
              "[1 /* a */]", "[1 // a\n]",
              "[1 # a\n]", "[...]", "[1, ...]", "[*]", "[" * 12, "[" * 12 + "]" * 11]
BAD_OBJECTS = ["{", "{{", "{{}}", "{}}", "{]", "{1}", '{"a"}', '{"a":}', '{"a",1}', '{"a" 1}', '{"a":1,}',
               '{,"a":1}', '{"a":1,,"b":2}',
               '{"a":1 "b":2}', '{"a":1;"b":2}', '{"a":1:2}', '{"a"::1}', '{"a"=1}', '{"a"=>1}', '{a:1}', "{'a':1}",
               '{`a`:1}', '{1:1}',
               '{null:1}', '{true:1}', '{[]:1}', '{{}:1}', '{:1}', '{"a":1', '{"a":1]', '{"a":[}', '{"a":{]',
               '{"a":a}', '{"a":1}{"b":2}',
               '{"a":1}x', '{"a":1}}', '{"a":/**/1}', '{/*a*/"a":1}', '{"a":1/', '{"a":1}/', '{"a":1}//',
               '{"a":1}#', '{"a":\x0c1}',
               '{"a"\u00a0:1}', '{"a":undefined}', '{"a":function(){}}', '{"a":new Date()}', '{"a":1,"b"',
               '{"a":1,"b":', '{"a":"b}',
               '{"a\n":1}', '{"a\x00":1}', '{"\t":1}', '{"\\x":1}', '{"\\ud8":1}', '{"a":-}', '{"a":1.}',
               '{"a":01}', '{"__proto__"}']
# A text with a NUL in it is read by nobody behind us as it was meant.
BAD_NUL = ["\x00", "1\x00", "\x001", '"\x00"', '"a\x00b"', "[\x00]", "{\x00}", "tr\x00ue"]
BAD = [*BAD_NUMBERS, *BAD_LITERALS, *BAD_STRINGS, *BAD_ARRAYS, *BAD_OBJECTS, *BAD_NUL]

# --- as a whole body ---

BOM = b"\xef\xbb\xbf"
TWO = {
    "an array": f"[{A},{B}]", "an array with white space": f" [ {A} ,\n\t{B} ]\r\n", "lines": f"{A}\n{B}",
    "lines with CRLF": f"{A}\r\n{B}\r\n", "lines with empty ones": f"\n\n{A}\n \n\t\n{B}\n\n",
}
WHOLE_BAD = {
    "empty": "", "a space": " ", "white space": " \t\r\n ", "a BOM alone": BOM, "a BOM before": BOM + EVENT.encode(),
    "a BOM behind": EVENT.encode() + BOM, "UTF-16, little endian": EVENT.encode("utf-16-le"),
    "UTF-16, big endian": EVENT.encode("utf-16-be"), "UTF-16 with a BOM": EVENT.encode("utf-16"),
    "UTF-32": EVENT.encode("utf-32"), "UTF-7": "+AHs-", "a comma behind": EVENT + ",", "a brace behind": EVENT + "}",
    "a bracket behind": f"[{A}]]", "two in a row": A + B, "two with a space": f"{A} {B}",
    "two with a comma": f"{A},{B}",
    "two arrays": f"[{A}][{B}]", "an unclosed array": f"[{A}", "a closed nothing": f"{A}]", "no comma": f"[{A}{B}]",
    "a comma too many": f"[{A},]", "a comma first": f"[,{A}]", "a comment before": f"/* a */{EVENT}",
    "a comment behind": f"{EVENT}//",
    "a shebang": f"#!\n{EVENT}", "a guard of JavaScript": ")]}',\n" + EVENT, "a callback": f"f({EVENT})",
    "a form": "token=a&tag=b",
    "HTML": "<p>a</p>", "XML": '<?xml version="1.0"?><a/>', "YAML": "token: a\ntag: b",
    "a record separator": f"\x1e{EVENT}\n",
    "a NUL before": "\x00" + EVENT, "a NUL behind": EVENT + "\x00", "form feed behind": EVENT + "\x0c",
    "all cut but a byte": EVENT[:-1],
    "cut in a string": EVENT[:20], "cut in a name": '{"tok', "a backslash": "\\", "a quote": '"', "a minus": "-",
    "random bytes": bytes(range(128, 256)),
}
WHOLE_DEEP = {"brackets": "[" * 5000, "braces": '{"a":' * 5000}
NOT_OBJECTS = ["0", "-1.5", '"a"', "true", "false", "null", "1e400", '""', '"{}"']


def named(texts):
    """Each with a name that says what it is, as far as it is short; no two are the same."""
    names = {}
    for text in texts:
        name = ascii(text)[1:-1]
        name = name if len(name) <= 40 else f"{name[:30]}... of {len(text)}"
        assert name not in names, name
        names[name] = text
    return names


def member(text):
    return event('"value":' + text) if isinstance(text, str) else event('"value":@').encode().replace(b"@", text)


MALFORMED = malformed_somewhere()
CASES = [
    *(Case(f"JSON, good: {name}", member(text), records=(record(member(text)),)) for name,
    text in named(GOOD).items()),
    *(Case(f"JSON, white space: {name}", member(sent), records=(record(member(delivered)),))
      for name, (sent, delivered) in SPACED.items()),
    *(Case(f"JSON, two in {name}", body, answer=collected(2), records=AB) for name, body in TWO.items()),
    *(Case(f"JSON, bad: {name}", member(text), status=400, answer=MALFORMED) for name, text in named(BAD).items()),
    *(Case(f"JSON, bad UTF-8: {name}", member(text), status=400, answer=MALFORMED) for name,
    text in BAD_UTF8.items()),
    *(Case(f"JSON, bad body: {name}", body, status=400, answer=malformed_somewhere(many=True))
      for name, body in WHOLE_BAD.items()),
    *(Case(f"JSON, bad and deep body: {name}", body, status=400, answer=invalid(rejection("too_deep")))
      for name, body in WHOLE_DEEP.items()),
    *(Case(f"JSON, no object: {name}", text, status=400, answer=invalid(rejection("not_an_object")))
      for name, text in named(NOT_OBJECTS).items()),
]

"""Tags: what the value of an event must be, and tags that nobody knows."""
# SPDX-License-Identifier: Apache-2.0

from cases import NO_TAG, Case, collected, invalid, record, rejection

TAGS = """ClickstreamTag ANY any
ClickstreamTag TEXT string
ClickstreamTag WORD string 1..5
ClickstreamTag WHOLE integer
ClickstreamTag LIKE_WOOD integer 0..1000
ClickstreamTag NUMBER number
ClickstreamTag DEGREES number -273.15..100
ClickstreamTag FLAG boolean
ClickstreamTag OBJECT object
ClickstreamTag PAIR object 1..2
ClickstreamTag ARRAY array
ClickstreamTag LIST array ..2
ClickstreamTag MANY array 2..
ClickstreamTag CLICK_LANG language
ClickstreamTag GEO_LOC geo
ClickstreamTag "a \\"tag\\"" boolean"""
STRICT = TAGS + "\nClickstreamUnknownTags reject"

# tag: (values that it takes, values of a wrong type, values out of range)
VALUES = {
    "ANY": (["1", '"a"', "null", "[{}]"], [], []),
    "TEXT": (['""', '"a"', '"null"', '"' + "x" * 1000 + '"'], ["1", "true", "null", "[]", "{}"], []),
    # Characters, however many bytes they take or how they are written.
    "WORD": (['"a"', '"abcde"', '"é漢字😀x"', r'"\ud83d\ude00\u00e9abc"', r'"\u0000\n\"\\a"'], ["1", '["a"]'],
             ['""', '"abcdef"', '"漢字漢字漢字"']),
    "WHOLE": (["0", "-0", "-1", "9223372036854775807", "12345678901234567890123", "-12345678901234567890123"],
              ["3.0", "0.5", "1e2", "1E2", '"3"', "true", "null", "[3]", "{}"], []),
    "LIKE_WOOD": (["0", "3", "1000"], ["3.0", "1e2", '"3"', "null"],
                  ["-1", "1001", "9223372036854775807", "-9223372036854775809", "12345678901234567890123"]),
    "NUMBER": (["0", "-1", "3.0", "1e2", "-0.5E-3", "1E400"], ['"3"', "true", "null", "[]"], []),
    "DEGREES": (["-273.15", "100", "100.0", "1e2", "0", "-2.7315e2"], ['"100"', "null"],
                ["-273.16", "100.0001", "101", "1E400", "-1E400", "99999999999999999999999"]),
    "FLAG": (["true", "false"], ["0", "1", '"true"', "null", "[]"], []),
    "OBJECT": (["{}", '{"a":{"b":1}}'], ["[]", '"{}"', "null", "1"], []),
    "PAIR": (['{"a":1}', '{"a":1,"b":2}', '{"a":1,"a":2,"b":3}'], ["[1]", "2"], ["{}", '{"a":1,"b":2,"c":3}']),
    "ARRAY": (["[]", "[1,[2],3]"], ["{}", '"[]"', "null"], []),
    "LIST": (["[]", "[1,2]", "[null,[1,2,3]]"], ["{}"], ["[1,2,3]"]),
    "MANY": (["[1,2]", "[1,2,3]"], [], ["[]", "[[1,2]]"]),
    "CLICK_LANG": (['"en"', '"EN-us"', '"zh-Hant-TW"', '"de-CH-1996"', '"es-419"', '"sl-rozaj-biske"', '"abcdefgh"',
                    '"en-x-private"', r'"\u0065n"'],
                   ["1", "null", "[]", '["en"]', '""', '"e"', '"en_US"', '"en-"', '"-en"', '"en--US"', '"123"', '"e1"',
                    '"abcdefghi"', '"en-abcdefghi"', '"é"', '"en "', r'"en\u0000"', '"en-US\\n"', '"en-é"'], []),
    r'a \"tag\"': (["true"], ["1"], []),
}
# members: None, or (reason, field)
PLACES = {
    '"latitude":51.501364,"longitude":-0.14189': None,
    '"latitude":90,"longitude":180': None,
    '"latitude":-90.0,"longitude":-1.8e2': None,
    '"latitude":0,"longitude":0,"value":"anything"': None,
    '"longitude":0': ("missing_field", "latitude"),
    '"latitude":0': ("missing_field", "longitude"),
    '"value":{"latitude":0,"longitude":0}': ("missing_field", "latitude"),
    '"latitude":"51.5","longitude":0': ("wrong_type", "latitude"),
    '"latitude":0,"longitude":null': ("wrong_type", "longitude"),
    '"latitude":[0],"longitude":0': ("wrong_type", "latitude"),
    '"latitude":90.000001,"longitude":0': ("out_of_range", "latitude"),
    '"latitude":-91,"longitude":500': ("out_of_range", "latitude"),
    '"latitude":0,"longitude":180.1': ("out_of_range", "longitude"),
    '"latitude":0,"longitude":-181': ("out_of_range", "longitude"),
    '"latitude":1e400,"longitude":0': ("out_of_range", "latitude"),
}


def tagged(tag, more=""):
    return f'{{"token":"a","timestamp":"2022-02-22T18:37:28Z","tag":"{tag}"{"," + more if more else ""}}}'


def good(name, text, directives=TAGS):
    return Case(f"Tag {name}", text, records=(record(text),), directives=directives)


def bad(name, text, reason, field, directives=TAGS):
    return Case(f"Tag {name}: {reason}", text, 400, invalid(rejection(reason, field=field)), directives=directives)


def valued(tag, value):
    return f"{tag} {value[:24]}", tagged(tag, f'"value":{value}')


MIXED = [tagged("LIKE_WOOD", '"value":3'), tagged("LIKE_WOOD", '"value":3000'), tagged("OTHER"), tagged("FLAG"),
         tagged("FLAG", '"value":1')]
CASES = [
    *(good(*valued(tag, value)) for tag, (taken, _, _) in VALUES.items() for value in taken),
    *(bad(*valued(tag, value), "wrong_type", "value") for tag, (_, wrong, _) in VALUES.items() for value in wrong),
    *(bad(*valued(tag, value), "out_of_range", "value") for tag, (_, _, beyond) in VALUES.items() for value in beyond),
    *(bad(f"{tag} without a value", tagged(tag), "missing_field", "value") for tag in VALUES if tag != "ANY"),
    good("ANY without a value", tagged("ANY")),
    *(bad(f"GEO_LOC {members}", tagged("GEO_LOC", members), *why) if why else
      good(f"GEO_LOC {members}", tagged("GEO_LOC", members)) for members, why in PLACES.items()),
    bad("whose last value is wrong", tagged("LIKE_WOOD", '"value":1,"value":"1"'), "wrong_type", "value"),
    good("whose last value is right", '{"token":"a","tag":"ANY","timestamp":"2022-02-22T18:37:28Z"}'),
    bad("in escapes", tagged(r"LIKE\u005fWOOD", '"value":-1'), "out_of_range", "value"),
    good("that is on no line", tagged("OTHER", '"value":{}')),
    good("in other letters", tagged("like_wood", '"value":"x"')),
    good("that begins like another", tagged("LIKE_WOOD2", '"value":"x"')),
    good("with an escaped NUL behind", tagged(r"LIKE_WOOD\u0000", '"value":"x"')),
    good("UnknownTags accept", tagged("OTHER"), TAGS + "\nClickstreamUnknownTags accept"),
    good("UnknownTags reject: known", tagged("FLAG", '"value":true'), STRICT),
    good("UnknownTags reject: any", tagged("ANY"), STRICT),
    *(bad(f"UnknownTags reject: {tag!r}", tagged(tag, '"value":1'), "unknown_tag", "tag", STRICT)
      for tag in ("OTHER", "", "flag", "FLAG ", r"FLAG\u0000")),
    good("UnknownTags reject: an event without a tag, where it may be", NO_TAG, STRICT + "\nClickstreamRequire token"),
    bad("UnknownTags reject: an event without a tag, where it must not", NO_TAG, "missing_field", "tag", STRICT),
    bad("UnknownTags reject: a tag that is no string", NO_TAG[:-1] + ',"tag":["FLAG"]}', "wrong_type", "tag", STRICT),
    bad("after the timestamp", tagged("FLAG").replace("2022", "20222"), "bad_timestamp", "timestamp"),
    Case("Tag: each event of a list", f"[{','.join(MIXED)}]", directives=STRICT, records=(record(MIXED[0]),),
         answer=collected(1, rejection("out_of_range", 1, field="value"), rejection("unknown_tag", 2, field="tag"),
                          rejection("missing_field", 3, field="value"), rejection("wrong_type", 4, field="value"))),
    Case("Tag: each line", "\n".join(MIXED), directives=STRICT, records=(record(MIXED[0]),),
         answer=collected(1, rejection("out_of_range", 1, field="value"), rejection("unknown_tag", 2, field="tag"),
                          rejection("missing_field", 3, field="value"), rejection("wrong_type", 4, field="value"))),
]

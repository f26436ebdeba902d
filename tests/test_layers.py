"""What must never be (design.md §5), by grep over the sources; each rule is also shown to be able to fail."""
# SPDX-License-Identifier: Apache-2.0

import pathlib
import re
from typing import NamedTuple

import pytest

TOP = pathlib.Path(__file__).resolve().parents[1]
SOURCES = sorted(path for folder in ("mod_clickstream", "cgi") for path in (TOP / folder).rglob("*.[ch]"))
UNIT = sorted((TOP / "tests/unit").glob("*.[ch]"))
OTHERS = sorted(path for folder in ("bench", "fuzz", "queue") for path in (TOP / "tests" / folder).glob("*.[ch]"))
PYTHON = sorted(path for path in (TOP / "tests").rglob("*.py")
                if not {"node_modules", "build"} & set(path.relative_to(TOP).parts))
# What npm and the tests put there is not ours.
SHIPPED = sorted(path for folder in ("webapp", "ansible", "debian", "tests/browser", "tests/ansible", "tests/debian")
                 for path in (TOP / folder).rglob("*") if path.is_file()
                 and not {"node_modules", "screenshots", "__pycache__", "inventory"} & set(path.relative_to(TOP).parts))
SCRIPTS = [path for path in SHIPPED if path.name.endswith((".js", ".d.ts"))]

COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*")', re.DOTALL)


def without_comments(text):
    """The code alone, each thing still on its line."""
    return COMMENT.sub(lambda match: match[1] or "\n" * match[0].count("\n"), text)


def found_in(text, forbidden):
    """The lines of code that match, with their numbers."""
    lines = without_comments(text).splitlines()
    return [f"{number}: {line.strip()}" for number, line in enumerate(lines, 1) if re.search(forbidden, line)]


def names(*patterns):
    """Whether a path, as it stands in this repository, matches one of the patterns."""
    return lambda path: any(pathlib.PurePath(path).match(pattern) for pattern in patterns)


def all_but(*patterns):
    return lambda path: not names(*patterns)(path)


def include(what):
    return rf'^\s*#\s*include\s*[<"](?:{what})'


def call(what):
    return rf"\b(?:{what})\s*\("


class Rule(NamedTuple):
    name: str
    applies: object  # to which paths
    forbidden: str
    example: str  # a line that breaks it


HTTPD = ("httpd/*.c", "httpd/*.h")
COMMON = ("common/*.c", "common/*.h")
COLLECT = ("collect/*.c", "collect/*.h")
INTAKE = ("intake/*.c", "intake/*.h")
QUEUE = ("queue/*.c", "queue/*.h")
DELIVER = ("deliver/*.c", "deliver/*.h")
STATUS = ("status/*.c", "status/*.h")
SINKS = ("deliver/sink*.c", "deliver/sink*.h")
# What a function from bytes to bytes needs, and no more. Of arpa/inet.h those are inet_pton() and inet_ntop().
PURE = (r"apr_(?:encode|errno|escape|lib|pools|strings|tables|time|uuid)\.h|arpa/inet\.h|locale\.h|"
        r"openssl/(?!rand)\w+\.h|std(?:def|int|lib)\.h|strings?\.h|collect/\w+\.h|common/(?:key|settings|text)\.h")

RULES = [
    Rule("httpd's headers stay in httpd/", all_but(*HTTPD),
         include(r"(?:httpd|http_\w+|ap_\w+|util_\w+|mpm_\w+|mod_\w+|unixd|scoreboard|apache_\w+)\.h"),
         "#include <http_log.h>"),
    Rule("httpd's names stay in httpd/", all_but(*HTTPD), r"\b(?:ap_\w+|AP_\w+|APLOG\w*|(?:request|server|conn)_rec)\b",
         "    ap_log_error(APLOG_MARK, APLOG_ERR, 0, server, line);"),
    Rule("nobody builds on httpd/", all_but(*HTTPD), include("httpd/"), '#include "httpd/module.h"'),
    Rule("httpd/ knows nothing of cgi/", names(*HTTPD), include(r"(?:\.\./)*cgi/"), '#include "../../cgi/cgi.h"'),
    Rule("common/ builds on nothing", names(*COMMON), include("(?:collect|intake|queue|deliver|httpd|cgi)/"),
         '#include "queue/queue.h"'),
    Rule("common/'s values are its own", all_but(*COMMON), include(r"common/values\.h"), '#include "common/values.h"'),
    Rule("collect/ includes only what is pure", names(*COLLECT), include(f"(?!{PURE})"), "#include <pthread.h>"),
    Rule("collect/ asks no clock", names(*COLLECT), call(r"apr_time_now|time|gettimeofday|clock_gettime"),
         "    apr_time_t now = apr_time_now();"),
    Rule("collect/ has no threads, sockets, files", names(*COLLECT),
         r"\b(?:pthread_|apr_thread|apr_socket|apr_file|apr_dir)\w+|" + call("fopen|open|socket|connect|getenv"),
         "    FILE *file = fopen(path, mode);"),
    Rule("collect/ makes no randomness", names(*COLLECT),
         call(r"RAND_\w+|apr_uuid_get|apr_generate_random_bytes|s?rand"), "    RAND_bytes(bytes, length);"),
    Rule("intake/ knows requests and queues alone", names(*INTAKE),
         include(r"(?!(?:collect|intake|common)/\w+\.h|queue/queue\.h|apr\w*\.h|std\w+\.h|string\.h)"),
         '#include "deliver/sender.h"'),
    Rule("queue/ knows no others", names(*QUEUE), include("(?:collect|intake|deliver|httpd|cgi)/"),
         '#include "deliver/batch.h"'),
    Rule("queue/'s layout is its own", all_but(*QUEUE), include(r"queue/(?!queue\.h)"), '#include "queue/layout.h"'),
    Rule("deliver/ knows no requests", names(*DELIVER), include("(?:collect|intake|httpd|cgi)/"),
         '#include "collect/event.h"'),
    Rule("a sink does not include the queue", names(*SINKS), include("queue/"), '#include "queue/queue.h"'),
    Rule("a sink does not include the sender", names(*SINKS), include(r"deliver/sender\.h"),
         '#include "deliver/sender.h"'),
    Rule("a sink does not name the queue", names(*SINKS), r"\bcs_queue_\w+", "    cs_queue_settle(queue, id, as);"),
    Rule("status/ knows the queue and what is common", names(*STATUS),
         include(r"(?!(?:status|common)/\w+\.h|queue/queue\.h|collect/reason\.h|apr\w*\.h|std\w+\.h|string\.h)"),
         '#include "deliver/report.h"'),
    Rule("status/ asks no clock, opens nothing", names(*STATUS),
         call(r"apr_time_now|time|clock_gettime|fopen|open|cs_queue_open") + r"|\b(?:apr_file|apr_socket)\w+",
         "    apr_time_t now = apr_time_now();"),
    Rule("the lower layers know nothing of status/", names(*COMMON, *COLLECT, *INTAKE, *QUEUE, *DELIVER),
         include("status/"), '#include "status/snapshot.h"'),
    Rule("json-c has few users",
         all_but("deliver/answer.c", "deliver/rejects.c"),
         include("json") + r"|\bjson_(?:object|tokener|type)\w*", "#include <json-c/json.h>"),
    Rule("no header includes json-c", names("*.h"), include("json"), "#include <json-c/json.h>"),
    Rule("curl has one user", all_but("deliver/http.c"), include("curl/") + r"|\b(?:curl_\w+|CURL\w*)\b",
         "    curl_easy_cleanup(handle);"),
    # They write beyond the end, or say nothing of what they could not read.
    Rule("no call that cannot fail safely", lambda path: True,
         call("strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atoll|atof|strtok"), "    strcpy(to, from);"),
]


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_rule(rule):
    paths = [path for path in SOURCES if rule.applies(path.relative_to(TOP))]
    assert paths, "a rule for no file"
    broken = [f"{path.relative_to(TOP)}:{line}"
              for path in paths for line in found_in(path.read_text(), rule.forbidden)]
    assert broken == []


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_rule_can_fail(rule):
    assert found_in(f"/* why\n */\n{rule.example}\n", rule.forbidden) == [f"3: {rule.example.strip()}"]
    assert found_in(f"/* {rule.example} */\nint i; // {rule.example}\n", rule.forbidden) == []


@pytest.mark.parametrize("rule, text", [
    ("httpd's names stay in httpd/", "    apr_pool_t *pool = apr_psprintf(p); APR_SUCCESS;"),
    ("collect/ includes only what is pure", '#include "collect/event.h"'),
    ("collect/ includes only what is pure", "#include <arpa/inet.h>"),
    ("collect/ includes only what is pure", "#include <openssl/evp.h>"),
    ("collect/ asks no clock", "    if (!cs_is_timestamp(text)) run_time(x);"),
    ("collect/ makes no randomness", "    if (collect->request.random(random, sizeof(random)) != 1) apr_uuid_format(a);"),
    ("intake/ knows requests and queues alone", '#include "queue/queue.h"'),
    ("queue/'s layout is its own", '#include "queue/queue.h"'),
    ("status/ knows the queue and what is common", '#include "collect/reason.h"'),
    ("status/ asks no clock, opens nothing", "    write_time(a); cs_words_time(b); cs_json_text(cs_writer_time(c));"),
    ("no call that cannot fail safely", '    apr_psprintf(pool, "atoi"); snprintf(a, b); apr_strtok(c); cs_strcpy(d);'),
])
def test_rule_lets_pass(rule, text):
    forbidden = next(each.forbidden for each in RULES if each.name == rule)
    assert found_in(text, forbidden) == []


# --- what has to be on a list ---


def missing(wanted, text):
    """The words that the text does not have as a whole."""
    return [word for word in wanted if not re.search(rf"(?<![\w./-]){re.escape(word)}(?![\w./-])", text)]


def test_missing():
    assert missing(["a/b.c", "b.c", "c.h"], "x: \\\n\ta/b.c \\\n\tc.hpp c.h\n") == ["b.c"]


def test_every_source_is_built():
    sources = [str(path.relative_to(TOP)) for path in [*SOURCES, *UNIT, *OTHERS]]
    assert missing(sources, (TOP / "Makefile.am").read_text()) == []


def test_what_is_not_compiled_is_distributed():
    files = [str(path.relative_to(TOP)) for path in SHIPPED]
    assert {"webapp/clickstream.js", "ansible/site.yml", "debian/control"} <= set(files)
    assert missing(files, (TOP / "Makefile.am").read_text()) == []


def test_every_unit_test_is_registered():
    suites = [path.stem.removeprefix("test_") for path in UNIT if path.name.startswith("test_")]
    assert suites
    assert missing([f"X({suite})" for suite in suites], (TOP / "tests/unit/unit.h").read_text()) == []


# --- how a file begins ---

SPDX = "SPDX-License-Identifier: Apache-2.0"
# What it is for, in the first words; then the tag, before anything else.
OPENINGS = {
    ".c": re.compile(rf"/\* [A-Za-z](?:(?!\*/).)*?{SPDX} \*/\n", re.DOTALL),
    ".py": re.compile(rf'(?:#![^\n]*\n)?"""[A-Z](?:(?!""").)+"""\n# {SPDX}\n', re.DOTALL),
}
OPENINGS[".h"] = OPENINGS[".c"]
OPENINGS[".js"] = OPENINGS[".ts"] = re.compile(rf"// [A-Z](?:[^\n]+\n// )*?[^\n]+\n// {SPDX}\n")


def begins_well(suffix, text):
    return bool(OPENINGS[suffix].match(text))


@pytest.mark.parametrize("path", [*SOURCES, *UNIT, *OTHERS, *PYTHON, *SCRIPTS], ids=lambda path: str(path.relative_to(TOP)))
def test_opening(path):
    assert begins_well(path.suffix, path.read_text())


@pytest.mark.parametrize("suffix, text, well", [
    (".c", f"/* A queue. {SPDX} */\n", True),
    (".h", f"/* A queue.\n * {SPDX} */\n#ifndef A\n", True),
    (".c", f"/* {SPDX} */\n", False),
    (".c", "/* A queue. */\n", False),
    (".c", f"/* A queue. */\n/* {SPDX} */\n", False),
    (".c", f"#include <a.h>\n/* A queue. {SPDX} */\n", False),
    (".py", f'"""A test."""\n# {SPDX}\n', True),
    (".py", f'#!/usr/bin/python3\n"""A test."""\n# {SPDX}\n', True),
    (".py", '"""A test."""\nimport os\n', False),
    (".py", f'# {SPDX}\nimport os\n', False),
    (".js", f"// A page.\n// {SPDX}\n", True),
    (".js", f"// A page,\n// with words.\n// {SPDX}\n", True),
    (".js", f"// {SPDX}\n", False),
    (".js", "// A page.\nimport 'a';\n", False),
])
def test_opening_can_fail(suffix, text, well):
    assert begins_well(suffix, text) == well

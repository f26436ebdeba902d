"""The verdicts of cases_json.py, held against Python's parser, made as strict as RFC 8259."""
# SPDX-License-Identifier: Apache-2.0

import json

import cases_json
import pytest
from cases import as_bytes


def refuse(word):
    raise ValueError(word)


def is_json(body):
    """Python's takes NaN and Infinity, decodes what is no UTF-8 by a guess, and knows no digits but ASCII's in numbers."""
    try:
        json.loads(as_bytes(body).decode("utf-8", "strict"), strict=True, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True


@pytest.mark.parametrize("case", cases_json.CASES, ids=[case.name for case in cases_json.CASES])
def test_verdict(case):
    good = case.status == 200 or "no object" in case.name
    assert good == ("lines" in case.name or is_json(case.body))


def test_the_table_is_large():
    assert len(cases_json.CASES) >= 300
    assert sum(case.status == 200 for case in cases_json.CASES) >= 100

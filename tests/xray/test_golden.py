"""Every golden document equals the current output, fits AWS's schema, and keeps the rules of AWS's
documentation.
"""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import Event
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from ot_bridge.xray import segment, trimmed
from ot_bridge.xray.document import LARGEST
from tests.generated import at_length, short
from tests.xray.spans import CASES, GOLDEN, LOCAL, OTHER, REMOTE, START, document, span

SCHEMA = json.loads((Path(__file__).parent / "xray-segmentdocument-schema-v1.0.0.json").read_text())
WHOLE = jsonschema.Draft4Validator(SCHEMA)
PART = jsonschema.Draft4Validator({"$ref": "#/definitions/subsegment", "definitions": SCHEMA["definitions"]})
KEYS = set(SCHEMA["properties"]) | {"type", "namespace", "sql", "links"}
FOR_SEGMENTS = {"origin", "service", "user"}
LONG_STRINGS = {"message", "sanitized_query", "connection_string", "path", "label"}


def check(found: dict[str, Any]) -> None:
    """AWS's schema, and its page on segment documents where the schema is silent."""
    # The schema lists the letters of one Unicode version; besides, it says: all letters, digits, separators.
    assert 1 <= len(found["name"]) <= 200
    assert all(char in "_.:/%&#=+-@ " or unicodedata.category(char)[0] in "LN" for char in found["name"])
    WHOLE.validate({**found, "name": found["name"] if found["name"].isascii() else "name"})
    if found.get("type") == "subsegment":
        PART.validate(found)
        assert "parent_id" in found
        assert not FOR_SEGMENTS & set(found)
        assert set(found.get("aws", {})) <= {
            *(
                "operation",
                "account_id",
                "region",
                "request_id",
                "queue_url",
                "table_name",
                "table_names",
                "retries",
            )
        }
    assert set(found) <= KEYS
    assert re.fullmatch("1-[0-9a-f]{8}-[0-9a-f]{24}", found["trace_id"])
    assert re.fullmatch("[0-9a-f]{16}", found["id"])
    assert ("end_time" in found) != ("in_progress" in found)
    assert found.get("end_time", found["start_time"]) >= found["start_time"]
    assert found.get("namespace", "aws") in ("aws", "remote")
    assert not (found.get("error") and found.get("fault"))
    assert "error" in found or "throttle" not in found
    assert len(found.get("annotations", {})) <= 50
    check_exceptions(found.get("cause", {}).get("exceptions", []))
    for part in ("http", "aws", "sql", "service"):
        if part in found:
            check_strings(found[part])
    for link in found.get("links", []):
        assert re.fullmatch("1-[0-9a-f]{8}-[0-9a-f]{24}", link["trace_id"])
        assert re.fullmatch("[0-9a-f]{16}", link["id"])


def check_exceptions(exceptions: list[dict[str, Any]]) -> None:
    ids = [exception["id"] for exception in exceptions]
    assert len(set(ids)) == len(ids)
    for position, exception in enumerate(exceptions):
        assert re.fullmatch("[0-9a-f]{16}", exception["id"])
        assert len(exception.get("stack", [])) <= 100
        if "cause" in exception:
            assert ids.index(exception["cause"]) == position + 1


def check_strings(part: Any, name: str = "") -> None:
    if isinstance(part, dict):
        assert part
        for key, value in part.items():
            check_strings(value, key)
    elif isinstance(part, str) and name not in LONG_STRINGS:
        assert 0 < len(part) <= 250


@pytest.mark.parametrize("case", CASES)
def test_a_document_is_equal_to_its_stored_golden_document(case: str) -> None:
    assert document(case) == json.loads((GOLDEN / f"{case}.json").read_text())


@pytest.mark.parametrize("case", CASES)
def test_a_document_is_valid_for_aws(case: str) -> None:
    check(document(case))
    WHOLE.validate(document(case))
    assert len(trimmed(segment(CASES[case]))) <= LARGEST


def test_every_golden_document_has_its_span() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_the_same_span_gives_the_same_document(case: str) -> None:
    assert segment(CASES[case]) == segment(CASES[case])


NAMES = st.sampled_from(
    sorted({key for case in CASES.values() for key in (case.attributes or {}) if not key.startswith("key.")})
) | st.text("a.", min_size=1)
SCALARS = st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.binary()
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.just("long " * 20_000)
ATTRIBUTES = st.dictionaries(NAMES, VALUES, max_size=8)


@short
@given(
    name=st.text("aZ9 _.:/%&#=+-@\t<é漢\U0001f600\ud800") | st.text(max_size=3000),
    kind=st.sampled_from(SpanKind),
    attributes=ATTRIBUTES,
    parent=st.sampled_from([None, LOCAL, REMOTE]),
    status=st.sampled_from(
        [Status(StatusCode.OK), Status(StatusCode.ERROR), Status(StatusCode.ERROR, "x" * 99_999)]
    ),
    of_event=st.dictionaries(
        st.sampled_from(["exception.type", "exception.message", "exception.stacktrace"]), VALUES
    ),
    annotate=st.sampled_from(["all", (), ("http.method", "a")]),
)
def test_the_document_of_a_generated_span_is_valid_for_aws(
    name: str, kind: SpanKind, attributes: Any, parent: Any, status: Status, of_event: Any, annotate: Any
) -> None:
    given_span = span(
        name.encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
        kind,
        attributes,
        parent=parent,
        status=status,
        events=(Event("exception", of_event, START), Event("log", attributes, START)),
        links=(Link(OTHER, attributes),),
    )
    data = trimmed(segment(given_span, annotate=annotate))
    assert len(data) <= LARGEST
    check(json.loads(data, parse_constant=pytest.fail))


test_the_document_of_a_generated_span_is_valid_for_aws_at_length = at_length(
    test_the_document_of_a_generated_span_is_valid_for_aws
)

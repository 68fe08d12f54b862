from __future__ import annotations

import math
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind

from ot_bridge.xray import segment
from tests.xray.spans import SHOP, span

SERVER = SpanKind.SERVER


def annotated(annotate: Any, attributes: Any, resource: Resource = SHOP) -> dict[str, Any]:
    found = segment(span("s", SERVER, attributes, resource=resource), annotate=annotate)
    assert not set(found.get("annotations", {})) & set(found["metadata"]["default"])
    return found.get("annotations", {})  # type: ignore[no-any-return]


def test_only_selected_attributes_are_annotations() -> None:
    attributes = {"user.tier": "gold", "n": 1, "share": 0.5, "ok": True, "list": [1], "other": "x"}
    assert annotated((), attributes) == {}
    assert annotated(("user.tier", "list", "none"), attributes) == {"user_tier": "gold"}
    assert annotated(["otel.resource.service.name"], {}) == {"otel_resource_service_name": "shop"}
    assert set(annotated("all", attributes)) >= {
        "user_tier",
        "n",
        "share",
        "ok",
        "other",
        "otel_resource_service_name",
    }


def test_a_span_can_select_its_annotations_by_an_attribute() -> None:
    assert annotated((), {"a": 1, "b": 2, "aws.xray.annotations": ("a",)}) == {"a": 1}
    assert annotated((), {"a": 1, "aws.xray.annotations": "a"}) == {}


def test_an_attribute_shown_in_another_part_can_also_be_an_annotation() -> None:
    found = segment(span("s", SERVER, {"http.method": "GET", "enduser.id": "u"}), annotate=("http.method",))
    assert found["annotations"] == {"http_method": "GET"}
    assert found["http"] == {"request": {"method": "GET"}}


def test_annotations_beyond_the_limit_of_x_ray_are_metadata() -> None:
    attributes = {f"k{number}": number for number in range(60)} | {"a.b": 1}
    found = segment(span("s", attributes=attributes), annotate="all")
    assert len(found["annotations"]) == 50
    assert found["metadata"]["default"]["k59"] == 59


def test_if_two_names_are_the_same_for_x_ray_one_is_metadata() -> None:
    found = segment(span("s", attributes={"a.b": 1, "a_b": 2}), annotate="all")
    assert found["annotations"]["a_b"] == 1
    assert found["metadata"]["default"]["a_b"] == 2


def test_a_long_annotation_is_cut_and_an_invalid_number_is_metadata() -> None:
    found = segment(span("s", attributes={"long": "x" * 2000, "nan": math.nan}), annotate=("long", "nan"))
    assert found["annotations"] == {"long": "x" * 1000}
    assert "nan" in found["metadata"]["default"]


def test_the_name_of_an_annotation_has_at_most_500_characters() -> None:
    assert annotated(("a" * 501, "b" * 500), {"a" * 501: 1, "b" * 500: True}) == {
        "a" * 500: 1,
        "b" * 500: True,
    }

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Decision, ParentBased, Sampler
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from ot_bridge.errors import ConfigurationError
from ot_bridge.sampling import OperationSampler, PathSampler, always_off, always_on, probability, rules
from tests.sampling.ask import IDS, sampled


def matches(pattern: str | re.Pattern[str], path: str, method: str = "GET") -> bool:
    sampler = PathSampler([(pattern, always_on)], always_off)
    first = sampled(sampler, attributes={"url.path": path, "http.request.method": method})
    again = sampled(sampler, attributes={"url.path": path, "http.request.method": method})
    assert first is again
    return first


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        ("/api", "/api", True),
        ("/api", "/api/", True),
        ("/api", "/api/v1/users", True),
        ("/api", "/apiary", False),
        ("/api", "/v2/api", False),
        ("/api", "/API", False),
        ("/api/", "/api", False),
        ("/api/", "/api/users", True),
        ("/", "/anything", True),
        ("/api$", "/api", True),
        ("/api$", "/api/", False),
        ("/api*", "/apiary", True),
        ("/a/*/c", "/a/b/c", True),
        ("/a/*/c", "/a/b/c/d", True),
        ("/a/*/c", "/a/b/d", False),
        ("/a/*.js$", "/a/x.js", True),
        ("/a/*.js$", "/a/x.jsp", False),
        ("*", "/anything", True),
        ("/a/**/c$", "/a/b/c", True),
        ("/a*b*c", "/a-b-b-c-c/d", True),
        ("/a*b*c", "/a-b-b-cc", True),
        ("/a*b*c", "/a-b-b-cx", False),
        ("/a*bb*b$", "/abb", False),
        ("/a*bb*b$", "/abbb", True),
        ("*/private/*", "/x/private/y", True),
        ("/a/*/c", "/a/b\n/c", True),
        ("/a/*/*/c$", "/a/\n/\r/c", True),
        ("/a*\n*c$", "/a\n\nc", True),
        ("/a.b", "/axb", False),
        (r"~/users/\d+$", "/users/42", True),
        (r"~/users/\d+$", "/users/42/x", False),
        ("~/a|/b", "/b", True),
        ("~/(a)(b)?", "/ab", True),
        (r"~/(\w)\1", "/aa", True),
        (r"~/(\w)\1", "/ab", False),
        ("~(?i)/api", "/API", True),
        (re.compile("/api", re.I), "/API/x", True),
        (re.compile("api"), "/api", False),
        ("GET /api", "/api", True),
        ("POST /api", "/api", False),
        ("GET ~/a.c", "/abc", True),
        ("GET *", "/x", True),
    ],
)
def test_a_pattern_matches(pattern: str | re.Pattern[str], path: str, wanted: bool) -> None:
    assert matches(pattern, path) is wanted


def reference(pattern: str, text: str) -> bool:
    """Whether `*` in the pattern can stand for something so that the whole text results, the slow way."""
    ends = {0}
    for char in pattern:
        if char == "*":
            ends = set(range(min(ends, default=len(text) + 1), len(text) + 1))
        else:
            ends = {end + 1 for end in ends if text[end : end + 1] == char}
    return len(text) in ends


@given(st.text("ab*/\n", max_size=9), st.text("ab/\n", max_size=14))
def test_a_star_matches_any_characters(pattern: str, text: str) -> None:
    operation, path = pattern.lstrip("~"), f"/{text}"
    found = sampled(OperationSampler([(operation, always_on)], always_off), name=text)
    assert found is reference(operation, text)
    assert matches(f"/{pattern}$", path) is reference(f"/{pattern}", path)
    below = any(reference(f"/{pattern}", path[:end]) for end in range(len(path) + 1) if path[end:][:1] in "/")
    begins = any(reference(f"/{pattern}", path[:end]) for end in range(len(path) + 1))
    assert matches(f"/{pattern}", path) is (begins if f"/{pattern}".endswith(("*", "/")) else below)


SLOW = {
    "many stars": ("/v*/item/*-*-*-*/price", "/v1/item/" + "-" * 200_000),
    "the same star": ("/" + "*a" * 20 + "b", "/" + "a" * 100_000),
    "stars alone": ("/" + "*" * 50 + "b", "/" + "a" * 100_000),
    "almost": ("/*ab*ab*ab*abc$", "/" + "ab" * 50_000),
    "every line": ("/*x\n*x\n*y", "/" + "x\n" * 50_000),
}


@pytest.mark.parametrize(("pattern", "text"), SLOW.values(), ids=SLOW)
def test_the_time_to_match_grows_linearly_with_the_length_of_the_path(pattern: str, text: str) -> None:
    start = process_time()
    assert not matches(pattern, text)
    assert not sampled(OperationSampler([(pattern, always_on)], always_off), name=text)
    assert process_time() - start < 20  # of the old patterns none ended in an hour


@pytest.mark.parametrize("pattern", ["api", "", "get /api", "GET api", "GET", "~(", "GET  /x", "~*"])
def test_an_invalid_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError):
        PathSampler([(pattern, always_on)], always_off)


@pytest.mark.parametrize("sampler", [None, 1.0, "always_on"])
def test_a_rule_without_a_sampler_is_refused_at_construction(sampler: Sampler) -> None:
    with pytest.raises(ConfigurationError, match="expected a pattern and a Sampler"):
        PathSampler([("/", sampler)], always_off)
    with pytest.raises(ConfigurationError, match="expected a pattern and a Sampler"):
        PathSampler([], sampler)
    with pytest.raises(ConfigurationError, match="expected a pattern and a Sampler"):
        OperationSampler([], sampler)


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({"url.path": "/api/x"}, True),
        ({"url.path": "/api", "url.query": "a=/static"}, True),
        ({"http.target": "/api/x?y=/static#z"}, True),
        ({"http.target": "/static?to=/api"}, False),
        ({"http.path": "/api"}, True),
        ({"http.url": "http://host:8080/api/x?q=1"}, True),
        ({"http.url": "https://host/static/api"}, False),
        ({"http.url": "http://api"}, False),
        ({"http.url": "http://host?x=/api"}, False),
        ({"http.url": "/api/x?q=http://other/static"}, True),
        ({"http.url": "http://host/api#frag"}, True),
        ({"url.full": "http://host/api"}, True),
        ({"url.path": "", "http.target": "/api"}, True),
        ({"url.path": "/static", "http.url": "http://host/api"}, False),
        ({"http.url": "api"}, False),
        ({"http.url": 7}, False),
        ({"http.route": "/api"}, False),
        ({}, False),
        (None, False),
    ],
    ids=str,
)
def test_the_path_comes_from_old_and_new_attributes_without_its_query(
    attributes: Mapping[str, AttributeValue] | None, wanted: bool
) -> None:
    sampler = PathSampler([("/static", always_off), ("/api", always_on)], always_off)
    assert sampled(sampler, attributes=attributes) is wanted


LOCATIONS = ["url.path", "http.target", "http.path", "http.url", "url.full"]


@pytest.mark.parametrize(("first", "second"), list(pairwise(LOCATIONS)))
def test_the_attributes_of_a_path_have_an_order(first: str, second: str) -> None:
    sampler = PathSampler([("/static", always_off), ("/api", always_on)], always_off)
    assert sampled(sampler, attributes={second: "/static", first: "/api"})
    assert not sampled(sampler, attributes={second: "/api", first: "/static"})


def test_the_new_attribute_of_a_method_comes_first() -> None:
    sampler = PathSampler([("POST /", always_on), ("/", always_off)], always_off)
    both = {"url.path": "/", "http.method": "GET", "http.request.method": "POST"}
    assert sampled(sampler, attributes=both)


@pytest.mark.parametrize("kind", SpanKind)
def test_a_pattern_may_begin_with_each_kind_of_span(kind: SpanKind) -> None:
    sampler = OperationSampler([(f"{kind.name.lower()} *", always_on)], always_off)
    assert [each for each in SpanKind if sampled(sampler, kind=each)] == [kind]


@pytest.mark.parametrize("name", ["http.method", "http.request.method"])
def test_the_method_comes_from_old_and_new_attributes(name: str) -> None:
    sampler = PathSampler([("POST /api", always_on), ("/api", always_off)], always_on)
    assert sampled(sampler, attributes={"url.path": "/api", name: "POST"})
    assert not sampled(sampler, attributes={"url.path": "/api", name: "GET"})
    assert not sampled(sampler, attributes={"url.path": "/api"})


def test_the_first_matching_rule_of_any_kind_decides() -> None:
    ordered: list[rules.Rule] = [
        ("/a/b$", always_on),
        ("~(?i)/A/B", always_off),
        ("PUT /a", always_on),
        (re.compile("/(a|c)/d"), always_on),
        ("/a", always_off),
        ("/c", always_off),
    ]
    sampler = PathSampler(ordered, always_on)
    wanted = {
        "/a/b": True,
        "/a/b/c": False,
        "/a/d": True,
        "/c/d": True,
        "/a/e": False,
        "/c/e": False,
        "/x": True,
    }
    assert {path: sampled(sampler, attributes={"url.path": path}) for path in wanted} == wanted
    assert sampled(sampler, attributes={"url.path": "/a/e", "http.method": "PUT"})


@given(
    st.lists(st.tuples(st.text("ab/*", max_size=4).map("/".__add__), st.booleans()), max_size=25),
    st.text("ab/", max_size=6).map("/".__add__),
)
def test_many_rules_compiled_together_decide_as_if_tried_one_by_one(
    pairs: list[tuple[str, bool]], path: str
) -> None:
    together = PathSampler([(pattern, ALWAYS_ON if on else ALWAYS_OFF) for pattern, on in pairs], always_on)
    wanted = next((on for pattern, on in pairs if matches(pattern, path)), True)
    assert sampled(together, attributes={"url.path": path}) is wanted


#: the method of a request -> whether the rules below sample it
METHODS = {"GET": True, "POST": False, "PUT": False, "": False}
KINDS = {SpanKind.SERVER: True, SpanKind.CONSUMER: False, SpanKind.INTERNAL: False}


@pytest.mark.parametrize("last", [[], [("/a", always_off)]], ids=["default", "a rule for all methods"])
@pytest.mark.parametrize("method", METHODS)
def test_a_rule_for_a_method_does_not_apply_to_another(method: str, last: list[Any]) -> None:
    rules = [("POST /a", always_off), ("GET /a", always_on), ("PUT /a", always_off), *last]
    sampler = PathSampler(rules, always_off)
    tags = {"url.path": "/a", **({"http.method": method} if method else {})}
    assert sampled(sampler, attributes=tags) is METHODS[method]


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_for_a_kind_does_not_apply_to_another(kind: SpanKind) -> None:
    rules = [("consumer a", always_off), ("server a", always_on), ("client a", always_on)]
    assert sampled(OperationSampler(rules, always_off), name="a", kind=kind) is KINDS[kind]


def test_path_rules_do_not_apply_to_client_spans() -> None:
    sampler = PathSampler([("/api", always_off)], always_on)
    assert sampled(sampler, attributes={"url.full": "http://other/api"}, kind=SpanKind.CLIENT)
    assert not sampled(sampler, attributes={"url.full": "http://other/api"}, kind=SpanKind.INTERNAL)


def test_the_cache_of_paths_is_bounded() -> None:
    table = rules.PatternRules([("/api", always_on)], rules.read_path)
    for length in (9000, 257, 256):
        assert table.find("", "/api/".ljust(length, "x")) is not None
    known = table._any._known
    assert [len(each) for each in known] == [256]
    for number in range(5000):
        assert table.find("", f"/api/{number}") is not None
    assert len(known) == 1024
    assert max(map(len, known)) <= 256


@pytest.mark.parametrize(
    ("pattern", "name", "kind", "wanted"),
    [
        ("users.list", "users.list", SpanKind.INTERNAL, True),
        ("users.list", "users.list2", SpanKind.INTERNAL, False),
        ("grpc.health.v1.Health/*", "grpc.health.v1.Health/Check", SpanKind.SERVER, True),
        ("*.list", "users.list", SpanKind.SERVER, True),
        ("*", "", SpanKind.SERVER, True),
        ("client SELECT*", "SELECT users", SpanKind.CLIENT, True),
        ("client SELECT*", "SELECT users", SpanKind.INTERNAL, False),
        ("consumer *", "orders process", SpanKind.CONSUMER, True),
        ("send mail", "send mail", SpanKind.INTERNAL, True),
        (r"~job-\d", "job-7-night", SpanKind.INTERNAL, True),
        (re.compile("JOB", re.I), "job", SpanKind.INTERNAL, True),
    ],
)
def test_an_operation_pattern_matches(
    pattern: str | re.Pattern[str], name: str, kind: SpanKind, wanted: bool
) -> None:
    sampler = OperationSampler([(pattern, always_on)], always_off)
    assert sampled(sampler, name, kind=kind) is wanted


def test_a_span_without_a_kind_is_internal() -> None:
    sampler = OperationSampler([("internal *", always_on)], always_off)
    assert sampler.should_sample(None, IDS[0], "work").decision is Decision.RECORD_AND_SAMPLE


def test_paths_and_operations_combine_by_default() -> None:
    rest = OperationSampler([("cron.*", always_on)], always_off)
    sampler = ParentBased(PathSampler([("/api", always_on)], rest))
    assert sampled(sampler, "GET", {"url.path": "/api"})
    assert sampled(sampler, "cron.nightly")
    assert not sampled(sampler, "GET", {"url.path": "/"})


def test_a_sampler_names_its_rules() -> None:
    sampler = PathSampler([("/api", always_on), (re.compile("/x"), always_off)], probability(0.01))
    assert sampler.get_description() == (
        "PathSampler{/api=AlwaysOnSampler,~/x=AlwaysOffSampler,*=TraceIdRatioBased{0.01}}"
    )
    assert OperationSampler([], always_on).get_description() == "OperationSampler{*=AlwaysOnSampler}"

"""Baggage as a whole: one item a key whatever headers it came in, and no more than fits, in every format."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ot_bridge.propagation import Propagator
from ot_bridge.wire import DEFAULT, LIMITS, RANDOM_TRACE_ID, Limits, Remote
from ot_bridge.wire.binary import binary_decode, binary_encode
from ot_bridge.wire.items import merged, prefixed_items, within_limits

CARRYING = ["baggage", "jaeger", "ottrace"]
BOTH_ORDERS = [["baggage", "jaeger"], ["jaeger", "baggage"]]
WORDS = st.text("abAB_-", min_size=1, max_size=3)
BAGGAGE = st.dictionaries(WORDS, st.sampled_from(["1", "2"]), max_size=4)


def written(formats: list[str], baggage: Mapping[str, str], **more: Any) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    Propagator(formats).encode(Remote(1, 2, 0, True, baggage=baggage, **more), headers)
    return headers


def over_http(headers: Mapping[str, Any], folds: bool) -> dict[str, Any]:
    """The headers as an HTTP server passes them on; folds: as in WSGI, which has no `-` in names."""
    return {
        (name.lower().replace("_", "-") if folds else name.lower()): text for name, text in headers.items()
    }


def read(formats: list[str], headers: Mapping[str, Any]) -> Mapping[str, str]:
    remote = Propagator(formats).decode(headers)
    return {} if remote is None else remote.baggage


@pytest.mark.parametrize("folds", [False, True], ids=["names with _", "WSGI"])
@pytest.mark.parametrize("formats", [*BOTH_ORDERS, CARRYING, CARRYING[::-1]], ids=",".join)
@pytest.mark.parametrize("key", ["userId", "USER", "user_id", "User_Id", "user-Id", "user"])
def test_an_item_stays_one_item_over_any_number_of_hops(formats: list[str], key: str, folds: bool) -> None:
    baggage: Mapping[str, str] = {key: "1"}
    for _ in range(4):
        headers = written(formats, baggage)
        assert sum(name.startswith("uberctx-") for name in headers) == 1
        baggage = read(formats, over_http(headers, folds))
        assert baggage == {key: "1"}


@pytest.mark.parametrize("formats", BOTH_ORDERS, ids=",".join)
def test_the_value_comes_from_the_first_format_and_the_key_from_the_one_that_keeps_its_case(
    formats: list[str],
) -> None:
    found = read(formats, {"baggage": "userId=of-baggage", "uberctx-userid": "of-jaeger"})
    assert found == {"userId": f"of-{formats[0]}"}


@pytest.mark.parametrize("formats", BOTH_ORDERS, ids=",".join)
def test_two_members_of_one_header_that_differ_only_in_case_are_separate_items(formats: list[str]) -> None:
    headers = {"baggage": "userId=1,userid=2,USERID=3", "uberctx-userid": "1,2,3"}
    assert read(formats, headers) == {"userId": "1", "userid": "2", "USERID": "3"}
    assert read(formats, {**headers, "baggage": "userId=1,USERID=3"}) == {"userId": "1", "USERID": "3"}


def test_keys_that_are_not_header_name_forms_of_each_other_are_separate_items() -> None:
    assert merged({"userId": "1"}, {"userID": "2"}) == {"userId": "1", "userID": "2"}
    assert merged({"user-Id": "1"}, {"user_id": "2"}) == {"user-Id": "1", "user_id": "2"}


def test_the_case_of_a_key_in_jaeger_baggage_is_kept() -> None:
    assert read(["jaeger"], {"jaeger-baggage": "userId=1,b=2", "uberctx-userid": "3"}) == {
        "userId": "3",
        "b": "2",
    }


@pytest.mark.parametrize("name", ["jaeger", "ottrace"])
def test_if_two_keys_have_the_same_header_name_the_item_set_last_is_sent(name: str) -> None:
    headers = written([name], {"userid": "old", "other": "x", "userId": "new"})
    prefix = {"jaeger": "uberctx-", "ottrace": "ot-baggage-"}[name]
    items = {key: value for key, value in headers.items() if key.startswith(prefix)}
    assert items == {f"{prefix}userId": "new", f"{prefix}other": "x"}


@given(BAGGAGE, BAGGAGE)
def test_joining_the_baggage_of_two_formats_neither_loses_nor_adds_items(
    first: dict[str, str], second: dict[str, str]
) -> None:
    found = merged(first, second)
    assert found.items() <= {*first.items(), *second.items()} | {(key, v) for key in second for v in "12"}
    assert {key.lower().replace("_", "-") for key in found} == {
        key.lower().replace("_", "-") for key in (*first, *second)
    }
    assert merged(first, first) == first
    assert merged(first, {}) == merged({}, first) == first
    for one in (first, second):
        if any(char.isupper() for key in one for char in key):
            assert {key for key in one if key.lower() != key} <= found.keys()


@pytest.mark.parametrize(
    "formats", [["baggage"], ["jaeger"], ["ottrace"], CARRYING, list(DEFAULT)], ids=",".join
)
@pytest.mark.parametrize("extras", [{}, RANDOM_TRACE_ID], ids=["", "random"])
def test_every_format_keeps_the_same_items_if_there_are_too_many(
    formats: list[str], extras: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    baggage = {f"k{number}": "v" for number in range(100)}
    for _ in range(3):
        headers = written(formats, baggage, extras=extras)
    kept = {f"k{number}": "v" for number in range(64)}
    for name in {*formats} & {*CARRYING}:
        assert read([name], headers) == kept
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "more baggage than 64 items or 8192 bytes" in caplog.text


@given(
    st.dictionaries(
        st.text(max_size=4), st.text("aé€😀,; %", max_size=400).map(lambda text: text * 9), max_size=9
    )
)
def test_every_format_writes_what_fits_and_all_write_the_same(baggage: dict[str, str]) -> None:
    kept = within_limits(baggage, {}, LIMITS)
    headers = written(["baggage", "jaeger"], baggage)
    assert len(headers.get("baggage", "")) <= 8192
    assert read(["baggage"], headers) == {key: value for key, value in kept.items() if key}
    names = {name.removeprefix("uberctx-") for name in headers if name.startswith("uberctx-")}
    assert {name.lower() for name in names} == {key.lower() for key in kept if key and names & {key}}
    assert (read(["baggage"], headers).keys() >= names) is True
    data = binary_decode(binary_encode(Remote(baggage=baggage)))
    assert ({} if data is None else data.baggage) == kept


def test_small_items_after_one_that_is_too_long_are_still_sent() -> None:
    headers = written(list(DEFAULT), {"long": "x" * 9000, "short": "1"})
    assert (headers["baggage"], headers["uberctx-short"]) == ("short=1", "1")
    assert "uberctx-long" not in headers


def test_a_member_with_properties_is_measured_with_them() -> None:
    raw = "v;" + "p" * 8185
    headers = written(["baggage", "jaeger"], {"k": "v", "b": "2"}, extras={"baggage:k": raw})
    assert headers["baggage"] == f"k={raw}"
    assert "uberctx-b" not in headers
    changed = written(["baggage", "jaeger"], {"k": "w", "b": "2"}, extras={"baggage:k": raw})
    assert changed["baggage"] == "k=w,b=2"


def test_baggage_sent_in_several_headers_is_limited_to_64_items_in_total() -> None:
    headers = {"baggage": ",".join(f"a{n}=1" for n in range(64)), **{f"uberctx-b{n}": "1" for n in range(64)}}
    assert sum(map(len, headers)) + len(headers["baggage"]) < 1200
    assert read(list(DEFAULT), headers) == {f"a{n}": "1" for n in range(64)}
    assert read(["jaeger", "baggage"], headers) == {f"b{n}": "1" for n in range(64)}
    propagator = Propagator(accept_baggage=["b1", "a1"])
    remote = propagator.decode({"baggage": "a1=1;p,a2=2;p", "uberctx-b1": "3"})
    assert remote == Remote(baggage={"a1": "1", "b1": "3"}, extras={"baggage:a1": "1;p"})


PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def test_keys_and_values_are_percent_encoded_where_the_grammar_or_peers_need_it() -> None:
    plain = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~"
    for safe, text in ((plain + "!#$&'*^`|", "key"), (plain + "!#$&'()*/:<=>?@[]^`{|}", "value")):
        for char in PRINTABLE + "\u00e9":
            found = written(["baggage"], {char: "v"} if text == "key" else {"k": char})["baggage"]
            quoted = found.removesuffix("=v") if text == "key" else found.removeprefix("k=")
            assert quoted == (char if char in safe else "".join(f"%{byte:02X}" for byte in char.encode()))


def test_jaegers_values_are_percent_encoded_but_for_letters_digits_and_a_few_marks() -> None:
    for char in PRINTABLE + "\u00e9":
        found = written(["jaeger"], {"k": char})["uberctx-k"]
        plain = (char.isascii() and char.isalnum()) or char in "-._~/"
        assert found == (char if plain else "".join(f"%{byte:02X}" for byte in char.encode()))


@pytest.mark.parametrize(("size", "kept"), [(8192, True), (8193, False)])
def test_an_item_with_its_comma_fills_the_limit_to_the_last_byte(size: int, kept: bool) -> None:
    first = {"a": "1" * 20}
    rest = {"k": "v" * (size - len("a=") - 20 - len(",k="))}
    headers = written(["baggage"], {**first, **rest})
    assert ("k=" in headers["baggage"]) is kept
    assert len(headers["baggage"]) == (size if kept else 22)


@pytest.mark.parametrize(("size", "kept"), [(8192, True), (8193, False)])
def test_a_header_with_a_prefix_fills_the_limit_without_its_prefix(size: int, kept: bool) -> None:
    value = "v" * (size - len("key"))
    found = prefixed_items({"uberctx-key": value}, "uberctx-", Limits())
    assert found == ({"key": value} if kept else {})

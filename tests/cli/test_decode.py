"""`ot-bridge decode` explains a header, or says why it is refused."""

from __future__ import annotations

import io
from typing import Any

import pytest

from ot_bridge.cli import main

UBER = "uber-trace-id: 5b8aa5a2d2c872e8321cf37308d69df2:51581bf3cb55c13:0:1"


class Output:
    """Runs the command; keeps what it printed."""

    def __init__(self, capture: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capture = capture
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        status = main(["decode", *arguments])
        out, err = self._capture.readouterr()
        return status, out, err


@pytest.fixture
def decode(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Output:
    return Output(capsys, monkeypatch)


def test_a_header_is_explained_and_shown_in_all_other_formats(decode: Output) -> None:
    status, out, _ = decode(UBER)
    assert status == 0
    assert out.startswith(
        "jaeger:\n"
        "  trace id     5b8aa5a2d2c872e8321cf37308d69df2\n"
        "  span id      051581bf3cb55c13\n"
        "  sampled      yes\n"
        "\n"
        "The same in other formats:\n"
        "  tracecontext\n"
        "    traceparent: 00-5b8aa5a2d2c872e8321cf37308d69df2-051581bf3cb55c13-01\n"
    )
    assert out.count("\n  jaeger\n") == out.count("uber-trace-id") == 0
    assert "  ottrace (without upper half of the trace id)\n    ot-tracer-traceid: 321cf37308d69df2\n" in out
    assert (
        "X-Amzn-Trace-Id: Root=1-5b8aa5a2-d2c872e8321cf37308d69df2;Parent=051581bf3cb55c13;Sampled=1" in out
    )
    assert "grpc-trace-bin: 00005b8aa5a2d2c872e8321cf37308d69df201051581bf3cb55c130201" in out


@pytest.mark.parametrize(
    ("header", "reason", "printed"),
    [
        (
            "uber-trace-id: abc:dxf:0:1",
            "uber-trace-id is refused: span id has a character that is not a hex digit",
            "  abc:dxf:0:1\n       ^",
        ),
        (
            "traceparent: 00-" + "1" * 32 + "-" + "2" * 16 + "-0g",
            "traceparent is refused: flags has a character that is not a lower-case hex digit",
            "  11111111111111111-2222222222222222-0g\n" + " " * 38 + "^",
        ),
        ("b3: 1-2-x", "b3 is refused: sampling state is none of 0, 1, d", "  1-2-x\n      ^"),
        (
            "uber-trace-id: \u00e9\x1b:1:0:1",
            "trace id has a character that is not a hex digit",
            "  \\xe9\\x1b:1:0:1\n  ^",
        ),
        ("X-B3-SpanId: 12", "x-b3-traceid is refused: trace id is missing", "  \n  ^"),
        ("trace_id: abc", "trace_id is refused: is not an integer of 128 bits, 1 or more", "  abc\n"),
        ("grpc-trace-bin: ?", "grpc-trace-bin is refused: is not bytes", "  ?\n"),
        ("grpc-trace-bin: 0100", "grpc-trace-bin is refused: is not of version 0", "  b'\\x01\\x00'\n"),
    ],
    ids=["jaeger", "cut", "b3", "escaped", "missing", "integer", "no bytes", "bytes"],
)
def test_an_error_message_points_at_the_wrong_character(
    decode: Output, header: str, reason: str, printed: str
) -> None:
    status, out, _ = decode(header)
    assert status == 1
    assert reason in out
    assert printed in out
    assert ("^" in out) == ("^" in printed)
    assert "other formats" not in out


def test_all_fields_of_a_format_are_shown(decode: Output) -> None:
    headers = [
        "uber-trace-id: abc:def:123:b",
        "uberctx-user: b%20ob%0d",
        "jaeger-debug-id: case",
        "traceparent: 00-" + "1" * 32 + "-" + "2" * 16 + "-03",
        "tracestate: vendor=x",
        "b3: 0",
    ]
    status, out, _ = decode(*headers)
    assert status == 0
    for line in (
        "  parent id    0000000000000123",
        "  debug        yes",
        "  debug id     case",
        "  baggage      user = b ob\\r",
        "  jaeger.flags 8",
        "  tracestate   vendor=x",
        "  w3c.random   1",
        "b3:\n  sampled      no",
    ):
        assert line + "\n" in out


@pytest.mark.parametrize(
    "arguments",
    [
        [UBER],
        ["-H", UBER],
        ["--header", UBER, "-H", "Host: example.com"],
        ["curl http://example.com/a -H '" + UBER + "' -H 'Accept: */*'"],
        ["-H", UBER, "http://example.com/"],
    ],
    ids=["argument", "-H", "--header", "curl command", "with an address"],
)
def test_headers_can_be_given_in_many_forms(decode: Output, arguments: list[str]) -> None:
    status, out, _ = decode(*arguments)
    assert status == 0
    assert "trace id     5b8aa5a2d2c872e8321cf37308d69df2" in out


@pytest.mark.parametrize(
    "text",
    [
        f"GET / HTTP/1.1\r\nHost: example.com\r\n{UBER}\r\n\r\n",
        f"curl 'http://example.com/' \\\n  -H 'Accept: */*' \\\n  -H '{UBER}' \\\n  --compressed\n",
        f"curl 'not closed\n{UBER}\n",
    ],
    ids=["a request", "a curl command", "nonsense and a header"],
)
def test_standard_input_is_read_if_there_are_no_arguments(decode: Output, text: str) -> None:
    status, out, _ = decode(stdin=text)
    assert status == 0
    assert "trace id     5b8aa5a2d2c872e8321cf37308d69df2" in out


@pytest.mark.parametrize(
    "header",
    [
        "grpc-trace-bin: AAAK92UZFs1D3YRI6yEcgDGcAbeta3FpIDMxAgE",
        "grpc-trace-bin: AAAK92UZFs1D3YRI6yEcgDGcAbeta3FpIDMxAgE=",
        "grpc-trace-bin: AAAK92UZFs1D3YRI6yEcgDGc",
        "grpc-trace-bin: AAAK92UZFs1D3YRI6yEcgDGcAbeta3FpIDMxAgEDAA",
        "grpc-trace-bin: 00000af7651916cd43dd8448eb211c80319c",
    ],
    ids=["base64", "padded", "only a trace id", "with a new field", "hex"],
)
def test_bytes_may_be_given_in_base64_or_hex(decode: Output, header: str) -> None:
    status, out, _ = decode(header)
    assert status == 0
    assert "trace id     0af7651916cd43dd8448eb211c80319c" in out


def test_integers_may_be_given_for_tchannel(decode: Output) -> None:
    status, out, _ = decode("trace_id: 18", "span_id: 22", "traceflags: 1")
    assert status == 0
    assert "trace id     00000000000000000000000000000012" in out


def test_without_a_tracing_header_the_known_ones_are_listed(decode: Output) -> None:
    status, out, err = decode("user-agent: curl")
    assert (status, out) == (2, "")
    assert err.splitlines() == [
        "No tracing header in what was given. Known are:",
        "  traceparent, tracestate",
        "  baggage",
        "  uber-trace-id, jaeger-debug-id, jaeger-baggage, uberctx-...",
        "  b3",
        "  x-b3-traceid, x-b3-spanid, x-b3-parentspanid, x-b3-sampled, x-b3-flags",
        "  ot-tracer-traceid, ot-tracer-spanid, ot-tracer-sampled, ot-baggage-...",
        "  x-amzn-trace-id",
        "  grpc-trace-bin",
        "  binary",
        "  trace_id, span_id, parent_id, traceflags",
    ]


def test_a_missing_span_id_and_a_missing_decision_are_shown(decode: Output) -> None:
    _, out, _ = decode("X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678")
    assert "span id      none: a new span is due" in out
    assert "sampled      not decided yet" in out


def test_a_header_without_a_trace_context_decodes_to_nothing(decode: Output) -> None:
    status, out, _ = decode("tracestate: a=b")
    assert status == 0
    assert out == "tracecontext:\n   " + " " * 12 + "nothing\n\n"


def test_a_broken_header_is_refused_and_a_valid_one_still_decoded(decode: Output) -> None:
    status, out, _ = decode(UBER, "b3: broken")
    assert status == 1
    assert "b3 is refused" in out
    assert "The same in other formats:" in out


@pytest.mark.parametrize(
    "arguments", [["Host: example.com"], ["nonsense"], []], ids=["other", "nonsense", "nothing"]
)
def test_without_a_tracing_header_the_known_ones_are_named(decode: Output, arguments: Any) -> None:
    status, out, err = decode(*arguments)
    assert (status, out) == (2, "")
    assert "No tracing header" in err
    assert "  uber-trace-id, jaeger-debug-id, jaeger-baggage, uberctx-...\n" in err


COMMANDS = {
    "-H": "curl -H '{0}' http://localhost",
    "joined": "curl -H'{0}' http://localhost",
    "with others": "curl -sH '{0}' http://localhost",
    "with others, joined": "curl -sSkH'{0}' http://localhost",
    "--header": "$ curl --header '{0}' http://localhost",
    "--header=": "curl http://localhost --header='{0}'",
    "without curl": "-H '{0}'",
    "over several lines": "curl http://localhost \\\n  -X POST \\\n  -H '{0}'",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_headers_are_read_as_curl_reads_them(decode: Output, command: str) -> None:
    assert decode(stdin=command.format(UBER))[1].startswith("jaeger:\n")


def test_text_in_a_header_value_is_not_read_as_an_option(decode: Output) -> None:
    status, out, _ = decode(stdin=f"{UBER}\nx-note: curl -H nothing\n")
    assert (status, out.startswith("jaeger:\n")) == (0, True)


@pytest.mark.parametrize("option", [["-H", UBER], [f"-H{UBER}"], ["--header", UBER], [f"--header={UBER}"]])
def test_options_are_read_as_curl_reads_them(decode: Output, option: list[str]) -> None:
    assert decode(*option)[1].startswith("jaeger:\n")

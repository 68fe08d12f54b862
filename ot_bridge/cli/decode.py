"""`ot-bridge decode`: explains tracing headers, or why one is refused, and converts them to all formats.

Headers are given as arguments (`name: value`), as curl's `-H`, or on standard input: one per line, or a curl
command.
"""

from __future__ import annotations

import argparse
import base64
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Final

from ot_bridge.errors import BadHeader
from ot_bridge.propagation import Propagator
from ot_bridge.wire import FORMATS, Format, Remote
from ot_bridge.wire.losses import losses

Headers = list[tuple[str, Any]]

_header = re.compile(r"\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+):\s?(.*)").fullmatch
_curl = re.compile(r"\s*(\$\s+)?(curl(\.exe)?|-H|--header)\b").match
# A group of curl's one-letter options without a value that ends with -H, and the text right after it.
_header_option = re.compile(
    r"--header(?:=|$)(.*)|-[#0-46aBfgGiIjJklLMnNOpqRsSvVZ]*H(.*)", re.DOTALL
).fullmatch
_WIDTH = 72
_DECISIONS = {True: "yes", False: "no", None: "not decided yet"}


EPILOG: Final = """\
examples:
  ot-bridge decode 'uber-trace-id: 5b8aa5a2d2c872e8321cf37308d69df2:51581bf3cb55c13:0:1'
  ot-bridge decode -H 'b3: 463ac35c9f6413ad-72485a3953bb6124-1' -H 'baggage: user=ann'
  ot-bridge decode < headers.txt      # one per line, or a browser's "Copy as cURL"

exit status: 0 all headers could be read, 1 at least one was refused, 2 none was a tracing header.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `run` reads."""
    parser.add_argument("headers", nargs="*", metavar="HEADER", help="'name: value', or a curl command")
    parser.add_argument(
        "-H",
        "--header",
        action="append",
        default=[],
        dest="curl_headers",
        metavar="HEADER",
        help="a header, as for curl -H",
    )


def run(args: argparse.Namespace) -> int:
    """Prints what the headers contain. Returns the exit status that `EPILOG` describes."""
    given = [*args.headers, *args.curl_headers]
    headers = parse_headers(given or [sys.stdin.read()])
    formats = [format for format in FORMATS.values() if any(claims(format, name) for name, _ in headers)]
    if not formats:
        print("No tracing header in what was given. Known are:", file=sys.stderr)
        print(*(f"  {name}" for name in _known()), sep="\n", file=sys.stderr)
        return 2
    refused = False
    for format in formats:
        try:
            remote = Propagator([format]).decode(headers)
        except BadHeader as error:
            refused = True
            print(*_refusal(error), sep="\n")
        else:
            print(f"{format.name}:", *_describe(remote or Remote()), sep="\n")
        print()
    together = _decoded_by_all(formats, headers)
    if together is not None:
        print("The same in other formats:", *_in_other_formats(together, formats), sep="\n")
    return int(refused)


def parse_headers(texts: Iterable[str]) -> Headers:
    """The headers in these texts. Each text is a header, lines of headers, or a curl command."""
    lines = [line for text in texts for line in _split(text)]
    return [parsed for line in lines if (parsed := _parse(line))]


def _split(text: str) -> Iterable[str]:
    """Splits a header, lines of headers or a curl command into single headers."""
    if not _curl(text):
        return text.splitlines()
    try:
        words = shlex.split(text.replace("\\\n", " "))
    except ValueError:
        return text.splitlines()
    return [
        match[1] or match[2] or after
        for word, after in pairwise([*words, ""])
        if (match := _header_option(word))
    ]


def _parse(line: str) -> tuple[str, Any] | None:
    match = _header(line)
    if match is None:
        return None
    name, value = match[1].lower(), match[2].strip(" \t\r")
    if name in FORMATS["zipkin-span-format"].fields:
        return name, int(value) if value.isdecimal() and len(value) < 40 else value
    raw = any(format.raw and name in format.fields for format in FORMATS.values())
    return name, _bytes(value) if raw else value


def _bytes(value: str) -> bytes | str:
    """The bytes that a text in hex or base64 stands for. Any other text is encoded as it is."""
    try:
        return bytes.fromhex(value)
    except ValueError:
        pass
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except ValueError:
        return value


def claims(format: Format, name: str) -> bool:
    """Whether a header of this name (in lower case) belongs to the format."""
    return name in format.fields or name.startswith(format.prefixes)


def _known() -> Iterator[str]:
    for format in FORMATS.values():
        yield ", ".join([*format.fields, *(prefix + "..." for prefix in format.prefixes)])


def _describe(remote: Remote) -> Iterator[str]:
    rows: list[tuple[str, object]] = []
    if remote.trace_id:
        rows.append(("trace id", f"{remote.trace_id:032x}"))
        rows.append(("span id", f"{remote.span_id:016x}" if remote.span_id else "none: a new span is due"))
    if remote.parent_id:
        rows.append(("parent id", f"{remote.parent_id:016x}"))
    if remote.trace_id or remote.sampled is not None:
        rows.append(("sampled", _DECISIONS[remote.sampled]))
    if remote.debug:
        rows.append(("debug", "yes"))
    if remote.debug_id:
        rows.append(("debug id", _escape(remote.debug_id)))
    rows += [("baggage", f"{_escape(key)} = {_escape(value)}") for key, value in remote.baggage.items()]
    if remote.tracestate:
        rows.append(("tracestate", _escape(remote.tracestate)))
    rows += [(name, _escape(text)) for name, text in remote.extras.items()]
    for name, text in rows or [("", "nothing")]:
        yield f"  {name:12} {text}"


def _refusal(error: BadHeader) -> Iterator[str]:
    """Three lines: the reason, the part of the escaped value that fits, and an arrow to the bad character."""
    yield f"{error.header} is refused: {error.reason}"
    value = error.value if isinstance(error.value, str) else repr(error.value)
    at = error.position if isinstance(error.value, str) else None
    start = max(0, (at or 0) - _WIDTH // 2)
    before = _escape(value[start : at or 0])
    yield f"  {before}{_escape(value[at or 0 : start + _WIDTH])}"
    if at is not None:
        yield "  " + " " * len(before) + "^"


def _escape(text: str) -> str:
    """The text in printable ASCII, with all other characters escaped."""
    return "".join(char if " " <= char <= "~" else ascii(char)[1:-1] for char in text)


def _decoded_by_all(formats: list[Format], headers: Headers) -> Remote | None:
    try:
        remote = Propagator(formats).decode(headers)
    except BadHeader:
        return None
    return remote


def _in_other_formats(remote: Remote, given: list[Format]) -> Iterator[str]:
    for format in FORMATS.values():
        if format in given:
            continue
        headers: dict[str, Any] = {}
        Propagator([format], raw=True).encode(remote, headers)
        lost = losses(remote, format)
        if headers:
            yield f"  {format.name}" + (f" (without {', '.join(lost)})" if lost else "")
            yield from (f"    {name}: {_as_text(value)}" for name, value in headers.items())


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return _escape(str(value))

"""Each form of a log as it is rewritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.migrate.test_rewrite import HEAD, START, body

GET = "span = trace.get_tracer(__name__).start_span('a')\n"
ROWS = {
    "log_event('x')": 'add_event("x", {"event": "x"})',
    "log_event('x', p)": 'add_event("x", {"event": "x", "payload": p})',
    "log_event('x', payload=None)": 'add_event("x", {"event": "x"})',
    "log(event='x', payload=1, timestamp=t)": (
        'add_event("x", {"event": "x", "payload": 1}, timestamp=int(t * 1e9))'
    ),
    "log(event='x', payload=None)": 'add_event("x", {"event": "x", "payload": str(None)})',
    "log(payload=p)": 'add_event("log", {"payload": p})',
    "log()": 'add_event("log", {})',
    "log_kv({'event': 'x'}, t)": "add_event(\"x\", {'event': 'x'}, timestamp=int(t * 1e9))",
    "log_kv({'event': 'a{b}'})": "add_event(\"a{b}\", {'event': 'a{b}'})",
    "log_kv({'a': 1}, timestamp=2)": "add_event(\"log\", {'a': 1}, timestamp=int(2 * 1e9))",
}


@pytest.mark.parametrize("call", ROWS)
def test_a_log_becomes_an_event_with_the_same_fields_and_time(call: str, tmp_path: Path) -> None:
    assert body(f"{HEAD}{START}span.{call}\n", tmp_path) == f"{GET}span.{ROWS[call]}"


@pytest.mark.parametrize("call", ["log(event='error')", "log(event=given)", "log(event='x', other=1)"])
def test_a_log_that_may_be_an_error_or_has_other_fields_is_left(call: str, tmp_path: Path) -> None:
    found = body(f"{HEAD}{START}span.{call}\n", tmp_path)
    assert found.startswith("# ot-bridge: OTB305 the content of the log is not known")
    assert found.endswith(f"{START}span.{call}")

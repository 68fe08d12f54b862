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
    "log_kv({'event': 'error'})": 'add_event("exception", {"event": "error"})',
    "log_kv({'event': 'error', 'message': m, 'a': 1})": (
        'add_event("exception", {"event": "error", "exception.message": m, "a": 1})'
    ),
    "log_kv({'error.kind': k, 'event': 'error', 'stack': None}, t)": (
        'add_event("exception", {"event": "error", "exception.type": k, "exception.stacktrace": str(None)}, '
        "timestamp=int(t * 1e9))"
    ),
    "log_kv({'a': 1}, timestamp=2)": "add_event(\"log\", {'a': 1}, timestamp=int(2 * 1e9))",
}


@pytest.mark.parametrize("call", ROWS)
def test_a_log_becomes_an_event_with_the_same_fields_and_time(call: str, tmp_path: Path) -> None:
    assert body(f"{HEAD}{START}span.{call}\n", tmp_path) == f"{GET}span.{ROWS[call]}"


#: fields of an error beside its exception -> the arguments of record_exception after that
ERRORS = {
    "": '{"event": "error"}',
    "'error.kind': type(e), 'stack': s, 'message': str(e)": '{"event": "error"}',
    "'message': 'no'": '{"event": "error", "message": \'no\'}',
    "'a': 1, 'message': str(x), 'b': None": '{"event": "error", "a": 1, "message": str(x), "b": str(None)}',
}


@pytest.mark.parametrize("fields", ERRORS)
@pytest.mark.parametrize(("time", "after"), [("", ""), (", t", ", timestamp=int(t * 1e9)")])
def test_an_error_with_its_exception_is_recorded(fields: str, time: str, after: str, tmp_path: Path) -> None:
    block = "try:\n    pass\nexcept OSError as e:\n    span."
    given = ", ".join(each for each in ("'event': 'error'", fields, "'error.object': e") if each)
    found = body(f"{HEAD}{START}{block}log_kv({{{given}}}{time})\n", tmp_path)
    assert found == f"{GET}{block}record_exception(e, attributes={ERRORS[fields]}{after})"


ENDS = {"raise": True, "raise e": True, "raise ValueError": False, "raise x.e": False, "return e": False}
AROUND = {
    "with opentracing.tracer.start_span('a') as s:\n    ": "s",
    "with other, opentracing.tracer.start_active_span('a') as s:\n    ": "s.span",
}


@pytest.mark.parametrize(("end", "leaves"), ENDS.items())
@pytest.mark.parametrize(("around", "span"), AROUND.items())
def test_a_log_of_an_exception_that_the_block_of_its_span_records_is_dropped(
    end: str, leaves: bool, around: str, span: str, tmp_path: Path
) -> None:
    log = f"{span}.log_kv({{'event': 'error', 'error.object': e}})"
    handler = f"try:\n            f()\n        except OSError as e:\n            {log}\n            {end}\n"
    found = body(f"{HEAD}def g():\n    {around}    {handler}", tmp_path)
    assert "log_kv" not in found
    assert ('s.record_exception(e, attributes={"event": "error"})\n' not in found) is leaves


@pytest.mark.parametrize(
    "around",
    [
        f"{START}with other:\n",
        f"{START}with opentracing.tracer.start_span('b'):\n",
        "with opentracing.tracer.start_span('a') as span:\n  def g():\n",
    ],
)
def test_a_log_of_an_exception_that_leaves_another_block_is_kept(around: str, tmp_path: Path) -> None:
    log = "span.log_kv({'event': 'error', 'error.object': e})"
    handler = f"    try:\n        f()\n    except OSError as e:\n        {log}\n        raise\n"
    found = body(HEAD + around + handler, tmp_path)
    assert 'span.record_exception(e, attributes={"event": "error"})\n' in found


@pytest.mark.parametrize("call", ["log(event='error')", "log(event=given)", "log(event='x', other=1)"])
def test_a_log_that_may_be_an_error_or_has_other_fields_is_left(call: str, tmp_path: Path) -> None:
    found = body(f"{HEAD}{START}span.{call}\n", tmp_path)
    assert found.startswith("# ot-bridge: OTB305 the content of the log is not known")
    assert found.endswith(f"{START}span.{call}")

"""Generated programs: scopes of ours, OpenTelemetry's spans and its baggage, closed in any order, anywhere.

Whatever a program does: after its last close, no span that was made active through OpenTracing is active
for either API in the thread, task or generator's caller that opened it, or becomes the parent of the next
span there. Tasks and copies of a context that inherited an open scope may keep it.

One kind of program is not checked: if OpenTelemetry code detaches its own baggage before what it attached
later, OpenTelemetry brings back a context that it has copied, as it does with its own spans.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import queue
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach, get_current
from opentelemetry.sdk import trace as sdk

from ot_bridge.bridge import Span, Tracer, create_tracer
from ot_bridge.bridge.keys import SCOPE_KEY


class Place:
    """Where code runs, with a context of its own: a thread, or a task (which has a copy of another's)."""

    def run(self, step: Callable[[], Any]) -> Any:
        raise NotImplementedError

    def stop(self) -> None:
        """Called at the end of the program."""


class Task(Place):
    """As asyncio's: every step runs in one context. inherited: the spans that are active from the start."""

    def __init__(self, parent: Place | None) -> None:
        self._context = contextvars.Context() if parent is None else parent.run(contextvars.copy_context)

    def run(self, step: Callable[[], Any]) -> Any:
        return self._context.run(step)


class Thread(Place):
    def __init__(self) -> None:
        self._steps: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while (step := self._steps.get()) is not None:
            try:
                self._results.put((step(), None))
            except BaseException as error:
                self._results.put((None, error))

    def run(self, step: Callable[[], Any]) -> Any:
        self._steps.put(step)
        result, error = self._results.get()
        if error is not None:
            raise error
        return result

    def stop(self) -> None:
        self._steps.put(None)
        self._thread.join()


def _step(awaitable: Any) -> None:
    """Runs a coroutine that waits for nothing."""
    with contextlib.suppress(StopIteration, StopAsyncIteration):
        awaitable.send(None)


class Opened:
    """An open scope, span or token, and how to close it. anywhere: whether any place may do so."""

    def __init__(self, place: Place, close: Callable[[], object], anywhere: bool) -> None:
        self.place = place
        self.close = close
        self.anywhere = anywhere


class Program:
    """One generated program. done_steps: its steps, for the message if it fails."""

    def __init__(self, seed: int, tracer: Tracer, native: trace.Tracer) -> None:
        self.random = random.Random(seed)
        self.tracer = tracer
        self.native = native
        self.places: list[Place] = [Task(None)]
        self.inherits: dict[Place, bool] = {self.places[0]: False}
        self.opened: list[Opened] = []
        self.spans: dict[Place, list[Span]] = {}
        self.done_steps: list[str] = []
        self.crossed = False  # whether OpenTelemetry's own things were closed in another than inverse order
        self.attached = False  # whether OpenTelemetry code has attached baggage
        steps = {self._ours: 2, self._fast: 2, self._lazily: 2, self._theirs: 2, self._baggage: 1}
        self.steps = [*steps, self._again, self._place]
        self.weights = [*steps.values(), 1, 2]

    def run(self) -> None:
        """Opens and closes in a random order until all is closed."""
        try:
            for _ in range(self.random.randint(2, 14)):
                if self.opened and self.random.random() < 0.4:
                    self._close()
                else:
                    self.random.choices(self.steps, self.weights)[0]()
            while self.opened:
                self._close()
            for place, spans in self.spans.items():
                place.run(partial(self._check, spans))
        finally:
            for place in self.places:
                place.stop()

    def _tell(self, what: str, place: Place) -> None:
        self.done_steps.append(f"{what} in {self.places.index(place)}")

    def _say(self, what: str, step: Callable[[], object]) -> None:
        self.done_steps.append(what)
        step()

    def _place(self) -> None:
        if len(self.places) < 4:
            parent = self.random.choice(self.places)
            kind = self.random.choice(["thread", "task", "copy"])
            made = Thread() if kind == "thread" else Task(parent if kind == "copy" else None)
            self.places.append(made)
            self.inherits[made] = kind == "copy"
            self._tell(f"{kind} of {self.places.index(parent)}", made)

    def _kept(self, place: Place, span: Any) -> Span:
        if self.random.random() < 0.3:
            span.set_baggage_item("by", str(len(self.done_steps)))
        self.spans.setdefault(place, []).append(span)
        return span  # type: ignore[no-any-return]

    def _started(self, place: Place) -> Span:
        return self._kept(place, self.tracer.start_span(f"s{len(self.done_steps)}"))

    def _will_close(self, name: str, place: Place, close: Callable[[], object], anywhere: bool) -> None:
        self.opened.append(Opened(place, lambda: self._say(f"close {name}", close), anywhere))

    def _ours(self) -> None:
        place = self.random.choice(self.places)
        nothing: Any = None
        finish = self.random.random() < 0.7

        def opens() -> Any:
            if self.random.random() < 0.1:
                return self.tracer.scope_manager.activate(nothing, finish)
            return self.tracer.scope_manager.activate(self._started(place), finish)

        name = f"s{len(self.done_steps)}"
        self._tell(f"open {name}", place)
        self._will_close(name, place, place.run(opens).close, True)

    def _fast(self) -> None:
        """`start_active_span`. The span may also be finished at any time, and the scope closed twice."""
        place = self.random.choice(self.places)
        name = f"s{len(self.done_steps)}"
        tags = {"sampling.priority": self.random.randint(0, 1)} if self.random.random() < 0.2 else None
        options: dict[str, Any] = {"ignore_active_span": self.random.random() < 0.2, "tags": tags}
        self._tell(f"start {name}", place)
        scope = place.run(partial(self.tracer.start_active_span, name, **options))
        self._kept(place, scope.span)
        self._will_close(name, place, scope.close, True)
        if self.random.random() < 0.2:
            self._will_close(f"{name} by finish", place, scope.span.finish, True)
        if self.random.random() < 0.1:
            self._will_close(f"{name} again", place, scope.close, True)

    def _again(self) -> None:
        """Another scope for a span of this place. A task or copy may have inherited it: it keeps that."""
        place = self.random.choice(self.places)
        if place in self.spans and not self.inherits[place]:
            span = self.random.choice(self.spans[place])
            name = f"s{len(self.done_steps)}"
            self._tell(f"open {name}, a span that was active", place)
            scope = place.run(partial(self.tracer.scope_manager.activate, span, False))
            self._will_close(name, place, scope.close, True)

    def _lazily(self) -> None:
        """A scope inside a generator, which is closed when that is, or when it is dropped."""
        place = self.random.choice(self.places)

        def rows() -> Iterator[int]:
            with self.tracer.scope_manager.activate(self._started(place), True):
                yield 1

        async def later() -> AsyncIterator[int]:
            with self.tracer.scope_manager.activate(self._started(place), True):
                yield 1

        name = f"s{len(self.done_steps)} in a generator"
        self._tell(f"open {name}", place)
        if self.random.random() < 0.5:
            generator = later()
            place.run(lambda: _step(generator.__anext__()))
            self._will_close(name, place, lambda: _step(generator.aclose()), True)  # type: ignore[attr-defined]
        else:
            kept = [rows()]
            place.run(lambda: next(kept[0]))
            self._will_close(name, place, kept.clear, True)

    def _theirs(self) -> None:
        place = self.random.choice(self.places)
        name = f"o{len(self.done_steps)}"
        manager = self.native.start_as_current_span(name)
        self._tell(f"open {name}", place)
        place.run(manager.__enter__)
        self._will_close(name, place, partial(manager.__exit__, None, None, None), False)

    def _baggage(self) -> None:
        place = self.random.choice(self.places)
        name = f"b{len(self.done_steps)}"
        self._tell(f"attach {name}", place)
        token = place.run(lambda: attach(baggage.set_baggage(name, "1")))
        self._will_close(name, place, partial(detach, token), False)
        self.attached = True

    def _close(self) -> None:
        number = self.random.randrange(len(self.opened))
        opened = self.opened.pop(number)
        place = opened.place
        if not opened.anywhere:
            inner = self.opened[number:]
            self.crossed |= any(not each.anywhere and each.place is place for each in inner)
        if opened.anywhere and self.random.random() < 0.4:
            place = self.random.choice(self.places)
        place.run(opened.close)
        self.done_steps[-1] += f" in {self.places.index(place)}"

    def _check(self, spans: list[Span]) -> None:
        def ours(span: object) -> bool:
            return any(span is each or span is each.unwrap() for each in spans)

        if self.crossed and self.attached:
            return
        assert not ours(trace.get_current_span()), self.done_steps
        assert not ours(self.tracer.active_span), self.done_steps
        following = self.tracer.start_span("following").context.parent_id
        assert following not in [span.context.span_id for span in spans], self.done_steps
        if not self.crossed:  # otherwise OpenTelemetry restores the context that it has copied
            assert getattr(get_current().get(SCOPE_KEY), "span", None) not in spans, self.done_steps
            for span in spans:  # an item of its own, since the place may have inherited a scope of another
                span.set_baggage_item(item := f"{span.context.span_id:x}", "1")
                assert baggage.get_baggage(item) is None, self.done_steps


def _programs(seeds: range, provider_class: type[sdk.TracerProvider], own: bool) -> None:
    provider = provider_class(shutdown_on_exit=False)
    tracer = create_tracer(provider)
    other = provider if own else sdk.TracerProvider(shutdown_on_exit=False)
    native = other.get_tracer("native")
    for seed in seeds:
        program = Program(seed, tracer, native)
        try:
            program.run()
        except Exception as error:
            raise AssertionError(f"program {seed}: {program.done_steps}") from error


@pytest.fixture(autouse=True)
def _no_complaints(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(
        logging.CRITICAL
    )  # OpenTelemetry logs that it cannot detach tokens that are closed out of order


@pytest.mark.parametrize("own", [True, False], ids=["one provider", "two providers"])
def test_no_generated_program_leaves_a_span_of_ours_active(
    provider_class: type[sdk.TracerProvider], own: bool
) -> None:
    _programs(range(700), provider_class, own)


@pytest.mark.fuzz
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("own", [True, False], ids=["one provider", "two providers"])
def test_none_of_many_thousand_generated_programs_leaves_a_span_of_ours_active(
    provider_class: type[sdk.TracerProvider], own: bool
) -> None:
    _programs(range(1000, 30_000), provider_class, own)

"""asyncio: tasks inherit what is active."""

import asyncio

import opentracing


async def fetch(name):
    with opentracing.tracer.start_active_span(f"fetch {name}") as scope:
        await asyncio.sleep(0)
        scope.span.set_tag("name", name)
        await inner()


async def inner():
    with opentracing.tracer.start_span("inner") as span:
        span.set_tag("inner", 1)


async def main():
    with opentracing.tracer.start_active_span("all"):
        await fetch("first")
        await fetch("second")

"""XRayExporter against moto, which checks the wire's shape and little else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import botocore.session
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from ot_bridge.xray import XRayExporter, XRayIdGenerator

pytestmark = pytest.mark.moto


@pytest.fixture
def moto() -> Iterator[str]:
    pytest.importorskip("aws_xray_sdk")  # moto's X-Ray needs it
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


def test_exported_segments_can_be_read_back_from_moto(moto: str) -> None:
    exporter = XRayExporter("eu-west-1", endpoint=moto)
    provider = TracerProvider(id_generator=XRayIdGenerator(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    with provider.get_tracer("t").start_as_current_span("root") as root:
        for number in range(70):
            provider.get_tracer("t").start_span(f"child {number}").end()
    provider.shutdown()
    assert exporter.failed == {}
    trace = f"{root.get_span_context().trace_id:032x}"
    id_ = f"1-{trace[:8]}-{trace[8:]}"
    client = botocore.session.get_session().create_client("xray", region_name="eu-west-1", endpoint_url=moto)
    (read,) = client.batch_get_traces(TraceIds=[id_])["Traces"]
    documents = [json.loads(segment["Document"]) for segment in read["Segments"]]
    assert {document["name"] for document in documents} == {"root"} | {
        f"child {number}" for number in range(70)
    }
    assert all(document["end_time"] <= time.time() for document in documents)


def test_segments_that_moto_refuses_are_counted(moto: str, caplog: pytest.LogCaptureFixture) -> None:
    exporter = XRayExporter("eu-west-1", endpoint=f"{moto}/nowhere")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    provider.get_tracer("t").start_span("s").end()
    provider.shutdown()
    assert exporter.failed == {"status": 1}
    assert "1 span is lost on the way to" in caplog.text

"""The code that the client and the server of this example share."""

import sys
from pathlib import Path

from google.protobuf import wrappers_pb2
from jaeger_client import Config
from opentracing.scope_managers.contextvars import ContextVarsScopeManager

METHOD = "/echo.Echo/Say"
Text = wrappers_pb2.StringValue


def initialize(service_name: str):
    """Returns a jaeger-client tracer that keeps active spans in context variables."""
    config = Config(
        {"sampler": {"type": "const", "param": 1}, "local_agent": {"reporting_host": "jaeger-agent"}},
        service_name=service_name,
        scope_manager=ContextVarsScopeManager(),
    )
    return config.initialize_tracer()


#: Where the server writes the port that it listens on.
PORT_FILE = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("port")

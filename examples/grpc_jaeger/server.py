"""A gRPC server with jaeger-client and grpcio-opentracing.

python server.py                        on jaeger-client
ot-bridge run -- python server.py       on OpenTelemetry
"""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_opentracing import open_tracing_server_interceptor
from grpc_opentracing.grpcext import intercept_server
from tracing import PORT_FILE, Text, initialize

tracer = initialize("echo-server")


def say(request, context):
    span = context.get_active_span()
    span.set_tag("length", len(request.value))
    with tracer.start_active_span("think", child_of=span) as scope:
        scope.span.log_kv({"event": "thought", "customer": span.get_baggage_item("customer")})
    if not request.value:
        context.set_code(grpc.StatusCode.INVALID_ARGUMENT)
        context.set_details("nothing to say")
    return Text(value=request.value.upper())


handler = grpc.unary_unary_rpc_method_handler(say, Text.FromString, Text.SerializeToString)
server = intercept_server(grpc.server(ThreadPoolExecutor(4)), open_tracing_server_interceptor(tracer))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo.Echo", {"Say": handler}),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()

stop = threading.Event()
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *args: stop.set())
new = PORT_FILE.with_suffix(".new")
new.write_text(str(port))
os.replace(new, PORT_FILE)

stop.wait()
PORT_FILE.unlink()
server.stop(1).wait()

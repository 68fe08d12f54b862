"""The client of `server.py`: `python client.py`, or `ot-bridge run -- python client.py`."""

import grpc
from grpc_opentracing import SpanDecorator, open_tracing_client_interceptor
from grpc_opentracing.grpcext import intercept_channel
from tracing import METHOD, PORT_FILE, Text, initialize

tracer = initialize("echo-client")


class Tagging(SpanDecorator):
    def __call__(self, span, rpc_info):
        span.set_tag("method.length", len(rpc_info.full_method))


interceptor = open_tracing_client_interceptor(tracer, log_payloads=True, span_decorator=Tagging())
plain = grpc.insecure_channel(f"127.0.0.1:{PORT_FILE.read_text()}")
channel = intercept_channel(plain, interceptor)
say = channel.unary_unary(METHOD, Text.SerializeToString, Text.FromString)

with tracer.start_active_span("conversation") as scope:
    scope.span.set_baggage_item("customer", "ann")
    print(say(Text(value="hello")).value)
    try:
        say(Text())
    except grpc.RpcError as error:
        print(error.code().name)
plain.close()

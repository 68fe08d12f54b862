import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import opentracing
from grpc_opentracing import open_tracing_client_interceptor, open_tracing_server_interceptor
from grpc_opentracing.grpcext import intercept_channel, intercept_server
from jaeger_client import Config
from opentracing.ext import tags

tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="shop").initialize_tracer()


def price(request, context):
    with opentracing.tracer.start_active_span("look-up", child_of=context.get_active_span()):
        return found(request)


def found(request):
    with opentracing.tracer.start_active_span("find", tags={tags.COMPONENT: "shop"}) as scope:
        scope.span.log_kv({"event": "found", "cents": 7})
    return request


handler = grpc.method_handlers_generic_handler(
    "shop.Shop", {"Price": grpc.unary_unary_rpc_method_handler(price)}
)

if __name__ == "__main__":
    server = intercept_server(grpc.server(ThreadPoolExecutor(2)), open_tracing_server_interceptor(tracer))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    call = intercept_channel(channel, open_tracing_client_interceptor(tracer)).unary_unary("/shop.Shop/Price")
    print(call(b"pear"), file=sys.stderr)
    channel.close()
    server.stop(1).wait()
    closed = tracer.close()
    while not closed.done():
        time.sleep(0.01)

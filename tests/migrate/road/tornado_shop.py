import asyncio
import sys

import opentracing
import tornado.httpclient
import tornado.httpserver
import tornado.netutil
import tornado.web
from jaeger_client import Config
from opentracing.ext import tags

tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="shop").initialize_tracer()


class Price(tornado.web.RequestHandler):
    def get(self, item):
        headers = dict(self.request.headers)
        caller = opentracing.tracer.extract(opentracing.Format.HTTP_HEADERS, headers)
        kind = {tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER}
        with opentracing.tracer.start_active_span("GET Price", child_of=caller, tags=kind) as scope:
            scope.span.set_tag(tags.HTTP_STATUS_CODE, self.get_status())
            self.write(item)


async def main():
    (socket,) = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server = tornado.httpserver.HTTPServer(tornado.web.Application([(r"/price/(\w+)", Price)]))
    server.add_socket(socket)
    with opentracing.tracer.start_active_span("fetch", tags={tags.SPAN_KIND: "client"}) as scope:
        headers = {}
        opentracing.tracer.inject(scope.span, opentracing.Format.HTTP_HEADERS, headers)
        client = tornado.httpclient.AsyncHTTPClient()
        url = f"http://127.0.0.1:{socket.getsockname()[1]}/price/pear"
        answer = await client.fetch(url, headers=headers)
    print(answer.code, file=sys.stderr)
    server.stop()
    closed = tracer.close()
    while not closed.done():
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main())

"""A Tornado service with jaeger-client: counters for Prometheus, and `tracer.close()` at shutdown.

python app.py                        on jaeger-client
ot-bridge run -- python app.py       on OpenTelemetry
"""

import asyncio
import os
import signal

import opentracing
import prometheus_client
import tornado.httpclient
import tornado.ioloop
import tornado.web
from jaeger_client import Config
from jaeger_client.metrics.prometheus import PrometheusMetricsFactory
from opentracing.ext import tags

PORT = int(os.environ.get("PORT", "8888"))


class Traced(tornado.web.RequestHandler):
    """A handler whose span has the request's length."""

    def prepare(self):
        tracer = opentracing.tracer
        caller = tracer.extract(opentracing.Format.HTTP_HEADERS, dict(self.request.headers))
        self.span = tracer.start_span(
            f"{self.request.method} {type(self).__name__}",
            child_of=caller,
            tags={tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER, tags.HTTP_METHOD: self.request.method},
        )

    def on_finish(self):
        self.span.set_tag(tags.HTTP_STATUS_CODE, self.get_status())
        if self.get_status() >= 500:
            self.span.set_tag(tags.ERROR, True)
        self.span.finish()


class Front(Traced):
    async def get(self, name):
        with opentracing.tracer.start_span("fetch", child_of=self.span) as span:
            span.set_tag(tags.SPAN_KIND, tags.SPAN_KIND_RPC_CLIENT)
            headers = {}
            opentracing.tracer.inject(span.context, opentracing.Format.HTTP_HEADERS, headers)
            client = tornado.httpclient.AsyncHTTPClient()
            answer = await client.fetch(f"http://127.0.0.1:{PORT}/back/{name}", headers=headers)
        self.write(answer.body)


class Back(Traced):
    async def get(self, name):
        await asyncio.gather(self.step("one"), self.step("two"))
        if name == "error":
            raise tornado.web.HTTPError(503)
        self.write(f"hello {name}")

    async def step(self, name):
        with opentracing.tracer.start_span(f"step {name}", child_of=self.span) as span:
            await asyncio.sleep(0.01)
            span.log_kv({"event": "slept"})


class Metrics(tornado.web.RequestHandler):
    def get(self):
        self.write(prometheus_client.generate_latest())


async def main():
    config = Config(
        {"sampler": {"type": "const", "param": True}, "local_agent": {"reporting_host": "jaeger-agent"}},
        service_name="greetings",
        metrics_factory=PrometheusMetricsFactory(namespace="greetings"),
        validate=True,
    )
    tracer = config.initialize_tracer(io_loop=tornado.ioloop.IOLoop.current())
    routes = [(r"/front/(\w+)", Front), (r"/back/(\w+)", Back), (r"/metrics", Metrics)]
    server = tornado.web.Application(routes).listen(PORT, "127.0.0.1")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    server.stop()
    await tracer.close()


if __name__ == "__main__":
    asyncio.run(main())

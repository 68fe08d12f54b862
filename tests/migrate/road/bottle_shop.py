import sys
import time

import bottle
import opentracing
from bottle_opentracing import BottleTracing
from jaeger_client import Config
from opentracing.ext import tags
from werkzeug.test import Client

tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="shop").initialize_tracer()
app = bottle.Bottle()
tracing = BottleTracing(tracer, True, app)


def price(item):
    span = opentracing.tracer.start_span("look-up", child_of=opentracing.tracer.active_span)
    span.set_tag(tags.COMPONENT, "shop")
    span.log_kv({"event": "found", "cents": 7})
    span.finish()
    return item


app.route("/price/<item>", callback=price)

if __name__ == "__main__":
    print(Client(app).get("/price/pear").status, file=sys.stderr)
    closed = tracer.close()
    while not closed.done():
        time.sleep(0.01)

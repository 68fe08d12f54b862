import sys
import time

import opentracing
from flask import Flask
from flask_opentracing import FlaskTracing
from jaeger_client import Config
from opentracing.ext import tags
from werkzeug.test import Client

tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="shop").initialize_tracer()
app = Flask(__name__)
tracing = FlaskTracing(tracer, True, app)


@app.route("/price/<item>")
def price(item):
    with opentracing.tracer.start_active_span("look-up", tags={tags.COMPONENT: "shop"}) as scope:
        scope.span.set_tag("item", item)
        scope.span.log_kv({"event": "found", "cents": 7})
    return item


if __name__ == "__main__":
    print(Client(app).get("/price/pear").status, file=sys.stderr)
    closed = tracer.close()
    while not closed.done():
        time.sleep(0.01)

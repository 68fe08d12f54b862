"""A shop's price service, written for OpenTracing."""

import opentracing
from flask import Flask
from flask_opentracing import FlaskTracing
import ot_bridge

app = Flask(__name__)
tracer = ot_bridge.install("prices")
tracing = FlaskTracing(tracer, True, app)


@app.route("/price/<item>")
def price(item: str) -> dict[str, object]:
    with opentracing.global_tracer().start_active_span("look-up", tags={"item": item}) as scope:
        who = scope.span.get_baggage_item("user")
        headers: dict[str, str] = {}
        tracer.inject(scope.span.context, opentracing.Format.HTTP_HEADERS, headers)
        return {"item": item, "cents": 100 * len(item), "for": who, "sent on": headers}


if __name__ == "__main__":
    app.run(port=8080)

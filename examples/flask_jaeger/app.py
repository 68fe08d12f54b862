"""A Flask service with jaeger-client, configured by YAML. Its code does not use OpenTelemetry.

python app.py                        on jaeger-client
ot-bridge run -- python app.py       on OpenTelemetry
"""

import logging
import os
from pathlib import Path

import opentracing
import yaml
from flask import Flask, jsonify, request
from flask_opentracing import FlaskTracing
from jaeger_client import Config
from opentracing.ext import tags

logging.basicConfig(level=logging.INFO)

config = Config(yaml.safe_load((Path(__file__).parent / "jaeger.yml").read_text()), validate=True)
tracer = config.initialize_tracer()

app = Flask(__name__)
tracing = FlaskTracing(tracer, True, app, ["url", "method"])


def price_of(item: str) -> int:
    """Asks the price service, as far as this example has one."""
    with opentracing.tracer.start_active_span("get price") as scope:
        scope.span.set_tag(tags.SPAN_KIND, tags.SPAN_KIND_RPC_CLIENT)
        headers: dict[str, str] = {}
        opentracing.tracer.inject(scope.span, opentracing.Format.HTTP_HEADERS, headers)
        scope.span.log_kv({"event": "asked", "headers": len(headers)})
        if item == "nothing":
            raise LookupError("nothing has no price")
        return 100 * len(item)


@app.route("/order/<item>")
def order(item: str):
    span = tracing.get_span()
    span.set_tag("item", item)
    span.set_baggage_item("customer", request.args.get("customer", "nobody"))
    with opentracing.tracer.start_active_span("reckon", child_of=span) as scope:
        scope.span.set_tag("for", scope.span.get_baggage_item("customer"))
        cents = price_of(item)
    return jsonify(item=item, cents=cents)


@app.errorhandler(LookupError)
def unknown(error: LookupError):
    tracing.get_span().set_tag(tags.ERROR, True).log_kv({"event": "error", "message": str(error)})
    return jsonify(error=str(error)), 404


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))

import sys
import time

import django
import opentracing
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from django_opentracing import DjangoTracing, OpenTracingMiddleware
from jaeger_client import Config
from opentracing.ext import tags
from werkzeug.test import Client

tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="shop").initialize_tracer()


class Middleware(OpenTracingMiddleware):
    async_mode = False


def price(request, item):
    with opentracing.tracer.start_active_span("look-up") as scope:
        scope.span.set_tag(tags.COMPONENT, "shop")
        scope.span.set_operation_name("find")
    return HttpResponse(item)


urlpatterns = [path("price/<item>", price)]

if __name__ == "__main__":
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="secret",
        MIDDLEWARE=[f"{__name__}.Middleware"],
        OPENTRACING_TRACE_ALL=True,
        OPENTRACING_TRACING=DjangoTracing(tracer),
    )
    django.setup()
    app = get_wsgi_application()
    print(Client(app).get("/price/pear").status, file=sys.stderr)
    closed = tracer.close()
    while not closed.done():
        time.sleep(0.01)

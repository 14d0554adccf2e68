"""The description of the API, and pages to read it and try it."""

from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny


class Schema(SpectacularJSONAPIView):
    """OpenAPI 3.1, for anybody: it names no patient and no clinic."""

    permission_classes = [AllowAny]
    # Plain JSON first: a browser shows it, where the media type of OpenAPI's own would be downloaded.
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer]


# Swagger UI draws its arrows and icons from addresses that hold the picture themselves; nothing else is let in.
@method_decorator(csp_update({"img-src": "data:"}), name="dispatch")
class Docs(SpectacularSwaggerSplitView):
    """Swagger UI, from our own host."""

    permission_classes = [AllowAny]
    url_name = "schema"
    # Its own template brings an inline style, which the content security policy refuses.
    template_name = "api/docs.html"

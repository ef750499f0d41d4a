"""The demonstration's shop front at `/demo/`: pages of a published catalogue, boxes filled by the real endpoints.

The pages are a website like any other: their script sends tracking calls and asks for recommendations over
HTTP, so that a browser's network tab shows the protocol. Never served unless asked for by name.
"""

from serving.shop.pages import blueprint

__all__ = ["blueprint"]

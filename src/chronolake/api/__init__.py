"""The HTTP door: analytics, health and metrics, on this machine only."""

from chronolake.api.analytics import PREFIX
from chronolake.api.app import create_app, serve

__all__ = ["PREFIX", "create_app", "serve"]

"""The HTTP door: analytics, health and metrics, on this machine only."""

from chronolake.api.app import create_app, serve

__all__ = ["create_app", "serve"]

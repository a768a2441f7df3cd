"""The command line: one thin door over the services. `--json` prints exactly one JSON document."""

from chronolake.cli.app import main

__all__ = ["main"]

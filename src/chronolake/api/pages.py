"""The documentation page: every operation of openapi.json in plain HTML, with nothing fetched from elsewhere."""

from html import escape
from typing import Any

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "h2{font:600 1rem/1.4 ui-monospace,monospace;margin:2rem 0 .3rem}table{border-collapse:collapse}"
    "td{padding:.15rem 1rem .15rem 0;vertical-align:top}code{background:#f2f2f2;padding:0 .2rem}"
)


#: The page may show itself and nothing from elsewhere.
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"}


def documentation(schema: dict[str, Any]) -> str:
    """The page for an OpenAPI document."""
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(schema['info']['title'])}</title>",
        f"<style>{_STYLE}</style><h1>{escape(schema['info']['title'])}</h1>",
        f"<p>{escape(schema['info'].get('description', ''))}</p>",
        "<p>For programs: <a href=/openapi.json>openapi.json</a></p>",
    ]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            parts.append(f"<h2>{method.upper()} {escape(path)}</h2>")
            parts.append(f"<p>{escape(operation.get('description', ''))}</p><table>")
            for parameter in operation.get("parameters", []):
                default = parameter.get("schema", {}).get("default")
                note = (
                    " (needed)" if parameter.get("required") else f" (default: {default})" if default else ""
                )
                meaning = escape(parameter.get("description", "")) + escape(note)
                parts.append(f"<tr><td><code>{escape(parameter['name'])}</code><td>{meaning}")
            for name, schema_of_part in _body(operation).get("properties", {}).items():
                meaning = escape(schema_of_part.get("description", ""))
                parts.append(f"<tr><td><code>{escape(name)}</code> in the body<td>{meaning}")
            parts.append("</table>")
    return "".join(parts)


def _body(operation: dict[str, Any]) -> dict[str, Any]:
    """The schema of the JSON that an operation takes; empty where it takes none."""
    content = operation.get("requestBody", {}).get("content", {})
    found: dict[str, Any] = content.get("application/json", {}).get("schema", {})
    return found

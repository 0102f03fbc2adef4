"""Which addresses are an origin's own. Pure."""

import re
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}
# What a browser reads as another address than it seems: white space, controls, backslashes.
PLAIN = re.compile(r"[!-\[\]-~]+")


def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an http or https address; nothing if it is not plainly one."""
    if not PLAIN.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port or PORTS[parts.scheme]

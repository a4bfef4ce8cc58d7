"""The page and its files: what is handed out, as which type, under which rules of safety."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

TYPES = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".mjs": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".txt": "text/plain; charset=utf-8",
    }
)
# Nothing from elsewhere, no code written into the page. The engine sorts in a worker that it makes from a blob, and
# chosen backdrops and captured pictures are blobs, too. style-src: sizes set by scripts are no inline styles.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "media-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "microphone=(self), camera=(), geolocation=()"),
    ("Cache-Control", "no-cache"),
)


@dataclass(frozen=True)
class SiteFile:
    """One file as it goes over the network."""

    content_type: str
    body: bytes
    gzipped: bytes
    etag: str


@cache
def site_files() -> dict[str, SiteFile]:
    """Every file of the browser client by its path in the address; `/` is the page."""
    files = dict(_files_below(resources.files("gstalker.web_client"), "/"))
    if "/index.html" in files:
        files["/"] = files["/index.html"]
    return files


def _files_below(folder: Traversable, path: str) -> list[tuple[str, SiteFile]]:
    found: list[tuple[str, SiteFile]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _files_below(entry, f"{path}{entry.name}/")
            continue
        content_type = TYPES.get("." + entry.name.rpartition(".")[2])
        if content_type is not None:
            body = entry.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            found.append((path + entry.name, SiteFile(content_type, body, gzip.compress(body, 6, mtime=0), etag)))
    return found

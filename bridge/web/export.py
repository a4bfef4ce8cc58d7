"""The stand-alone page: a folder for any file host, in which a bundle speaks with no server of avatars at all.

index.html, style.css, ...   the page, told to take its frames from standalone/source.js
vendor/onnxruntime/          ONNX Runtime Web, which runs the bundle's networks
avatar/                      the bundle, its files as they are
driving/                     what a server would say of it (a welcome message), and the tables of the log-mel front end
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from gstalker.bridge.bundle_welcome import welcome_of_bundle
from gstalker.bridge.codec import encode
from gstalker.bridge.web.site import CONTENT_SECURITY_POLICY, site_files
from gstalker.bridge.web.vendor import ONNXRUNTIME_WEB, fetch
from gstalker.runtime.audio import LogMelConfig, mel_filters
from gstalker.runtime.bundle import AvatarBundle, write_bundle
from gstalker.runtime.errors import InputError

LEAD_S = 0.2  # as standalone/session.js has it
_LEFT_OUT = ("/", "/demo/files.json")
_LICENCE = """ONNX Runtime Web {version}, as published on npm under the MIT licence.
Copyright (c) Microsoft Corporation. All rights reserved.
https://github.com/microsoft/onnxruntime/blob/main/LICENSE
"""


def export_page(bundle_path: Path, folder: Path, onnxruntime_web: Path | None = None) -> int:
    """Write the folder.

    Args:
        bundle_path: the avatar.
        folder: new or empty.
        onnxruntime_web: the unpacked npm package, where it is not to be fetched with npm.

    Returns:
        Bytes written.

    Raises:
        InputError: no bundle, the folder holds something, or ONNX Runtime Web cannot be had.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: expected a new or empty folder for the page, it holds something.")
    bundle = AvatarBundle.open(bundle_path)
    runtime = fetch(ONNXRUNTIME_WEB, onnxruntime_web)
    for path, file in site_files().items():
        if path not in _LEFT_OUT:
            _write(folder / path.lstrip("/"), file.body)
    _write(folder / "index.html", _stand_alone(site_files()["/index.html"].body.decode("utf-8")).encode("utf-8"))
    for name, data in runtime.items():
        _write(folder / "vendor" / "onnxruntime" / Path(name).name, data)
    licence = _LICENCE.format(version=ONNXRUNTIME_WEB.version)
    _write(folder / "vendor" / "onnxruntime" / "LICENSE.txt", licence.encode())
    write_bundle(folder / "bundle", bundle)
    _write(folder / "driving" / "welcome.bin", bytes(encode(replace(welcome_of_bundle(bundle), lead_s=LEAD_S))))
    _write(folder / "driving" / "log_mel.json", json.dumps(log_mel_tables(bundle.manifest.audio.log_mel)).encode())
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def log_mel_tables(config: LogMelConfig) -> dict[str, object]:
    """The front end's configuration, Hann window, and filters as bin numbers and weights."""
    filters = mel_filters(config)
    used = [np.flatnonzero(row) for row in filters]
    steps = np.arange(config.window_samples)
    return {
        "config": asdict(config),
        "hann": (0.5 - 0.5 * np.cos(2 * np.pi * steps / config.window_samples)).tolist(),
        "bins": [bins.tolist() for bins in used],
        "weights": [row[bins].tolist() for row, bins in zip(filters, used, strict=True)],
    }


def _stand_alone(page: str) -> str:
    """The page with another source of frames, and its rules inside, for a host that sends no headers."""
    # Browsers compile WebAssembly only where the rules say so, and take frame-ancestors from headers alone.
    rules = CONTENT_SECURITY_POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
    rules = rules.replace("; frame-ancestors 'none'", "")
    changes = (
        ('<html lang="en">', '<html lang="en" data-source="standalone/source.js">'),
        (
            '<meta charset="utf-8">',
            f'<meta charset="utf-8">\n    <meta http-equiv="Content-Security-Policy" content="{rules}">',
        ),
    )
    for before, after in changes:
        if page.count(before) != 1:
            raise AssertionError(f"index.html: expected {before} once")
        page = page.replace(before, after)
    return page


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)

"""The little of ShaderLab and of Unity's compute files that the tests must understand to run them as they are."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Kernel:
    """A kernel that `#pragma kernel` names, and its threads a group."""

    name: str
    threads: tuple[int, int, int]


@dataclass(frozen=True)
class ShaderPass:
    """One Pass of a ShaderLab file.

    Attributes:
        body: HLSL between HLSLPROGRAM and ENDHLSL, the shader's HLSLINCLUDE before it.
        keywords: of `#pragma multi_compile_local _ A B`, those that may be switched on.
        blend: (source, target) factors, or None where nothing is blended.
        z_test: as written, such as LEqual or [_Property].
    """

    name: str
    body: str
    vertex: str
    fragment: str
    keywords: tuple[str, ...]
    blend: tuple[str, str] | None
    z_test: str
    z_write: bool
    color_mask: str


def kernels_of(text: str) -> list[Kernel]:
    """The kernels of a .compute file, its includes in their place.

    Raises:
        ValueError: a pragma names a kernel that is not there.
    """
    defines = dict(re.findall(r"^#define (\w+) (\d+)$", text, re.M))
    found = []
    for name in re.findall(r"^#pragma kernel (\w+)", text, re.M):
        match = re.search(rf"\[numthreads\((\w+), (\w+), (\w+)\)\]\s*void {name}\(", text)
        if match is None:
            raise ValueError(f"#pragma kernel {name}: no function of that name with [numthreads(X, Y, Z)].")
        x, y, z = (int(defines.get(size, size)) for size in match.groups())
        found.append(Kernel(name, (x, y, z)))
    return found


def passes_of(text: str) -> list[ShaderPass]:
    """The passes of a ShaderLab file.

    Raises:
        ValueError: a Pass lacks something that every pass here has.
    """
    text = re.sub(r"//[^\n]*", "", text)
    shared = "".join(re.findall(r"HLSLINCLUDE(.*?)ENDHLSL", text, re.S))
    return [_pass(block, shared) for block in re.findall(r"\bPass\s*\{(.*?ENDHLSL)\s*\}", text, re.S)]


def _pass(block: str, shared: str) -> ShaderPass:
    state, _, rest = block.partition("HLSLPROGRAM")
    body = shared + rest.partition("ENDHLSL")[0]

    def one(pattern: str, source: str) -> str:
        found = re.findall(pattern, source)
        if len(found) != 1:
            raise ValueError(f"expected one {pattern!r} in a pass, found {len(found)}: {state.strip()[:200]}")
        return found[0]

    blend = re.search(r"\bBlend (\w+) (\w+)", state)
    keywords = re.findall(r"#pragma multi_compile_local _ ([\w ]+)", body)
    return ShaderPass(
        name=one(r'\bName "(\w+)"', state),
        body=body,
        vertex=one(r"#pragma vertex (\w+)", body),
        fragment=one(r"#pragma fragment (\w+)", body),
        keywords=tuple(k for line in keywords for k in line.split()),
        blend=None if blend is None else (blend[1], blend[2]),
        z_test=one(r"\bZTest (\S+)", state),
        z_write=one(r"\bZWrite (\w+)", state) == "On",
        color_mask=(re.findall(r"\bColorMask (\w+)", state) or ["RGBA"])[0],
    )

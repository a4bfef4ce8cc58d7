"""Who may import whom (docs/architecture.md), and that serving needs no torch."""

from __future__ import annotations

import ast
import textwrap

import pytest
from helpers.source_tree import Import, Module, imports, modules
from helpers.without_extras import EXTRAS, run_without

# The bundle's format and the checks behind it.
BUNDLE = (
    "runtime.bundle",
    "runtime.bundle_files",
    "runtime.bundle_manifest",
    "runtime.graph_check",
    "runtime.ply",
    "runtime.seen",
    "runtime.strict_json",
)

# What each package may import of ours besides itself: whole packages, or single modules with what is in them.
MAY_IMPORT = {
    "kernels": (),
    "runtime": ("kernels",),
    "export": (
        "kernels",
        "runtime.model",
        *BUNDLE,
        "runtime.dataset",
        "runtime.audio",
        "runtime.errors",
        "runtime.infer",
        "runtime.landmarks",
        "runtime.emotions",
    ),
    "bridge": (
        "kernels",
        "runtime.bundle",
        "runtime.bundle_manifest",
        "runtime.seen",
        "runtime.emotions",
        "runtime.infer",
        "runtime.audio",
        "runtime.audio_stream",
        "runtime.session",
        "runtime.errors",
    ),
    "web_client": (),
    "bench": ("kernels", "runtime", "export", "bridge"),
    "cli": ("kernels", "runtime", "export", "bridge", "bench"),
}

# Where a heavy package may be named at all.
ONLY_IN = {
    "torch": (
        "kernels.cuda",
        "kernels.dense_torch",
        "kernels.differentiable",
        "kernels.place",
        "kernels.ssim",
        "kernels.triplane",
        "kernels.triplane_tinycudann",
        "runtime.model",
        "runtime.train",
        "runtime.evaluate",
        "runtime.demo_character",
        "export",
        "bench",
        "cli",
    ),
    "gsplat": ("kernels.cuda",),
    "tinycudann": ("kernels.triplane_tinycudann",),
    "zmq": ("bridge", "bench.serving"),
    "msgpack": ("bridge", "runtime.session"),
    "websockets": ("bridge.web",),
    "mediapipe": ("runtime.prepare", "runtime.evaluate"),
    "tensorboard": ("runtime.train",),
    "espeakng_loader": ("runtime.demo_character",),
    "tyro": ("cli", "runtime.demo_character.__main__"),
}

# All other modules must import on a base install, which serves, views, records, renders and validates.
NEED_AN_EXTRA = (*ONLY_IN["torch"][:-1], "runtime.prepare")  # but not cli: --help answers everywhere


def within(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == a or name.startswith(f"{a}.") for a in allowed)


def forbidden(module: Module, found: Import) -> str | None:
    """Why this import breaks the rules, or None."""
    top, _, rest = found.target.partition(".")
    if top == "gstalker":
        allowed = MAY_IMPORT[module.package]
        if rest and not within(rest, (module.package, *allowed)):
            return f"{module.package} may import only {', '.join(allowed) or 'nothing of ours'}"
    elif top in ONLY_IN and not within(module.name, ONLY_IN[top]):
        return f"{top} may be imported only in {', '.join(ONLY_IN[top])}"
    return None


def test_no_import_goes_against_the_arrows():
    broken = {
        f"{module.shown}:{found.line} imports {found.target}: {why}"
        for module in modules().values()
        for found in imports(module)
        if (why := forbidden(module, found))
    }
    assert not broken, "\n".join(sorted(broken))


@pytest.mark.parametrize(
    ("module", "statement", "allowed"),
    [
        ("kernels.cpu", "from gstalker.runtime import errors", False),
        ("kernels.cpu", "def f():\n    import torch", False),
        ("kernels.ssim", "import torch.nn.functional", True),
        ("runtime.infer", "from gstalker.bridge.codec import pack", False),
        ("runtime.infer", "from gstalker.kernels.frame import Frame", True),
        ("export.write", "from gstalker.runtime.train.loop import step", False),
        ("export.write", "from gstalker.runtime.model import avatar", True),
        ("bridge.server", "from gstalker.runtime.modelling import x", False),
        ("bridge.server", "import zmq.auth", True),
        ("runtime.session", "import zmq", False),
        ("bench.kernels", "from gstalker.cli.main import main", False),
        ("bench.kernels", "import gsplat", False),
    ],
)
def test_the_arrows_test_sees_what_it_should(module: str, statement: str, allowed: bool):
    made_up = Module(module, next(iter(modules().values())).path, ast.parse(statement))
    verdicts = [forbidden(made_up, found) for found in imports(made_up)]
    assert len(verdicts) == 1
    assert (verdicts[0] is None) == allowed, verdicts


def test_everything_but_training_imports_on_a_base_install():
    names = [name for name in modules() if not within(name, NEED_AN_EXTRA)]
    served_with = {"kernels.reference", "runtime.infer", "runtime.session", "bridge.server.server", "cli.serve"}
    assert served_with <= set(names)
    script = textwrap.dedent(
        f"""
        import importlib
        for name in {names!r}:
            try:
                importlib.import_module("gstalker." + name)
            except ImportError as error:
                print(name + ":", error)
        """
    )
    done = run_without(EXTRAS, script)
    assert done.returncode == 0, done.stderr
    assert not done.stdout, done.stdout

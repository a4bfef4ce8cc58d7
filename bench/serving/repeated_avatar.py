"""An avatar of any size: another one's Gaussians, each standing there several times.

What a server has to do depends on how many Gaussians move and on nothing else, so the figures are those of a trained
avatar of that size; its picture is the original's, a little denser.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx

from gstalker.kernels.gaussians import Gaussians
from gstalker.runtime.bundle import AvatarBundle, write_bundle
from gstalker.runtime.bundle_manifest import Counts


def repeated(bundle: AvatarBundle, gaussians: int, name: str) -> AvatarBundle:
    """The avatar with that many Gaussians: movers of the head, of the torso and the rest in proportion.

    Raises:
        ValueError: fewer than three Gaussians were asked for.
    """
    if gaussians < 3:
        raise ValueError(f"repeated: expected at least 3 Gaussians, got {gaussians}.")
    counts = bundle.manifest.counts
    head = round(gaussians * counts.head_movers / counts.gaussians)
    torso = round(gaussians * counts.torso_movers / counts.gaussians)
    of_head = np.arange(head) % max(1, counts.head_movers)
    of_torso = np.arange(torso) % max(1, counts.torso_movers)
    still = counts.gaussians - counts.movers
    of_still = counts.movers + np.arange(gaussians - head - torso) % max(1, still)
    taken = np.concatenate([of_head, counts.head_movers + of_torso, of_still if still else of_head[: len(of_still)]])
    canonical, golden = bundle.canonical, bundle.golden
    graphs = dict(bundle.graphs)
    graphs["deform"] = _with_rows(graphs["deform"], {"first_layer": head, "gates": head, "deltas": head})
    graphs["torso"] = _with_rows(graphs["torso"], {"torso_first_layer": torso, "torso_deltas": torso})
    return dataclasses.replace(
        bundle,
        manifest=dataclasses.replace(bundle.manifest, name=name, counts=Counts(gaussians, head, torso)),
        canonical=Gaussians(
            means=canonical.means[taken],
            quats_wxyz=canonical.quats_wxyz[taken],
            scales=canonical.scales[taken],
            opacities=canonical.opacities[taken],
            sh_coeffs=canonical.sh_coeffs[taken],
        ),
        part_ids=bundle.part_ids[taken],
        first_layer=bundle.first_layer[of_head],
        gates=bundle.gates[of_head],
        torso_first_layer=bundle.torso_first_layer[of_torso],
        graphs=graphs,
        golden=dataclasses.replace(
            golden, deltas=golden.deltas[:, of_head], torso_deltas=golden.torso_deltas[:, of_torso]
        ),
    )


def _with_rows(graph: bytes, rows: dict[str, int]) -> bytes:
    """The graph with so many rows in these inputs and outputs: its weights know nothing of them."""
    model = onnx.load_model_from_string(graph)
    for end in (*model.graph.input, *model.graph.output):
        if end.name in rows:
            end.type.tensor_type.shape.dim[0].dim_value = rows[end.name]
    return model.SerializeToString()


def write_repeated(bundle: Path, gaussians: int, out: Path) -> Path:
    """Write the avatar of that size as a bundle folder; its name is the file's. Raises InputError as bundles do."""
    write_bundle(out, repeated(AvatarBundle.open(bundle), gaussians, out.stem))
    return out

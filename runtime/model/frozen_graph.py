"""The networks behind a frozen encoder: moonshine's out of its package, or an ONNX file of the user's.

An ONNX file has its settings beside it, FILE.json next to FILE.onnx, because a graph does not say them:

    {"layout": "waveform", "sample_rate_hz": 16000, "normalise": "unit"}

    layout "waveform"   in (1, S) float32 sound, and (1, S) int64 ones where the graph has a second, whole-numbered
                        input; out the first output, (1, T, width). HuBERT, wav2vec 2.0, moonshine.
                        normalise: "unit" for zero mean and unit variance over what is given at once (both of them
                        where their extractor says do_normalize), "none" for samples as they are, -1..1
    layout "mfcc"       in (1, T, 19, 26) float32, the MFCC of each 20 ms with nine neighbours on both sides; out the
                        first output, (T, width), (1, T, width) or (T, 1, width). DeepSpeech; normalise must be "none"

Ranks and widths are read from the graph, its rate is measured; names tell nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np

from gstalker.runtime.audio import SAMPLE_RATE_HZ
from gstalker.runtime.errors import InputError
from gstalker.runtime.model.mfcc import CEPSTRA, mfcc_with_context

MOONSHINE_PACKAGE = "moonshine_voice"
MOONSHINE_FILE = Path("assets") / "tiny-en" / "encoder_model.ort"
UNIT_VARIANCE_FLOOR = 1e-7  # digital silence stays silence
FIELDS = {"layout", "sample_rate_hz", "normalise"}
LAYOUT_RANK = {"waveform": 2, "mfcc": 4}


class OnnxGraph:
    """A `SpeechGraph` in ONNX Runtime, on one thread."""

    def __init__(self, session: Any, name: str, prepare: Callable[[np.ndarray], np.ndarray], why_not: str) -> None:
        self.name = name
        self.why_not_in_a_bundle = why_not
        self._session, self._prepare = session, prepare
        self._input = session.get_inputs()[0].name
        self._mask = session.get_inputs()[1].name if len(session.get_inputs()) > 1 else None
        self._output = session.get_outputs()[0].name

    def run(self, samples: np.ndarray) -> np.ndarray:
        """See `SpeechGraph.run`.

        Raises:
            InputError: the graph fails, or gives something else than rows.
        """
        fed = self._prepare(np.asarray(samples, np.float32))
        inputs = {self._input: fed}
        if self._mask is not None:
            inputs[self._mask] = np.ones(fed.shape, np.int64)
        try:
            rows = np.asarray(self._session.run([self._output], inputs)[0], np.float32)
        except Exception as error:  # ONNX Runtime's exceptions share no nearer base
            raise InputError(f"{self.name}: could not run on {len(samples)} samples ({error}).") from error
        rows = rows.squeeze(tuple(i for i in range(rows.ndim - 1) if rows.shape[i] == 1))
        if rows.ndim != 2 or not np.isfinite(rows).all():
            raise InputError(f"{self.name}: expected finite rows (T, width), got an output of shape {rows.shape}.")
        return rows


def moonshine_graph() -> OnnxGraph:
    """The encoder of moonshine's English "tiny" model, MIT, inside the package moonshine-voice.

    Source: Jeffries et al. 2024, Moonshine: Speech Recognition for Live Transcription, arXiv:2410.15608.

    Raises:
        InputError: the package is not installed, or holds no such file.
    """
    found = util.find_spec(MOONSHINE_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "--hears moonshine: expected the package moonshine-voice, which holds the weights; it is not installed. "
            "Run `pip install gstalker[moonshine]`."
        )
    path = Path(found.submodule_search_locations[0]) / MOONSHINE_FILE
    if not path.is_file():
        raise InputError(f"--hears moonshine: expected {MOONSHINE_FILE.as_posix()} in moonshine-voice, found none.")
    why = (
        "its encoder comes as ONNX Runtime's own .ort file of quantised operators, which engines' runtimes do not "
        "read, and the readers of bundles compute log-mel features alone"
    )
    return OnnxGraph(_open(path, "--hears moonshine"), "moonshine", _waveform, why)


def user_graph(path: Path, sha256: str = "") -> OnnxGraph:
    """An ONNX file with its settings beside it.

    Args:
        path: the graph; its settings are read from the same name with .json.
        sha256: what the file must be; empty where it has not been heard before.

    Raises:
        InputError: a file is missing, cannot be read, is another one, or does not fit its layout.
    """
    where = "--audio-model"
    if not path.is_file():
        raise InputError(f"{where}: expected an ONNX file, found none at {path}.")
    if sha256 and file_sha256(path) != sha256:
        raise InputError(f"{where}: expected the file that the run was trained with, got another one at {path}.")
    settings = _settings(path.with_suffix(".json"), where)
    session = _open(path, where)
    inputs, layout = session.get_inputs(), settings["layout"]
    rank = LAYOUT_RANK[layout]
    kinds = [i.type for i in inputs[1:]]
    masks = ["tensor(int64)"] if layout == "waveform" else []
    if len(inputs[0].shape) != rank or inputs[0].type != "tensor(float)" or kinds not in ([], masks):
        raise InputError(
            f"{where}: expected one float input of {rank} dimensions for the layout {layout!r}"
            f"{' and at most an int64 mask beside it' if masks else ''}, got "
            f"{[(i.name, i.type, i.shape) for i in inputs]} in {path}."
        )
    if layout == "mfcc" and list(inputs[0].shape[2:]) != [19, CEPSTRA]:
        raise InputError(f"{where}: expected an input (1, T, 19, {CEPSTRA}), got {inputs[0].shape} in {path}.")
    prepare = {"unit": _unit_waveform, "none": _waveform}[settings["normalise"]]
    if layout == "mfcc":
        prepare = _mfcc
    why = "the readers of bundles compute log-mel features alone, and a network of that size would not keep time there"
    return OnnxGraph(session, path.name, prepare, why)


def file_sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _settings(path: Path, where: str) -> dict[str, str]:
    if not path.is_file():
        raise InputError(f"{where}: expected the encoder's settings at {path}, found none (docs/training.md, Hearing).")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected JSON, could not read it ({error}).") from error
    if not isinstance(fields, dict) or set(fields) != FIELDS:
        got = sorted(fields) if isinstance(fields, dict) else type(fields).__name__
        raise InputError(f"{path}: expected the fields {sorted(FIELDS)}, got {got}.")
    allowed = {"layout": list(LAYOUT_RANK), "sample_rate_hz": [SAMPLE_RATE_HZ], "normalise": ["unit", "none"]}
    if fields["layout"] == "mfcc":
        allowed["normalise"] = ["none"]
    for name, values in allowed.items():
        if fields[name] not in values:
            raise InputError(f"{path}: {name}: expected {' or '.join(map(repr, values))}, got {fields[name]!r}.")
    return fields


def _open(path: Path, where: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"{where}: expected ONNX Runtime to run it, none is installed. "
            "Run `pip install gstalker[cpu]` (or [gpu], never both)."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no nearer base
        raise InputError(f"{where}: expected an ONNX graph, could not load {path} ({error}).") from error


def _waveform(samples: np.ndarray) -> np.ndarray:
    return samples[None]


def _unit_waveform(samples: np.ndarray) -> np.ndarray:
    wide = samples.astype(np.float64)
    return ((wide - wide.mean()) / np.sqrt(wide.var() + UNIT_VARIANCE_FLOOR)).astype(np.float32)[None]


def _mfcc(samples: np.ndarray) -> np.ndarray:
    return mfcc_with_context(samples)[None]

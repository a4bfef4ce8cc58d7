"""The Unity package's shaders run through slangpy, from the files as they are: kernels dispatched, passes drawn.

Only what Unity adds around a shader is added here: `[shader("vertex")]` and `[shader("fragment")]` before the functions
that `#pragma vertex` and `#pragma fragment` name, since Slang asks for stages in that way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slangpy as spy
from helpers.source_tree import REPO
from helpers.unity_shaders.shaderlab import ShaderPass, kernels_of, passes_of

SHADERS = REPO / "unity_client" / "Shaders"
MAX_BUFFER_FILL = 0xFF


@dataclass(frozen=True)
class Target:
    """What a pass is drawn into: a colour picture and perhaps a depth picture; `slices` of them for two eyes."""

    width_px: int
    height_px: int
    color: spy.Texture
    depth: spy.Texture | None
    slices: int


def open_device() -> spy.Device:
    """The first Vulkan device.

    Raises:
        RuntimeError: there is none.
    """
    # 15601: "#pragma kernel" and its like are Unity's.
    options = spy.SlangCompilerOptions({"disable_warnings": ["15601"]})
    return spy.Device(type=spy.DeviceType.vulkan, compiler_options=options)


class Gpu:
    """One device and the compiled shaders of one folder, kept by their whole texts, includes and all."""

    def __init__(self, device: spy.Device, folder: Path = SHADERS, compiled_by: Gpu | None = None) -> None:
        self.device = device
        self.folder = folder
        self._kernels: dict[tuple[str, str], Any] = {} if compiled_by is None else compiled_by._kernels
        self._pipelines: dict[tuple, Any] = {} if compiled_by is None else compiled_by._pipelines
        self._modules: dict[str, spy.SlangModule] = {} if compiled_by is None else compiled_by._modules
        self._texts: dict[str, str] = {}
        self.sampler = device.create_sampler(
            address_u=spy.TextureAddressingMode.clamp_to_edge,
            address_v=spy.TextureAddressingMode.clamp_to_edge,
            min_filter=spy.TextureFilteringMode.linear,
            mag_filter=spy.TextureFilteringMode.linear,
        )

    def buffer(self, data: np.ndarray | int, stride: int = 4, *, indirect: bool = False) -> spy.Buffer:
        """A structured buffer holding an array, or of that many elements filled with a value nobody should read."""
        usage = spy.BufferUsage.shader_resource | spy.BufferUsage.unordered_access
        if indirect:
            usage |= spy.BufferUsage.indirect_argument
        if isinstance(data, int):
            data = np.full(max(data, 1) * stride, MAX_BUFFER_FILL, np.uint8)
        data = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        return self.device.create_buffer(size=data.nbytes, struct_size=stride, usage=usage, data=data)

    def raw_buffer(self, data: np.ndarray) -> spy.Buffer:
        """A byte address buffer, of one word where there is nothing to hold."""
        data = np.ascontiguousarray(data).reshape(-1).view(np.uint8) if data.size else np.zeros(4, np.uint8)
        return self.device.create_buffer(size=data.nbytes, usage=spy.BufferUsage.shader_resource, data=data)

    def read(self, buffer: spy.Buffer, dtype: Any) -> np.ndarray:
        """The content of a buffer as a one-dimensional array."""
        return np.ascontiguousarray(buffer.to_numpy()).view(np.uint8).view(dtype).copy()

    def run(self, file: str, kernel: str, groups: int | tuple[int, int], values: dict[str, Any]) -> None:
        """Dispatch a kernel of a .compute file on so many groups; `values` may hold globals it does not have."""
        text = self._text(file)
        key = (text, kernel)
        if key not in self._kernels:
            threads = {k.name: k.threads for k in kernels_of(text)}[kernel]
            module = self._module(text, file)
            program = self.device.link_program([module], [module.entry_point(kernel)])
            self._kernels[key] = (self.device.create_compute_kernel(program), threads, globals_of(text))
        compiled, threads, names = self._kernels[key]
        x, y = (groups, 1) if isinstance(groups, int) else groups
        compiled.dispatch([x * threads[0], y * threads[1], threads[2]], {k: v for k, v in values.items() if k in names})

    def target(
        self, width_px: int, height_px: int, *, color: str = "rgba16_float", depth: bool = False, slices: int = 1
    ) -> Target:
        """An empty target; colours are one of slangpy's formats."""
        return Target(
            width_px=width_px,
            height_px=height_px,
            color=self.texture_of(getattr(spy.Format, color), width_px, height_px, slices),
            depth=self.texture_of(spy.Format.d32_float, width_px, height_px, slices) if depth else None,
            slices=slices,
        )

    def texture_of(self, format: spy.Format, width_px: int, height_px: int, slices: int) -> spy.Texture:
        is_depth = format == spy.Format.d32_float
        return self.device.create_texture(
            type=spy.TextureType.texture_2d if slices == 1 else spy.TextureType.texture_2d_array,
            format=format,
            width=width_px,
            height=height_px,
            array_length=slices,
            usage=spy.TextureUsage.shader_resource
            | spy.TextureUsage.copy_source
            | spy.TextureUsage.copy_destination
            | (spy.TextureUsage.depth_stencil if is_depth else spy.TextureUsage.render_target),
        )

    def picture(self, rgba: np.ndarray, format: str = "rgba32_float") -> spy.Texture:
        """A (height, width, 4) or (slices, height, width, 4) float32 picture to read from or draw over."""
        kind = {"rgba32_float": np.float32, "rgba16_float": np.float16}[format]
        slices = 1 if rgba.ndim == 3 else len(rgba)
        height, width = rgba.shape[-3:-1]
        texture = self.texture_of(getattr(spy.Format, format), width, height, slices)
        for number, one in enumerate(rgba.reshape(slices, height, width, 4)):
            texture.copy_from_numpy(np.ascontiguousarray(one, kind), layer=number)
        return texture

    def pixels(self, texture: spy.Texture | None, slice: int = 0) -> np.ndarray:
        """(height, width, channels) float64, top row first; without the channels where there is one."""
        if texture is None:
            raise ValueError("expected a picture, the target has none.")
        return np.asarray(texture.to_numpy(layer=slice), dtype=np.float64)

    def draw(
        self,
        shader_pass: ShaderPass,
        target: Target,
        values: dict[str, Any],
        *,
        arguments: spy.Buffer | None = None,
        instances: int = 1,
        clear: bool = False,
        clear_depth: float | None = None,
        eye_array: bool = False,
        z_test: str = "LEqual",
    ) -> None:
        """Draw a pass: indirectly by `arguments`, or three vertices of so many instances."""
        pipeline, names = self._pipeline(shader_pass, target, eye_array, z_test)
        encoder = self.device.create_command_encoder()
        load = spy.LoadOp.clear if clear else spy.LoadOp.load
        color: dict[str, Any] = {"view": target.color.create_view(), "load_op": load, "store_op": spy.StoreOp.store}
        description: dict[str, Any] = {"color_attachments": [color | {"clear_value": [0.0, 0.0, 0.0, 0.0]}]}
        if target.depth is not None:
            description["depth_stencil_attachment"] = {
                "view": target.depth.create_view(),
                "depth_load_op": spy.LoadOp.load if clear_depth is None else spy.LoadOp.clear,
                "depth_store_op": spy.StoreOp.store,
                "depth_clear_value": clear_depth or 0.0,
            }
        with encoder.begin_render_pass(description) as render:  # type: ignore[arg-type]
            cursor = spy.ShaderCursor(render.bind_pipeline(pipeline))
            for name, value in values.items():
                if name in names:
                    cursor[name] = value
            size = (target.width_px, target.height_px)
            render.set_render_state(
                {  # type: ignore[arg-type]
                    "viewports": [spy.Viewport.from_size(*map(float, size))],
                    "scissor_rects": [spy.ScissorRect.from_size(*size)],
                }
            )
            if arguments is None:
                render.draw({"vertex_count": 3, "instance_count": instances})  # type: ignore[arg-type]
            else:
                render.draw_indirect(1, spy.BufferOffsetPair(arguments))
        self.device.submit_command_buffer(encoder.finish())

    def passes(self, file: str = "GaussianAvatar.shader") -> dict[str, ShaderPass]:
        """The passes of a ShaderLab file by name."""
        return {p.name: p for p in passes_of(self._text(file))}

    def _text(self, file: str) -> str:
        if file not in self._texts:
            self._texts[file] = included((self.folder / file).read_text(encoding="utf-8"), self.folder)
        return self._texts[file]

    def _module(self, text: str, name: str) -> spy.SlangModule:
        """Compiled once; Slang wants another name for every module, so each has a number."""
        if text not in self._modules:
            stem = re.sub(r"\W", "_", f"{name}_{len(self._modules)}")
            self._modules[text] = self.device.load_module_from_source(stem, text)
        return self._modules[text]

    def _pipeline(self, shader_pass: ShaderPass, target: Target, eye_array: bool, z_test: str) -> tuple[Any, set[str]]:
        color = target.color.format
        depth = None if target.depth is None else target.depth.format
        key = (shader_pass, color, depth, eye_array, z_test)
        if key not in self._pipelines:
            text = ("#define GS_EYE_ARRAY\n" if eye_array else "") + with_stages(shader_pass)
            module = self._module(text, shader_pass.name)
            program = self.device.link_program(
                [module], [module.entry_point(shader_pass.vertex), module.entry_point(shader_pass.fragment)]
            )
            self._pipelines[key] = (
                self.device.create_render_pipeline(
                    program=program,
                    input_layout=None,
                    targets=[color_target(shader_pass, color)],  # type: ignore[list-item]
                    depth_stencil=None if depth is None else depth_state(shader_pass, depth, z_test),  # type: ignore[arg-type]
                    rasterizer={"cull_mode": spy.CullMode.none},  # type: ignore[arg-type]
                ),
                globals_of(text),
            )
        return self._pipelines[key]


def with_stages(shader_pass: ShaderPass) -> str:
    """A pass's body with the stage of its two functions said in Slang's way."""
    text = shader_pass.body
    for stage, name in (("vertex", shader_pass.vertex), ("fragment", shader_pass.fragment)):
        text, found = re.subn(rf"^(\s*)(\w+ {name}\()", rf'\1[shader("{stage}")]\n\1\2', text, flags=re.M)
        if found != 1:
            raise ValueError(f"pass {shader_pass.name}: expected one function {name}, found {found}.")
    return text


BLEND_FACTORS = {
    "One": spy.BlendFactor.one,
    "Zero": spy.BlendFactor.zero,
    "OneMinusSrcAlpha": spy.BlendFactor.inv_src_alpha,
}
COMPARISONS = {
    "LEqual": spy.ComparisonFunc.less_equal,
    "GEqual": spy.ComparisonFunc.greater_equal,
    "Always": spy.ComparisonFunc.always,
}


def color_target(shader_pass: ShaderPass, format: spy.Format) -> dict[str, Any]:
    """What `Blend` and `ColorMask` of a pass ask of the blending unit."""
    masks = {"RGBA": 15, "RGB": 7, "0": 0}
    description: dict[str, Any] = {
        "format": format,
        "write_mask": spy.RenderTargetWriteMask(masks[shader_pass.color_mask]),
    }
    if shader_pass.blend is not None:
        source, target = (BLEND_FACTORS[f] for f in shader_pass.blend)
        blend = {"src_factor": source, "dst_factor": target, "op": spy.BlendOp.add}
        description |= {"enable_blend": True, "color": blend, "alpha": blend}
    return description


def depth_state(shader_pass: ShaderPass, format: spy.Format, z_test: str) -> dict[str, Any]:
    """What `ZTest` and `ZWrite` of a pass ask for; a property in brackets takes `z_test`.

    Unity turns LEqual round where its depth is reversed, as it is on all but OpenGL, and so does this.
    """
    wanted = z_test if shader_pass.z_test.startswith("[") else shader_pass.z_test
    return {
        "format": format,
        "depth_test_enable": True,
        "depth_write_enable": shader_pass.z_write,
        "depth_func": COMPARISONS["GEqual" if wanted == "LEqual" else wanted],
    }


def included(text: str, folder: Path) -> str:
    """A source with the package's own files in the place of its #include lines, as the preprocessor would."""
    return re.sub(
        r'^[ \t]*#include "(\w+\.hlsl)"[ \t]*$',
        lambda found: included((folder / found[1]).read_text(encoding="utf-8"), folder),
        text,
        flags=re.M,
    )


def globals_of(text: str) -> set[str]:
    """Names of the globals that a source declares or uses: they all start with _Gs, but for samplers."""
    return set(re.findall(r"\b(_Gs\w+|sampler_\w+)\b", text))

// The drawn form of a splat: an oriented rectangle that ends where its alpha falls below 1/255.
#ifndef GS_SPLAT_INCLUDED
#define GS_SPLAT_INCLUDED

#include "GsFalloff.hlsl"
#include "GsPacking.hlsl"

StructuredBuffer<GsSplat> _GsSplats;
StructuredBuffer<uint> _GsOrder;  // indices of Gaussians, farthest first
uint _GsGaussianCount;
uint _GsEye;                      // which eye's splats, where a draw call draws one eye
float2 _GsTargetSize;             // px

struct GsSplatVaryings
{
    float4 position : SV_Position;
    float2 in_sigmas : TEXCOORD0;                         // position on the splat along its axes
    nointerpolation float4 color_opacity : TEXCOORD1;
#if defined(GS_EYE_ARRAY)
    uint eye : SV_RenderTargetArrayIndex;
#endif
};

// Corner of the two triangles of a rectangle, vertex 0 to 5, each coordinate -1 or 1.
float2 GsCorner(uint vertex_id)
{
    return float2(vertex_id == 1 || vertex_id == 2 || vertex_id == 4 ? 1 : -1,
        vertex_id == 2 || vertex_id == 4 || vertex_id == 5 ? 1 : -1);
}

// Six vertices an instance, one instance a splat (two in GS_EYE_ARRAY, the eyes by turns).
GsSplatVaryings GsSplatVertex(uint vertex_id, uint instance_id)
{
    GsSplatVaryings varyings;
#if defined(GS_EYE_ARRAY)
    uint eye = instance_id & 1;
    uint place = instance_id >> 1;
    varyings.eye = eye;
#else
    uint eye = _GsEye;
    uint place = instance_id;
#endif
    GsSplat splat = _GsSplats[eye * _GsGaussianCount + _GsOrder[place]];
    varyings.color_opacity = GsUnpackColorOpacity(splat);
    varyings.in_sigmas = GsCorner(vertex_id) * GsReach(varyings.color_opacity.a);
    float2 across_px = normalize(float2(-splat.major_px.y, splat.major_px.x)) * splat.minor_px;
    float2 offset_px = varyings.in_sigmas.x * splat.major_px + varyings.in_sigmas.y * across_px;
    float2 ndc = splat.centre_ndc + offset_px * 2.0 / _GsTargetSize;
    bool seen = varyings.color_opacity.a > 0.0;
    varyings.position = seen ? float4(ndc, splat.depth_ndc, 1) : float4(2, 2, 0, 1);  // all six outside: nothing
    return varyings;
}

#endif

// The drawn form of a splat: an oriented polygon about the ellipse on which its own alpha falls below 1/255.
#ifndef GS_SPLAT_INCLUDED
#define GS_SPLAT_INCLUDED

#include "GsFalloff.hlsl"
#include "GsPacking.hlsl"

StructuredBuffer<GsSplat> _GsSplats;
StructuredBuffer<uint> _GsOrder;  // indices of Gaussians, farthest first
uint _GsGaussianCount;
uint _GsEye;                      // which eye's splats, where a draw call draws one eye
float2 _GsTargetSize;             // px
uint _GsCorners;                  // of a splat's polygon, 4 or more

struct GsSplatVaryings
{
    float4 position : SV_Position;
    float2 in_sigmas : TEXCOORD0;                         // position on the splat along its axes
    nointerpolation float4 color_opacity : TEXCOORD1;
#if defined(GS_EYE_ARRAY)
    uint eye : SV_RenderTargetArrayIndex;
#endif
};

// Corner of a regular polygon that the unit circle touches from within, as a fan of _GsCorners - 2 triangles. Four make
// the oriented rectangle; more hug the ellipse closer, for more vertices.
float2 GsCorner(uint vertex_id)
{
    uint in_triangle = vertex_id % 3;
    uint corner = in_triangle == 0 ? 0 : vertex_id / 3 + in_triangle;
    float half_angle = 3.14159265 / _GsCorners;
    float angle = (2 * corner + 1) * half_angle;
    return float2(cos(angle), sin(angle)) / cos(half_angle);
}

// Three vertices a triangle, an instance a splat (two in GS_EYE_ARRAY, the eyes by turns).
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
    varyings.position = seen ? float4(ndc, splat.depth_ndc, 1) : float4(2, 2, 0, 1);  // all of them outside: nothing
    return varyings;
}

#endif

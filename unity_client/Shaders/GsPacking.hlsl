// Colour and opacity of a splat as four halves.
#ifndef GS_PACKING_INCLUDED
#define GS_PACKING_INCLUDED

#include "GsTypes.hlsl"

uint2 GsPackColorOpacity(float3 color, float opacity)
{
    return uint2(f32tof16(color.r) | f32tof16(color.g) << 16, f32tof16(color.b) | f32tof16(opacity) << 16);
}

float4 GsUnpackColorOpacity(GsSplat splat)
{
    return float4(f16tof32(splat.color_rg & 0xFFFF), f16tof32(splat.color_rg >> 16),
        f16tof32(splat.color_b_opacity & 0xFFFF), f16tof32(splat.color_b_opacity >> 16));
}

#endif

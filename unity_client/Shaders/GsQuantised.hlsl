// The 16 bytes of a mover (docs/protocol.md) back to values, and the mixture of two time steps.
#ifndef GS_QUANTISED_INCLUDED
#define GS_QUANTISED_INCLUDED

#include "GsTypes.hlsl"
#include "GsWire.hlsl"

// As sent, but for the scale, which stays a logarithm because that is what two frames are mixed in.
struct GsMover
{
    float3 mean_m;
    float opacity;
    float4 quat_wxyz;
    float3 log_scale;
};

float3 GsThreeCodes(uint word)
{
    return float3(word & 1023, (word >> 10) & 1023, (word >> 20) & 1023);
}

// The rotation's word: three smaller components of 10 bits in the order w, x, y, z, and which one is left out.
float4 GsDecodeRotation(uint word)
{
    float3 smaller = (GsThreeCodes(word) - GS_ROTATION_ZERO_CODE) / (GS_ROTATION_ZERO_CODE * sqrt(2.0));
    float largest = sqrt(max(1.0 - dot(smaller, smaller), 0.0));
    switch (word >> 30)
    {
        case 0: return float4(largest, smaller);
        case 1: return float4(smaller.x, largest, smaller.yz);
        case 2: return float4(smaller.xy, largest, smaller.z);
        default: return float4(smaller, largest);
    }
}

// box_minimum, box_step: xyz in metres, w of the log-scale; the step is what one code is worth.
GsMover GsDecodeMover(uint4 words, float4 box_minimum, float4 box_step)
{
    GsMover mover;
    float3 position = float3(words.x & 0xFFFF, words.x >> 16, words.y & 0xFFFF);
    float3 log_scale = GsThreeCodes(words.w);
    mover.mean_m = box_minimum.xyz + position * box_step.xyz;
    mover.opacity = (words.y >> 16) / GS_POSITION_CODES;
    mover.quat_wxyz = GsDecodeRotation(words.z);
    mover.log_scale = box_minimum.w + log_scale * box_step.w;
    return mover;
}

// mix 0: a, 1: b. Means and opacities linear; scales geometric; rotations the short way round, q and -q being one.
GsGaussian GsMixMovers(GsMover a, GsMover b, float mix, uint part)
{
    float4 quat_b = dot(a.quat_wxyz, b.quat_wxyz) < 0.0 ? -b.quat_wxyz : b.quat_wxyz;
    GsGaussian mixed;
    mixed.mean_m = lerp(a.mean_m, b.mean_m, mix);
    mixed.opacity = lerp(a.opacity, b.opacity, mix);
    mixed.quat_wxyz = normalize(lerp(a.quat_wxyz, quat_b, mix));
    mixed.scale_m = exp(lerp(a.log_scale, b.log_scale, mix));
    mixed.part = part;
    return mixed;
}

#endif

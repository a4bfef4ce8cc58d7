// How a splat fades from its centre, and where it ends.
#ifndef GS_FALLOFF_INCLUDED
#define GS_FALLOFF_INCLUDED

#include "GsTypes.hlsl"

// How far from its centre, in standard deviations, a splat's own alpha stays at 1/255 or more.
float GsReach(float opacity)
{
    return sqrt(max(2.0 * log(opacity / GS_ALPHA_CUT), 0.0));
}

// Alpha of a splat at a pixel; 0 where it is below the cut.
float GsAlpha(float2 in_sigmas, float opacity)
{
    float alpha = min(GS_ALPHA_MAX, opacity * exp(-0.5 * dot(in_sigmas, in_sigmas)));
    return alpha >= GS_ALPHA_CUT ? alpha : 0.0;
}

#endif

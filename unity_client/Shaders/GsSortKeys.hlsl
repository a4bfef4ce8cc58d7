// Depth as an integer that sorts: 28 bits, so that seven passes of four bits order it exactly.
#ifndef GS_SORT_KEYS_INCLUDED
#define GS_SORT_KEYS_INCLUDED

#include "GsTypes.hlsl"

static const uint GS_KEY_UNSEEN = 0x0FFFFFFF;  // behind all that is drawn
static const uint GS_KEY_NEAREST = 0x0FFFFFFE;

// Positive floats order like their bits. From the near limit, 28 bits of steps reach 4e7 m; what is beyond shares one
// key. The farthest has the smallest key, because splats are blended back to front.
uint GsFarthestFirstKey(float depth_m)
{
    uint steps = asuint(max(depth_m, GS_NEAR_M)) - asuint(GS_NEAR_M);
    return GS_KEY_NEAREST - min(steps, GS_KEY_NEAREST);
}

#endif

// Display space (sRGB-encoded), in which splats are trained and blended, to linear light and back (IEC 61966-2-1).
#ifndef GS_COLOUR_SPACE_INCLUDED
#define GS_COLOUR_SPACE_INCLUDED

float3 GsLinearFromDisplay(float3 display)
{
    float3 low = display / 12.92;
    float3 high = pow((max(display, 0.0) + 0.055) / 1.055, 2.4);
    return float3(display.r <= 0.04045 ? low.r : high.r, display.g <= 0.04045 ? low.g : high.g,
        display.b <= 0.04045 ? low.b : high.b);
}

float3 GsDisplayFromLinear(float3 light)
{
    float3 low = light * 12.92;
    float3 high = 1.055 * pow(max(light, 0.0), 1.0 / 2.4) - 0.055;
    return float3(light.r <= 0.0031308 ? low.r : high.r, light.g <= 0.0031308 ? low.g : high.g,
        light.b <= 0.0031308 ? low.b : high.b);
}

#endif

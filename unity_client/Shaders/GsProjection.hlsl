// From a Gaussian in its part's space to an ellipse on the picture: EWA splatting (Zwicker et al. 2001) by the rules
// of docs/conventions.md. Everything on the picture is in NDC or in px along NDC's axes, so that a projection which
// Unity has turned upside down for a render texture needs no case of its own.
#ifndef GS_PROJECTION_INCLUDED
#define GS_PROJECTION_INCLUDED

#include "GsFalloff.hlsl"
#include "GsTypes.hlsl"

// Avatar space has the axes of an OpenCV camera, Unity objects have y up: the y axis changes sign, nothing else.
static const float4x4 GS_OBJECT_FROM_AVATAR = float4x4(
    1, 0, 0, 0,
    0, -1, 0, 0,
    0, 0, 1, 0,
    0, 0, 0, 1);

// All the rigid and affine maps between a part and one eye in one.
GsEyeOfPart GsSeePart(float4x4 view_from_world, float4x4 world_from_object, float4x4 avatar_from_part)
{
    float4x4 object_from_part = mul(GS_OBJECT_FROM_AVATAR, avatar_from_part);
    float4x4 view_from_part = mul(view_from_world, mul(world_from_object, object_from_part));
    GsEyeOfPart eye;
    eye.view_x_from_part = view_from_part[0];
    eye.view_y_from_part = view_from_part[1];
    eye.view_z_from_part = view_from_part[2];

    // The eye is where all three rows give zero: Cramer's rule, since scales and shears rule out a transpose.
    float3 rx = view_from_part[0].xyz, ry = view_from_part[1].xyz, rz = view_from_part[2].xyz;
    float3 yz = cross(ry, rz), zx = cross(rz, rx), xy = cross(rx, ry);
    float volume = dot(rx, yz);
    float3 offset = view_from_part[0].w * yz + view_from_part[1].w * zx + view_from_part[2].w * xy;
    eye.eye_in_part_m = float4(volume != 0.0 ? -offset / volume : float3(0, 0, 0), 0);
    return eye;
}

float3x3 GsRotation(float4 quat_wxyz)
{
    float w = quat_wxyz.x, x = quat_wxyz.y, y = quat_wxyz.z, z = quat_wxyz.w;
    return float3x3(
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y));
}

// Fills all of the splat but its colour; false where this eye cannot see it. depth_m is along the view axis.
// Comparisons are written so that a value that is not a number says "not visible".
bool GsProject(GsGaussian gaussian, GsEyeOfPart eye, float4x4 clip_from_view, float2 target_px, float depth_minimum_ndc,
    out GsSplat splat, out float depth_m)
{
    float4 in_part = float4(gaussian.mean_m, 1);
    float3 in_view = float3(
        dot(eye.view_x_from_part, in_part), dot(eye.view_y_from_part, in_part), dot(eye.view_z_from_part, in_part));
    float4 clip = mul(clip_from_view, float4(in_view, 1));
    depth_m = -in_view.z;
    splat.centre_ndc = clip.xy / clip.w;
    splat.depth_ndc = clamp(clip.z / clip.w, depth_minimum_ndc, 1.0);  // drawn also before Unity's near plane
    splat.major_px = float2(1, 0);
    splat.minor_px = 1;
    splat.color_rg = 0;
    splat.color_b_opacity = 0;

    // The Jacobian of the projection, with x/z and y/z held within the picture widened by 30 % of its half.
    float2 held_ndc = clamp(splat.centre_ndc, -GS_JACOBIAN_LIMIT_NDC, GS_JACOBIAN_LIMIT_NDC);
    float2 px_from_ndc = 0.5 * target_px;
    float3 jacobian_x = (clip_from_view[0].xyz - held_ndc.x * clip_from_view[3].xyz) * (px_from_ndc.x / clip.w);
    float3 jacobian_y = (clip_from_view[1].xyz - held_ndc.y * clip_from_view[3].xyz) * (px_from_ndc.y / clip.w);

    // Rows of J L R S, L being the whole linear map, with object scales and shears: the covariance is their products.
    float3x3 view_from_part =
        float3x3(eye.view_x_from_part.xyz, eye.view_y_from_part.xyz, eye.view_z_from_part.xyz);
    float3x3 part_from_local = GsRotation(gaussian.quat_wxyz);
    float3 row_x = mul(mul(jacobian_x, view_from_part), part_from_local) * gaussian.scale_m;
    float3 row_y = mul(mul(jacobian_y, view_from_part), part_from_local) * gaussian.scale_m;
    float xx = dot(row_x, row_x) + GS_DILATION_PX2;
    float xy = dot(row_x, row_y);
    float yy = dot(row_y, row_y) + GS_DILATION_PX2;

    // Axes of the ellipse. The determinant comes from the cross product: xx yy - xy^2 would cancel where it is thin.
    float3 area = cross(row_x, row_y);
    float determinant = dot(area, area) + GS_DILATION_PX2 * (xx + yy - GS_DILATION_PX2);
    float deviation = length(float2(0.5 * (xx - yy), xy));
    float largest = 0.5 * (xx + yy) + deviation;
    float2 direction = xx >= yy ? float2(largest - yy, xy) : float2(xy, largest - xx);
    float direction_length = length(direction);
    direction = direction_length > 0.0 ? direction / direction_length : float2(1, 0);
    splat.major_px = sqrt(largest) * direction;
    splat.minor_px = sqrt(determinant / largest);

    float2 extent_ndc = GsReach(gaussian.opacity) * sqrt(float2(xx, yy)) / px_from_ndc;
    bool on_picture = abs(splat.centre_ndc.x) < 1.0 + extent_ndc.x && abs(splat.centre_ndc.y) < 1.0 + extent_ndc.y;
    bool has_area = determinant > 0.0 && largest < 1e12;
    return depth_m >= GS_NEAR_M && gaussian.opacity >= GS_ALPHA_CUT && on_picture && has_area;
}

#endif

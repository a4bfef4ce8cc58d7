// What the kernels and the draw pass hand each other in buffers. Strides and units: Documentation~/drawing.md.
#ifndef GS_TYPES_INCLUDED
#define GS_TYPES_INCLUDED

// One Gaussian in the space of its part (head or torso; OpenCV axes, metres). 48 bytes.
struct GsGaussian
{
    float3 mean_m;
    float opacity;     // 0..1
    float4 quat_wxyz;  // local axes to part axes, w first, unit length
    float3 scale_m;    // standard deviations along the local axes
    uint part;         // 0 head, 1 torso
};

// How one eye sees one part: rows of the affine map into Unity's view space (x right, y up, z backward; metres), and
// where the eye is in the part's own space. 64 bytes; entry 2 * eye + part.
struct GsEyeOfPart
{
    float4 view_x_from_part;
    float4 view_y_from_part;
    float4 view_z_from_part;
    float4 eye_in_part_m;  // w unused
};

// One Gaussian on the picture of one eye. 32 bytes; entry eye * Gaussians + index.
struct GsSplat
{
    float2 centre_ndc;
    float2 major_px;       // longest axis of the ellipse, one standard deviation long, y the way NDC's y goes
    float minor_px;        // standard deviation across it
    float depth_ndc;
    uint color_rg;         // halves, display space, not multiplied by alpha
    uint color_b_opacity;  // halves; opacity 0: this eye does not see it
};

#define GS_PARTS 2
#define GS_MAX_EYES 2
#define GS_EYES_TIMES_PARTS 4

// The rules of docs/conventions.md, "Drawing".
static const float GS_DILATION_PX2 = 0.3;
static const float GS_NEAR_M = 0.01;
static const float GS_ALPHA_CUT = 1.0 / 255.0;
static const float GS_ALPHA_MAX = 0.999;
static const float GS_JACOBIAN_LIMIT_NDC = 1.3;

#endif

// Colour of a Gaussian seen from a direction: real spherical harmonics of degree 0 to 3, signs as in 3D Gaussian
// splatting (Kerbl et al. 2023, arXiv:2308.04079). kernels/sh.py is the definition.
#ifndef GS_HARMONICS_INCLUDED
#define GS_HARMONICS_INCLUDED

StructuredBuffer<float> _GsHarmonics;  // Gaussian after Gaussian, coefficient after coefficient, r g b
uint _GsHarmonicsStored;               // coefficients a Gaussian in the buffer: 1, 4, 9 or 16
uint _GsHarmonicsUsed;                 // of those, how many are evaluated: quality levels may use fewer

float3 GsCoefficient(uint gaussian, uint k)
{
    uint at = 3 * (gaussian * _GsHarmonicsStored + k);
    return float3(_GsHarmonics[at], _GsHarmonics[at + 1], _GsHarmonics[at + 2]);
}

// direction: from the eye to the Gaussian in the part's space, unit length. Display space, clamped at 0 below.
float3 GsColor(uint gaussian, float3 direction)
{
    float3 color = 0.5 + 0.28209479177387814 * GsCoefficient(gaussian, 0);
    float x = direction.x, y = direction.y, z = direction.z;
    if (_GsHarmonicsUsed >= 4)
    {
        color += -0.4886025119029199 * y * GsCoefficient(gaussian, 1);
        color += 0.4886025119029199 * z * GsCoefficient(gaussian, 2);
        color += -0.4886025119029199 * x * GsCoefficient(gaussian, 3);
    }
    float xx = x * x, yy = y * y, zz = z * z;
    if (_GsHarmonicsUsed >= 9)
    {
        color += 1.0925484305920792 * x * y * GsCoefficient(gaussian, 4);
        color += -1.0925484305920792 * y * z * GsCoefficient(gaussian, 5);
        color += 0.31539156525252005 * (2.0 * zz - xx - yy) * GsCoefficient(gaussian, 6);
        color += -1.0925484305920792 * x * z * GsCoefficient(gaussian, 7);
        color += 0.5462742152960396 * (xx - yy) * GsCoefficient(gaussian, 8);
    }
    if (_GsHarmonicsUsed >= 16)
    {
        color += -0.5900435899266435 * y * (3.0 * xx - yy) * GsCoefficient(gaussian, 9);
        color += 2.890611442640554 * x * y * z * GsCoefficient(gaussian, 10);
        color += -0.4570457994644658 * y * (4.0 * zz - xx - yy) * GsCoefficient(gaussian, 11);
        color += 0.3731763325901154 * z * (2.0 * zz - 3.0 * xx - 3.0 * yy) * GsCoefficient(gaussian, 12);
        color += -0.4570457994644658 * x * (4.0 * zz - xx - yy) * GsCoefficient(gaussian, 13);
        color += 1.445305721320277 * z * (xx - yy) * GsCoefficient(gaussian, 14);
        color += -0.5900435899266435 * x * (xx - 3.0 * yy) * GsCoefficient(gaussian, 15);
    }
    return max(color, 0.0);
}

#endif

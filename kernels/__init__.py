"""Pure maths on arrays: Gaussians, cameras, rasterizers, tri-plane, quantisation. Imports nothing of ours."""

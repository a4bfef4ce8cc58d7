"""The trainable avatar: canonical Gaussians, audio encoder, deformation field, torso field. Needs torch."""

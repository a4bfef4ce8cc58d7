"""Training: `loop.train` is the way in. Stage 1 fits static Gaussians, stage 2 the fields. Needs torch."""

"""From video to a trained avatar, and from a bundle to frames. The serving half never imports torch."""

"""Sprites with known factors: a generator of images of one square, ellipse or heart, as those of dSprites."""

"""Small drawings of discs, squares, crosses and triangles: a world to draw in, with an exact oracle."""

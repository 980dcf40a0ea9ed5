"""Lives that Hypothesis makes up: the real engine through its Python API against the real practice gateway."""

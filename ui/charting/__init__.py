"""Viewport maths and what draws a chart: bars, axes, tags, overlays. Shared by panels, knows none of them."""

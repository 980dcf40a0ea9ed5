"""Panels: each takes its context in the constructor, `render(frame)` in, `*_requested` signals out."""

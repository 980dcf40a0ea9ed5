"""The depth ladder: rows worked out without Qt, their painter, the grid that is clicked, and the panel around it."""

from ui.panels.ladder.panel import LadderPanel

__all__ = ["LadderPanel"]

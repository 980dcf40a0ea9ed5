"""The chart: the view that paints and is dragged, and the panel around it."""

from ui.panels.chart.panel import ChartPanel

__all__ = ["ChartPanel"]

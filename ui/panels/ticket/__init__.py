"""The order ticket, in three parts: `plan` works out, `parts` paints, `panel` holds it together."""

from ui.panels.ticket.panel import TicketPanel

__all__ = ["TicketPanel"]

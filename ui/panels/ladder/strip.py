"""What the strip above the grid says: the condition if there is one, otherwise what a click would send. No Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ui.formatting import age_text, price_text

if TYPE_CHECKING:
    from app.domain import Contract, MarketFrame
    from ui.painting import PanelContext
    from ui.panels.ladder.rows import Intent


class StripText(NamedTuple):
    """tone: header, caution, danger, buy, sell, selected. Pieces from left to right, then the right-aligned one."""

    tone: str
    before: str = ""
    lead: str = ""
    rest: str = ""
    right: str = ""
    shape: str = ""


def market_condition(frame: MarketFrame | None, contract: Contract | None, age_ms: int = 0) -> StripText | None:
    """The gravest condition of the market data, or None while it can be trusted. age_ms: of the newest message, now."""
    if frame is None or contract is None:
        return StripText("header", lead="Waiting for the market", shape="ring")
    if frame.book_state == "building":
        return StripText("header", lead="Rebuilding the book", rest="waiting for the snapshot", shape="ring")
    if frame.is_late or frame.book_state == "stale":
        return StripText(
            "caution", lead=f"Feed {age_text(age_ms)} old", rest="entries blocked, reducing allowed", shape="triangle"
        )
    bid, ask = frame.best_bid_ticks, frame.best_ask_ticks
    if frame.book_state == "crossed" and bid is not None and ask is not None:
        text = f"Bid {price_text(bid, contract)} is not below ask {price_text(ask, contract)}"
        return StripText("caution", lead=text, shape="triangle")
    return None


class Exposure(NamedTuple):
    """What the next order adds to: its own size, the position, and what works on its side already."""

    lots: int
    net_lots: int
    resting_lots: int

    def reduces(self, side: str) -> bool:
        """True when an order of this size on `side` only takes the position nearer to flat."""
        return self.net_lots * _sign(side) < 0 and self.lots <= abs(self.net_lots)


def refusal(
    context: PanelContext, frame: MarketFrame | None, intent: Intent, exposure: Exposure, age_ms: int
) -> StripText | None:
    """Why this press would send nothing, or None when it would."""
    closed = arm_state(context)
    if closed is not None:
        return closed
    reduces = exposure.reduces(intent.side)
    if context.blocked_reason and not reduces:
        return blocked_text(context.blocked_reason)
    condition = market_condition(frame, context.contract, age_ms)
    if condition is not None and not (reduces and intent.kind in {"limit", "market"}):
        return condition
    if intent.refusal:
        return StripText("caution", lead=intent.refusal, rest="click would do nothing", shape="triangle")
    return None if reduces else over_limit(context, intent.side, exposure)


def arm_state(context: PanelContext) -> StripText | None:
    """Why this panel sends no entry at all, or None while it may."""
    if context.account is None:
        return StripText("header", lead="No account chosen:", rest="click would do nothing")
    if context.is_locked:
        return StripText("selected", lead="Locked", rest="cancel and close still work")
    if not context.is_armed:
        return StripText("header", lead="Disarmed:", rest="click would do nothing")
    return None


def blocked_text(reason: str) -> StripText:
    """A reason of the window, such as "market stream down", as a sentence of the strip."""
    return StripText("caution", lead=reason[:1].upper() + reason[1:], rest="entries blocked", shape="triangle")


def over_limit(context: PanelContext, side: str, exposure: Exposure) -> StripText | None:
    """The limit that this order would break, with both numbers."""
    if exposure.lots > context.max_order_lots:
        lead = f"Over limit: {context.max_order_lots} lots an order,"
        return StripText("danger", lead=lead, rest=f"this is {exposure.lots}")
    worst = abs(exposure.net_lots + _sign(side) * (exposure.lots + exposure.resting_lots))
    if worst > context.max_position_lots:
        lead = f"Over limit: {context.max_position_lots} lots allowed,"
        return StripText("danger", lead=lead, rest=f"this makes {worst}")
    return None


def _sign(side: str) -> int:
    return 1 if side == "buy" else -1


def intent_text(intent: Intent, lots: int, button: str, contract: Contract, account: str) -> tuple[str, str, str]:
    """(before, lead, rest): "Left", "BUY 1 LIMIT 7861.25", "on Alpha 50K"."""
    price = "" if intent.kind == "market" else f" {price_text(intent.ticks, contract)}"
    return button, f"{intent.side.upper()} {lots} {intent.kind.upper()}{price}", f"on {account}"


def distance_text(intent: Intent, frame: MarketFrame) -> str:
    """How far the price lies from the side it would trade with, and how many lots stand there now."""
    reference = frame.best_ask_ticks if intent.side == "buy" else frame.best_bid_ticks
    if reference is None:
        return ""
    away = intent.ticks - reference
    name = "ask" if intent.side == "buy" else "bid"
    where = f"at the {name}" if away == 0 else f"{abs(away)} t {'above' if away > 0 else 'below'} {name}"
    if intent.kind == "market":
        return ""
    if intent.kind == "stop":
        return where
    ticks, lots = (frame.bid_ticks, frame.bid_lots) if intent.side == "buy" else (frame.ask_ticks, frame.ask_lots)
    found = lots[ticks == intent.ticks]
    return f"{where} \u00b7 queue {int(found[0])}" if len(found) else where

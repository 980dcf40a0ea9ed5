"""The desk over services without an engine: what is asked for reaches the service, what is true reaches the panels."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import QApplication

from tests.ui import records
from tests.ui.fake_services import FakeServices, link
from ui.bridge import Bridge, OrderDraft
from ui.desk import Desk
from ui.dialogs.limits import LimitsDialog
from ui.frame_clock import FrameClock
from ui.loop import TaskKeeper, make_loop
from ui.main_window import MainWindow
from ui.theme import Theme

ES = "CON.F.US.EP.Z26"


class Rig:
    """A window with its desk, and a loop that runs until a condition holds."""

    def __init__(self, application: QApplication) -> None:
        self.services = FakeServices()
        self.loop = make_loop(application)
        self._reader, self._writer = socket.socketpair()
        theme = Theme()
        theme.apply(application)
        self.window = MainWindow(theme)
        self.bridge = Bridge(self._reader.fileno(), lambda: None, self.window)
        self.clock = FrameClock(60, self.window)
        self.keeper = TaskKeeper()
        services: Any = self.services
        self.desk = Desk(self.window, services, self.bridge, self.clock, self.keeper)
        self.window.arrange()
        self.window.show()

    def choose(self) -> None:
        self.services.engine.newest_frame = records.frame()
        self.desk.choose_account(7)
        self.settle()
        self.desk.choose_contract(ES)
        self.settle()

    def settle(self) -> None:
        """Run the loop until every task has ended and every frame is painted."""
        import asyncio

        async def quiet() -> None:
            # The keeper and the clock tell nobody when they rest; only a test wants to know.
            while self.keeper._tasks or not self.clock.is_idle or self.desk._tables_timer.isActive():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.03)

        self.loop.run_until_complete(asyncio.wait_for(quiet(), 10))

    def close(self) -> None:
        self.desk.stop()
        self.loop.run_until_complete(self.keeper.close())
        self.bridge.close()
        self._reader.close()
        self._writer.close()
        self.window.close_for_real()
        self.window.deleteLater()
        self.loop.close()


@pytest.fixture
def rig(qapp: QApplication) -> Iterator[Rig]:
    made = Rig(qapp)
    yield made
    made.close()


def test_without_a_chosen_account_nothing_can_be_armed(rig: Rig) -> None:
    rig.desk.choose_contract(ES)
    rig.settle()
    assert not rig.desk.ladder.header.arm_switch.isEnabled()
    assert rig.desk.ticket.buy_button.mode == "blocked"


def test_every_surface_starts_disarmed_and_is_armed_by_itself(rig: Rig, qtbot: Any) -> None:
    rig.choose()
    qtbot.mouseClick(rig.desk.ticket.header.arm_switch, Qt.MouseButton.LeftButton)
    armed = {source: context.is_armed for source, context in rig.desk.contexts.items()}
    assert armed == {"ladder": False, "chart": False, "ticket": True}


def test_another_contract_or_account_disarms_everything(rig: Rig, qtbot: Any) -> None:
    rig.choose()
    for panel in (rig.desk.ticket, rig.desk.ladder):
        qtbot.mouseClick(panel.header.arm_switch, Qt.MouseButton.LeftButton)
    rig.desk.choose_contract("CON.F.US.MNQ.Z26")
    rig.settle()
    assert rig.services.engine.armed == set()
    qtbot.mouseClick(rig.desk.ladder.header.arm_switch, Qt.MouseButton.LeftButton)
    rig.desk.choose_account(8)
    rig.settle()
    assert rig.services.engine.armed == set()


def test_lock_all_disarms_refuses_arming_and_leaves_cancels_alive(rig: Rig, qtbot: Any) -> None:
    rig.choose()
    qtbot.mouseClick(rig.desk.ticket.header.arm_switch, Qt.MouseButton.LeftButton)
    rig.services.engine.order_list = [records.Order()]
    rig.desk.lock_all(True)
    rig.desk._on_state_changed()
    rig.settle()
    assert rig.services.engine.armed == set()
    assert not rig.desk.ticket.header.arm_switch.isEnabled()
    rig.desk.cancel_all()
    rig.settle()
    assert rig.services.trading.asked == [("cancel", "p1-1-1", "window")]


def test_a_ticket_press_reaches_the_service_with_its_source(rig: Rig, qtbot: Any) -> None:
    rig.choose()
    qtbot.mouseClick(rig.desk.ticket.header.arm_switch, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(rig.desk.ticket.buy_button, Qt.MouseButton.LeftButton)
    (draft,) = rig.services.trading.submitted
    assert isinstance(draft, OrderDraft)
    assert (draft.source, draft.account_id, draft.limit_ticks) == ("ticket", 7, 31448)


def test_requests_of_each_surface_carry_its_name(rig: Rig) -> None:
    rig.choose()
    rig.desk.ladder.cancel_requested.emit("a")
    rig.desk.ticket.cancel_requested.emit("b")
    rig.desk.orders.cancel_requested.emit("c")
    rig.desk.ladder.modify_requested.emit("a", {"limit_ticks": 5})
    rig.settle()
    assert rig.services.trading.asked == [
        ("cancel", "a", "ladder"),
        ("cancel", "b", "ticket"),
        ("cancel", "c", "window"),
        ("modify", "a", {"limit_ticks": 5}, "ladder"),
    ]


def test_flatten_all_is_one_request_for_every_account(rig: Rig) -> None:
    rig.choose()
    rig.loop.run_until_complete(rig.desk.flatten_all())
    assert rig.services.trading.asked == [("flatten everything", "window")]


def progress(step: str, count: int = 0, total: int = 0, *, number: int = 5, text: str = "") -> Any:
    return SimpleNamespace(
        exit=number,
        account_id=7,
        contract_id="",
        goal="flatten",
        step=step,
        count=count,
        total=total,
        text=text,
        time_ns=records.NOON_NS,
    )


def test_a_flatten_tells_its_steps_in_one_line_and_its_end(rig: Rig) -> None:
    rig.choose()
    lines = rig.desk.ticket._result_lines
    rig.desk._on_exit_progress(progress("cancelling", 1, 3))
    rig.desk._on_exit_progress(progress("cancelling", 3, 3))
    assert "Flatten: cancelling 3 of 3" in lines[0].text()
    assert lines[1].text() == ""
    rig.desk._on_exit_progress(progress("done", text="Flat, read back from the broker."))
    assert "Flat, read back" in lines[0].text()
    rig.desk._on_exit_progress(progress("cancelling", number=6))
    assert "Flat, read back" in lines[1].text()


def test_ladder_chart_and_ticket_are_shown_in_turns_of_their_own(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.choose()
    shown: list[str] = []
    for name in ("ladder", "chart", "ticket"):
        monkeypatch.setattr(getattr(rig.desk, name), "render", lambda *_given, name=name: shown.append(name))
    rig.desk._on_frame()
    assert shown == ["ladder"]
    rig.desk._on_surface_due()
    rig.desk._on_frame()
    rig.settle()
    assert shown == ["ladder", "chart", "ladder", "ticket", "chart"]


def test_a_fill_is_listed_whichever_of_frame_and_tables_comes_first(rig: Rig) -> None:
    rig.choose()
    rig.settle()
    for number, come in enumerate((rig.desk._on_tables_due, rig.desk._on_frame), start=1):
        rig.services.engine.fill_list = [records.Fill(each) for each in range(number)]
        rig.bridge.fill_added.emit(records.Fill(number))
        come()
        rig.settle()
        assert len(rig.desk.fills.table.rows.keys()) == number


def test_a_fill_between_two_steps_of_a_flatten_keeps_its_line(rig: Rig) -> None:
    rig.choose()
    rig.desk._on_exit_progress(progress("closing", 1, 3))
    rig.desk.ticket.show_result(records.NOON_NS, "done", "Sell 2 filled")
    rig.desk._on_exit_progress(progress("done", text="Flat, read back from the broker."))
    assert [line.text()[13:] for line in rig.desk.ticket._result_lines] == [
        "Flat, read back from the broker.",
        "Sell 2 filled",
        "",
    ]


def unknown(**changes: Any) -> Any:
    doubted = records.NOON_NS - 2_400_000_000
    return records.Order(look="unknown", life="sent", order_id=0, doubt_since_ns=doubted, **changes)


def test_an_order_without_an_answer_holds_its_button_and_says_since_when(rig: Rig, qtbot: Any) -> None:
    rig.choose()
    qtbot.mouseClick(rig.desk.ticket.header.arm_switch, Qt.MouseButton.LeftButton)
    rig.services.engine.order_list = [unknown()]
    rig.services.engine.status_values["unknown_orders"] = 1
    rig.desk._on_state_changed()
    rig.settle()
    rig.desk._on_status()
    ticket = rig.desk.ticket
    assert (ticket.buy_button.first, ticket.buy_button.second) == ("Unknown, held", "2.4 s, ask again")
    assert ticket.sell_button.mode == "blocked"
    assert "Buy 2 ESZ6 at 7860.00: no answer for 2.4 s" in ticket.preview.accessibleName()
    assert "Buy 2 ESZ6 at 7860.00: no answer for 2.4 s" in rig.desk.orders.newest_reject.text()
    qtbot.mouseClick(ticket.buy_button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(rig.desk.orders.recheck_button, Qt.MouseButton.LeftButton)
    rig.settle()
    assert rig.services.trading.submitted == []
    assert rig.services.trading.asked == [("recheck",), ("recheck",)]
    rig.services.engine.order_list = [records.Order()]
    rig.services.engine.status_values["unknown_orders"] = 0
    rig.desk._on_state_changed()
    rig.settle()
    rig.desk._on_status()
    assert ticket.buy_button.mode == "armed"
    assert not rig.desk.orders.recheck_button.isVisible()


def test_an_unknown_order_of_another_contract_is_told_under_the_orders_alone(rig: Rig) -> None:
    rig.choose()
    rig.services.engine.order_list = [unknown(contract=1, contract_id="CON.F.US.MNQ.Z26")]
    rig.desk._on_state_changed()
    rig.settle()
    rig.desk._on_status()
    assert rig.desk.ticket.buy_button.mode == "disarmed"
    assert "MNQZ6" in rig.desk.orders.newest_reject.text()


def test_the_status_bar_says_whether_a_guardian_watches(rig: Rig) -> None:
    rig.desk._on_status()
    told = [rig.window.status.accessibleDescription()]
    for state in ("watching", "absent"):
        rig.desk.show_guardian(state)
        told.append(rig.window.status.accessibleDescription())
    assert [text.split(", ")[-1] for text in told] == ["Guardian connecting", "Guardian watching", "Guardian absent"]


def test_a_flatten_that_fails_is_an_alarm_and_stays_in_the_messages(rig: Rig) -> None:
    rig.choose()
    rig.desk._on_exit_progress(progress("failed", text="Still 2 lots after three rounds."))
    assert any("Still 2 lots" in text for text in rig.desk.messages.texts())


@pytest.mark.parametrize(
    ("state", "words"),
    [("late", "market stream is late"), ("dead", "market stream is lost"), ("off", "market stream is off")],
)
def test_a_stream_that_is_not_live_blocks_entries_with_its_reason(rig: Rig, state: str, words: str) -> None:
    rig.choose()
    rig.services.engine.link_list = [link("market", state), link("user"), link("rest")]
    rig.desk._on_status()
    assert rig.desk.ticket.buy_button.second == words
    rig.services.engine.link_list = [link("market"), link("user"), link("rest", "off")]
    rig.desk._on_status()
    assert rig.desk.ticket.buy_button.mode == "disarmed"


def test_a_stream_that_stays_lost_is_said_once(rig: Rig) -> None:
    for state in ("live", "dead", "dead", "dead", "live"):
        rig.bridge.link_changed.emit(link("market", state))
    assert rig.desk.messages.texts() == [
        "Market stream is live.",
        "Market stream is lost.",
        "Market stream is live.",
    ]


def test_a_lost_stream_counts_down_to_its_next_attempt_and_can_be_tried_now(rig: Rig, qtbot: Any) -> None:
    rig.choose()
    lost = link("user", "dead", 42_000, rig.services.engine.mono_ns() + 5_200_000_000)
    rig.services.engine.link_list = [link("market"), lost, link("rest")]
    rig.desk._on_status()
    bar = rig.window.status
    assert "User lost 42.0 s, next try in 6 s" in bar.shown_text()
    (place,) = [x for x in range(bar.width()) if bar.button_at(x) and not bar.button_at(x - 1)]
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=QPoint(place + 4, 12))
    rig.settle()
    assert rig.services.trading.asked[-1] == ("recheck",)
    rig.services.engine.link_list = [link("market"), link("user"), link("rest")]
    rig.desk._on_status()
    assert not any(bar.button_at(x) for x in range(bar.width()))


def test_results_of_old_prices_lose_their_colour_and_say_so(rig: Rig) -> None:
    rig.services.engine.position_list = [records.Position(account_id=7)]
    rig.choose()
    fresh = rig.desk.positions.table.rows.index(0, 5).data()
    rig.bridge.link_changed.emit(link("market", "late"))
    rig.desk._on_state_changed()
    rig.settle()
    assert rig.desk.positions.table.rows.index(0, 5).data() == f"~ {fresh}"
    assert rig.window.top_bar.day_result._result.is_stale
    assert "Market stream is late" in rig.desk.messages.texts()[0]


def test_the_age_of_a_lost_stream_goes_on_counting(rig: Rig) -> None:
    rig.choose()
    lost = link("user", "dead", age_ms=0)
    lost.since_ns = records.NOON_NS - 42_000_000_000
    rig.services.engine.link_list = [link("market"), lost, link("rest")]
    rig.desk._on_status()
    assert "User lost 42.0 s" in rig.window.status.shown_text()
    assert "REST |" in rig.window.status.shown_text(), "nothing is counted there"


def test_limits_are_stated_in_the_window_with_the_time_from_which_they_hold(rig: Rig, qtbot: Any) -> None:
    rig.choose()
    kept: list[Any] = []
    rig.desk.options_stated.connect(kept.append)
    qtbot.mouseClick(rig.desk.risk.limits_button, Qt.MouseButton.LeftButton)
    (dialog,) = rig.window.findChildren(LimitsDialog)
    assert not dialog.state_button.isEnabled()
    dialog.fields["max_order_lots"].setText("3")
    dialog.fields["max_position_lots"].setText("12")
    dialog.fields["daily_loss"].setText("400")
    notes = {name: note.text() for name, note in dialog.notes.items()}
    assert (notes["max_order_lots"], notes["daily_loss"]) == ("was 5; at once", "was 0; at once")
    assert notes["max_position_lots"] == "was 10; from the next session"
    dialog.fields["max_working_orders"].setText("61")
    assert not dialog.state_button.isEnabled(), "more than the login may have"
    dialog.fields["max_working_orders"].setText("60")
    qtbot.mouseClick(dialog.state_button, Qt.MouseButton.LeftButton)
    rig.settle()
    wanted = {"max_order_lots": 3, "max_position_lots": 12, "daily_loss": 400}
    assert rig.services.session.stated == [wanted]
    assert kept == [{f"risk.{name}": value for name, value in wanted.items()}]
    assert "higher ones from the next session" in rig.desk.messages.texts()[0]


def test_the_surfaces_know_how_many_lots_the_rules_of_the_account_leave(rig: Rig) -> None:
    rig.services.engine.risk_list = [records.Risk(account_id=7, tenths_held=20, tenths_max=60)]
    rig.services.engine.position_list = [records.Position(account_id=7, net_lots=1)]
    rig.choose()
    rig.desk._on_state_changed()
    rig.settle()
    # Six minis, one of which is held in another contract.
    assert {context.max_position_lots for context in rig.desk.contexts.values()} == {5}


def test_a_change_from_a_table_goes_by_an_armed_surface(rig: Rig) -> None:
    rig.services.engine.order_list = [records.Order(key="o1", account_id=7)]
    rig.choose()
    rig.desk.orders.modify_requested.emit("o1", {"size_lots": 3})
    rig.services.trading.arm("chart", 7, is_armed=True)
    rig.desk.orders.modify_requested.emit("o1", {"size_lots": 3})
    rig.settle()
    assert [asked[-1] for asked in rig.services.trading.asked] == ["window", "chart"]


def test_a_refusal_of_the_broker_is_told_once_and_not_as_something_unsent(rig: Rig) -> None:
    rig.choose()
    for life in ("sent", "refused"):
        rig.bridge.order_changed.emit(records.Order(key="o1", account_id=7, life=life, reason="Trading is halted."))
    refused = SimpleNamespace(level="warning", code="refused", text="The broker refused order o1.", time_ns=1)
    rig.bridge.notice.emit(refused)
    (toast,) = rig.desk.toaster.shown
    assert (toast.title, toast.text) == ("Buy 2 refused", "Trading is halted.")
    assert "The broker refused order o1." in rig.desk.messages.texts()


def test_a_notice_covers_no_button_that_flattens(rig: Rig) -> None:
    rig.window.resize(1920, 1080)
    rig.window.arrange()
    rig.choose()
    rig.desk.say("alarm", "order", "The broker refused it.")
    rig.settle()
    (toast,) = rig.desk.toaster.shown
    for panel in (rig.desk.risk, rig.desk.ticket.manage, rig.desk.positions):
        button = panel.flatten_button
        assert not toast.geometry().intersects(QRect(button.mapTo(rig.window, QPoint()), button.size()))


def test_an_unresolved_order_and_a_halt_block_entries(rig: Rig) -> None:
    rig.choose()
    rig.services.engine.status_values["unknown_orders"] = 1
    rig.desk._on_status()
    assert rig.desk.ticket.sell_button.second == "an order is unresolved"
    rig.services.engine.status_values["state"] = "halted"
    rig.desk._on_status()
    assert rig.desk.ticket.sell_button.second == "engine halted"


def test_each_market_view_is_noted_as_painted_once(rig: Rig) -> None:
    rig.choose()
    rig.services.engine.newest_frame = records.frame(revision=2, receive_mono_ns=5_000)
    rig.clock.mark_dirty()
    rig.settle()
    rig.clock.mark_dirty()
    rig.settle()
    assert rig.services.engine.painted.count(5_000) == 1


def test_a_denied_order_says_every_reason_in_ticket_and_messages(rig: Rig) -> None:
    from types import SimpleNamespace

    rig.choose()
    denied = SimpleNamespace(tag="t", account_id=7, contract_id=ES, reasons=[("a", "Not armed."), ("b", "Too large.")])
    rig.bridge.denied.emit(denied)
    assert rig.desk.messages.texts()[0] == "Not armed. Too large."
    assert "Not armed. Too large." in rig.desk.ticket._result_lines[0].text()


def test_open_business_is_told_in_sentences(rig: Rig) -> None:
    rig.services.engine.position_list = [records.Position()]
    rig.services.engine.order_list = [records.Order(), records.Order(key="u", look="unknown")]
    assert rig.desk.open_business() == ["Long 2 ESZ6, stop for 2", "2 working orders", "1 without an answer"]


def test_a_hidden_panel_gets_no_frames(rig: Rig) -> None:
    rig.choose()
    frames: list[Any] = []
    rig.desk.ladder.render = lambda *given: frames.append(given)  # type: ignore[method-assign]
    rig.window.dock("ladder").hide()
    rig.settle()
    rig.services.engine.newest_frame = records.frame(revision=9)
    rig.clock.mark_dirty()
    rig.settle()
    assert frames == []


def test_a_request_that_the_end_overtakes_leaves_nothing_unawaited(rig: Rig, recwarn: pytest.WarningsRecorder) -> None:
    rig.choose()

    async def ask_and_end() -> None:
        rig.desk._on_cancel_requested("p-tag")
        await rig.keeper.close()

    rig.loop.run_until_complete(ask_and_end())
    gc.collect()
    assert [str(each.message) for each in recwarn if "never awaited" in str(each.message)] == []

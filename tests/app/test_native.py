import asyncio
from pathlib import Path

import pytest

from app import errors
from app.native import NativeEngine, Notice, RequestDone, check_build
from tests.app.scripted import ScriptedCore


def notice(text: str) -> Notice:
    return Notice("info", "test", text, 0)


def test_the_flag_is_cleared_before_draining(scripted: tuple[ScriptedCore, NativeEngine]) -> None:
    core_engine, engine = scripted
    core_engine.publish(notice("a"))
    engine.pump()
    assert core_engine.calls == [("clear_wake",), ("drain",)]


def test_listeners_get_only_their_own_events_in_order(scripted: tuple[ScriptedCore, NativeEngine]) -> None:
    core_engine, engine = scripted
    seen: list[object] = []
    engine.listen(Notice, lambda event: seen.append(event.text))
    core_engine.publish(notice("a"), RequestDone(1, "done", "", ""), notice("b"))
    engine.pump()
    assert seen == ["a", "b"]


def test_more_than_one_batch_is_drained_in_one_pump(scripted: tuple[ScriptedCore, NativeEngine]) -> None:
    core_engine, engine = scripted
    seen: list[object] = []
    engine.listen_to_all(seen.append)
    core_engine.publish(*[notice(str(number)) for number in range(2500)])
    engine.pump()
    assert len(seen) == 2500


def test_a_failing_listener_does_not_keep_news_from_the_others(
    scripted: tuple[ScriptedCore, NativeEngine], caplog: pytest.LogCaptureFixture
) -> None:
    core_engine, engine = scripted
    seen: list[object] = []

    def fail(event: Notice) -> None:
        raise RuntimeError(event.text)

    engine.listen(Notice, fail)
    engine.listen(Notice, seen.append)
    core_engine.publish(notice("a"))
    engine.pump()
    assert len(seen) == 1


def test_a_listener_that_stopped_hears_nothing(scripted: tuple[ScriptedCore, NativeEngine]) -> None:
    core_engine, engine = scripted
    seen: list[object] = []
    stop = engine.listen(Notice, seen.append)
    stop()
    core_engine.publish(notice("a"))
    engine.pump()
    assert seen == []


def test_an_attached_loop_answers_a_request(scripted: tuple[ScriptedCore, NativeEngine]) -> None:
    core_engine, engine = scripted

    async def ask() -> object:
        engine.attach(asyncio.get_running_loop())
        asyncio.get_running_loop().call_soon(core_engine.publish, RequestDone(7, "done", "", '{"a": 1}'))
        payload = await engine.done(7, 30)
        engine.detach()
        return payload

    assert asyncio.run(ask()) == {"a": 1}


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("denied", errors.Denied),
        ("refused", errors.BrokerRejected),
        ("unknown", errors.OutcomeUnknown),
        ("failed", errors.NotConnected),
    ],
)
def test_an_outcome_becomes_the_exception_that_names_it(
    scripted: tuple[ScriptedCore, NativeEngine], outcome: str, expected: type[Exception]
) -> None:
    core_engine, engine = scripted

    async def ask() -> None:
        engine.attach(asyncio.get_running_loop())
        core_engine.publish(RequestDone(7, outcome, "why", ""))
        await engine.done(7, 30)

    with pytest.raises(expected, match="why"):
        asyncio.run(ask())


def test_a_request_without_answer_is_unknown_and_forgotten(scripted: tuple[ScriptedCore, NativeEngine]) -> None:
    _, engine = scripted
    with pytest.raises(errors.OutcomeUnknown):
        asyncio.run(engine.done(7, 0))
    assert engine._answers == {}


def test_the_engines_errors_arrive_as_ours(scripted: tuple[ScriptedCore, NativeEngine]) -> None:
    core_engine, engine = scripted
    core_engine.is_busy = True
    with pytest.raises(errors.EngineBusy) as caught:
        engine.submit(1, "C", "buy", "market", 1, source="test")
    assert caught.value.kind == "busy"


def test_the_wake_socket_outlives_the_engines_threads(scripted: tuple[ScriptedCore, NativeEngine]) -> None:
    core_engine, engine = scripted
    engine.shutdown()
    assert ("shutdown",) in core_engine.calls
    assert engine.wake_fileno() == -1


def test_an_extension_built_for_another_seam_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "trading_bot_core.pyi"
    other.write_text("class Engine: ...\n")
    with pytest.raises(errors.BuildMismatch, match="Build it again"):
        check_build(other)


def test_the_extension_was_built_for_the_seam_of_this_tree() -> None:
    check_build()


def test_without_a_stub_there_is_nothing_to_compare(tmp_path: Path) -> None:
    check_build(tmp_path / "absent.pyi")

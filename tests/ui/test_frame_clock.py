"""Frame clock: absent while clean, one frame for many marks, quantiles of what was measured."""

from typing import Any

from ui.frame_clock import FrameClock


def test_a_clean_clock_has_no_timer_running(qapp: Any) -> None:
    assert FrameClock(60).is_idle


def test_many_marks_make_one_frame_and_then_rest(qtbot: Any) -> None:
    clock = FrameClock(60)
    with qtbot.waitSignal(clock.painted):
        for _ in range(50):
            clock.mark_dirty()
    assert clock.frames == 1
    assert clock.is_idle


def test_a_mark_during_a_frame_gets_a_frame_of_its_own(qtbot: Any) -> None:
    clock = FrameClock(60)
    frames = []

    def on_frame() -> None:
        frames.append(1)
        if len(frames) == 1:
            clock.mark_dirty()

    clock.frame.connect(on_frame)
    clock.mark_dirty()
    qtbot.waitUntil(lambda: len(frames) == 2)
    assert clock.frames == 2


def test_a_frame_that_goes_on_is_painted_once_and_when_its_last_part_is(qtbot: Any) -> None:
    clock = FrameClock(60)
    painted = []
    clock.painted.connect(lambda: painted.append(1))
    clock.frame.connect(clock.hold)
    clock.mark_dirty()
    qtbot.waitUntil(lambda: clock.frames == 1)
    clock.mark_dirty()
    qtbot.waitUntil(lambda: clock.frames == 2)
    assert painted == []
    with qtbot.waitSignal(clock.painted):
        clock.release()
    assert painted == [1]


def test_painted_times_are_reported_as_quantiles(qapp: Any) -> None:
    clock = FrameClock(60)
    assert clock.painted_us(0.5) is None
    for microseconds in range(1, 101):
        clock.note_painted(microseconds)
    assert clock.painted_us(0.5) == 51
    assert clock.painted_us(0.99) == 100


def test_a_stopped_clock_makes_no_more_frames(qtbot: Any) -> None:
    clock = FrameClock(60)
    clock.mark_dirty()
    clock.stop()
    qtbot.wait(40)
    assert clock.frames == 0

use super::*;
use crate::calendar::Product;
use crate::types::Aggressor;
use proptest::prelude::*;
use rstest::rstest;

fn utc(text: &str) -> Nanos {
    Nanos::from_iso(text.as_bytes()).unwrap()
}

fn print(time: Nanos, price: i64, size: i64) -> TradePrint {
    TradePrint {
        time,
        price: Ticks(price),
        size: Lots(size),
        aggressor: Aggressor::Buyer,
    }
}

fn series(unit: &str, number: i64, live_from: Nanos) -> BarSeries {
    BarSeries::new(
        Span::from_word(unit, number).unwrap(),
        Product::Equity.calendar(),
        live_from,
    )
}

fn all(series: &BarSeries) -> Vec<Bar> {
    series
        .closed()
        .iter()
        .chain(series.forming())
        .copied()
        .collect()
}

/// Bars by grouping, written for reading: prints in the order of arrival, grouped by the bar they belong to.
fn naive(series: &BarSeries, prints: &[TradePrint]) -> Vec<Bar> {
    let mut starts: Vec<Nanos> = prints
        .iter()
        .map(|print| series.start_of(print.time))
        .collect();
    starts.sort_unstable();
    starts.dedup();
    let of_bar = |start: Nanos| {
        let prints: Vec<_> = prints
            .iter()
            .filter(|print| series.start_of(print.time) == start)
            .collect();
        Bar {
            time: start,
            open: prints[0].price,
            high: prints.iter().map(|print| print.price).max().unwrap(),
            low: prints.iter().map(|print| print.price).min().unwrap(),
            close: prints[prints.len() - 1].price,
            volume: Lots(prints.iter().map(|print| print.size.0).sum()),
        }
    };
    starts.into_iter().map(of_bar).collect()
}

fn prints_strategy() -> impl Strategy<Value = Vec<TradePrint>> {
    let step = (0i64..40_000, -5i64..6, 0i64..5);
    proptest::collection::vec(step, 1..120).prop_map(|steps| {
        let mut at = utc("2026-11-24T21:40:00Z").0;
        let mut price = 100_000;
        steps
            .into_iter()
            .map(|(wait_ms, move_ticks, size)| {
                at += wait_ms * 1_000_000;
                price += move_ticks;
                print(Nanos(at), price, size)
            })
            .collect()
    })
}

const SPANS: [(&str, i64); 6] = [
    ("second", 1),
    ("second", 30),
    ("minute", 1),
    ("minute", 7),
    ("hour", 1),
    ("day", 1),
];

proptest! {
    #[test]
    fn bars_equal_grouped_prints(prints in prints_strategy(), span in prop::sample::select(SPANS.to_vec())) {
        let mut series = series(span.0, span.1, Nanos(0));
        for print in &prints {
            series.apply(print);
        }
        prop_assert_eq!(all(&series), naive(&series, &prints));
    }

    #[test]
    fn closing_by_the_clock_changes_no_bar(prints in prints_strategy(), span in prop::sample::select(SPANS.to_vec())) {
        let mut series = series(span.0, span.1, Nanos(0));
        for print in &prints {
            series.close_until(print.time);
            series.apply(print);
        }
        prop_assert_eq!(all(&series), naive(&series, &prints));
    }

    #[test]
    fn history_and_live_prints_join_without_counting_twice(
        prints in prints_strategy(),
        span in prop::sample::select(SPANS.to_vec()),
        cuts in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        // The broker's answer is as of `asked`; we hear prints from `joined` on. Then history is joined once more at the end.
        let (low, high) = (cuts.0.index(prints.len()), cuts.1.index(prints.len()));
        let (joined, asked) = (low.min(high), low.max(high));
        let live_from = prints[joined].time;
        let mut series = series(span.0, span.1, live_from);
        let truth = naive(&series, &prints);
        // Prints that share the stamp of the first one heard were heard as well.
        let heard = prints.partition_point(|print| print.time < live_from);
        for print in &prints[heard..] {
            series.apply(print);
        }
        let as_of = prints[asked].time;
        let known: Vec<_> = prints.iter().filter(|print| print.time < as_of).copied().collect();
        let mut history = naive(&series, &known);
        history.reverse();
        series.join(&history, as_of);
        let volume = |bars: &[Bar]| bars.iter().map(|bar| bar.volume.0).sum::<i64>();
        prop_assert_eq!(volume(&all(&series)), volume(&truth));
        prop_assert_eq!(all(&series), truth);
    }
}

#[rstest]
#[case(
    "minute",
    1,
    "2026-11-24T15:07:31Z",
    "2026-11-24T15:07:00Z",
    "2026-11-24T15:08:00Z"
)]
#[case(
    "hour",
    4,
    "2026-11-24T15:07:31Z",
    "2026-11-24T15:00:00Z",
    "2026-11-24T19:00:00Z"
)]
#[case(
    "hour",
    4,
    "2026-11-24T21:07:31Z",
    "2026-11-24T19:00:00Z",
    "2026-11-24T22:00:00Z"
)]
#[case(
    "hour",
    4,
    "2026-07-07T15:07:31Z",
    "2026-07-07T14:00:00Z",
    "2026-07-07T18:00:00Z"
)]
#[case(
    "day",
    1,
    "2026-11-24T15:07:31Z",
    "2026-11-23T23:00:00Z",
    "2026-11-24T22:00:00Z"
)]
#[case(
    "day",
    1,
    "2026-11-26T03:00:00Z",
    "2026-11-25T23:00:00Z",
    "2026-11-26T18:00:00Z"
)]
fn bars_begin_and_end_with_the_session(
    #[case] unit: &str,
    #[case] number: i64,
    #[case] at: &str,
    #[case] start: &str,
    #[case] end: &str,
) {
    let series = series(unit, number, Nanos(0));
    assert_eq!(series.start_of(utc(at)), utc(start));
    assert_eq!(series.end_of(utc(start)), utc(end));
}

#[test]
fn a_late_print_corrects_its_bar_but_not_its_close() {
    let mut series = series("minute", 1, Nanos(0));
    let minute = utc("2026-11-24T15:07:00Z").0;
    let at = |seconds: i64| Nanos(minute + seconds * SECOND_NS);
    series.apply(&print(at(1), 10, 1));
    series.apply(&print(at(61), 12, 1));
    assert_eq!(series.apply(&print(at(59), 15, 2)), BarChange::Corrected(0));
    let expected = Bar {
        time: at(0),
        open: Ticks(10),
        high: Ticks(15),
        low: Ticks(10),
        close: Ticks(10),
        volume: Lots(3),
    };
    assert_eq!(series.closed(), [expected]);
}

#[test]
fn the_forming_bar_is_closed_by_the_clock() {
    let mut series = series("minute", 1, Nanos(0));
    series.apply(&print(utc("2026-11-24T15:07:01Z"), 10, 1));
    assert!(!series.close_until(utc("2026-11-24T15:07:59Z")));
    assert!(series.close_until(utc("2026-11-24T15:08:00Z")));
    assert_eq!((series.closed().len(), series.forming()), (1, None));
}

fn bar(time: Nanos, price: i64, volume: i64) -> Bar {
    let price = Ticks(price);
    Bar {
        time,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Lots(volume),
    }
}

#[test]
fn the_bar_at_the_seam_is_marked_until_history_is_joined_again() {
    let start = utc("2026-11-24T15:07:00Z");
    let at = |seconds: i64| Nanos(start.0 + seconds * SECOND_NS);
    let mut series = series("minute", 1, at(30));
    series.apply(&print(at(31), 12, 1));
    series.apply(&print(at(40), 14, 2));
    series.join(&[bar(start, 10, 7)], at(35));
    let forming = *series.forming().unwrap();
    assert_eq!(
        (forming.volume, forming.high, forming.close),
        (Lots(9), Ticks(14), Ticks(14))
    );
    assert_eq!(series.seam_end(), Some(at(60)));
    series.apply(&print(at(61), 15, 1));
    series.join(&[bar(start, 11, 10)], at(62));
    assert_eq!(series.closed(), [bar(start, 11, 10)]);
    assert_eq!(
        (series.seam_end(), series.forming().unwrap().volume),
        (None, Lots(1))
    );
}

#[test]
fn a_gap_in_the_stream_is_filled_from_history() {
    let start = utc("2026-11-24T15:00:00Z");
    let at = |seconds: i64| Nanos(start.0 + seconds * SECOND_NS);
    let mut series = series("minute", 1, at(0));
    series.join(&[], at(0));
    series.apply(&print(at(10), 5, 1));
    series.resume_from(at(150));
    series.apply(&print(at(181), 9, 1));
    series.join(
        &[bar(at(0), 6, 4), bar(at(60), 7, 3), bar(at(120), 8, 2)],
        at(185),
    );
    assert_eq!(
        all(&series),
        [
            bar(at(0), 6, 4),
            bar(at(60), 7, 3),
            bar(at(120), 8, 2),
            bar(at(180), 9, 1)
        ]
    );
}

#[rstest]
#[case("2025-04-03T22:00:00Z")]
#[case("2025-04-04T00:00:00Z")]
fn day_bars_of_history_land_on_the_session_open(#[case] stamp: &str) {
    let mut series = series("day", 1, utc("2025-04-07T15:00:00Z"));
    series.join(&[bar(utc(stamp), 5, 9)], utc("2025-04-07T15:00:01Z"));
    assert_eq!(all(&series)[0].time, utc("2025-04-03T22:00:00Z"));
}

#[test]
fn a_bar_that_began_just_after_we_started_to_listen_is_taken_from_history() {
    let start = utc("2026-11-24T15:00:00Z");
    let at = |seconds: i64| Nanos(start.0 + seconds * SECOND_NS);
    let mut series = series("minute", 1, at(59));
    series.apply(&print(at(62), 7, 1));
    series.join(&[bar(at(60), 7, 9)], at(125));
    assert_eq!(all(&series), [bar(at(60), 7, 9)]);
}

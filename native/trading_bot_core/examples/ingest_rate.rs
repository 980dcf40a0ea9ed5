//! Measures bytes → typed market state on one core: split, parse, apply to quote, book, session volume and bars. No sockets.
//!
//! `cargo run --release --example ingest_rate` prints one JSON line per mix.

use std::fmt::Write as _;
use std::time::Instant;

use trading_bot_core::calendar::Product;
use trading_bot_core::market_data::{
    BarSeries, DepthBook, Quote, RecentTrades, SessionStats, Span,
};
use trading_bot_core::types::{BrokerContract, Contract, ContractIndex, Decimal, Mono, Nanos};
use trading_bot_core::websocket::parse::{HubEvent, HubParser, MarketEvent};
use trading_bot_core::websocket::signalr::Splitter;

const ID: &str = "CON.F.US.MNQ.Z26";
// Short rounds, many of them: on a busy machine some still run without being interrupted.
const ROUNDS: usize = 199;
const RECORDS: usize = 2_000;

struct State {
    quote: Quote,
    book: DepthBook,
    session: SessionStats,
    recent: RecentTrades,
    bars: BarSeries,
    applied: usize,
}

impl State {
    fn new() -> Self {
        let calendar = Product::Equity.calendar();
        let mut bars = BarSeries::new(Span::Clock(60_000_000_000), calendar, Nanos(0));
        bars.join(&[], Nanos(0));
        Self {
            quote: Quote::default(),
            book: DepthBook::new(),
            session: SessionStats::new(calendar),
            recent: RecentTrades::default(),
            bars,
            applied: 0,
        }
    }

    fn apply(&mut self, event: &HubEvent<'_>) {
        self.applied += 1;
        match event {
            HubEvent::Market(MarketEvent::Quote(_, delta)) => self.quote.apply(delta),
            HubEvent::Market(MarketEvent::Depth(_, records)) => self.book.apply(records, Mono(1)),
            HubEvent::Market(MarketEvent::Trades(_, prints)) => {
                for print in *prints {
                    self.session.apply(print);
                    self.recent.apply(print);
                    self.bars.apply(print);
                }
            }
            _ => self.applied -= 1,
        }
    }
}

fn price(n: usize) -> String {
    let quarters = 100_400 + (n * 7) % 60;
    format!("{}.{:02}", quarters / 4, quarters % 4 * 25)
}

fn quote(n: usize) -> String {
    let (bid, ask) = (price(n), price(n + 1));
    let second = n / 40 % 60;
    format!(
        "{{\"type\":1,\"target\":\"GatewayQuote\",\"arguments\":[\"{ID}\",{{\"symbol\":\"F.US.MNQ\",\"bestBid\":{bid},\"bestAsk\":{ask},\
         \"lastUpdated\":\"2026-10-06T14:30:{second:02}.1347534+00:00\",\"timestamp\":\"2026-10-06T14:30:{second:02}.048+00:00\",\
         \"contract\":\"{ID}\"}}]}}\u{1e}"
    )
}

fn trade(n: usize) -> String {
    let (price, second) = (price(n), n / 40 % 60);
    format!(
        "{{\"type\":1,\"target\":\"GatewayTrade\",\"arguments\":[\"{ID}\",[{{\"symbolId\":\"F.US.MNQ\",\"price\":{price},\
         \"timestamp\":\"2026-10-06T14:30:{second:02}.052+00:00\",\"type\":{},\"volume\":{},\"contractId\":\"{ID}\"}}]]}}\u{1e}",
        n % 2,
        n % 9 + 1
    )
}

fn depth(n: usize) -> String {
    let second = n / 40 % 60;
    let mut levels = String::new();
    for level in 0..=(n % 6) {
        let comma = if level == 0 { "" } else { "," };
        let side = (n + level) % 2 + 1;
        write!(
            levels,
            "{comma}{{\"timestamp\":\"2026-10-06T14:30:{second:02}.1173693+00:00\",\"type\":{side},\"price\":{},\"volume\":{},\
             \"currentVolume\":0}}",
            price(n + level * 3),
            (n + level) % 30
        )
        .expect("a String takes everything");
    }
    format!("{{\"type\":1,\"target\":\"GatewayDepth\",\"arguments\":[\"{ID}\",[{levels}]]}}\u{1e}")
}

/// 70 % depth of one to six levels, 25 % quotes, 5 % trades: the mix of the reference measurements.
fn mixed(n: usize) -> String {
    match n % 20 {
        0 => trade(n),
        1..=5 => quote(n),
        _ => depth(n),
    }
}

fn measure(name: &str, write: fn(usize) -> String, contracts: &[Contract]) {
    let stream: String = (0..RECORDS).map(write).collect();
    let contracts = contracts.to_vec();
    let mut rates: Vec<f64> = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let (mut splitter, mut parser, mut state) =
            (Splitter::new(), HubParser::new(), State::new());
        let start = Instant::now();
        for piece in stream.as_bytes().chunks(64 * 1024) {
            let on_record =
                |record: &[u8]| parser.read(record, &contracts, &mut |event| state.apply(&event));
            splitter.feed(piece, on_record).expect("records are short");
        }
        rates.push(RECORDS as f64 / start.elapsed().as_secs_f64());
        assert_eq!(state.applied, RECORDS, "every record reached the state");
    }
    rates.sort_by(f64::total_cmp);
    let (median, best) = (rates[ROUNDS / 2], rates[ROUNDS - 1]);
    let bytes = stream.len() / RECORDS;
    println!(
        "{{\"mix\":\"{name}\",\"n\":{ROUNDS},\"bytes_per_record\":{bytes},\"records_per_s_median\":{median:.0},\
         \"records_per_s_best\":{best:.0},\"ns_per_record_best\":{:.0}}}",
        1e9 / best
    );
}

fn main() {
    let row = BrokerContract {
        id: ID.to_owned(),
        tick_size: Decimal::new(25, -2),
        tick_value: Decimal::new(5, -1),
        ..BrokerContract::default()
    };
    let contract = Contract::from_broker(ContractIndex(0), &row).expect("a quarter tick is a grid");
    let contracts = [contract];
    measure("quotes", quote, &contracts);
    measure("trades", trade, &contracts);
    measure("depth", depth, &contracts);
    measure("mixed", mixed, &contracts);
}

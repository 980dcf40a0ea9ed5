//! From a hub's frames to the engine's inputs, on the connection's own thread.
//!
//! Market events are parsed into batches whose buffers come back empty, so a quote allocates nothing. When the engine
//! falls behind, the batch waits and with it the socket: no print is ever dropped.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::contract::{Contracts, LinkChange, LinkName, LinkState};
use super::news::Gauges;
use super::session::{Arrival, Postbox};
use super::views::Board;
use crate::types::{Contract, ContractIndex, ContractLookup, Mono};
use crate::websocket::parse::{
    Counters, DepthRecord, HubEvent, HubParser, MarketEvent, QuoteDelta, TradePrint, UserEvent,
};
use crate::websocket::signalr::Splitter;
use crate::websocket::supervisor::{self, End, FrameSink, Hub, Taken};

/// How often a full queue is tried again while the socket is not read.
const CROWDED: Duration = Duration::from_micros(200);

enum Span {
    Quote(ContractIndex, QuoteDelta),
    Trades(ContractIndex, usize),
    Depth(ContractIndex, usize),
}

/// The market events of one frame.
#[derive(Default)]
pub struct Batch {
    pub received: Mono,
    spans: Vec<Span>,
    prints: Vec<TradePrint>,
    depth: Vec<DepthRecord>,
}

impl Batch {
    pub fn push(&mut self, event: MarketEvent<'_>) {
        self.spans.push(match event {
            MarketEvent::Quote(contract, delta) => Span::Quote(contract, delta),
            MarketEvent::Trades(contract, prints) => {
                self.prints.extend_from_slice(prints);
                Span::Trades(contract, prints.len())
            }
            MarketEvent::Depth(contract, records) => {
                self.depth.extend_from_slice(records);
                Span::Depth(contract, records.len())
            }
        });
    }

    /// Hands over every event in order.
    pub fn each(&self, mut take: impl FnMut(MarketEvent<'_>)) {
        let (mut prints, mut depth) = (&self.prints[..], &self.depth[..]);
        for span in &self.spans {
            match *span {
                Span::Quote(contract, delta) => take(MarketEvent::Quote(contract, delta)),
                Span::Trades(contract, count) => {
                    let (head, tail) = prints.split_at(count);
                    prints = tail;
                    take(MarketEvent::Trades(contract, head));
                }
                Span::Depth(contract, count) => {
                    let (head, tail) = depth.split_at(count);
                    depth = tail;
                    take(MarketEvent::Depth(contract, head));
                }
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub fn clear(&mut self) {
        self.spans.clear();
        self.prints.clear();
        self.depth.clear();
    }
}

/// What the market sink needs besides its postbox.
#[derive(Clone)]
pub struct Feed {
    pub full: Sender<Batch>,
    pub empty: Receiver<Batch>,
    pub board: Arc<Board>,
    pub gauges: Arc<Gauges>,
}

/// The engine's contracts as the connection knows them, found by broker id.
struct Directory {
    contracts: Arc<Contracts>,
    slots: HashMap<String, usize>,
    /// Messages come in runs of one contract.
    last: Cell<usize>,
}

impl Directory {
    fn new(contracts: Arc<Contracts>) -> Self {
        let slots = contracts
            .iter()
            .enumerate()
            .map(|(slot, contract)| (contract.id.clone(), slot))
            .collect();
        Self {
            contracts,
            slots,
            last: Cell::new(0),
        }
    }

    /// Takes over the engine's list when it has changed.
    fn refresh(&mut self, board: &Board) {
        let current = board.contracts.load();
        if !Arc::ptr_eq(&current, &self.contracts) {
            *self = Self::new(Arc::clone(&current));
        }
    }
}

impl ContractLookup for Directory {
    fn by_id(&self, id: &str) -> Option<&Contract> {
        if let Some(contract) = self.contracts.get(self.last.get())
            && contract.id == id
        {
            return Some(contract);
        }
        let slot = *self.slots.get(id)?;
        self.last.set(slot);
        self.contracts.get(slot).map(|contract| &**contract)
    }
}

/// Splits frames into records and records into events, and notes what ends the session.
#[derive(Default)]
struct Reader {
    splitter: Splitter,
    parser: HubParser,
    told: Counters,
}

impl Reader {
    fn read(
        &mut self,
        frame: &[u8],
        contracts: &impl ContractLookup,
        mut take: impl FnMut(HubEvent<'_>),
    ) -> Taken {
        let mut taken = Taken::default();
        let parser = &mut self.parser;
        let whole = self.splitter.feed(frame, |record| {
            parser.read(record, contracts, &mut |event| {
                match &event {
                    HubEvent::User(UserEvent::Logout) => taken.end = Some(End::LoggedOut),
                    HubEvent::Market(_) | HubEvent::User(_) => taken.events += 1,
                    HubEvent::Close { error, .. } => {
                        let text = error
                            .clone()
                            .unwrap_or_else(|| "The hub closed the session.".to_owned());
                        taken.end.get_or_insert(End::Closed(text));
                    }
                    HubEvent::Completion { error, .. } => {
                        taken.completions += 1;
                        if let Some(error) = error {
                            tracing::warn!(error, "hub invocation=refused");
                        }
                    }
                    HubEvent::Handshake { .. } | HubEvent::Ping => {}
                }
                take(event);
            });
        });
        if let Err(error) = whole {
            taken.end = Some(End::Closed(error.to_string()));
        }
        taken
    }

    /// Adds what the parser counted since the last call.
    fn count(&mut self, gauges: &Gauges) {
        let now = *self.parser.counters();
        gauges
            .messages
            .fetch_add(now.messages - self.told.messages, Ordering::Relaxed);
        let odd = now.unrecognised() - self.told.unrecognised();
        gauges
            .messages_unrecognised
            .fetch_add(odd, Ordering::Relaxed);
        self.told = now;
    }

    fn reset(&mut self) {
        self.splitter = Splitter::new();
    }
}

fn link_change(
    hub: Hub,
    state: supervisor::LinkState,
    text: String,
    retry: Option<Mono>,
) -> LinkChange {
    let name = match hub {
        Hub::Market => LinkName::Market,
        Hub::User => LinkName::User,
    };
    let state = match state {
        supervisor::LinkState::Off => LinkState::Off,
        supervisor::LinkState::Connecting => LinkState::Connecting,
        supervisor::LinkState::Live => LinkState::Live,
        supervisor::LinkState::Late => LinkState::Late,
        supervisor::LinkState::Dead => LinkState::Dead,
    };
    LinkChange {
        name,
        state,
        text,
        retry,
    }
}

/// Parses the market hub.
pub struct MarketSink {
    session: u64,
    postbox: Postbox,
    feed: Feed,
    reader: Reader,
    directory: Directory,
    /// What has been read and not yet handed over.
    pending: Batch,
}

impl MarketSink {
    pub fn new(session: u64, postbox: Postbox, feed: Feed) -> Self {
        let directory = Directory::new(feed.board.contracts.load_full());
        Self {
            session,
            postbox,
            feed,
            reader: Reader::default(),
            directory,
            pending: Batch::default(),
        }
    }
}

impl FrameSink for MarketSink {
    async fn take(&mut self, frame: &[u8], received: Mono) -> Taken {
        self.directory.refresh(&self.feed.board);
        let batch = &mut self.pending;
        if batch.is_empty() {
            batch.received = received;
        }
        let taken = self.reader.read(frame, &self.directory, |event| {
            if let HubEvent::Market(event) = event {
                batch.push(event);
            }
        });
        self.reader.count(&self.feed.gauges);
        taken
    }

    async fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let spare = self.feed.empty.try_recv().unwrap_or_default();
        let mut batch = std::mem::replace(&mut self.pending, spare);
        // Waiting here stops reading; TCP then pushes back and the gateway keeps what we cannot take.
        while let Err(TrySendError::Full(back)) = self.feed.full.try_send(batch) {
            batch = back;
            self.postbox.wake();
            tokio::time::sleep(CROWDED).await;
        }
        self.postbox.wake();
    }

    async fn link(&mut self, state: supervisor::LinkState, text: String, retry: Option<Mono>) {
        let change = link_change(Hub::Market, state, text, retry);
        self.postbox.post(Arrival::Link {
            session: self.session,
            change,
        });
    }

    fn reset(&mut self) {
        self.reader.reset();
    }
}

/// Parses the user hub.
pub struct UserSink {
    session: u64,
    postbox: Postbox,
    gauges: Arc<Gauges>,
    reader: Reader,
    nothing: Directory,
}

impl UserSink {
    pub fn new(session: u64, postbox: Postbox, gauges: Arc<Gauges>) -> Self {
        Self {
            session,
            postbox,
            gauges,
            reader: Reader::default(),
            nothing: Directory::new(Arc::default()),
        }
    }
}

impl FrameSink for UserSink {
    async fn take(&mut self, frame: &[u8], _received: Mono) -> Taken {
        let (session, postbox) = (self.session, &self.postbox);
        let taken = self.reader.read(frame, &self.nothing, |event| {
            if let HubEvent::User(event) = event {
                postbox.post(Arrival::User { session, event });
            }
        });
        self.reader.count(&self.gauges);
        while self.postbox.is_crowded() {
            self.postbox.wake();
            tokio::time::sleep(CROWDED).await;
        }
        taken
    }

    async fn flush(&mut self) {}

    async fn link(&mut self, state: supervisor::LinkState, text: String, retry: Option<Mono>) {
        let change = link_change(Hub::User, state, text, retry);
        self.postbox.post(Arrival::Link {
            session: self.session,
            change,
        });
    }

    fn reset(&mut self) {
        self.reader.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Lots, Nanos, Ticks};

    fn print(price: i64) -> TradePrint {
        TradePrint {
            time: Nanos(1),
            price: Ticks(price),
            size: Lots(1),
            aggressor: crate::types::Aggressor::Buyer,
        }
    }

    #[test]
    fn a_batch_hands_over_what_it_took_in_order() {
        let mut batch = Batch::default();
        batch.push(MarketEvent::Trades(ContractIndex(1), &[print(5), print(6)]));
        batch.push(MarketEvent::Quote(ContractIndex(2), QuoteDelta::default()));
        batch.push(MarketEvent::Trades(ContractIndex(3), &[print(7)]));
        let mut seen = Vec::new();
        batch.each(|event| match event {
            MarketEvent::Trades(contract, prints) => {
                seen.push((contract.0, prints.iter().map(|p| p.price.0).collect()));
            }
            MarketEvent::Quote(contract, _) => seen.push((contract.0, vec![])),
            MarketEvent::Depth(..) => {}
        });
        assert_eq!(seen, vec![(1, vec![5, 6]), (2, vec![]), (3, vec![7])]);
    }
}

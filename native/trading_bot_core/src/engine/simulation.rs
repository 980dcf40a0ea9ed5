//! Lives of the engine against a model broker in virtual time: requests and answers get lost, late and doubled, the hub
//! drops, the program is killed. After healing nothing may be unknown and both sides agree.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use super::contract::{
    Attempt, Command, Draft, Effect, Endpoint, Envelope, Environment, Event, Group, Input,
    LinkChange, LinkName, LinkState, Outbox, Part, Reply, Rows, SendId, Stamp, Wanted,
};
use super::views::Board;
use super::{Engine, Setup, next_epoch};
use crate::order_execution::gate::Limits;
use crate::order_execution::order::{Change, Life};
use crate::order_execution::record::Record;
use crate::order_execution::tag::{TagKind, TagMint};
use crate::order_execution::trading::Settings;
use crate::types::{
    AccountId, BrokerAccount, BrokerContract, BrokerOrder, BrokerPosition, BrokerTrade, Contract,
    ContractIndex, Decimal, Lots, Money, Mono, Nanos, OrderId, OrderKind, OrderStatus, RequestId,
    Side, Ticks, TradeId,
};
use crate::websocket::parse::{DepthRecord, MarketEvent, QuoteDelta, UserEvent};

const SECOND: u64 = 1_000_000_000;
const MILLI: u64 = 1_000_000;
const ACCOUNT: AccountId = AccountId(7001);
const CONTRACT: &str = "CON.F.US.MNQ.Z26";
/// 2026-10-06T14:30:00Z, a Tuesday in session.
const BROKER_START: i64 = 1_791_297_000_000_000_000;

/// A small generator; the seed is the life.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

fn contract_row() -> BrokerContract {
    BrokerContract {
        id: CONTRACT.into(),
        name: "MNQZ6".into(),
        description: String::new(),
        tick_size: Decimal::new(25, -2),
        tick_value: Decimal::new(5, -1),
        is_active: true,
        symbol_id: "F.US.MNQ".into(),
    }
}

fn contract() -> Contract {
    Contract::from_broker(ContractIndex(0), &contract_row()).expect("a good contract")
}

/// The broker's truth.
#[derive(Default)]
struct Model {
    orders: Vec<BrokerOrder>,
    trades: Vec<BrokerTrade>,
    net: i64,
    last: i64,
    /// Hub messages that the last act caused.
    news: Vec<UserEvent>,
    /// A position in a contract that is not [`CONTRACT`].
    stranger: Option<BrokerPosition>,
    /// What a look-up of any other contract answers.
    strange_code: i64,
    /// Nothing fills by itself.
    is_still: bool,
}

impl Model {
    fn answer(&mut self, endpoint: Endpoint, body: &str, now: Nanos) -> (Envelope, Rows) {
        let json: serde_json::Value = serde_json::from_str(body).expect("a body in JSON");
        let number = |name: &str| json.get(name).and_then(serde_json::Value::as_i64);
        let good = Envelope {
            success: true,
            ..Envelope::default()
        };
        let since = json.get("startTimestamp").and_then(|text| text.as_str());
        let since = since
            .and_then(|text| Nanos::from_iso(text.as_bytes()))
            .unwrap_or(Nanos(0));
        let is_recent = |at: Option<Nanos>| at.is_some_and(|at| at >= since);
        let rows = match endpoint {
            Endpoint::AccountSearch => Rows::Accounts(vec![account()]),
            Endpoint::ContractById if json["contractId"] != CONTRACT => {
                let envelope = Envelope {
                    error_code: self.strange_code,
                    ..Envelope::default()
                };
                return (envelope, Rows::None);
            }
            Endpoint::ContractAvailable | Endpoint::ContractById | Endpoint::ContractSearch => {
                Rows::Contracts(vec![contract_row()])
            }
            Endpoint::RetrieveBars => Rows::Bars(Vec::new()),
            Endpoint::OrderQuery => {
                let lives = self
                    .orders
                    .iter()
                    .filter(|order| !order.status.is_terminal());
                Rows::Orders(lives.cloned().collect())
            }
            Endpoint::OrderSearch => {
                let recent = self.orders.iter().filter(|order| is_recent(order.created));
                Rows::Orders(recent.cloned().collect())
            }
            Endpoint::OrderById => {
                let id = number("orderId");
                Rows::Orders(
                    self.orders
                        .iter()
                        .filter(|order| Some(order.id.0) == id)
                        .cloned()
                        .collect(),
                )
            }
            Endpoint::TradeSearch => {
                let recent = self.trades.iter().filter(|trade| is_recent(trade.created));
                Rows::Trades(recent.cloned().collect())
            }
            Endpoint::PositionSearch => {
                let rows = self.position_row().into_iter();
                Rows::Positions(rows.chain(self.stranger.clone()).collect())
            }
            Endpoint::Place => return self.place(&json, now),
            Endpoint::Cancel => return (self.cancel(number("orderId"), now), Rows::None),
            Endpoint::Modify => return (self.modify(&json, now), Rows::None),
            Endpoint::CloseContract | Endpoint::PartialCloseContract => {
                return (self.close(number("size"), now), Rows::None);
            }
        };
        (good, rows)
    }

    fn position_row(&self) -> Option<BrokerPosition> {
        (self.net != 0).then(|| self.position())
    }

    fn position(&self) -> BrokerPosition {
        BrokerPosition {
            id: 1,
            account_id: ACCOUNT,
            contract_id: CONTRACT.into(),
            created: None,
            net: Lots(self.net),
            average_price: None,
        }
    }

    fn place(&mut self, json: &serde_json::Value, now: Nanos) -> (Envelope, Rows) {
        let price = |name: &str| {
            json.get(name)
                .filter(|value| value.is_number())
                .map(ToString::to_string)
        };
        let decimal = |name: &str| price(name).and_then(|text| Decimal::parse(text.as_bytes()));
        let number = |name: &str| json[name].as_i64().expect("a number");
        let kind = OrderKind::from_wire(number("type")).expect("a kind");
        let side = Side::from_wire(number("side")).expect("a side");
        let tag = json["customTag"].as_str().map(str::to_owned);
        if self.orders.iter().any(|order| order.custom_tag == tag) {
            let envelope = Envelope {
                error_code: 2,
                error_message: "tag in use".into(),
                ..Envelope::default()
            };
            return (envelope, Rows::None);
        }
        let (limit, stop) = (decimal("limitPrice"), decimal("stopPrice"));
        let id = self.add(kind, side, number("size"), tag, now);
        let order = self.order(id);
        (order.limit_price, order.stop_price) = (limit, stop);
        self.tell(id);
        if kind == OrderKind::Market {
            self.fill(id, i64::MAX, now);
        }
        (
            Envelope {
                success: true,
                order_id: Some(id),
                ..Envelope::default()
            },
            Rows::None,
        )
    }

    fn add(
        &mut self,
        kind: OrderKind,
        side: Side,
        size: i64,
        tag: Option<String>,
        now: Nanos,
    ) -> i64 {
        let id = 5_000 + self.orders.len() as i64;
        self.orders.push(BrokerOrder {
            id: OrderId(id),
            account_id: Some(ACCOUNT),
            contract_id: CONTRACT.into(),
            symbol_id: String::new(),
            created: Some(now),
            updated: Some(now),
            status: OrderStatus::Open,
            kind: Some(kind),
            side: Some(side),
            size: Some(Lots(size)),
            filled: Some(Lots(0)),
            limit_price: None,
            stop_price: None,
            filled_price: None,
            custom_tag: tag,
            trail_distance: None,
            trail_price: None,
            parent_id: None,
            linked_id: None,
            action: None,
        });
        id
    }

    fn order(&mut self, id: i64) -> &mut BrokerOrder {
        &mut self.orders[(id - 5_000) as usize]
    }

    fn tell(&mut self, id: i64) {
        let row = self.order(id).clone();
        self.news.push(UserEvent::Order(row));
    }

    fn fill(&mut self, id: i64, lots: i64, now: Nanos) {
        let last = self.last;
        let order = self.order(id);
        let (size, filled) = (
            order.size.map_or(0, |lots| lots.0),
            order.filled.map_or(0, |lots| lots.0),
        );
        let lots = lots.min(size - filled);
        if order.status.is_terminal() || lots <= 0 {
            return;
        }
        order.filled = Some(Lots(filled + lots));
        order.updated = Some(now);
        if filled + lots == size {
            order.status = OrderStatus::Filled;
        }
        let side = order.side.expect("a side");
        let trade = BrokerTrade {
            id: TradeId(9_000 + self.trades.len() as i64),
            account_id: ACCOUNT,
            contract_id: CONTRACT.into(),
            created: Some(now),
            price: contract().price(Ticks(last)),
            profit_and_loss: None,
            fees: Money(3_600),
            commissions: Money(2_500),
            side,
            size: Lots(lots),
            is_voided: false,
            order_id: Some(OrderId(id)),
        };
        self.net += side.sign() * lots;
        self.trades.push(trade.clone());
        self.news.push(UserEvent::Trade(trade));
        self.tell(id);
        self.news.push(UserEvent::Position(self.position()));
    }

    fn living(&self, id: Option<i64>) -> Option<i64> {
        let found = self
            .orders
            .iter()
            .find(|order| Some(order.id.0) == id && !order.status.is_terminal());
        found.map(|order| order.id.0)
    }

    fn cancel(&mut self, id: Option<i64>, now: Nanos) -> Envelope {
        let Some(id) = self.living(id) else {
            return Envelope {
                error_code: 5,
                ..Envelope::default()
            };
        };
        let order = self.order(id);
        order.status = OrderStatus::Cancelled;
        order.updated = Some(now);
        self.tell(id);
        Envelope {
            success: true,
            ..Envelope::default()
        }
    }

    fn modify(&mut self, json: &serde_json::Value, now: Nanos) -> Envelope {
        let Some(id) = self.living(json["orderId"].as_i64()) else {
            return Envelope {
                error_code: 3,
                ..Envelope::default()
            };
        };
        let limit = json.get("limitPrice").map(ToString::to_string);
        let order = self.order(id);
        if let Some(limit) = limit.and_then(|text| Decimal::parse(text.as_bytes())) {
            order.limit_price = Some(limit);
        }
        if let Some(size) = json.get("size").and_then(serde_json::Value::as_i64) {
            order.size = Some(Lots(size.max(order.filled.map_or(0, |lots| lots.0) + 1)));
        }
        order.updated = Some(now);
        self.tell(id);
        Envelope {
            success: true,
            ..Envelope::default()
        }
    }

    fn close(&mut self, size: Option<i64>, now: Nanos) -> Envelope {
        if self.net == 0 {
            return Envelope {
                error_code: 2,
                ..Envelope::default()
            };
        }
        let side = if self.net > 0 { Side::Sell } else { Side::Buy };
        let lots = size.unwrap_or(i64::MAX).min(self.net.abs());
        let id = self.add(OrderKind::Market, side, lots, None, now);
        self.fill(id, lots, now);
        Envelope {
            success: true,
            ..Envelope::default()
        }
    }

    /// The market trades: living orders may fill, whole or in part.
    fn trade(&mut self, dice: &mut Dice, now: Nanos) {
        self.last += dice.roll(5) as i64 - 2;
        let living: Vec<i64> = self
            .orders
            .iter()
            .filter(|o| !o.status.is_terminal() && !matches!(o.status, OrderStatus::Other(_)))
            .map(|o| o.id.0)
            .collect();
        for id in living {
            if dice.chance(8) && !self.is_still {
                self.fill(id, 1 + dice.roll(2) as i64, now);
            }
        }
    }
}

fn account() -> BrokerAccount {
    BrokerAccount {
        id: ACCOUNT,
        name: "PRAC-V2-1-2".into(),
        balance: Some(Money(1_500_000_000)),
        can_trade: true,
        is_visible: true,
        is_simulated: true,
    }
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a few hundred at once, in a test"
)]
enum Happening {
    Arrives {
        id: SendId,
        endpoint: Endpoint,
        body: String,
        fate: Fate,
    },
    Replied(Reply),
    Hub(UserEvent),
    Timer,
    Quote,
    HubUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    AnswerLost,
    ServerError,
}

/// One engine, one broker, and the network between them.
struct World {
    dice: Dice,
    now: u64,
    engine: Engine,
    mint: TagMint,
    broker: Model,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: HashMap<u64, Happening>,
    next: u64,
    journal: Vec<Vec<u8>>,
    places_sent: BTreeMap<String, u32>,
    done: HashMap<u64, &'static str>,
    request: u64,
    has_faults: bool,
    is_hub_up: bool,
    alarms: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let (engine, mint) = fresh(&[], 0);
        let broker = Model {
            last: 100_000,
            ..Model::default()
        };
        let mut world = Self {
            dice: Dice(seed),
            now: SECOND,
            engine,
            mint,
            broker,
            queue: BinaryHeap::new(),
            happenings: HashMap::new(),
            next: 0,
            journal: Vec::new(),
            places_sent: BTreeMap::new(),
            done: HashMap::new(),
            request: 0,
            has_faults: false,
            is_hub_up: true,
            alarms: Vec::new(),
        };
        world.connect();
        world
    }

    fn broker_now(&self) -> Nanos {
        Nanos(BROKER_START + self.now as i64)
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            mono: Mono(self.now),
            wall: Nanos(0),
            recv: Mono(self.now),
        }
    }

    fn connect(&mut self) {
        let mut out = Outbox::default();
        self.engine.start(self.stamp(), &mut out);
        self.perform(&mut out);
        self.step(Input::ServerTime(self.broker_now()));
        let request = self.request();
        self.step(Input::LoggedIn {
            request,
            environment: Environment::Demo,
        });
        for name in [LinkName::Rest, LinkName::Market, LinkName::User] {
            self.link(name, LinkState::Live);
        }
        self.run_for(SECOND);
        let request = self.request();
        self.step(Input::Command(Command::Subscribe {
            request,
            contract_id: CONTRACT.into(),
        }));
        let request = self.request();
        self.step(Input::Command(Command::ChooseAccounts {
            request,
            accounts: vec![ACCOUNT],
        }));
        let limits = Limits {
            max_position_lots: 20,
            max_order_lots: 5,
            ..Limits::default()
        };
        self.step(Input::Command(Command::SetLimits {
            account: ACCOUNT,
            limits,
        }));
        self.schedule(0, Happening::Quote);
        self.run_for(2 * SECOND);
        self.arm();
    }

    fn request(&mut self) -> RequestId {
        self.request += 1;
        RequestId(self.request)
    }

    fn link(&mut self, name: LinkName, state: LinkState) {
        self.step(Input::Link(LinkChange {
            name,
            state,
            text: String::new(),
        }));
    }

    fn arm(&mut self) {
        self.step(Input::Command(Command::Arm {
            source: "ladder".into(),
            account: ACCOUNT,
            is_armed: true,
        }));
    }

    fn schedule(&mut self, delay: u64, happening: Happening) {
        self.next += 1;
        self.happenings.insert(self.next, happening);
        self.queue.push(Reverse((self.now + delay, self.next)));
    }

    fn step(&mut self, input: Input<'_>) {
        let mut out = Outbox::default();
        let stamp = self.stamp();
        self.engine.step(input, stamp, &mut out);
        self.perform(&mut out);
        self.check_always();
    }

    fn perform(&mut self, out: &mut Outbox) {
        for effect in out.drain() {
            match effect {
                Effect::Journal { index, record } => {
                    self.journal.push(record);
                    assert_eq!(
                        index,
                        self.journal.len() as u64,
                        "records are numbered without a gap"
                    );
                }
                Effect::Send(send) => {
                    if let Some(record) = send.after_record {
                        assert!(
                            record <= self.journal.len() as u64,
                            "no send before its record"
                        );
                    }
                    if send.endpoint == Endpoint::Place {
                        assert!(send.after_record.is_some(), "a place names its record");
                        let json: serde_json::Value =
                            serde_json::from_str(&send.body).expect("JSON");
                        let tag = json["customTag"].as_str().expect("a tag").to_owned();
                        *self.places_sent.entry(tag).or_default() += 1;
                    }
                    let deadline = send.deadline.0 - self.now;
                    self.carry(send.id, send.endpoint, send.body, deadline);
                }
                Effect::SetTimer(at) => {
                    self.schedule(at.0.saturating_sub(self.now), Happening::Timer);
                }
                Effect::Event(Event::RequestDone {
                    request_id,
                    outcome,
                    ..
                }) => {
                    let before = self.done.insert(request_id, outcome.word());
                    assert!(before.is_none(), "request {request_id} ends once");
                }
                Effect::Event(Event::Notice(notice)) if notice.level.word() == "alarm" => {
                    self.alarms
                        .push(format!("{}: {}", notice.code, notice.text));
                }
                Effect::Event(_)
                | Effect::Wake
                | Effect::Subscribe { .. }
                | Effect::Unsubscribe { .. }
                | Effect::Resubscribe { .. }
                | Effect::SubscribeAccounts { .. } => {}
            }
        }
    }

    /// The network: what becomes of a request.
    fn carry(&mut self, id: SendId, endpoint: Endpoint, body: String, deadline: u64) {
        let delay = MILLI * (20 + self.dice.roll(80));
        let arrives = |fate| Happening::Arrives {
            id,
            endpoint,
            body,
            fate,
        };
        if !self.has_faults || self.dice.chance(70) {
            self.schedule(delay, arrives(Fate::Answered));
            return;
        }
        match self.dice.roll(5) {
            0 => self.silence(id, deadline),
            1 => {
                self.schedule(delay, arrives(Fate::AnswerLost));
                self.silence(id, deadline);
            }
            2 => self.schedule(delay, arrives(Fate::ServerError)),
            3 => {
                // Delayed in the network: it arrives after the connection was given up (A3).
                let late = deadline + self.dice.roll(15 * SECOND);
                self.schedule(late, arrives(Fate::AnswerLost));
                self.silence(id, deadline);
            }
            _ => {
                let text = "connection refused".into();
                let attempt = Attempt::NotSent { text };
                self.schedule(
                    delay,
                    Happening::Replied(Reply {
                        id,
                        attempt,
                        rows: Rows::None,
                    }),
                );
            }
        }
    }

    fn silence(&mut self, id: SendId, deadline: u64) {
        let attempt = Attempt::Silent {
            text: "no answer".into(),
        };
        self.schedule(
            deadline,
            Happening::Replied(Reply {
                id,
                attempt,
                rows: Rows::None,
            }),
        );
    }

    fn run_for(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(Reverse((at, number))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = self.now.max(at);
            if let Some(happening) = self.happenings.remove(&number) {
                self.happen(happening);
            }
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives {
                id,
                endpoint,
                body,
                fate,
            } => self.arrive(id, endpoint, &body, fate),
            Happening::Replied(reply) => self.step(Input::Reply(reply)),
            Happening::Hub(event) if self.is_hub_up => self.step(Input::User(event)),
            Happening::Hub(_) => {}
            Happening::Timer => self.step(Input::Timer),
            Happening::Quote => self.quote(),
            Happening::HubUp => {
                self.is_hub_up = true;
                self.link(LinkName::User, LinkState::Live);
                self.arm();
            }
        }
    }

    fn arrive(&mut self, id: SendId, endpoint: Endpoint, body: &str, fate: Fate) {
        let now = self.broker_now();
        let (envelope, rows) = self.broker.answer(endpoint, body, now);
        self.spread_news();
        let attempt = match fate {
            Fate::AnswerLost => return,
            Fate::ServerError => Attempt::Answered {
                status: 500,
                envelope: None,
            },
            Fate::Answered => Attempt::Answered {
                status: 200,
                envelope: Some(envelope),
            },
        };
        let rows = if fate == Fate::Answered {
            rows
        } else {
            Rows::None
        };
        let delay = MILLI * self.dice.roll(60);
        self.schedule(delay, Happening::Replied(Reply { id, attempt, rows }));
    }

    /// The hub: with faults its messages come twice and in another order.
    fn spread_news(&mut self) {
        for event in std::mem::take(&mut self.broker.news) {
            let spread = if self.has_faults { 800 } else { 1 };
            let delay = MILLI * (1 + self.dice.roll(spread));
            if self.has_faults && self.dice.chance(20) {
                let again = MILLI * self.dice.roll(3_000);
                self.schedule(again, Happening::Hub(event.clone()));
            }
            self.schedule(delay, Happening::Hub(event));
        }
    }

    fn quote(&mut self) {
        let now = self.broker_now();
        self.broker.trade(&mut self.dice, now);
        self.spread_news();
        let last = Ticks(self.broker.last);
        let delta = QuoteDelta {
            last: Some(last),
            best_bid: last.checked_offset(-1),
            best_ask: last.checked_offset(1),
            updated: Some(now),
            ..QuoteDelta::default()
        };
        self.step(Input::Market(MarketEvent::Quote(ContractIndex(0), delta)));
        self.schedule(SECOND / 2, Happening::Quote);
    }

    fn act(&mut self) {
        match self.dice.roll(20) {
            0..=8 => self.submit(),
            9..=11 => {
                if let Some(key) = self.some_key() {
                    let request = self.request();
                    self.step(Input::Command(Command::Cancel {
                        request,
                        key,
                        source: "ladder".into(),
                    }));
                }
            }
            12..=14 => {
                if let Some(key) = self.some_key() {
                    let request = self.request();
                    let limit = Ticks(self.broker.last + self.dice.roll(40) as i64 - 20);
                    let wanted = Wanted {
                        limit: Some(limit),
                        ..Wanted::default()
                    };
                    self.step(Input::Command(Command::Modify {
                        request,
                        key,
                        wanted,
                        source: "ladder".into(),
                    }));
                }
            }
            15 => self.exit(),
            16 => {
                let request = self.request();
                let group = Group {
                    side: Some(Side::Buy),
                    ..Group::default()
                };
                let source = "ladder".into();
                self.step(Input::Command(Command::CancelGroup {
                    request,
                    account: ACCOUNT,
                    group,
                    source,
                }));
            }
            17 if self.has_faults && self.is_hub_up => {
                self.is_hub_up = false;
                self.link(LinkName::User, LinkState::Connecting);
                let time = SECOND * (1 + self.dice.roll(20));
                self.schedule(time, Happening::HubUp);
            }
            18 if self.has_faults => self.kill(),
            _ => {}
        }
    }

    fn exit(&mut self) {
        let request = self.request();
        let source = "ladder".to_owned();
        let command = if self.dice.chance(50) {
            Command::Flatten {
                request,
                account: ACCOUNT,
                contract_id: None,
                source,
            }
        } else {
            Command::ClosePosition {
                request,
                account: ACCOUNT,
                contract_id: CONTRACT.into(),
                part: Part::All,
                source,
            }
        };
        self.step(Input::Command(command));
    }

    fn submit(&mut self) {
        let side = if self.dice.chance(50) {
            Side::Buy
        } else {
            Side::Sell
        };
        let is_market = self.dice.chance(30);
        let limit = Ticks(self.broker.last - side.sign() * self.dice.roll(20) as i64);
        let size = Lots(1 + self.dice.roll(3) as i64);
        self.place(side, (!is_market).then_some(limit), size);
    }

    fn place(&mut self, side: Side, limit: Option<Ticks>, size: Lots) {
        let kind = limit.map_or(OrderKind::Market, |_| OrderKind::Limit);
        let draft = Draft {
            tag: self.mint.next_tag(),
            account: ACCOUNT,
            contract_id: CONTRACT.into(),
            side,
            kind,
            size,
            limit,
            stop: None,
            trail: None,
            stop_bracket_ticks: None,
            target_bracket_ticks: None,
            is_reduce_only: false,
            source: "ladder".into(),
            pressed: Mono(0),
        };
        self.step(Input::Command(Command::Submit(draft)));
    }

    fn depth(&mut self, records: &[(u8, i64, i64)]) {
        let time = self.broker_now();
        let record = |&(kind, price, size): &(u8, i64, i64)| DepthRecord {
            time,
            kind,
            price: Ticks(price),
            size: Lots(size),
        };
        let records: Vec<_> = records.iter().map(record).collect();
        self.step(Input::Market(MarketEvent::Depth(
            ContractIndex(0),
            &records,
        )));
    }

    fn some_key(&mut self) -> Option<String> {
        let keys: Vec<String> = self
            .engine
            .trading
            .store
            .rows()
            .map(|(_, order)| order.key.clone())
            .collect();
        let recent = &keys[keys.len().saturating_sub(6)..];
        (!recent.is_empty()).then(|| recent[self.dice.roll(recent.len() as u64) as usize].clone())
    }

    /// `kill -9`: the journal is all that is left; answers on their way reach nobody.
    fn kill(&mut self) {
        let last = self.engine.last_epoch();
        let (engine, mint) = fresh(&self.journal, last);
        self.engine = engine;
        self.mint = mint;
        self.is_hub_up = true;
        self.done.clear();
        let requests: Vec<u64> = self
            .happenings
            .iter()
            .filter(|(_, what)| !what.outlives_us())
            .map(|(n, _)| *n)
            .collect();
        for number in requests {
            self.happenings.remove(&number);
        }
        let had_faults = std::mem::replace(&mut self.has_faults, false);
        self.connect();
        self.has_faults = had_faults;
    }

    fn check_always(&self) {
        for (tag, count) in &self.places_sent {
            assert_eq!(*count, 1, "order {tag} was sent once");
        }
        for (_, order) in self.engine.trading.store.rows() {
            assert!(order.filled() <= order.size, "filled never exceeds size");
        }
    }

    fn heal(&mut self) {
        self.has_faults = false;
        if !self.is_hub_up {
            self.happen(Happening::HubUp);
        }
        self.run_for(130 * SECOND);
    }

    fn check_quiet(&self) {
        let trading = &self.engine.trading;
        for (_, order) in trading.store.rows() {
            assert!(
                order.doubt.is_none(),
                "{} is still unknown: {order:?}",
                order.key
            );
            assert_eq!(
                order.change,
                Change::None,
                "{} still changes: {order:?}",
                order.key
            );
        }
        for row in &self.broker.orders {
            let index = trading.store.order_by_id(row.id);
            let order = index
                .map(|index| &trading.store.orders[index])
                .expect("every broker order is known");
            assert_eq!(
                order.life.is_end(),
                row.status.is_terminal(),
                "{order:?} against {row:?}"
            );
            assert_eq!(Some(order.filled()), row.filled, "{order:?}");
        }
        for (_, order) in trading
            .store
            .rows()
            .filter(|(_, order)| order.life == Life::Working)
        {
            let id = order.order_id.expect("a working order has an id");
            assert!(self.broker.orders.iter().any(|row| row.id == id));
        }
        let net: i64 = trading
            .store
            .ledgers
            .values()
            .map(crate::order_execution::ledger::Ledger::net)
            .sum();
        assert_eq!(net, self.broker.net, "the position is the sum of the fills");
        assert!(
            trading.broker_net.values().all(|net| !net.is_disputed),
            "nothing is disputed"
        );
    }

    fn check_replay(&self) {
        let (engine, _) = fresh(&self.journal, 0);
        assert!(
            engine.trading.store == self.engine.trading.store,
            "the journal tells the state"
        );
    }
}

impl Happening {
    /// What goes on at the broker and in the market when our process dies.
    fn outlives_us(&self) -> bool {
        match self {
            Self::Arrives { .. } => true,
            Self::Replied(_) | Self::Hub(_) | Self::Timer | Self::Quote | Self::HubUp => false,
        }
    }
}

fn fresh(journal: &[Vec<u8>], last_epoch: u64) -> (Engine, TagMint) {
    let epoch = next_epoch(last_epoch, Nanos(0));
    let mint = TagMint::new(TagKind::Practice, "abc123", epoch);
    let setup = Setup {
        epoch,
        tag_prefix: mint.prefix().to_owned(),
        settings: Settings::default(),
    };
    let mut engine = Engine::new(&setup);
    assert_eq!(
        engine.replay(journal.iter().map(Vec::as_slice)),
        0,
        "every record reads back"
    );
    (engine, mint)
}

fn live(seed: u64) -> World {
    let mut world = World::new(seed);
    world.has_faults = true;
    for _ in 0..60 {
        world.act();
        let pause = MILLI * world.dice.roll(2_500);
        world.run_for(pause);
    }
    world.heal();
    world.check_quiet();
    world.check_replay();
    world
}

#[test]
fn after_any_faults_nothing_is_unknown_and_both_sides_agree() {
    let lives: u64 = std::env::var("PITDESK_SIM_LIVES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(60);
    let (mut orders, mut fills) = (0, 0);
    for seed in 0..lives {
        let world = live(seed);
        orders += world.broker.orders.len();
        fills += world.broker.trades.len();
    }
    assert!(
        orders > lives as usize * 3 && fills > lives as usize,
        "the lives really traded: {orders} {fills}"
    );
}

#[test]
fn the_same_seed_lives_the_same_life() {
    assert_eq!(live(3).journal, live(3).journal);
}

#[test]
fn a_quiet_life_fills_and_flattens_without_an_alarm() {
    let mut world = World::new(1);
    for _ in 0..12 {
        world.submit();
        world.run_for(SECOND);
    }
    let request = world.request();
    let source = "ladder".to_owned();
    world.step(Input::Command(Command::Flatten {
        request,
        account: ACCOUNT,
        contract_id: None,
        source,
    }));
    world.run_for(5 * SECOND);
    assert_eq!(world.done.get(&request.0), Some(&"done"));
    assert_eq!(world.broker.net, 0);
    assert!(
        world
            .broker
            .orders
            .iter()
            .all(|order| order.status.is_terminal())
    );
    world.check_quiet();
    assert!(world.alarms.is_empty(), "{:?}", world.alarms);
}

#[test]
fn a_request_that_never_arrived_is_not_accepted_only_after_the_proof() {
    let mut world = World::new(2);
    world.submit();
    let tag = world.places_sent.keys().next().expect("one place").clone();
    world.happenings.retain(|_, what| {
        !matches!(
            what,
            Happening::Arrives {
                endpoint: Endpoint::Place,
                ..
            }
        )
    });
    let id = world
        .engine
        .trading
        .place_send_id(&tag)
        .expect("a place is pending");
    let silent = Reply {
        id,
        attempt: Attempt::Silent {
            text: "timeout".into(),
        },
        rows: Rows::None,
    };
    world.step(Input::Reply(silent));
    world.run_for(39 * SECOND);
    let order = |world: &World| {
        let index = world.engine.trading.store.order(&tag).expect("known");
        world.engine.trading.store.orders[index].clone()
    };
    assert!(order(&world).doubt.is_some(), "39 s prove nothing");
    world.run_for(4 * SECOND);
    assert_eq!(order(&world).life, Life::NotAccepted);
    let is_proof =
        |bytes: &Vec<u8>| matches!(Record::from_bytes(bytes), Some(Record::Absent { .. }));
    assert_eq!(
        world.journal.iter().filter(|bytes| is_proof(bytes)).count(),
        1
    );
}

#[test]
fn an_account_whose_rows_cannot_be_read_yet_is_not_reconciled() {
    let mut world = World::new(4);
    world.broker.stranger = Some(BrokerPosition {
        contract_id: "CON.F.US.XYZ.Z26".into(),
        net: Lots(3),
        ..world.broker.position()
    });
    world.broker.strange_code = 9;
    world.kill();
    world.run_for(20 * SECOND);
    let is_reconciled = |world: &World| world.engine.trading.accounts[&ACCOUNT].is_reconciled;
    assert!(!is_reconciled(&world), "the position is not known");
    let used = world.engine.trading.budget.used(world.now as i64);
    assert!(used < 60, "patience costs few requests, not {used}");
    world.broker.strange_code = 1;
    world.run_for(20 * SECOND);
    assert!(is_reconciled(&world), "the broker defines no such contract");
}

/// A working order that the hub shows in a status nobody knows.
fn with_a_strange_status() -> (World, String) {
    let mut world = World::new(5);
    while !world
        .broker
        .orders
        .iter()
        .any(|order| order.status == OrderStatus::Open)
    {
        world.submit();
        world.run_for(SECOND / 5);
    }
    let row = world
        .broker
        .orders
        .iter_mut()
        .find(|order| order.status == OrderStatus::Open)
        .expect("one works");
    row.status = OrderStatus::Other(42);
    let row = row.clone();
    let key = row.custom_tag.clone().expect("ours");
    world.step(Input::User(UserEvent::Order(row)));
    (world, key)
}

#[test]
fn a_read_that_shows_a_status_nobody_knows_settles_nothing() {
    let (mut world, key) = with_a_strange_status();
    world.run_for(5 * SECOND);
    let doubt = |world: &World| {
        let index = world.engine.trading.store.order(&key).expect("known");
        world.engine.trading.store.orders[index].doubt
    };
    assert!(doubt(&world).is_some(), "it says nothing about the order");
    for order in &mut world.broker.orders {
        if order.status == OrderStatus::Other(42) {
            order.status = OrderStatus::Open;
        }
    }
    world.run_for(15 * SECOND);
    assert!(doubt(&world).is_none(), "a status that is known settles");
}

#[test]
fn a_new_login_trades_nothing_before_an_account_is_chosen() {
    let mut world = World::new(6);
    world.submit();
    assert_eq!(world.places_sent.len(), 1, "before it trades");
    let request = world.request();
    world.step(Input::LoggedIn {
        request,
        environment: Environment::Demo,
    });
    world.run_for(SECOND);
    world.arm();
    world.submit();
    assert_eq!(world.places_sent.len(), 1, "the new hub follows no account");
}

#[test]
fn arming_while_the_hub_is_down_does_not_outlive_the_reconnect() {
    let mut world = World::new(7);
    world.link(LinkName::User, LinkState::Dead);
    world.arm();
    world.link(LinkName::User, LinkState::Live);
    world.submit();
    assert!(world.places_sent.is_empty(), "a reconnect disarms");
}

#[test]
fn two_orders_with_one_tag_raise_an_alarm() {
    let mut world = World::new(8);
    world.submit();
    world.run_for(SECOND);
    let first = world.broker.orders[0].clone();
    let second = BrokerOrder {
        id: OrderId(first.id.0 + 1_000),
        ..first
    };
    world.step(Input::User(UserEvent::Order(second)));
    let is_told = |text: &String| text.contains("Two orders carry the tag");
    assert!(world.alarms.iter().any(is_told), "{:?}", world.alarms);
}

#[test]
fn a_partial_close_without_an_answer_ends_unknown_and_is_not_repeated() {
    let mut world = World::new(9);
    world.broker.net = 3;
    world.kill();
    world.run_for(2 * SECOND);
    let request = world.request();
    world.step(Input::Command(Command::ClosePosition {
        request,
        account: ACCOUNT,
        contract_id: CONTRACT.into(),
        part: Part::Lots(1),
        source: "ladder".into(),
    }));
    let is_close = |what: &Happening| {
        matches!(
            what,
            Happening::Arrives {
                endpoint: Endpoint::PartialCloseContract,
                ..
            }
        )
    };
    while !world.happenings.values().any(is_close) {
        world.run_for(MILLI);
    }
    let closes = world.happenings.values_mut().filter(|what| is_close(what));
    for close in closes {
        if let Happening::Arrives { fate, .. } = close {
            *fate = Fate::ServerError;
        }
    }
    world.run_for(30 * SECOND);
    assert_eq!(world.done.get(&request.0), Some(&"unknown"));
    assert_eq!(world.broker.net, 2, "one close for one decision");
}

#[test]
fn a_group_cancel_of_an_account_never_read_asks_the_broker_first() {
    let (mut world, _) = with_a_strange_status();
    let row = &mut world.broker.orders[0];
    (row.status, row.custom_tag) = (OrderStatus::Open, None);
    for other in &mut world.broker.orders[1..] {
        other.status = OrderStatus::Cancelled;
    }
    let (engine, _) = fresh(&[], 99);
    world.engine = engine;
    world.journal.clear();
    world.happenings.clear();
    let mut out = Outbox::default();
    let stamp = world.stamp();
    world.engine.start(stamp, &mut out);
    world.perform(&mut out);
    world.step(Input::ServerTime(world.broker_now()));
    let request = world.request();
    world.step(Input::LoggedIn {
        request,
        environment: Environment::Demo,
    });
    world.run_for(SECOND);
    let request = world.request();
    world.step(Input::Command(Command::CancelGroup {
        request,
        account: ACCOUNT,
        group: Group::default(),
        source: "cli".into(),
    }));
    world.run_for(10 * SECOND);
    assert_eq!(world.done.get(&request.0), Some(&"done"));
    assert_eq!(world.broker.orders[0].status, OrderStatus::Cancelled);
}

#[test]
fn a_change_without_an_answer_stays_in_doubt_while_it_may_still_arrive() {
    let mut world = World::new(10);
    world.broker.is_still = true;
    let draft_key = loop {
        world.submit();
        world.run_for(SECOND / 5);
        let open = |order: &&BrokerOrder| order.status == OrderStatus::Open;
        if let Some(row) = world.broker.orders.iter().find(open) {
            break row.custom_tag.clone().expect("ours");
        }
    };
    let index = world.engine.trading.store.order(&draft_key).expect("known");
    let size = world.engine.trading.store.orders[index].size.0 + 2;
    let request = world.request();
    world.step(Input::Command(Command::Modify {
        request,
        key: draft_key,
        wanted: Wanted {
            size: Some(Lots(size)),
            ..Wanted::default()
        },
        source: "ladder".into(),
    }));
    let is_modify = |what: &Happening| {
        matches!(
            what,
            Happening::Arrives {
                endpoint: Endpoint::Modify,
                ..
            }
        )
    };
    let number = world
        .happenings
        .iter()
        .find(|(_, what)| is_modify(what))
        .map(|(number, _)| *number)
        .expect("a change is on its way");
    let Some(Happening::Arrives {
        id, endpoint, body, ..
    }) = world.happenings.remove(&number)
    else {
        unreachable!("it was found as one");
    };
    let late = Happening::Arrives {
        id,
        endpoint,
        body,
        fate: Fate::AnswerLost,
    };
    world.schedule(15 * SECOND, late);
    world.silence(id, 5 * SECOND);
    world.run_for(12 * SECOND);
    let order = |world: &World| world.engine.trading.store.orders[index].clone();
    assert!(
        order(&world).doubt.is_some(),
        "reads of old values prove nothing"
    );
    assert!(
        order(&world).open().0 >= size - order(&world).filled().0,
        "the larger size counts"
    );
    world.run_for(5 * SECOND);
    assert!(order(&world).doubt.is_none(), "its arrival settles");
}

#[test]
fn a_resting_order_shows_how_many_lots_are_ahead_of_it() {
    let mut world = World::new(7);
    world.broker.is_still = true;
    let price = world.broker.last - 4;
    world.depth(&[
        (6, 0, 0),
        (2, price, 40),
        (2, price - 1, 9),
        (1, price + 8, 9),
    ]);
    world.place(Side::Buy, Some(Ticks(price)), Lots(1));
    world.run_for(SECOND);
    world.depth(&[(2, price, 52)]);
    world.depth(&[(2, price, 45)]);
    world.run_for(2 * SECOND);
    let board = Board::default();
    world.engine.publish(&board);
    let rows = board.orders.load();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].queue_ahead_min, rows[0].queue_ahead_max), (33, 40));
}

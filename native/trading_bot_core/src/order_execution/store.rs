//! The durable state: contracts, orders and ledgers, changed by records and by nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::order_execution::exits::Sequence;
use crate::order_execution::ledger::{Fill, Ledger, Opening, Taken};
use crate::order_execution::legs::Legs;
use crate::order_execution::order::{Change, Fact, Life, Order, Role, Values, Verdict, advance};
use crate::order_execution::record::{ContractRow, End, IntentRow, Record, SeenRow};
use crate::order_execution::stop_rules::rule::Rule;
use crate::planted::{Bug, planted};
use crate::risk_rules::{Book, RiskEvent};
use crate::types::{
    AccountId, ClientTag, Contract, ContractIndex, Lots, Nanos, OrderId, OrderKind, OrderStatus,
    Side, Ticks, divide_half_even,
};

/// An account's contract.
pub type Place = (AccountId, ContractIndex);

/// What one record changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// False when the record states what is known already; such a record is not journaled.
    pub is_changed: bool,
    /// Orders whose rows changed.
    pub orders: Vec<usize>,
    pub position: Option<Place>,
    /// The fill that is new or corrected.
    pub fill: Option<(Place, i64)>,
    /// Evidence that contradicts what we showed: one sentence for an alarm.
    pub alarm: Option<String>,
    /// The order must be asked for.
    pub is_doubted: bool,
}

/// Orders, positions and contracts as the journal tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    own_prefix: String,
    pub epoch: u64,
    pub contracts: Vec<Arc<Contract>>,
    pub orders: Vec<Order>,
    by_key: HashMap<String, usize>,
    by_id: HashMap<OrderId, usize>,
    /// Rows that turned out to be another row's order.
    merged: BTreeSet<usize>,
    /// Places of `open_rows`: a day's ended orders are walked by nobody whose answer an order waits for.
    open: BTreeSet<usize>,
    pub ledgers: BTreeMap<Place, Ledger>,
    /// Brackets, groups and bracket modes.
    pub legs: Legs,
    /// Lots and Σ(ticks × lots) of the fills of each order id.
    traded: HashMap<OrderId, (i64, i128)>,
    compared: BTreeSet<AccountId>,
    /// By the key of the stop order that each holds.
    pub rules: BTreeMap<String, Rule>,
    /// The rules of accounts and what became of them.
    pub books: BTreeMap<AccountId, Book>,
    /// Exits that have begun and not ended, by their ids.
    pub sequences: BTreeMap<String, Sequence>,
}

impl Store {
    /// An empty store. `own_prefix` is what every tag of this installation begins with.
    pub fn new(own_prefix: &str) -> Self {
        Self {
            own_prefix: own_prefix.to_owned(),
            ..Self::default()
        }
    }

    pub fn contract(&self, id: &str) -> Option<&Arc<Contract>> {
        self.contracts.iter().find(|contract| contract.id == id)
    }

    pub fn order(&self, key: &str) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    pub fn order_by_id(&self, id: OrderId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// The newest moment of the broker's time that the journal knows; zero when it knows none.
    pub fn last_known(&self) -> Nanos {
        let orders = self.orders.iter().map(|order| order.updated);
        let fills = self
            .ledgers
            .values()
            .flat_map(|ledger| ledger.fills().map(|(fill, _)| Nanos(fill.time)));
        orders.chain(fills).max().unwrap_or_default()
    }

    /// All orders that are rows of their own.
    pub fn rows(&self) -> impl Iterator<Item = (usize, &Order)> {
        self.orders
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.merged.contains(index))
    }

    /// The rows that are live or may still move a position, in the order of `rows`.
    pub fn open_rows(&self) -> impl Iterator<Item = (usize, &Order)> {
        self.open.iter().map(|index| (*index, &self.orders[*index]))
    }

    fn refresh_open(&mut self, index: usize) {
        if self.is_open(index) {
            self.open.insert(index);
        } else {
            self.open.remove(&index);
        }
    }

    fn is_open(&self, index: usize) -> bool {
        let order = &self.orders[index];
        !self.is_merged(index) && (order.is_live() || order.may_still_fill() != 0)
    }

    /// Rows that turned out to be another row's order.
    pub fn merged(&self) -> impl Iterator<Item = usize> {
        self.merged.iter().copied()
    }

    /// Whether a row turned out to be another row's order.
    pub fn is_merged(&self, index: usize) -> bool {
        self.merged.contains(&index)
    }

    pub fn is_compared(&self, account: AccountId) -> bool {
        self.compared.contains(&account)
    }

    /// Takes one record. Unknown contracts, orders and impossible steps change nothing.
    pub fn apply(&mut self, record: &Record) -> Applied {
        let applied = self.take(record);
        for index in &applied.orders {
            self.refresh_open(*index);
        }
        debug_assert!(
            (0..self.orders.len()).all(|at| self.is_open(at) == self.open.contains(&at)),
            "a record names every order whose row it changed"
        );
        applied
    }

    fn take(&mut self, record: &Record) -> Applied {
        match record {
            Record::Start { epoch, .. } => {
                self.epoch = self.epoch.max(*epoch);
                changed()
            }
            Record::Contract(row) => self.apply_contract(row),
            Record::Intent(row) => self.apply_intent(row, Fact::Left, ""),
            Record::Denied { intent, reasons } => {
                self.apply_intent(intent, Fact::Denied, &reasons.join(" "))
            }
            Record::PlaceEnd {
                tag,
                end,
                order_id,
                text,
                at,
            } => self.apply_place_end(tag, *end, order_id.map(OrderId), text, Nanos(*at)),
            Record::ChangeAsked {
                key,
                is_cancel,
                values,
                at,
                ..
            } => self.apply_change_asked(key, *is_cancel, *values, Nanos(*at)),
            Record::ChangeEnd {
                key,
                is_cancel,
                end,
                text,
                at,
            } => self.apply_change_end(key, *is_cancel, *end, text, Nanos(*at)),
            Record::Doubt { key, text, at } => self.doubt(key, text, Nanos(*at)),
            Record::Settled { key, at } => self.settle(key, Nanos(*at)),
            Record::Absent { tag, at, .. } => self.apply_fact(
                tag,
                Fact::ProvenAbsent,
                "The broker never took it.",
                Nanos(*at),
            ),
            Record::Seen { row, read } => self.apply_seen(row, *read),
            Record::Trade(fill) => self.apply_trade(fill),
            Record::Opening {
                account,
                contract,
                net,
                average_1e4,
                ..
            } => self.apply_opening(AccountId(*account), contract, *net, *average_1e4),
            Record::Compared { account, .. } => self.apply_compared(AccountId(*account)),
            Record::Risk { account, event } => self.apply_risk(AccountId(*account), event),
            Record::Legs(record) => changed_if(self.legs.apply(record)),
            Record::Sequence(record) => self.apply_sequence(record),
            Record::Exit { .. } => changed(),
            Record::RuleSet {
                key, plan, source, ..
            } => self.apply_rule_set(key, plan, source),
            Record::RuleMark { key, price, .. } => self.apply_rule_mark(key, *price),
            Record::RuleMoved {
                key,
                level,
                is_by_hand,
                text,
                ..
            } => self.apply_rule_moved(key, *level, *is_by_hand, text),
            Record::RuleEnded { key, .. } => self.apply_rule_ended(key),
        }
    }

    fn apply_compared(&mut self, account: AccountId) -> Applied {
        Applied {
            is_changed: self.compared.insert(account),
            ..Applied::default()
        }
    }

    fn apply_risk(&mut self, account: AccountId, event: &RiskEvent) -> Applied {
        // A book begins with the event that changes it: one that says nothing leaves no record, and no book either.
        let is_changed = if let Some(book) = self.books.get_mut(&account) {
            book.apply(event)
        } else {
            let mut book = Book::default();
            let is_changed = book.apply(event);
            if is_changed {
                self.books.insert(account, book);
            }
            is_changed
        };
        Applied {
            is_changed,
            ..Applied::default()
        }
    }

    fn apply_contract(&mut self, row: &ContractRow) -> Applied {
        let at = self.contracts.iter().position(|known| known.id == row.id);
        let index = at.unwrap_or(self.contracts.len());
        let Ok(number) = u16::try_from(index) else {
            return Applied::default();
        };
        let contract = Arc::new(row.contract(ContractIndex(number)));
        match at {
            Some(at) if self.contracts[at] == contract => return Applied::default(),
            Some(at) => self.contracts[at] = contract,
            None => self.contracts.push(contract),
        }
        changed()
    }

    fn apply_intent(&mut self, row: &IntentRow, fact: Fact, reason: &str) -> Applied {
        let (Some(contract), Ok(tag)) =
            (self.contract(&row.contract), row.tag.parse::<ClientTag>())
        else {
            return Applied::default();
        };
        if self.by_key.contains_key(&row.tag) {
            return Applied::default();
        }
        let Ok(Verdict::Enter(life)) = advance(Life::Intent, fact) else {
            return Applied::default();
        };
        let order = Order {
            key: row.tag.clone(),
            tag: Some(tag),
            order_id: None,
            account: AccountId(row.account),
            contract: contract.index,
            side: Side::from_wire(i64::from(row.side)).unwrap_or(Side::Buy),
            kind: OrderKind::from_wire(i64::from(row.kind)).unwrap_or(OrderKind::Limit),
            size: Lots(row.size),
            limit: row.limit.map(Ticks),
            stop: row.stop.map(Ticks),
            trail: row.trail.map(Ticks),
            life,
            change: Change::None,
            wanted: Values::default(),
            doubt: None,
            broker_filled: Lots(0),
            traded: Lots(0),
            average_1e4: None,
            role: role_of_intent(row),
            is_foreign: false,
            parent: self.parent_of_leg(&row.tag),
            linked: None,
            created: Nanos(row.at),
            updated: Nanos(row.at),
            seen: Nanos(0),
            replaced: None,
            source: row.source.clone(),
            reason: reason.to_owned(),
        };
        let index = self.insert(order);
        changed_order(index)
    }

    /// The broker's id of the entry that an own leg protects.
    fn parent_of_leg(&self, tag: &str) -> Option<OrderId> {
        let (entry, _) = self.legs.leg_of(tag)?;
        self.orders[self.order(entry)?].order_id
    }

    fn insert(&mut self, order: Order) -> usize {
        let index = self.orders.len();
        if let Some(parent) = order.parent {
            self.legs.note_child(parent.0, index);
        }
        self.by_key.insert(order.key.clone(), index);
        if let Some(id) = order.order_id {
            self.by_id.insert(id, index);
        }
        self.orders.push(order);
        index
    }

    fn apply_place_end(
        &mut self,
        tag: &str,
        end: End,
        order_id: Option<OrderId>,
        text: &str,
        at: Nanos,
    ) -> Applied {
        let Some(index) = self.order(tag) else {
            return Applied::default();
        };
        let before = self.orders[index].clone();
        if let Some(id) = order_id {
            self.link(index, id);
        }
        let fact = match end {
            End::Accepted => Fact::ReplyAccepted,
            End::NotSent => Fact::ReplyNotSent,
            End::Refused => Fact::ReplyRefused,
            End::Unknown => Fact::ReplyUnknown,
        };
        let mut applied = self.apply_fact(tag, fact, text, at);
        // It is there. An end that an older row contradicts stays in doubt until it is read.
        if end == End::Accepted && !self.orders[index].life.is_end() {
            self.orders[index].doubt = None;
        }
        applied.is_changed |= before != self.orders[index];
        applied
    }

    fn apply_fact(&mut self, key: &str, fact: Fact, text: &str, at: Nanos) -> Applied {
        let Some(index) = self.order(key) else {
            return Applied::default();
        };
        let mut applied = self.advance_order(index, fact, true, at);
        let order = &mut self.orders[index];
        // The hub tells a refusal without its reason; the answer, when it comes second, still has it.
        let is_reason_missing =
            fact == Fact::ReplyRefused && order.life == Life::Refused && order.reason.is_empty();
        if (applied.is_changed || is_reason_missing) && !text.is_empty() {
            text.clone_into(&mut order.reason);
            applied.is_changed = true;
        }
        applied.orders = vec![index];
        applied
    }

    /// Moves one order's life by a fact.
    fn advance_order(&mut self, index: usize, fact: Fact, is_read: bool, at: Nanos) -> Applied {
        let order = &mut self.orders[index];
        let Ok(verdict) = advance(order.life, fact) else {
            return Applied::default();
        };
        let mut applied = Applied::default();
        match verdict {
            Verdict::Stay if planted(Bug::EndReopened) && fact == Fact::Open => {
                order.life = Life::Working;
            }
            Verdict::Stay => return applied,
            Verdict::Contradicts(_) if !is_read => applied.is_doubted = order.doubt.is_none(),
            Verdict::Doubt => applied.is_doubted = order.doubt.is_none(),
            Verdict::Enter(life) => order.enter(life),
            Verdict::Overturn(life) | Verdict::Contradicts(life) => {
                applied.alarm = Some(format!(
                    "Order {} was shown as {}, but the broker has it as {}.",
                    order.key,
                    order.life.word(),
                    life.word()
                ));
                order.enter(life);
            }
        }
        if applied.is_doubted {
            order.doubt = Some(at);
        }
        order.updated = order.updated.max(at);
        applied.is_changed = true;
        applied
    }

    fn apply_change_asked(
        &mut self,
        key: &str,
        is_cancel: bool,
        values: Values,
        at: Nanos,
    ) -> Applied {
        let Some(index) = self.order(key) else {
            return Applied::default();
        };
        let order = &mut self.orders[index];
        if is_cancel {
            order.change = Change::Cancel;
        } else {
            order.change = Change::Modify;
            order.wanted = values;
        }
        order.updated = order.updated.max(at);
        changed_order(index)
    }

    fn apply_change_end(
        &mut self,
        key: &str,
        is_cancel: bool,
        end: End,
        text: &str,
        at: Nanos,
    ) -> Applied {
        let Some(index) = self.order(key) else {
            return Applied::default();
        };
        let order = &mut self.orders[index];
        if order.life.is_end() {
            return Applied::default();
        }
        let mut applied = changed_order(index);
        match (end, is_cancel) {
            // A cancel is over when the broker shows the order's end, not when it answers.
            (End::Accepted, true) if planted(Bug::CancelByAnswer) => order.enter(Life::Cancelled),
            (End::Accepted, true) => return Applied::default(),
            (End::Accepted, false) => order.take_wanted(at),
            (End::NotSent | End::Refused, _) => {
                order.clear_change();
                text.clone_into(&mut order.reason);
            }
            (End::Unknown, _) => {
                applied.is_doubted = order.doubt.is_none();
                order.doubt = order.doubt.or(Some(at));
                text.clone_into(&mut order.reason);
            }
        }
        order.updated = order.updated.max(at);
        applied
    }

    fn doubt(&mut self, key: &str, text: &str, at: Nanos) -> Applied {
        let Some(index) = self.order(key) else {
            return Applied::default();
        };
        let order = &mut self.orders[index];
        if order.doubt.is_some() {
            return Applied::default();
        }
        order.doubt = Some(at);
        text.clone_into(&mut order.reason);
        Applied {
            is_doubted: true,
            ..changed_order(index)
        }
    }

    fn settle(&mut self, key: &str, at: Nanos) -> Applied {
        let Some(index) = self.order(key) else {
            return Applied::default();
        };
        let order = &mut self.orders[index];
        if order.doubt.take().is_none() {
            return Applied::default();
        }
        order.clear_change();
        order.reason.clear();
        order.updated = order.updated.max(at);
        changed_order(index)
    }

    fn apply_seen(&mut self, row: &SeenRow, read: bool) -> Applied {
        let (index, is_new, mut alarm) = match self.find_seen(row) {
            Some(index) => (index, false, None),
            None => match (self.second_of_tag(row), self.adopt(row)) {
                (alarm, Some(index)) => (index, true, alarm),
                (_, None) => return Applied::default(),
            },
        };
        let before = self.orders[index].clone();
        self.link(index, OrderId(row.id));
        let fact = Fact::of_status(OrderStatus::from_wire(row.status));
        let applied = self.advance_order(index, fact, read, before.updated);
        alarm = alarm.or(applied.alarm);
        self.orders[index].take_row(row, fact, read);
        Applied {
            is_changed: is_new || self.orders[index] != before,
            orders: vec![index],
            alarm,
            is_doubted: applied.is_doubted,
            ..Applied::default()
        }
    }

    /// The order a row speaks of.
    fn find_seen(&self, row: &SeenRow) -> Option<usize> {
        if let Some(index) = self.order_by_id(OrderId(row.id)) {
            return Some(index);
        }
        let index = self.order(row.tag.as_deref()?)?;
        let known = self.orders[index].order_id;
        known.is_none_or(|id| id.0 == row.id).then_some(index)
    }

    /// The alarm about a new row whose tag belongs to another order already: one decision would be two orders (B19).
    fn second_of_tag(&self, row: &SeenRow) -> Option<String> {
        let tag = row.tag.as_deref()?;
        let known = self.orders[self.order(tag)?].order_id?;
        Some(format!(
            "Two orders carry the tag {tag}: #{} and #{}. Check with the broker before anything else.",
            known.0, row.id
        ))
    }

    /// Takes over an order that this journal did not send.
    fn adopt(&mut self, row: &SeenRow) -> Option<usize> {
        let contract = self.contract(&row.contract)?.index;
        let tag_text = row.tag.clone().unwrap_or_default();
        let parent = row.parent.map(OrderId);
        let is_child_of_own = parent
            .and_then(|id| self.order_by_id(id))
            .is_some_and(|index| !self.orders[index].is_foreign);
        let has_own_tag = !self.own_prefix.is_empty() && tag_text.starts_with(&self.own_prefix);
        let is_own = has_own_tag || is_child_of_own || row.is_own_close;
        let is_tag_free = has_own_tag && !self.by_key.contains_key(&tag_text);
        let leg_entry = self.legs.entry_of_lost(&tag_text);
        let leg_entry = leg_entry
            .filter(|_| is_tag_free && parent.is_none())
            .map(str::to_owned);
        let kind = OrderKind::from_wire(i64::from(row.kind?))?;
        let role = match &leg_entry {
            _ if row.is_own_close => Role::Close,
            Some(_) => role_of_exit(Some(kind)),
            None => role_of(row, &tag_text),
        };
        let is_lost = is_tag_free && (role == Role::Entry || leg_entry.is_some());
        let of_entry = |entry: &String| self.orders[self.order(entry)?].order_id;
        let parent = parent.or_else(|| leg_entry.as_ref().and_then(of_entry));
        let order = Order {
            key: if is_tag_free {
                tag_text.clone()
            } else {
                format!("#{}", row.id)
            },
            tag: tag_text.parse().ok(),
            order_id: Some(OrderId(row.id)),
            account: AccountId(row.account),
            contract,
            side: Side::from_wire(i64::from(row.side?))?,
            kind,
            size: Lots(row.size?),
            limit: None,
            stop: None,
            trail: None,
            life: Life::Intent,
            change: Change::None,
            wanted: Values::default(),
            doubt: None,
            broker_filled: Lots(0),
            traded: Lots(0),
            average_1e4: None,
            role,
            is_foreign: !is_own,
            parent,
            linked: row.linked.map(OrderId),
            created: Nanos(row.created),
            updated: Nanos(0),
            seen: Nanos(0),
            replaced: None,
            source: source_of(row, is_own).into(),
            reason: if is_lost { "own, record lost" } else { "" }.into(),
        };
        if let Some(entry) = leg_entry {
            self.legs.take_lost(&entry, &tag_text, role == Role::Stop);
        }
        Some(self.insert(order))
    }

    /// Names the broker's id of an order; a row adopted under that id before is the same order and goes.
    fn link(&mut self, index: usize, id: OrderId) {
        if self.orders[index].order_id.is_some_and(|known| known != id) {
            return;
        }
        if let Some(other) = self.by_id.insert(id, index)
            && other != index
        {
            let twin = self.orders[other].clone();
            self.merged.insert(other);
            self.open.remove(&other);
            let order = &mut self.orders[index];
            if twin.life.rank() > order.life.rank() {
                order.enter(twin.life);
            }
            order.broker_filled = order.broker_filled.max(twin.broker_filled);
        }
        self.orders[index].order_id = Some(id);
        self.refresh_traded(index);
    }

    fn refresh_traded(&mut self, index: usize) {
        let order = &mut self.orders[index];
        let Some((lots, sum)) = order.order_id.and_then(|id| self.traded.get(&id)).copied() else {
            return;
        };
        order.traded = Lots(lots);
        if lots > 0 {
            order.average_1e4 =
                Some(divide_half_even(sum.saturating_mul(10_000), i128::from(lots)) as i64);
        }
    }

    fn apply_trade(&mut self, fill: &Fill) -> Applied {
        let Some(contract) = self.contract(&fill.contract) else {
            return Applied::default();
        };
        let place = (AccountId(fill.account), contract.index);
        let tick_value = contract.tick_value.0;
        let ledger = self
            .ledgers
            .entry(place)
            .or_insert_with(|| Ledger::new(tick_value));
        let before = ledger.fill(fill.trade_id).map(|(known, _)| known.clone());
        let taken = ledger.take(fill);
        if taken == Taken::Known && !planted(Bug::FillCountedTwice) {
            return Applied::default();
        }
        let after = ledger.fill(fill.trade_id).map(|(known, _)| known.clone());
        let before = before.filter(|_| !planted(Bug::FillCountedTwice));
        for (fill, sign) in [(before.as_ref(), -1), (after.as_ref(), 1)] {
            if let Some(fill) = fill.filter(|fill| !fill.voided) {
                let entry = self.traded.entry(OrderId(fill.order_id)).or_default();
                let value = i128::from(fill.price) * i128::from(fill.size);
                entry.0 = entry.0.saturating_add(fill.size.saturating_mul(sign));
                entry.1 = entry.1.saturating_add(value * i128::from(sign));
            }
        }
        let order = self.order_by_id(OrderId(fill.order_id));
        if let Some(index) = order {
            self.refresh_traded(index);
        }
        Applied {
            is_changed: true,
            orders: order.into_iter().collect(),
            position: Some(place),
            fill: Some((place, fill.trade_id)),
            alarm: (taken == Taken::Corrected)
                .then(|| format!("The broker corrected trade {}.", fill.trade_id)),
            is_doubted: false,
        }
    }

    fn apply_opening(
        &mut self,
        account: AccountId,
        contract: &str,
        net: i64,
        average_1e4: i64,
    ) -> Applied {
        let Some(contract) = self.contract(contract) else {
            return Applied::default();
        };
        let place = (account, contract.index);
        let tick_value = contract.tick_value.0;
        let ledger = self
            .ledgers
            .entry(place)
            .or_insert_with(|| Ledger::new(tick_value));
        ledger.open_with(Opening { net, average_1e4 });
        Applied {
            is_changed: true,
            position: Some(place),
            ..Applied::default()
        }
    }
}

impl Order {
    fn enter(&mut self, life: Life) {
        self.life = life;
        if life.is_end() {
            self.clear_change();
            self.doubt = None;
        }
    }

    fn clear_change(&mut self) {
        self.change = Change::None;
        self.wanted = Values::default();
    }

    /// The broker took a modification: the wanted values hold until a row says otherwise.
    fn take_wanted(&mut self, at: Nanos) {
        if self.change != Change::Modify {
            return;
        }
        let wanted = self.wanted;
        let before = Values {
            size: wanted.size.map(|_| self.size.0),
            limit: wanted.limit.and(self.limit.map(|ticks| ticks.0)),
            stop: wanted.stop.and(self.stop.map(|ticks| ticks.0)),
            trail: wanted.trail.and(self.trail.map(|ticks| ticks.0)),
        };
        self.replaced = Some((before, at));
        self.size = wanted.size.map_or(self.size, Lots);
        self.limit = wanted.limit.map(Ticks).or(self.limit);
        self.stop = wanted.stop.map(Ticks).or(self.stop);
        self.trail = wanted.trail.map(Ticks).or(self.trail);
        self.clear_change();
    }

    /// Takes the values of a row unless it is older than what is known.
    fn take_row(&mut self, row: &SeenRow, fact: Fact, is_read: bool) {
        self.broker_filled = self.broker_filled.max(Lots(row.filled.unwrap_or(0)));
        self.parent = self.parent.or(row.parent.map(OrderId));
        self.linked = self.linked.or(row.linked.map(OrderId));
        if self.created.0 == 0 {
            self.created = Nanos(row.created);
        }
        if self.traded.0 == 0 && row.filled.unwrap_or(0) > 0 {
            self.average_1e4 = row.average_1e4.or(self.average_1e4);
        }
        if row.updated != 0 && is_older(row.updated, self.seen.0) {
            return;
        }
        if !is_read && self.is_replaced(row) {
            return;
        }
        self.replaced = None;
        self.seen = self.seen.max(Nanos(row.updated));
        self.size = row.size.map_or(self.size, Lots);
        self.limit = row.limit.map(Ticks).or(self.limit);
        self.stop = row.stop.map(Ticks).or(self.stop);
        self.trail = row.trail.map(Ticks).or(self.trail);
        self.updated = self.updated.max(Nanos(row.updated));
        if fact == Fact::PendingCancel && !self.life.is_end() {
            self.change = Change::Cancel;
        }
        if self.change == Change::Modify && self.has_wanted_values() {
            self.clear_change();
        }
    }

    /// Whether a message tells of values that a modification has replaced since: the answer was here first.
    fn is_replaced(&self, row: &SeenRow) -> bool {
        let Some((before, at)) = self.replaced else {
            return false;
        };
        let is_it = |before: Option<i64>, now: Option<i64>| before.is_none() || before == now;
        before != Values::default()
            && row.updated <= at.0
            && is_it(before.size, row.size)
            && is_it(before.limit, row.limit)
            && is_it(before.stop, row.stop)
            && is_it(before.trail, row.trail)
    }

    fn has_wanted_values(&self) -> bool {
        let is_met = |wanted: Option<i64>, value: Option<i64>| wanted.is_none() || wanted == value;
        is_met(self.wanted.size, Some(self.size.0))
            && is_met(self.wanted.limit, self.limit.map(|ticks| ticks.0))
            && is_met(self.wanted.stop, self.stop.map(|ticks| ticks.0))
            && is_met(self.wanted.trail, self.trail.map(|ticks| ticks.0))
    }
}

/// Whether a stamp is older than another. Answers state whole microseconds and the hub seven digits, so one update has
/// two stamps; where either was cut, the cut decides.
const fn is_older(stamp: i64, than: i64) -> bool {
    const CUT_NS: i64 = 1_000;
    if stamp % CUT_NS == 0 || than % CUT_NS == 0 {
        return stamp.div_euclid(CUT_NS) < than.div_euclid(CUT_NS);
    }
    stamp < than
}

/// An order that may only reduce is an exit of the kind that its price makes it.
fn role_of_intent(row: &IntentRow) -> Role {
    if !row.is_reduce_only {
        return Role::Entry;
    }
    role_of_exit(OrderKind::from_wire(i64::from(row.kind)))
}

/// Where an order came from that this journal did not send.
fn source_of(row: &SeenRow, is_own: bool) -> &'static str {
    match (row.is_own_close, is_own) {
        (true, _) => "close",
        (false, true) => "broker",
        (false, false) => "elsewhere",
    }
}

fn role_of_exit(kind: Option<OrderKind>) -> Role {
    match kind {
        Some(OrderKind::Stop | OrderKind::StopLimit | OrderKind::TrailingStop) => Role::Stop,
        Some(OrderKind::Limit) => Role::Target,
        Some(OrderKind::Market | OrderKind::JoinBid | OrderKind::JoinAsk) | None => Role::Close,
    }
}

fn role_of(row: &SeenRow, tag: &str) -> Role {
    if tag.ends_with("-SL") {
        return Role::Stop;
    }
    if tag.ends_with("-TP") {
        return Role::Target;
    }
    match (row.parent, row.kind) {
        (Some(_), Some(1)) => Role::Target,
        (Some(_), _) => Role::Stop,
        (None, _) => Role::Entry,
    }
}

fn changed() -> Applied {
    changed_if(true)
}

fn changed_if(is_changed: bool) -> Applied {
    Applied {
        is_changed,
        ..Applied::default()
    }
}

fn changed_order(index: usize) -> Applied {
    Applied {
        is_changed: true,
        orders: vec![index],
        ..Applied::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(store: &mut Store, updated: i64, limit: i64) -> Option<Ticks> {
        told(store, updated, limit, true)
    }

    fn told(store: &mut Store, updated: i64, limit: i64, read: bool) -> Option<Ticks> {
        let row = SeenRow {
            id: 9,
            account: 1,
            contract: "CON.F.US.MNQ.Z26".into(),
            tag: None,
            status: 1,
            kind: Some(1),
            side: Some(0),
            size: Some(1),
            filled: None,
            limit: Some(limit),
            stop: None,
            average_1e4: None,
            trail: None,
            parent: None,
            linked: None,
            created: 1,
            updated,
            is_own_close: false,
        };
        store.apply(&Record::Seen { row, read });
        let index = store.order_by_id(OrderId(9)).expect("the order is known");
        store.orders[index].limit
    }

    fn store() -> Store {
        let mut store = Store::new("pabcdef-1-");
        store.apply(&Record::Contract(ContractRow {
            id: "CON.F.US.MNQ.Z26".into(),
            name: "MNQZ6".into(),
            description: String::new(),
            symbol_id: "F.US.MNQ".into(),
            root: "MNQ".into(),
            tick_units: 25_000_000,
            decimals: 2,
            tick_value: 5_000,
            is_active: true,
        }));
        store
    }

    /// An order at 100 whose change to 110 was answered at 2,000,000,000.
    fn changed_store() -> Store {
        let mut store = store();
        seen(&mut store, 1_000_000_000, 100);
        let values = Values {
            limit: Some(110),
            ..Values::default()
        };
        let key = "#9".to_owned();
        store.apply(&Record::ChangeAsked {
            key: key.clone(),
            is_cancel: false,
            values,
            source: "test".into(),
            at: 1_900_000_000,
        });
        store.apply(&Record::ChangeEnd {
            key,
            is_cancel: false,
            end: End::Accepted,
            text: String::new(),
            at: 2_000_000_000,
        });
        store
    }

    #[test]
    fn a_message_from_before_a_change_does_not_take_it_back() {
        let mut store = changed_store();
        assert_eq!(
            told(&mut store, 1_500_000_000, 100, false),
            Some(Ticks(110))
        );
        assert_eq!(
            told(&mut store, 1_950_000_100, 110, false),
            Some(Ticks(110))
        );
        // The broker's own row of the change was seen; what comes later counts again.
        assert_eq!(
            told(&mut store, 2_100_000_000, 100, false),
            Some(Ticks(100))
        );
    }

    #[test]
    fn a_later_message_and_every_reading_count_although_they_show_the_old_price() {
        let mut store = changed_store();
        assert_eq!(
            told(&mut store, 2_000_000_100, 100, false),
            Some(Ticks(100))
        );
        let mut store = changed_store();
        assert_eq!(told(&mut store, 1_500_000_000, 100, true), Some(Ticks(100)));
    }

    #[test]
    fn an_answer_with_six_digits_is_not_older_than_the_event_with_seven() {
        let mut store = store();
        assert_eq!(seen(&mut store, 1_234_567_800, 100), Some(Ticks(100)));
        assert_eq!(seen(&mut store, 1_234_567_000, 101), Some(Ticks(101)));
        // The newest stamp is kept, so that an older event with seven digits still counts as older.
        assert_eq!(seen(&mut store, 1_234_567_700, 102), Some(Ticks(101)));
        assert_eq!(seen(&mut store, 1_234_566_000, 103), Some(Ticks(101)));
        assert_eq!(seen(&mut store, 1_234_568_000, 104), Some(Ticks(104)));
    }

    #[test]
    fn an_end_that_a_row_contradicts_stays_in_doubt_whatever_the_answer_to_the_place_says() {
        let mut store = store();
        let tag = "pabcdef-1-1".to_owned();
        let intent = IntentRow {
            tag: tag.clone(),
            account: 1,
            contract: "CON.F.US.MNQ.Z26".into(),
            side: 1,
            kind: 4,
            size: 3,
            limit: None,
            stop: Some(100),
            trail: None,
            stop_bracket: None,
            target_bracket: None,
            is_reduce_only: false,
            source: "ladder".into(),
            at: 1,
        };
        store.apply(&Record::Intent(intent));
        let row = |status| SeenRow {
            id: 9,
            account: 1,
            contract: "CON.F.US.MNQ.Z26".into(),
            tag: Some(tag.clone()),
            status,
            kind: Some(4),
            side: Some(1),
            size: Some(3),
            filled: None,
            limit: None,
            stop: Some(100),
            average_1e4: None,
            trail: None,
            parent: None,
            linked: None,
            created: 1,
            updated: 2,
            is_own_close: false,
        };
        for status in [5, 1] {
            let row = row(status);
            store.apply(&Record::Seen { row, read: false });
        }
        store.apply(&Record::ChangeAsked {
            key: tag.clone(),
            is_cancel: true,
            values: Values::default(),
            source: "close".into(),
            at: 3,
        });
        store.apply(&Record::PlaceEnd {
            tag: tag.clone(),
            end: End::Accepted,
            order_id: Some(9),
            text: String::new(),
            at: 4,
        });
        let order = &store.orders[0];
        assert_eq!((order.life, order.doubt.is_some()), (Life::Refused, true));
        store.apply(&Record::Settled { key: tag, at: 5 });
        assert_eq!(
            store.orders[0].change,
            Change::None,
            "nothing is left of its cancel"
        );
    }
}

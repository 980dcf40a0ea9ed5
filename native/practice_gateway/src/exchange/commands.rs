//! The commands of the protocol: place, modify, cancel, close. Codes and texts: protocol document, section 5.

use crate::contracts::Contract;
use crate::exchange::Exchange;
use crate::exchange::model::{Bracket, Event, Kind, Modify, Nano, Order, Place, Reply, Status};
use crate::feed::Side;

const NOT_TRADING: &str =
    "Trading is currently unavailable. The instrument is not in an active trading status.";
const BRACKETS_OFF: &str =
    "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets.";
const OUT_OF_RANGE: &str = "Invalid price. Price is outside allowed range.";
const MAX_TRAIL_TICKS: i64 = 1_000;
const MIN_STOP_TICKS: i64 = 4;
const MAX_TAG_CHARS: usize = 100;

/// A place request whose numbers have been understood.
struct Checked {
    kind: Kind,
    side: Side,
    limit: Option<i64>,
    stop: Option<i64>,
    trail: Option<i64>,
}

impl Exchange {
    /// `Order/place`.
    pub fn place(&mut self, now: i64, request: &Place) -> Reply {
        let Some(account) = self.account(request.account) else {
            return Reply::code(1);
        };
        let account_id = account.rules.id;
        let contract = match self.find_contract(&request.contract_id) {
            Ok(index) => index,
            Err(false) => return Reply::code(8),
            Err(true) => return Reply::code(9),
        };
        if request
            .tag
            .as_deref()
            .is_some_and(|tag| self.has_tag(account_id, tag))
        {
            return Reply::refused(2, "An order with this custom tag already exists.");
        }
        let checked = match self.check_place(contract, request) {
            Ok(checked) => checked,
            Err((code, message)) => {
                return self.reject(now, account_id, contract, request, code, message);
            }
        };
        if let Err((code, message)) =
            self.check_limits(account_id, contract, checked.side, request.size)
        {
            return self.reject(now, account_id, contract, request, code, message);
        }
        let id = self.accept(now, account_id, contract, request, &checked);
        self.enter(id, now);
        self.settle(now);
        Reply::ok(Some(id))
    }

    fn find_contract(&self, id: &str) -> Result<usize, bool> {
        match self.contracts.by_id(id) {
            Some(index) => Ok(index),
            None => Err(self.contracts.inactive(id).is_some()),
        }
    }

    fn check_place(&self, contract: usize, request: &Place) -> Result<Checked, (i32, String)> {
        let refuse = |message: &str| (2, message.to_owned());
        let kind = Kind::from_wire(request.kind).ok_or_else(|| refuse("Invalid order type."))?;
        if kind == Kind::StopLimit && !self.switches.stop_limit {
            return Err(refuse("Invalid order type (StopLimit)"));
        }
        let side = match request.side {
            0 => Side::Bid,
            1 => Side::Ask,
            _ => return Err(refuse("Invalid order side.")),
        };
        if request.size <= 0 || request.size > 100_000 {
            return Err(refuse("Invalid order size."));
        }
        if request
            .tag
            .as_ref()
            .is_some_and(|tag| tag.chars().count() > MAX_TAG_CHARS)
        {
            return Err(refuse("Invalid custom tag. Custom tag is too long."));
        }
        let book = &self.books[contract];
        if !book.trading || self.firm_closed {
            return Err(refuse(NOT_TRADING));
        }
        let mut checked = Checked {
            kind,
            side,
            limit: None,
            stop: None,
            trail: None,
        };
        self.check_prices(contract, request, &mut checked)?;
        self.check_brackets(request, side)?;
        if kind == Kind::Market && book.best(side.opposite()).is_none() {
            return Err(refuse("No market data available to fill the order."));
        }
        Ok(checked)
    }

    fn check_prices(
        &self,
        contract: usize,
        request: &Place,
        out: &mut Checked,
    ) -> Result<(), (i32, String)> {
        let refuse = |message: &str| (2, message.to_owned());
        let definition = self.contracts.get(contract);
        let book = &self.books[contract];
        if matches!(out.kind, Kind::Limit | Kind::StopLimit) {
            let price = request
                .limit
                .ok_or_else(|| refuse("Invalid limit price. Limit price not set."))?;
            out.limit = Some(
                self.check_price(contract, price, "limit")
                    .map_err(|m| (2, m))?,
            );
        }
        if matches!(out.kind, Kind::Stop | Kind::StopLimit) {
            let price = request
                .stop
                .ok_or_else(|| refuse("Invalid stop price. Stop price not set."))?;
            out.stop = Some(
                self.check_price(contract, price, "stop")
                    .map_err(|m| (2, m))?,
            );
        }
        if out.kind == Kind::TrailingStop {
            let distance = self
                .trail_distance(contract, request.trail)
                .map_err(|m| (2, m))?;
            if distance > MAX_TRAIL_TICKS {
                return Err(refuse("Trail Distance exceeds maximum (1000)"));
            }
            out.trail = Some(distance);
            out.stop = book.last.map(|last| trail_level(out.side, last, distance));
        }
        let touch = match out.kind {
            Kind::JoinBid => Some(Side::Bid),
            Kind::JoinAsk => Some(Side::Ask),
            _ => None,
        };
        if let Some(side) = touch {
            let price = book
                .best(side)
                .ok_or_else(|| refuse("No market data available to join."))?;
            out.limit = Some(price);
        }
        debug_assert!(definition.tick_nano > 0, "every product has a tick");
        Ok(())
    }

    /// Whole ticks of a sent price, or the refusal.
    fn check_price(&self, contract: usize, price: Nano, word: &str) -> Result<i64, String> {
        let definition = self.contracts.get(contract);
        let ticks = aligned(definition, price)
            .ok_or_else(|| format!("Invalid {word} price. Price is not aligned to tick size."))?;
        let last = self.books[contract].last.filter(|last| *last > 0);
        let far = last.is_some_and(|last| (ticks - last).abs() > last / 2);
        if far || ticks <= 0 {
            return Err(OUT_OF_RANGE.to_owned());
        }
        Ok(ticks)
    }

    /// Distance in ticks of a trailing stop from the absolute level that was sent, taken at arrival.
    fn trail_distance(&self, contract: usize, level: Option<Nano>) -> Result<i64, String> {
        let level = level.ok_or("Trail Distance not set.")?;
        let definition = self.contracts.get(contract);
        if aligned(definition, level).is_none() {
            return Err("Invalid trail price. Price is not aligned to tick size.".to_owned());
        }
        let last = self.books[contract]
            .last
            .ok_or("Cannot trail without a last price")?;
        let tick = i128::from(definition.tick_nano);
        let distance = (i128::from(last) * tick - level).abs() / tick;
        if distance == 0 {
            return Err("Trail Distance not set.".to_owned());
        }
        i64::try_from(distance).map_err(|_| OUT_OF_RANGE.to_owned())
    }

    fn check_brackets(&self, request: &Place, side: Side) -> Result<(), (i32, String)> {
        if request.stop_loss.is_none() && request.take_profit.is_none() {
            return Ok(());
        }
        if !self
            .account(request.account)
            .is_some_and(|account| account.rules.auto_oco)
        {
            return Err((2, BRACKETS_OFF.to_owned()));
        }
        let stop = request
            .stop_loss
            .map_or(Ok(()), |bracket| check_stop_loss(bracket, side));
        let target = request
            .take_profit
            .map_or(Ok(()), |bracket| check_take_profit(bracket, side));
        stop.and(target).map_err(|message| (2, message))
    }

    /// Records a refused order: it has an id and status 5, and the hub tells no reason.
    fn reject(
        &mut self,
        now: i64,
        account: i32,
        contract: usize,
        request: &Place,
        code: i32,
        message: String,
    ) -> Reply {
        let side = if request.side == 1 {
            Side::Ask
        } else {
            Side::Bid
        };
        let checked = Checked {
            kind: Kind::from_wire(request.kind).unwrap_or(Kind::Market),
            side,
            limit: request
                .limit
                .and_then(|price| aligned(self.contracts.get(contract), price)),
            stop: request
                .stop
                .and_then(|price| aligned(self.contracts.get(contract), price)),
            trail: None,
        };
        let mut order = self.new_order(now, account, contract, request, &checked);
        order.status = Status::Rejected;
        let id = order.id;
        self.index_order(&order);
        self.orders.insert(id, order);
        self.publish_order(id);
        Reply {
            order: Some(id),
            code,
            message: Some(message),
        }
    }

    fn new_order(
        &mut self,
        now: i64,
        account: i32,
        contract: usize,
        request: &Place,
        checked: &Checked,
    ) -> Order {
        let id = self.next_order;
        self.next_order += 1;
        Order {
            id,
            account,
            contract,
            contract_id: self.contracts.get(contract).id.clone(),
            created: now,
            updated: now,
            status: Status::Pending,
            kind: checked.kind,
            side: checked.side,
            size: request.size,
            limit: checked.limit,
            stop: checked.stop,
            trail: checked.trail,
            offset: None,
            filled: 0,
            fill_ticks_lots: 0,
            tag: request.tag.clone(),
            parent: None,
            linked: None,
            triggered: false,
            ahead: 0,
        }
    }

    /// Creates the order and its suspended legs; the events come in the order in which they were seen live.
    fn accept(
        &mut self,
        now: i64,
        account: i32,
        contract: usize,
        request: &Place,
        checked: &Checked,
    ) -> i64 {
        let entry = self.new_order(now, account, contract, request, checked);
        let id = entry.id;
        let stop = request
            .stop_loss
            .map(|bracket| self.new_leg(&entry, bracket, "-SL", None));
        let linked = stop.as_ref().map(|order| order.id);
        let target = request
            .take_profit
            .map(|bracket| self.new_leg(&entry, bracket, "-TP", linked));
        for order in [stop, Some(entry), target].into_iter().flatten() {
            self.index_order(&order);
            self.working.entry(account).or_default().insert(order.id);
            self.events.push(Event::Order(order.clone()));
            self.orders.insert(order.id, order);
        }
        id
    }

    fn new_leg(
        &mut self,
        entry: &Order,
        bracket: Bracket,
        suffix: &str,
        linked: Option<i64>,
    ) -> Order {
        let id = self.next_order;
        self.next_order += 1;
        let kind = Kind::from_wire(bracket.kind).unwrap_or(Kind::Stop);
        Order {
            id,
            status: Status::Suspended,
            kind,
            side: entry.side.opposite(),
            limit: None,
            stop: None,
            trail: (kind == Kind::TrailingStop).then_some(bracket.ticks.abs()),
            offset: Some(bracket.ticks),
            tag: entry.tag.as_ref().map(|tag| format!("{tag}{suffix}")),
            parent: Some(entry.id),
            linked,
            ..entry.clone()
        }
    }

    /// `Order/cancel`.
    pub fn cancel(&mut self, now: i64, account: i64, order: i64) -> Reply {
        let Some(account) = self.account(account).map(|account| account.rules.id) else {
            return Reply::code(1);
        };
        let Some(found) = self
            .orders
            .get(&order)
            .filter(|found| found.account == account)
        else {
            return Reply::code(2);
        };
        if found.status.is_done() {
            return Reply::code(5);
        }
        if self.switches.cancel_races > 0 && found.status == Status::Open {
            self.switches.cancel_races -= 1;
            let price = found
                .limit
                .or(found.stop)
                .or(self.books[found.contract].last);
            if let Some(price) = price {
                self.execute(order, self.orders[&order].remaining(), price, now);
                self.settle(now);
                return Reply::code(5);
            }
        }
        self.cancel_order(order, now);
        if self.switches.cancel_takes_sibling {
            self.cancel_siblings(order, now);
        }
        self.settle(now);
        Reply::ok(None)
    }

    /// `Order/modify`.
    pub fn modify(&mut self, now: i64, request: &Modify) -> Reply {
        let Some(account) = self
            .account(request.account)
            .map(|account| account.rules.id)
        else {
            return Reply::code(1);
        };
        let Some(order) = self
            .orders
            .get(&request.order)
            .filter(|order| order.account == account)
        else {
            return Reply::code(2);
        };
        let order = order.clone();
        if order.status != Status::Open {
            return Reply::refused(3, "Order is not open.");
        }
        let changed = match self.check_modify(&order, request) {
            Ok(changed) => changed,
            Err(message) => return Reply::refused(3, message),
        };
        // Only a smaller size keeps the place in the queue.
        let keeps_place = changed.limit == order.limit
            && changed.stop == order.stop
            && changed.size <= order.size;
        let id = order.id;
        if !keeps_place {
            self.unrest(&order);
        }
        if let Some(stored) = self.orders.get_mut(&id) {
            *stored = Order {
                updated: now,
                ..changed
            };
        }
        self.publish_order(id);
        if !keeps_place {
            self.match_or_rest(id, now);
        }
        self.settle(now);
        Reply::ok(None)
    }

    fn check_modify(&self, order: &Order, request: &Modify) -> Result<Order, String> {
        let mut changed = order.clone();
        if let Some(size) = request.size {
            if size <= order.filled || size > 100_000 {
                return Err("Invalid order size.".to_owned());
            }
            changed.size = size;
            let extra = size - order.size;
            if extra > 0 && order.parent.is_none() {
                self.check_limits(order.account, order.contract, order.side, extra)
                    .map_err(|(_, m)| m)?;
            }
        }
        if let Some(price) = request.limit.filter(|_| order.limit.is_some()) {
            changed.limit = Some(self.check_price(order.contract, price, "limit")?);
        }
        if let Some(price) = request
            .stop
            .filter(|_| order.kind != Kind::TrailingStop && order.stop.is_some())
        {
            changed.stop = Some(self.check_price(order.contract, price, "stop")?);
        }
        if request.trail.is_some() && order.kind == Kind::TrailingStop {
            let distance = self.trail_distance(order.contract, request.trail)?;
            changed.trail = Some(distance);
            changed.stop = self.books[order.contract]
                .last
                .map(|last| trail_level(order.side, last, distance));
        }
        Ok(changed)
    }

    /// `Position/closeContract`: a market order without a tag.
    pub fn close(&mut self, now: i64, account: i64, contract_id: &str) -> Reply {
        let (account, contract, lots) = match self.find_position(account, contract_id) {
            Ok(found) => found,
            Err(code) => return Reply::code(code),
        };
        if !self.books[contract].trading {
            return Reply::refused(5, NOT_TRADING);
        }
        let closed = self.close_lots(now, account, contract, lots);
        if self.switches.close_clears_children {
            self.cancel_children_of(account, contract, now);
        }
        self.settle(now);
        if closed {
            Reply::ok(None)
        } else {
            Reply::code(5)
        }
    }

    /// `Position/partialCloseContract`; its codes are shifted against those of `closeContract`.
    pub fn partial_close(&mut self, now: i64, account: i64, contract_id: &str, size: i64) -> Reply {
        let (account, contract, lots) = match self.find_position(account, contract_id) {
            Ok(found) => found,
            Err(code) => return Reply::code(code),
        };
        if size <= 0 || size > lots.abs() {
            return Reply::code(5);
        }
        if !self.books[contract].trading {
            return Reply::code(6);
        }
        let closed = self.close_lots(now, account, contract, lots.signum() * size);
        self.settle(now);
        if closed {
            Reply::ok(None)
        } else {
            Reply::code(6)
        }
    }

    fn find_position(&self, account: i64, contract_id: &str) -> Result<(i32, usize, i64), i32> {
        let account = self.account(account).ok_or(1)?.rules.id;
        let contract = self
            .find_contract(contract_id)
            .map_err(|known| if known { 4 } else { 3 })?;
        let position = self.positions.get(&(account, contract)).ok_or(2)?;
        Ok((account, contract, position.lots))
    }

    /// Sends a market order against `lots` of a position; false if the book's other side is empty.
    pub(super) fn close_lots(
        &mut self,
        now: i64,
        account: i32,
        contract: usize,
        lots: i64,
    ) -> bool {
        let side = if lots > 0 { Side::Ask } else { Side::Bid };
        if self.books[contract].best(side.opposite()).is_none() {
            return false;
        }
        let request = Place {
            size: lots.abs(),
            ..Place::default()
        };
        let checked = Checked {
            kind: Kind::Market,
            side,
            limit: None,
            stop: None,
            trail: None,
        };
        let id = self.accept(now, account, contract, &request, &checked);
        self.enter(id, now);
        true
    }
}

/// Stop level of a trailing order of `side` at `distance` from a price.
pub(super) fn trail_level(side: Side, price: i64, distance: i64) -> i64 {
    match side {
        Side::Bid => price + distance,
        Side::Ask => price - distance,
    }
}

fn aligned(contract: &Contract, price: Nano) -> Option<i64> {
    let tick = i128::from(contract.tick_nano);
    if price % tick != 0 {
        return None;
    }
    i64::try_from(price / tick).ok()
}

fn check_stop_loss(bracket: Bracket, side: Side) -> Result<(), String> {
    let ticks = bracket.ticks;
    match Kind::from_wire(bracket.kind) {
        Some(Kind::Stop | Kind::TrailingStop) => {}
        kind => {
            return Err(format!(
                "Invalid stop loss type ({})",
                kind.map_or("Unknown", Kind::name)
            ));
        }
    }
    check_sign("stop loss", ticks, side == Side::Bid, side)?;
    if ticks.abs() < MIN_STOP_TICKS {
        return Err(format!(
            "Invalid stop loss ticks ({ticks}). Stop loss tick value should be at least {MIN_STOP_TICKS} ticks."
        ));
    }
    Ok(())
}

fn check_take_profit(bracket: Bracket, side: Side) -> Result<(), String> {
    match Kind::from_wire(bracket.kind) {
        Some(Kind::Limit) => check_sign("take profit", bracket.ticks, side == Side::Ask, side),
        kind => Err(format!(
            "Invalid take profit type ({})",
            kind.map_or("Unknown", Kind::name)
        )),
    }
}

fn check_sign(word: &str, ticks: i64, negative: bool, side: Side) -> Result<(), String> {
    if ticks != 0 && (ticks < 0) == negative {
        return Ok(());
    }
    let relation = if negative { "less" } else { "greater" };
    let doing = if side == Side::Bid {
        "longing"
    } else {
        "shorting"
    };
    Err(format!(
        "Invalid {word} ticks ({ticks}). Ticks should be {relation} than zero when {doing}."
    ))
}

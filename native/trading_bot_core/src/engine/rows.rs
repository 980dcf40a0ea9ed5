//! From the engine's state to the rows that others read.

use crate::engine::contract::Environment;
use crate::engine::views::{AccountRow, FillRow, OrderRow, PositionRow, Text};
use crate::order_execution::ledger::Ledger;
use crate::order_execution::legs::Holder;
use crate::order_execution::order::{Order, Role, look};
use crate::order_execution::store::Place;
use crate::order_execution::trading::{AccountState, Trading};
use crate::types::{OrderId, OrderKind, Ticks};

/// The row of one order. `queue`: fewest and most lots ahead, -1 while nothing is known.
pub fn order_row(trading: &Trading, index: usize, queue: (i64, i64)) -> OrderRow {
    let order = &trading.store.orders[index];
    let ticks = |value: Option<Ticks>| value.map(|ticks| ticks.0);
    OrderRow {
        key: order.key.as_str().into(),
        tag: order
            .tag
            .map_or_else(|| "".into(), |tag| tag.as_str().into()),
        order_id: order.order_id.map_or(0, |id| id.0),
        account_id: i64::from(order.account.0),
        contract: i64::from(order.contract.0),
        contract_id: contract_text(trading, order),
        side: order.side.word(),
        kind: order.kind.word(),
        size_lots: order.size.0,
        filled_lots: order.filled().0,
        limit_ticks: ticks(order.limit),
        stop_ticks: ticks(order.stop),
        trail_ticks: ticks(order.trail),
        wanted_size_lots: order.wanted.size,
        wanted_limit_ticks: order.wanted.limit,
        wanted_stop_ticks: order.wanted.stop,
        average_fill_ticks_1e4: order.average_1e4.filter(|_| order.filled().0 > 0),
        life: order.life.word(),
        change: order.change.word(),
        doubt_since_ns: order.doubt.map_or(0, |at| at.0.max(1)),
        look: look(order),
        role: order.role.word(),
        holder: holder_of(trading, order),
        is_foreign: order.is_foreign,
        parent_id: order.parent.map_or(0, |id| id.0),
        linked_id: order.linked.map_or(0, |id| id.0),
        parent_key: parent_key(trading, order),
        oco_group: trading
            .store
            .legs
            .group_of(&order.key)
            .unwrap_or_default()
            .into(),
        queue_ahead_min: queue.0,
        queue_ahead_max: queue.1,
        created_ns: order.created.0,
        updated_ns: order.updated.0,
        source: order.source.as_str().into(),
        reason: order.reason.as_str().into(),
        revision: trading.now().0 as i64,
    }
}

/// Who links an order: this computer for legs of its own making, the broker for everything else.
fn holder_of(trading: &Trading, order: &Order) -> &'static str {
    if trading.store.legs.leg_of(&order.key).is_some() {
        Holder::Computer.word()
    } else {
        Holder::Broker.word()
    }
}

fn parent_key(trading: &Trading, order: &Order) -> Text {
    if let Some((entry, _)) = trading.store.legs.leg_of(&order.key) {
        return entry.into();
    }
    let parent = order.parent.and_then(|id| trading.store.order_by_id(id));
    parent
        .map_or("", |index| trading.store.orders[index].key.as_str())
        .into()
}

fn contract_text(trading: &Trading, order: &Order) -> Text {
    trading.store.contracts[order.contract.slot()]
        .id
        .as_str()
        .into()
}

/// The row of one position.
pub fn position_row(trading: &Trading, place: Place) -> PositionRow {
    let contract = &trading.store.contracts[place.1.slot()];
    let empty = Ledger::new(contract.tick_value.0);
    let ledger = trading.store.ledgers.get(&place).unwrap_or(&empty);
    let broker = trading.broker_net.get(&place).copied();
    let mark = trading.mark(place.1);
    let totals = ledger.totals();
    let (stop_lots, target_lots) = exit_lots(trading, place, totals.net);
    PositionRow {
        account_id: i64::from(place.0.0),
        contract: i64::from(place.1.0),
        contract_id: contract.id.as_str().into(),
        net_lots: totals.net,
        average_ticks_1e4: ledger.average_1e4(),
        mark_ticks: mark.map(|ticks| ticks.0),
        open_pnl_1e4: mark.map_or(0, |ticks| ledger.open_pnl(ticks.0)),
        realised_1e4: totals.realised,
        fees_1e4: totals.fees,
        stop_lots,
        target_lots,
        unprotected_lots: trading.unprotected_lots(place),
        source: match broker {
            Some(broker) if broker.is_push => "push",
            Some(_) => "poll",
            None => "fills",
        },
        checked_ns: broker.map_or(0, |broker| broker.at.0),
        broker_net_lots: broker.map_or(totals.net, |broker| broker.net),
        is_disputed: broker.is_some_and(|broker| broker.is_disputed),
    }
}

/// Lots of living orders that would make the position smaller: by a stop, and by a limit.
fn exit_lots(trading: &Trading, place: Place, net: i64) -> (i64, i64) {
    let (mut stops, mut targets) = (0, 0);
    if net == 0 {
        return (stops, targets);
    }
    for (_, order) in trading.store.open_rows() {
        if (order.account, order.contract) != place || order.side.sign() * net >= 0 {
            continue;
        }
        match order.kind {
            OrderKind::Stop | OrderKind::StopLimit | OrderKind::TrailingStop => {
                stops += order.open().0;
            }
            OrderKind::Limit if order.role == Role::Target || order.role == Role::Entry => {
                targets += order.open().0;
            }
            OrderKind::Limit | OrderKind::Market | OrderKind::JoinBid | OrderKind::JoinAsk => {}
        }
    }
    (stops, targets)
}

/// The row of one fill.
pub fn fill_row(trading: &Trading, place: Place, trade_id: i64) -> Option<FillRow> {
    let (fill, pnl) = trading.store.ledgers.get(&place)?.fill(trade_id)?;
    let order = trading.store.order_by_id(OrderId(fill.order_id));
    let tag = order.and_then(|index| trading.store.orders[index].tag);
    Some(FillRow {
        trade_id,
        order_id: fill.order_id,
        tag: tag.map_or_else(|| "".into(), |tag| tag.as_str().into()),
        account_id: i64::from(place.0.0),
        contract: i64::from(place.1.0),
        contract_id: fill.contract.as_str().into(),
        side: fill.side().word(),
        price_ticks: fill.price,
        size_lots: fill.size,
        fees_1e4: fill.fees,
        pnl_1e4: pnl,
        time_ns: fill.time,
        is_voided: fill.voided,
    })
}

/// The row of one account.
pub fn account_row(trading: &Trading, state: &AccountState) -> AccountRow {
    let kind = kind_of(&state.row.name);
    let word = match trading.environment {
        Some(Environment::Demo) => "DEMO",
        Some(Environment::Replay) => "REPLAY",
        Some(Environment::Live) | None => kind,
    };
    AccountRow {
        id: i64::from(state.row.id.0),
        name: state.row.name.as_str().into(),
        word: word.into(),
        kind_text: kind.to_lowercase().into(),
        balance_1e4: state.row.balance.map_or(0, |money| money.0),
        can_trade: state.row.can_trade,
        is_simulated: state.row.is_simulated,
        is_own: state.is_chosen,
        bracket_mode: trading.store.legs.mode(state.row.id.0).word(),
        managed_by: trading.management.holder(state.row.id).into(),
    }
}

/// The account word that a name stands for; anything that is not recognised counts as live money. Only whole parts of the
/// name speak: letters inside a person's or a product's name must not make live money look like practice.
pub fn kind_of(name: &str) -> &'static str {
    let upper = name.to_uppercase();
    let has =
        |is_meant: fn(&str) -> bool| upper.split(|c: char| !c.is_alphanumeric()).any(is_meant);
    if has(|part| part.starts_with("PRAC")) {
        "PRACTICE"
    } else if has(|part| part.starts_with("EXPRESS")) {
        "FUNDED"
    } else if has(is_combine) {
        "COMBINE"
    } else {
        "LIVE"
    }
}

/// `TC` with a size before it or alone: 50KTC.
fn is_combine(part: &str) -> bool {
    let size = part.strip_suffix("TC");
    size.is_some_and(|size| {
        size.trim_end_matches('K')
            .bytes()
            .all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_inside_a_name_do_not_make_live_money_look_like_practice() {
        for name in ["LIVE-MATCH-1", "BTC-1", "S1EXPRESS-2", "KRTC-7", "UNPRAC-3"] {
            assert_eq!(kind_of(name), "LIVE", "{name}");
        }
    }

    #[test]
    fn the_account_word_comes_from_the_name_and_the_unknown_is_live() {
        let names = ["PRAC-V2-1-2", "50KTC-V2-1-2", "EXPRESS-V2-1-2", "S1JUN-12"];
        assert_eq!(
            names.map(kind_of),
            ["PRACTICE", "COMBINE", "FUNDED", "LIVE"]
        );
    }
}

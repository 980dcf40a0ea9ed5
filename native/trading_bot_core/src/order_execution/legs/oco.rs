//! One-cancels-other among free orders: what one fills, the others lose.

use super::LEGS_SOURCE;
use super::book::{Group, LegRecord, Member};
use crate::engine::views::{DoneOutcome, NoticeLevel};
use crate::order_execution::order::{Change, Life};
use crate::order_execution::record::Record;
use crate::order_execution::trading::Trading;
use crate::types::RequestId;

impl Trading {
    /// Links living orders of one account and contract.
    pub(in crate::order_execution) fn link_oco(
        &mut self,
        request: RequestId,
        keys: &[String],
        source: &str,
    ) {
        let members = match self.members_of(keys) {
            Ok(members) => members,
            Err(text) => {
                self.done(request, DoneOutcome::Denied, text);
                return;
            }
        };
        let id = keys[0].clone();
        let record = LegRecord::Group {
            id: id.clone(),
            members,
            source: source.to_owned(),
            at: self.now_ns().0,
        };
        self.record(&Record::Legs(record));
        for key in keys {
            self.dirty.orders.extend(self.store.order(key));
        }
        let text = format!(
            "{} orders are linked; the first to fill cancels the others.",
            keys.len()
        );
        let payload = serde_json::json!({ "group": id }).to_string();
        self.done_with(request, DoneOutcome::Done, text, payload);
    }

    /// The orders as they are now, or why they cannot be linked.
    fn members_of(&self, keys: &[String]) -> Result<Vec<Member>, String> {
        if keys.len() < 2 {
            return Err(format!(
                "{} orders were named; a group needs at least 2.",
                keys.len()
            ));
        }
        let mut members: Vec<Member> = Vec::new();
        let mut place = None;
        for key in keys {
            let index = self.store.order(key);
            let order = index.map(|index| &self.store.orders[index]);
            let order = order.ok_or_else(|| format!("Order {key} is not known."))?;
            let here = (order.account, order.contract);
            if members.iter().any(|member| member.key == *key) {
                return Err(format!("Order {key} is named twice."));
            }
            if order.is_foreign {
                return Err(format!(
                    "Order {key} is not ours; only own orders are linked."
                ));
            }
            if !order.is_live() || order.doubt.is_some() {
                return Err(format!(
                    "Order {key} does not work; only living orders are linked."
                ));
            }
            if self.store.legs.group_of(key).is_some() || self.store.legs.leg_of(key).is_some() {
                return Err(format!("Order {key} is linked already."));
            }
            if let Some(text) = self.management.objection(here.0) {
                return Err(text);
            }
            if *place.get_or_insert(here) != here {
                return Err("Linked orders belong to one account and one contract.".to_owned());
            }
            members.push(Member {
                key: key.clone(),
                filled: order.filled().0,
                open: order.open().0,
            });
        }
        Ok(members)
    }

    pub(super) fn run_groups(&mut self) {
        let groups: Vec<(String, Group)> = self
            .store
            .legs
            .groups()
            .map(|(id, group)| (id.clone(), group.clone()))
            .collect();
        for (id, group) in groups {
            self.keep_group(&id, &group);
        }
    }

    fn keep_group(&mut self, id: &str, group: &Group) {
        let rows: Vec<(usize, i64, i64)> = group
            .members
            .iter()
            .filter_map(|member| {
                let index = self.store.order(&member.key)?;
                let gained = self.store.orders[index].filled().0 - member.filled;
                Some((index, gained.max(0), member.open))
            })
            .collect();
        let Some(first) = rows.first().map(|(index, ..)| &self.store.orders[*index]) else {
            return;
        };
        if !self.may_keep((first.account, first.contract)) {
            return;
        }
        let gained: i64 = rows.iter().map(|(_, gained, _)| gained).sum();
        self.note_group_race(id, &rows, gained);
        for (index, own, base) in &rows {
            if gained > *own && self.store.orders[*index].is_live() {
                let is_done = rows.iter().any(|(other, gained, _)| {
                    other != index && *gained > 0 && self.store.orders[*other].life == Life::Filled
                });
                let left = if is_done { 0 } else { (base - gained).max(0) };
                self.fit_member(*index, left);
            }
        }
        let live: Vec<_> = rows
            .iter()
            .filter(|(index, ..)| self.store.orders[*index].is_live())
            .collect();
        let is_free = |(_, own, _): &&&(usize, i64, i64)| gained == *own;
        if live.is_empty() || (live.len() == 1 && live.iter().all(|row| is_free(&row))) {
            let (id, at) = (id.to_owned(), self.now_ns().0);
            self.record(&Record::Legs(LegRecord::GroupEnd { id, at }));
            self.dirty
                .orders
                .extend(rows.iter().map(|(index, ..)| *index));
        }
    }

    fn fit_member(&mut self, index: usize, left: i64) {
        let order = &self.store.orders[index];
        let is_busy = order.change == Change::Cancel
            || self.cancels.contains_key(&index)
            || self.keeping.is_waiting(index);
        if is_busy || order.open().0 <= left {
            return;
        }
        // An order that does not take its smaller size goes: linked means that not both fill.
        if left == 0 || self.keeping.is_stiff(index) {
            self.send_cancel(index, LEGS_SOURCE, None);
        } else if order.change == Change::None
            && order.doubt.is_none()
            && order.life == Life::Working
        {
            self.send_resize(index, left);
        }
    }

    /// Two of them filled before a cancel arrived: told, never repaired by trading.
    fn note_group_race(&mut self, id: &str, rows: &[(usize, i64, i64)], gained: i64) {
        let filled = rows.iter().filter(|(_, gained, _)| *gained > 0);
        let most = filled.clone().map(|(.., base)| *base).max().unwrap_or(0);
        if filled.count() < 2 || gained <= most {
            return;
        }
        let record = LegRecord::GroupOverfilled {
            id: id.to_owned(),
            at: self.now_ns().0,
        };
        if self.record(&Record::Legs(record)).1.is_changed {
            let text = format!(
                "Linked orders filled {gained} lots where {most} were meant: both filled before the cancel arrived. \
                 Look at the position now."
            );
            self.notice(NoticeLevel::Alarm, "oco_race", text);
        }
    }
}

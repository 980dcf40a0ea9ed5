//! The durable half: brackets, their legs, groups and modes as the journal tells them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::mode::BracketMode;
use super::plan::BracketPlan;

/// A place among the legs of one bracket: 0 is the stop, 1 to 4 the targets.
pub type Slot = u8;
/// The stop's place.
pub const STOP: Slot = 0;

/// Why a leg is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dropped {
    /// By the engine: there is nothing left to protect, or another leg takes its place. It may be placed again.
    Vacated,
    /// By a person: it is not placed again.
    Released,
    /// By nobody we know: refused, or gone. It is not placed again, and the position shows as unprotected.
    Lost,
}

/// What the journal holds about legs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum LegRecord {
    /// What an entry is to be protected by; written before the entry's intent.
    Plan {
        entry: String,
        plan: BracketPlan,
        at: i64,
    },
    /// An own leg; written before its intent.
    Leg {
        entry: String,
        slot: Slot,
        tag: String,
        at: i64,
    },
    Dropped {
        entry: String,
        key: String,
        why: Dropped,
        at: i64,
    },
    /// The plan's rule holds a stop of the bracket from now on; without a key a person took it away for good.
    Rule {
        entry: String,
        key: Option<String>,
        at: i64,
    },
    /// More was closed than was open: a race at the broker. Reported once, never repaired by trading.
    Overfilled {
        entry: String,
        at: i64,
    },
    /// Nothing is left to do about a bracket.
    End {
        entry: String,
        at: i64,
    },
    /// Free orders of which one cancels the others. `base`: open lots of each when linked; `filled`: filled before.
    Group {
        id: String,
        members: Vec<Member>,
        source: String,
        at: i64,
    },
    GroupOverfilled {
        id: String,
        at: i64,
    },
    GroupEnd {
        id: String,
        at: i64,
    },
    Mode {
        account: i32,
        mode: BracketMode,
        why: String,
        at: i64,
    },
}

/// One order of a group, as it was when linked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub key: String,
    /// Lots filled before the link.
    pub filled: i64,
    /// Lots open when linked.
    pub open: i64,
}

/// One bracket that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bracket {
    pub plan: BracketPlan,
    /// Counts brackets; a newer one claims the position first.
    pub number: u64,
    /// Every own leg ever asked for, with its place, oldest first.
    pub legs: Vec<(Slot, String)>,
    /// Legs that another one replaces, or that are not needed any more.
    pub vacated: BTreeSet<String>,
    /// Places that stay empty.
    pub released: BTreeMap<Slot, Dropped>,
    /// The native stop could not be resized; an own one takes over.
    pub is_native_stop_replaced: bool,
    pub is_overfilled: bool,
    /// Stops that the plan's rule was attached to, oldest first.
    pub ruled: Vec<String>,
    /// A person took the plan's rule away.
    pub is_rule_released: bool,
}

/// One-cancels-other among free orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub members: Vec<Member>,
    pub is_overfilled: bool,
}

/// Everything about legs that survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Legs {
    brackets: BTreeMap<String, Bracket>,
    /// Entry and place of every own leg, also of brackets that are over.
    leg_of: BTreeMap<String, (String, Slot)>,
    groups: BTreeMap<String, Group>,
    group_of: BTreeMap<String, String>,
    modes: BTreeMap<i32, BracketMode>,
    /// Broker ids of entries with native children, and the children's rows.
    children: BTreeMap<i64, Vec<usize>>,
    next_number: u64,
}

impl Legs {
    /// Takes one record; false when it changes nothing.
    pub fn apply(&mut self, record: &LegRecord) -> bool {
        match record {
            LegRecord::Plan { entry, plan, .. } => self.begin(entry, plan),
            LegRecord::Leg {
                entry, slot, tag, ..
            } => {
                let Some(bracket) = self.brackets.get_mut(entry) else {
                    return false;
                };
                bracket.legs.push((*slot, tag.clone()));
                self.leg_of.insert(tag.clone(), (entry.clone(), *slot));
                true
            }
            LegRecord::Dropped {
                entry, key, why, ..
            } => self.drop_leg(entry, key, *why),
            LegRecord::Rule { entry, key, .. } => self.note_rule(entry, key.as_deref()),
            LegRecord::Overfilled { entry, .. } => {
                let bracket = self.brackets.get_mut(entry);
                bracket.is_some_and(|bracket| !std::mem::replace(&mut bracket.is_overfilled, true))
            }
            LegRecord::End { entry, .. } => self.brackets.remove(entry).is_some(),
            LegRecord::Group { id, members, .. } => {
                if self.groups.contains_key(id) {
                    return false;
                }
                for member in members {
                    self.group_of.insert(member.key.clone(), id.clone());
                }
                let group = Group {
                    members: members.clone(),
                    is_overfilled: false,
                };
                self.groups.insert(id.clone(), group);
                true
            }
            LegRecord::GroupOverfilled { id, .. } => {
                let group = self.groups.get_mut(id);
                group.is_some_and(|group| !std::mem::replace(&mut group.is_overfilled, true))
            }
            LegRecord::GroupEnd { id, .. } => {
                self.group_of.retain(|_, group| group != id);
                self.groups.remove(id).is_some()
            }
            LegRecord::Mode { account, mode, .. } => {
                self.mode(*account) != *mode && {
                    self.modes.insert(*account, *mode);
                    true
                }
            }
        }
    }

    fn begin(&mut self, entry: &str, plan: &BracketPlan) -> bool {
        if self.brackets.contains_key(entry) {
            return false;
        }
        let bracket = Bracket {
            plan: plan.clone(),
            number: self.next_number,
            legs: Vec::new(),
            vacated: BTreeSet::new(),
            released: BTreeMap::new(),
            is_native_stop_replaced: false,
            is_overfilled: false,
            ruled: Vec::new(),
            is_rule_released: false,
        };
        self.next_number += 1;
        self.brackets.insert(entry.to_owned(), bracket);
        true
    }

    fn drop_leg(&mut self, entry: &str, key: &str, why: Dropped) -> bool {
        let slot = self.leg_of.get(key).map(|(_, slot)| *slot);
        let Some(bracket) = self.brackets.get_mut(entry) else {
            return false;
        };
        match (why, slot) {
            (Dropped::Vacated, _) => {
                bracket.is_native_stop_replaced |= slot.is_none();
                bracket.vacated.insert(key.to_owned())
            }
            (Dropped::Released | Dropped::Lost, Some(slot)) => {
                bracket.released.insert(slot, why) != Some(why)
            }
            // A native leg: its kind is told by the key that the broker gave it.
            (Dropped::Released | Dropped::Lost, None) => {
                let slot = if key.ends_with("-TP") { 1 } else { STOP };
                bracket.released.insert(slot, why) != Some(why)
            }
        }
    }

    fn note_rule(&mut self, entry: &str, key: Option<&str>) -> bool {
        let Some(bracket) = self.brackets.get_mut(entry) else {
            return false;
        };
        match key {
            None => !std::mem::replace(&mut bracket.is_rule_released, true),
            Some(key) if bracket.ruled.iter().any(|known| known == key) => false,
            Some(key) => {
                bracket.ruled.push(key.to_owned());
                true
            }
        }
    }

    /// Brackets whose plan has a rule that nobody took away.
    pub fn ruled(&self) -> impl Iterator<Item = (&String, &Bracket)> {
        let brackets = self.brackets.iter();
        brackets.filter(|(_, bracket)| bracket.plan.rule.is_some() && !bracket.is_rule_released)
    }

    /// Notes a row that the broker calls the child of an entry.
    pub fn note_child(&mut self, parent: i64, index: usize) {
        let rows = self.children.entry(parent).or_default();
        if !rows.contains(&index) {
            rows.push(index);
        }
    }

    /// Rows of the native children of an entry.
    pub fn children(&self, parent: i64) -> &[usize] {
        self.children.get(&parent).map_or(&[], Vec::as_slice)
    }

    /// The bracket of an entry, until it is over.
    pub fn bracket(&self, entry: &str) -> Option<&Bracket> {
        self.brackets.get(entry)
    }

    /// Entries whose brackets are not over, newest first.
    pub fn entries(&self) -> Vec<String> {
        let mut entries: Vec<(&String, u64)> = self
            .brackets
            .iter()
            .map(|(entry, bracket)| (entry, bracket.number))
            .collect();
        entries.sort_unstable_by_key(|(_, number)| std::cmp::Reverse(*number));
        entries
            .into_iter()
            .map(|(entry, _)| entry.clone())
            .collect()
    }

    /// Entry and place of an own leg.
    pub fn leg_of(&self, key: &str) -> Option<(&str, Slot)> {
        let (entry, slot) = self.leg_of.get(key)?;
        Some((entry, *slot))
    }

    /// The entry of a leg whose records were lost, all or the last: its tag is the tag of a bracket's entry and a number.
    pub fn entry_of_lost(&self, tag: &str) -> Option<&str> {
        if let Some((entry, _)) = self.leg_of(tag) {
            return Some(entry);
        }
        let (entry, number) = tag.rsplit_once('-')?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let (entry, _) = self.brackets.get_key_value(entry).filter(|_| is_number)?;
        Some(entry)
    }

    /// Takes a leg whose record was lost into its bracket; a target into the first place that never had one.
    pub fn take_lost(&mut self, entry: &str, tag: &str, is_stop: bool) {
        let is_known = self.leg_of.contains_key(tag);
        let Some(bracket) = self.brackets.get_mut(entry).filter(|_| !is_known) else {
            return;
        };
        let mut targets = (1..).take(bracket.plan.targets.len());
        let is_taken = |slot: &Slot| bracket.legs.iter().any(|(known, _)| known == slot);
        let slot = if is_stop {
            STOP
        } else {
            targets.find(|slot| !is_taken(slot)).unwrap_or(1)
        };
        bracket.legs.push((slot, tag.to_owned()));
        self.leg_of.insert(tag.to_owned(), (entry.to_owned(), slot));
    }

    /// How many own legs carry a tag that begins so.
    pub fn count_tags(&self, stem: &str) -> usize {
        let tags = self.leg_of.range(stem.to_owned()..);
        tags.take_while(|(tag, _)| tag.starts_with(stem)).count()
    }

    /// Groups that are not over.
    pub fn groups(&self) -> impl Iterator<Item = (&String, &Group)> {
        self.groups.iter()
    }

    /// The group of a free order.
    pub fn group_of(&self, key: &str) -> Option<&str> {
        self.group_of.get(key).map(String::as_str)
    }

    /// What is known about an account's bracket setting.
    pub fn mode(&self, account: i32) -> BracketMode {
        self.modes.get(&account).copied().unwrap_or_default()
    }

    /// Whether there is nothing to look after.
    pub fn is_empty(&self) -> bool {
        self.brackets.is_empty() && self.groups.is_empty()
    }
}

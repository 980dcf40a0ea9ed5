//! The journal's disk: the real framing over bytes that may be slow, torn, full, or rotten.

use std::collections::VecDeque;

use super::dice::Dice;
use super::invariants::{Broken, Law};
use crate::database::journal::format::{self, Chain, Framer};
use crate::database::journal::{Damage, Identity};

/// How a process or a machine went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// `kill -9`: what was written stays.
    Killed,
    /// Killed in the middle of a write.
    TornTail,
    /// The machine lost power: what was not synced may be gone.
    PowerCut,
    /// And a bit of a record rotted before the next start.
    BitFlip,
}

/// A journal file in memory.
#[derive(Debug)]
pub struct Disk {
    bytes: Vec<u8>,
    framer: Framer,
    start: usize,
    /// Where each written record ends.
    ends: Vec<usize>,
    /// The records as emitted, written or not.
    pub records: Vec<Vec<u8>>,
    waiting: VecDeque<usize>,
    synced: usize,
    pub capacity: Option<usize>,
    pub fails_next: bool,
    pub is_failed: bool,
    mark: (usize, Chain),
}

impl Disk {
    /// An empty journal.
    pub fn new() -> Self {
        let identity = Identity {
            install: "abc123".into(),
            gateway: "rig".into(),
        };
        let (bytes, framer) = format::new_file(&identity, 1).expect("a header is always written");
        let start = bytes.len();
        Self {
            mark: (start, framer.chain()),
            bytes,
            framer,
            start,
            ends: Vec::new(),
            records: Vec::new(),
            waiting: VecDeque::new(),
            synced: 0,
            capacity: None,
            fails_next: false,
            is_failed: false,
        }
    }

    /// Takes a record; it is written by [`Disk::write`].
    pub fn push(&mut self, record: Vec<u8>) {
        self.waiting.push_back(self.records.len());
        self.records.push(record);
    }

    /// Number of records written.
    pub fn written(&self) -> u64 {
        self.ends.len() as u64
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Writes everything that waits. False when the disk fails, for ever.
    pub fn write(&mut self) -> bool {
        while let Some(at) = self.waiting.pop_front() {
            if self.is_failed {
                continue;
            }
            let frame = self.framer.frame(&self.records[at]);
            let frame = frame.expect("records are of good length");
            let room = self
                .capacity
                .map_or(usize::MAX, |max| max.saturating_sub(self.bytes.len()));
            if self.fails_next || frame.len() > room {
                let part = room.min(frame.len() / 2);
                self.bytes.extend_from_slice(&frame[..part]);
                self.is_failed = true;
                continue;
            }
            self.bytes.extend_from_slice(frame);
            self.ends.push(self.bytes.len());
        }
        !self.is_failed
    }

    /// Leaves room for so many bytes more.
    pub fn fill_up(&mut self, room: usize) {
        self.capacity = Some(self.bytes.len() + room);
    }

    /// A failure is prepared that no write has met yet.
    pub fn is_about_to_fail(&self) -> bool {
        self.fails_next || self.capacity.is_some()
    }

    pub fn sync(&mut self) {
        self.synced = self.ends.len();
    }

    /// The next start: what is read back, or how that differs from what must be there.
    pub fn restart(&mut self, death: Death, dice: &mut Dice) -> Result<usize, Broken> {
        self.waiting.clear();
        let mut kept = self.ends.len();
        match death {
            Death::Killed => {}
            Death::TornTail => {
                if !self.is_failed {
                    let frame = self.framer.frame(b"a record that was not finished");
                    let frame = frame.expect("of good length");
                    let part = 1 + dice.roll(frame.len() as u64 - 1) as usize;
                    self.bytes.extend_from_slice(&frame[..part]);
                }
            }
            Death::PowerCut => {
                let safe = self.end_of(self.synced);
                let length = dice.between(safe as u64, self.bytes.len() as u64) as usize;
                self.bytes.truncate(length);
                kept = self.ends.partition_point(|end| *end <= length);
            }
            Death::BitFlip => {
                if self.bytes.len() > self.start {
                    let at = dice.between(self.start as u64, self.bytes.len() as u64 - 1) as usize;
                    self.bytes[at] ^= 1 << dice.roll(8);
                    kept = self.ends.partition_point(|end| *end <= at);
                }
            }
        }
        self.reopen(kept)
    }

    /// The records from here on never reached the disk.
    #[cfg(test)]
    pub fn lose_from(&mut self, count: usize) {
        self.bytes.truncate(self.end_of(count));
        let reopened = self.reopen(count);
        reopened.expect("whole records are left");
    }

    fn end_of(&self, count: usize) -> usize {
        count.checked_sub(1).map_or(self.start, |at| self.ends[at])
    }

    fn reopen(&mut self, kept: usize) -> Result<usize, Broken> {
        let (_, start) = format::read_header(&self.bytes)
            .map_err(|error| Broken::new(Law::I27, format!("the header: {error}")))?;
        let scan = format::scan(&self.bytes, start);
        if scan.records.len() != kept || scan.records[..] != self.records[..kept] {
            let text = format!("{} records read, {kept} are whole", scan.records.len());
            return Err(Broken::new(Law::I27, text));
        }
        let is_clean = self.end_of(kept) == self.bytes.len();
        if scan.damage.is_none() != is_clean {
            let text = format!("damage told: {:?}, clean: {is_clean}", scan.damage);
            return Err(Broken::new(Law::I27, text));
        }
        let lost = self.records.len() - kept;
        self.bytes.truncate(scan.good_length);
        self.framer = scan.framer;
        self.ends.truncate(kept);
        self.records.truncate(kept);
        self.synced = kept;
        self.is_failed = false;
        self.fails_next = false;
        self.capacity = None;
        self.mark = (self.bytes.len(), self.framer.chain());
        Ok(lost)
    }

    /// Any prefix of what was written since the last look, torn anywhere, opens and the tear is told (I-27).
    pub fn check_torn_prefix(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let (from, chain) = self.mark;
        let last = self.end_of(self.ends.len());
        let length = dice.between(from as u64, last as u64) as usize;
        let scan = format::scan_after(&self.bytes[..length], from, chain);
        let first = self.ends.partition_point(|end| *end <= from);
        let whole = self.ends.partition_point(|end| *end <= length);
        let is_torn = self.end_of(whole).max(from) != length;
        let expected = is_torn.then(|| Damage::TornTail {
            bytes: (length - self.end_of(whole).max(from)) as u64,
        });
        if scan.records[..] != self.records[first..whole] || scan.damage != expected {
            let text = format!("a prefix of {length} bytes gives {:?}", scan.damage);
            return Err(Broken::new(Law::I27, text));
        }
        if !self.is_failed {
            self.mark = (last, self.framer.chain());
        }
        Ok(())
    }
}

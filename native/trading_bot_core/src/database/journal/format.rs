//! The bytes of the order journal, without a file: what is appended, and what a start finds in a file's bytes.
//!
//! Pure, so that the simulation rig runs the same code over disks that tear, fill up and rot.

use serde::{Deserialize, Serialize};

use crate::planted::{Bug, planted};

use super::{Damage, FORMAT_VERSION, Identity, JournalError, MAGIC};

pub(crate) const FRAME_LENGTH: usize = 24;
const PAYLOAD_LENGTH_MAX: usize = 1 << 20;

pub(crate) type Chain = [u8; 16];

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub install: String,
    pub epoch: u64,
    pub gateway: String,
}

/// Frames records one after another. Its chain is that of the last record framed.
#[derive(Debug)]
pub(crate) struct Framer {
    chain: Chain,
    frame: Vec<u8>,
}

impl Framer {
    /// Continues a file whose last good record has this chain.
    pub(super) fn after(chain: Chain) -> Self {
        Self {
            chain,
            frame: Vec::new(),
        }
    }

    /// The chain of the last record framed.
    #[cfg(any(test, feature = "rig"))]
    pub(crate) fn chain(&self) -> Chain {
        self.chain
    }

    /// The bytes of the next record.
    ///
    /// # Errors
    /// `TooLong` for an empty record or one that the format has no room for; the chain stays.
    pub(crate) fn frame(&mut self, payload: &[u8]) -> Result<&[u8], JournalError> {
        if payload.is_empty() || payload.len() > PAYLOAD_LENGTH_MAX {
            return Err(JournalError::TooLong {
                length: payload.len(),
            });
        }
        self.chain = next_chain(&self.chain, payload);
        self.frame.clear();
        self.frame
            .extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.frame
            .extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
        self.frame.extend_from_slice(&self.chain);
        self.frame.extend_from_slice(payload);
        Ok(&self.frame)
    }
}

/// The first bytes of a new file, and what frames its records.
pub(crate) fn new_file(identity: &Identity, epoch: u64) -> Result<(Vec<u8>, Framer), JournalError> {
    let header = Header {
        install: identity.install.clone(),
        epoch,
        gateway: identity.gateway.clone(),
    };
    let json = serde_json::to_vec(&header).map_err(std::io::Error::other)?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&(json.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&json).to_le_bytes());
    bytes.extend_from_slice(&json);
    Ok((bytes, Framer::after(first_chain(&json))))
}

pub(crate) fn read_header(bytes: &[u8]) -> Result<(Header, usize), JournalError> {
    let (Some(magic), Some(version), Some(length), Some(crc)) = (
        bytes.get(..8),
        read_u32(bytes, 8),
        read_u32(bytes, 12),
        read_u32(bytes, 16),
    ) else {
        return Err(JournalError::NotAJournal);
    };
    if magic != MAGIC {
        return Err(JournalError::NotAJournal);
    }
    if version > FORMAT_VERSION {
        return Err(JournalError::NewerVersion { found: version });
    }
    let end = 20_usize.saturating_add(length as usize);
    let json = bytes.get(20..end).ok_or(JournalError::NotAJournal)?;
    if crc32fast::hash(json) != crc {
        return Err(JournalError::NotAJournal);
    }
    let header = serde_json::from_slice(json).map_err(|_| JournalError::NotAJournal)?;
    Ok((header, end))
}

/// Whether the bytes are what a crash left of a file that was just being made: no whole header, and too short to hold a
/// record behind one, even if a number in it is damaged.
///
/// # Errors
/// `NewerVersion` when another program was making it.
pub(crate) fn is_torn_at_birth(bytes: &[u8], identity: &Identity) -> Result<bool, JournalError> {
    match read_header(bytes) {
        Err(JournalError::NotAJournal) => {}
        Err(error) => return Err(error),
        Ok(_) => return Ok(false),
    }
    // The shortest header of this identity, and the shortest record.
    let (header, _) = new_file(identity, 0)?;
    let is_short = bytes.len() < header.len() + FRAME_LENGTH + 1;
    let begun = bytes.len().min(MAGIC.len());
    let is_ours = bytes[..begun] == MAGIC[..begun] || bytes.iter().all(|byte| *byte == 0);
    Ok(is_short && is_ours)
}

/// What the bytes of a file hold, up to the first damage.
pub(crate) struct Scan {
    pub records: Vec<Vec<u8>>,
    pub framer: Framer,
    pub good_length: usize,
    pub damage: Option<Damage>,
}

/// Reads the records after the header, which ends at `start`.
pub(crate) fn scan(bytes: &[u8], start: usize) -> Scan {
    scan_after(bytes, start, first_chain(&bytes[20..start]))
}

/// Reads on after a good record that ends at `start` and has this chain.
pub(crate) fn scan_after(bytes: &[u8], start: usize, chain: Chain) -> Scan {
    let mut found = Scan {
        records: Vec::new(),
        framer: Framer::after(chain),
        good_length: start,
        damage: None,
    };
    while found.good_length < bytes.len() {
        let rest = &bytes[found.good_length..];
        match read_record(rest, &found.framer.chain) {
            Frame::Good(payload, chain) => {
                found.good_length += FRAME_LENGTH + payload.len();
                found.records.push(payload.to_vec());
                found.framer.chain = chain;
            }
            Frame::Torn => {
                if planted(Bug::TornTailSilent) {
                    break;
                }
                found.damage = Some(Damage::TornTail {
                    bytes: rest.len() as u64,
                });
                break;
            }
            Frame::Broken => {
                let record_index = found.records.len() as u64 + 1;
                found.damage = Some(Damage::Broken {
                    record_index,
                    bytes: rest.len() as u64,
                });
                break;
            }
        }
    }
    found
}

enum Frame<'a> {
    Good(&'a [u8], Chain),
    Torn,
    Broken,
}

fn read_record<'a>(rest: &'a [u8], previous: &Chain) -> Frame<'a> {
    let (Some(length), Some(crc)) = (read_u32(rest, 0), read_u32(rest, 4)) else {
        return Frame::Torn;
    };
    let length = length as usize;
    // Zeros are what a file system leaves where a write was announced and never arrived.
    if length == 0 {
        return if rest.iter().all(|byte| *byte == 0) {
            Frame::Torn
        } else {
            Frame::Broken
        };
    }
    if length > PAYLOAD_LENGTH_MAX {
        return Frame::Broken;
    }
    let (Some(chain), Some(payload)) = (
        rest.get(8..FRAME_LENGTH),
        rest.get(FRAME_LENGTH..FRAME_LENGTH + length),
    ) else {
        if planted(Bug::TornTailTaken)
            && let Some(part) = rest.get(FRAME_LENGTH..)
            && !part.is_empty()
        {
            return Frame::Good(part, next_chain(previous, part));
        }
        return Frame::Torn;
    };
    let expected = next_chain(previous, payload);
    let is_chained = chain == expected || planted(Bug::ChainUnchecked);
    if crc32fast::hash(payload) == crc && is_chained {
        return Frame::Good(payload, expected);
    }
    if rest.len() == FRAME_LENGTH + length {
        Frame::Torn
    } else {
        Frame::Broken
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)
        .and_then(|four| four.try_into().ok())
        .map(u32::from_le_bytes)
}

pub(crate) fn first_chain(header_json: &[u8]) -> Chain {
    next_chain(&[0; 16], header_json)
}

pub(crate) fn next_chain(previous: &Chain, payload: &[u8]) -> Chain {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous);
    hasher.update(payload);
    let mut chain = [0; 16];
    chain.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    chain
}

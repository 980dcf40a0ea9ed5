//! The heartbeat page: `heartbeat.page` in the base directory, by which another process sees that engine and window live.
//!
//! ```text
//! 0      magic "PDKBEAT\n", u32 version, u32 size of the page                       written once
//! 64     window: u64 sequence, u64 beat, u64 mono ns, u32 CRC of the three, u64 sequence again
//! 256    engine: u64 sequence, u64 beat, u64 mono ns, u32 process, u32 requests of the last minute, u32 living orders,
//!                u32 state, u32 length of the detail, u32 CRC of all that and the detail, detail (JSON), u64 sequence again
//! ```
//!
//! Little endian. Each side is written by one writer with one positioned write into blocks that exist already, so that a
//! full disk stops no beat. A reader takes a side only when both sequences agree and the checksum holds, else it reads
//! again. Age is measured by the reader, from when it last saw the beat change: two processes share no clock.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Name of the page in the base directory.
pub const PAGE_NAME: &str = "heartbeat.page";

const MAGIC: [u8; 8] = *b"PDKBEAT\n";
const VERSION: u32 = 1;
const PAGE_BYTES: usize = 32 * 1024;
const WINDOW_AT: u64 = 64;
const WINDOW_BYTES: usize = 36;
const ENGINE_AT: u64 = 256;
const HEAD_BYTES: usize = 48;
const DETAIL_MAX: usize = PAGE_BYTES - ENGINE_AT as usize - HEAD_BYTES - 8;
/// A writer needs microseconds; a reader that still finds it half written then sees a damaged page.
const READ_TRIES: u32 = 20;

/// What the engine is doing, as far as a watcher must know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineState {
    /// No login, or one under way.
    #[default]
    Idle,
    Live,
    /// It has failed; only its caretaker acts.
    Halted,
    /// It ended in order.
    Ended,
}

impl EngineState {
    const ALL: [Self; 4] = [Self::Idle, Self::Live, Self::Halted, Self::Ended];

    fn of(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }
}

/// One account that the engine trades.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAccount {
    pub id: i64,
    pub name: String,
}

/// One open position. `stop_lots` of it are protected by stops that work at the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPosition {
    pub account: i64,
    pub contract: String,
    pub net_lots: i64,
    pub stop_lots: i64,
}

/// An exit that only this computer carries out: when the engine dies, nobody does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldExit {
    pub account: i64,
    pub contract: String,
    /// What it is, in words for people, such as "trail".
    pub what: String,
}

/// What would be left alone if the engine died now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// Gateway identity (decision 3), empty before the first login.
    pub gateway: String,
    pub accounts: Vec<HeldAccount>,
    pub positions: Vec<HeldPosition>,
    pub exits: Vec<HeldExit>,
}

/// The engine's side of the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineBeat {
    pub beat: u64,
    /// The writer's own monotonic clock; comparable with its log only.
    pub mono_ns: u64,
    pub process: u32,
    /// Requests of the last minute, of the 200 that the broker counts per login.
    pub requests_used: u32,
    pub living_orders: u32,
    pub state: EngineState,
    pub detail: Detail,
}

/// The page as its writers hold it. Engine and window each write their own side, from any thread.
#[derive(Debug)]
pub struct Page {
    file: File,
}

impl Page {
    /// Makes the page, with all its blocks, in `directory`; an earlier one is overwritten.
    pub fn create(directory: &Path) -> io::Result<Self> {
        let file = open(&directory.join(PAGE_NAME), true)?;
        let mut bytes = vec![0; PAGE_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(PAGE_BYTES as u32).to_le_bytes());
        write_at(&file, &bytes, 0)?;
        Ok(Self { file })
    }

    /// Writes the window's side.
    pub fn write_window(&self, beat: u64, mono_ns: u64) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(WINDOW_BYTES);
        bytes.extend(beat.to_le_bytes());
        bytes.extend(beat.to_le_bytes());
        bytes.extend(mono_ns.to_le_bytes());
        let sum = crc32fast::hash(&bytes);
        bytes.extend(sum.to_le_bytes());
        bytes.extend(beat.to_le_bytes());
        write_at(&self.file, &bytes, WINDOW_AT)
    }

    /// Writes the engine's side. A detail that does not fit leaves its positions and exits out, never the beat.
    pub fn write_engine(&self, beat: &EngineBeat) -> io::Result<()> {
        let mut detail = serde_json::to_vec(&beat.detail).unwrap_or_default();
        if detail.len() > DETAIL_MAX {
            let short = Detail {
                positions: Vec::new(),
                exits: Vec::new(),
                ..beat.detail.clone()
            };
            detail = serde_json::to_vec(&short).unwrap_or_default();
            detail.truncate(DETAIL_MAX);
        }
        let mut bytes = Vec::with_capacity(HEAD_BYTES + detail.len() + 8);
        bytes.extend(beat.beat.to_le_bytes());
        bytes.extend(beat.beat.to_le_bytes());
        bytes.extend(beat.mono_ns.to_le_bytes());
        for number in [
            beat.process,
            beat.requests_used,
            beat.living_orders,
            beat.state as u32,
            detail.len() as u32,
        ] {
            bytes.extend(number.to_le_bytes());
        }
        let sum = checksum(&bytes, &detail);
        bytes.extend(sum.to_le_bytes());
        bytes.extend(&detail);
        bytes.extend(beat.beat.to_le_bytes());
        write_at(&self.file, &bytes, ENGINE_AT)
    }
}

/// The page as a watcher holds it.
#[derive(Debug)]
pub struct Reader {
    file: File,
}

impl Reader {
    /// Opens the page of `directory`. Fails when there is none, or one of another version.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let file = open(&directory.join(PAGE_NAME), false)?;
        let mut head = [0; 16];
        read_at(&file, &mut head, 0)?;
        if head[..8] != MAGIC || u32_at(&head, 8) != VERSION {
            let text = "the heartbeat page is of another version";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(Self { file })
    }

    /// The window's beat; 0 when no window has beaten yet, `None` when the page is damaged.
    pub fn window(&self) -> Option<u64> {
        let mut bytes = [0; WINDOW_BYTES];
        (0..READ_TRIES).find_map(|_| {
            read_at(&self.file, &mut bytes, WINDOW_AT).ok()?;
            let beat = u64_at(&bytes, 0);
            let is_whole = u64_at(&bytes, 28) == beat
                && (beat == 0 || crc32fast::hash(&bytes[..24]) == u32_at(&bytes, 24));
            is_whole.then_some(beat)
        })
    }

    /// The engine's side; `None` when it has not been written yet or is damaged.
    pub fn engine(&self) -> Option<EngineBeat> {
        let mut bytes = vec![0; PAGE_BYTES - ENGINE_AT as usize];
        (0..READ_TRIES).find_map(|_| {
            read_at(&self.file, &mut bytes, ENGINE_AT).ok()?;
            engine_of(&bytes)
        })
    }
}

fn engine_of(bytes: &[u8]) -> Option<EngineBeat> {
    let length = u32_at(bytes, 40) as usize;
    let detail = bytes.get(HEAD_BYTES..HEAD_BYTES.checked_add(length)?)?;
    let beat = u64_at(bytes, 0);
    let is_whole = length <= DETAIL_MAX
        && u64_at(bytes, HEAD_BYTES + length) == beat
        && checksum(&bytes[..44], detail) == u32_at(bytes, 44);
    if !is_whole || beat == 0 {
        return None;
    }
    Some(EngineBeat {
        beat,
        mono_ns: u64_at(bytes, 16),
        process: u32_at(bytes, 24),
        requests_used: u32_at(bytes, 28),
        living_orders: u32_at(bytes, 32),
        state: EngineState::of(u32_at(bytes, 36))?,
        detail: serde_json::from_slice(detail).unwrap_or_default(),
    })
}

fn checksum(head: &[u8], detail: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(detail);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}

/// Opens for the owner alone: the page tells positions.
fn open(path: &Path, is_writer: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(is_writer)
        .create(is_writer)
        .truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    let written = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
    if written == bytes.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    let read = std::os::windows::fs::FileExt::seek_read(file, bytes, at)?;
    if read == bytes.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("pitdesk-beat-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).expect("a scratch directory");
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn beat(number: u64) -> EngineBeat {
        let name = format!("account {number}");
        EngineBeat {
            beat: number,
            mono_ns: number * 10,
            process: 7,
            requests_used: 61,
            living_orders: 60,
            state: EngineState::Live,
            detail: Detail {
                gateway: "loopback/trader".into(),
                accounts: vec![HeldAccount { id: 1, name }],
                positions: Vec::new(),
                exits: Vec::new(),
            },
        }
    }

    #[test]
    fn both_sides_come_back_as_they_were_written() {
        let scratch = Scratch::new("sides");
        let page = Page::create(&scratch.0).expect("writable");
        let reader = Reader::open(&scratch.0).expect("there is a page");
        assert_eq!((reader.window(), reader.engine()), (Some(0), None));
        page.write_engine(&beat(3)).expect("writable");
        page.write_window(9, 90).expect("writable");
        assert_eq!((reader.window(), reader.engine()), (Some(9), Some(beat(3))));
    }

    #[test]
    fn a_half_written_side_is_not_believed() {
        let scratch = Scratch::new("torn");
        let page = Page::create(&scratch.0).expect("writable");
        page.write_engine(&beat(3)).expect("writable");
        write_at(&page.file, &4_u64.to_le_bytes(), ENGINE_AT).expect("writable");
        let reader = Reader::open(&scratch.0).expect("there is a page");
        assert_eq!(reader.engine(), None);
    }

    #[test]
    fn a_reader_beside_a_writer_sees_whole_beats_only() {
        let scratch = Scratch::new("race");
        let page = Page::create(&scratch.0).expect("writable");
        page.write_engine(&beat(1)).expect("writable");
        let reader = Reader::open(&scratch.0).expect("there is a page");
        let writer = std::thread::spawn(move || {
            (2..3_000).for_each(|number| page.write_engine(&beat(number)).expect("writable"));
        });
        let mut newest = 0;
        while !writer.is_finished() {
            // A reader that never once found a quiet moment has seen a damaged page, not a wrong one.
            if let Some(seen) = reader.engine() {
                assert_eq!(seen, beat(seen.beat));
                assert!(seen.beat >= newest, "a beat never goes back");
                newest = seen.beat;
            }
        }
        writer.join().expect("the writer ended in order");
    }

    #[test]
    fn what_does_not_fit_costs_the_detail_and_not_the_beat() {
        let scratch = Scratch::new("large");
        let page = Page::create(&scratch.0).expect("writable");
        let mut large = beat(5);
        let position = HeldPosition {
            account: 1,
            contract: "C".repeat(200),
            net_lots: 1,
            stop_lots: 0,
        };
        large.detail.positions = vec![position; 500];
        page.write_engine(&large).expect("writable");
        let seen = Reader::open(&scratch.0)
            .expect("there is a page")
            .engine()
            .expect("whole");
        assert_eq!((seen.beat, seen.detail.accounts.len()), (5, 1));
        assert!(seen.detail.positions.is_empty());
    }

    #[test]
    fn a_page_of_another_version_is_refused() {
        let scratch = Scratch::new("version");
        let page = Page::create(&scratch.0).expect("writable");
        write_at(&page.file, &9_u32.to_le_bytes(), 8).expect("writable");
        assert!(Reader::open(&scratch.0).is_err());
    }
}

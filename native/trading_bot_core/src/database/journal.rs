//! The order journal's file: append-only, checksummed, hash-chained (decisions 14 and 15).
//!
//! ```text
//! header   magic "PDKJRNL\n" | version u32 | length u32 | crc32 u32 | JSON {install, epoch, gateway}
//! record   length u32 | crc32 u32 | chain [16]  | payload
//! ```
//!
//! All numbers are little-endian. `chain` is the head of blake3(previous chain, payload), so that a record removed or
//! exchanged in the middle is found although each record's own checksum holds. *Written* means `write(2)` returned,
//! *durable* means `fdatasync` returned. A tail that a crash left behind is cut, kept beside the file, and reported.

pub(crate) mod format;

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use format::Framer;

/// First bytes of every order journal.
pub const MAGIC: &[u8; 8] = b"PDKJRNL\n";
/// Format written by this program. A file of a newer one is never written to.
pub const FORMAT_VERSION: u32 = 1;

/// Whose journal it is. A file is bound to one gateway and one installation for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub install: String,
    pub gateway: String,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the order journal cannot be reached: {0}")]
    Io(#[from] std::io::Error),
    #[error("this is not an order journal")]
    NotAJournal,
    #[error(
        "the order journal has format {found}; this program writes {FORMAT_VERSION} and must not touch it"
    )]
    NewerVersion { found: u32 },
    #[error("the order journal belongs to {found}, not to {wanted}")]
    OtherGateway { found: String, wanted: String },
    #[error("an earlier write or sync failed; nothing more is written to this file")]
    Poisoned,
    #[error("a record of {length} bytes is longer than the format allows")]
    TooLong { length: usize },
}

/// What opening found wrong at the end or in the middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The file was cut short while it was made; it never held a record.
    TornHeader { bytes: u64 },
    /// The last record was cut short by a crash.
    TornTail { bytes: u64 },
    /// A record inside the file fails its checksum or its chain; everything from there on was set aside.
    Broken { record_index: u64, bytes: u64 },
}

impl std::fmt::Display for Damage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TornHeader { bytes } => write!(
                out,
                "The order journal was cut short while it was made, before its first record; its {bytes} bytes are kept \
                 beside it and it was begun anew."
            ),
            Self::TornTail { bytes } => write!(
                out,
                "The last record of the order journal was cut short by a crash; its {bytes} bytes are kept beside it."
            ),
            Self::Broken {
                record_index,
                bytes,
            } => write!(
                out,
                "The order journal is damaged from record {record_index} on; {bytes} bytes are kept beside it, and what \
                 they held is asked of the broker."
            ),
        }
    }
}

/// A journal ready for writing, with all it held.
#[derive(Debug)]
pub struct Opened {
    pub writer: JournalWriter,
    pub records: Vec<Vec<u8>>,
    pub identity: Identity,
    /// Epoch in the header: that of the start that created the file.
    pub created_epoch: u64,
    pub damage: Option<Damage>,
}

/// Appends records; owned by one thread.
#[derive(Debug)]
pub struct JournalWriter {
    file: File,
    framer: Framer,
    /// Bytes of the records that wait for `write`, and how many they are.
    staged: Vec<u8>,
    staged_count: u64,
    written: u64,
    is_poisoned: bool,
}

impl JournalWriter {
    /// Adds one record to those that wait for `write`; returns its index, counted from 1.
    ///
    /// # Errors
    /// When the record cannot be framed, or the writer is poisoned.
    pub fn stage(&mut self, payload: &[u8]) -> Result<u64, JournalError> {
        if self.is_poisoned {
            return Err(JournalError::Poisoned);
        }
        let frame = self.framer.frame(payload)?;
        self.staged.extend_from_slice(frame);
        self.staged_count += 1;
        Ok(self.written + self.staged_count)
    }

    /// Writes what is staged, in one call of the system. It is *written*, not *durable*, on return.
    ///
    /// # Errors
    /// Any failure poisons the writer: what the disk holds after a failed write is not known (G4).
    pub fn write(&mut self) -> Result<(), JournalError> {
        if self.is_poisoned {
            return Err(JournalError::Poisoned);
        }
        if let Err(error) = self.file.write_all(&self.staged) {
            self.is_poisoned = true;
            return Err(error.into());
        }
        self.staged.clear();
        self.written += std::mem::take(&mut self.staged_count);
        Ok(())
    }

    /// Whether records wait for `write`.
    pub fn has_staged(&self) -> bool {
        self.staged_count > 0
    }

    /// Makes everything written durable.
    ///
    /// # Errors
    /// A failed sync poisons the writer; it is never repeated on the same file.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        if self.is_poisoned {
            return Err(JournalError::Poisoned);
        }
        self.file.sync_data().map_err(|error| {
            self.is_poisoned = true;
            error.into()
        })
    }

    /// A second handle of the file, for the thread that makes it durable.
    pub fn sync_handle(&self) -> Result<File, JournalError> {
        Ok(self.file.try_clone()?)
    }

    /// Index of the last record written.
    pub fn written(&self) -> u64 {
        self.written
    }
}

/// Opens or creates the journal at `path`. `epoch` goes into the header of a new file only; an existing file keeps its
/// own, and the start's epoch is the caller's first record.
///
/// # Errors
/// See [`JournalError`]; nothing is changed on disk when the file is foreign or newer.
pub fn open(path: &Path, identity: &Identity, epoch: u64) -> Result<Opened, JournalError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return create(file, path, identity, epoch);
    }
    if format::is_torn_at_birth(&bytes, identity)? {
        set_aside(path, epoch, &bytes)?;
        let damage = Damage::TornHeader {
            bytes: bytes.len() as u64,
        };
        let opened = create(file, path, identity, epoch)?;
        return Ok(Opened {
            damage: Some(damage),
            ..opened
        });
    }
    let (header, start) = format::read_header(&bytes)?;
    if header.gateway != identity.gateway {
        return Err(JournalError::OtherGateway {
            found: header.gateway,
            wanted: identity.gateway.clone(),
        });
    }
    let scan = format::scan(&bytes, start);
    if scan.damage.is_some() {
        set_aside(path, epoch, &bytes[scan.good_length..])?;
        file.set_len(scan.good_length as u64)?;
        file.sync_data()?;
    }
    file.seek(SeekFrom::Start(scan.good_length as u64))?;
    let written = scan.records.len() as u64;
    let writer = JournalWriter {
        file,
        framer: scan.framer,
        staged: Vec::new(),
        staged_count: 0,
        written,
        is_poisoned: false,
    };
    let identity = Identity {
        install: header.install,
        gateway: header.gateway,
    };
    Ok(Opened {
        writer,
        records: scan.records,
        identity,
        created_epoch: header.epoch,
        damage: scan.damage,
    })
}

fn create(
    mut file: File,
    path: &Path,
    identity: &Identity,
    epoch: u64,
) -> Result<Opened, JournalError> {
    let (bytes, framer) = format::new_file(identity, epoch)?;
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    sync_folder(path)?;
    let writer = JournalWriter {
        file,
        framer,
        staged: Vec::new(),
        staged_count: 0,
        written: 0,
        is_poisoned: false,
    };
    Ok(Opened {
        writer,
        records: Vec::new(),
        identity: identity.clone(),
        created_epoch: epoch,
        damage: None,
    })
}

/// A new file is durable only when its folder's entry is.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Keeps bytes beside the journal, durable before they are taken out of it.
fn set_aside(path: &Path, epoch: u64, tail: &[u8]) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".cut-{epoch}"));
    let mut aside = File::create(PathBuf::from(name))?;
    aside.write_all(tail)?;
    aside.sync_all()?;
    sync_folder(path)
}

#[cfg(test)]
mod tests {
    use super::format::{FRAME_LENGTH, first_chain, next_chain, read_header, scan};
    use super::*;
    use proptest::prelude::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("pitdesk-journal-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).expect("a folder for the test");
            Self(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("orders.journal")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn identity() -> Identity {
        Identity {
            install: "abc123".into(),
            gateway: "127.0.0.1/user/instance".into(),
        }
    }

    fn write(folder: &Folder, payloads: &[&[u8]]) {
        let mut opened = open(&folder.file(), &identity(), 7).expect("opens");
        for payload in payloads {
            opened.writer.stage(payload).expect("stages");
        }
        opened.writer.write().expect("writes");
        opened.writer.sync().expect("syncs");
    }

    #[test]
    fn what_was_appended_is_read_back_in_order() {
        let folder = Folder::new("order");
        write(&folder, &[b"one", b"two"]);
        write(&folder, &[b"three"]);
        let opened = open(&folder.file(), &identity(), 8).expect("opens");
        assert_eq!(
            opened.records,
            [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]
        );
        assert_eq!((opened.created_epoch, opened.damage), (7, None));
        assert_eq!(opened.writer.written(), 3);
    }

    #[test]
    fn staged_records_reach_the_file_together_and_only_when_written() {
        let folder = Folder::new("staged");
        let mut opened = open(&folder.file(), &identity(), 7).expect("opens");
        assert_eq!(opened.writer.stage(b"one").expect("stages"), 1);
        assert_eq!(opened.writer.stage(b"two").expect("stages"), 2);
        assert_eq!(
            (opened.writer.written(), opened.writer.has_staged()),
            (0, true)
        );
        let held = |folder: &Folder| open(&folder.file(), &identity(), 8).expect("opens").records;
        assert!(held(&folder).is_empty());
        opened.writer.write().expect("writes");
        assert_eq!(
            (opened.writer.written(), opened.writer.has_staged()),
            (2, false)
        );
        assert_eq!(held(&folder), [b"one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn every_prefix_of_the_file_opens_and_a_torn_tail_is_reported() {
        let folder = Folder::new("prefix");
        write(&folder, &[b"first record", b"second record"]);
        let whole = std::fs::read(folder.file()).expect("reads");
        let (_, start) = read_header(&whole).expect("header");
        let second = start + FRAME_LENGTH + b"first record".len();
        for length in start..whole.len() {
            std::fs::write(folder.file(), &whole[..length]).expect("writes");
            let opened = open(&folder.file(), &identity(), 9).expect("opens");
            assert_eq!(opened.records.len(), usize::from(length >= second));
            assert_eq!(
                opened.damage.is_some(),
                length != start && length != second,
                "length {length}"
            );
        }
    }

    #[test]
    fn a_file_cut_short_at_its_birth_is_set_aside_told_and_begun_anew() {
        let folder = Folder::new("birth");
        write(&folder, &[b"first record"]);
        let whole = std::fs::read(folder.file()).expect("reads");
        let (_, start) = read_header(&whole).expect("header");
        for length in 1..start {
            for torn in [whole[..length].to_vec(), vec![0; length]] {
                std::fs::write(folder.file(), &torn).expect("writes");
                let opened = open(&folder.file(), &identity(), 9).expect("opens");
                let bytes = length as u64;
                assert_eq!(opened.damage, Some(Damage::TornHeader { bytes }));
                assert!(opened.records.is_empty());
                let aside = folder.0.join("orders.journal.cut-9");
                assert_eq!(std::fs::read(aside).expect("kept"), torn);
                let again = open(&folder.file(), &identity(), 10).expect("opens");
                assert_eq!((again.damage, again.created_epoch), (None, 9));
            }
        }
    }

    #[test]
    fn a_damaged_header_before_a_record_is_never_begun_anew() {
        let folder = Folder::new("rot");
        write(&folder, &[b"1"]);
        let whole = std::fs::read(folder.file()).expect("reads");
        let (_, start) = read_header(&whole).expect("header");
        let foreign = b"something else that lies here".to_vec();
        let mut spoiled: Vec<Vec<u8>> = (0..start)
            .filter(|at| !(8..12).contains(at))
            .map(|at| {
                let mut bytes = whole.clone();
                bytes[at] ^= 0x40;
                bytes
            })
            .collect();
        spoiled.push(foreign);
        for bytes in spoiled {
            std::fs::write(folder.file(), &bytes).expect("writes");
            assert!(matches!(
                open(&folder.file(), &identity(), 9),
                Err(JournalError::NotAJournal)
            ));
            assert_eq!(std::fs::read(folder.file()).expect("reads"), bytes);
        }
    }

    #[test]
    fn a_changed_byte_in_the_middle_is_found_and_the_rest_set_aside() {
        let folder = Folder::new("middle");
        write(
            &folder,
            &[b"first record", b"second record", b"third record"],
        );
        let mut bytes = std::fs::read(folder.file()).expect("reads");
        let at = bytes
            .windows(6)
            .position(|window| window == b"second")
            .expect("present");
        bytes[at] = b'X';
        std::fs::write(folder.file(), &bytes).expect("writes");
        let opened = open(&folder.file(), &identity(), 9).expect("opens");
        assert!(matches!(
            opened.damage,
            Some(Damage::Broken {
                record_index: 2,
                ..
            })
        ));
        assert_eq!(opened.records.len(), 1);
        assert!(folder.0.join("orders.journal.cut-9").exists());
    }

    #[test]
    fn a_record_taken_out_breaks_the_chain() {
        let folder = Folder::new("chain");
        write(&folder, &[b"aaaa", b"bbbb", b"cccc"]);
        let mut bytes = std::fs::read(folder.file()).expect("reads");
        let (_, start) = read_header(&bytes).expect("header");
        bytes.drain(start..start + FRAME_LENGTH + 4);
        std::fs::write(folder.file(), &bytes).expect("writes");
        let opened = open(&folder.file(), &identity(), 9).expect("opens");
        assert!(matches!(
            opened.damage,
            Some(Damage::Broken {
                record_index: 1,
                ..
            })
        ));
    }

    #[test]
    fn a_newer_format_and_another_gateway_are_left_alone() {
        let folder = Folder::new("newer");
        write(&folder, &[b"one"]);
        let other = Identity {
            gateway: "elsewhere".into(),
            ..identity()
        };
        assert!(matches!(
            open(&folder.file(), &other, 1),
            Err(JournalError::OtherGateway { .. })
        ));
        let mut bytes = std::fs::read(folder.file()).expect("reads");
        bytes[8..12].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
        std::fs::write(folder.file(), &bytes).expect("writes");
        assert!(matches!(
            open(&folder.file(), &identity(), 1),
            Err(JournalError::NewerVersion { found: 2 })
        ));
        assert_eq!(std::fs::read(folder.file()).expect("reads"), bytes);
    }

    /// Written by the first version and kept for ever: every later version must read it.
    const GOLDEN_V1: &[u8] = include_bytes!("golden/orders-v1.journal");

    fn golden_payloads() -> Vec<Vec<u8>> {
        let texts = [
            r#"{"t":"start","epoch":1791297000,"at":0}"#,
            r#"{"t":"compared","account":7001,"at":1}"#,
            r#"{"t":"doubt","key":"pabc123-1-1","text":"no answer","at":2}"#,
        ];
        texts.map(|text| text.as_bytes().to_vec()).to_vec()
    }

    #[test]
    fn the_first_versions_file_is_read_for_ever() {
        let folder = Folder::new("golden");
        std::fs::write(folder.file(), GOLDEN_V1).expect("writes");
        let opened = open(&folder.file(), &identity(), 8).expect("opens");
        assert_eq!((opened.records, opened.damage), (golden_payloads(), None));
    }

    #[test]
    fn this_version_still_writes_the_golden_bytes() {
        let folder = Folder::new("golden-write");
        let payloads = golden_payloads();
        let slices: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        write(&folder, &slices);
        assert_eq!(std::fs::read(folder.file()).expect("reads"), GOLDEN_V1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_damage_to_the_bytes_makes_reading_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
            let header = br#"{"install":"abc123","epoch":1,"gateway":"g"}"#;
            let mut bytes = header.to_vec();
            let mut chain = first_chain(header);
            for payload in [b"alpha".as_slice(), b"beta", b"gamma"] {
                chain = next_chain(&chain, payload);
                bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
                bytes.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
                bytes.extend_from_slice(&chain);
                bytes.extend_from_slice(payload);
            }
            let mut whole = vec![0; 20];
            whole.extend_from_slice(&bytes);
            let start = 20 + header.len();
            for (at, value) in flips {
                let at = at.index(whole.len());
                whole[at] = value;
            }
            let found = scan(&whole, start);
            prop_assert!(found.records.len() <= 3 && found.good_length <= whole.len());
        }
    }
}

//! The order journal as the driver holds it: written inline, made durable by a thread of its own.
//!
//! *Written* takes microseconds and happens on the engine's thread, so that an order never waits for another thread's
//! wake-up. *Durable* takes milliseconds and happens on `store`: whatever was written meanwhile shares one sync.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded};
use parking_lot::Mutex;

use super::journal::{Identity, JournalError, JournalWriter, Opened, open};

/// Records written within this time share one sync; with the sync itself it stays below 10 ms on a sound disk.
const GROUP: Duration = Duration::from_millis(2);

/// What a request waits for before its first byte leaves (decision 14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Its record is written, and durable within 10 ms.
    #[default]
    Group,
    /// Its record is durable.
    BeforeSend,
}

impl Durability {
    /// Reads the word of the option `journal.sync`.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "group" => Some(Self::Group),
            "before_send" => Some(Self::BeforeSend),
            _ => None,
        }
    }
}

/// An open journal and the thread that syncs it.
pub struct Log {
    writer: JournalWriter,
    has_unasked: bool,
    due: Option<Sender<u64>>,
    store: Option<JoinHandle<()>>,
}

impl Log {
    /// Opens the journal at `path`; what it held comes back beside it. `on_sync` is called on the thread `store` with the
    /// last durable record, and once with a sentence when a sync fails: then it syncs no more.
    pub fn open(
        path: &Path,
        identity: &Identity,
        epoch: u64,
        durability: Durability,
        on_sync: impl Fn(Result<u64, String>) + Send + 'static,
    ) -> Result<(Self, Opening), JournalError> {
        let Opened {
            writer,
            records,
            damage,
            ..
        } = open(path, identity, epoch)?;
        let file = writer.sync_handle()?;
        let (due, wanted) = bounded::<u64>(1);
        let store = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                // What was asked for first is the least that the sync covers.
                while let Ok(index) = wanted.recv() {
                    if durability == Durability::Group {
                        std::thread::sleep(GROUP);
                    }
                    let result = file.sync_data().map(|()| index);
                    let is_over = result.is_err();
                    on_sync(result.map_err(|error| error.to_string()));
                    if is_over {
                        return;
                    }
                }
            })?;
        Ok((
            Self {
                writer,
                has_unasked: false,
                due: Some(due),
                store: Some(store),
            },
            Opening { records, damage },
        ))
    }

    /// Adds one record to those that `write` writes.
    pub fn stage(&mut self, record: &[u8]) -> Result<u64, JournalError> {
        self.writer.stage(record)
    }

    pub fn has_staged(&self) -> bool {
        self.writer.has_staged()
    }

    /// Writes what is staged, all in one; `ask_sync` makes it durable.
    pub fn write(&mut self) -> Result<(), JournalError> {
        self.writer.write()?;
        self.has_unasked = true;
        Ok(())
    }

    /// Asks for the sync of what was written since the last call. Waking another thread costs more than writing a record,
    /// so this is called when nothing urgent is left, within a millisecond of the record.
    ///
    /// # Errors
    /// When an earlier sync has failed.
    pub fn ask_sync(&mut self) -> Result<(), JournalError> {
        let Some(due) = self.due.as_ref().filter(|_| self.has_unasked) else {
            return Ok(());
        };
        match due.try_send(self.writer.written()) {
            Ok(()) => self.has_unasked = false,
            // A sync is waiting for its turn already; this record asks again when it has begun.
            Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => return Err(JournalError::Poisoned),
        }
        Ok(())
    }

    /// Waits until everything written is durable; for the start of a session.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.writer.sync()
    }

    pub fn written(&self) -> u64 {
        self.writer.written()
    }
}

/// What the caretaker did: JSON lines beside the journal, whose own state is no longer trusted. Each is durable before the
/// request it announces leaves.
pub struct Segment {
    file: Mutex<Option<File>>,
}

impl Segment {
    /// A segment at `path`. Without a file nothing is kept, and the exits still go out.
    pub fn create(path: &Path) -> Self {
        Self {
            file: Mutex::new(File::options().create(true).append(true).open(path).ok()),
        }
    }

    /// A segment that keeps nothing, for readings.
    pub const fn silent() -> Self {
        Self {
            file: Mutex::new(None),
        }
    }

    /// Adds one line; a failure closes the segment.
    pub fn note(&self, line: &serde_json::Value) {
        let mut file = self.file.lock();
        let result = file
            .as_mut()
            .map(|file| writeln!(file, "{line}").and_then(|()| file.sync_data()));
        if matches!(result, Some(Err(_))) {
            *file = None;
        }
    }
}

/// What opening found.
#[derive(Debug)]
pub struct Opening {
    pub records: Vec<Vec<u8>>,
    pub damage: Option<super::journal::Damage>,
}

impl Drop for Log {
    fn drop(&mut self) {
        self.due = None;
        if let Some(store) = self.store.take() {
            // A panic there has already been told as a failed sync or concerns nobody any more.
            let _ = store.join();
        }
        // The last group may still be waiting; a clean end leaves nothing to the kernel.
        let _ = self.writer.sync();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_told_as_durable_with_its_index() {
        let path = std::env::temp_dir().join(format!("pitdesk-log-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let identity = Identity {
            install: "abc123".into(),
            gateway: "here".into(),
        };
        for durability in [Durability::BeforeSend, Durability::Group] {
            let (told, heard) = bounded(8);
            let on_sync = move |result| {
                let _ = told.send(result);
            };
            let (mut log, _) =
                Log::open(&path, &identity, 1, durability, on_sync).expect("a fresh file");
            let index = log.stage(b"one").expect("staged");
            log.write().expect("written");
            log.ask_sync().expect("asked");
            assert_eq!(heard.recv(), Ok(Ok(index)));
        }
        let _ = std::fs::remove_file(&path);
    }

    #[test]
    fn the_option_has_two_words() {
        assert_eq!(Durability::from_word("group"), Some(Durability::Group));
        assert_eq!(
            Durability::from_word("before_send"),
            Some(Durability::BeforeSend)
        );
        assert_eq!(Durability::from_word("never"), None);
    }
}

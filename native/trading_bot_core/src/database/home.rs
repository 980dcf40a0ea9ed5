//! The base directory: one engine at a time holds it, and every start raises its epoch before anything else happens.
//!
//! ```text
//! engine.lock      held by the running engine; names its process
//! install          six characters, made once; part of every tag
//! epoch            number of starts, synced before the first connection (decision 10)
//! journals/<id>/   the order journal of one gateway login (decision 3)
//! caretaker-N.jsonl  what the caretaker of start N did after the engine had failed (decision 4)
//! control.sock     the control socket; control.token its password (decision 2)
//! heartbeat.page   by which the guardian sees that engine and window live
//! guardian.lock    held by the guardian; guardian.sock its socket, guardian.jsonl what it announced to nobody yet,
//!                  guardian-kills.jsonl what its kills did
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;

use crate::order_execution::tag::install_id;

/// Why the base directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error(
        "Another engine{holder} holds {directory}. Close it, or choose another base directory."
    )]
    Held { directory: String, holder: String },
    #[error("The base directory {directory} cannot be used: {error}.")]
    Io { directory: String, error: io::Error },
}

/// A base directory taken by this process; dropping it releases the lock.
#[derive(Debug)]
pub struct Home {
    directory: PathBuf,
    install: String,
    epoch: u64,
    lock: File,
}

impl Home {
    /// Takes the lock, makes what is missing and raises the epoch.
    pub fn take(directory: &Path) -> Result<Self, HomeError> {
        let failed = |error| HomeError::Io {
            directory: directory.display().to_string(),
            error,
        };
        fs::create_dir_all(directory).map_err(failed)?;
        let mut lock = open(&directory.join("engine.lock")).map_err(failed)?;
        if !lock.try_lock_exclusive().map_err(failed)? {
            let mut text = String::new();
            // Only the holder's number for the sentence; without it the sentence still stands.
            let _ = lock.read_to_string(&mut text);
            let pid = text.trim();
            let holder = if pid.is_empty() {
                String::new()
            } else {
                format!(" (process {pid})")
            };
            return Err(HomeError::Held {
                directory: directory.display().to_string(),
                holder,
            });
        }
        write_whole(&mut lock, &std::process::id().to_string()).map_err(failed)?;
        let install = read_install(&directory.join("install")).map_err(failed)?;
        let epoch = raise_epoch(&directory.join("epoch")).map_err(failed)?;
        Ok(Self {
            directory: directory.to_owned(),
            install,
            epoch,
            lock,
        })
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Six characters that name this installation.
    pub fn install(&self) -> &str {
        &self.install
    }

    /// Number of this start.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Gives the directory up before the value is dropped, since views may outlive the engine.
    pub fn release(&self) {
        // The lock ends with the file at the latest.
        let _ = FileExt::unlock(&self.lock);
    }

    /// Where the caretaker of this start notes what it does.
    pub fn segment_path(&self) -> PathBuf {
        self.directory
            .join(format!("caretaker-{}.jsonl", self.epoch))
    }

    /// The journal's file for a gateway identity, its folder made.
    pub fn journal_path(&self, gateway: &str) -> io::Result<PathBuf> {
        let name = blake3::hash(gateway.as_bytes()).to_hex();
        let folder = self.directory.join("journals").join(&name.as_str()[..16]);
        fs::create_dir_all(&folder)?;
        Ok(folder.join("orders.journal"))
    }
}

/// Opens for the owner alone: the folder holds orders and a password.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Replaces the file's text and makes it durable.
fn write_whole(file: &mut File, text: &str) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn read_install(path: &Path) -> io::Result<String> {
    let mut file = open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let known = text.trim();
    if known.len() == 6
        && known
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    {
        return Ok(known.to_owned());
    }
    let mut random = [0; 6];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let install = install_id(random);
    write_whole(&mut file, &install)?;
    Ok(install)
}

/// Raises the stored epoch, at least to the clock's seconds: a restored backup then cannot repeat an epoch. It is written
/// beside and renamed, so that a crash leaves the old or the new number.
fn raise_epoch(path: &Path) -> io::Result<u64> {
    let stored: u64 = match fs::read_to_string(path) {
        // An unreadable number is past by the clock alone.
        Ok(text) => text.trim().parse().unwrap_or(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let seconds = u64::try_from(crate::clock::wall().0 / 1_000_000_000).unwrap_or(0);
    let epoch = stored.saturating_add(1).max(seconds);
    let beside = path.with_extension("new");
    write_whole(&mut open(&beside)?, &epoch.to_string())?;
    fs::rename(&beside, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(epoch)
}

/// Replaces a small private file, for the control token.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    write_whole(&mut open(path)?, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("pitdesk-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn one_engine_holds_the_directory_and_each_start_raises_the_epoch() {
        let scratch = Scratch::new("lock");
        let first = Home::take(&scratch.0).expect("a fresh directory");
        let (epoch, install) = (first.epoch(), first.install().to_owned());
        let refused = Home::take(&scratch.0).expect_err("it is held");
        assert!(
            refused
                .to_string()
                .contains(&std::process::id().to_string()),
            "{refused}"
        );
        drop(first);
        let second = Home::take(&scratch.0).expect("released");
        assert!(second.epoch() > epoch, "each start is a new epoch");
        assert_eq!(second.install(), install);
    }

    #[test]
    fn a_damaged_epoch_never_repeats_an_earlier_one() {
        let scratch = Scratch::new("epoch");
        drop(Home::take(&scratch.0).expect("a fresh directory"));
        fs::write(scratch.0.join("epoch"), "not a number").expect("writable");
        assert!(Home::take(&scratch.0).expect("usable").epoch() > 1_000_000);
    }
}

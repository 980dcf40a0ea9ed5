//! State on disk: a log of event batches, appended before the answer leaves, compacted at every start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exchange::model::Event;

/// What identifies this gateway between starts.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    pub instance: String,
    pub api_key: String,
    /// Hex of the token secret.
    pub secret: String,
}

#[derive(Serialize, Deserialize)]
struct Line<T> {
    at: i64,
    events: T,
}

/// What an earlier run left.
#[derive(Default)]
pub struct Recovered {
    pub events: Vec<Event>,
    /// The gateway's clock at the last record.
    pub at: Option<i64>,
}

/// The open log; without a directory nothing is kept.
pub struct Journal {
    file: Option<File>,
    buffer: Vec<u8>,
}

impl Journal {
    pub fn none() -> Self {
        Self {
            file: None,
            buffer: Vec::new(),
        }
    }

    /// Reads what is there and opens the log for appending.
    pub fn open(directory: &Path) -> io::Result<(Self, Recovered)> {
        fs::create_dir_all(directory)?;
        let path = log_path(directory);
        let recovered = match File::open(&path) {
            Ok(file) => read(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Recovered::default(),
            Err(error) => return Err(error),
        };
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        Ok((
            Self {
                file: Some(file),
                buffer: Vec::new(),
            },
            recovered,
        ))
    }

    /// Writes one batch with a single `write`, so a kill leaves all of it or a torn last line that reading drops.
    pub fn append(&mut self, at: i64, events: &[Event]) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, &Line { at, events })?;
        self.buffer.push(b'\n');
        file.write_all(&self.buffer)
    }

    /// Replaces the log by one batch that holds the whole state.
    pub fn compact(&mut self, directory: &Path, at: i64, events: &[Event]) -> io::Result<()> {
        if self.file.is_none() {
            return Ok(());
        }
        let path = log_path(directory);
        let temporary = path.with_extension("new");
        let mut fresh = File::create(&temporary)?;
        serde_json::to_writer(&mut fresh, &Line { at, events })?;
        fresh.write_all(b"\n")?;
        fresh.sync_all()?;
        fs::rename(&temporary, &path)?;
        self.file = Some(OpenOptions::new().append(true).open(&path)?);
        Ok(())
    }
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("exchange.jsonl")
}

fn read(file: File) -> Recovered {
    let mut recovered = Recovered::default();
    for line in BufReader::new(file).lines() {
        // A torn line can only be the last one; its batch was never answered.
        let Ok(line) = line else { break };
        let Ok(batch) = serde_json::from_str::<Line<Vec<Event>>>(&line) else {
            break;
        };
        recovered.at = Some(batch.at);
        recovered.events.extend(batch.events);
    }
    recovered
}

/// The identity kept in a directory, or a new one written there; `fresh` forces a new instance.
pub fn identity(
    directory: Option<&Path>,
    fresh: bool,
    make: impl Fn() -> Identity,
) -> io::Result<Identity> {
    let Some(directory) = directory else {
        return Ok(make());
    };
    fs::create_dir_all(directory)?;
    let path = directory.join("identity.json");
    let kept = fs::read(&path)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Identity>(&bytes).ok());
    let identity = match kept {
        Some(kept) if !fresh => return Ok(kept),
        Some(kept) => Identity {
            instance: make().instance,
            ..kept
        },
        None => make(),
    };
    let temporary = path.with_extension("new");
    fs::write(&temporary, serde_json::to_vec(&identity)?)?;
    restrict(&temporary)?;
    fs::rename(&temporary, &path)?;
    Ok(identity)
}

#[cfg(unix)]
fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Forgets accounts, orders and fills: a replay run begins with fresh ones.
pub fn forget(directory: &Path) -> io::Result<()> {
    match fs::remove_file(log_path(directory)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

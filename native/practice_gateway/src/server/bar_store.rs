//! One-second bars of earlier runs, one file per product: 48 bytes a bar, appended as they finish.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::feed::Bar;

const RECORD: usize = 48;

/// Appends finished bars and reads them back at the next start.
pub struct BarStore {
    directory: PathBuf,
    files: HashMap<String, (File, i64)>,
}

impl BarStore {
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.join("bars"),
            files: HashMap::new(),
        }
    }

    /// Bars of a product older than `before`, oldest first. What is newer belongs to a run that was given up.
    pub fn load(&mut self, root: &str, before: i64) -> Vec<Bar> {
        let bytes = fs::read(self.path(root)).unwrap_or_default();
        let mut bars: Vec<Bar> = bytes.chunks_exact(RECORD).map(decode).collect();
        bars.retain(|bar| bar.at < before);
        bars
    }

    /// Appends what is finished (all but the newest) and was not written yet.
    pub fn append(&mut self, root: &str, bars: &[Bar]) -> io::Result<()> {
        let Some((_, finished)) = bars.split_last() else {
            return Ok(());
        };
        if !self.files.contains_key(root) {
            let opened = self.open(root, finished)?;
            self.files.insert(root.to_owned(), opened);
        }
        let Some((file, written)) = self.files.get_mut(root) else {
            return Ok(());
        };
        let fresh = &finished[finished.partition_point(|bar| bar.at <= *written)..];
        let Some(last) = fresh.last() else {
            return Ok(());
        };
        let bytes: Vec<u8> = fresh.iter().flat_map(encode).collect();
        file.write_all(&bytes)?;
        *written = last.at;
        Ok(())
    }

    /// Rewrites the file with what the run knows, so that a torn record or a given-up future is gone.
    fn open(&self, root: &str, known: &[Bar]) -> io::Result<(File, i64)> {
        fs::create_dir_all(&self.directory)?;
        let path = self.path(root);
        let temporary = path.with_extension("new");
        let bytes: Vec<u8> = known.iter().flat_map(encode).collect();
        fs::write(&temporary, bytes)?;
        fs::rename(&temporary, &path)?;
        let file = OpenOptions::new().append(true).open(&path)?;
        Ok((file, known.last().map_or(i64::MIN, |bar| bar.at)))
    }

    fn path(&self, root: &str) -> PathBuf {
        self.directory.join(format!("{root}.seconds"))
    }
}

fn encode(bar: &Bar) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    let fields = [bar.at, bar.open, bar.high, bar.low, bar.close, bar.lots];
    for (slot, field) in bytes.chunks_exact_mut(8).zip(fields) {
        slot.copy_from_slice(&field.to_le_bytes());
    }
    bytes
}

fn decode(bytes: &[u8]) -> Bar {
    let field = |index: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
        i64::from_le_bytes(eight)
    };
    Bar {
        at: field(0),
        open: field(1),
        high: field(2),
        low: field(3),
        close: field(4),
        lots: field(5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(at: i64) -> Bar {
        Bar {
            at,
            open: 1,
            high: 3,
            low: -1,
            close: 2,
            lots: 9,
        }
    }

    #[test]
    fn finished_bars_come_back_and_a_given_up_future_does_not() {
        let directory = std::env::temp_dir().join(format!("pitdesk-bars-{}", std::process::id()));
        let mut store = BarStore::new(&directory);
        store
            .append("ES", &[bar(1), bar(2), bar(3)])
            .expect("written");
        store
            .append("ES", &[bar(1), bar(2), bar(3), bar(4)])
            .expect("written");
        let kept = BarStore::new(&directory).load("ES", 3);
        assert_eq!(kept, [bar(1), bar(2)]);
        assert_eq!(
            BarStore::new(&directory).load("ES", 9),
            [bar(1), bar(2), bar(3)]
        );
        fs::remove_dir_all(&directory).expect("removed");
    }
}

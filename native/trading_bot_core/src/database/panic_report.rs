//! Panics leave a file behind: the local crash folder's share of the engine.
//!
//! The file lies in the base directory as `panic-<process>-<n>.txt`, for its owner only; the next start of the program
//! takes it over, removes secrets and shows it (`app/crash.py`). It never leaves the machine by itself.

use std::fs::OpenOptions;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

static INSTALLED: Once = Once::new();
static DIRECTORY: Mutex<Option<PathBuf>> = Mutex::new(None);
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// Writes every later panic of this process into `directory`, besides what the process did with panics before.
pub fn install(directory: &Path) {
    *DIRECTORY.lock() = Some(directory.to_owned());
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            report(info);
            previous(info);
        }));
    });
}

fn report(info: &PanicHookInfo<'_>) {
    // A second panic while the first is written must not wait for itself.
    let Some(directory) = DIRECTORY.try_lock().and_then(|held| held.clone()) else {
        return;
    };
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed").to_owned();
    let trace = std::backtrace::Backtrace::force_capture();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!("panic-{}-{number}.txt", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    if let Ok(mut file) = options.open(path) {
        let version = env!("CARGO_PKG_VERSION");
        // A full disk leaves half a report: there is nobody left to tell.
        let _ = write!(file, "engine {version}\nthread {name}\n{info}\n\n{trace}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::install;

    /// Panics once on a thread of that name; the reports about it in `folder`.
    fn doomed(folder: &std::path::Path) -> Vec<String> {
        install(folder);
        let thread = std::thread::Builder::new()
            .name("doomed".to_owned())
            .spawn(|| panic!("broken on purpose"));
        assert!(
            thread.expect("a thread").join().is_err(),
            "the thread panicked"
        );
        std::fs::read_dir(folder)
            .expect("the folder")
            .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
            .filter(|text| text.contains("thread doomed"))
            .collect()
    }

    #[test]
    fn a_panicking_thread_leaves_its_name_place_and_words() {
        let folder =
            std::env::temp_dir().join(format!("pitdesk-panic-report-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        // The folder is the process's: an engine that a test beside this one opens names another in between.
        let texts = (0..100)
            .map(|_| doomed(&folder))
            .find(|texts| !texts.is_empty())
            .expect("a report");
        std::fs::remove_dir_all(&folder).expect("the folder goes");
        assert_eq!(texts.len(), 1);
        assert!(texts[0].contains("broken on purpose"));
        assert!(texts[0].contains("panic_report.rs"));
    }
}

//! Announcements: a JSON line on standard error, a line in `guardian.jsonl` of the base directory for the next start of
//! the window, and a desktop notice where `notify-send` is there. A reader that hangs or a full disk delays nothing: all
//! three are done by a thread of their own, and what does not fit its queue is dropped.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::{Value, json};
use trading_bot_core::clock::wall;

use crate::watch::News;

/// Name of the file with announcements in the base directory.
const FILE_NAME: &str = "guardian.jsonl";
const QUEUE: usize = 64;
/// Characters of a desktop notice.
const NOTICE_MAX: usize = 600;

/// Cheap to clone; never waits.
#[derive(Clone)]
pub struct Teller {
    queue: SyncSender<Said>,
}

struct Said {
    line: String,
    /// Text of a desktop notice.
    notice: Option<String>,
}

impl Teller {
    pub fn start(directory: &Path) -> Self {
        let (queue, said) = sync_channel(QUEUE);
        let file = directory.join(FILE_NAME);
        std::thread::spawn(move || speak(&said, &file));
        Self { queue }
    }

    pub fn tell(&self, news: &News) {
        let mut line = json!({
            "code": news.code, "level": news.level, "text": news.text, "wall_ns": wall().0,
        });
        if news.more != Value::Null {
            line["more"] = news.more.clone();
        }
        let notice = (news.level != "info").then(|| news.text.clone());
        // A full queue means that nobody has listened for a long time.
        let _ = self.queue.try_send(Said {
            line: line.to_string(),
            notice,
        });
    }
}

fn speak(queue: &Receiver<Said>, file: &PathBuf) {
    for said in queue {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        // The three ways are independent; the failure of one is what the others are for.
        let _ = options
            .open(file)
            .and_then(|mut file| writeln!(file, "{}", said.line));
        if let Some(text) = &said.notice {
            notify(text);
        }
        let _ = writeln!(std::io::stderr(), "{}", said.line);
    }
}

/// Text for a desktop that reads markup: names of accounts and contracts come from the broker.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().take(NOTICE_MAX) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ if c.is_control() => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

fn notify(text: &str) {
    let text = plain(text);
    let started = Command::new("notify-send")
        .args(["--app-name=Pitdesk", "--urgency=critical", "Pitdesk", &text])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Ok(mut child) = started {
        std::thread::spawn(move || child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_shows_foreign_names_as_they_are() {
        let named = plain("<b>PRAC</b> & more\u{1b}[1m\n");
        assert_eq!(named, "&lt;b&gt;PRAC&lt;/b&gt; &amp; more [1m ");
    }
}

//! Locks of accounts: on one computer, one engine manages an account of a gateway, whatever base directory it has (F9).
//!
//! ```text
//! <user's data folder>/pitdesk/locks, or PITDESK_LOCKS
//!   <hash of gateway and account>.lock     held by the engine that manages the account
//!   <the same>.holder                      names it, for the sentence in the other engine
//! ```
//!
//! The system gives a lock back when its process ends, however it ends. The files stay: removing one while another
//! engine opens it would leave two engines that hold two different files.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::home::{open, write_private};
use crate::types::AccountId;

/// The variable that names another folder.
const FOLDER_VARIABLE: &str = "PITDESK_LOCKS";

/// The accounts that this engine manages; dropping it gives them back.
#[derive(Debug)]
pub struct AccountLocks {
    folder: PathBuf,
    /// What the others are told about this engine.
    holder: String,
    gateway: String,
    held: BTreeMap<AccountId, File>,
}

impl AccountLocks {
    pub fn new(folder: PathBuf, base: &Path) -> Self {
        let holder = format!("process {}, {}", std::process::id(), base.display());
        Self {
            folder,
            holder,
            gateway: String::new(),
            held: BTreeMap::new(),
        }
    }

    /// Tries to hold these accounts of a gateway and gives all others back. For each: `None` when it is held, else who
    /// holds it or why it cannot be held.
    pub fn hold(
        &mut self,
        gateway: &str,
        accounts: &[AccountId],
    ) -> Vec<(AccountId, Option<String>)> {
        if self.gateway != gateway {
            self.held.clear();
            gateway.clone_into(&mut self.gateway);
        }
        self.held.retain(|account, _| accounts.contains(account));
        let answers = accounts.iter();
        answers
            .map(|account| (*account, self.hold_one(*account)))
            .collect()
    }

    /// Gives every account back.
    pub fn release(&mut self) {
        self.held.clear();
    }

    fn hold_one(&mut self, account: AccountId) -> Option<String> {
        if self.held.contains_key(&account) {
            return None;
        }
        match self.take(account) {
            Ok(Ok(file)) => {
                self.held.insert(account, file);
                None
            }
            Ok(Err(holder)) if holder.is_empty() => Some("another Pitdesk".to_owned()),
            Ok(Err(holder)) => Some(format!("another Pitdesk ({holder})")),
            Err(error) => Some(format!(
                "nobody that is known: its lock in {} cannot be taken ({error})",
                self.folder.display()
            )),
        }
    }

    /// The locked file, or the name of who holds it.
    fn take(&self, account: AccountId) -> io::Result<Result<File, String>> {
        let mut folder = DirBuilder::new();
        folder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.create(&self.folder)?;
        let path = self.path(account);
        let beside = path.with_extension("holder");
        let file = open(&path)?;
        match file.try_lock() {
            Ok(()) => {
                // Only for a sentence; without it the lock holds all the same.
                let _ = write_private(&beside, &self.holder);
                Ok(Ok(file))
            }
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&beside).unwrap_or_default();
                Ok(Err(holder.trim().to_owned()))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn path(&self, account: AccountId) -> PathBuf {
        let name = blake3::hash(format!("{}\n{account}", self.gateway).as_bytes()).to_hex();
        self.folder.join(format!("{}.lock", &name.as_str()[..32]))
    }
}

/// The folder of this user's locks: the same for every base directory.
pub fn folder(variable: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let path = |name: &str| {
        let text = variable(name).filter(|text| !text.is_empty());
        text.map(PathBuf::from).filter(|path| path.is_absolute())
    };
    let data = || {
        if cfg!(windows) {
            path("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            path("HOME").map(|home| home.join("Library/Application Support"))
        } else {
            path("XDG_DATA_HOME").or_else(|| path("HOME").map(|home| home.join(".local/share")))
        }
    };
    path(FOLDER_VARIABLE).unwrap_or_else(|| {
        data()
            .unwrap_or_else(std::env::temp_dir)
            .join("pitdesk/locks")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("pitdesk-locks-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Self(path)
        }

        fn locks(&self, base: &str) -> AccountLocks {
            AccountLocks::new(self.0.join("locks"), Path::new(base))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const ONE: AccountId = AccountId(1);
    const TWO: AccountId = AccountId(2);

    #[test]
    fn the_second_engine_hears_who_holds_the_account_until_it_is_given_back() {
        let folder = Folder::new("two");
        let (mut first, mut second) = (folder.locks("/desk/a"), folder.locks("/desk/b"));
        assert_eq!(first.hold("g", &[ONE]), [(ONE, None)]);
        assert_eq!(
            first.hold("g", &[ONE]),
            [(ONE, None)],
            "asked again, it stays"
        );
        let answers = second.hold("g", &[ONE, TWO]);
        let holder = answers[0].1.as_deref().expect("held by the first");
        assert!(holder.contains("/desk/a"), "{holder}");
        assert_eq!(answers[1], (TWO, None));
        drop(first);
        assert_eq!(second.hold("g", &[ONE]), [(ONE, None)]);
    }

    #[test]
    fn accounts_no_longer_chosen_and_those_of_an_earlier_gateway_are_given_back() {
        let folder = Folder::new("moves");
        let (mut first, mut second) = (folder.locks("/a"), folder.locks("/b"));
        first.hold("g", &[ONE, TWO]);
        first.hold("g", &[TWO]);
        assert_eq!(second.hold("g", &[ONE]), [(ONE, None)]);
        assert_eq!(
            second.hold("h", &[TWO]),
            [(TWO, None)],
            "the same number elsewhere"
        );
        assert_eq!(first.hold("g", &[ONE, TWO]), [(ONE, None), (TWO, None)]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_leaves_the_account_unmanaged_with_its_reason() {
        let folder = Folder::new("file");
        std::fs::write(&folder.0, "no folder").expect("writable");
        let answers = folder.locks("/a").hold("g", &[ONE]);
        let text = answers[0].1.as_deref().expect("not held");
        assert!(text.contains("cannot be taken"), "{text}");
        std::fs::remove_file(&folder.0).expect("ours");
    }

    #[test]
    fn the_folder_is_the_users_and_the_variable_moves_it() {
        let of = |pairs: &'static [(&str, &str)]| {
            folder(&|name| {
                let pair = pairs.iter().find(|(key, _)| *key == name);
                pair.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(&[("PITDESK_LOCKS", "/l")]), Path::new("/l"));
        if cfg!(target_os = "linux") {
            assert_eq!(
                of(&[("HOME", "/h")]),
                Path::new("/h/.local/share/pitdesk/locks")
            );
        }
    }
}

//! The login of the window, as it comes over standard input, and a client of our own with it.

use std::io::BufRead;
use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::mpsc::{Receiver, channel};
use trading_bot_core::order_execution::rest::{Client, Endpoint};
use zeroize::Zeroizing;

/// Connections kept open: two for reads, eight for cancels and closes.
const WARM: [usize; 2] = [2, 8];
const LINES_MAX: usize = 16;

/// One login. Neither key nor token is ever printed.
pub struct Login {
    pub client: Arc<Client>,
    pub gateway: String,
    token: SecretString,
}

impl Login {
    /// Reads what follows `session` on a line; `None` when it is not usable.
    fn of(told: Told) -> Option<Self> {
        let endpoint = Endpoint::parse(&told.rest_url)?;
        let key = SecretString::from(told.api_key.as_str());
        let client = Client::with_warm(endpoint, told.user_name, key, WARM);
        Some(Self {
            client: Arc::new(client),
            gateway: told.gateway,
            token: SecretString::from(told.token.as_str()),
        })
    }

    fn is_same_login(&self, other: &Self) -> bool {
        self.gateway == other.gateway && self.client.endpoint() == other.client.endpoint()
    }
}

/// What the parent says.
pub enum Line {
    Login(Login),
    /// It ends in order.
    End,
    /// It is gone without a word.
    Gone,
}

#[derive(Deserialize)]
struct Message {
    session: Option<Told>,
    #[serde(default)]
    end: bool,
}

#[derive(Deserialize)]
struct Told {
    rest_url: String,
    user_name: String,
    #[serde(deserialize_with = "secret")]
    api_key: Zeroizing<String>,
    #[serde(default, deserialize_with = "secret")]
    token: Zeroizing<String>,
    #[serde(default)]
    gateway: String,
}

fn secret<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(source).map(Zeroizing::new)
}

/// Reads standard input on a thread of its own; ends with `End` or `Gone`.
pub fn read_lines() -> Receiver<Line> {
    let (sender, lines) = channel(LINES_MAX);
    std::thread::spawn(move || {
        loop {
            let line = next_line();
            let is_last = !matches!(line, Line::Login(_));
            if sender.blocking_send(line).is_err() || is_last {
                return;
            }
        }
    });
    lines
}

/// Lines that never come, once the last one has.
pub fn silence() -> Receiver<Line> {
    let (sender, lines) = channel(1);
    // Kept open for the life of the process: a closed channel would be ready for ever.
    std::mem::forget(sender);
    lines
}

/// The next line that means something. One that cannot be read is passed over: a newer parent may say more.
pub fn next_line() -> Line {
    loop {
        let mut text = Zeroizing::new(String::new());
        match std::io::stdin().lock().read_line(&mut text) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Line::Gone,
        }
        let Ok(message) = serde_json::from_str::<Message>(&text) else {
            continue;
        };
        if message.end {
            return Line::End;
        }
        if let Some(login) = message.session.and_then(Login::of) {
            return Line::Login(login);
        }
    }
}

/// The newest login.
#[derive(Default)]
pub struct Logins {
    current: Mutex<Option<Arc<Login>>>,
}

impl Logins {
    pub fn current(&self) -> Option<Arc<Login>> {
        self.current.lock().clone()
    }

    /// A renewed token goes to the client that has the warm connections; another login replaces it.
    pub fn take(&self, login: Login) {
        if let Some(current) = self.current()
            && current.is_same_login(&login)
        {
            current.client.adopt(&login.token);
            return;
        }
        login.client.adopt(&login.token);
        let login = Arc::new(login);
        *self.current.lock() = Some(Arc::clone(&login));
        tokio::spawn(async move { login.client.warm_up().await });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn message(text: &str) -> Message {
        serde_json::from_str(text).expect("a message")
    }

    #[test]
    fn a_session_becomes_a_client_that_shows_no_secret() {
        let told = message(
            r#"{"session":{"rest_url":"http://127.0.0.1:1","user_name":"u","api_key":"canary-key","token":"canary-token","gateway":"g","environment":"demo"}}"#,
        );
        let login = Login::of(told.session.expect("a session")).expect("usable");
        assert_eq!(login.token.expose_secret(), "canary-token");
        assert!(!format!("{:?}", login.client).contains("canary"));
    }

    #[test]
    fn a_goodbye_is_told_from_a_session() {
        assert!(message(r#"{"end":true}"#).end);
    }
}

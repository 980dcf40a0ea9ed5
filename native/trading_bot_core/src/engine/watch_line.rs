//! The line to the guardian: the write end of its standard input, over which it gets what it needs to log in.
//!
//! ```text
//! {"session": {"rest_url", "user_name", "api_key", "token", "gateway", "environment"}}    at each login and each new token
//! {"end": true}                                                                         the program ends in order
//! ```
//!
//! Secrets travel through this pipe alone: never an argument, a variable or a file (decision 30). The end of the pipe
//! without an `end` tells the guardian at once that this process is gone.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use zeroize::Zeroizing;

use super::contract::Environment;
use crate::order_execution::rest::Client;

/// The login to tell of.
struct Told {
    client: Arc<Client>,
    rest_url: String,
    gateway: String,
    environment: Environment,
    /// Token generation that was told; `None` before the first.
    generation: Option<u64>,
}

#[derive(Default)]
struct State {
    pipe: Option<File>,
    login: Option<Told>,
}

/// Shared by the engine's threads; silent until somebody attaches a pipe.
#[derive(Default)]
pub struct WatchLine {
    state: Mutex<State>,
}

impl WatchLine {
    /// Takes the write end; what is known of the login is told at once.
    pub fn attach(&self, pipe: File) {
        let mut state = self.state.lock();
        state.pipe = Some(pipe);
        if let Some(login) = &mut state.login {
            login.generation = None;
        }
        tell(&mut state);
    }

    /// Another login; its token is told now and whenever `refresh` finds a new one.
    pub fn login(
        &self,
        client: Arc<Client>,
        rest_url: &str,
        gateway: &str,
        environment: Environment,
    ) {
        let mut state = self.state.lock();
        state.login = Some(Told {
            client,
            rest_url: rest_url.to_owned(),
            gateway: gateway.to_owned(),
            environment,
            generation: None,
        });
        tell(&mut state);
    }

    /// Tells a token that was renewed since.
    pub fn refresh(&self) {
        tell(&mut self.state.lock());
    }

    /// The program ends in order; the guardian may go.
    pub fn end(&self) {
        let mut state = self.state.lock();
        if let Some(pipe) = &mut state.pipe {
            // A guardian that is gone needs no goodbye.
            let _ = pipe.write_all(b"{\"end\":true}\n");
        }
        *state = State::default();
    }
}

fn tell(state: &mut State) {
    let (Some(pipe), Some(login)) = (&mut state.pipe, &mut state.login) else {
        return;
    };
    let generation = login.client.generation();
    let Some(token) = login.client.token() else {
        return;
    };
    if login.generation == Some(generation) {
        return;
    }
    login.generation = Some(generation);
    let line = line_of(login, &token);
    if pipe.write_all(line.as_bytes()).is_err() {
        // It has ended, or has stopped reading; the next start of the program starts another.
        tracing::warn!("guardian state=deaf");
        state.pipe = None;
    }
}

fn line_of(login: &Told, token: &SecretString) -> Zeroizing<String> {
    let (user_name, api_key) = login.client.credentials();
    let environment = match login.environment {
        Environment::Demo => "demo",
        Environment::Replay => "replay",
        Environment::Live => "live",
    };
    let mut line = Zeroizing::new(
        json!({"session": {
            "rest_url": login.rest_url, "user_name": user_name, "api_key": api_key.expose_secret(),
            "token": token.expose_secret(), "gateway": login.gateway, "environment": environment,
        }})
        .to_string(),
    );
    line.push('\n');
    line
}

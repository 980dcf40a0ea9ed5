//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::feed::SourceConfig;
use crate::server::token::LIFE_S;

/// A ProjectX-faithful practice exchange on loopback.
#[derive(Parser, Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
#[command(name = "pitdesk-gateway", version, about)]
pub struct Options {
    /// Port of REST and hubs; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Port of the control listener; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub control_port: u16,
    /// Print the machine-readable first line.
    #[arg(long)]
    pub json: bool,
    /// Where accounts, orders and the clock are kept; without it nothing outlives the process.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Market: `model`, `replay FILE` or `script FILE`.
    #[arg(long, num_args = 1..=2, value_names = ["KIND", "FILE"], default_value = "model")]
    pub market: Vec<String>,
    /// Seed of the model and of the fault plan.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Start of the gateway's clock (ISO 8601).
    #[arg(long, value_name = "ISO")]
    pub clock: Option<String>,
    /// Speed of the gateway's clock.
    #[arg(long, default_value_t = 1.0)]
    pub rate: f64,
    /// Fault plan: a JSON array of rules.
    #[arg(long, value_name = "FILE")]
    pub fault: Option<PathBuf>,
    /// Book levels shown per side.
    #[arg(long, default_value_t = 10)]
    pub levels: usize,
    /// Answer every request, however many come.
    #[arg(long)]
    pub no_rate_limits: bool,
    /// Keep running when standard input closes.
    #[arg(long)]
    pub stay: bool,
    /// No flattening at 15:10 Chicago and no pause until 17:00.
    #[arg(long)]
    pub no_firm_hours: bool,
    /// Stream so many messages as soon as a market subscriber is there, as fast as its socket takes them.
    #[arg(long, value_name = "MESSAGES")]
    pub flood: Option<u64>,
    /// Accept stop limit orders.
    #[arg(long)]
    pub stop_limit: bool,
    /// Closing a position also cancels its working bracket legs.
    #[arg(long)]
    pub close_clears_children: bool,
    /// Cancelling one bracket leg cancels the other.
    #[arg(long)]
    pub cancel_takes_sibling: bool,
    /// Hub connections live on when their token expires.
    #[arg(long)]
    pub hubs_outlive_token: bool,
    /// How many seconds of the gateway's clock a session token lives.
    #[arg(long, value_name = "SECONDS", default_value_t = LIFE_S, value_parser = clap::value_parser!(u32).range(1..))]
    pub token_life: u32,
    /// Name that logs in.
    #[arg(long, default_value = "demo_trader")]
    pub user: String,
    /// Key that logs in; one is made up and kept in the state folder without it.
    #[arg(long)]
    pub api_key: Option<String>,
}

impl Options {
    /// The market source that was asked for.
    pub fn source(&self) -> Result<SourceConfig, String> {
        let file = self.market.get(1).map(PathBuf::from);
        match (self.market[0].as_str(), file) {
            ("model", None) => Ok(SourceConfig::Model),
            ("replay", Some(path)) => Ok(SourceConfig::Replay { path }),
            ("script", Some(path)) => Ok(SourceConfig::Script { path }),
            (kind, _) => Err(format!(
                "--market {kind}: `model`, `replay FILE` or `script FILE` is allowed."
            )),
        }
    }
}

//! `pitdesk-gateway`: the practice gateway as a program. It ends when its standard input closes.

use std::io::{Read, Write};
use std::process::ExitCode;

use clap::Parser;
use practice_gateway::server::options::Options;
use practice_gateway::server::start::start;

fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .init();
    // Everything is behind one lock: a second worker would only cost the hand-over of each push to a hub.
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("The runtime did not start: {error}.")),
    };
    let running = match runtime.block_on(start(&options)) {
        Ok(running) => running,
        Err(message) => return failed(&message),
    };
    if let Err(error) = running.announce(options.json) {
        return failed(&format!("Standard output: {error}."));
    }
    if options.stay {
        runtime.block_on(std::future::pending::<()>());
    }
    wait_for_end_of_input();
    // Requests in flight are answered by nobody any more; the journal already holds what was accepted.
    runtime.shutdown_background();
    ExitCode::SUCCESS
}

fn failed(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "pitdesk-gateway: {message}");
    ExitCode::from(2)
}

fn wait_for_end_of_input() {
    let mut buffer = [0; 256];
    let mut input = std::io::stdin().lock();
    while input.read(&mut buffer).is_ok_and(|read| read > 0) {}
}

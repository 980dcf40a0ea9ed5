//! Prints `resources/outcomes.md`.

fn main() {
    print!(
        "{}",
        trading_bot_core::order_execution::outcome::table::page()
    );
}

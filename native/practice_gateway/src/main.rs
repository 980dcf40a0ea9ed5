//! `pitdesk-gateway`: the practice gateway as a program.

fn main() {}

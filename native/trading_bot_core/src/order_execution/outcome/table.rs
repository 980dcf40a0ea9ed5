//! The table of outcomes for people: what can happen to a request, and what `classify` makes of it.
//!
//! Nothing is stated here twice: a row says what happened, its words are asked of `classify`. The page
//! `resources/outcomes.md` is this table; the tests over real sockets provoke every row of it.

use std::fmt::Write;

use super::{Attempt, Endpoint, Envelope, Outcome, classify};

/// Requests that change something, in the page's order.
pub const COLUMNS: [(Endpoint, &str); 5] = [
    (Endpoint::Place, "place"),
    (Endpoint::Modify, "modify"),
    (Endpoint::Cancel, "cancel"),
    (Endpoint::CloseContract, "close"),
    (Endpoint::PartialCloseContract, "partial close"),
];

/// One thing that can happen to a request.
#[derive(Clone, Debug)]
pub struct Row {
    /// Stable name; the tests over sockets are named after it.
    pub id: String,
    pub what: String,
    pub attempt: Attempt,
    /// Whether the tag of a place was never sent before.
    pub is_only_attempt: bool,
}

impl Row {
    fn new(id: &str, what: &str, attempt: Attempt) -> Self {
        Self {
            id: id.to_owned(),
            what: what.to_owned(),
            attempt,
            is_only_attempt: true,
        }
    }

    /// The verdict's word for one kind of request.
    pub fn word(&self, endpoint: Endpoint) -> &'static str {
        match classify(endpoint, &self.attempt, self.is_only_attempt) {
            Outcome::Accepted { .. } => "accepted",
            Outcome::NotSent { .. } => "not sent",
            Outcome::Refused { .. } => "refused",
            Outcome::Unknown { .. } => "unknown",
        }
    }
}

fn http(status: u16) -> Attempt {
    Attempt::Answered {
        status,
        envelope: None,
    }
}

fn success(order_id: Option<i64>) -> Attempt {
    Attempt::Answered {
        status: 200,
        envelope: Some(Envelope {
            success: true,
            order_id,
            ..Envelope::default()
        }),
    }
}

fn failure(error_code: i64) -> Attempt {
    Attempt::Answered {
        status: 200,
        envelope: Some(Envelope {
            error_code,
            ..Envelope::default()
        }),
    }
}

fn silent() -> Attempt {
    Attempt::Silent {
        text: String::new(),
    }
}

/// Every row, in the page's order.
pub fn rows() -> Vec<Row> {
    let not_sent = Attempt::NotSent {
        text: String::new(),
    };
    let mut rows = vec![
        Row::new(
            "not-sent",
            "the failure came before the first byte left",
            not_sent,
        ),
        Row::new(
            "accepted",
            "200, `success: true`, an order's id",
            success(Some(1)),
        ),
        Row::new(
            "without-id",
            "200, `success: true`, no order's id",
            success(None),
        ),
    ];
    for status in [400, 401, 403, 404, 415, 429, 500, 502, 503] {
        let what = format!("HTTP {status}");
        rows.push(Row::new(&format!("http-{status}"), &what, http(status)));
    }
    rows.extend([
        Row::new("timeout", "no answer before the deadline", silent()),
        Row::new("reset", "the connection broke after the request", silent()),
        Row::new("cut-body", "the answer ended early", silent()),
        Row::new("not-json", "200, not the broker's JSON", http(200)),
    ]);
    for code in 1..=10 {
        let what = format!("200, `success: false`, code {code}");
        rows.push(Row::new(&format!("code-{code}"), &what, failure(code)));
    }
    rows.push(Row {
        is_only_attempt: false,
        ..Row::new(
            "code-2-again",
            "code 2 to a tag that was sent before",
            failure(2),
        )
    });
    rows.push(Row::new(
        "code-unlisted",
        "200, `success: false`, a code that no list knows",
        failure(99),
    ));
    rows
}

const HEAD: &str = "\
# What became of a request

Every request that changes something at the broker ends in exactly one word. Silence is never a refusal: what proves neither
\"taken\" nor \"refused\" is *unknown*, and nothing is ever sent twice to find out.

| Word | What it means | What the program does |
|---|---|---|
| denied | our own gate said no | nothing was sent; every reason is shown |
| not sent | no byte left this computer | nothing by itself; the next press is a new decision |
| refused | the broker said no | shows the broker's reason; a refused change or cancel is read back |
| accepted | the broker took it | follows the order by the hub, and asks when the hub is silent |
| **unknown** | neither is proven | counts at its worst in every limit, blocks a repeat, asks until there is proof |

A 401 also renews the session: reads and cancels are then sent once more, a place never.

";

/// The page `resources/outcomes.md`.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut line = String::from("| Row | What happened |");
    let mut rule = String::from("|---|---|");
    for (_, name) in COLUMNS {
        let _ = write!(line, " {name} |");
        rule.push_str("---|");
    }
    let _ = writeln!(page, "{line}\n{rule}");
    for row in rows() {
        let _ = write!(page, "| `{}` | {} |", row.id, row.what);
        for (endpoint, _) in COLUMNS {
            let _ = write!(page, " {} |", row.word(endpoint));
        }
        page.push('\n');
    }
    page.push_str(
        "\nWritten by `cargo run --manifest-path native/Cargo.toml -p trading_bot_core --example outcomes`.\n",
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_resources_is_the_table_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../resources/outcomes.md");
        let kept = std::fs::read_to_string(path).expect("resources/outcomes.md is there");
        assert_eq!(
            kept,
            page(),
            "write it again: cargo run -p trading_bot_core --example outcomes > ../resources/outcomes.md"
        );
    }

    #[test]
    fn no_two_rows_share_a_name() {
        let mut names: Vec<String> = rows().into_iter().map(|row| row.id).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}

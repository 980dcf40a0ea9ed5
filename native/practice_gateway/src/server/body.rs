//! Request bodies, bound the way a stock ASP.NET server binds them: names without regard to case, unknown fields
//! ignored, wrong types refused with problem details.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::exchange::model::{Bracket, Nano};

/// One JSON object with its raw tokens, and the binding errors met so far.
pub struct Body {
    fields: BTreeMap<String, Box<RawValue>>,
    errors: BTreeMap<String, String>,
}

impl Body {
    /// `None` if the bytes are not a JSON object.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(bytes).ok()?;
        let fields = raw
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        Some(Self {
            fields,
            errors: BTreeMap::new(),
        })
    }

    fn token(&self, name: &str) -> Option<&str> {
        let token = self.fields.get(&name.to_ascii_lowercase())?.get();
        (token != "null").then_some(token)
    }

    fn bad(&mut self, name: &str, message: String) {
        self.errors.insert(name.to_owned(), message);
    }

    fn not_convertible(&mut self, name: &str, kind: &str) {
        self.bad(
            &format!("$.{name}"),
            format!("The JSON value could not be converted to {kind}. Path: $.{name}."),
        );
    }

    fn bind<T>(
        &mut self,
        name: &str,
        kind: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = read(self.token(name)?);
        if value.is_none() {
            self.not_convertible(name, kind);
        }
        value
    }

    fn required<T: Default>(&mut self, name: &str, value: Option<T>) -> T {
        if value.is_none() && !self.errors.contains_key(&format!("$.{name}")) {
            self.bad(name, format!("The {name} field is required."));
        }
        value.unwrap_or_default()
    }

    pub fn maybe_int(&mut self, name: &str) -> Option<i64> {
        self.bind(name, "System.Int64", |token| token.parse().ok())
    }

    pub fn int(&mut self, name: &str) -> i64 {
        let value = self.maybe_int(name);
        self.required(name, value)
    }

    pub fn maybe_bool(&mut self, name: &str) -> Option<bool> {
        self.bind(name, "System.Boolean", |token| token.parse().ok())
    }

    pub fn bool(&mut self, name: &str) -> bool {
        let value = self.maybe_bool(name);
        self.required(name, value)
    }

    pub fn maybe_text(&mut self, name: &str) -> Option<String> {
        self.bind(name, "System.String", |token| {
            serde_json::from_str(token).ok()
        })
    }

    pub fn text(&mut self, name: &str) -> String {
        let value = self.maybe_text(name);
        self.required(name, value)
    }

    /// A decimal in 1e-9, exact; more digits than that do not lie on any grid and are kept as an odd remainder.
    pub fn maybe_price(&mut self, name: &str) -> Option<Nano> {
        self.bind(name, "System.Decimal", parse_nano)
    }

    /// UTC nanoseconds.
    pub fn maybe_time(&mut self, name: &str) -> Option<i64> {
        self.bind(name, "System.DateTimeOffset", |token| {
            let text: String = serde_json::from_str(token).ok()?;
            parse_time(&text)
        })
    }

    pub fn time(&mut self, name: &str) -> i64 {
        let value = self.maybe_time(name);
        self.required(name, value)
    }

    pub fn maybe_ints(&mut self, name: &str) -> Option<Vec<i64>> {
        self.bind(name, "System.Int32[]", |token| {
            serde_json::from_str(token).ok()
        })
    }

    pub fn maybe_bracket(&mut self, name: &str) -> Option<Bracket> {
        let token = self.token(name)?.to_owned();
        let Some(mut inner) = Body::parse(token.as_bytes()) else {
            self.not_convertible(name, "PlaceOrderBracket");
            return None;
        };
        let bracket = Bracket {
            ticks: inner.int("ticks"),
            kind: inner.int("type"),
        };
        for (field, message) in inner.errors {
            self.bad(&format!("{name}.{field}"), message);
        }
        Some(bracket)
    }

    /// A nested object.
    #[must_use]
    pub fn object(&mut self, name: &str) -> Body {
        let parsed = self
            .token(name)
            .and_then(|token| Body::parse(token.as_bytes()));
        parsed.unwrap_or_else(|| {
            self.bad(name, format!("The {name} field is required."));
            Body {
                fields: BTreeMap::new(),
                errors: BTreeMap::new(),
            }
        })
    }

    /// Takes over the errors of a nested object.
    pub fn absorb(&mut self, inner: Body, prefix: &str) {
        for (field, message) in inner.errors {
            self.bad(&format!("{prefix}.{field}"), message);
        }
    }

    pub fn check(&mut self, holds: bool, name: &str, message: &str) {
        if !holds {
            self.bad(name, message.to_owned());
        }
    }

    /// Problem details, if anything did not bind.
    pub fn problem(&self) -> Option<String> {
        (!self.errors.is_empty()).then(|| problem(&self.errors))
    }
}

/// RFC 7807 body as ASP.NET writes it.
pub fn problem(errors: &BTreeMap<String, String>) -> String {
    let listed: BTreeMap<&String, [&String; 1]> = errors.iter().map(|(k, v)| (k, [v])).collect();
    serde_json::json!({
        "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "errors": listed,
        "traceId": "00-00000000000000000000000000000000-0000000000000000-00",
    })
    .to_string()
}

/// The problem of a body that is no JSON object.
pub fn unreadable() -> String {
    let text = "The request body is not a JSON object of the documented shape.";
    problem(&BTreeMap::from([
        ("$".to_owned(), text.to_owned()),
        (
            "request".to_owned(),
            "The request field is required.".to_owned(),
        ),
    ]))
}

/// ISO-8601 with 0 to 9 fractional digits, `Z`, an offset, or none (UTC).
pub fn parse_time(text: &str) -> Option<i64> {
    let time = match text.parse::<jiff::Timestamp>() {
        Ok(time) => time,
        Err(_) => jiff::tz::TimeZone::UTC
            .to_timestamp(text.parse::<jiff::civil::DateTime>().ok()?)
            .ok()?,
    };
    // The first and the last year are what clients send for "always"; half the range leaves room for differences.
    let far = i128::from(i64::MAX / 2);
    i64::try_from(time.as_nanosecond().clamp(-far, far)).ok()
}

/// Decimal token to 1e-9. Digits beyond are folded into an odd unit, so that the value is on no grid.
fn parse_nano(token: &str) -> Option<Nano> {
    if !token.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
        || token.len() > 40
    {
        return None;
    }
    let (digits, exponent) = match token.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (token, 0),
    };
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 9 + exponent - fraction.len() as i32;
    let nano = if scale >= 0 {
        all.checked_mul(10_i128.checked_pow(u32::try_from(scale).ok()?)?)?
    } else {
        let divisor = 10_i128.checked_pow(scale.unsigned_abs())?;
        if all % divisor == 0 {
            all / divisor
        } else {
            (all / divisor) | 1
        }
    };
    Some(if negative { -nano } else { nano })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly() {
        assert_eq!(parse_nano("29480.25"), Some(29_480_250_000_000));
        assert_eq!(parse_nano("5e-7"), Some(500));
        assert_eq!(parse_nano("-1.5"), Some(-1_500_000_000));
        assert_eq!(parse_nano("100"), Some(100_000_000_000));
        assert_eq!(parse_nano("1E2"), Some(100_000_000_000));
        assert_eq!(parse_nano("\"1\""), None);
        assert_eq!(parse_nano("true"), None);
        assert_eq!(parse_nano("0.00000000000004").map(|nano| nano % 2), Some(1));
    }

    #[test]
    fn names_bind_without_regard_to_case_and_errors_name_the_field() {
        let mut body =
            Body::parse(br#"{"ACCOUNTID":7,"side":"buy","extra":1}"#).expect("an object");
        assert_eq!(body.int("accountId"), 7);
        assert_eq!(body.int("side"), 0);
        let problem = body.problem().expect("a string is no enum");
        assert!(problem.contains("$.side"));
        assert!(problem.contains("\"status\":400"));
    }

    #[test]
    fn times_accept_every_documented_spelling() {
        let expected = Some(1_793_630_100_500_000_000);
        for text in [
            "2026-11-02T14:35:00.5Z",
            "2026-11-02T14:35:00.5000000+00:00",
            "2026-11-02T14:35:00.5",
        ] {
            assert_eq!(parse_time(text), expected);
        }
        assert_eq!(parse_time("yesterday"), None);
        assert!(parse_time("0001-01-01T00:00:00Z").is_some_and(|time| time < 0));
        assert!(parse_time("9999-12-30T00:00:00Z") > expected);
    }
}

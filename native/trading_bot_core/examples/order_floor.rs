//! The floor under an order's round trip: prepared bytes on one warm socket, a blocking read, nothing decoded but the id.
//!
//! `order_floor HOST:PORT TOKEN ACCOUNT COUNT` places, modifies and cancels COUNT orders one after another and prints one
//! JSON line of nanoseconds per request. Standard library alone, so that `rustc -O` builds it in a second.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const WARM: usize = 50;
/// Between two requests, as every contender waits.
const PAUSE: Duration = Duration::from_millis(1);

struct Wire {
    socket: TcpStream,
    head: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Wire {
    fn open(address: &str, token: &str) -> std::io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let head = format!(
            "host: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\naccept: application/json\r\n"
        );
        Ok(Self {
            socket,
            head,
            request: Vec::with_capacity(4_096),
            answer: Vec::with_capacity(4_096),
        })
    }

    /// Nanoseconds from the first byte written to the last byte read.
    fn trip(&mut self, path: &str, body: &str) -> std::io::Result<u64> {
        std::thread::sleep(PAUSE);
        let began = Instant::now();
        self.request.clear();
        write!(
            self.request,
            "POST {path} HTTP/1.1\r\n{}content-length: {}\r\n\r\n{body}",
            self.head,
            body.len()
        )?;
        self.socket.write_all(&self.request)?;
        self.answer.clear();
        let mut piece = [0; 4_096];
        while !is_whole(&self.answer) {
            let read = self.socket.read(&mut piece)?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            self.answer.extend_from_slice(&piece[..read]);
        }
        Ok(began.elapsed().as_nanos() as u64)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.answer).into_owned()
    }
}

/// The server states a length, as hyper does for a body it knows.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .to_ascii_lowercase()
        .split_once("content-length: ")
        .and_then(|(_, rest)| rest.lines().next()?.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

fn order_id(text: &str) -> Option<u64> {
    let rest = text.split_once("\"orderId\":")?.1;
    rest.split([',', '}']).next()?.parse().ok()
}

fn main() -> std::io::Result<()> {
    let told: Vec<String> = std::env::args().collect();
    let [_, address, token, account, count] = &told[..] else {
        eprintln!("usage: order_floor HOST:PORT TOKEN ACCOUNT COUNT");
        std::process::exit(2);
    };
    let count: usize = count.parse().unwrap_or(0);
    let mut wire = Wire::open(address, token)?;
    let mut trips: [Vec<u64>; 3] = Default::default();
    for number in 0..count + WARM {
        let tag = format!("floor-{}-{number}", std::process::id());
        let price = 29_400 + number % 40;
        let placed = wire.trip(
            "/api/Order/place",
            &format!(
                r#"{{"accountId":{account},"contractId":"CON.F.US.MNQ.Z26","type":1,"side":0,"size":1,"limitPrice":{price}.00,"customTag":"{tag}"}}"#
            ),
        )?;
        let Some(id) = order_id(&wire.text()) else {
            eprintln!("the order was not placed: {}", wire.text());
            std::process::exit(1);
        };
        let changed =
            format!(r#"{{"accountId":{account},"orderId":{id},"size":1,"limitPrice":{price}.25}}"#);
        let modified = wire.trip("/api/Order/modify", &changed)?;
        let over = format!(r#"{{"accountId":{account},"orderId":{id}}}"#);
        let cancelled = wire.trip("/api/Order/cancel", &over)?;
        if number >= WARM {
            for (trips, trip) in trips.iter_mut().zip([placed, modified, cancelled]) {
                trips.push(trip);
            }
        }
    }
    let [place, modify, cancel] = trips;
    println!("{{\"place\":{place:?},\"modify\":{modify:?},\"cancel\":{cancel:?}}}");
    Ok(())
}

//! The two connections that carry orders, driven by the engine's own thread (decisions 18 and 38).
//!
//! A request is written where it was decided and its answer is read where it is applied: no other thread has to wake up
//! for either. Sockets never block. What finds no free line goes the way of every other request, through the pool.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::boundary::{Boundary, Watch};
use super::http_reply::{self, Progress, Whole};
use super::rest::{Answer, Client, Outcome, PING_AFTER, REPLACE_AFTER, server_time};
use super::send::Outgoing;
use crate::clock::mono;
use crate::types::Mono;

/// Connections kept for orders alone. They are polled together with the doorbell, which only Unix can.
pub const WANTED: usize = if cfg!(unix) { 2 } else { 0 };
const OPEN_DEADLINE: Duration = Duration::from_secs(5);
const PIECE: usize = 16 << 10;

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One warm connection.
pub struct Line {
    stream: Box<dyn Stream>,
    #[cfg(unix)]
    descriptor: std::os::fd::RawFd,
    work: Work,
    /// Bytes of the request, kept for its capacity.
    request: Zeroizing<Vec<u8>>,
    written: usize,
    /// Everything has reached the kernel, what TLS makes of it included.
    is_flushed: bool,
    answer: Vec<u8>,
    /// What one read takes. A fresh one each time would be cleared first, and push an order's own data out of the cache.
    piece: Box<[u8]>,
    /// Last use by an order, and last use at all.
    used: Mono,
    pinged: Mono,
}

enum Work {
    Idle,
    Ping { deadline: Mono },
    Order(Ticket),
}

struct Ticket {
    outgoing: Outgoing,
    began: Mono,
    /// When the first byte was taken by the kernel; zero before.
    sent: Mono,
}

/// Which lines are read. A look at a socket that says nothing costs a microsecond of an order's way.
#[derive(Clone, Copy)]
pub enum Look<'a> {
    /// Those that a poll has named, by their places in `descriptors`.
    Named(&'a [usize]),
    /// Those that carry something; for whoever has not polled.
    Busy,
}

/// A request and what became of it.
pub struct Ended {
    pub outgoing: Outgoing,
    /// How long it was given.
    pub allowed: Duration,
    pub answer: Answer,
    /// The token it was sent with.
    pub generation: u64,
}

/// Both lines and the head that every request shares.
pub struct OrderLines {
    client: Arc<Client>,
    lines: Vec<Line>,
    /// Lines that are being opened elsewhere.
    opening: usize,
    /// Host, token and types, and the generation of the token.
    head: (u64, Zeroizing<Vec<u8>>),
    watch: Option<Watch>,
    last_date: Vec<u8>,
}

impl OrderLines {
    pub fn new(client: Arc<Client>, watch: Option<Watch>) -> Self {
        Self {
            client,
            lines: Vec::with_capacity(WANTED),
            opening: 0,
            head: (u64::MAX, Zeroizing::default()),
            watch,
            last_date: Vec::new(),
        }
    }

    /// Takes an opened line, or the news that one could not be opened.
    pub fn opened(&mut self, line: Option<Line>) {
        self.opening = self.opening.saturating_sub(1);
        self.lines.extend(line);
    }

    /// How many lines somebody should open now; each ends in one `opened`.
    pub fn take_missing(&mut self) -> usize {
        let missing = WANTED.saturating_sub(self.lines.len() + self.opening);
        self.opening += missing;
        missing
    }

    /// Sends at once on a free line. Hands the request back, of which no byte has left then, when none is free.
    pub fn send(&mut self, outgoing: Outgoing) -> Result<Mono, Outgoing> {
        let began = mono();
        if outgoing.deadline <= began || !self.refresh_head() {
            return Err(outgoing);
        }
        let mut ticket = Ticket {
            outgoing,
            began,
            sent: Mono(0),
        };
        while let Some(at) = self.lines.iter().position(Line::is_idle) {
            let line = &mut self.lines[at];
            if line.is_silent() {
                line.begin(
                    &self.client.endpoint().prefix,
                    &self.head.1,
                    &ticket.outgoing,
                );
                if line.write(self.watch).is_ok() || line.written > 0 {
                    ticket.sent = if line.written > 0 { mono() } else { Mono(0) };
                    let sent = ticket.sent;
                    line.work = Work::Order(ticket);
                    return Ok(sent);
                }
            }
            // Closed by the far side while it idled; nothing of this request has left.
            self.lines.swap_remove(at);
        }
        Err(ticket.outgoing)
    }

    /// False without a token.
    fn refresh_head(&mut self) -> bool {
        let generation = self.client.generation();
        if self.head.0 == generation {
            return true;
        }
        let Some(token) = self.client.token() else {
            return false;
        };
        let endpoint = self.client.endpoint();
        let mut head = Zeroizing::new(Vec::with_capacity(2_048));
        // A vector takes every write.
        let _ = write!(
            head,
            " HTTP/1.1\r\nhost: {}:{}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             accept: application/json\r\n",
            endpoint.host,
            endpoint.port,
            token.expose_secret()
        );
        self.head = (generation, head);
        true
    }

    /// Reads what has come, and ends what is over.
    pub fn collect(&mut self, look: Look<'_>, ended: &mut Vec<Ended>) {
        // From the back: a line that is closed gives its place to one that has been looked at.
        for at in (0..self.lines.len()).rev() {
            let line = &mut self.lines[at];
            let is_due = match look {
                Look::Named(places) => places.contains(&at) || line.is_overdue(),
                Look::Busy => !line.is_idle(),
            };
            if !is_due {
                continue;
            }
            let (is_open, outcome) = line.advance(self.watch);
            if let Some((outcome, date)) = outcome
                && let Work::Order(ticket) = std::mem::replace(&mut line.work, Work::Idle)
            {
                ended.push(self.end(ticket, outcome, date));
            }
            if !is_open {
                self.lines.swap_remove(at);
            }
        }
    }

    fn end(&mut self, ticket: Ticket, outcome: Outcome, date: Vec<u8>) -> Ended {
        // The same second says nothing new.
        let is_news = !date.is_empty() && date != self.last_date;
        let answer = Answer {
            outcome,
            sent_mono_ns: ticket.sent.0,
            server_time: is_news.then(|| server_time(&date)).flatten(),
        };
        if is_news {
            self.last_date = date;
        }
        let allowed = ticket.outgoing.deadline.0.saturating_sub(ticket.began.0);
        Ended {
            outgoing: ticket.outgoing,
            allowed: Duration::from_nanos(allowed),
            answer,
            generation: self.head.0,
        }
    }

    /// When the next request or ping gives up.
    pub fn next_deadline(&self) -> Option<Mono> {
        self.lines.iter().filter_map(Line::deadline).min()
    }

    /// An order waits for its answer.
    pub fn has_orders(&self) -> bool {
        let mut lines = self.lines.iter();
        lines.any(|line| matches!(line.work, Work::Order(_)))
    }

    /// Pings what idles, drops what no order has used for long. Call every few seconds.
    pub fn tend(&mut self) {
        let now = mono();
        let age = |since: Mono| Duration::from_nanos(now.0.saturating_sub(since.0));
        self.lines
            .retain(|line| !line.is_idle() || age(line.used) < REPLACE_AFTER);
        for line in &mut self.lines {
            if line.is_idle() && age(line.pinged) >= PING_AFTER {
                let endpoint = self.client.endpoint();
                self.client.note_spent();
                line.ping(&endpoint.prefix, &endpoint.host, endpoint.port);
            }
        }
    }

    /// The sockets to poll.
    #[cfg(unix)]
    pub fn descriptors(&self) -> impl Iterator<Item = (std::os::fd::RawFd, bool)> + '_ {
        self.lines
            .iter()
            .map(|line| (line.descriptor, !line.is_flushed))
    }

    /// The lines whose orders have no answer yet, for whoever waits for them after the login has ended.
    #[must_use]
    pub fn take_busy(&mut self) -> Self {
        let (busy, idle) = std::mem::take(&mut self.lines)
            .into_iter()
            .partition(|line| matches!(line.work, Work::Order(_)));
        self.lines = idle;
        let mut taken = Self::new(Arc::clone(&self.client), self.watch);
        taken.lines = busy;
        taken.head.0 = self.head.0;
        taken
    }

    /// Closes the lines that carry nothing.
    pub fn drop_idle(&mut self) {
        self.lines.retain(|line| !line.is_idle());
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl Line {
    /// Opens a connection, TLS included. Blocks, at most five seconds a step; never on the engine's thread.
    pub fn open(client: &Client) -> Result<Self, String> {
        let endpoint = client.endpoint();
        let host = endpoint.host.trim_matches(['[', ']']);
        let address = (host, endpoint.port)
            .to_socket_addrs()
            .map_err(|error| error.to_string())?
            .next()
            .ok_or("the host has no address")?;
        let text = |error: std::io::Error| error.to_string();
        let socket = TcpStream::connect_timeout(&address, OPEN_DEADLINE).map_err(text)?;
        socket.set_nodelay(true).map_err(text)?;
        #[cfg(unix)]
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&socket);
        let stream: Box<dyn Stream> = match client.tls() {
            None => {
                socket.set_nonblocking(true).map_err(text)?;
                Box::new(socket)
            }
            Some(config) => {
                let name =
                    ServerName::try_from(endpoint.host.clone()).map_err(|e| e.to_string())?;
                let connection = ClientConnection::new(Arc::clone(config), name)
                    .map_err(|error| error.to_string())?;
                let mut stream = StreamOwned::new(connection, socket);
                stream
                    .sock
                    .set_read_timeout(Some(OPEN_DEADLINE))
                    .map_err(text)?;
                while stream.conn.is_handshaking() {
                    stream.conn.complete_io(&mut stream.sock).map_err(text)?;
                }
                stream.sock.set_nonblocking(true).map_err(text)?;
                Box::new(stream)
            }
        };
        let now = mono();
        Ok(Self {
            stream,
            #[cfg(unix)]
            descriptor,
            work: Work::Idle,
            request: Zeroizing::new(Vec::with_capacity(4_096)),
            written: 0,
            is_flushed: true,
            answer: Vec::with_capacity(4_096),
            piece: vec![0; PIECE].into_boxed_slice(),
            used: now,
            pinged: now,
        })
    }

    fn is_idle(&self) -> bool {
        matches!(self.work, Work::Idle)
    }

    fn deadline(&self) -> Option<Mono> {
        match &self.work {
            Work::Idle => None,
            Work::Ping { deadline } => Some(*deadline),
            Work::Order(ticket) => Some(ticket.outgoing.deadline),
        }
    }

    fn is_overdue(&self) -> bool {
        self.deadline().is_some_and(|at| at <= mono())
    }

    /// An idle line says nothing; one that says something has ended or belongs to nobody.
    fn is_silent(&mut self) -> bool {
        let mut byte = [0; 1];
        matches!(self.stream.read(&mut byte), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    fn begin(&mut self, prefix: &str, head: &[u8], outgoing: &Outgoing) {
        self.request.clear();
        self.answer.clear();
        self.written = 0;
        let request: &mut Vec<u8> = &mut self.request;
        request.extend_from_slice(b"POST ");
        request.extend_from_slice(prefix.as_bytes());
        request.extend_from_slice(outgoing.endpoint.path().as_bytes());
        request.extend_from_slice(head);
        // A vector takes every write.
        let _ = write!(request, "content-length: {}\r\n\r\n", outgoing.body.len());
        request.extend_from_slice(outgoing.body.as_bytes());
    }

    fn ping(&mut self, prefix: &str, host: &str, port: u16) {
        self.request.clear();
        self.answer.clear();
        self.written = 0;
        let _ = write!(
            self.request,
            "GET {prefix}/api/Status/ping HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n"
        );
        self.work = Work::Ping {
            deadline: Mono(mono().0 + OPEN_DEADLINE.as_nanos() as u64),
        };
        // An error shows itself when the answer is read.
        let _ = self.write(None);
    }

    /// Writes what the kernel takes. `Err` when the connection is broken.
    fn write(&mut self, watch: Option<Watch>) -> std::io::Result<()> {
        self.is_flushed = false;
        while self.written < self.request.len() {
            // Watched, a request leaves in two halves, so that somebody can die between them.
            let end = match watch {
                Some(_) if self.written == 0 => self.request.len() / 2,
                _ => self.request.len(),
            };
            match self.stream.write(&self.request[self.written..end]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if let Some(watch) = watch {
                watch(if self.written < self.request.len() {
                    Boundary::HalfSent
                } else {
                    Boundary::Sent
                });
            }
        }
        match self.stream.flush() {
            Ok(()) => self.is_flushed = self.written == self.request.len(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// One look: whether the connection is still good, and the outcome of its work with the reply's date.
    fn advance(&mut self, watch: Option<Watch>) -> (bool, Option<(Outcome, Vec<u8>)>) {
        if self.is_idle() {
            return (self.is_silent(), None);
        }
        let is_broken = !self.is_flushed && self.write(watch).is_err();
        let mut is_ended = false;
        loop {
            match http_reply::read(&self.answer, is_ended) {
                Progress::Whole(whole) if self.is_sent() => {
                    return (whole.is_kept && !is_ended, Some(self.finish(whole)));
                }
                Progress::Broken(text) => {
                    return (false, Some(self.fail(Outcome::Reset(text.to_owned()))));
                }
                Progress::Whole(_) | Progress::Partial if is_ended => {
                    let text = "the far side closed it".to_owned();
                    return (false, Some(self.fail(Outcome::Reset(text))));
                }
                Progress::Whole(_) | Progress::Partial => {}
            }
            match self.stream.read(&mut self.piece) {
                Ok(0) => is_ended = true,
                Ok(count) => self.answer.extend_from_slice(&self.piece[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.wait_on(is_broken);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (false, Some(self.fail(Outcome::Reset(error.to_string())))),
            }
        }
    }

    fn finish(&mut self, whole: Whole) -> (Outcome, Vec<u8>) {
        self.pinged = mono();
        if matches!(self.work, Work::Order(_)) {
            self.used = self.pinged;
        }
        let date = whole.date.map(|at| self.answer[at].to_vec());
        let (status, body) = (whole.status, Bytes::from(whole.body));
        (Outcome::Reply { status, body }, date.unwrap_or_default())
    }

    /// A server may answer before it has the whole request; such an answer speaks of no whole order.
    fn is_sent(&self) -> bool {
        self.written == self.request.len()
    }

    /// Nothing more has come: over when nothing more can, or when the time is up.
    fn wait_on(&self, is_broken: bool) -> (bool, Option<(Outcome, Vec<u8>)>) {
        if is_broken {
            let text = "the request could not be written".to_owned();
            return (false, Some(self.fail(Outcome::Reset(text))));
        }
        if self.deadline().is_some_and(|at| at <= mono()) {
            return (false, Some(self.fail(Outcome::Timeout)));
        }
        (true, None)
    }

    fn fail(&self, outcome: Outcome) -> (Outcome, Vec<u8>) {
        let outcome = if self.written == 0 {
            Outcome::NotSent("the socket took no byte".to_owned())
        } else {
            outcome
        };
        (outcome, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use secrecy::SecretString;

    use super::*;
    use crate::engine::contract::{Endpoint, SendId};
    use crate::order_execution::rest;

    const LOGIN: &str =
        "HTTP/1.1 200 OK\r\ncontent-length: 32\r\n\r\n{\"token\":\"a.b.c\",\"success\":true}";
    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

    /// Lines to a server that answers the first connection's request as a login and every request of each later
    /// connection with the next of its replies; an empty one closes.
    fn lines(replies: Vec<Vec<&'static str>>) -> (OrderLines, JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let server = std::thread::spawn(move || {
            let mut seen = Vec::new();
            let mut held = Vec::new();
            for replies in std::iter::once(vec![LOGIN]).chain(replies) {
                let (mut socket, _) = listener.accept().expect("the client connects");
                let mut piece = [0; 4096];
                for reply in replies {
                    let count = socket.read(&mut piece).expect("readable");
                    seen.extend_from_slice(&piece[..count]);
                    if reply.is_empty() {
                        let _ = socket.shutdown(std::net::Shutdown::Both);
                    }
                    let _ = socket.write_all(reply.as_bytes());
                }
                held.push(socket);
            }
            // Until the client has closed, so that what follows a timeout would be seen.
            for mut socket in held.split_off(1) {
                let _ = socket.read_to_end(&mut seen);
            }
            seen
        });
        let endpoint =
            rest::Endpoint::parse(&format!("http://127.0.0.1:{port}")).expect("an address");
        let client = Client::new(endpoint, "trader".into(), SecretString::from("key"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(client.login()).expect("logged in");
        (OrderLines::new(Arc::new(client), None), server)
    }

    fn open(lines: &mut OrderLines) {
        let line = Line::open(&lines.client).expect("the server listens");
        lines.opened(Some(line));
    }

    fn cancel(number: u64, allowed: Duration) -> Outgoing {
        let deadline = Mono(mono().0 + allowed.as_nanos() as u64);
        Outgoing::exit(SendId(number), Endpoint::Cancel, "{}".into(), deadline)
    }

    fn wait(lines: &mut OrderLines) -> Ended {
        let mut ended = Vec::new();
        while ended.is_empty() {
            lines.collect(Look::Named(&[0]), &mut ended);
            std::thread::sleep(Duration::from_millis(1));
        }
        ended.remove(0)
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn an_order_is_answered_on_its_line_and_the_line_is_used_again() {
        let (mut lines, server) = lines(vec![vec![OK, OK]]);
        open(&mut lines);
        for number in 0..2 {
            let sent = lines.send(cancel(number, LONG)).expect("the line is free");
            let ended = wait(&mut lines);
            assert_eq!((ended.outgoing.id, sent.0 > 0), (SendId(number), true));
            assert!(matches!(
                ended.answer.outcome,
                Outcome::Reply { status: 200, .. }
            ));
        }
        drop(lines);
        let seen = String::from_utf8(server.join().expect("served")).expect("text");
        assert_eq!(
            seen.matches("POST /api/Order/cancel HTTP/1.1\r\n").count(),
            2
        );
        assert!(seen.contains("authorization: Bearer a.b.c\r\n"));
    }

    #[test]
    fn a_busy_line_hands_the_next_order_back_unsent() {
        let (mut lines, server) = lines(vec![vec![]]);
        open(&mut lines);
        lines.send(cancel(1, LONG)).expect("the line is free");
        assert!(lines.send(cancel(2, LONG)).is_err());
        drop(lines);
        let seen = server.join().expect("served");
        assert_eq!(
            memchr::memmem::find_iter(&seen, b"POST /api/Order").count(),
            1
        );
    }

    #[test]
    fn a_line_that_closed_while_idle_takes_no_order() {
        let (mut lines, server) = lines(vec![vec![OK, ""]]);
        open(&mut lines);
        lines.send(cancel(1, LONG)).expect("the line is free");
        wait(&mut lines);
        lines.send(cancel(2, LONG)).expect("still open");
        let ended = wait(&mut lines);
        assert!(matches!(ended.answer.outcome, Outcome::Reset(_)));
        assert!(lines.is_empty() && lines.take_missing() == WANTED);
        assert!(lines.send(cancel(3, LONG)).is_err());
        server.join().expect("served");
    }

    #[test]
    fn after_a_timeout_the_line_is_closed_so_that_a_late_answer_belongs_to_nobody() {
        let (mut lines, server) = lines(vec![vec![]]);
        open(&mut lines);
        let allowed = Duration::from_millis(20);
        lines.send(cancel(1, allowed)).expect("the line is free");
        let ended = wait(&mut lines);
        assert!(matches!(ended.answer.outcome, Outcome::Timeout));
        assert!(lines.is_empty());
        server.join().expect("the socket was closed");
    }

    #[test]
    fn a_cut_answer_is_a_reset_and_no_answer() {
        let cut = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"orderId\"";
        let (mut lines, server) = lines(vec![vec![cut]]);
        open(&mut lines);
        lines
            .send(cancel(1, Duration::from_millis(100)))
            .expect("free");
        let ended = wait(&mut lines);
        assert!(matches!(
            ended.answer.outcome,
            Outcome::Reset(_) | Outcome::Timeout
        ));
        server.join().expect("served");
    }

    #[test]
    fn an_order_in_flight_outlives_the_login() {
        let (mut lines, server) = lines(vec![vec![OK]]);
        open(&mut lines);
        lines.send(cancel(1, LONG)).expect("the line is free");
        let mut left = lines.take_busy();
        assert!(lines.is_empty());
        assert_eq!(wait(&mut left).outgoing.id, SendId(1));
        drop(left);
        server.join().expect("served");
    }
}

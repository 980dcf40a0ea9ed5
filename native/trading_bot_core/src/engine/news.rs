//! News for the reader, the wake byte, and the figures the driver measures.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::contract::Endpoint;
use super::views::{DoneOutcome, Event};

/// News nobody has drained beyond this is dropped for one `Resync`: it is news, the views hold the state.
const NEWS_MAX: usize = 65_536;

/// The end of one request, for whoever waits for it inside Rust.
#[derive(Clone, Debug)]
pub struct Done {
    pub outcome: DoneOutcome,
    pub text: String,
    pub payload_json: String,
}

/// What the reader gets from one `drain`.
#[expect(
    clippy::large_enum_variant,
    reason = "a box would allocate for each of the many to save the rare one"
)]
#[derive(Debug)]
pub enum Item {
    News(Event),
    Resync,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    has_dropped: bool,
    waiting: HashMap<u64, oneshot::Sender<Done>>,
}

/// The bounded queue of news and the wake of its reader.
pub struct News {
    queue: Mutex<Queue>,
    wake_fd: i32,
    is_awake: AtomicBool,
}

impl News {
    /// `wake_fd` is a non-blocking socket that Python keeps open until shutdown has returned; negative means no reader.
    pub fn new(wake_fd: i32) -> Self {
        Self {
            queue: Mutex::default(),
            wake_fd,
            is_awake: AtomicBool::new(false),
        }
    }

    /// Adds news. Answers to requests survive an overflow, since somebody waits for each of them.
    pub fn push(&self, event: Event) {
        let mut queue = self.queue.lock();
        if let Event::RequestDone {
            request_id,
            outcome,
            text,
            payload_json,
        } = &event
            && let Some(waiting) = queue.waiting.remove(request_id)
        {
            let done = Done {
                outcome: *outcome,
                text: text.clone(),
                payload_json: payload_json.clone(),
            };
            // The one who asked may have given up.
            let _ = waiting.send(done);
        }
        if queue.events.len() >= NEWS_MAX {
            queue
                .events
                .retain(|event| matches!(event, Event::RequestDone { .. }));
            queue.has_dropped = true;
        }
        queue.events.push_back(event);
    }

    /// A promise of the end of `request`; ask before sending the command.
    pub fn expect(&self, request: u64) -> oneshot::Receiver<Done> {
        let (sender, receiver) = oneshot::channel();
        self.queue.lock().waiting.insert(request, sender);
        receiver
    }

    /// Forgets a promise whose command could not be sent.
    pub fn forget(&self, request: u64) {
        self.queue.lock().waiting.remove(&request);
    }

    /// Takes at most `limit` pieces of news, oldest first.
    pub fn drain(&self, limit: usize) -> Vec<Item> {
        let mut queue = self.queue.lock();
        let mut items = Vec::with_capacity(queue.events.len().min(limit) + 1);
        if std::mem::take(&mut queue.has_dropped) {
            items.push(Item::Resync);
        }
        let count = queue.events.len().min(limit);
        items.extend(queue.events.drain(..count).map(Item::News));
        let has_more = !queue.events.is_empty();
        drop(queue);
        if has_more {
            self.wake();
        }
        items
    }

    /// Writes one byte unless the reader has one it has not answered.
    pub fn wake(&self) {
        if self.wake_fd < 0 || self.is_awake.swap(true, Ordering::AcqRel) {
            return;
        }
        let byte = [1_u8];
        // SAFETY: `byte` outlives the call and the descriptor is open by the contract of `new`. A full or closed socket
        // is no error: then a byte is already waiting, or nobody reads any more.
        unsafe {
            #[cfg(unix)]
            libc::write(self.wake_fd, byte.as_ptr().cast(), 1);
            #[cfg(windows)]
            libc::send(self.wake_fd as _, byte.as_ptr().cast(), 1, 0);
        }
    }

    /// The reader is about to drain; what comes after this wakes it again.
    pub fn clear_wake(&self) {
        self.is_awake.store(false, Ordering::Release);
    }
}

/// Figures that only the driver can measure.
pub struct Gauges {
    pub messages: AtomicU64,
    pub messages_unrecognised: AtomicU64,
    /// How often the engine's thread went to sleep.
    pub naps: AtomicU64,
    histograms: [Mutex<Histogram<u64>>; Latency::ALL.len()],
}

/// Which latency a measurement belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Latency {
    WireToView,
    PressToBytes,
    ReceiveToPainted,
    /// From a command entering the queue to the views that show the answer of its request.
    OrderPlace,
    OrderModify,
    OrderCancel,
    /// All records of a step into the order journal, in one write.
    JournalWrite,
}

impl Latency {
    /// Every latency with its name in `status()`.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::WireToView, "wire_to_view_us"),
        (Self::PressToBytes, "press_to_bytes_us"),
        (Self::ReceiveToPainted, "receive_to_painted_us"),
        (Self::OrderPlace, "order_place_us"),
        (Self::OrderModify, "order_modify_us"),
        (Self::OrderCancel, "order_cancel_us"),
        (Self::JournalWrite, "journal_write_us"),
    ];

    /// The whole way of a request that changes an order; `None` for every other.
    pub const fn of_request(endpoint: Endpoint) -> Option<Self> {
        match endpoint {
            Endpoint::Place => Some(Self::OrderPlace),
            Endpoint::Modify => Some(Self::OrderModify),
            Endpoint::Cancel => Some(Self::OrderCancel),
            _ => None,
        }
    }
}

impl Default for Gauges {
    fn default() -> Self {
        Self {
            messages: AtomicU64::new(0),
            messages_unrecognised: AtomicU64::new(0),
            naps: AtomicU64::new(0),
            histograms: std::array::from_fn(|_| Mutex::new(histogram())),
        }
    }
}

/// One minute at the most, three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("constant bounds are valid")
}

impl Gauges {
    fn of(&self, latency: Latency) -> &Mutex<Histogram<u64>> {
        &self.histograms[latency as usize]
    }

    /// Adds one measurement; absurd ones count as the bound.
    pub fn record(&self, latency: Latency, nanos: u64) {
        self.of(latency).lock().saturating_record(nanos.max(1));
    }

    /// Begins every latency anew.
    pub fn forget(&self) {
        self.histograms.iter().for_each(|it| it.lock().reset());
    }

    /// Median, 95th and 99th percentile in nanoseconds, 0 when nothing was measured.
    pub fn percentiles_ns(&self, latency: Latency) -> [u64; 3] {
        let histogram = self.of(latency).lock();
        [0.5, 0.95, 0.99].map(|quantile| {
            if histogram.is_empty() {
                0
            } else {
                histogram.value_at_quantile(quantile)
            }
        })
    }

    /// The same in whole microseconds, rounded up.
    pub fn percentiles_us(&self, latency: Latency) -> [u64; 3] {
        self.percentiles_ns(latency).map(|ns| ns.div_ceil(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(request_id: u64) -> Event {
        Event::RequestDone {
            request_id,
            outcome: DoneOutcome::Done,
            text: String::new(),
            payload_json: String::new(),
        }
    }

    fn other() -> Event {
        Event::ArmedChanged {
            source: "test".into(),
            account_id: 1,
            is_armed: true,
        }
    }

    #[test]
    fn an_overflow_becomes_one_resync_and_keeps_the_answers() {
        let news = News::new(-1);
        news.push(done(7));
        (0..NEWS_MAX).for_each(|_| news.push(other()));
        let items = news.drain(10);
        assert!(matches!(items[0], Item::Resync));
        assert!(matches!(
            items[1],
            Item::News(Event::RequestDone { request_id: 7, .. })
        ));
        assert!(news.drain(10).is_empty());
    }

    #[test]
    fn who_waits_for_a_request_gets_its_end() {
        let news = News::new(-1);
        let mut promise = news.expect(3);
        news.push(done(3));
        assert!(
            promise
                .try_recv()
                .is_ok_and(|done| done.outcome == DoneOutcome::Done)
        );
    }

    #[test]
    fn percentiles_are_rounded_up_to_whole_microseconds() {
        let gauges = Gauges::default();
        assert_eq!(gauges.percentiles_us(Latency::PressToBytes), [0; 3]);
        gauges.record(Latency::PressToBytes, 1_500_000);
        gauges.forget();
        gauges.record(Latency::PressToBytes, 1_500);
        assert_eq!(gauges.percentiles_us(Latency::PressToBytes), [2; 3]);
    }
}

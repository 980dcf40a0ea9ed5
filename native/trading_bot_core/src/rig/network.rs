//! What becomes of requests and hub messages between the two sides.

use super::desk::Fates;
use super::dice::Dice;
use super::faults::Fault;
use super::plan::{MILLI, SECOND};
use super::world::{Happening, World};
use crate::engine::contract::{Attempt, Endpoint, Envelope, Lane, Outgoing, Reply, Rows, SendId};
use crate::types::{AccountId, Mono, Nanos, OrderStatus};
use crate::websocket::parse::UserEvent;

/// How the answer of a request that arrives is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answered,
    AnswerLost,
    Http(u16),
    /// The broker does it and answers with an error all the same.
    HttpAfter(u16),
    PendingBefore,
    PendingAfter,
    CutBody,
    HtmlBody,
}

/// A request that left and has no end yet.
#[derive(Clone, Debug)]
pub struct Flight {
    pub endpoint: Endpoint,
    pub body: String,
    pub lane: Lane,
    pub left: u64,
    pub deadline: u64,
}

impl World {
    /// The sender: a request waits for its record, and goes.
    pub(super) fn take_send(&mut self, send: Outgoing) {
        self.schedule_at(send.deadline.0, Happening::Deadline(send.id));
        if send
            .after_record
            .is_some_and(|record| record > self.disk.written())
        {
            self.held.push(send);
        } else {
            self.depart(send);
        }
    }

    /// Lets go what waited for records; with a dead journal only exits.
    pub(super) fn release_held(&mut self) {
        for send in std::mem::take(&mut self.held) {
            let is_written = send
                .after_record
                .is_none_or(|record| record <= self.disk.written());
            let is_exit = send.lane == Lane::Exit;
            if is_written || (self.disk.is_failed && is_exit) {
                self.depart(send);
            } else if self.disk.is_failed {
                self.schedule(0, Happening::NotSent(send.id));
            } else {
                self.held.push(send);
            }
        }
    }

    fn depart(&mut self, send: Outgoing) {
        let flight = Flight {
            endpoint: send.endpoint,
            body: send.body,
            lane: send.lane,
            left: self.now,
            deadline: send.deadline.0,
        };
        self.check_departure(&flight, send.after_record);
        let id = send.id;
        if self.is_rest_down() || self.strikes(Fault::ConnectionRefused) {
            self.schedule(MILLI, Happening::NotSent(id));
        } else if !self.strikes(Fault::LoseRequest) {
            let fate = self.draw_fate(flight.endpoint);
            let delay = self.draw_delay(flight.deadline);
            // A broker that takes known tags would make two orders of a doubled place: the network's, not ours.
            let may_double = match flight.endpoint {
                Endpoint::PartialCloseContract => false,
                Endpoint::Place => !self.plan.takes_known_tags,
                _ => true,
            };
            let is_twice = may_double && self.strikes(Fault::DuplicateDelivery);
            for extra in [Some(0), is_twice.then_some(30 * MILLI)]
                .into_iter()
                .flatten()
            {
                let fate = if extra == 0 { fate } else { Fate::AnswerLost };
                let (endpoint, body) = (flight.endpoint, flight.body.clone());
                self.schedule(
                    delay + extra,
                    Happening::Arrives {
                        id,
                        endpoint,
                        body,
                        fate,
                    },
                );
            }
        }
        self.flights.insert(id, flight);
    }

    fn draw_delay(&mut self, deadline: u64) -> u64 {
        if self.strikes(Fault::LateRequest) {
            // Delayed in the network: it arrives after the connection was given up (A3).
            let after = self.dice.log_uniform(MILLI, 24 * SECOND);
            return deadline.saturating_sub(self.now) + after;
        }
        if self.strikes(Fault::SlowNetwork) {
            return self.dice.log_uniform(MILLI, 20 * SECOND);
        }
        MILLI * self.dice.between(10, 50)
    }

    fn draw_fate(&mut self, endpoint: Endpoint) -> Fate {
        // The sender renews the token and repeats reads and cancels once, so only the others see it.
        if !endpoint.may_repeat_on_401() && self.strikes(Fault::TokenExpired) {
            return Fate::Http(401);
        }
        let before = [
            (Fault::TooManyRequests, 429),
            (Fault::ErrorBeforeAccept, 503),
        ];
        for (fault, status) in before {
            if self.strikes(fault) {
                return Fate::Http(status);
            }
        }
        if self.strikes(Fault::ErrorAfterAccept) {
            return Fate::HttpAfter(502);
        }
        if endpoint == Endpoint::Place && self.strikes(Fault::PendingCode) {
            let is_done = self.dice.chance(50);
            return if is_done {
                Fate::PendingAfter
            } else {
                Fate::PendingBefore
            };
        }
        let rest = [
            (Fault::LoseResponse, Fate::AnswerLost),
            (Fault::CutBody, Fate::CutBody),
            (Fault::HtmlBody, Fate::HtmlBody),
        ];
        let struck = rest.into_iter().find(|(fault, _)| self.strikes(*fault));
        struck.map_or(Fate::Answered, |(_, fate)| fate)
    }

    /// A request reaches the broker.
    pub(super) fn arrive(&mut self, id: SendId, endpoint: Endpoint, body: &str, fate: Fate) {
        if let Fate::Http(status) = fate {
            let attempt = Attempt::Answered {
                status,
                envelope: None,
            };
            self.answer_later(id, attempt, Rows::None);
            return;
        }
        let pending = |code| Attempt::Answered {
            status: 200,
            envelope: Some(Envelope {
                error_code: code,
                ..Envelope::default()
            }),
        };
        if fate == Fate::PendingBefore {
            self.answer_later(id, pending(6), Rows::None);
            return;
        }
        let (envelope, rows) = self.ask_broker(endpoint, body);
        let attempt = match fate {
            Fate::AnswerLost => return,
            Fate::PendingAfter => pending(7),
            Fate::HttpAfter(status) => Attempt::Answered {
                status,
                envelope: None,
            },
            Fate::CutBody => Attempt::Silent {
                text: "The body was cut short.".into(),
            },
            Fate::HtmlBody => Attempt::Answered {
                status: 200,
                envelope: None,
            },
            _ => Attempt::Answered {
                status: 200,
                envelope: Some(envelope),
            },
        };
        let rows = if fate == Fate::Answered {
            rows
        } else {
            Rows::None
        };
        self.answer_later(id, attempt, rows);
    }

    fn answer_later(&mut self, id: SendId, attempt: Attempt, rows: Rows) {
        let slow = self.strikes(Fault::SlowNetwork);
        let delay = if slow {
            self.dice.log_uniform(MILLI, 10 * SECOND)
        } else {
            MILLI * self.dice.between(1, 50)
        };
        self.schedule(delay, Happening::Replied(Reply { id, attempt, rows }));
    }

    /// The end of a request, unless it had one.
    pub fn reply(&mut self, reply: Reply) {
        let Some(flight) = self.flights.remove(&reply.id) else {
            return;
        };
        self.note_reply(&flight, &reply);
        self.step(crate::engine::contract::Input::Reply(reply));
    }

    /// The sender gives up: what was held is withdrawn, what left is silent.
    pub(super) fn give_up(&mut self, id: SendId) {
        if self.held.iter().any(|send| send.id == id) {
            self.refuse_connection(id);
        } else {
            let text = "no answer".into();
            self.reply(Reply {
                id,
                attempt: Attempt::Silent { text },
                rows: Rows::None,
            });
        }
    }

    pub(super) fn refuse_connection(&mut self, id: SendId) {
        let attempt = Attempt::NotSent {
            text: "connection refused".into(),
        };
        if let Some(at) = self.held.iter().position(|send| send.id == id) {
            let send = self.held.remove(at);
            let flight = Flight {
                endpoint: send.endpoint,
                body: send.body,
                lane: send.lane,
                left: self.now,
                deadline: send.deadline.0,
            };
            self.flights.insert(id, flight);
        }
        self.reply(Reply {
            id,
            attempt,
            rows: Rows::None,
        });
    }

    /// The hub: its messages may come twice, late, in another order, spoilt, or never.
    pub fn spread_news(&mut self) {
        for event in std::mem::take(&mut self.broker.news) {
            if !self.hub_carries(&event) || self.strikes(Fault::HubLoss) {
                continue;
            }
            let spread = if self.strikes(Fault::HubReorder) {
                2_000
            } else {
                2
            };
            let delay = MILLI * self.dice.between(1, spread);
            if self.strikes(Fault::HubDuplicate) {
                let again = MILLI * self.dice.between(1, 3_000);
                self.schedule(again, Happening::Hub(event.clone()));
            }
            let event = if self.strikes(Fault::HubGarbage) {
                garbage(event)
            } else {
                event
            };
            self.schedule(delay, Happening::Hub(event));
        }
    }

    /// Whether a message of the broker would reach us now.
    pub(super) fn hub_carries(&self, event: &UserEvent) -> bool {
        let account = match event {
            UserEvent::Order(row) => row.account_id,
            UserEvent::Trade(row) => Some(row.account_id),
            UserEvent::Position(row) => Some(row.account_id),
            UserEvent::Account(_) | UserEvent::Logout => None,
        };
        let follows = |id: AccountId| self.followed.contains(&id);
        self.is_hub_up && self.hub_deaf_until <= self.now && account.is_none_or(follows)
    }
}

/// A row that says less than it should: a status nobody knows, and fields left out.
fn garbage(event: UserEvent) -> UserEvent {
    match event {
        UserEvent::Order(mut row) => {
            row.status = OrderStatus::Other(42);
            (row.kind, row.size, row.filled, row.side) = (None, None, None, None);
            UserEvent::Order(row)
        }
        other => other,
    }
}

/// Broker time, which drifts against our clock and jumps over our sleep.
#[derive(Clone, Copy, Debug)]
pub struct BrokerClock {
    pub start: i64,
    pub drift_ppm: i64,
    pub slept: u64,
}

impl BrokerClock {
    pub fn at(self, mono: Mono) -> Nanos {
        let passed = mono.0 as i64;
        Nanos(self.start + passed + passed / 1_000_000 * self.drift_ppm + self.slept as i64)
    }

    /// Draws the drift of a life.
    pub fn draw(start: i64, dice: &mut Dice, drifts: bool) -> Self {
        let drift_ppm = if drifts {
            dice.between(0, 1_000) as i64 - 500
        } else {
            0
        };
        Self {
            start,
            drift_ppm,
            slept: 0,
        }
    }
}

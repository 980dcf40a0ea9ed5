//! What can go wrong, by name, and how often it may in one life.

/// One kind of trouble. The first block strikes requests and messages at a rate, the second comes at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    LoseRequest,
    LoseResponse,
    SlowNetwork,
    LateRequest,
    DuplicateDelivery,
    ConnectionRefused,
    TooManyRequests,
    TokenExpired,
    ErrorBeforeAccept,
    ErrorAfterAccept,
    PendingCode,
    CutBody,
    HtmlBody,
    HubDuplicate,
    HubReorder,
    HubLoss,
    HubGarbage,
    PartialFill,
    FillDuringChange,
    LateReject,
    MissingLegs,
    BothLegsFill,
    StuckCancel,
    SlowDisk,
    HubDrop,
    HubHalfOpen,
    MarketDrop,
    RestDown,
    VoidTrade,
    ExternalOrder,
    AccountLock,
    WrongBracketMode,
    WallStep,
    ClockDrift,
    Sleep,
    Crash,
    CrashAtEffect,
    CrashLoop,
    PowerCut,
    TornTail,
    BitFlip,
    AppendError,
    DiskFull,
}

/// Kind, its name in reports, and its highest rate (permille of the occasions, or of the moments of a life).
const TABLE: [(Fault, &str, u64); 43] = [
    (Fault::LoseRequest, "lose_request", 200),
    (Fault::LoseResponse, "lose_response", 200),
    (Fault::SlowNetwork, "slow_network", 400),
    (Fault::LateRequest, "late_request", 100),
    (Fault::DuplicateDelivery, "duplicate_delivery", 50),
    (Fault::ConnectionRefused, "connection_refused", 100),
    (Fault::TooManyRequests, "too_many_requests", 100),
    (Fault::TokenExpired, "token_expired", 20),
    (Fault::ErrorBeforeAccept, "error_before_accept", 100),
    (Fault::ErrorAfterAccept, "error_after_accept", 100),
    (Fault::PendingCode, "pending_code", 50),
    (Fault::CutBody, "cut_body", 20),
    (Fault::HtmlBody, "html_body", 10),
    (Fault::HubDuplicate, "hub_duplicate", 200),
    (Fault::HubReorder, "hub_reorder", 500),
    (Fault::HubLoss, "hub_loss", 50),
    (Fault::HubGarbage, "hub_garbage", 10),
    (Fault::PartialFill, "partial_fill", 500),
    (Fault::FillDuringChange, "fill_during_change", 300),
    (Fault::LateReject, "late_reject", 50),
    (Fault::MissingLegs, "missing_legs", 200),
    (Fault::BothLegsFill, "both_legs_fill", 300),
    (Fault::StuckCancel, "stuck_cancel", 200),
    (Fault::SlowDisk, "slow_disk", 50),
    (Fault::HubDrop, "hub_drop", 60),
    (Fault::HubHalfOpen, "hub_half_open", 30),
    (Fault::MarketDrop, "market_drop", 30),
    (Fault::RestDown, "rest_down", 30),
    (Fault::VoidTrade, "void_trade", 30),
    (Fault::ExternalOrder, "external_order", 60),
    (Fault::AccountLock, "account_lock", 20),
    (Fault::WrongBracketMode, "wrong_bracket_mode", 20),
    (Fault::WallStep, "wall_step", 20),
    (Fault::ClockDrift, "clock_drift", 1_000),
    (Fault::Sleep, "sleep", 20),
    (Fault::Crash, "crash", 60),
    (Fault::CrashAtEffect, "crash_at_effect", 60),
    (Fault::CrashLoop, "crash_loop", 20),
    (Fault::PowerCut, "power_cut", 40),
    (Fault::TornTail, "torn_tail", 40),
    (Fault::BitFlip, "bit_flip", 10),
    (Fault::AppendError, "append_error", 20),
    (Fault::DiskFull, "disk_full", 20),
];

impl Fault {
    pub const COUNT: usize = TABLE.len();

    /// The kinds that come at a moment, as acts of a plan.
    pub const TIMED: std::ops::Range<usize> = Fault::HubDrop as usize..Self::COUNT;

    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    pub fn rate_max(self) -> u64 {
        TABLE[self as usize].2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_every_kind_at_its_own_place() {
        for (at, fault) in Fault::all().enumerate() {
            assert_eq!(at, fault as usize, "{fault:?}");
        }
    }
}

//! Whether an account takes native brackets: stated by the trader or proven by an answer, never guessed (decision 16).

use serde::{Deserialize, Serialize};

use super::book::LegRecord;
use crate::engine::views::{DoneOutcome, NoticeLevel};
use crate::order_execution::record::{End, Record};
use crate::order_execution::trading::Trading;
use crate::types::{AccountId, RequestId};

/// The broker's bracket setting of an account. It can be read nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BracketMode {
    #[default]
    Unknown,
    AutoOco,
    PositionBrackets,
}

impl BracketMode {
    /// The word on the seam.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::AutoOco => "auto_oco",
            Self::PositionBrackets => "position_brackets",
        }
    }

    /// Reads the seam's word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Unknown, Self::AutoOco, Self::PositionBrackets]
            .into_iter()
            .find(|mode| mode.word() == word)
    }
}

/// Whether a refusal says that the account does not take native brackets.
pub fn is_mode_refusal(text: &str) -> bool {
    text.contains("Position Brackets") && text.contains("Auto OCO")
}

impl Trading {
    pub(in crate::order_execution) fn set_bracket_mode(
        &mut self,
        request: RequestId,
        account: AccountId,
        mode: BracketMode,
    ) {
        if !self.accounts.contains_key(&account) {
            let text = format!("Account {account} is not one of this login.");
            self.done(request, DoneOutcome::Failed, text);
            return;
        }
        self.note_mode(account, mode, "stated");
        self.done(
            request,
            DoneOutcome::Done,
            format!("Bracket mode: {}.", mode.word()),
        );
    }

    /// The answer to an entry with native legs proves the mode, one way or the other. A refusal stops there: own legs
    /// would be a second order for one decision, so they need a new press.
    pub(in crate::order_execution) fn learn_mode(&mut self, tag: &str, end: End, text: &str) {
        let Some(bracket) = self.store.legs.bracket(tag) else {
            return;
        };
        if bracket.plan.holder != super::Holder::Broker {
            return;
        }
        let Some(index) = self.store.order(tag) else {
            return;
        };
        let account = self.store.orders[index].account;
        match end {
            End::Accepted => self.note_mode(account, BracketMode::AutoOco, "accepted"),
            End::Refused if is_mode_refusal(text) => {
                self.note_mode(account, BracketMode::PositionBrackets, "refused");
                let text = format!(
                    "Account {account} is in Position Brackets mode: the broker refused the bracket and nothing was placed. \
                     Enable Auto OCO Brackets there, or choose legs held by this computer."
                );
                self.notice(NoticeLevel::Alarm, "bracket_mode", text);
            }
            End::Refused | End::NotSent | End::Unknown => {}
        }
    }

    fn note_mode(&mut self, account: AccountId, mode: BracketMode, why: &str) {
        let record = LegRecord::Mode {
            account: account.0,
            mode,
            why: why.to_owned(),
            at: self.now_ns().0,
        };
        if self.record(&Record::Legs(record)).1.is_changed {
            self.dirty.is_account_list = true;
            self.dirty.accounts.insert(account);
        }
    }
}

//! Calls from outside: which target a token belongs to, and a look for every call and for every call that is overdue. Owns the
//! index of tokens. What a call means is the business of the kind `push`, when looks are taken that of the step.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::board::Board;
use model::target::TargetId;
use model::time::{Clock, Mono};
use probe::push::{Inbox, MAX_TOKEN_BYTES, token_of};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::input::Command;
use crate::shell::Ask;

/// How soon a look is asked for again while a call was not seen by one: the look before may have read too early.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Longest sleep while nothing is due.
const IDLE: Duration = Duration::from_secs(60);
/// How much later than its time a call is looked for: a call in that very moment is in time.
const JUST_AFTER: Duration = Duration::from_millis(2);

/// Whose token is it?
pub(crate) struct Pushes {
    pub(crate) inbox: Arc<Inbox>,
    index: Mutex<Index>,
}

/// Targets by the hash of their tokens. A look-up by hash takes no time from which a token could be guessed.
#[derive(Default)]
struct Index {
    /// Hash of the configuration that the index was made of.
    made_of: Option<String>,
    by_hash: HashMap<[u8; 32], TargetId>,
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Pushes {
    pub(crate) fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox, index: Mutex::default() }
    }

    /// The target with this token on the board.
    pub(crate) fn find(&self, board: &Board, token: &str) -> Option<TargetId> {
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.made_of.as_ref() != Some(&board.config_hash) {
            let tokens = board.targets.iter().filter(|t| t.spec.enabled);
            let tokens = tokens.filter_map(|t| Some((digest(token_of(&t.spec)?.expose()), t.spec.id.clone())));
            index.by_hash = tokens.collect();
            index.made_of = Some(board.config_hash.clone());
            self.inbox.retain(|id| board.get(id).is_some());
        }
        index.by_hash.get(&digest(token)).cloned()
    }
}

/// Asks for looks: at once when a call came, and when one is overdue. Ends when `cancelled`, or with the engine.
pub(crate) async fn courier(
    inbox: Arc<Inbox>,
    asks: mpsc::Sender<Ask>,
    clock: Arc<dyn Clock>,
    cancelled: CancellationToken,
) {
    loop {
        let now = clock.mono();
        let (due, next) = inbox.due(now);
        for target in due {
            // Nobody waits for the answer: whether a look has seen the call, the inbox knows.
            let ask = Ask::Command(Command::TestNow(target), oneshot::channel().0);
            if asks.send(ask).await.is_err() {
                return;
            }
        }
        let until = |at: Mono| at.0.saturating_sub(now.0).saturating_add(JUST_AFTER).min(IDLE);
        let sleep = if inbox.is_unseen() { ASK_AGAIN } else { next.map_or(IDLE, until) };
        tokio::select! {
            () = cancelled.cancelled() => return,
            () = inbox.stirred() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

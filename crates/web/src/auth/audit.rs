//! The trace of changes: who did what to what. Never holds a secret: only names of keys, never their values.

use model::time::UtcMs;
use store::{AuditRow, Store};

/// Most bytes of one field of a row.
const MAX_BYTES: usize = 300;

/// Writes one row, on the disk before it returns. What was done is done: when the history cannot be written, the log of
/// the program has the row, and nobody is told that the change failed.
pub async fn note(store: &Store, at: UtcMs, actor: &str, action: &str, subject: &str, detail: &str) {
    let row = AuditRow {
        at,
        actor: cut(actor),
        action: action.to_owned(),
        subject: cut(subject),
        detail: cut(&crate::masks::hide_in_words(detail)),
    };
    tracing::info!(actor = %row.actor, action, subject = %row.subject, detail = %row.detail, "changed by a user");
    let store = store.clone();
    let written = super::docs::off_loop(move || Ok(store.append_audit(row)?)).await;
    if let Err(error) = written {
        tracing::warn!("a row of the audit log could not be written: {error}");
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_short_and_of_one_line() {
        assert_eq!(cut("a\nb"), "a b");
        assert_eq!(cut(&"ä".repeat(400)).len(), 300);
    }
}

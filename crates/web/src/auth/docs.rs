//! Documents of the store as typed values: the shelf on which users, sessions and tokens lie. Knows nothing of them.
//! Everything here blocks; callers inside the server go through `spawn_blocking`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use store::Store;

use crate::error::{ApiError, ApiResult};

/// Name space of users, by name in lower case.
pub(crate) const USERS: &str = "users";
/// Name space of tokens, by id.
pub(crate) const TOKENS: &str = "tokens";
/// When tokens were last used, by id. Apart from the tokens, so that noting a use never brings a revoked one back.
pub(crate) const TOKENS_USED: &str = "tokens.used";
/// Name space of sessions, by the hash of their secret.
pub(crate) const SESSIONS: &str = "sessions";
/// When sessions were last used, for the same reason apart.
pub(crate) const SESSIONS_USED: &str = "sessions.used";

/// Everything in a name space. A document that cannot be read is left out and named in the log: it grants nothing.
pub(crate) fn load<T: DeserializeOwned>(store: &Store, space: &'static str) -> ApiResult<BTreeMap<String, T>> {
    let parse = |(key, text): (String, String)| match serde_json::from_str(&text) {
        Ok(value) => Some((key, value)),
        Err(_) => {
            tracing::warn!(space, "a stored document could not be read and is ignored");
            None
        }
    };
    Ok(store.list_docs(space)?.into_iter().filter_map(parse).collect())
}

/// Writes one document; on the disk before it returns.
pub(crate) fn put<T: Serialize>(store: &Store, space: &'static str, key: &str, value: &T) -> ApiResult<()> {
    let text = serde_json::to_string(value).map_err(|e| ApiError::internal(format!("a document: {e}")))?;
    Ok(store.put_doc(space, key, &text)?)
}

/// Notes a time some time soon; a failure is logged and nothing else.
pub(crate) fn note_later(store: &Store, space: &'static str, key: &str, at: i64) {
    let (store, key) = (store.clone(), key.to_owned());
    // Nobody waits for it: a time of last use that is lost hurts nobody.
    let _detached = tokio::task::spawn_blocking(move || {
        if let Err(error) = put(&store, space, &key, &at) {
            tracing::debug!(space, ?error, "a time of last use could not be noted");
        }
    });
}

/// Runs a blocking piece of work off the event loop.
pub(crate) async fn off_loop<T: Send + 'static>(f: impl FnOnce() -> ApiResult<T> + Send + 'static) -> ApiResult<T> {
    tokio::task::spawn_blocking(f).await?
}

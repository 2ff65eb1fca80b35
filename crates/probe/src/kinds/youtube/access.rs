//! Who asks: an API key, an access token, or a refresh token that is turned into access tokens. Owns the renewal (RFC 6749
//! section 6) and how long a token is used; knows nothing of what is asked.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use model::address::Address;
use model::conf::{Problem, Section};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::Reading;
use model::secret::Secret;
use net::attempt::Attempt;
use net::http::{HeaderName, HeaderValue, Method};
use net::trust::TlsOptions;
use serde_json::Value;
use tokio::time::Instant;

use crate::api;
use crate::kinds::http::fetch::Ask;

const AUTHORIZATION: HeaderName = HeaderName::from_static("authorization");
const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");
/// The key travels in a header and in no address.
const API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// A token is renewed this long before it ends: looks take time, clocks differ.
const RENEW_BEFORE: Duration = Duration::from_secs(60);
/// How long a token is used that does not say when it ends; they last for an hour.
const LIFETIME: Duration = Duration::from_secs(3_000);
/// Longest lifetime that is believed.
const MAX_LIFETIME: Duration = Duration::from_secs(86_400);

/// Who asks.
pub(super) enum Access {
    /// Anybody: what is public.
    Key(Secret),
    /// The owner, for as long as the token lasts.
    Token(Secret),
    /// The owner.
    Refresh {
        client_id: String,
        client_secret: Secret,
        refresh_token: Secret,
        /// The access token in use and when it is renewed.
        current: Mutex<Option<(Secret, Instant)>>,
    },
}

impl Access {
    /// Reads the keys of the configuration; the one that can do most is used.
    pub(super) fn read(options: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let given = |key| options.secret(key).filter(|secret| !secret.is_empty());
        if let Some(refresh_token) = given("refresh_token") {
            let client_id = options.text("client_id").filter(|text| !text.is_empty());
            let (Some(client_id), Some(client_secret)) = (client_id, given("client_secret")) else {
                let words = "refresh_token needs client_id and client_secret";
                let problem = Problem::new(options.place_of("refresh_token"), options.path_of("refresh_token"), words);
                problems.push(problem.with_remedy("they are those of the OAuth client that the token was made for"));
                return None;
            };
            return Some(Self::Refresh { client_id, client_secret, refresh_token, current: Mutex::default() });
        }
        let access = given("access_token").map(Self::Token).or_else(|| given("api_key").map(Self::Key));
        if access.is_none() {
            let problem = Problem::new(options.place(), options.path_of("api_key"), "api_key is missing");
            let remedy =
                "give an API key for what is public, or refresh_token, client_id and client_secret of the owner";
            problems.push(problem.with_remedy(remedy));
        }
        access
    }

    /// Whether it is the owner who asks: only they are told what YouTube receives.
    pub(super) fn is_owner(&self) -> bool {
        !matches!(self, Self::Key(_))
    }

    /// Whose quota is used.
    pub(super) fn account(&self) -> &Secret {
        match self {
            Self::Key(secret) | Self::Token(secret) => secret,
            Self::Refresh { refresh_token, .. } => refresh_token,
        }
    }

    /// The header that goes with a question, and the secret in it.
    pub(super) async fn header(
        &self,
        at: &mut Attempt<'_>,
        tokens: &Address,
        tls: &TlsOptions,
        reading: &mut Reading,
    ) -> Result<((HeaderName, HeaderValue), Secret), Fault> {
        let (name, words, secret) = match self {
            Self::Key(key) => (API_KEY, key.expose().trim().to_owned(), key.clone()),
            Self::Token(token) => (AUTHORIZATION, format!("Bearer {}", token.expose().trim()), token.clone()),
            Self::Refresh { client_id, client_secret, refresh_token, current } => {
                let known = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let token = match known.filter(|(_, until)| *until > Instant::now()) {
                    Some((token, _)) => token,
                    None => {
                        let form = url::form_urlencoded::Serializer::new(String::new())
                            .append_pair("grant_type", "refresh_token")
                            .append_pair("client_id", client_id)
                            .append_pair("client_secret", client_secret.expose())
                            .append_pair("refresh_token", refresh_token.expose())
                            .finish();
                        let (token, until) = renew(at, tokens, form.into(), tls, reading).await?;
                        *current.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), until));
                        token
                    }
                };
                (AUTHORIZATION, format!("Bearer {}", token.expose()), token)
            }
        };
        let mut value = HeaderValue::from_str(&words).map_err(|_| {
            let words = "the key or token holds letters that no header can carry";
            Fault::new(FaultKind::AuthRequired, Phase::FirstByte, words)
        })?;
        value.set_sensitive(true);
        Ok(((name, value), secret))
    }

    /// Forgets the access token: it was refused.
    pub(super) fn forget(&self) {
        if let Self::Refresh { current, .. } = self {
            *current.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// Asks for a new access token; also tells when it is to be renewed.
async fn renew(
    at: &mut Attempt<'_>,
    tokens: &Address,
    form: Bytes,
    tls: &TlsOptions,
    reading: &mut Reading,
) -> Result<(Secret, Instant), Fault> {
    let headers = [(CONTENT_TYPE, FORM)];
    let ask = Ask {
        method: Method::POST,
        address: tokens,
        headers: &headers,
        body: Some(&form),
        tls,
        redirects: 0,
        accepts: &|status| status == 401,
    };
    let answer = api::ask(at, &ask, reading).await?;
    if let Some(fault) = answer.fault {
        let error = answer.value.as_ref().and_then(|value| api::text(value, "error"));
        return Err(match (answer.status, error) {
            (400 | 401, Some(error)) => {
                let words = format!("YouTube refuses to renew the access (status {}: {error})", answer.status);
                Fault::new(FaultKind::AuthRequired, Phase::FirstByte, words)
            }
            _ => Fault { detail: format!("while renewing the access: {}", fault.detail), ..fault },
        });
    }
    let value = answer.value.unwrap_or_default();
    let token = value.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Fault::protocol(Phase::Check, "the renewal of the access brings no token"))?;
    let lasts = api::count(&value, "expires_in").map_or(LIFETIME, Duration::from_secs).min(MAX_LIFETIME);
    Ok((Secret::new(token), Instant::now() + lasts.saturating_sub(RENEW_BEFORE)))
}

//! User name and password towards an RTSP server: which challenge is answered, how often, and when to give up. Opens
//! nothing and shows no secret.

use model::address::Credentials;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use wire::auth::{self, Challenge};
use wire::rtsp::Response;

use crate::kind::client_nonce;

/// What is known about signing in on one connection.
pub(super) struct Auth {
    credentials: Option<Credentials>,
    challenge: Option<Challenge>,
    nonce: String,
    count: u32,
}

/// How one request fared with its challenges.
#[derive(Default)]
pub(super) struct Tries {
    /// The request was sent with an answer to a challenge that came with its own 401.
    answered: bool,
    /// The server called a nonce of ours too old, once.
    stale: bool,
}

impl Auth {
    pub(super) fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, challenge: None, nonce: String::new(), count: 0 }
    }

    /// The value of `Authorization` for the next request; `None` while nothing was asked for.
    pub(super) fn header(&mut self, method: &str, uri: &str) -> Option<String> {
        let (challenge, known) = (self.challenge.as_ref()?, self.credentials.as_ref()?);
        self.count += 1;
        Some(auth::respond(challenge, &known.user, known.password.expose(), method, uri, self.count, &self.nonce))
    }

    /// Takes the challenge of a 401 so that the request may be sent once more.
    ///
    /// A challenge is answered once per request; once more when the server says that only the nonce was too old. A
    /// request that went out with the answer to an earlier challenge gets its own answer (the nonce changed meanwhile).
    pub(super) fn challenged(&mut self, phase: Phase, reply: &Response, tries: &mut Tries) -> Result<(), Fault> {
        let refused = |detail: String| Fault::new(FaultKind::AuthRequired, phase, detail);
        let offered = auth::parse(reply.headers.get_all("WWW-Authenticate"));
        let Some(challenge) = auth::pick(&offered.usable) else {
            let why: Vec<_> = offered.refused.iter().map(|r| format!("{}: {}", r.scheme, r.why)).collect();
            return Err(refused(match why.as_slice() {
                [] => format!("the server answers {} and does not say how to sign in", reply.status),
                _ => format!("the server offers no way to sign in that is supported ({})", why.join("; ")),
            }));
        };
        if self.credentials.is_none() {
            let (scheme, realm) = (challenge.scheme(), challenge.realm());
            return Err(refused(format!(
                "the server asks for a user name and password ({scheme}, realm {realm:?}), none is configured"
            )));
        }
        if tries.answered && (tries.stale || !challenge.is_stale()) {
            return Err(refused(format!("the server refuses the user name or password ({})", challenge.scheme())));
        }
        tries.stale |= tries.answered;
        tries.answered = true;
        self.nonce = client_nonce(phase)?;
        self.count = 0;
        self.challenge = Some(challenge.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::secret::Secret;

    fn reply(challenge: &str) -> Response {
        let mut reply = Response::new(401, "Unauthorized");
        if !challenge.is_empty() {
            reply.headers.push("WWW-Authenticate", challenge);
        }
        reply
    }

    fn known() -> Auth {
        Auth::new(Some(Credentials { user: "viewer".into(), password: Secret::new("s3cret") }))
    }

    const FRESH: &str = r#"Digest realm="r", nonce="n1""#;
    const STALE: &str = r#"Digest realm="r", nonce="n2", stale=TRUE"#;

    /// Feeds 401s to one request and tells how many were answered before giving up.
    fn answered(auth: &mut Auth, challenges: &[&str]) -> (usize, Option<FaultKind>) {
        let mut tries = Tries::default();
        for (i, challenge) in challenges.iter().enumerate() {
            if let Err(fault) = auth.challenged(Phase::Describe, &reply(challenge), &mut tries) {
                return (i, Some(fault.kind));
            }
        }
        (challenges.len(), None)
    }

    #[test]
    fn a_challenge_is_answered_once_and_a_stale_nonce_once_more() {
        let refused = Some(FaultKind::AuthRequired);
        assert_eq!(answered(&mut known(), &[FRESH]), (1, None));
        assert_eq!(answered(&mut known(), &[FRESH, FRESH]), (1, refused));
        assert_eq!(answered(&mut known(), &[FRESH, STALE]), (2, None));
        assert_eq!(answered(&mut known(), &[FRESH, STALE, STALE]), (2, refused));
        assert_eq!(answered(&mut known(), &[FRESH, STALE, FRESH]), (2, refused));
        assert_eq!(answered(&mut Auth::new(None), &[FRESH]), (0, refused));
        assert_eq!(answered(&mut known(), &[""]), (0, refused));
        assert_eq!(answered(&mut known(), &["NTLM"]), (0, refused));
    }

    #[test]
    fn a_nonce_that_changes_between_requests_is_answered_anew() {
        let mut auth = known();
        assert_eq!(answered(&mut auth, &[FRESH]), (1, None));
        let first = auth.header("SETUP", "rtsp://h/1").expect("signed in");
        assert_eq!(answered(&mut auth, &[r#"Digest realm="r", nonce="n9""#]), (1, None));
        let second = auth.header("SETUP", "rtsp://h/1").expect("signed in");
        assert!(first.contains("n1") && second.contains("n9"), "{first} {second}");
        assert!(!second.contains("s3cret"));
    }

    #[test]
    fn nothing_is_sent_before_it_is_asked_for() {
        assert_eq!(known().header("DESCRIBE", "rtsp://h/"), None);
    }
}

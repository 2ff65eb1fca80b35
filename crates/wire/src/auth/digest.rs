//! Answers to challenges: the value of the `Authorization` field.
//!
//! Never remembers anything: the nonce count and the client nonce are the caller's.

use base64::Engine as _;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::{Algorithm, Challenge, Digest};
use crate::text::to_hex;

/// The value of `Authorization` for a request of `method` to `uri`.
///
/// `nonce_count` is 1 for the first answer to a nonce and grows by one with each request; `cnonce` is random text of
/// the caller's. Both are unused by Basic and by the old Digest without `qop`.
#[must_use]
pub fn respond(
    challenge: &Challenge,
    user: &str,
    password: &str,
    method: &str,
    uri: &str,
    nonce_count: u32,
    cnonce: &str,
) -> String {
    match challenge {
        Challenge::Basic { .. } => {
            let credentials = format!("{user}:{password}");
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials))
        }
        Challenge::Digest(digest) => {
            let response = response(digest, user, password, method, uri, nonce_count, cnonce);
            write(digest, user, uri, nonce_count, cnonce, &response)
        }
    }
}

fn response(
    digest: &Digest,
    user: &str,
    password: &str,
    method: &str,
    uri: &str,
    nonce_count: u32,
    cnonce: &str,
) -> String {
    let hash = |parts: &[&str]| hash(digest.algorithm, parts);
    let nonce = digest.nonce.as_str();
    let mut secret = hash(&[user, &digest.realm, password]);
    if digest.algorithm.is_session() {
        secret = hash(&[&secret, nonce, cnonce]);
    }
    let request = hash(&[method, uri]);
    if digest.qop_auth {
        hash(&[&secret, nonce, &format!("{nonce_count:08x}"), cnonce, "auth", &request])
    } else {
        hash(&[&secret, nonce, &request])
    }
}

/// Hexadecimal hash of the parts joined by colons.
fn hash(algorithm: Algorithm, parts: &[&str]) -> String {
    let text = parts.join(":");
    if algorithm.is_sha256() { to_hex(&Sha256::digest(text)) } else { to_hex(&Md5::digest(text)) }
}

fn write(digest: &Digest, user: &str, uri: &str, nonce_count: u32, cnonce: &str, response: &str) -> String {
    let mut answer = String::with_capacity(320);
    answer.push_str("Digest ");
    if digest.utf8 && !user.is_ascii() {
        // RFC 7616, 3.4: the extended notation for what does not fit a quoted string.
        answer.push_str("username*=UTF-8''");
        for octet in user.bytes() {
            if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
                answer.push(char::from(octet));
            } else {
                answer.push_str(&format!("%{octet:02X}"));
            }
        }
    } else {
        push_quoted(&mut answer, "username", user);
    }
    for (name, value) in
        [("realm", digest.realm.as_str()), ("nonce", &digest.nonce), ("uri", uri), ("response", response)]
    {
        answer.push_str(", ");
        push_quoted(&mut answer, name, value);
    }
    if let Some(word) = &digest.algorithm_word {
        answer.push_str(", algorithm=");
        answer.push_str(word);
    }
    if let Some(opaque) = &digest.opaque {
        answer.push_str(", ");
        push_quoted(&mut answer, "opaque", opaque);
    }
    if digest.qop_auth {
        answer.push_str(&format!(", qop=auth, nc={nonce_count:08x}"));
    }
    if digest.qop_auth || digest.algorithm.is_session() {
        answer.push_str(", ");
        push_quoted(&mut answer, "cnonce", cnonce);
    }
    answer
}

fn push_quoted(answer: &mut String, name: &str, value: &str) {
    answer.push_str(name);
    answer.push_str("=\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => answer.extend(['\\', character]),
            '\r' | '\n' | '\0' => answer.push(' '),
            _ => answer.push(character),
        }
    }
    answer.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::{parse, pick};
    use super::*;

    struct Case {
        challenge: &'static str,
        user: &'static str,
        password: &'static str,
        method: &'static str,
        uri: &'static str,
        cnonce: &'static str,
        answer: &'static str,
    }

    fn check(case: &Case) {
        let challenges = parse([case.challenge]);
        let challenge = pick(&challenges.usable).expect("the case has a usable challenge");
        let answer = respond(challenge, case.user, case.password, case.method, case.uri, 1, case.cnonce);
        assert_eq!(answer, case.answer, "{}", case.challenge);
    }

    /// RFC 7616, section 3.9.1: both hashes.
    #[test]
    fn vectors_of_rfc_7616() {
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        check(&Case {
            challenge: "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=MD5, \
                        nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                        opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
            user: "Mufasa",
            password: "Circle of Life",
            method: "GET",
            uri: "/dir/index.html",
            cnonce,
            answer: "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
                     nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", \
                     response=\"8ca523f5e9506fed4657c9700eebdbec\", algorithm=MD5, \
                     opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", qop=auth, nc=00000001, \
                     cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\"",
        });
        check(&Case {
            challenge: "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
                        nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                        opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
            user: "Mufasa",
            password: "Circle of Life",
            method: "GET",
            uri: "/dir/index.html",
            cnonce,
            answer: "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
                     nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", \
                     response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", algorithm=SHA-256, \
                     opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", qop=auth, nc=00000001, \
                     cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\"",
        });
    }

    /// RFC 2617, section 3.5, answered with and without `qop`; the latter is the form of RFC 2069.
    #[test]
    fn older_digests() {
        check(&Case {
            challenge: "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", qop=auth",
            user: "Mufasa",
            password: "Circle Of Life",
            method: "GET",
            uri: "/dir/index.html",
            cnonce: "0a4f113b",
            answer: "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
                     nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", \
                     response=\"6629fae49393a05397450978507c4ef1\", qop=auth, nc=00000001, cnonce=\"0a4f113b\"",
        });
        check(&Case {
            challenge: "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"",
            user: "Mufasa",
            password: "CircleOfLife",
            method: "GET",
            uri: "/dir/index.html",
            cnonce: "unused",
            answer: "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
                     nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", \
                     response=\"1949323746fe6a43ef61f9606e7febea\"",
        });
    }

    #[test]
    fn basic() {
        check(&Case {
            challenge: "Basic realm=\"x\"",
            user: "Aladdin",
            password: "open sesame",
            method: "DESCRIBE",
            uri: "rtsp://cam/",
            cnonce: "",
            answer: "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        });
    }

    #[test]
    fn names_are_quoted_or_extended() {
        let answer = |challenge, user| {
            let challenges = parse([challenge]);
            respond(&challenges.usable[0], user, "", "PLAY", "*", 1, "c")
        };
        assert!(answer("Digest nonce=n", "a\"b\\c\r\n").starts_with("Digest username=\"a\\\"b\\\\c  \", "));
        assert!(answer("Digest nonce=n, charset=UTF-8", "Jäger").starts_with("Digest username*=UTF-8''J%C3%A4ger, "));
        assert!(answer("Digest nonce=n", "Jäger").starts_with("Digest username=\"Jäger\", "));
    }

    #[test]
    fn session_algorithms_send_their_cnonce() {
        let challenges = parse(["Digest realm=r, nonce=n, algorithm=MD5-sess"]);
        let answer = respond(&challenges.usable[0], "u", "p", "PLAY", "*", 1, "c");
        // Computed with another tool: md5(md5(md5("u:r:p") + ":n:c") + ":n:" + md5("PLAY:*")).
        assert!(answer.contains("response=\"40b0bd1e869b3382e96ce3b542c61e08\""), "{answer}");
        assert!(answer.ends_with("cnonce=\"c\""), "{answer}");
    }
}

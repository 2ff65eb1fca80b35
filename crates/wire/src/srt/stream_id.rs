//! Stream ids in the form of access control, `#!::key=value,...` (draft, appendix B). Owns reading them apart; a stream id in
//! any other form means what the server likes.

/// What a stream id in this form begins with.
const MARK: &str = "#!:";

/// Why a stream id in the form of access control is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Only flat lists of pairs are known.
    #[error("after #! it needs :: and pairs, as in #!::r=camera1,m=request")]
    NotPairs,
    /// A part without an equals sign.
    #[error("part {0} of it is no pair of key and value")]
    NoPair(usize),
}

/// The pairs of a stream id; none when it is in no such form. Keys of the draft are `u` user, `r` resource, `h` host, `s`
/// session, `t` type (stream, file, auth) and `m` mode (request, publish, bidirectional).
///
/// # Errors
/// When it begins in this form and does not go on so.
pub fn access_fields(stream_id: &str) -> Result<Option<Vec<(&str, &str)>>, AccessError> {
    let Some(rest) = stream_id.strip_prefix(MARK) else { return Ok(None) };
    let Some(list) = rest.strip_prefix(':') else { return Err(AccessError::NotPairs) };
    if list.is_empty() {
        return Err(AccessError::NotPairs);
    }
    let pairs = list.split(',').enumerate();
    let pairs = pairs.map(|(index, pair)| {
        pair.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or(AccessError::NoPair(index + 1))
    });
    pairs.collect::<Result<Vec<_>, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_apart() {
        assert_eq!(access_fields("live/cam"), Ok(None));
        assert_eq!(access_fields("#!::r=cam,m=request"), Ok(Some(vec![("r", "cam"), ("m", "request")])));
        assert_eq!(access_fields("#!::u=admin,r=a=b"), Ok(Some(vec![("u", "admin"), ("r", "a=b")])));
        for (text, expected) in [
            ("#!:r=cam", AccessError::NotPairs),
            ("#!::", AccessError::NotPairs),
            ("#!::r=cam,m", AccessError::NoPair(2)),
            ("#!::=x", AccessError::NoPair(1)),
        ] {
            assert_eq!(access_fields(text), Err(expected), "{text}");
        }
    }
}

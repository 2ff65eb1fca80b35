//! Fuzz body: logs of containers.

use super::pieces;
use crate::container_log::{Demux, MAX_PIECE_BYTES};

/// Logs of containers: cuts do not matter, and no piece exceeds its limit.
pub fn container_logs(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let terminal = first & 1 == 1;
    let read = |whole| {
        let (mut demux, mut seen) = (Demux::new(terminal), Vec::new());
        let mut take = |p: crate::container_log::Piece<'_>| {
            assert!(p.text.len() <= MAX_PIECE_BYTES && !p.text.contains(&b'\n'));
            seen.push((p.stderr, p.stamp.map(str::to_owned), p.text.to_vec(), p.whole));
        };
        let mut result = Ok(());
        for piece in pieces(bytes, whole) {
            result = demux.push(piece, &mut take);
            if result.is_err() {
                break;
            }
        }
        demux.finish(&mut take);
        (seen, result)
    };
    assert_eq!(read(true), read(false));
}

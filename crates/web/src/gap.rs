//! Questions to the engine that its handle does not answer by itself.

use engine::handle::Handle;

pub(crate) trait Gap {
    fn is_alive(&self) -> bool;
}

impl Gap for Handle {
    fn is_alive(&self) -> bool {
        self.board().has_changed().is_ok()
    }
}

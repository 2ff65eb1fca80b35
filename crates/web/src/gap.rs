//! Questions to the engine that its handle does not answer by itself.

use std::time::Duration;

use engine::handle::Handle;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::target::TargetId;
use probe::preview::Picture;
use tokio::sync::mpsc;

const LIMIT: Duration = Duration::from_secs(10);

pub(crate) trait Gap {
    fn is_alive(&self) -> bool;
    async fn snapshot(&self, id: &TargetId, max_age: Duration) -> Result<Picture, Fault>;
    async fn frames(&self, id: &TargetId, tx: mpsc::Sender<Picture>) -> Result<(), Fault>;
}

fn gone() -> Fault {
    Fault::new(FaultKind::NotFound, Phase::Check, "no such target")
}

impl Gap for Handle {
    fn is_alive(&self) -> bool {
        self.board().has_changed().is_ok()
    }

    async fn snapshot(&self, id: &TargetId, _max_age: Duration) -> Result<Picture, Fault> {
        let target = self.now().get(id).cloned().ok_or_else(gone)?;
        probe::preview::snapshot(&target.spec, &**self.clock(), LIMIT).await
    }

    async fn frames(&self, id: &TargetId, tx: mpsc::Sender<Picture>) -> Result<(), Fault> {
        let target = self.now().get(id).cloned().ok_or_else(gone)?;
        probe::preview::frames(&target.spec, &**self.clock(), LIMIT, tx).await
    }
}

//! Who runs services, and where: wiring of what `run` hands to the engine. Decides nothing.

use std::path::Path;
use std::sync::Arc;

use engine::Supervision;
use engine::units::Backends;
use model::time::Clock;
use net::task::Tasks;
use supervise::docker::{Docker, Places};
use supervise::process::Processes;

use super::guard::own_program;

/// Name of the folder beside the history in which every service has one.
const FOLDER: &str = "services";

/// Runs services behind this program once more, and containers by the engine of this machine. `None` where this program does not
/// know its own file: then nothing can be run.
pub(crate) fn supervision(
    database: &Path,
    config: &Path,
    clock: &Arc<dyn Clock>,
    tasks: &Tasks,
) -> Option<Supervision> {
    let Some(program) = own_program() else {
        tracing::error!("services cannot be run: this program does not find its own file");
        return None;
    };
    let beside = database.with_file_name(FOLDER);
    let folder = std::path::absolute(&beside).unwrap_or(beside);
    let places = Places::usual(config.parent().unwrap_or(Path::new(".")));
    let containers = Docker::new(folder.clone(), places, Arc::clone(clock), tasks.clone());
    let backends =
        Backends { processes: Arc::new(Processes::new(program, folder.clone())), containers: Arc::new(containers) };
    Some(Supervision { units: None, folder, backends, counter: None })
}

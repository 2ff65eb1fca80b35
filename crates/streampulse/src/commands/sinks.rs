//! Starts the sinks and gives each its part of the configuration as it changes. Owns no connection and no queue.

use std::sync::Arc;

use engine::Handle;
use engine::config::Config;
use net::task::Tasks;
use sink::registry::Registry;
use sink::{influx, mqtt};
use tokio::sync::watch;

/// Starts every sink. Each is there for as long as its section is in the configuration, and ends with `tasks`. Answers the
/// way to publish alerts by MQTT.
pub(crate) fn start(handle: &Handle, registry: &Registry, tasks: &Tasks) -> mqtt::Handle {
    let sources = influx::Sources {
        board: handle.board(),
        events: Box::new({
            let handle = handle.clone();
            move || handle.subscribe()
        }),
        scoring: Box::new({
            let settings = handle.settings();
            move || settings.borrow().score
        }),
        vitals: Box::new({
            let handle = handle.clone();
            move || Box::pin(vitals(handle.clone()))
        }),
        clock: Arc::clone(handle.clock()),
        registry: registry.clone(),
    };
    let settings = part(handle, tasks, influx::NAME, |config| config.influxdb.clone());
    tasks.spawn(influx::NAME, influx::keep(sources, settings, tasks.cancelled()));
    let feed = mqtt::Feed {
        settings: part(handle, tasks, mqtt::NAME, |config| config.mqtt.clone()),
        board: handle.board(),
        events: handle.subscribe(),
        status: Arc::new(web::compat::status_json),
        clock: Arc::clone(handle.clock()),
        registry: registry.clone(),
    };
    mqtt::start(feed, tasks)
}

/// One part of the configuration as it changes, and silent while only others do.
fn part<T: Clone + PartialEq + Send + Sync + 'static>(
    handle: &Handle,
    tasks: &Tasks,
    name: &str,
    of: impl Fn(&Config) -> T + Send + 'static,
) -> watch::Receiver<T> {
    let mut settings = handle.settings();
    let (sender, receiver) = watch::channel(of(&settings.borrow_and_update()));
    let stop = tasks.cancelled();
    tasks.spawn(format!("settings of {name}"), async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = settings.changed() => if changed.is_err() { return },
            }
            let now = of(&settings.borrow_and_update());
            sender.send_if_modified(|known| {
                let differs = *known != now;
                *known = now;
                differs
            });
        }
    });
    receiver
}

/// Figures of the engine and of the store.
async fn vitals(handle: Handle) -> influx::Vitals {
    let punctual = handle.punctuality().await.unwrap_or_default();
    let store = handle.store().health();
    influx::Vitals {
        rounds: punctual.rounds,
        rounds_missed: punctual.missed,
        late_median: punctual.quantile(0.5),
        late_p99: punctual.quantile(0.99),
        late_worst: punctual.worst,
        store_ok: store.ok,
        store_queue: store.queued as u64,
        store_lost_rows: store.lost_rows,
        store_bytes: store.size_bytes,
    }
}

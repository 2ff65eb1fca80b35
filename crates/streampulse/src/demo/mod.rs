//! Sample streams served from inside the process: good ones, and one for each common trouble. For `streampulse demo`.

pub(crate) mod picture;
pub(crate) mod servers;

use std::net::SocketAddr;

/// The configuration that watches the samples.
pub(crate) fn configuration(samples: &servers::Samples, listen: SocketAddr) -> String {
    let servers::Samples { site, refused } = samples;
    format!(
        r#"# StreamPulse demo: sample streams served from inside this process.
# Edit me, here or on the page: changes take effect at once. This folder is removed when the demo ends.
server:
  listen: "{listen}"
  login: false

defaults:
  interval: 5s
  timeout: 3s

targets:
  # Pictures really come, so this one is up.
  - name: Front gate
    url: http://{site}/cameras/front-gate.mjpg
    kind: mjpeg
    group: Cameras
    tags: [outside]
    frames: 2

  # Connects, promises pictures and never sends one: a check of the port alone would call it good.
  - name: Loading dock
    url: http://{site}/cameras/loading-dock.mjpg
    kind: mjpeg
    group: Cameras
    tags: [outside]

  # Works for half a minute, hangs for 20 seconds, and so on: watch its incidents come and go.
  - name: Car park
    url: http://{site}/cameras/car-park.mjpg
    kind: mjpeg
    group: Cameras
    tags: [outside]
    frames: 2

  # The password is wrong.
  - name: Server room
    url: http://viewer:wrong-password@{site}/cameras/server-room.mjpg
    kind: mjpeg
    group: Cameras
    tags: [inside]

  # Nobody listens on this port.
  - name: Warehouse
    url: tcp://{refused}
    group: Network

  - name: Status page
    url: http://{site}/status.html
    group: Network
    body_contains: All systems work

  # Answers, but slower than expected: degraded.
  - name: Archive search
    url: http://{site}/slow.html
    group: Network
    expect:
      warn_after: 300ms
"#
    )
}

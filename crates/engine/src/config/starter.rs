//! The commented file that a first start writes.

/// A commented starter file without targets; loads without problems.
#[must_use]
pub fn default_text() -> String {
    STARTER.to_owned()
}

const STARTER: &str = "\
# StreamPulse watches streams and says whether media really flows.
#
# This file is the truth: the dashboard edits it too, and keeps comments and order. A change takes effect within seconds;
# a file with a mistake changes nothing, and the dashboard shows what is wrong and where.
# Durations are words (500ms, 10s, 5m, 2h, 30d). ${NAME} and ${NAME:-default} take values from the environment, and $$
# stands for a dollar sign. Every key is explained in docs/reference/configuration.md.

# The zone in which times are shown, such as Europe/Zurich.
timezone: UTC

# server:
#   listen: 127.0.0.1:8000        # 0.0.0.0:8000 to be reachable from other machines
#   status_listen: 0.0.0.0:7000   # status without login, read only

# What every target has unless it says otherwise.
# defaults:
#   interval: 10s

# targets:
#   - name: Front door
#     url: rtsp://user:${CAMERA_PASSWORD}@192.0.2.10:554/stream1
#     group: Cameras
#     expect: {video: true, video_codec: h264, min_height: 720}
#   - name: Web page
#     url: https://example.org/
#     interval: 1m
targets: []
";

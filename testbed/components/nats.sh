# nats.sh: NATS with JetStream.
# shellcheck shell=bash

component nats packages=nats-server
start_nats() {
  run nats nats-server -a "$A" -p 14222 -m 18222 -js -sd "$S/nats"
  wait_tcp 14222
}

# hang.sh: a black hole: accepts every connection and never answers. Port 18599 stays closed: refused.
# shellcheck shell=bash

component hang kind=core packages=netcat-openbsd
start_hang() {
  run hang nc -lk -d "$A" 18598
  wait_tcp 18598
}

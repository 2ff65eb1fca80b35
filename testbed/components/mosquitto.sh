# mosquitto.sh: MQTT: anonymous, password, WebSocket, TLS, client certificate.
# shellcheck shell=bash

component mosquitto kind=core files=certs packages="mosquitto mosquitto-clients"
start_mosquitto() {
  local passwords=$S/conf/mosquitto.pw
  rm -f "$passwords"
  mosquitto_passwd -c -b "$passwords" viewer s3cret >>"$S/log/mosquitto.log" 2>&1
  chmod 600 "$passwords"
  run mosquitto mosquitto -c "$(render mosquitto.conf)"
  wait_tcp 11883 11884 19001 18883 18884 18885
}

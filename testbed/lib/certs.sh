# certs.sh: one private authority and the certificates that a TLS client must judge. Made once, kept in $S/ca.
#
#   server.pem   good for localhost and 127.0.0.1          expired.pem  same key, ended a day ago
#   soon.pem     same key, ends in five days               self.pem     signed by itself, for another name
#   client.pem   for servers that ask the client for one   ca.pem       what a client must trust
# shellcheck shell=bash

CERTS_DONE=.done3 # new name, new set: change it when the recipe changes

issue() { # REQUEST EXTENSIONS DAYS OUTPUT: signed by our authority
  openssl x509 -req -in "$1" -CA ca.pem -CAkey ca.key -CAcreateserial -extfile "$2" -days "$3" -out "$4"
}

write_certs() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=testbed CA" -keyout ca.key -out ca.pem &&
    printf 'subjectAltName=DNS:localhost,IP:%s\nextendedKeyUsage=serverAuth\n' "$A" >srv.ext &&
    printf 'extendedKeyUsage=clientAuth\n' >cli.ext &&
    openssl req -newkey rsa:2048 -nodes -subj "/CN=localhost" -keyout server.key -out server.csr &&
    issue server.csr srv.ext 825 server.pem &&
    issue server.csr srv.ext -1 expired.pem &&
    issue server.csr srv.ext 5 soon.pem &&
    openssl req -newkey rsa:2048 -nodes -subj "/CN=probe" -keyout client.key -out client.csr &&
    issue client.csr cli.ext 825 client.pem &&
    openssl req -x509 -newkey rsa:2048 -nodes -days 825 -subj "/CN=wrong.example" -keyout self.key -out self.pem &&
    chmod 644 ./* && touch "$CERTS_DONE" # servers that gave up root read the keys too: they guard nothing
}

make_certs() {
  mkdir -p "$S/ca"
  # soon.pem lives five days; past that it would be one more expired certificate. A new set under running servers would fit
  # none of them, so it waits until they are down.
  if [ -e "$S/ca/$CERTS_DONE" ] && { any_alive || openssl x509 -noout -checkend 86400 -in "$S/ca/soon.pem" >/dev/null 2>&1; }; then return 0; fi
  (cd "$S/ca" && write_certs) >>"$S/log/certs.log" 2>&1 </dev/null || die "certificates could not be made, see $S/log/certs.log"
}

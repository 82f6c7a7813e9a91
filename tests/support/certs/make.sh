#!/bin/sh
# Makes the certificates of the TLS tests: a CA, and three leaves of one key that differ in what is
# right about them. Valid for a hundred years, for nobody but the tests. Needs openssl.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }
key "$work/ca.key"
key leaf.key
openssl req -x509 -new -key "$work/ca.key" -subj "/CN=bifrost tests" -days 36500 -out ca.pem \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
touch "$work/index"
cat > "$work/ca.cnf" <<CONF
[ca]
default_ca = own
[own]
database = $work/index
new_certs_dir = $work
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
CONF
leaf() { # file, name, from, to
    openssl req -new -key leaf.key -subj "/CN=$2" -addext "subjectAltName=DNS:$2" -out "$work/leaf.csr"
    openssl ca -batch -notext -config "$work/ca.cnf" -keyfile "$work/ca.key" -cert ca.pem \
        -in "$work/leaf.csr" -startdate "$3" -enddate "$4" -out "$1" 2>/dev/null
}
leaf good.pem localhost 20250101000000Z 21250101000000Z
leaf wrong-name.pem elsewhere.example 20250101000000Z 21250101000000Z
leaf expired.pem localhost 20200101000000Z 20210101000000Z

#!/usr/bin/env bash
# The upgrade test with the real unit under a real systemd: process 1 of namespaces of its own, so that nothing of
# this machine is touched. Needs Linux, root and systemd.
#
#   tests/upgrade/systemd.sh TEST_BINARY     the sizes are set as for the test itself (UPGRADE_STREAMS and so on)
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
test=$(readlink -f "$1")
systemd=$(command -v /lib/systemd/systemd /usr/lib/systemd/systemd | head -1 || true)
if [ -z "$systemd" ] || [ "$(id -u)" != 0 ]; then
    echo "skipped: systemd and root are needed"
    exit 0
fi

process=
finish() {
    if [ -n "$process" ]; then
        # Process 1 of the namespaces: the rest goes with it.
        kill -KILL "$process" 2>/dev/null || true
    fi
}
trap finish EXIT

# The first words of process 1 there. The disk is read-only for everything that follows.
enter() {
    set -euo pipefail
    mount --make-rprivate /
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -p /run/etc/upper /run/etc/work /run/test
    cp "$test" /run/test/upgrade
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    mount -t tmpfs -o mode=755 tmpfs /usr/local/bin
    mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc
    mount -o remount,bind,ro /
    rm -rf /etc/systemd/system /etc/bifrost
    mkdir -p /etc/systemd/system/bifrost.service.d /etc/bifrost
    echo 'bifrost:x:64123:64123::/nonexistent:/usr/sbin/nologin' >>/etc/passwd
    echo 'bifrost:x:64123:' >>/etc/group
    umount -l /sys/fs/cgroup/* 2>/dev/null || true
    umount -l /sys/fs/cgroup 2>/dev/null || true
    mount -t cgroup2 none /sys/fs/cgroup
    cp "$here/deploy/systemd/bifrost.service" /etc/systemd/system/
    # Nothing of the machine's start: that would set up (and clean) places which are not the namespaces' own.
    for unit in sysinit.target basic.target tmp.mount systemd-remount-fs.service systemd-tmpfiles-setup.service \
        systemd-sysctl.service systemd-udevd.service systemd-journald.service; do
        ln -s /dev/null "/etc/systemd/system/$unit"
    done
    # There is no network to wait for, and no journal.
    printf '%s\n' '[Unit]' DefaultDependencies=no Wants= After= '[Service]' StandardOutput=null StandardError=append:/run/bifrost.log \
        >/etc/systemd/system/bifrost.service.d/test.conf
    printf '%s\n' '[Unit]' Description=Nothing DefaultDependencies=no >/etc/systemd/system/nothing.target
    exec env -i container=docker PATH="$PATH" "$systemd" --system --unit=nothing.target
}
export here test systemd
export -f enter

unshare --fork --kill-child --pid --mount --uts --ipc --cgroup --mount-proc bash -c enter &
for _ in $(seq 300); do
    process=$(pgrep -P $! || true)
    if [ -n "$process" ] && nsenter -t "$process" -a systemctl is-system-running >/dev/null 2>&1; then break; fi
    sleep 0.1
done
nsenter -t "$process" -a systemctl --version | head -1
variables=$(env | grep '^UPGRADE_' || true)
# shellcheck disable=SC2086
if ! nsenter -t "$process" -a env $variables UPGRADE_UNIT=bifrost.service /run/test/upgrade --nocapture --test-threads 1 \
    no_request_fails https_and_http_2; then
    nsenter -t "$process" -a systemctl --no-pager status bifrost.service || true
    nsenter -t "$process" -a sh -c 'grep -v request_id /run/bifrost.log | tail -40' || true
    exit 1
fi

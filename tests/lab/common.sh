# shellcheck shell=bash
# common.sh: what lab, host and keeper share.

# what a login in a lab host has
# shellcheck disable=SC2034
host_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# host_pid HOST: its pid 1 as seen from here. It owns all that runs in the host.
host_pid() { cat "$LAB_DIR/$1/pid"; }

# the number alone could have been given to another process since
host_alive() {
	local pid
	pid=$(host_pid "$1" 2>/dev/null) || return 1
	grep -qzxF "$LAB_DIR" "/proc/$pid/cmdline" 2>/dev/null
}

# stop_host HOST: kill its pid 1, and the kernel ends every process in it, then
# drops its mounts and its end of the wire.
stop_host() {
	local pid
	host_alive "$1" || return 0
	pid=$(host_pid "$1")
	kill -KILL "$pid"
	while [[ -d /proc/$pid ]]; do sleep 0.02; done
}

# shellcheck shell=bash
# Sourced by the scripts that install packages of Debian.

# as_root runs a command as root: as it is, or by a sudo that asks for nothing.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

# apt_install installs packages. Without root and without sudo it changes
# nothing, says what is missing and fails. RUNLEVEL keeps a package from starting
# a service of its own.
apt_install() {
	local name=${0##*/}
	if ! as_root true 2>/dev/null; then
		echo "$name: missing: $*" >&2
		echo "$name: as root run: apt-get install --no-install-recommends $*" >&2
		return 1
	fi
	echo "$name: installing $*" >&2
	as_root apt-get update -qq &&
		as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
			apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

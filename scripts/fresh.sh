#!/usr/bin/env bash
# Runs the README's commands on the machine that the README names: a Debian 12
# with nothing but the packages of its apt-get line, and Go. The last commit is
# cloned there; `make run` starts, each printed command is pasted and its answer
# checked; then `make test` runs. FRESH_TEST=0 skips `make test`.
#
# The machine is a folder made by debootstrap, so this needs root on Debian or a
# relative. It uses this machine's Go and its settings of package registries,
# but none of its packages or caches.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
	echo "fresh: $*" >&2
	exit 1
}

# The outer half: a folder, and a second run of this script in mount and process
# namespaces of its own. Whatever happens, mounts and processes end with them.
if [ "${1:-}" != inside ]; then
	[ "$(id -u)" -eq 0 ] || fail 'debootstrap and chroot need root'
	if ! command -v debootstrap >/dev/null; then
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=300 debootstrap >/dev/null
	fi
	dir=$(mktemp -d)
	namespaces=
	clean() {
		if [ -n "$namespaces" ] && kill -KILL "$namespaces" 2>/dev/null; then
			wait "$namespaces" 2>/dev/null || true
		fi
		# The last processes may still write while they are killed.
		rm -rf --one-file-system "$dir" 2>/dev/null || { sleep 2 && rm -rf --one-file-system "$dir"; }
	}
	trap clean EXIT
	trap 'exit 130' INT TERM HUP
	unshare --mount --pid --fork --kill-child "$0" inside "$dir" &
	namespaces=$!
	status=0
	wait "$namespaces" || status=$?
	namespaces=
	exit "$status"
fi

root=$2/debian
log=$2/run.log
mkdir "$root"

# settings prints NAME=VALUE of the environment for package managers: proxies,
# certificates, and what Go, pip and npm are told.
settings() {
	local name
	for name in GOPROXY GOSUMDB GONOSUMDB GONOPROXY GOPRIVATE GOFLAGS; do
		echo "$name=$(go env "$name")"
	done
	for name in $(compgen -e); do
		case $name in
		PIP_FIND_LINKS) ;; # a folder of this machine
		PIP_* | npm_config_* | NPM_CONFIG_* | *_PROXY | *_proxy | *_CA_* | *CERT*) echo "$name=${!name}" ;;
		esac
	done
}

# copy_settings copies the same from files, at the same places.
copy_settings() {
	local file
	for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/npmrc /usr/etc/npmrc \
		"$HOME/.npmrc" "$HOME/.pip/pip.conf" "$HOME/.config/pip/pip.conf" \
		/etc/ssl/certs/ca-certificates.crt $(settings | sed -n 's/^[^=]*=\(\/.*\)/\1/p'); do
		if [ -f "$file" ]; then
			install -D -m "$(stat -c %a "$file")" "$file" "$root${file/#$HOME//root}"
		fi
	done
}

# on_fresh runs a command line on the fresh machine, as root in its home.
mapfile -t environment < <(settings)
on_fresh() {
	env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "${environment[@]}" \
		PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		chroot "$root" bash -c "cd /root && $1"
}

# timed LABEL COMMAND... runs a command and prints how long it took.
timed() {
	local began=$SECONDS
	"${@:2}"
	printf 'fresh: %4d s  %s\n' $((SECONDS - began)) "$1"
}

install_debian() {
	local mirror
	mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
	debootstrap --variant=minbase bookworm "$root" ${mirror:+"$mirror"} >"$2/debootstrap.log" 2>&1 ||
		{ tail -n 20 "$2/debootstrap.log"; fail 'debootstrap failed'; }
	apt-config dump Acquire >"$root/etc/apt/apt.conf.d/90host"
	mount --rbind /dev "$root/dev"
	mount -t proc proc "$root/proc"
	mkdir "$root/usr/local/go"
	mount --bind -o ro "$(go env GOROOT)" "$root/usr/local/go"
}

# install_packages runs the README's own line.
install_packages() {
	local packages
	packages=$(sed -n 's/^    apt-get install \([a-z0-9 -]*[a-z0-9]\).*/\1/p' README.md)
	[ -n "$packages" ] || fail 'README.md has no line "    apt-get install …"'
	on_fresh "apt-get update -qq && apt-get install -y -qq $packages" >"$log" 2>&1 ||
		{ tail -n 20 "$log"; fail "apt-get install $packages"; }
	copy_settings
}

clone() {
	[ -z "$(git status --porcelain)" ] || echo 'fresh: uncommitted changes are not tested'
	git bundle create -q "$root/root/spillway.bundle" HEAD
	on_fresh 'git -c advice.detachedHead=false clone -q spillway.bundle spillway'
}

# await_run waits until `make run` has printed all that it prints.
await_run() {
	until grep -q '/readyz' "$log"; do
		kill -0 "$1" 2>/dev/null || { cat "$log"; fail '`make run` ended'; }
		sleep 0.2
	done
	grep -q 'first build' "$log" || { cat "$log"; fail '`make run` did not say that the first build takes minutes'; }
}

# printed N is the Nth command that `make run` printed: commands begin at a
# line's start with a program's name and end before an empty line or a comment.
printed() {
	awk -v n="$1" '
		/^(curl|python3) / && !inside { inside = 1; count++ }
		/^(#.*)?$/ && !heredoc { inside = 0 }
		inside && count == n { print }
		inside && /<</ { heredoc = 1 }
		inside && $0 == "EOF" { heredoc = 0 }
	' "$log"
}

# paste N TEXT... runs the Nth printed command as it is, and fails unless its
# output, which is left in $out, has each text.
paste() {
	local command text
	command=$(printed "$1")
	[ -n "$command" ] || { cat "$log"; fail "\`make run\` printed no command $1"; }
	out=$(on_fresh "cd spillway && $command" 2>&1) || fail "failed: $command"$'\n'"$out"
	for text in "${@:2}"; do
		[[ $out == *"$text"* ]] || fail "no \"$text\" in what this printed: $command"$'\n'"$out"
	done
}

# paste_all runs them all: the SDK gets what curl gets, because the demo fleet
# answers the same prompt in the same words.
paste_all() {
	local out content
	paste 1 'HTTP/1.1 200 OK' 'X-Spillway-Deployment: ptu-eastus' '"content":"'
	content=$(sed -n 's/.*"content":"\([^"]*\)".*/\1/p' <<<"$out")
	paste 2 "$content"
	paste 3 'HTTP/1.1 200 OK' 'X-Spillway-Truncated: deadline' '"finish_reason":"length"'
	paste 4
	paste 1 'HTTP/1.1 200 OK' 'X-Spillway-Deployment: std-'
	paste 5
	[ -z "$(printed 6)" ] || fail 'a printed command is not tested here'
}

stop_run() {
	kill -INT -- "-$1"
	wait "$1" || true
	if grep -q 'panic\|level=ERROR' "$log"; then
		cat "$log"
		fail '`make run` did not end well'
	fi
}

timed 'Debian 12 by debootstrap' install_debian "$@"
timed 'packages of the README' install_packages
timed 'git clone' clone
set -m # a process group for `make run`, as in a terminal
on_fresh 'cd spillway && exec make run' >"$log" 2>&1 </dev/null &
run=$!
set +m
timed '`make run` until it serves' await_run "$run"
timed 'the printed commands, pasted' paste_all
timed '`make run` until it has ended' stop_run "$run"
if [ "${FRESH_TEST:-1}" != 0 ]; then
	timed '`make test`' on_fresh 'cd spillway && make test' </dev/null
fi
echo 'fresh: passed'

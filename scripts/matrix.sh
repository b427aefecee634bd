#!/usr/bin/env bash
# Installs what `make matrix` tests, in .cache/matrix/: the frameworks of each
# language. Run scripts/setup.sh before. A second run changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

# pip_install PYTHON ARGS: pip of a virtual environment, which works where the
# system's own Python is managed by the distribution (PEP 668).
pip_install() {
	"$1" -m pip install --quiet --disable-pip-version-check --no-input "${@:2}"
}

# python: an environment for each version of openai-python that frameworks need,
# and the source of openai-python, with its own tests. The stamps are copies of
# what was installed.
python() {
	local name dir requirements
	for name in openai3 openai2; do
		dir=.cache/matrix/python/$name
		requirements=tests/clients/matrix/python/$name/requirements.txt
		if ! cmp -s "$requirements" "$dir/requirements.txt"; then
			echo "matrix: installing the Python frameworks, $name"
			rm -rf "$dir"
			python3 -m venv "$dir"
			pip_install "$dir/bin/python" -r "$requirements"
			cp "$requirements" "$dir/requirements.txt"
		fi
	done
	openai_python_source "$(grep '^openai==' tests/clients/matrix/python/openai3/requirements.txt)"
}

# openai_python_source RELEASE: unpacks its source package, of which pip would
# build a wheel if it were to download it with what it needs.
openai_python_source() {
	local dir=.cache/matrix/python/openai-python
	[ "$(cat "$dir/release" 2>/dev/null)" != "$1" ] || return 0
	echo "matrix: unpacking the tests of $1"
	rm -rf "$dir"
	mkdir -p "$dir"
	.cache/matrix/python/openai3/bin/python -m pip download --quiet --disable-pip-version-check --no-input \
		--no-deps --no-binary openai --dest "$dir" "$1"
	tar -xzf "$dir"/openai-*.tar.gz -C "$dir" --strip-components 1
	echo "$1" >"$dir/release"
}

for language in "${@:-python}"; do
	"$language"
done

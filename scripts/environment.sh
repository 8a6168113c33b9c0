# Make .venv hold this project with the named extras, and put it first on PATH.
# To be sourced, from anywhere, after `set -euo pipefail`:  source scripts/environment.sh EXTRA...
# Costs nothing when it was done before; starts anew when pyproject.toml has changed.

project="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$project/.venv"

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.11 python3.12 python3.13 python3.14 python; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    echo "Python 3.11 or newer is needed; name it with PYTHON=..." >&2
    return 1
}

make_venv() {
    local python
    python="$(find_python)"
    rm -rf "$venv"
    # Debian packs ensurepip apart from Python; any pip at hand can install into the environment as well.
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv "$venv"
    elif "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m venv --without-pip "$venv"
        "$python" -m pip --python "$venv/bin/python" install --quiet --disable-pip-version-check pip
    else
        echo "$python has neither ensurepip nor pip (on Debian: apt-get install python3-venv)" >&2
        return 1
    fi
}

install_extras() {
    local extras stamp
    extras="$(IFS=,; printf '%s' "$*")"
    stamp="$venv/installed-$extras"
    if ! { [ -x "$venv/bin/python" ] && "$venv/bin/python" -c '' 2>/dev/null; }; then
        make_venv
    fi
    if [ "$(cat "$stamp" 2>/dev/null)" != "$(cksum <"$project/pyproject.toml") $project" ]; then
        echo "installing into ${venv#"$PWD"/}: $extras" >&2
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
            --root-user-action=ignore --editable "$project[$extras]" </dev/null
        printf '%s\n' "$(cksum <"$project/pyproject.toml") $project" >"$stamp"
    fi
}

install_extras "$@"
export PATH="$venv/bin:$PATH" VIRTUAL_ENV="$venv"
unset PYTHONHOME
cd "$project"

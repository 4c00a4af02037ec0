# Sourced by bin/quickstart and bin/test: makes .venv with the tested versions.
# Usage: make_environment EXTRA, after a cd to the repository root.

make_environment() {
    local python=${PYTHON:-python3} wanted
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || {
        echo "tfp_priors needs Python 3.11 to 3.13; $python is $("$python" -V 2>&1)." \
            "Set PYTHON to another one." >&2
        exit 2
    }
    # An unfinished or outdated environment has no stamp that matches.
    wanted="$1 $(cat setup.py constraints.txt | cksum)"
    if [ "$(cat .venv/stamp 2>/dev/null)" != "$wanted" ]; then
        echo "Installing into .venv (about 2 GB on the disk)..."
        [ -x .venv/bin/python ] || "$python" -m venv .venv
        local what=(--quiet --constraint constraints.txt)
        # uv takes a third of pip's time, and knows no index that only pip is told of.
        .venv/bin/python -m pip install --disable-pip-version-check "${what[@]}" uv &&
            .venv/bin/uv pip install --compile-bytecode --python .venv/bin/python \
                "${what[@]}" --editable ".$1" ||
            .venv/bin/python -m pip install --disable-pip-version-check \
                "${what[@]}" --editable ".$1"
        echo "$wanted" >.venv/stamp
    fi
}

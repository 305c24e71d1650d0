#!/bin/sh
# Get what the browser tests need: a system Chromium with its driver, ipykernel 6.31 in an
# environment of its own, and Voilà and marimo in another.  Usage: tests/browser/install.sh FOLDER
# Then run pytest with KIRIM_OLD_KERNEL_PYTHON=FOLDER/bin/python and
# KIRIM_FRONTS_PYTHON=FOLDER/fronts/bin/python.
set -eu

folder=${1:?the folder of the environment for ipykernel 6.31}

if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
    apt-get update
    # fonts-dejavu-core: without a font every text is a row of boxes.
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        chromium chromium-driver fonts-dejavu-core
fi

if ! [ -x "$folder/bin/python" ]; then
    python3 -m venv "$folder"
fi
"$folder/bin/python" -m pip install --quiet . 'ipykernel==6.31.*'

if ! [ -x "$folder/fronts/bin/python" ]; then
    python3 -m venv "$folder/fronts"
fi
"$folder/fronts/bin/python" -m pip install --quiet . ipykernel matplotlib voila marimo

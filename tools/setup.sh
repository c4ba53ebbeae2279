# Shared by ./run and ./test: what they say, how they fail, how missing packages and Python environments are brought.
# Sourced by bash with the repository root as working directory; defines functions only.
# shellcheck shell=bash

say() { printf '== %s\n' "$*" >&2; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# need_packages ITEM...: installs the Debian packages that are missing. ITEM is a package, or command:package for a
# tool that may also come from elsewhere, or py:module:package for a Python module.
need_packages() {
  local item missing=()
  for item in "$@"; do
    case "$item" in
      py:*:*)
        local rest=${item#py:}
        python3 -c "import ${rest%%:*}" >/dev/null 2>&1 || missing+=("${rest#*:}")
        ;;
      *:*) command -v "${item%%:*}" >/dev/null 2>&1 || missing+=("${item#*:}") ;;
      *)
        if command -v dpkg-query >/dev/null 2>&1; then
          [ "$(dpkg-query -W -f '${db:Status-Status}' "$item" 2>/dev/null || true)" = installed ] || missing+=("$item")
        fi
        ;;
    esac
  done
  [ ${#missing[@]} -eq 0 ] && return 0

  command -v apt-get >/dev/null 2>&1 || fail "this machine lacks: ${missing[*]} (named as Debian 12 names them)." \
    "There is no apt-get here: install them with this system's package manager, then run this again."
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    local by_hand="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    if ! command -v sudo >/dev/null 2>&1 || { ! sudo -n true 2>/dev/null && ! [ -t 0 ]; }; then
      fail "packages are missing and this user cannot install them. Root must run:
  $by_hand"
    fi
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o DPkg::Lock::Timeout=300
    install --no-install-recommends "${missing[@]}")
  "${install[@]}" </dev/null >/dev/null 2>&1 && return 0
  "${as_root[@]}" apt-get -qq -o DPkg::Lock::Timeout=300 update </dev/null >/dev/null ||
    fail "apt-get update failed. Check the network and /etc/apt/sources.list, then run this again."
  "${install[@]}" </dev/null >/dev/null || fail "apt-get could not install ${missing[*]}. Its message is above;" \
    "Inlay builds on Debian 12 (bookworm) and on what has the same packages."
}

# The tools and libraries that the build of Inlay itself needs.
need_build_packages() {
  need_packages python3:python3 g++:g++ cmake:cmake ninja:ninja-build pkg-config:pkg-config \
    libsimdjson-dev libcli11-dev libpcre2-dev libcurl4-openssl-dev libstemmer-dev py:pip:python3-pip
}

# build FOLDER TARGETS -- CMAKE_ARGS...: configures when the arguments changed, then builds; quiet unless it fails.
build() {
  local folder=$1 targets=() jobs
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    targets+=("$1")
    shift
  done
  [ $# -gt 0 ] && shift
  jobs=${INLAY_JOBS:-$(nproc)}
  mkdir -p "$folder"
  local wanted="$*" stamp="$folder/configured-with.txt"
  if [ ! -f "$folder/build.ninja" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    say "configuring $folder"
    local fresh=()
    [ -f "$folder/CMakeCache.txt" ] && [ ! -f "$folder/build.ninja" ] && fresh=(--fresh) # another generator's cache
    cmake "${fresh[@]}" -S . -B "$folder" "$@" >"$folder/configure.log" 2>&1 ||
      { cat "$folder/configure.log" >&2; fail "cmake could not configure $folder; its message is above."; }
    printf '%s' "$wanted" >"$stamp"
  fi
  if ! ninja -C "$folder" -n "${targets[@]}" | grep -q 'no work to do'; then
    say "building $folder (${jobs} jobs)"
  fi
  ninja -C "$folder" -j "$jobs" "${targets[@]}" >"$folder/build.log" 2>&1 || {
    grep -E -A25 'FAILED:|error:|CMake Error' "$folder/build.log" | head -n 120 >&2
    fail "the build in $folder failed; the first errors are above, all of it is in $folder/build.log."
  }
}

# python_environment FOLDER REQUIREMENTS: a virtual environment that holds exactly these pins.
python_environment() {
  local folder=$1 requirements=$2 stamp
  stamp=$(sha256sum "$requirements" | cut -d' ' -f1)
  [ "$(cat "$folder/requirements.sha256" 2>/dev/null)" = "$stamp" ] && [ -x "$folder/bin/python" ] && return 0
  say "preparing $folder from $requirements"
  if [ ! -x "$folder/bin/python" ]; then
    python3 -m venv "$folder" >&2 || fail "python3 could not make the virtual environment $folder. Remove it and run this again."
  fi
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" </dev/null >&2 ||
    fail "pip could not install $requirements. Check that the Python package index is reachable, then run this again."
  printf '%s' "$stamp" >"$folder/requirements.sha256"
}

# The default model, looked for by Inlay itself first; true when it is on this machine afterwards.
have_default_model() {
  build/inlay model show minilm >/dev/null 2>&1 && return 0
  say "obtaining the default model (all-MiniLM-L6-v2, about 90 MB)"
  python3 tools/fetch_model.py >&2 && build/inlay model show minilm >/dev/null
}

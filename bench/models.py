#!/usr/bin/env python3
"""The models of bench/compare.py and the files that its peers run, made once and kept in bench/.cache.

    bench/models.py minilm bge-small splade-base        makes them ahead of time

A model is a name below, or a folder (then --task says what it is for). minilm is the real all-MiniLM-L6-v2, which Inlay
finds itself; the others have the exact shape of the published model and random weights (bench/random_model.py), with
minilm's tokenizer. ONNX files come from tools/export_onnx.py in the oracle environment. Standard library only.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "bench" / ".cache"
ORACLES = ROOT / ".venv" / "oracles" / "bin" / "python"
TASKS = {
    "minilm": "embed",
    "bge-small": "embed",
    "bge-base": "embed",
    "bge-large": "embed",
    "splade-base": "sparse",
    "bge-reranker-base": "rerank",
}
# What an .onnx is made with, by its name. `logits` of a sparse model is the form that fastembed takes.
FORMS = {
    "plain": ["--head", "hidden"],
    "fused": ["--head", "hidden", "--fuse"],
    "int8": ["--head", "hidden", "--int8"],
    "fused-int8": ["--head", "hidden", "--fuse", "--int8"],
}


class Missing(Exception):
    """A model or what makes its files is not here; the message has the remedy."""


@dataclass
class Model:
    name: str
    task: str  # embed, sparse or rerank
    folder: Path
    config: dict  # config.json
    pooling: str  # embed: cls or mean
    normalize: bool
    work: Path  # where its files are kept

    def onnx(self, form: str, vocabulary: bool = True) -> Path:
        """The file of a form of FORMS, made when it is not there. A sparse model's ends in the maximum over tokens,
        without `vocabulary` in the logits."""
        head = {"embed": "hidden", "sparse": "vocabulary" if vocabulary else "logits", "rerank": "logits"}[self.task]
        target = self.work / f"{head}-{form}.onnx"
        if not target.is_file():
            if not ORACLES.is_file():
                raise Missing("exporting needs .venv/oracles. Run: bench/environments.sh oracles")
            words = [head if word == "hidden" else word for word in FORMS[form]]
            run([ORACLES, ROOT / "tools" / "export_onnx.py", self.folder, target, *words])
        return target

    def fastembed(self, limit: int) -> Path:
        """A folder as fastembed wants it: the plain export, with `limit` as the tokenizer's own."""
        folder = self.work / f"fastembed-{limit}"
        source = self.onnx("plain", vocabulary=False)
        if (folder / "onnx" / "model.onnx").is_file():
            return folder
        (folder / "onnx").mkdir(parents=True, exist_ok=True)
        for name in ("config.json", "tokenizer.json", "special_tokens_map.json"):
            shutil.copyfile(self.folder / name, folder / name)
        settings = json.loads((self.folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        settings["model_max_length"] = limit
        settings.pop("max_length", None)
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
        # fastembed's names for the file, of dense and sparse models and of rerankers
        for place in ("model.onnx", "onnx/model.onnx"):
            if not (folder / place).exists():
                os.link(source, folder / place)
        return folder


def run(command: list) -> None:
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise Missing(f"{Path(command[1]).name} failed: {last}")
    if done.stdout.strip():
        print(done.stdout.strip(), file=sys.stderr)


def real_folder(name: str) -> Path:
    """Where Inlay finds a model that it knows by name."""
    command = [ROOT / "build" / "inlay", "model", "show", name]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Missing(f"{name} is not on this machine: {done.stderr.strip()}")
    return Path(json.loads(done.stdout)["folder"])


def random_folder(shape: str) -> Path:
    folder = CACHE / shape / "model"
    if not (folder / "model.safetensors").is_file():
        python = next((path for path in (ORACLES, ROOT / ".venv/tests/bin/python") if path.is_file()), sys.executable)
        part = folder.with_name("part")
        run([python, ROOT / "bench" / "random_model.py", shape, part, "--tokenizer", real_folder("minilm")])
        part.rename(folder)
    return folder


def pooling_of(folder: Path) -> tuple[str, bool]:
    """(cls or mean, whether vectors are normalised) as modules.json says; else mean and not."""
    modules = folder / "modules.json"
    if not modules.is_file():
        return "mean", False
    kinds = {entry["type"].rsplit(".", 1)[-1]: entry["path"] for entry in json.loads(modules.read_text())}
    settings = json.loads((folder / kinds["Pooling"] / "config.json").read_text())
    if settings.get("pooling_mode_cls_token"):
        return "cls", "Normalize" in kinds
    if settings.get("pooling_mode_mean_tokens"):
        return "mean", "Normalize" in kinds
    raise Missing(f"{folder}: expected cls or mean pooling; the peers here have no other.")


def find(name: str, task: str | None = None) -> Model:
    """Missing says what is missing and what to do."""
    if name in TASKS:
        task = TASKS[name]
        folder = real_folder(name) if name == "minilm" else random_folder(name)
        work = CACHE / name
    else:
        folder = Path(name).resolve()
        if not (folder / "config.json").is_file() or task is None:
            raise Missing(f"{name}: expected one of {', '.join(TASKS)}, or a model folder and --task.")
        work = CACHE / f"{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
    work.mkdir(parents=True, exist_ok=True)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    pooling, normalize = pooling_of(folder) if task == "embed" else ("", False)
    return Model(name, task, folder, config, pooling, normalize, work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help=f"of {', '.join(TASKS)}, or folders")
    parser.add_argument("--task", choices=("embed", "sparse", "rerank"))
    parser.add_argument("--max-length", type=int, default=512)
    args = parser.parse_args()
    for name in args.models:
        try:
            model = find(name, args.task)
            for form in FORMS:
                model.onnx(form)
            model.fastembed(args.max_length)
        except Missing as error:
            sys.exit(str(error))
        print(f"{model.name}: {model.work}")


if __name__ == "__main__":
    main()

"""Golden cases as data, one file a family. Each defines CASES, name -> dict of

tokenizer       a function that gives a tokenizers.Tokenizer and the names of its special tokens
family          the prefix of transformers' classes ("Bert": BertConfig, BertModel), with `config` over the tiny defaults;
                or model(fast_tokenizer), which gives a random transformers model of its own
modules         sentence-transformers modules behind the transformer: "mean+cls", "normalize", "dense:OUT:ACTIVATION"
prompts, include_prompt, sharded    optional
"""

import importlib
import pathlib

CASES = {}
for _path in sorted(pathlib.Path(__file__).parent.glob("[a-z]*.py")):
    CASES.update(getattr(importlib.import_module(f"goldens.{_path.stem}"), "CASES", {}))

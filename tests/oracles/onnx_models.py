"""Tiny random encoders and the ONNX files that people publish of such models: each exporter, optimizer and quantiser.

What test_onnx.py reads back. Files are made by the tools themselves (torch.onnx, onnxruntime), never written by hand.
"""

import contextlib
import functools
import io
import logging
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
from onnx.reference import ReferenceEvaluator
from onnxruntime import quantization
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

HIDDEN, HEADS, LAYERS, WIDE, VOCAB, POSITIONS = 64, 4, 2, 96, 100, 40
TEXTS = ["", "a", "hello world", "the quick brown fox", "jumps over 12 lazy dogs", "x" * 20]


def family_config(family):
    if family == "distilbert":
        return transformers.DistilBertConfig(
            vocab_size=VOCAB, dim=HIDDEN, n_layers=LAYERS, n_heads=HEADS, hidden_dim=WIDE,
            max_position_embeddings=POSITIONS,
        )  # fmt: skip
    sizes = dict(
        vocab_size=VOCAB, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=WIDE, max_position_embeddings=POSITIONS,
    )  # fmt: skip
    if family == "bert":
        return transformers.BertConfig(**sizes)
    return transformers.XLMRobertaConfig(**sizes, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2)


def make_model(family, auto=transformers.AutoModel, seed=0):
    """No two tensors are alike: exporters merge those that are."""
    model = auto.from_config(family_config(family), attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.15
            parameter.copy_(noise + 1 if parameter.ndim == 1 else noise)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.sub_(1)
    return model


def make_tokenizer(family):
    special = ["<s>", "<pad>", "</s>", "<unk>"] if family == "xlm-roberta" else ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    vocab = {token: i for i, token in enumerate([*special, *letters, *("##" + letter for letter in letters)])}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token=special[3]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    begin, end = special[0], special[2]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", pair=f"{begin} $A {end} $B {end}", special_tokens=[(begin, 0), (end, 2)]
    )
    return tokenizer


def input_names(family):
    return ["input_ids", "attention_mask"] + (["token_type_ids"] if family == "bert" else [])


@contextlib.contextmanager
def quiet():
    """The tools talk about what does not matter here."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


class Wrapped(torch.nn.Module):
    """What many scripts export: names get the prefix "model."."""

    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *given):
        return self.model(**dict(zip(self.names, given)))[0]


def export(model, family, path, how="torchscript"):
    """`how`: torchscript (as Optimum does it), wrapped, dynamo."""
    names = input_names(family)
    ids = torch.randint(4, VOCAB, (2, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    example = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    args = tuple(example[name] for name in names)
    target = Wrapped(model, names)
    original = model.forward
    if how != "wrapped":  # positional inputs without another module around the model
        model.forward = lambda *given: original(**dict(zip(names, given)))[0]
        target = model
    try:
        with quiet(), torch.no_grad():
            if how == "dynamo":
                model.forward = original
                batch, sequence = torch.export.Dim("batch"), torch.export.Dim("sequence", max=POSITIONS - 2)
                torch.onnx.export(
                    model, (), str(path), kwargs=dict(zip(names, args)), input_names=names,
                    output_names=["hidden"], dynamic_shapes={name: {0: batch, 1: sequence} for name in names},
                    dynamo=True, external_data=False, verbose=False,
                )  # fmt: skip
            else:
                torch.onnx.export(
                    target, args, str(path), input_names=names, output_names=["hidden"], opset_version=17,
                    dynamic_axes={name: {0: "batch", 1: "sequence"} for name in names}, dynamo=False,
                )  # fmt: skip
    finally:
        model.forward = original


def without_scopes(source, target):
    """As torch wrote files before 1.13: nodes and values are numbered."""
    model = onnx.load(source)
    fixed = {value.name for value in [*model.graph.input, *model.graph.output]}
    numbers = {}
    for node in model.graph.node:
        for value in node.output:
            if value not in fixed:
                numbers[value] = str(1000 + len(numbers))
    for tensor in model.graph.initializer:
        if tensor.name.startswith("onnx::"):
            numbers[tensor.name] = tensor.name = str(1000 + len(numbers))
    for i, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{i}"
        for values in (node.input, node.output):
            for j, value in enumerate(values):
                values[j] = numbers.get(value, value)
    del model.graph.value_info[:]
    onnx.save(model, target)


def fuse(source, target, level=1, half=False, approximate_gelu=False, separate_heads=False):
    """onnxruntime's transformer optimizer; Optimum's O4 is half precision with the approximate GELU."""
    options = FusionOptions("bert")
    options.enable_gelu_approximation = approximate_gelu
    options.use_multi_head_attention = separate_heads
    with quiet():
        model = optimizer.optimize_model(
            str(source), "bert", num_heads=HEADS, hidden_size=HIDDEN, opt_level=level, optimization_options=options
        )
        if half:
            model.convert_float_to_float16(keep_io_types=True)
        model.save_model_to_file(str(target))


def save_optimised(source, target, level):
    """The graph that an onnxruntime session makes of the file and can be asked to write."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


@functools.cache
def saturates():
    """Whether onnxruntime's products of unsigned and signed bytes are wrong here: on x86 without VNNI two of them are
    added in 16 bits, and full-range weights overflow (its own advice for these processors is reduce_range)."""
    given = {"a": np.full((1, 64), 255, dtype=np.uint8), "b": np.full((64, 64), 127, dtype=np.int8)}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "product",
        [onnx.helper.make_tensor_value_info("a", onnx.TensorProto.UINT8, [1, 64])],
        [onnx.helper.make_tensor_value_info("c", onnx.TensorProto.INT32, [1, 64])],
        [onnx.numpy_helper.from_array(given["b"], "b")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return bool((session.run(None, {"a": given["a"]})[0] != 64 * 255 * 127).any())


def quantise(source, target, per_channel, unsigned=False, reduce_range=None):
    """`reduce_range`: weights of 7 bits; None: where onnxruntime needs them."""
    with quiet():
        quantization.quantize_dynamic(
            str(source),
            str(target),
            per_channel=per_channel,
            reduce_range=not unsigned and saturates() if reduce_range is None else reduce_range,
            weight_type=quantization.QuantType.QUInt8 if unsigned else quantization.QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )


class Calibration(quantization.CalibrationDataReader):
    def __init__(self, family):
        self.rest = iter([feed(family, text) for text in TEXTS])

    def get_next(self):
        return next(self.rest, None)


def quantise_statically(source, target, family, form, per_channel):
    with quiet():
        quantization.quantize_static(
            str(source),
            str(target),
            Calibration(family),
            quant_format=form,
            per_channel=per_channel,
            op_types_to_quantize=["MatMul", "Gemm", "Gather"],
            weight_type=quantization.QuantType.QInt8,
        )


def exact_mean_vectors(path, family):
    """What the file says, by ONNX's own plain evaluator: products of bytes are exact on every machine."""
    model = onnx.load(path)
    for opset in model.opset_import:
        if opset.domain == "":
            opset.version = 19  # the evaluator's oldest DequantizeLinear; the same for what is used here
    evaluator = ReferenceEvaluator(model)
    wanted = {value.name for value in model.graph.input}
    rows = []
    for text in TEXTS:
        given = {name: value for name, value in feed(family, text).items() if name in wanted}
        rows.append(evaluator.run(None, given)[0][0].astype(np.float64).mean(0))
    return np.array(rows)


def save_externally(source, target):
    onnx.save(onnx.load(source), target, save_as_external_data=True, location=target.name + "_data", size_threshold=256)


def feed(family, text):
    ids = np.array([make_tokenizer(family).encode(text).ids], dtype=np.int64)
    values = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    return {name: values[name] for name in input_names(family)}


def mean_vectors(path, family):
    """What onnxruntime makes of the file, mean over tokens, one text at a time."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    wanted = {value.name for value in session.get_inputs()}
    rows = []
    for text in TEXTS:
        given = {name: value for name, value in feed(family, text).items() if name in wanted}
        rows.append(session.run(None, given)[0][0].astype(np.float64).mean(0))
    return np.array(rows)


def write_variant(steps, source, target):
    """What the steps make of a file, one after the other; without any, a copy. What lies between them goes beside
    `target`'s folder. Returns `target`."""
    for i, step in enumerate(steps[:-1]):
        between = target.parent.parent / f"{i}.onnx"
        step(source, between)
        source = between
    if steps:
        steps[-1](source, target)
    else:
        target.write_bytes(source.read_bytes())
    return target

#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets safetensors, pytorch, onnx and config: tests/fuzz/corpus/NAME/seed-*.

    python3 tools/make_fuzz_seeds.py            # rewrites the seeds; other files of the corpora stay
    python3 tools/make_fuzz_seeds.py --check    # compares only

A seed is a small input that reaches one branch of the reader; fuzzing mutates and crosses them. Needs Python alone;
the same bytes come out every time.
"""

import argparse
import io
import json
import pathlib
import struct
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[1]


def safetensors_file(header, data=b"", length=None):
    text = header.encode() if isinstance(header, str) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors_seeds():
    yield "empty", safetensors_file({})
    yield "metadata", safetensors_file({"__metadata__": {"format": "pt"}, "x": tensor("F32", [2], 0, 8)}, bytes(8))
    sizes = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I8": 1, "U8": 1, "I16": 2, "I32": 4, "I64": 8, "BOOL": 1}
    header, at = {}, 0
    for name, size in sizes.items():
        header[name] = tensor(name, [1, 2], at, at + 2 * size)
        at += 2 * size
    yield "types", safetensors_file(header, bytes(at))
    yield (
        "scalar-and-zero",
        safetensors_file({"s": tensor("F32", [], 0, 4), "z": tensor("F32", [0, 9], 4, 4)}, bytes(4)),
    )
    yield "padded", safetensors_file('{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}      ', b"x")
    yield "hole", safetensors_file({"a": tensor("U8", [1], 0, 1), "b": tensor("U8", [1], 2, 3)}, b"xyz")
    yield "overlap", safetensors_file({"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 1, 3)}, b"xyz")
    yield "fp8", safetensors_file({"a": tensor("F8_E4M3", [1], 0, 1)}, b"x")
    yield "overflow", safetensors_file({"a": tensor("F32", [2**62, 4], 0, 0)})
    yield "twice", safetensors_file('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}}')
    yield (
        "escapes",
        safetensors_file('{"\\u00e9\\"\\ud83d\\ude00":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"),
    )
    yield "longer-than-file", safetensors_file({}, length=1 << 62)


class Pickle:
    """Protocol 2, as torch.save writes it, opcode by opcode."""

    def text(self, value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def integer(self, value):
        return b"K" + bytes([value]) if 0 <= value < 256 else b"\x8a\x08" + struct.pack("<q", value)

    def tuple(self, values):
        body = b"".join(self.integer(value) for value in values)
        if len(values) in (1, 2, 3):
            return body + bytes([0x84 + len(values)])
        return b"(" + body + b"t"

    def storage(self, kind, key, count):
        return (
            b"(" + self.text("storage") + f"ctorch\n{kind}\n".encode() + self.text(key) + self.text("cpu")
        ) + self.integer(count) + b"tQ"  # fmt: skip

    def tensor(self, storage, offset, shape, stride):
        arguments = storage + self.integer(offset) + self.tuple(shape) + self.tuple(stride) + b"\x89"
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"ccollections\nOrderedDict\n)RtR"

    def state_dict(self, members):
        out = b"\x80\x02ccollections\nOrderedDict\n)Rq\x00("
        for name, value in members.items():
            out += self.text(name) + value
        return out + b"u}" + self.text("_metadata") + b"h\x00sb."


def archive(pickle, storages, byteorder=b"little", method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        entries = {"data.pkl": pickle, "byteorder": byteorder, "version": b"3\n"}
        entries |= {f"data/{key}": data for key, data in storages.items()}
        for name, data in entries.items():
            info = zipfile.ZipInfo("archive/" + name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            file.writestr(info, data)
    return out.getvalue()


def pytorch_seeds():
    p = Pickle()
    whole = p.tensor(p.storage("FloatStorage", "0", 16), 0, [4, 4], [4, 1])
    plain = p.state_dict({"weight": whole, "bias": p.tensor(p.storage("FloatStorage", "0", 16), 4, [4], [1])})
    strided = p.state_dict({"t": p.tensor(p.storage("FloatStorage", "0", 16), 0, [4, 4], [1, 4])})
    parameter = p.state_dict(
        {"w": b"ctorch._utils\n_rebuild_parameter\n(" + whole + b"\x88ccollections\nOrderedDict\n)RtR"}
    )
    yield "zip", archive(plain, {"0": bytes(64)})
    yield "zip-strided", archive(strided, {"0": bytes(64)})
    yield "zip-big-endian", archive(plain, {"0": bytes(64)}, byteorder=b"big")
    yield "zip-deflated", archive(plain, {"0": bytes(64)}, method=zipfile.ZIP_DEFLATED)
    yield "pickle", plain
    yield "pickle-strided", strided
    yield "pickle-parameter", parameter
    for kind, count in (("HalfStorage", 32), ("DoubleStorage", 8), ("LongStorage", 8), ("BoolStorage", 64)):
        value = p.tensor(p.storage(kind, "0", count), 1, [2, 3], [3, 1])
        yield f"pickle-{kind.lower()}", p.state_dict({"x": value})
    yield "pickle-size", b"\x80\x02ctorch\nSize\n" + p.tuple([2, 3]) + b"\x85R."
    yield "pickle-values", (b"\x80\x02]q\x00(NM\x01\x02J\x00\x00\x00\x80G\x3f\xf0" + bytes(6) + b"U\x02hi\x88eh\x00)a.")
    yield "pickle-system", b"\x80\x02cos\nsystem\n" + p.text("true") + b"\x85R."
    yield "pickle-circle", b"\x80\x02]q\x00h\x00a."


class Onnx:
    """Protobuf messages of ONNX by hand: field numbers are onnx.proto3's."""

    def varint(self, value):
        out = b""
        while value >= 0x80:
            out += bytes([value & 0x7F | 0x80])
            value >>= 7
        return out + bytes([value])

    def integer(self, field, value):
        return self.varint(field << 3) + self.varint(value % 2**64)

    def bytes(self, field, value):
        value = value.encode() if isinstance(value, str) else value
        return self.varint(field << 3 | 2) + self.varint(len(value)) + value

    def tensor(self, name, data_type, dims, data, field=9):
        head = b"".join(self.integer(1, extent) for extent in dims)
        return head + self.integer(2, data_type) + self.bytes(8, name) + self.bytes(field, data)

    def external(self, name, dims, **entries):
        out = b"".join(self.integer(1, extent) for extent in dims) + self.integer(2, 1) + self.bytes(8, name)
        for key, value in entries.items():
            out += self.bytes(13, self.bytes(1, key) + self.bytes(2, value))
        return out + self.integer(14, 1)

    def node(self, op, name, inputs, output, scopes="", **attributes):
        out = b"".join(self.bytes(1, value) for value in inputs) + self.bytes(2, output)
        out += self.bytes(3, name) + self.bytes(4, op)
        for key, value in attributes.items():
            if isinstance(value, list):
                body = b"".join(self.integer(8, item) for item in value)
            else:
                body = self.integer(3, value) if isinstance(value, int) else self.bytes(5, value)
            out += self.bytes(5, self.bytes(1, key) + body)
        if scopes:
            out += self.bytes(9, self.bytes(1, "pkg.torch.onnx.name_scopes") + self.bytes(2, scopes))
        return out

    def model(self, nodes, tensors):
        graph = b"".join(self.bytes(1, node) for node in nodes) + b"".join(self.bytes(5, value) for value in tensors)
        return self.integer(1, 8) + self.bytes(7, graph) + self.bytes(8, self.integer(2, 17))


def onnx_seeds():
    o = Onnx()
    six = o.tensor("w", 1, [2, 3], struct.pack("<6f", *range(6)))
    bias = o.tensor("q.bias", 1, [3], struct.pack("<3f", *range(3)))
    int8 = o.tensor("w", 3, [2, 3], b"abcdef")
    scale = o.tensor("s", 1, [3], struct.pack("<3f", 1, 2, 3))
    zero = o.tensor("z", 3, [3], b"\0\1\2")
    add = o.node("Add", "a", ["y", "q.bias"], "r")
    yield "linear", o.model([o.node("MatMul", "/q/MatMul", ["x", "w"], "y"), add], [six, bias])
    listed = "['', 'q', 'linear']"
    yield "scopes", o.model([o.node("Gemm", "g", ["x", "w", "q.bias"], "y", listed, transB=0)], [six, bias])
    constant = o.node("Constant", "c", [], "w", value=o.tensor("", 1, [2, 3], bytes(24)))
    transposed = o.node("Transpose", "t", ["w"], "v", perm=[1, 0])
    yield "constant", o.model([constant, transposed, o.node("MatMul", "/q/MatMul", ["x", "v"], "y")], [])
    nodes = [o.node("MatMulInteger", "/q/M", ["xq", "w", "xz", "z"], "i"), o.node("Cast", "c", ["i"], "f", to=1),
             o.node("Mul", "m", ["xs", "s"], "ss"), o.node("Mul", "n", ["f", "ss"], "y"), add]  # fmt: skip
    yield "int8", o.model(nodes, [int8, scale, zero, bias])
    fused = o.node("DynamicQuantizeMatMul", "/q/M", ["x", "w", "s", "z", "q.bias"], "y")
    yield "int8-fused", o.model([fused], [int8, scale, zero, bias])
    linear = [o.node("DequantizeLinear", "d", ["w", "s", "z"], "v", axis=1), o.node("MatMul", "/q/M", ["x", "v"], "y")]
    yield "int8-qdq", o.model(linear, [int8, scale, zero])
    gemm = o.node("QGemm", "/q/G", ["x", "xs", "xz", "w", "s", "z", "b"], "y", transB=0)
    yield (
        "int8-qgemm",
        o.model([gemm], [int8, scale, zero, o.tensor("xs", 1, [], bytes(4)), o.tensor("b", 6, [3], bytes(12))]),
    )
    table = [
        o.node("Gather", "g", ["e.weight_quantized", "ids"], "r"),
        o.node("DequantizeLinear", "d", ["r", "s"], "y"),
    ]
    yield "table", o.model(table, [o.tensor("e.weight_quantized", 2, [2, 3], b"abcdef"), scale])
    attention = [o.node("Attention", "A", ["x", "w", "b"], "c", num_heads=1),
                 o.node("MatMul", "m", ["c", "v"], "y"), o.node("Add", "a", ["y", "l.attention.output.dense.bias"], "r"),
                 o.node("SkipLayerNormalization", "n", ["r", "x", "l.n.weight", "l.n.bias"], "h")]  # fmt: skip
    ones = [o.tensor("b", 1, [3], bytes(12)), o.tensor("v", 1, [1, 1], bytes(4))]
    ones += [o.tensor(name, 1, [1], bytes(4)) for name in ("l.attention.output.dense.bias", "l.n.weight", "l.n.bias")]
    yield "attention", o.model(attention, [six, *ones])
    yield "four-bits", o.model([o.node("MatMulNBits", "n", ["x", "w"], "y")], [o.tensor("w", 2, [3, 1, 2], b"abcdef")])
    yield "typed", o.model([], [
        o.tensor("a.a", 1, [2], bytes(8), 4), o.tensor("a.b", 10, [2], o.varint(0x3C00) * 2, 5),
        o.tensor("a.c", 11, [1], bytes(8), 10), o.integer(1, 1) + o.integer(2, 16) + o.bytes(8, "a.d") + o.integer(5, 7),
    ])  # fmt: skip
    yield "external", o.model([], [o.external("a.a", [2], location="data", offset="8", length="8")])
    yield "sparse", o.bytes(7, o.bytes(15, b"")) + o.bytes(8, b"")
    for name in ("half", "int8"):
        yield f"bert-{name}", (ROOT / f"tests/data/files/bert_{name}.onnx").read_bytes()


def config_seeds():
    class_name = "sentence_transformers.models."
    seeds = [
        (0, {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 384, "layer_norm_eps": 1e-12}),
        (1, [{"idx": 0, "name": "0", "path": "", "type": class_name + "Transformer"},
             {"idx": 1, "name": "1", "path": "1_Pooling", "type": class_name + "Pooling"}]),
        (1, [{"path": "../x", "type": "Dense"}]),
        (2, {"word_embedding_dimension": 384, "pooling_mode_cls_token": True, "pooling_mode_lasttoken": True}),
        (2, {"embedding_dimension": 32, "pooling_mode": ["mean", "cls"], "include_prompt": False}),
        (3, {"in_features": 4, "out_features": 2, "bias": True,
             "activation_function": "torch.nn.modules.activation.Tanh", "module_input_name": "sentence_embedding"}),
        (4, {"max_seq_length": 256, "do_lower_case": False}),
        (5, {"prompts": {"query": "query: ", "passage": ""}, "default_prompt_name": "query",
             "similarity_fn_name": "cosine", "truncate_dim": 64}),
        (6, {"model_max_length": 512}),
        (6, {"model_max_length": int(1e30)}),
        (7, {"metadata": {"total_size": 8}, "weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}),
        (7, {"weight_map": {"a": "/etc/passwd"}}),
    ]  # fmt: skip
    for number, (which, value) in enumerate(seeds):
        yield f"{which}-{number}", bytes([ord("0") + which]) + json.dumps(value, separators=(",", ":")).encode()


def main():
    parser = argparse.ArgumentParser(description="Writes the seeds of four fuzz targets.")
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    args = parser.parse_args()
    different = []
    targets = {"safetensors": safetensors_seeds, "pytorch": pytorch_seeds, "onnx": onnx_seeds, "config": config_seeds}
    for target, seeds in targets.items():
        folder = ROOT / "tests/fuzz/corpus" / target
        wanted = {f"seed-{name}": data for name, data in seeds()}
        present = {path.name: path.read_bytes() for path in folder.glob("seed-*")}
        if wanted == present:
            continue
        different.append(str(folder.relative_to(ROOT)))
        if args.check:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        for name in present.keys() - wanted.keys():
            (folder / name).unlink()
        for name, data in wanted.items():
            (folder / name).write_bytes(data)
    if args.check and different:
        print(f"error: {', '.join(different)}: other seeds than this script makes. Run it again.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Inlay's cuda room beside torch, in one run on one GPU: random weights of published shapes, texts of mixed lengths
(lognormal, mean about 126 tokens) from host memory to host memory, and one text of 32 tokens.

    bench/compare_gpu.py build/tests/unit/cuda/bench_cuda [--shapes minilm bge-base] [--dtype fp16] [--fp8] [--compile]

Peers: `padded`, texts sorted by length and padded in batches, SDPA, as sentence-transformers runs a model; `packed`, no
padding, torch's varlen attention on the packed rows; both in the same dtype, with the same weights' shapes, GELU exact.
`onnxruntime` is that encoder on its CUDA provider, padded likewise. --fp8 adds Inlay in fp8. --compile
adds `compiled`, the padded one through torch.compile, for one text. `ceiling` is what torch's matmul attains
on the layer's four products at 16,384 rows; a share is useful TFLOP/s over it. Needs torch with CUDA; what cannot be
had is a row "not run" with the reason."""

import argparse
import io
import json
import math
import random
import statistics
import subprocess
import tempfile
import time

SHAPES = {  # layers, hidden, heads, middle
    "minilm": (6, 384, 12, 1536),
    "bge-small": (12, 384, 12, 1536),
    "bge-base": (12, 768, 12, 3072),
    "bge-large": (24, 1024, 16, 4096),
}
VOCABULARY = 30522
ROWS = 16384  # of a packed chunk, and of the products' ceiling


def make_lengths(count):
    draw = random.Random(2)
    return sorted((min(512, max(4, int(draw.lognormvariate(math.log(105), 0.6)))) for _ in range(count)), reverse=True)


def useful_flops(shape, lengths):
    layers, hidden, _, middle = shape
    return sum(layers * (n * (8 * hidden**2 + 4 * hidden * middle) + 4 * n * n * hidden) for n in lengths)


def make_encoder(torch, shape, dtype):
    functional = torch.nn.functional
    layers, hidden, heads, middle = shape

    def linear(n, k):
        weight = torch.randn(n, k, device="cuda", dtype=torch.float32) / math.sqrt(k)
        return weight.to(dtype), (torch.randn(n, device="cuda") * 0.05).to(dtype)

    def norm():
        return torch.ones(hidden, device="cuda", dtype=dtype), torch.zeros(hidden, device="cuda", dtype=dtype)

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = linear(VOCABULARY, hidden)[0]
            self.positions = linear(512, hidden)[0]
            self.norm = norm()
            self.layers = [
                (
                    linear(3 * hidden, hidden),
                    linear(hidden, hidden),
                    norm(),
                    linear(middle, hidden),
                    linear(hidden, middle),
                    norm(),
                )
                for _ in range(layers)
            ]

        def forward(self, ids, positions, attention):
            def normed(x, parameters):
                return functional.layer_norm(x, (hidden,), *parameters, eps=1e-12)

            x = normed(self.words[ids] + self.positions[positions], self.norm)
            for qkv, out, norm1, up, down, norm2 in self.layers:
                q, k, v = functional.linear(x, *qkv).split(hidden, dim=-1)
                heads_of = (*x.shape[:-1], heads, hidden // heads)
                context = attention(q.view(heads_of), k.view(heads_of), v.view(heads_of)).reshape(x.shape)
                x = normed(functional.linear(context, *out) + x, norm1)
                x = normed(functional.linear(functional.gelu(functional.linear(x, *up)), *down) + x, norm2)
            return x

    return Encoder().eval()


def padded_batches(torch, lengths, batch_tokens):
    """Ids and masks of sorted texts, each batch padded to its longest."""
    batches = []
    begin = 0
    while begin < len(lengths):
        count = max(1, min(len(lengths) - begin, batch_tokens // lengths[begin]))
        part = lengths[begin : begin + count]
        longest = part[0]
        ids = torch.zeros(count, longest, dtype=torch.int32)
        mask = torch.arange(longest)[None, :] < torch.tensor(part)[:, None]
        ids[mask] = torch.randint(VOCABULARY, (int(mask.sum()),), dtype=torch.int32)
        batches.append((ids, mask))
        begin += count
    return batches


def padded_run(torch, encoder, lengths, batch_tokens):
    """One call: every batch of sorted texts, padded to its longest."""
    batches = [(ids.pin_memory(), mask.pin_memory()) for ids, mask in padded_batches(torch, lengths, batch_tokens)]
    functional = torch.nn.functional

    def run():
        results = []
        for ids, mask in batches:
            ids = ids.cuda(non_blocking=True)
            mask = mask.cuda(non_blocking=True)
            full = None if len(set(lengths)) == 1 else mask[:, None, None, :]

            def attention(q, k, v, full=full):
                q, k, v = (t.transpose(1, 2) for t in (q, k, v))
                return functional.scaled_dot_product_attention(q, k, v, attn_mask=full).transpose(1, 2)

            x = encoder(ids, torch.arange(ids.shape[1], device="cuda"), attention).float()
            weight = mask[:, :, None].float()
            results.append(functional.normalize((x * weight).sum(1) / weight.sum(1), dim=-1))
        return torch.cat(results).cpu()

    return run


def packed_run(torch, encoder, lengths):
    """One call: chunks of whole texts without padding, varlen attention."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:  # what it is made of

        def varlen_attn(q, k, v, cu_q, cu_k, max_q, max_k):
            return torch.ops.aten._flash_attention_forward(q, k, v, cu_q, cu_k, max_q, max_k, 0.0, False, False)[0]

    chunks = []
    begin = 0
    while begin < len(lengths):
        end = begin
        rows = 0
        while end < len(lengths) and rows + lengths[end] <= ROWS:
            rows += lengths[end]
            end += 1
        part = torch.tensor(lengths[begin:end])
        offsets = torch.nn.functional.pad(part.cumsum(0), (1, 0)).to(torch.int32)
        text = torch.repeat_interleave(torch.arange(end - begin), part)
        positions = torch.arange(rows) - offsets[text]
        ids = torch.randint(VOCABULARY, (rows,), dtype=torch.int32)
        chunks.append([t.pin_memory() for t in (ids, positions, offsets, text, part.float())])
        begin = end
    longest = max(lengths)

    def run():
        results = []
        for chunk in chunks:
            ids, positions, offsets, text, count = (t.cuda(non_blocking=True) for t in chunk)

            def attention(q, k, v, offsets=offsets):
                return varlen_attn(q, k, v, offsets, offsets, longest, longest)

            x = encoder(ids, positions, attention).float()
            sums = torch.zeros(len(count), x.shape[1], device="cuda").index_add_(0, text, x)
            results.append(torch.nn.functional.normalize(sums / count[:, None], dim=-1))
        return torch.cat(results).cpu()

    return run


def onnx_session(torch, encoder, provider):
    """The padded encoder as a graph from ids and mask to unit vectors, on a provider of onnxruntime."""
    import onnxruntime

    if provider not in onnxruntime.get_available_providers():
        raise RuntimeError(f"onnxruntime {onnxruntime.__version__} has no {provider}")

    class Sentence(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = encoder

        def forward(self, ids, mask):
            def attention(q, k, v):
                q, k, v = (t.transpose(1, 2) for t in (q, k, v))
                full = mask[:, None, None, :]
                return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=full).transpose(1, 2)

            x = self.encoder(ids, torch.arange(ids.shape[1], device=ids.device), attention).float()
            weight = mask[:, :, None].float()
            return torch.nn.functional.normalize((x * weight).sum(1) / weight.sum(1), dim=-1)

    device = encoder.words.device
    example = (torch.zeros(2, 8, dtype=torch.int32, device=device), torch.ones(2, 8, dtype=torch.bool, device=device))
    graph = io.BytesIO()
    names = {"ids": {0: "texts", 1: "tokens"}, "mask": {0: "texts", 1: "tokens"}}
    torch.onnx.export(
        Sentence(), example, graph, input_names=list(names), output_names=["vectors"], dynamic_axes=names, dynamo=False
    )
    return onnxruntime.InferenceSession(graph.getvalue(), providers=[provider])


def onnx_run(torch, session, lengths, batch_tokens):
    batches = [(ids.numpy(), mask.numpy()) for ids, mask in padded_batches(torch, lengths, batch_tokens)]
    return lambda: [session.run(None, {"ids": ids, "mask": mask})[0] for ids, mask in batches]


def seconds_of(torch, run, calls):
    with torch.inference_mode():
        for _ in range(3):
            run()
        torch.cuda.synchronize()
        times = []
        for _ in range(calls):
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
    return sorted(times)


def ceiling(torch, shape, dtype):
    _, hidden, _, middle = shape
    flops = 0.0
    seconds = 0.0
    for n, k in ((3 * hidden, hidden), (hidden, hidden), (middle, hidden), (hidden, middle)):
        a = torch.randn(ROWS, k, device="cuda").to(dtype)
        b = torch.randn(n, k, device="cuda").to(dtype)
        for _ in range(3):
            a @ b.t()
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(20):
            a @ b.t()
        end.record()
        end.synchronize()
        flops += 2.0 * ROWS * n * k
        seconds += begin.elapsed_time(end) / 20 * 1e-3
    return flops / seconds * 1e-12


def peers(torch, name, shape, dtype, lengths, compiled):
    encoder = make_encoder(torch, shape, dtype)
    flops = useful_flops(shape, lengths)
    makers = {
        "padded": (lambda: padded_run(torch, encoder, lengths, ROWS), lambda: padded_run(torch, encoder, [32], ROWS)),
        "packed": (lambda: packed_run(torch, encoder, lengths), lambda: packed_run(torch, encoder, [32])),
    }
    if compiled:
        fast = torch.compile(encoder, mode="reduce-overhead")
        makers["compiled"] = (None, lambda: padded_run(torch, fast, [32], ROWS))
    try:
        session = onnx_session(torch, encoder, "CUDAExecutionProvider")
        makers["onnxruntime"] = (
            lambda: onnx_run(torch, session, lengths, ROWS),
            lambda: onnx_run(torch, session, [32], ROWS),
        )
    except Exception as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        yield {"engine": "onnxruntime cuda", "shape": name, "not_run": why}
    for peer, (many, one) in makers.items():
        row = {"engine": "onnxruntime cuda" if peer == "onnxruntime" else f"torch {peer}", "shape": name}
        try:
            if many is not None:
                times = seconds_of(torch, many(), 7)
                row["texts_per_s"] = len(lengths) / statistics.median(times)
                row["tflops"] = flops / statistics.median(times) * 1e-12
            times = seconds_of(torch, one(), 100)
            row["one_text_ms"] = 1e3 * statistics.median(times)
            row["one_text_p99_ms"] = 1e3 * times[len(times) * 99 // 100]
        except Exception as error:  # a peer that this torch does not have is a row, not the end
            row["not_run"] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        yield row


def inlay(bench, name, dtype, lengths_file):
    call = [bench, "--shape", name, "--dtype", dtype, "--lengths", lengths_file]
    result = subprocess.run(call, capture_output=True, text=True)
    row = {"engine": f"inlay {dtype}", "shape": name}
    if result.returncode != 0:
        return row | {"not_run": result.stderr.strip()[:120]}
    return row | json.loads(result.stdout.splitlines()[-1])


def show(rows, best):
    print(
        f"{'shape':10} {'engine':16} {'texts/s':>9} {'TFLOP/s':>8} {'ceiling':>8} {'share':>6} {'one text ms (p99)':>20}"
    )
    for row in rows:
        if "not_run" in row:
            print(f"{row['shape']:10} {row['engine']:16} not run: {row['not_run']}")
            continue
        limit = best[row["shape"]]
        many = "texts_per_s" in row
        rate = f"{row['texts_per_s']:9.0f} {row['tflops']:8.1f}" if many else f"{'':9} {'':8}"
        share = f"{row['tflops'] / limit:6.2f}" if many else f"{'':6}"
        print(
            f"{row['shape']:10} {row['engine']:16} {rate} {limit:8.0f} {share} "
            f"{row['one_text_ms']:12.3f} ({row['one_text_p99_ms']:.3f})"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", help="the program bench_cuda")
    parser.add_argument("--shapes", nargs="*", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--dtype", default="fp16", choices=["fp16", "bf16"])
    parser.add_argument("--fp8", action="store_true", help="Inlay in fp8, too")
    parser.add_argument("--texts", type=int, default=1024)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--json", help="write the rows to this file")
    args = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("compare_gpu.py: torch sees no GPU; run it on a machine with one")
    dtype = torch.float16 if args.dtype == "fp16" else torch.bfloat16
    lengths = make_lengths(args.texts)
    rows, best = [], {}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(map(str, lengths)))
        file.flush()
        for name in args.shapes:
            best[name] = ceiling(torch, SHAPES[name], dtype)
            rows += [inlay(args.bench, name, d, file.name) for d in (args.dtype, *(["fp8"] if args.fp8 else []))]
            rows.extend(peers(torch, name, SHAPES[name], dtype, lengths, args.compile))
            torch.cuda.empty_cache()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {args.dtype}, {sum(lengths)} tokens")
    show(rows, best)
    for name in args.shapes:
        measured = {r["engine"]: r["texts_per_s"] for r in rows if r["shape"] == name and "texts_per_s" in r}
        packed = measured.get("torch packed")
        for engine, rate in measured.items():
            if packed and engine.startswith("inlay"):
                print(f"{name}: {engine} {rate / packed:.2f} times packed torch in {args.dtype}")
    if args.json:
        with open(args.json, "w") as out:
            json.dump({"rows": rows, "ceilings": best, "tokens": sum(lengths)}, out, indent=1)


if __name__ == "__main__":
    main()

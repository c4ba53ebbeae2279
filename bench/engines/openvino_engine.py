"""OpenVINO's CPU plugin on the same ONNX file. Its precision is a hint that must be given: left alone it takes bf16
where the processor has it. `streams` above 1 keeps as many requests under way, each on a part of the threads."""

import openvino

from . import Refused
from .tokenised import Tokenised


class Engine(Tokenised):
    version = openvino.__version__.split("-")[0]

    def __init__(self, spec: dict):
        super().__init__(spec)
        streams = spec["options"]["streams"]
        core = openvino.Core()
        if spec["options"]["precision"] == "bf16" and "BF16" not in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise Refused("OpenVINO has no bf16 on this processor")
        settings = {
            "INFERENCE_PRECISION_HINT": spec["options"]["precision"],
            "INFERENCE_NUM_THREADS": spec["threads"],
            "NUM_STREAMS": streams,
            "PERFORMANCE_HINT": "THROUGHPUT" if streams > 1 else "LATENCY",
        }
        self.model = core.compile_model(spec["file"], "CPU", settings)
        self.names = [given.get_any_name() for given in self.model.inputs]
        self.request = self.model.create_infer_request()
        self.queue = openvino.AsyncInferQueue(self.model, streams) if streams > 1 else None

    def given(self, ids, mask, types) -> dict:
        have = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        return {name: have[name] for name in self.names}

    def forward(self, ids, mask, types):
        return self.request.infer(self.given(ids, mask, types), share_inputs=True, share_outputs=True)[0]

    def run(self, texts: list, options: dict) -> list:
        if self.queue is None:
            return super().run(texts, options)
        results = [None] * len(texts)

        def keep(request, about) -> None:
            chosen, mask = about
            for index, result in zip(chosen, self.finish(request.get_output_tensor(0).data, mask)):
                results[index] = result

        self.queue.set_callback(keep)
        for chosen, ids, mask, types in self.batches(self.encode(texts), options["batch"]):
            self.queue.start_async(self.given(ids, mask, types), (chosen, mask))
        self.queue.wait_all()
        return results

"""onnxruntime on its CPU provider, all graph optimisations on."""

import numpy as np
import onnxruntime

from .tokenised import Tokenised


class Engine(Tokenised):
    version = onnxruntime.__version__

    def __init__(self, spec: dict):
        super().__init__(spec)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = spec["threads"]
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(spec["file"], options, providers=["CPUExecutionProvider"])
        self.wanted = {given.name: given.type for given in self.session.get_inputs()}

    def forward(self, ids: np.ndarray, mask: np.ndarray, types: np.ndarray) -> np.ndarray:
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        given = {
            name: value.astype(np.int32) if self.wanted[name] == "tensor(int32)" else value
            for name, value in given.items()
            if name in self.wanted
        }
        return self.session.run(None, given)[0]

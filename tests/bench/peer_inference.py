"""The peer of bench_inference.py: the time of one inference pass with AdapterHub's `adapters`, for one case a line of stdin.

  python peer_inference.py MODEL_DIR --threads N [--bf16] [--batch 32] [--length 64]

A line: adapter | fusion N | parallel N DEPTH | separate N DEPTH, then steps. Answers {"seconds": median of a pass}.
"""
import argparse
import json
import statistics
import sys
import time

from peer import AutoAdapterModel, SeqBnConfig, torch
from adapters.composition import Fuse, Parallel

MEMBERS = 8


class Peer:
    def __init__(self, options):
        self.options = options
        torch.manual_seed(1)
        self.model = AutoAdapterModel.from_pretrained(options.model, attn_implementation="sdpa")
        self.names = [f"m{chr(97 + i)}" for i in range(MEMBERS)]
        for name in self.names:
            self.model.add_adapter(name, config=SeqBnConfig(reduction_factor=16))
            self.model.add_classification_head(name, num_labels=2)
        self.model.eval()
        ids = torch.randint(1000, 20000, (options.batch, options.length))
        self.inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def activate(self, setup, depth=0, head=None):
        skipped = list(range(depth))
        self.model.set_active_adapters(setup, skip_layers=skipped or None)
        if head:
            self.model.active_head = head

    def seconds(self, passes, steps):
        times = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.options.bf16):
            for step in range(steps + 2):
                start = time.perf_counter()
                for prepare in passes:
                    if prepare:
                        prepare()
                    self.model(**self.inputs)
                if step >= 2:
                    times.append(time.perf_counter() - start)
        return statistics.median(times)

    def answer(self, kind, count, depth, steps):
        names = self.names[:count]
        if kind == "adapter":
            self.activate(names[0], depth, names[0])
            return self.seconds([None], steps)
        if kind == "fusion":
            setup = Fuse(*names)
            if ",".join(names) not in self.model.adapters_config.fusions:
                self.model.add_adapter_fusion(setup)
                self.model.eval()
            self.activate(setup, depth, names[0])
            return self.seconds([None], steps)
        if kind == "parallel":
            self.activate(Parallel(*names), depth)
            return self.seconds([None], steps)
        return self.seconds([lambda name=name: self.activate(name, depth, name) for name in names], steps)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    peer = Peer(options)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        kind, count, depth, steps = line.split()
        print(json.dumps({"seconds": peer.answer(kind, int(count), int(depth), int(steps))}), flush=True)


if __name__ == "__main__":
    main()

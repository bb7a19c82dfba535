"""The peer of bench.py: training steps with AdapterHub's `adapters`, tuned, under the protocol of engine_bench.

  python peer.py MODEL_DIR TASK.json --threads N --batching bucketed|dynamic|pad [--bf16] [--no-dropout] [--reduction 16]

Batching: bucketed = batches of like length (the best for the peer), dynamic = padded to the longest of a random batch,
pad = padded to max_length. Attention is SDPA, the optimizer torch's fused AdamW, gradients are set to None.
"""
import argparse
import json
import os
import random
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch  # noqa: E402
from adapters import AutoAdapterModel, SeqBnConfig  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402


class Peer:
    def __init__(self, options):
        self.options = options
        self.task = json.loads(open(options.task, encoding="utf-8").read())
        self.tokenizer = AutoTokenizer.from_pretrained(options.model)
        torch.manual_seed(1)
        self.model = AutoAdapterModel.from_pretrained(options.model, attn_implementation="sdpa")
        self.model.add_adapter("task", config=SeqBnConfig(reduction_factor=options.reduction))
        self.model.add_classification_head("task", num_labels=self.task["labels"])
        self.model.train_adapter("task")
        if options.no_dropout:
            for module in self.model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
            self.model.config.attention_probs_dropout_prob = 0.0
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-4, weight_decay=0.0, fused=True)
        self.train, self.dev = self.batches("train"), self.batches("dev")
        random.Random(1).shuffle(self.train)
        self.next = 0

    def batches(self, split):
        rows = list(self.task[split])
        random.Random(0).shuffle(rows)
        size = self.task["batch"]
        if self.options.batching == "bucketed" or split == "dev":
            rows.sort(key=lambda row: len(self.tokenizer(row[0], row[1])["input_ids"]))
        out = []
        for first in range(0, len(rows) - (size - 1 if split == "train" else 0), size):
            chosen = rows[first:first + size]
            second = [row[1] for row in chosen]
            encoded = self.tokenizer([row[0] for row in chosen], second if second[0] is not None else None, truncation=True,
                                     max_length=self.task["max_length"], return_tensors="pt",
                                     padding="max_length" if self.options.batching == "pad" else "longest")
            out.append((encoded, torch.tensor([row[2] for row in chosen]), int(encoded["attention_mask"].sum())))
        return out

    def steps(self, count):
        self.model.train()
        chosen = [self.train[(self.next + i) % len(self.train)] for i in range(count)]
        self.next += count
        start, cpu = time.perf_counter(), time.process_time()
        for inputs, labels, _ in chosen:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bf16):
                loss = self.model(**inputs, labels=labels).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            value = loss.item()
        return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu, "steps": count, "rows": sum(len(c[1]) for c in chosen),
                "tokens": sum(c[2] for c in chosen), "loss": value}

    def separate(self, depths):
        self.model.eval()
        start = time.perf_counter()
        with torch.inference_mode():
            for depth in range(depths):
                self.model.set_active_adapters("task", skip_layers=list(range(depth)) or None)
                for inputs, _, _ in self.dev:
                    self.model(**inputs)
        seconds = time.perf_counter() - start
        self.model.set_active_adapters("task", skip_layers=None)
        return {"seconds": seconds, "rows": len(self.task["dev"])}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("task")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batching", choices=["bucketed", "dynamic", "pad"], default="bucketed")
    parser.add_argument("--reduction", type=int, default=16)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--no-dropout", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    peer = Peer(options)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command, count = (line.split() + ["1"])[:2]
        print(json.dumps({"steps": peer.steps, "separate": peer.separate}[command](int(count))), flush=True)


if __name__ == "__main__":
    main()

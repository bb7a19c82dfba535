"""The other side of the comparison: the same trainings with AdapterHub's `adapters`, its maths and PyTorch's optimizer.

  python reference.py MODEL_DIR TASK.json OUT.jsonl DROP,... SEED...     (in an environment with adapters, transformers, torch)

TASK.json: {"name", "train": [[text, pair or null, label]...], "dev": [...], "labels": count (1 = regression), "metric",
"lr", "epochs", "batch", "max_length", "warmup", "layers"}; DROP: standard, specialized-03, robust-00-05, …
Writes one line per drop, seed and depth: {"drop", "seed", "depth", "value"}. What is there already is not trained again.
"""
import json
import math
import os
import random
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import adapters  # noqa: E402
import torch  # noqa: E402
from adapters import AutoAdapterModel, SeqBnConfig  # noqa: E402
from transformers import AutoTokenizer, get_linear_schedule_with_warmup  # noqa: E402


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    out = [0.0] * len(values)
    first = 0
    while first < len(order):  # equal values share the mean of their ranks
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for place in order[first:last + 1]:
            out[place] = (first + last) / 2
        first = last + 1
    return out


def score(metric, predicted, wanted):
    if metric == "accuracy":
        return sum(p == w for p, w in zip(predicted, wanted)) / len(wanted)
    a, b = ranks(predicted), ranks(wanted)  # spearman
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    covariance = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b))
    return covariance / math.sqrt(sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b))


class Run:
    def __init__(self, folder, task, drop, seed):
        self.task, self.drop, self.seed = task, drop, seed
        kind, *numbers = drop.split("-")
        self.robust = kind == "robust"
        self.low = int(numbers[0]) if numbers else 0
        self.high = int(numbers[1]) if self.robust else self.low
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        torch.manual_seed(seed)
        self.model = AutoAdapterModel.from_pretrained(folder)
        left_out = [] if self.robust else list(range(self.low))
        self.model.add_adapter("task", config=SeqBnConfig(leave_out=left_out))
        self.model.add_classification_head("task", num_labels=task["labels"])
        self.model.train_adapter("task")

    def batch(self, rows):
        second = [row[1] for row in rows]
        encoded = self.tokenizer([row[0] for row in rows], second if second[0] is not None else None, truncation="longest_first",
                                 max_length=self.task["max_length"], padding="longest", return_tensors="pt")
        kind = torch.float if self.task["labels"] == 1 else torch.long
        return encoded, torch.tensor([row[2] for row in rows], dtype=kind)

    def at_depth(self, n):
        self.model.set_active_adapters("task", skip_layers=list(range(n)) or None)

    def train_epoch(self, order, optimizer, schedule, draws):
        self.model.train()
        for first in range(0, len(order), self.task["batch"]):
            inputs, labels = self.batch([self.task["train"][i] for i in order[first:first + self.task["batch"]]])
            # Every step says its own depth: the setting is a state of the library's model.
            self.at_depth(draws.randint(self.low, self.high) if self.robust else 0)
            self.model(**inputs, labels=labels).loss.backward()
            torch.nn.utils.clip_grad_norm_([p for p in self.model.parameters() if p.requires_grad], 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()

    @torch.no_grad()
    def measure(self, depth):
        self.model.eval()
        self.at_depth(depth)
        # Rows of like length share a batch: the same scores for fewer padded tokens.
        predicted, dev = [], sorted(self.task["dev"], key=lambda row: len(row[0]) + len(row[1] or ""))
        for first in range(0, len(dev), 64):
            inputs, _ = self.batch(dev[first:first + 64])
            logits = self.model(**inputs).logits
            predicted += (logits.view(-1) if self.task["labels"] == 1 else logits.argmax(-1)).tolist()
        return score(self.task["metric"], predicted, [row[2] for row in dev])

    def run(self):
        task = self.task
        trained = [p for p in self.model.parameters() if p.requires_grad]
        total = math.ceil(len(task["train"]) / task["batch"]) * task["epochs"]
        optimizer = torch.optim.AdamW(trained, lr=task["lr"], weight_decay=0.0)
        schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(total * task["warmup"] - 1e-9), total)
        draws, best, kept = random.Random(self.seed), -math.inf, None
        for _ in range(task["epochs"]):
            order = torch.randperm(len(task["train"])).tolist()
            self.train_epoch(order, optimizer, schedule, draws)
            own = [self.measure(depth) for depth in range(self.low, self.high + 1)]
            if sum(own) / len(own) > best:  # the best epoch by its own depths, as Fathom keeps it
                best, kept = sum(own) / len(own), [p.detach().clone() for p in trained]
        with torch.no_grad():
            for parameter, value in zip(trained, kept):
                parameter.copy_(value)
        first = 0 if self.robust else self.low
        return {depth: self.measure(depth) for depth in range(first, task["layers"])}


def main(folder, task_file, out_file, drops, *seeds):
    torch.set_num_threads(1)
    task = json.load(open(task_file))
    done = set()
    if os.path.exists(out_file):
        done = {(row["drop"], row["seed"]) for row in map(json.loads, open(out_file))}
    for seed in map(int, seeds):
        for drop in drops.split(","):
            if (drop, seed) in done:
                continue
            values = Run(folder, task, drop, seed).run()
            with open(out_file, "a") as out:  # all lines of a run at once: an interrupted one leaves none
                out.write("".join(json.dumps({"drop": drop, "seed": seed, "depth": depth, "value": value}) + "\n"
                                  for depth, value in values.items()))
            print(adapters.__version__, drop, seed, values, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The peer of bench_sweep.py: a share of a sweep's jobs with AdapterHub's `adapters`, tuned as in peer.py, in one process that has
its model loaded and its rows tokenised before the clock starts. Says ready, waits for a line, trains, prints one JSON object.

  python peer_sweep.py MODEL_DIR TASK.json --jobs DEPTH:SEED… --epochs N [--threads N] [--bf16] [--lr LR]
"""
import argparse
import json
import random
import sys
import time

from peer import AutoAdapterModel, AutoTokenizer, SeqBnConfig, torch


def batches(tokenizer, task, split, size):
    rows = list(task[split])
    random.Random(0).shuffle(rows)
    rows.sort(key=lambda row: len(tokenizer(row[0], row[1])["input_ids"]))
    out = []
    for first in range(0, len(rows), size):
        chosen = rows[first:first + size]
        second = [row[1] for row in chosen]
        encoded = tokenizer([row[0] for row in chosen], second if second[0] is not None else None, truncation=True,
                            max_length=task["max_length"], return_tensors="pt", padding="longest")
        out.append((encoded, torch.tensor([row[2] for row in chosen])))
    return out


def accuracy(model, dev, bf16):
    model.eval()
    right = total = 0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for inputs, labels in dev:
            right += int((model(**inputs).logits.argmax(-1) == labels).sum())
            total += len(labels)
    return right / total


def job(model, name, depth, seed, train, dev, options, labels):
    torch.manual_seed(seed)
    model.add_adapter(name, config=SeqBnConfig(reduction_factor=16, leave_out=list(range(depth))))
    model.add_classification_head(name, num_labels=labels)
    model.train_adapter(name)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.lr, weight_decay=0.0, fused=True)
    total = options.epochs * len(train)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / total))
    best = 0.0
    for epoch in range(options.epochs):
        order = list(train)
        random.Random(seed * 1000 + epoch).shuffle(order)
        model.train()
        for inputs, target in order:
            with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
                loss = model(**inputs, labels=target).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
        best = max(best, accuracy(model, dev, options.bf16))
    model.delete_adapter(name)
    model.delete_head(name)
    return {"depth": depth, "seed": seed, "accuracy": best}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("task")
    parser.add_argument("--jobs", nargs="+", required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    task = json.load(open(options.task, encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoAdapterModel.from_pretrained(options.model, attn_implementation="sdpa")
    train, dev = batches(tokenizer, task, "train", task["batch"]), batches(tokenizer, task, "dev", task["batch"])
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        break
    start = time.monotonic()
    done = [job(model, f"job{i}", *map(int, text.split(":")), train, dev, options, task["labels"]) for i, text in enumerate(options.jobs)]
    print(json.dumps({"seconds": time.monotonic() - start, "jobs": done}), flush=True)


if __name__ == "__main__":
    main()

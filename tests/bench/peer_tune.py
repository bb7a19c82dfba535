"""The peer of bench_tune.py: a sweep as people run it today. Ray Tune, one trial a job, each in a process of its own that loads the model and
trains by the library's example settings: rows padded to the full length, float32. Prints one JSON object.

  python peer_tune.py MODEL_DIR TASK.json --jobs DEPTH:SEED… --epochs N [--lr LR] [--at-once 2]

Needs ray[tune] beside adapters and torch."""
import argparse
import json
import os
import tempfile
import time

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")


def rows_of(tokenizer, task, split):
    second = [row[1] for row in task[split]]
    encoded = tokenizer([row[0] for row in task[split]], second if second[0] is not None else None, truncation=True,
                        max_length=task["max_length"], return_tensors="pt", padding="max_length")
    return encoded, [row[2] for row in task[split]]


def trial(config):
    """One job from nothing: imports, model, tokens, training, an evaluation an epoch."""
    import torch
    from adapters import AutoAdapterModel, SeqBnConfig
    from ray import tune
    from transformers import AutoTokenizer

    torch.set_num_threads(1)
    torch.manual_seed(config["seed"])
    task = json.load(open(config["task"], encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(config["model"])
    model = AutoAdapterModel.from_pretrained(config["model"])
    model.add_adapter("job", config=SeqBnConfig(reduction_factor=16, leave_out=list(range(config["depth"]))))
    model.add_classification_head("job", num_labels=task["labels"])
    model.train_adapter("job")
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=config["lr"], weight_decay=0.0)
    (train, labels), (dev, dev_labels) = rows_of(tokenizer, task, "train"), rows_of(tokenizer, task, "dev")
    labels, dev_labels = torch.tensor(labels), torch.tensor(dev_labels)
    size, count = task["batch"], len(labels)
    total = config["epochs"] * -(-count // size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / total))
    for _ in range(config["epochs"]):
        model.train()
        order = torch.randperm(count)
        for first in range(0, count, size):
            chosen = order[first:first + size]
            loss = model(**{key: value[chosen] for key, value in train.items()}, labels=labels[chosen]).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        model.eval()
        with torch.no_grad():
            found = [model(**{key: value[i:i + size] for key, value in dev.items()}).logits.argmax(-1) for i in range(0, len(dev_labels), size)]
        tune.report({"accuracy": float((torch.cat(found) == dev_labels).float().mean())})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("task")
    parser.add_argument("--jobs", nargs="+", required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    begin = time.monotonic()
    import ray
    from ray import tune

    ray.init(num_cpus=options.at_once, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False, logging_level="ERROR")
    jobs = [tuple(map(int, text.split(":"))) for text in options.jobs]
    space = {"job": tune.grid_search(list(range(len(jobs))))}
    common = {"model": os.path.abspath(options.model), "task": os.path.abspath(options.task), "epochs": options.epochs, "lr": options.lr}

    def one(config):
        depth, seed = jobs[config["job"]]
        trial({**common, "depth": depth, "seed": seed})

    with tempfile.TemporaryDirectory(prefix="fathom-tune-") as folder:
        tuner = tune.Tuner(tune.with_resources(one, {"cpu": 1}), param_space=space, run_config=tune.RunConfig(storage_path=folder, verbose=0))
        results = tuner.fit()
    seconds = time.monotonic() - begin
    scores = {}
    for result in results:
        if result.error:
            raise SystemExit(f"a trial failed: {result.error}")
        depth, _ = jobs[result.config["job"]]
        scores.setdefault(depth, []).append(result.metrics["accuracy"])
    print(json.dumps({"seconds": seconds, "jobs": len(jobs), "scores": scores}), flush=True)


if __name__ == "__main__":
    main()

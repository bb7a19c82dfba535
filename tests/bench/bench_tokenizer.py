#!/usr/bin/env python3
"""Texts to token ids on one thread, beside the `tokenizers` library (its fast Rust code, one text at a time and as one batch on one
thread; the faster one counts).

  bench_tokenizer.py [--tokenizer bert-base-uncased roberta-base] [--task SST-2] [--texts 20000] [--rounds 7]

Needs ../shared/data and the environment that deploy/install-deps makes. Both sides have to find the same number of tokens."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import bench

DATA = bench.ROOT.parent / "shared" / "data"
PEER = """
import json, pathlib, sys, time
from transformers import BertTokenizerFast, RobertaTokenizerFast
folder = pathlib.Path(sys.argv[1])
vocab = str(folder / "vocab.txt")
fast = (BertTokenizerFast(vocab_file=vocab, do_lower_case="uncased" in folder.name) if (folder / "vocab.txt").exists()
        else RobertaTokenizerFast(vocab_file=str(folder / "vocab.json"), merges_file=str(folder / "merges.txt")))
tokenizer = fast.backend_tokenizer
tokenizer.no_padding()
tokenizer.enable_truncation(128)
texts = open(sys.argv[2], encoding="utf-8").read().split("\\n")[:-1]
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    one = sum(len(tokenizer.encode(text).ids) for text in texts)
    middle = time.perf_counter()
    batch = sum(len(e.ids) for e in tokenizer.encode_batch(texts))
    end = time.perf_counter()
    print(json.dumps({"seconds": min(middle - start, end - middle), "texts": len(texts), "tokens": one}), flush=True)
"""


def measure(folder, name, options):
    texts = folder / "texts.txt"
    column = {"SST-2": 0, "RTE": 1, "QNLI": 1, "MNLI": 8}[options.task]
    lines = (DATA / "glue" / options.task / "train.tsv").read_text(encoding="utf-8-sig").split("\n")[1:options.texts + 1]
    texts.write_text("\n".join(line.split("\t")[column] for line in lines if line) + "\n", encoding="utf-8")
    model = DATA / "tokenizers" / name
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    sides = {"fathom": bench.Side("fathom", [bench.BIN / "tokenizer_bench", model, texts], 1),
             "tokenizers": bench.Side("tokenizers", [bench.PYTHON, "-c", PEER, model, texts], 1)}
    answers = bench.measure(list(sides.values()), "go", 1, options.rounds)
    for side in sides.values():
        side.close()
    tokens = {name: answers[name][0]["tokens"] for name in sides}
    if len(set(tokens.values())) != 1:
        raise SystemExit(f"{name}: the two sides do not find the same tokens: {tokens}")
    ratios = [peer["seconds"] / own["seconds"] for own, peer in zip(answers["fathom"], answers["tokenizers"])]
    return {"tokenizer": name, "task": options.task, "tokens": tokens["fathom"],
            "tokens_per_s": {side: statistics.median(a["tokens"] / a["seconds"] for a in answers[side]) for side in sides},
            "times_faster": statistics.median(ratios)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", nargs="+", default=["bert-base-uncased", "roberta-base"])
    parser.add_argument("--task", choices=["SST-2", "RTE", "QNLI", "MNLI"], default="SST-2")
    parser.add_argument("--texts", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fathom-bench-") as folder:
        rows = [measure(pathlib.Path(folder), name, options) for name in options.tokenizer]
    for row in rows:
        print(f"{row['tokenizer']}: {row['times_faster']:.2f} x", file=sys.stderr)
    print(json.dumps({"benchmark": "tokenizer", "load": os.getloadavg()[0], "rows": rows}, indent=1))


if __name__ == "__main__":
    main()

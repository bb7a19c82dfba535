"""Full fine-tuning against a plain transformers loop, on the tiny golden BERT and RoBERTa: loss and gradient norm of every
step, the weights, and the saved folder in transformers and in AdapterHub's library; and a sweep of it from file to
results."""
import json
import pathlib
import shutil
import string
import subprocess
import sys
import tempfile

import demo
import harness

GOLDEN = demo.ROOT.parent / "shared" / "golden" / "adapters"
WORDS = "good fine great lovely bad awful poor dull film the a is and plot actor of in".split()
ROWS = ["good film\tpos", "the plot is awful\tneg", "a lovely and great film\tpos", "dull\tneg", "poor plot and dull actor\tneg",
        "the actor is fine\tpos", "bad bad film\tneg", "great plot of a fine film in the end\tpos"]
STEPS, RATE, WARMUP, DECAY = 6, 2e-3, 2, 0.05


def write_bert(folder):
    shutil.copytree(GOLDEN / "bert" / "base", folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(words + [f"[unused{i}]" for i in range(100 - len(words))]) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}))


def write_roberta(folder):
    shutil.copytree(GOLDEN / "roberta" / "base", folder)
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "\u0120", *string.ascii_lowercase, "<mask>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"}))


def write_task(folder, regression=False):
    folder.mkdir(parents=True)
    rows = [row.split("\t") for row in ROWS]
    if regression:
        rows = [(text, str(0.3 * len(text.split()))) for text, _ in rows]
    table = "".join(f"{text}\t{label}\n" for text, label in rows)
    for name in ("train.tsv", "dev.tsv"):
        (folder / name).write_text("text\tlabel\n" + table)
    labels = {"regression": True} if regression else {"labels": ["neg", "pos"]}
    (folder / "labels.json").write_text(json.dumps(labels))


def settings(model, task, rate, regression=False):
    """All rows in one pass, so that every epoch is one step and the order of the rows has no say."""
    described = {"name": task, "train": f"data/{task}/train.tsv", "eval": f"data/{task}/dev.tsv", "text": ["text"], "label": "label",
                 "labels": None, "metric": None} | ({"regression": True} if regression else {})
    return {"kind": "finetune", "model": {"path": f"models/{model}"}, "recipe": "hf", "precision": "fp32",
            "objective": {"metric": "primary", "goal": "maximize", "depth": None}, "task": described, "seed": 5,
            "train": {"lr": rate, "epochs": STEPS, "batch": len(ROWS), "max_length": 40, "schedule": "linear", "warmup": WARMUP,
                      "weight_decay": DECAY, "clip": 1.0, "gradient_accumulation": 1}}


def run_job(root, name, wanted):
    """(final folder, curve name -> values)."""
    folder = root / "jobs" / name
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps(wanted))
    command = [demo.BIN / "fathom-trainer", "train", folder / "job.json", "--root", root, "--folder", folder, "--json"]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300)
    demo.expect(done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:])
    curves = {}
    for line in done.stdout.splitlines():
        for point in json.loads(line).get("points", []):
            curves.setdefault(point["name"], []).append(point.get("value", 0.0))
    return folder / "final", curves


def open_model(folder):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    model, loading = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    demo.expect(not any(loading.values()), f"transformers does not take the folder whole: {loading}")
    return model, AutoTokenizer.from_pretrained(folder)


def batch_of(tokenizer, labels=None):
    texts = [row.split("\t")[0] for row in ROWS]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    return dict(batch) if labels is None else dict(batch, labels=labels)


def library_run(folder, regression):
    """The Hugging Face recipe from the weights in `folder`: losses, norms and the weights after every step."""
    import torch
    from transformers import get_linear_schedule_with_warmup
    from transformers.trainer_pt_utils import get_parameter_names
    model, tokenizer = open_model(folder)
    names = {label: i for i, label in model.config.id2label.items()}
    labels = torch.tensor([0.3 * len(row.split("\t")[0].split()) if regression else names[row.split("\t")[1]] for row in ROWS])
    decayed = {name for name in get_parameter_names(model, [torch.nn.LayerNorm]) if "bias" not in name}
    groups = [{"params": [p for n, p in model.named_parameters() if (n in decayed) == yes], "weight_decay": DECAY if yes else 0.0}
              for yes in (True, False)]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.999), eps=1e-8)
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
    batch = batch_of(tokenizer, labels)
    losses, norms, states = [], [], []
    model.train()
    for _ in range(STEPS):
        loss = model(**batch).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        losses.append(loss.item())
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        states.append({key: value.clone() for key, value in model.state_dict().items()})
    return losses, norms, states


def worst(ours, theirs):
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True))


def compare_run(root, model, task, regression=False):
    from safetensors.torch import load_file
    start, _ = run_job(root, f"{model}-{task}-start", settings(model, task, 0.0, regression))
    final, curves = run_job(root, f"{model}-{task}", settings(model, task, RATE, regression))
    losses, norms, states = library_run(start, regression)
    print(f"{model} {task}: losses {[round(loss, 4) for loss in losses]}, largest difference {worst(curves['train/loss'], losses):.1e}, "
          f"of norms {worst(curves['train/grad_norm'], norms):.1e}", flush=True)
    demo.expect(abs(losses[0] - losses[-1]) > 0.005, "nothing was learnt: the comparison says nothing")
    demo.expect(worst(curves["train/loss"], losses) <= 1e-5, f"losses differ: {curves['train/loss']} {losses}")
    demo.expect(worst(curves["train/grad_norm"], norms) <= 1e-4, f"norms differ: {curves['train/grad_norm']} {norms}")
    best = json.loads((final / "fathom.json").read_text())["result"]["epoch"]
    ours, theirs = load_file(final / "model.safetensors"), states[best - 1]
    ids = {key for key in theirs if "position_ids" in key}
    demo.expect(set(ours) == set(theirs) - ids, f"keys differ: {set(ours) ^ set(theirs)}")
    for key, value in ours.items():
        # The true gradient of the keys' bias is zero (softmax shift): AdamW makes steps of rounding noise.
        gap = (value - theirs[key]).abs().max().item()
        demo.expect(key.endswith("key.bias") or gap <= 5e-5, f"{key} differs by {gap}")
    return final


def logits_of_predict(folder):
    texts = [row.split("\t")[0] for row in ROWS]
    command = [demo.BIN / "fathom-trainer", "predict", "--model", folder, "--adapter", folder, "--json", *texts]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=100)
    demo.expect(done.returncode == 0, done.stderr)
    return [value for line in done.stdout.splitlines() for value in json.loads(line)["logits"]]


def compare_folder(folder):
    """Logits in transformers; the encoder alone in AutoModel and in AdapterHub's AutoAdapterModel."""
    import torch
    from adapters import AutoAdapterModel
    from transformers import AutoModel
    model, tokenizer = open_model(folder)
    batch = batch_of(tokenizer)
    with torch.no_grad():
        logits = model.eval()(**batch).logits.flatten().tolist()
        hidden = model.base_model(**batch).last_hidden_state
        plain = AutoModel.from_pretrained(folder).eval()(**batch).last_hidden_state
        hub = AutoAdapterModel.from_pretrained(folder).eval().base_model(**batch).last_hidden_state
    ours = logits_of_predict(folder)
    print(f"{folder.parent.name}: largest difference of logits {worst(ours, logits):.1e}", flush=True)
    demo.expect(worst(ours, logits) <= 1e-4, f"logits differ: {ours} {logits}")
    demo.expect(max(logits) - min(logits) > 0.005, "the logits say nothing")
    demo.expect(torch.equal(hidden, plain) and torch.equal(hidden, hub), "another encoder came out of the folder")


def sweep_end_to_end(root):
    file = root / "finetune.yaml"
    file.write_text("version: 1\nname: whole\nmodel: {path: models/bert}\ntasks:\n  toy: {path: data/toy}\n"
                    "train: {lr: 1e-3, epochs: 2, batch: 4, max_length: 40}\nseeds: [1, 2]\nstages:\n  adapter: {drop: {robust: true}}\n"
                    "  finetune: {train: {lr: 2e-3}}\n  evaluate: {from: [adapter, finetune]}\n")
    with demo.Fathom(root, devices="cpu:1") as fathom:
        plan = fathom.json("plan", file)
        demo.expect([(stage["kind"], stage["jobs"]) for stage in plan["stages"]] == [("adapter", 2), ("finetune", 2), ("evaluate", 4)],
                    f"plan: {plan['stages']}")
        _, results = fathom.run_sweep(file)
        rows = [row for row in demo.table(results / "results.csv") if row["primary"] == "true"]
        for seed in ("1", "2"):
            trained = [row for row in rows if row["kind"] == "finetune" and row["seed"] == seed]
            demo.expect(len(trained) == 1 and trained[0]["depth"] == "0", f"rows of the fine-tuned model: {trained}")
            values = [row["value"] for row in rows if row["kind"] == "evaluate" and row["seed"] == seed and row["drop"] == ""]
            demo.expect(values == [trained[0]["value"]], f"evaluation {values} of a model that scored {trained[0]['value']}")
            compare_folder(results / "models" / "toy" / f"seed{seed}")
        readme = (results / "models" / "toy" / "seed1" / "README.md").read_text()
        demo.expect("AutoModelForSequenceClassification" in readme, readme)
        answer = fathom("predict", "--adapter", results / "models" / "toy" / "seed1", "--json", "good film").stdout
        demo.expect(json.loads(answer)["label"] in ("neg", "pos"), answer)
        robust = [row for row in rows if row["kind"] == "adapter"]
        demo.expect({row["drop"] for row in robust} == {"robust-all"} and {row["depth"] for row in robust} == set("0123"), f"{robust}")


def main():
    if not harness.use_library_interpreter("torch"):
        return 0
    import torch
    import transformers
    if not GOLDEN.is_dir():
        print("skipped: ../shared is absent, the base models are not part of the project\n0 passed, 0 failed, 1 skipped")
        return 0
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory(prefix="fathom-finetune-") as folder:
        root = pathlib.Path(folder)
        (root / "models").mkdir()
        write_bert(root / "models" / "bert")
        write_roberta(root / "models" / "roberta")
        write_task(root / "data" / "toy")
        write_task(root / "data" / "length", regression=True)

        def bert_step_by_step():
            compare_folder(compare_run(root, "bert", "toy"))

        def roberta_step_by_step():
            compare_folder(compare_run(root, "roberta", "toy"))

        def regression_step_by_step():
            compare_run(root, "bert", "length", regression=True)

        def a_sweep_from_file_to_results():
            sweep_end_to_end(root)

        return demo.run_tests([bert_step_by_step, roberta_step_by_step, regression_step_by_step, a_sweep_from_file_to_results])


if __name__ == "__main__":
    sys.exit(main())

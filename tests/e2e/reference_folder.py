"""Run in the interpreter of AdapterHub's library: writes a small folder of reference data (docs/reference-data.md) whose names,
sizes and seeds are nobody's but its own. Of its groups two hold today's layout, with base models in shards, and two the
layouts of the library's predecessors.

  reference_folder.py SHARED_TOOLS OUT
"""
import collections
import json
import pathlib
import sys

LAYERS, WIDTH = 3, 24
TOLERANCE = 2e-5


def forward(lib, model, tree, heads, inputs, skip=()):
    """The tensors that the library gives for a case."""
    model.set_active_adapters(lib.build_setup(tree), skip_layers=list(skip) or None)
    fused = tree["type"] == "fuse"
    extra = {"output_adapter_fusion_attentions": True} if fused else {}
    with lib.torch.no_grad():
        base = model.base_model(**inputs, output_hidden_states=True, **extra)
        out = {"last_hidden_state": base.last_hidden_state}
        if fused:
            for layer, sites in base.adapter_fusion_attentions[tree["kwargs"]["name"]].items():
                out.update({f"fusion_attn.{layer}.{site}": lib.torch.as_tensor(value) for site, value in sites.items()})
        if len(heads) > 1:
            results = model(**inputs).head_outputs
        else:
            model.active_head = heads[0]
            results = [model(**inputs)]
        out.update({f"logits.{head}": result.logits for head, result in zip(heads, results, strict=True)})
    return out


def cases(lib, folder, group, model, inputs, more=()):
    single = lib.single
    both = [single("première"), single("zweite")]
    fuse = {"type": "fuse", "children": both, "kwargs": {"name": "mix"}}
    entries = []
    for name, tree, heads, skip in (
            ("eins", single("première"), ["première"], ()),
            ("zwei ohne 1", single("zweite"), ["zweite"], (1,)),
            ("nebeneinander", {"type": "parallel", "children": both}, ["première", "zweite"], ()),
            ("geteilt", {"type": "batchsplit", "children": both, "kwargs": {"batch_sizes": [1, 2]}}, ["première", "zweite"], ()),
            ("gemischt", fuse, ["zweite"], ()), *more):
        tensors = forward(lib, model, tree, heads, inputs, skip)
        file = f"{group}/soll/{name}.safetensors"
        (folder / group / "soll").mkdir(exist_ok=True)
        lib.save_tensors(folder / file, tensors)
        entries.append({"id": name, "setup": tree, "heads": heads, "skip_layers": list(skip), "load_leave_out": {},
                        "expected": file, "outputs": {k: list(v.shape) for k, v in tensors.items()}, "tolerance": TOLERANCE})
    return entries


def trajectory(lib, folder, group, name, fused, options):
    """Five steps of the library's own loop from fresh weights."""
    model = lib.load_base(folder / group / "base", dropout_zero=True)
    lib.torch.manual_seed(99)
    run = folder / group / "trajectories" / name
    names = ["links", "rechts"] if fused else ["links"]
    for adapter in names:
        model.add_adapter(adapter, config="double_seq_bn[reduction_factor=5]")
    model.add_classification_head("kopf", num_labels=2, layers=2)
    tree = lib.single("links")
    if fused:
        tree = {"type": "fuse", "children": [lib.single(n) for n in names], "kwargs": {"name": "mix"}}
        model.add_adapter_fusion(lib.build_setup(tree), "dynamic")
    lib.randomise(model, names, 3, fusions=["mix"] if fused else [], heads=["kopf"])
    for adapter in names:
        lib.save_adapter_both(model, run / "init" / adapter, adapter, with_head=False)
    lib.save_head_both(model, run / "init_head", "kopf")
    if fused:
        lib.save_fusion_both(model, run / "init_fusion", "mix")
        model.train_adapter_fusion(lib.build_setup(tree))
    else:
        model.train_adapter("links")
    model.active_head = "kopf"
    data = lib.load_file(folder / group / "train.safetensors")
    order = [[(3 * step + row) % 20 for row in range(4)] for step in range(5)]
    skip = options.get("skip")
    log = lib.train(model, data, order, setup=lib.build_setup(tree), **options)
    lib.save_tensors(run / "first_grads.safetensors", log.pop("first_grads"))
    _, decay = lib.parameter_groups(model, 0.01)
    final = {n: p for n, p in model.named_parameters() if p.requires_grad}
    with lib.torch.no_grad():
        inputs = {k: data[k][:6] for k in ("input_ids", "attention_mask", "token_type_ids")}
        final["eval_logits"] = model(**inputs).logits
    lib.save_tensors(run / "final.safetensors", final)
    lib.write_json(run / "trajectory.json", {
        "id": name, "base": f"{group}/base", "adapters": names, "fusions": ["mix"] if fused else [], "heads": ["kopf"],
        "setup": tree, "order": order, "options": options, "trained": [n for n in final if n != "eval_logits"],
        "decayed": [n for n, is_decayed in decay.items() if is_decayed], **log,
        "tolerance": {"loss": 2e-6, "grad_norm": 1e-5, "final": 1e-4 if fused else 1e-5, "ignore_final": "key.bias"}})
    assert skip is None or len(skip) == len(order)
    return {"id": f"{group}/{name}", "path": f"{group}/trajectories/{name}"}


def shard(lib, base, kind, safetensors):
    """The base model as transformers writes it in several files; RoBERTa from a class with a head, so with its prefix."""
    model = lib.load_base(base)
    whole = model if kind == "roberta" else model.base_model
    from transformers import PreTrainedModel
    for file in base.glob("*.safetensors"):
        file.unlink()
    PreTrainedModel.save_pretrained(whole, str(base), max_shard_size="30KB", safe_serialization=safetensors)
    assert len(list(base.glob("*-of-*"))) > 2 and list(base.glob("*.index.json"))


def today(lib, folder, group, kind, seed, safetensors):
    """Parts in today's layout, and training runs."""
    at = folder / group
    lib.make_base(kind, at / "base", LAYERS, WIDTH, seed=seed)
    shard(lib, at / "base", kind, safetensors)
    model, inputs = parts(lib, at, kind, seed)
    pruned = {"première": [1], "zweite": []}
    entries = cases(lib, folder, group, model, inputs)
    entries.append(pruned_case(lib, folder, group, inputs, pruned))
    runs = [("allein", False, {"lr": 3e-3, "warmup": 2, "skip": [0, 2, 1, 2, 0]}),
            ("null", False, {"lr": 3e-3, "warmup": 1, "skip": [0, 2, 1, 2, 0], "set_to_none": False}),
            ("zusammen", True, {"lr": 1e-3, "warmup": 0, "fusion_reg": "before"}),
            ("später", True, {"lr": 1e-3, "warmup": 0, "fusion_reg": "lagged"})]
    return entries, [trajectory(lib, folder, group, *run) for run in runs]


def parts(lib, at, kind, seed, activation="relu"):
    model = lib.load_base(at / "base")
    inputs = lib.make_inputs(kind, seed + 1, batch=3, length=9, lens=(9, 4, 7))
    lib.save_tensors(at / "inputs.safetensors", inputs)
    lib.save_tensors(at / "train.safetensors", lib.make_train_set(kind, seed + 2, count=20, length=11))
    for name, factor, labels in (("première", 4, 5), ("zweite", 7, 2)):
        model.add_adapter(name, config=lib.adapters.SeqBnConfig(reduction_factor=factor, non_linearity=activation))
        model.add_classification_head(name, num_labels=labels)
    model.add_adapter_fusion(lib.Fuse("première", "zweite", name="mix"), "dynamic")
    lib.randomise(model, ["première", "zweite"], seed + 3, fusions=["mix"], heads=["première", "zweite"])
    for name in ("première", "zweite"):
        lib.save_adapter_both(model, at / "adapters" / name, name, with_head=False)
        lib.save_head_both(model, at / "heads" / name, name)
    lib.save_fusion_both(model, at / "fusions" / "mix", "mix")
    model.eval()
    return model, inputs


def pruned_case(lib, folder, group, inputs, pruned):
    """A fusion of which one layer has lost a member."""
    at = folder / group
    model = lib.load_base(at / "base")
    for name, layers in pruned.items():
        model.load_adapter(str(at / "adapters" / name), leave_out=layers)
    model.load_head(str(at / "heads" / "zweite"))
    model.load_adapter_fusion(str(at / "fusions" / "mix"))
    tree = {"type": "fuse", "children": [lib.single(n) for n in pruned], "kwargs": {"name": "mix"}}
    file = f"{group}/soll/beschnitten.safetensors"
    lib.save_tensors(folder / file, forward(lib, model, tree, ["zweite"], inputs))
    return {"id": "beschnitten", "setup": tree, "heads": ["zweite"], "skip_layers": [], "load_leave_out": pruned, "expected": file,
            "tolerance": TOLERANCE}


def yesterday(lib, folder, group, kind, seed):
    """The layouts of adapter-transformers 1 (BERT) and 3 (RoBERTa): names, configs and files from before torch 1.6."""
    at = folder / group
    lib.make_base(kind, at / "base", LAYERS, WIDTH, seed=seed)
    # Without a version "gelu" meant what is gelu_new today.
    model, inputs = parts(lib, at, kind, seed, activation="gelu_new" if kind == "bert" else "swish")
    entries = cases(lib, folder, group, model, inputs)
    entries.append(static_case(lib, folder, group, kind, inputs))
    for config in sorted(at.rglob("*_config.json")):
        age(lib, config, first=kind == "bert")
    return entries


def static_case(lib, folder, group, kind, inputs):
    """A head of transformers' own classifier, saved beside its adapter."""
    import adapters
    import transformers
    at = folder / group
    family = {"bert": "Bert", "roberta": "Roberta"}[kind]
    model = getattr(transformers, family + "ForSequenceClassification").from_pretrained(str(at / "base"), num_labels=3)
    adapters.init(model)
    model.add_adapter("dritte", config="seq_bn[reduction_factor=6]")
    lib.randomise(model, ["dritte"], 8)
    for file in ("adapters", "heads"):
        model.save_adapter(str(at / file / "dritte"), "dritte", with_head=True)
    model.set_active_adapters("dritte")
    model.eval()
    file = f"{group}/soll/fest.safetensors"
    with lib.torch.no_grad():
        lib.save_tensors(folder / file, {"logits.dritte": model(**inputs).logits})
    return {"id": "fest", "setup": lib.single("dritte"), "heads": ["dritte"], "skip_layers": [], "load_leave_out": {}, "expected": file,
            "tolerance": TOLERANCE}


def age(lib, file, first):
    """One part of today as it was: `first`: version 1, else version 3."""
    config = json.loads(file.read_text())
    for weights in file.parent.glob("*.safetensors"):
        weights.unlink()
    settings = config.get("config") or {}
    config["model_class"] = config["model_class"].replace("AdapterModel", "ModelWithHeads")
    config["version"] = "3.2.1"
    if first:
        config.pop("version")
    if file.name == "adapter_fusion_config.json":
        config.pop("adapter_names", None)
        settings.pop("dropout_prob")
        config["name"] = "première,zweite"
        file.parent.rename(file.parent.with_name("première+zweite"))
        file = file.parent.with_name("première+zweite") / file.name
    if file.name == "head_config.json":
        settings.pop("bias", None)
        settings.pop("dropout_prob", None)
    if file.name == "adapter_config.json" and first:
        config["type"] = "text_task"
        settings["invertible_adapter"] = {"block_type": "nice", "non_linearity": "relu", "reduction_factor": 2}
        settings["non_linearity"] = {"gelu_new": "gelu", "gelu": "gelu_orig"}.get(settings["non_linearity"], settings["non_linearity"])
        for key in [k for k in settings if k.startswith(("phm", "shared", "factorized", "learn", "inv_", "hyper", "init", "scal"))]:
            settings.pop(key)
    file.write_text(json.dumps(config, indent=2, sort_keys=True))
    for weights in file.parent.glob("*.bin"):
        tensors = collections.OrderedDict((old_key(k, first), v) for k, v in lib.torch.load(weights, weights_only=True).items())
        lib.torch.save(tensors, weights, _use_new_zipfile_serialization=False)


def old_key(key, first):
    key = key.replace(".adapter_fusion_layer.mix.", ".adapter_fusion_layer.première,zweite.")
    if not first:
        return key
    return key.replace("attention.output.adapters.", "attention.output.attention_text_task_adapters.").replace(
        ".output.adapters.", ".output.layer_text_task_adapters.")


def main():
    sys.path.insert(0, sys.argv[1])
    import golden_lib as lib
    lib.torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[2])
    manifest = {"forward": {}, "trajectories": []}
    for group, kind, safetensors in (("zwerg", "roberta", True), ("gnom", "bert", False)):
        manifest["forward"][group], runs = today(lib, folder, group, kind, 4321 + len(group), safetensors)
        manifest["trajectories"] += runs
    for group, kind in (("greisin", "roberta"), ("greis", "bert")):
        entries = yesterday(lib, folder, group, kind, 777 + len(group))
        for entry in entries:
            if entry["setup"]["type"] == "fuse":
                entry["setup"]["kwargs"]["name"] = "première,zweite"
        manifest["forward"][group] = entries
    lib.write_json(folder / "manifest.json", manifest)


if __name__ == "__main__":
    main()

"""MPNet against transformers (the library of adapters does not know it, so its bottleneck adapter is put into transformers'
layers by hand): a small random model through `fathom-trainer predict`, from tokenizer.json and from vocab.txt, on texts
longer than the last bucket of the relative positions. A head that is the identity makes predict print hidden states.

  interop_mpnet_test.py [MODEL_FOLDER]     a real model instead, e.g. all-mpnet-base-v2: 20 sentences
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import harness

TOLERANCE = 2e-5
WORDS = ["a", "film", "good", "bad", "play", "##ing", "##ed", "the", "an", "actor", "plot", "is", "was", "not", ".", ",", "!", "?",
         "cafe", "naive", "1", "##2", "##s", "un", "##like", "##ly", "中", "the", "very", "long"]
SENTENCES = ["A good film.", "Not a bad plot, the actor played!", "naïve café 中中 unlikely [UNK] <mask> </s> films? [SEP] [CLS]", "the"]


def random_model(folder):
    """A small MPNet with weights large enough that the relative bias shows; returns its tokenizer's folder as well."""
    import torch
    import transformers
    folder.mkdir()
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(WORDS), "<mask>"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    config = transformers.MPNetConfig(vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
                                      intermediate_size=64, max_position_embeddings=302, layer_norm_eps=1e-5)
    torch.manual_seed(3)
    model = transformers.MPNetModel(config).eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.normal_(1.0 if name.endswith("LayerNorm.weight") else 0.0, 0.2)
        model.encoder.relative_attention_bias.weight.normal_(0.0, 1.0)
    model.save_pretrained(folder)


def install_adapter(model, down, up, layers):
    """seq_bn in transformers' layers: y = LN(U relu(D z) + h + x), z = LN(h + x)."""
    import torch

    def output(self, hidden, x):
        h = self.dense(hidden)
        z = self.LayerNorm(h + x)
        a = torch.relu(z @ self.down[0].T + self.down[1]) @ self.up[0].T + self.up[1]
        return self.LayerNorm(a + h + x)

    for i in layers:
        part = model.encoder.layer[i].output
        part.down, part.up = down[i], up[i]
        part.forward = output.__get__(part)


def write_adapter(folder, config, name, down, up):
    """An adapter with an identity head and the card that says how long texts may be; files as the library lays them out."""
    import torch
    from safetensors.torch import save_file
    folder.mkdir()
    hidden = config.hidden_size
    tensors = {}
    for i, layer in down.items():
        at = f"mpnet.encoder.layer.{i}.output.adapters.{name}."
        tensors |= {at + "adapter_down.0.weight": layer[0], at + "adapter_down.0.bias": layer[1],
                    at + "adapter_up.weight": up[i][0], at + "adapter_up.bias": up[i][1]}
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "adapter.safetensors")
    import adapters
    settings = adapters.SeqBnConfig(reduction_factor=hidden // down[0][0].shape[0]).to_dict()
    top = {"hidden_size": hidden, "model_type": "mpnet", "name": name, "version": "adapters.1.3.0"}
    (folder / "adapter_config.json").write_text(json.dumps(top | {"config": settings}))
    labels = [f"d{i:04}" for i in range(hidden)]
    head = {"head_type": "classification", "num_labels": hidden, "layers": 1, "activation_function": None, "use_pooler": False,
            "bias": True, "dropout_prob": None, "label2id": {label: i for i, label in enumerate(labels)}}
    (folder / "head_config.json").write_text(json.dumps(top | {"config": head}))
    save_file({f"heads.{name}.1.weight": torch.eye(hidden), f"heads.{name}.1.bias": torch.zeros(hidden)}, folder / "model_head.safetensors")
    (folder / "fathom.json").write_text(json.dumps({
        "format": 1, "settings": {}, "result": {}, "labels": labels, "regression": False, "drop": {"kind": "standard", "n": 0},
        "max_length": min(config.max_position_embeddings - 2, 300), "tokenizer": "", "model": ""}))


def adapter_weights(config, width, zero):
    import torch
    generator = torch.Generator().manual_seed(5)
    draw = lambda *shape: torch.randn(*shape, generator=generator) * (0.0 if zero else 0.2)
    layers = range(config.num_hidden_layers)
    down = {i: (draw(width, config.hidden_size), draw(width)) for i in layers}
    return down, {i: (draw(config.hidden_size, width), draw(config.hidden_size)) for i in layers}


def states_of_predict(base, adapter, rows, depth=0):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("".join("\t".join(row) + "\n" for row in rows))
        file.flush()
        command = [harness.BIN / "fathom-trainer", "predict", "--model", base, "--adapter", adapter, "--file", file.name, "--depth", depth, "--json"]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=500)
    harness.expect(done.returncode == 0, done.stderr)
    return [json.loads(line)["logits"] for line in done.stdout.splitlines()]


def states_of_library(model, tokenizer, rows, max_length):
    import torch
    singles = [row[0] for row in rows], [row[1] for row in rows] if len(rows[0]) > 1 else None
    batch = tokenizer(*singles, truncation=True, padding=True, max_length=max_length, return_tensors="pt")
    with torch.no_grad():
        out = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state[:, 0]
    return out.tolist()


def largest_difference(ours, theirs):
    return max(abs(a - b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True))


def compare(base, tokenizer, rows, width, tolerance, what):
    """Bare model, adapter in every layer, adapter dropped from the lowest layer."""
    import transformers
    with tempfile.TemporaryDirectory(prefix="fathom-mpnet-") as folder:
        for name, zero, depth in (("none", True, 0), ("every", False, 0), ("dropped", False, 1)):
            model = transformers.MPNetModel.from_pretrained(base).eval()
            down, up = adapter_weights(model.config, width, zero)
            write_adapter(pathlib.Path(folder) / name, model.config, name, down, up)
            install_adapter(model, down, up, range(depth, model.config.num_hidden_layers))
            length = min(model.config.max_position_embeddings - 2, 300)
            worst = largest_difference(states_of_predict(base, pathlib.Path(folder) / name, rows, depth),
                                       states_of_library(model, tokenizer, rows, length))
            print(f"{what}, adapter {name}: largest difference of hidden states {worst:.1e}", flush=True)
            harness.expect(worst <= tolerance, f"{what}, adapter {name}: differs by {worst}")


def real(base):
    import transformers
    rows = [(f"Sentence number {i}: " + " ".join(random.Random(i).choices(
        "the quick brown fox jumps over a lazy dog while naïve readers enjoy slowly unfolding stories about cafés".split(), k=5 + 6 * i)) + ".",)
        for i in range(20)]
    compare(base, transformers.MPNetTokenizerFast.from_pretrained(base), rows, 48, 2e-4, str(base))


def main():
    if not harness.use_library_interpreter("torch"):
        return 0
    if len(sys.argv) > 1:
        real(pathlib.Path(sys.argv[1]))
        return 0
    import transformers
    draw = random.Random(1)
    texts = SENTENCES + [" ".join(draw.choices([word.strip("#") for word in WORDS], k=length)) for length in (3, 40, 150, 280, 400)]
    with tempfile.TemporaryDirectory(prefix="fathom-mpnet-") as folder:
        plain, quick = pathlib.Path(folder) / "plain", pathlib.Path(folder) / "quick"
        random_model(plain)
        tokenizer = transformers.MPNetTokenizerFast(str(plain / "vocab.txt"))
        random_model(quick)
        tokenizer.save_pretrained(quick)

        def from_vocab_txt():
            compare(plain, tokenizer, [(text,) for text in texts], 8, TOLERANCE, "vocab.txt")

        def from_tokenizer_json():
            harness.expect((quick / "tokenizer.json").exists(), "transformers wrote no tokenizer.json")
            compare(quick, tokenizer, [(text,) for text in texts], 8, TOLERANCE, "tokenizer.json")

        def pairs():
            compare(plain, tokenizer, list(zip(texts, reversed(texts))), 8, TOLERANCE, "pairs")

        return harness.run_tests([from_vocab_txt, from_tokenizer_json, pairs])


if __name__ == "__main__":
    sys.exit(main())

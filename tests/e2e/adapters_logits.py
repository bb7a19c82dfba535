"""Run by the interoperability test with AdapterHub's own library: loads a collected folder strictly (keys, shapes and bits,
by ../shared/tools/check_saved.py) and prints the logits for sentences.

  adapters_logits.py SHARED_TOOLS BASE FOLDER SENTENCES MAX_LENGTH     -> {"bin": [[…]], "safetensors": [[…]]}
"""
import argparse
import json
import sys


def main():
    tools, base, folder, sentences, max_length = sys.argv[1:6]
    sys.path.insert(0, tools)
    import torch
    from check_saved import choose_setup, load_all
    from golden_lib import load_base
    from transformers import AutoTokenizer

    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(base)
    with open(sentences, encoding="utf-8") as file:
        texts = [line.rstrip("\n") for line in file]
    batch = tokenizer(texts, truncation=True, padding=True, max_length=int(max_length), return_tensors="pt")
    out = {}
    for kind in ("bin", "safetensors"):
        model = load_base(base)
        found = load_all(model, [folder], kind)
        setup, head = choose_setup(argparse.Namespace(setup=None, folder=[folder]), found)
        model.set_active_adapters(setup)
        model.active_head = head or found["heads"][0]
        with torch.no_grad():
            out[kind] = model(**batch).logits.tolist()
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()

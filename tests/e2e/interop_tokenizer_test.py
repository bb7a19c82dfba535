"""Tokenizers against the `tokenizers` package, from vocabulary files and from the tokenizer.json that the package writes (with
truncation and padding switched on in it, which must be ignored): the golden lines and 2,000 random Unicode texts and pairs
for each tokenizer. The comparison is unit_tokenizer's."""
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unicodedata

import harness

SHARED = harness.ROOT.parent / "shared"
RANDOM_LINES = 2000
SPECIAL = ["[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]", "<s>", "</s>", "<pad>", "<mask>", "<unk>", "[mask]", "##ing"]
BLANKS = [" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2009", "\u200b", "\u00ad", "\ufeff", "\x00"]
WORDS = "the quick brown Foxes JUMPED over naïve café readers' don't I'll we've 3.14 1,000 unbelievably tokenization e-mail".split()
# Latin with marks, Greek, Cyrillic, Hebrew, Arabic, Devanagari, Thai, Hangul, Kana, Han, symbols, emoji, combining marks.
RANGES = [(0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x590, 0x6FF), (0x900, 0x97F), (0xE00, 0xE5B),
          (0x1100, 0x11FF), (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x23FF), (0x3040, 0x30FF), (0x4E00, 0x4FFF), (0xAC00, 0xACFF),
          (0xF900, 0xFAFF), (0xFE00, 0xFEFF), (0xFF00, 0xFFEF), (0x1F300, 0x1F6FF), (0x20000, 0x200FF), (0x1D400, 0x1D4FF)]


def old_character(char):
    # Python's table may be newer than those of the two sides; the 3.2 table holds what all of them know.
    return unicodedata.ucd_3_2_0.category(char) != "Cn" or ord(char) >= 0x1F300


def assigned(draw, low, high):
    """Assigned characters only: Unicode versions differ in what they say of the others."""
    for _ in range(50):
        char = chr(draw.randint(low, high))
        if unicodedata.category(char) not in ("Cn", "Cs") and old_character(char):
            return char
    return "x"


def random_text(draw):
    parts = []
    for _ in range(draw.randint(0, 14)):
        kind = draw.random()
        if kind < 0.35:
            parts.append(draw.choice(WORDS))
        elif kind < 0.45:
            parts.append(draw.choice(SPECIAL))
        elif kind < 0.6:
            parts.append(draw.choice(BLANKS))
        else:
            low, high = draw.choice(RANGES)
            parts.append("".join(assigned(draw, low, high) for _ in range(draw.choice([1, 2, 3, 5, 8, 120 if draw.random() < 0.05 else 4]))))
        if draw.random() < 0.6:
            parts.append(" ")
    return "".join(parts)


def random_lines(backend, seed):
    draw = random.Random(seed)
    for _ in range(RANDOM_LINES):
        line = {"text": random_text(draw)}
        if draw.random() < 0.5:
            line["pair"] = random_text(draw)
        if draw.random() < 0.4:
            line["max_length"] = draw.randint(5, 40)
        backend.no_padding()
        backend.no_truncation()
        if "max_length" in line:
            backend.enable_truncation(line["max_length"])
        encoding = backend.encode(line["text"], line.get("pair"))
        yield line | {"ids": encoding.ids, "type_ids": encoding.type_ids}


def library_tokenizers():
    """name: (tokenizer of the library, its vocabulary files)."""
    import transformers
    vocab = SHARED / "data" / "tokenizers"
    uncased, cased, roberta = (vocab / name for name in ("bert-base-uncased", "bert-base-cased", "roberta-base"))
    found = {
        "bert-base-uncased": (transformers.BertTokenizerFast(str(uncased / "vocab.txt"), do_lower_case=True), uncased),
        "bert-base-cased": (transformers.BertTokenizerFast(str(cased / "vocab.txt"), do_lower_case=False), cased),
        "roberta-base": (transformers.RobertaTokenizerFast(str(roberta / "vocab.json"), str(roberta / "merges.txt")), roberta),
    }
    mpnet = harness.CACHE / "mpnet" / "model" / "all-mpnet-base-v2"
    if (mpnet / "tokenizer.json").exists():
        # Its published tokenizer.json and its vocab.txt differ in `<unk>` and the type ids of pairs, in the library too.
        found["mpnet"] = (transformers.MPNetTokenizerFast(str(mpnet / "vocab.txt")), mpnet)
        found["mpnet-published"] = (transformers.MPNetTokenizerFast.from_pretrained(mpnet), mpnet)
    minilm = harness.CACHE / "demo" / "models" / "minilm"
    if (minilm / "tokenizer.json").exists():
        found["minilm"] = (transformers.BertTokenizerFast.from_pretrained(minilm), minilm)
    return found


def lay_sources(folder, name, tokenizer, vocabulary):
    """The two kinds of folders; tokenizer.json with truncation and padding switched on."""
    plain, whole = folder / f"{name}-vocab", folder / f"{name}-json"
    plain.mkdir()
    for file in ("vocab.txt", "vocab.json", "merges.txt", "tokenizer_config.json"):
        if (vocabulary / file).exists():
            shutil.copy(vocabulary / file, plain)
    if name.startswith("bert"):
        (plain / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": name.endswith("uncased")}))
    tokenizer.backend_tokenizer.enable_truncation(16)
    tokenizer.backend_tokenizer.enable_padding(length=32)
    whole.mkdir()
    tokenizer.backend_tokenizer.save(str(whole / "tokenizer.json"))
    return plain, whole


def main():
    if not harness.use_library_interpreter("tokenizers"):
        return 0
    if not SHARED.is_dir():
        print("skipped: ../shared is absent, which has the vocabularies\n0 passed, 0 failed, 1 skipped")
        return 0
    with tempfile.TemporaryDirectory(prefix="fathom-tokenizer-") as temporary:
        folder = pathlib.Path(temporary)
        entries = []
        for seed, (name, (tokenizer, vocabulary)) in enumerate(library_tokenizers().items()):
            sources = lay_sources(folder, name, tokenizer, vocabulary)
            cases = folder / f"{name}.jsonl"
            cases.write_text("".join(json.dumps(line) + "\n" for line in random_lines(tokenizer.backend_tokenizer, seed)))
            for source in sources[1:] if name.endswith("published") else sources:
                golden = SHARED / "golden" / "tokenizer" / f"{name}.jsonl"
                entries += [{"folder": str(source), "cases": str(file)} for file in (golden, cases) if file.exists()]
        (folder / "cases.json").write_text(json.dumps(entries))

        def every_line_of_every_source():
            done = subprocess.run([harness.BIN / "unit_tokenizer", "--gtest_filter=Interop.*"], capture_output=True, text=True, timeout=500,
                                  env=os.environ | {"FATHOM_TOKENIZER_CASES": str(folder / "cases.json")})
            print("\n".join(line for line in done.stdout.splitlines() if line.endswith(" lines")))
            harness.expect(done.returncode == 0 and "SKIPPED" not in done.stdout, done.stdout[-4000:] + done.stderr[-1000:])

        return harness.run_tests([every_line_of_every_source])


if __name__ == "__main__":
    sys.exit(main())

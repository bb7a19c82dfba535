"""Sweep files for noop_trainer: nothing on disk is needed, since nobody trains."""


def sweep(name, tasks=("a", "b"), rates=("1e-3", "3e-4"), seeds=3, epochs=3, stages=True, stop=None):
    """With two tasks and three seeds 24 adapter jobs, and with stages 6 fusions, 6 prunes and 12 evaluations on them."""
    lines = ["version: 1", f"name: {name}", "model: {path: models/none}", "tasks:"]
    for task in tasks:
        lines.append(f"  {task}: {{data: {{train: {task}/train.tsv, eval: {task}/dev.tsv}}, text: text, label: label, metric: accuracy}}")
    lines += [f"train: {{epochs: {epochs}, batch: 8}}", f"parameters: {{lr: {{values: [{', '.join(rates)}]}}}}",
              f"seeds: [{', '.join(str(s + 1) for s in range(seeds))}]", "retry: {max: 50}", "stages:",
              f"  adapter: {{drop: {{standard: true, specialized: [2]}}{f', stop: {stop}' if stop else ''}}}"]
    if stages:
        lines += ["  fusion: {needs: {from: adapter, where: {drop: standard}}, sets: [all], targets: all}",
                  "  prune: {from: fusion, keep: [1]}", "  evaluate: {from: [fusion, prune], depths: all}"]
    return "\n".join(lines) + "\n"

"""What a report over 10,000 results takes, made-up ones of 200 evaluations: `python benchmarks/many_results.py`."""

import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent

with gzip.open(ROOT / "study" / "main.jsonl.gz", "rt", encoding="utf-8") as file:
    model = json.loads(file.readline())  # a real result, so that all but the returns are of the usual size
rng, size = np.random.default_rng(0), 0
with tempfile.TemporaryDirectory() as folder:
    for env in "ABCDE":
        (Path(folder) / env).mkdir()
        for method in "abcdefghij":
            for seed in range(200):
                made_up = {"env": env, "method": method, "seed": seed, "returns": rng.normal(-150, 50, 200).tolist()}
                config = {**model["config"], "evaluations": 200}
                text = json.dumps({**model, **made_up, "config": config})
                size += (Path(folder) / env / f"{method}-{seed}.json").write_text(text)
    started = time.perf_counter()
    figure, packed = Path(folder) / "figure.png", Path(folder) / "packed"
    command = [sys.executable, ROOT / "report.py", folder, "--figure", figure]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    subprocess.run([*command[:3], "--pack", packed], check=True, stdout=subprocess.DEVNULL)
    print(f"10,000 files of {size / 1e7:.1f} kB; packed into one, {packed.stat().st_size / 1e6:.0f} MB")
    print(f"report and figure: {seconds:.1f} s, {memory:.0f} MB of memory")

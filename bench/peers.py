"""NumPy's and PyTorch's side of the benchmark: peers.py versions, or peers.py PEER CASE BYTES, which prints the seconds of one call as JSON.

One thread. Buffers are made outside the timing and written in place; the case stochastic goes through the data in tiles that fit the cache,
which is faster than whole-array operations. Those, as one would write them, are the case wholeStochastic, on a million weights.
"""

import importlib
import json
import statistics
import sys
import time

BATCHES = 9
BATCH_SECONDS = 0.03
TILE = 1 << 14  # weights: scratch of two float32 arrays in the second-level cache


def versions():
    found = {}
    for name in ("numpy", "torch"):
        try:
            found[name] = importlib.import_module(name).__version__
        except ImportError:
            pass
    return found


def numpy_case(generator, case, count):
    import numpy as np

    rng = np.random.Generator({"SFC64": np.random.SFC64, "Philox": np.random.Philox}[generator](1))
    if case == "stochastic":
        weights = np.clip(rng.standard_normal(count, dtype=np.float32) * 58, -127, 127).astype(np.int8)
        z, u = np.empty(TILE, np.float32), np.empty(TILE, np.float32)

        def call():
            for start in range(0, count, TILE):
                tile = weights[start : start + TILE]
                rng.standard_normal(dtype=np.float32, out=z)
                rng.random(dtype=np.float32, out=u)
                np.add(z, u, out=z)
                np.floor(z, out=z)
                np.add(z, tile, out=z)
                np.clip(z, -127, 127, out=z)
                tile[:] = z

        return call
    out = np.empty(count, np.float32)
    if case == "normal":
        return lambda: rng.standard_normal(dtype=np.float32, out=out)
    return lambda: rng.random(dtype=np.float32, out=out)


def torch_case(case, count):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(1)
    if case == "wholeStochastic":
        weights = torch.empty(count).normal_(std=58).clamp_(-127, 127).to(torch.int8)

        def whole():
            noise = torch.randn(count) + torch.rand(count)
            weights.copy_((weights + torch.floor(noise)).clamp(-127, 127))

        return whole
    if case == "stochastic":
        weights = torch.empty(count).normal_(std=58).clamp_(-127, 127).to(torch.int8)
        z, u = torch.empty(TILE), torch.empty(TILE)

        def call():
            for start in range(0, count, TILE):
                tile = weights[start : start + TILE]
                z.normal_().add_(u.uniform_()).floor_().add_(tile).clamp_(-127, 127)
                tile.copy_(z)

        return call
    out = torch.empty(count)
    return out.normal_ if case == "normal" else out.uniform_


def seconds(call):
    call()
    begin = time.perf_counter()
    call()
    calls = max(1, round(BATCH_SECONDS / max(time.perf_counter() - begin, 1e-9)))
    batches = []
    for _ in range(BATCHES):
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        batches.append((time.perf_counter() - begin) / calls)
    return statistics.median(batches)


def main():
    if sys.argv[1:] == ["versions"]:
        print(json.dumps(versions()))
        return
    peer, case, size = sys.argv[1:]
    width = 4 if case in ("uniform", "normal") else 1
    count = 1 << 20 if case == "wholeStochastic" else int(size) // width
    call = torch_case(case, count) if peer == "PyTorch" else numpy_case(peer.split()[1], case, count)
    print(json.dumps({"seconds": seconds(call), "elements": count, "bytes": count * width}))


main()

"""The side of NumPy, PyTorch and JAX of the benchmark: peers.py versions; peers.py PEER CASE BYTES [THREADS], which prints the seconds of
one call as JSON; or peers.py serve PEER THREADS, which answers requests, one JSON object a line, as long as there are some: what is imported
and compiled once serves all rounds.

One thread, unless told otherwise. Buffers are made outside the timing and written in place; the case stochastic goes through the data in tiles
that fit the cache, which is faster than whole-array operations. Those, as one would write them, are the case wholeStochastic, on a million
weights; compiled by the library's own compiler, compiledStochastic. The case qes is the published rule of QES (arXiv 2602.03120): the floor of
the scaled noise, and one more with the probability of what the floor took away; compiled, compiledQes.
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
    for name in ("numpy", "torch", "jax"):
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


def torch_case(case, count, threads):
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    if case == "qes":
        weights = torch.empty(count).normal_(std=58).clamp_(-127, 127).to(torch.int8)
        z, low = torch.empty(TILE), torch.empty(TILE)

        def qes():
            for start in range(0, count, TILE):
                tile = weights[start : start + TILE]
                z.normal_()
                torch.floor(z, out=low)
                low.add_(torch.bernoulli(z.sub_(low))).add_(tile).clamp_(-127, 127)
                tile.copy_(low)

        return qes
    if case in ("compiledStochastic", "compiledQes"):
        weights = torch.empty(count).normal_(std=58).clamp_(-127, 127).to(torch.int8)

        @torch.compile
        def rounded(weights):
            noise = torch.floor(torch.randn(count) + torch.rand(count))
            return (weights + noise).clamp(-127, 127).to(torch.int8)

        @torch.compile
        def by_qes(weights):
            noise = torch.randn(count)
            low = torch.floor(noise)
            return (weights + low + torch.bernoulli(noise - low)).clamp(-127, 127).to(torch.int8)

        moved = by_qes if case == "compiledQes" else rounded

        def compiled():
            weights.copy_(moved(weights))

        return compiled
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


def jax_case(case, count):
    import jax
    import jax.numpy as jnp

    state = {"key": jax.random.key(1, impl="rbg"), "weights": None}
    if case == "normal":

        @jax.jit
        def normal(key):
            key, use = jax.random.split(key)
            return key, jax.random.normal(use, (count,), jnp.float32)

        def call():
            state["key"], out = normal(state["key"])
            out.block_until_ready()

        return call
    state["weights"] = jnp.clip(58 * jax.random.normal(state["key"], (count,)), -127, 127).astype(jnp.int8)

    @jax.jit
    def rounded(key, weights):
        key, first, second = jax.random.split(key, 3)
        noise = jnp.floor(jax.random.normal(first, (count,), jnp.float32) + jax.random.uniform(second, (count,), jnp.float32))
        return key, jnp.clip(weights + noise, -127, 127).astype(jnp.int8)

    def call():
        state["key"], state["weights"] = rounded(state["key"], state["weights"])
        state["weights"].block_until_ready()

    return call


def seconds(call, budget):
    """Median of a call, in batches until the budget is spent, three at least."""
    call()
    begin = time.perf_counter()
    call()
    calls = max(1, round(BATCH_SECONDS / max(time.perf_counter() - begin, 1e-9)))
    batches = []
    end = time.perf_counter() + budget
    while len(batches) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        batches.append((time.perf_counter() - begin) / calls)
    return statistics.median(batches)


def made(peer, case, size, threads):
    """A case's call, and how many numbers or weights it makes."""
    count = 1 << 20 if case == "wholeStochastic" else size // (4 if case in ("uniform", "normal") else 1)
    if peer == "PyTorch":
        return torch_case(case, count, threads), count
    if peer == "JAX":
        return jax_case(case, count), count
    return numpy_case(peer.split()[1], case, count), count


def serve(peer, threads):
    cases = {}
    for line in sys.stdin:
        request = json.loads(line)
        key = (request["name"], request["bytes"])
        try:
            if key not in cases:
                cases[key] = made(peer, *key, threads)
            call, count = cases[key]
            answer = {"seconds": seconds(call, request["budget"]), "elements": count}
        except Exception as error:  # whatever a library says of itself
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), flush=True)


def main():
    if sys.argv[1:] == ["versions"]:
        print(json.dumps(versions()))
        return
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
        return
    peer, case, size, *more = sys.argv[1:]
    call, count = made(peer, case, int(size), int(more[0]) if more else 1)
    width = 4 if case in ("uniform", "normal") else 1
    print(json.dumps({"seconds": seconds(call, BATCHES * BATCH_SECONDS), "elements": count, "bytes": count * width}))


main()

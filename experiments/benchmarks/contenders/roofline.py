"""The rate of large matrix products, an upper bound for every network. An example is one FLOP."""

import time

import jax
import jax.numpy as jnp

from contenders.serving import Contender, Turn, serve
from contenders.workloads import Workload

SIZE = 2048


def build(workload: Workload, examples: int) -> Contender:
    """Returns a contender that multiplies two square float32 matrices, for every workload."""
    a, b = (jax.random.normal(jax.random.key(i), (SIZE, SIZE)) for i in range(2))
    product = jax.jit(lambda a, b: a @ b)

    def run(times: int) -> Turn:
        start = time.perf_counter()
        for _ in range(times):
            c = product(a, b)
            jax.block_until_ready(c)
        return Turn(times * 2 * SIZE**3, time.perf_counter() - start, float(jnp.abs(c[0, 0])))

    return Contender(run, 0)


if __name__ == "__main__":
    serve({"roofline": build})

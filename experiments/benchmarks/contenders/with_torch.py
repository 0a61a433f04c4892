"""PyTorch in the style of its tutorials: modules, Adam, a Python loop over batches cut in advance.

Images are channels first, and there are as many threads as cores. The modules run eagerly or
through `torch.compile`.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from contenders.serving import Contender, cores, serve, timed_loop
from contenders.workloads import (
    ALPHABET,
    HIDDEN,
    LATENT,
    LEAK,
    LEARNING_RATE,
    NARROW,
    NOISE,
    WIDE,
    Workload,
)

Batch = dict[str, torch.Tensor]
Compile = Callable[[nn.Module], nn.Module]

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))


def cnn5() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(7 * 7 * 64, 1024),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(1024, 10),
    )


def cnn3() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(12 * 12 * 64, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    )


class Text(nn.Module):
    """Two recurrent layers over one-hot symbols; predicts the next symbol from the last step."""

    def __init__(self, layer: type[nn.LSTM] | type[nn.GRU]):
        super().__init__()
        self.layers = layer(ALPHABET, HIDDEN, num_layers=2, batch_first=True)
        self.out = nn.Linear(HIDDEN, ALPHABET)

    def forward(self, tokens):
        h, _ = self.layers(F.one_hot(tokens, ALPHABET).float())
        return self.out(h[:, -1])


class VAE(nn.Module):
    """A VAE with the encoder 784-512-256-20 and the mirrored decoder."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(784, WIDE), nn.ReLU(), nn.Linear(WIDE, NARROW), nn.ReLU()
        )
        self.mean = nn.Linear(NARROW, LATENT)
        self.logvar = nn.Linear(NARROW, LATENT)
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, NARROW),
            nn.ReLU(),
            nn.Linear(NARROW, WIDE),
            nn.ReLU(),
            nn.Linear(WIDE, 784),
        )

    def forward(self, x):
        h = self.encoder(x)
        mean = self.mean(h)
        logvar = self.logvar(h)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        return self.decoder(z), mean, logvar


def generator() -> nn.Module:
    """Returns the generator: noise to images."""
    return nn.Sequential(
        nn.Linear(NOISE, 7 * 7 * 128, bias=False),
        nn.Unflatten(1, (128, 7, 7)),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 5, 2, 2, 1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 5, 2, 2, 1),
        nn.Tanh(),
    )


def discriminator() -> nn.Module:
    """Returns the discriminator: images to logits."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 5, 2, 2),
        nn.LeakyReLU(LEAK),
        nn.Conv2d(64, 128, 5, 2, 2),
        nn.LeakyReLU(LEAK),
        nn.Flatten(),
        nn.Linear(7 * 7 * 128, 1),
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": mlp,
    "cnn5": cnn5,
    "cnn3": cnn3,
    "lstm": lambda: Text(nn.LSTM),
    "gru": lambda: Text(nn.GRU),
    "vae": VAE,
}


def build(workload: Workload, examples: int, compiled: bool) -> Contender:
    """Returns the contender, with eager or compiled modules."""
    torch.manual_seed(0)
    torch.set_num_threads(cores())
    # JAX uses this precision by default on a GPU. On a CPU it has no effect.
    torch.set_float32_matmul_precision("high")
    batches = [
        {name: tensor(x) for name, x in batch.items()} for batch in workload.batches(examples)
    ]
    compile_module = torch.compile if compiled else lambda module: module
    if workload.network == "dcgan":
        step, params = adversarial(compile_module)
    else:
        step, params = supervised(workload.network, compile_module)
    return Contender(timed_loop(step, batches, workload.batch_size), params)


def tensor(x) -> torch.Tensor:
    """Returns a tensor on the device, with images channels first and integers as int64."""
    x = torch.from_numpy(x)
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2).contiguous()
    dtype = torch.float32 if x.is_floating_point() else torch.int64
    return x.to(DEVICE, dtype)


def supervised(
    network: str, compile_module: Compile
) -> tuple[Callable[[Batch], torch.Tensor], int]:
    """Returns the step of a network with one loss, and its number of parameters."""
    module = MODELS[network]().to(DEVICE)
    model = compile_module(module)
    adam = torch.optim.Adam(module.parameters(), LEARNING_RATE)

    def step(batch: Batch) -> torch.Tensor:
        adam.zero_grad(set_to_none=True)
        out = model(batch["input"])
        if network == "vae":
            loss = negative_elbo(*out, batch["input"])
        else:
            loss = F.cross_entropy(out, batch["label"])
        loss.backward()
        adam.step()
        return loss.detach()

    # The recurrent layers have two biases that are only added to each other. In a GRU, this applies
    # to two of its three gates.
    doubled = {"lstm": 2 * 4 * HIDDEN, "gru": 2 * 2 * HIDDEN}.get(network, 0)
    return step, count_parameters(module) - doubled


def negative_elbo(
    logits: torch.Tensor, mean: torch.Tensor, logvar: torch.Tensor, x: torch.Tensor
) -> torch.Tensor:
    """Computes the negative evidence lower bound."""
    nll = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kl = 0.5 * torch.sum(mean**2 + logvar.exp() - 1 - logvar)
    return (nll + kl) / x.shape[0]


def adversarial(compile_module: Compile) -> tuple[Callable[[Batch], torch.Tensor], int]:
    """Returns the step of the GAN, and its number of parameters.

    A step updates the discriminator, and then the generator with new noise.
    """
    d_module = discriminator().to(DEVICE)
    g_module = generator().to(DEVICE)
    d = compile_module(d_module)
    g = compile_module(g_module)
    d_adam, g_adam = (
        torch.optim.Adam(module.parameters(), LEARNING_RATE) for module in (d_module, g_module)
    )

    def noise(batch: Batch) -> torch.Tensor:
        return torch.randn(batch["input"].shape[0], NOISE, device=DEVICE)

    def step(batch: Batch) -> torch.Tensor:
        d_module.requires_grad_(True)
        d_adam.zero_grad(set_to_none=True)
        with torch.no_grad():
            fake = g(noise(batch))
        loss = (F.softplus(-d(batch["input"])) + F.softplus(d(fake))).mean()
        loss.backward()
        d_adam.step()

        # The generator's gradient passes through the discriminator, whose weights need no gradient.
        d_module.requires_grad_(False)
        g_adam.zero_grad(set_to_none=True)
        F.softplus(-d(g(noise(batch)))).mean().backward()
        g_adam.step()
        return loss.detach()

    return step, count_parameters(d_module) + count_parameters(g_module)


def count_parameters(module: nn.Module) -> int:
    """Returns the number of trainable parameters."""
    return sum(p.numel() for p in module.parameters())


if __name__ == "__main__":
    serve({"torch": partial(build, compiled=False), "torch-compile": partial(build, compiled=True)})

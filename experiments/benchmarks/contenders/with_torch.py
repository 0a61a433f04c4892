"""PyTorch as its tutorials write it: modules, Adam, a Python loop over batches that are cut already; eager or compiled.

Images are channels first, threads as many as cores. Compiled, the modules go through `torch.compile`.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from contenders.serving import Contender, cores, looped, serve
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
        *(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(
            nn.Flatten(),
            nn.Linear(7 * 7 * 64, 1024),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(1024, 10),
        ),
    )


def cnn3() -> nn.Module:
    return nn.Sequential(
        *(
            nn.Conv2d(1, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
        ),
        *(
            nn.Flatten(),
            nn.Linear(12 * 12 * 64, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, 10),
        ),
    )


class Text(nn.Module):
    """Two recurrent layers over one-hot symbols, and the next symbol from the last step."""

    def __init__(self, layer: type[nn.LSTM] | type[nn.GRU]):
        super().__init__()
        self.layers = layer(ALPHABET, HIDDEN, num_layers=2, batch_first=True)
        self.out = nn.Linear(HIDDEN, ALPHABET)

    def forward(self, tokens):
        h, _ = self.layers(F.one_hot(tokens, ALPHABET).float())
        return self.out(h[:, -1])


class VAE(nn.Module):
    """784-512-256-20 and back."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(784, WIDE), nn.ReLU(), nn.Linear(WIDE, NARROW), nn.ReLU()
        )
        self.mean = nn.Linear(NARROW, LATENT)
        self.logvar = nn.Linear(NARROW, LATENT)
        self.decoder = nn.Sequential(
            *(
                nn.Linear(LATENT, NARROW),
                nn.ReLU(),
                nn.Linear(NARROW, WIDE),
                nn.ReLU(),
                nn.Linear(WIDE, 784),
            )
        )

    def forward(self, x):
        h = self.encoder(x)
        mean = self.mean(h)
        logvar = self.logvar(h)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        return self.decoder(z), mean, logvar


def generator() -> nn.Module:
    """Noise to images."""
    return nn.Sequential(
        *(
            nn.Linear(NOISE, 7 * 7 * 128, bias=False),
            nn.Unflatten(1, (128, 7, 7)),
            nn.BatchNorm2d(128),
            nn.ReLU(),
        ),
        *(nn.ConvTranspose2d(128, 64, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.ConvTranspose2d(64, 1, 5, 2, 2, 1), nn.Tanh()),
    )


def discriminator() -> nn.Module:
    """Images to logits."""
    return nn.Sequential(
        *(
            nn.Conv2d(1, 64, 5, 2, 2),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(64, 128, 5, 2, 2),
            nn.LeakyReLU(LEAK),
        ),
        *(nn.Flatten(), nn.Linear(7 * 7 * 128, 1)),
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
    """Eager, or with the modules compiled."""
    torch.manual_seed(0)
    torch.set_num_threads(cores())
    # What JAX does by itself on a GPU; without meaning on a CPU.
    torch.set_float32_matmul_precision("high")
    batches = [
        {name: tensor(x) for name, x in batch.items()} for batch in workload.batches(examples)
    ]
    as_run = torch.compile if compiled else lambda module: module
    step, params = (
        adversarial(as_run) if workload.network == "dcgan" else supervised(workload.network, as_run)
    )
    return Contender(looped(step, batches, workload.batch_size), params)


def tensor(x) -> torch.Tensor:
    """On the device; images channels first, whole numbers as PyTorch wants them."""
    x = torch.from_numpy(x)
    x = x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x
    return x.to(DEVICE, torch.float32 if x.is_floating_point() else torch.int64)


def supervised(network: str, as_run: Compile) -> tuple[Callable[[Batch], torch.Tensor], int]:
    """The step of a network with one loss."""
    module = MODELS[network]().to(DEVICE)
    model = as_run(module)
    adam = torch.optim.Adam(module.parameters(), LEARNING_RATE)

    def step(batch: Batch) -> torch.Tensor:
        adam.zero_grad(set_to_none=True)
        out = model(batch["input"])
        loss = (
            bound(*out, batch["input"])
            if network == "vae"
            else F.cross_entropy(out, batch["label"])
        )
        loss.backward()
        adam.step()
        return loss.detach()

    # The recurrent layers have two biases that are only added to one another: in a GRU for two of its three gates.
    doubled = {"lstm": 2 * 4 * HIDDEN, "gru": 2 * 2 * HIDDEN}.get(network, 0)
    return step, numbers(module) - doubled


def bound(
    logits: torch.Tensor, mean: torch.Tensor, logvar: torch.Tensor, x: torch.Tensor
) -> torch.Tensor:
    """Minus the evidence lower bound."""
    nll = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kl = 0.5 * torch.sum(mean**2 + logvar.exp() - 1 - logvar)
    return (nll + kl) / x.shape[0]


def adversarial(as_run: Compile) -> tuple[Callable[[Batch], torch.Tensor], int]:
    """The discriminator's update, then the generator's with new noise."""
    d_module = discriminator().to(DEVICE)
    g_module = generator().to(DEVICE)
    d = as_run(d_module)
    g = as_run(g_module)
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

        # The generator's gradient passes through the discriminator, whose weights need none now.
        d_module.requires_grad_(False)
        g_adam.zero_grad(set_to_none=True)
        F.softplus(-d(g(noise(batch)))).mean().backward()
        g_adam.step()
        return loss.detach()

    return step, numbers(d_module) + numbers(g_module)


def numbers(module: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in module.parameters())


if __name__ == "__main__":
    serve({"torch": partial(build, compiled=False), "torch-compile": partial(build, compiled=True)})

"""The judge of drawn images: a classifier of the real ones, trained once and kept in the cache.

    python experiments/judge.py
    python experiments/judge.py --data mnist

The experiments that draw images (vae, gan, dcgan, conditional_dcgan) measure them in its features and store its
accuracy and the hash of its weights beside every number; they train it themselves if it is missing.
"""

from jaxdl.experiment import launch
from jaxdl.experiment.judge import Judging as Config
from jaxdl.experiment.judge import main

if __name__ == "__main__":
    launch(main, Config)

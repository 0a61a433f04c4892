"""Bad command lines of experiments that generate or restore images."""

from tests.bad_inputs.allowed import CLASSES, IMAGES, INSIDE

NO_MIXTURE = "neither mixup nor cutmix in this experiment"

BAD = [
    (
        "gan",
        "--find-lr",
        "find_lr: got True, allowed: False in this experiment, whose losses do not measure "
        "progress",
    ),
    ("gan", "--latent 0", "latent: got 0, allowed: at least 1"),
    ("gan", "--augment shift=-1", "augment: got 'shift=-1', allowed: at least 0"),
    ("gan", "--augment shift=8", f"augment: got 'shift=8', allowed: {INSIDE}"),
    (
        "gan",
        "--augment mixup=1",
        f"augment: got 'mixup=1', allowed: {NO_MIXTURE}",
    ),
    ("gan", "--critic-steps 0", "critic_steps: got 0, allowed: at least 1"),
    (
        "gan",
        "--discriminator-learning-rate 0",
        "discriminator_learning_rate: got 0.0, allowed: a finite number above 0",
    ),
    ("dcgan", "--dense 0", "dense: got 0, allowed: at least 1"),
    (
        "gan",
        "--patience 3 --validation 0.1",
        "patience: got 3, allowed: 0 (a GAN's losses do not measure progress)",
    ),
    (
        "gan",
        "--label-smoothing 0.1 --loss hinge",
        "label_smoothing: got 0.1, allowed: 0, with the loss hinge",
    ),
    ("gan", "--data moons", IMAGES),
    (
        "dcgan",
        "--feature-classifier nowhere",
        "feature_classifier: got 'nowhere', "
        "allowed: the directory of a finished run of "
        "jaxdl run feature_classifier --data digits",
    ),
    ("vae", "--latent 0", "latent: got 0, allowed: at least 1"),
    (
        "vae",
        "--likelihood gaussian",
        "binarize: got 'dynamic', allowed: none, with the likelihood gaussian",
    ),
    (
        "autoencoder",
        "--images 1439",
        "images: got 1439, allowed: at most the size of the training set, 1438",
    ),
    ("autoencoder", "--augment mixup=1", f"augment: got 'mixup=1', allowed: {NO_MIXTURE}"),
    ("autoencoder", "--augment shift=8", f"augment: got 'shift=8', allowed: {INSIDE}"),
    ("denoising", "--augment rotate=5,shift=8", f"augment: got 'shift=8', allowed: {INSIDE}"),
    ("vae", "--augment cutmix=1", f"augment: got 'cutmix=1', allowed: {NO_MIXTURE}"),
    ("vae", "--augment cutout=8", f"augment: got 'cutout=8', allowed: {INSIDE}"),
    ("vae_vs_autoencoder", "--augment shift=-1", "augment: got 'shift=-1', allowed: at least 0"),
    ("autoencoder", "--hidden 0", "hidden: got 0, allowed: at least 1"),
    ("denoising", "--sigma -1", "sigma: got -1.0, allowed: a finite number above 0"),
    (
        "vae_vs_autoencoder",
        "--networks vae vae",
        "networks: got ('vae', 'vae'), allowed: autoencoder, vae, each once",
    ),
    ("dcgan", "--features 0", "features: got 0, allowed: at least 1"),
    (
        "gan",
        "--batch-size 5000",
        "batch_size: got 5000, allowed: an integer from 1 to 1438, the size of digits",
    ),
    (
        "gan",
        "--optimizer schedule_free",
        "optimizer: got 'schedule_free', allowed: one that can update a part of the parameters",
    ),
    ("pixelcnn", "--bits 9", "bits: got 9, allowed: at most 8"),
    ("pix2pix", "--l1-weight -1", "l1_weight: got -1.0, allowed: a number in [0, inf)"),
    (
        "pix2pix",
        "--methods l1 l1",
        "methods: got ('l1', 'l1'), allowed: l1, adversarial, each once",
    ),
    (
        "pix2pix",
        "--target outlines",
        "target: got 'outlines', allowed: another domain than that of the source",
    ),
    (
        "cyclegan",
        "--target coloured",
        "identity: got 0.5, allowed: 0 with coloured images, which have more channels",
    ),
    (
        "pixelcnn",
        "--binarize fixed",
        "binarize: got 'fixed', allowed: none, with 4 bits; write --bits 1",
    ),
    ("pixelcnn", "--bits 1 --draws 3", "draws: got 3, allowed: 1, without --binarize fixed"),
    ("pixelcnn", "--kernel-size 4", "kernel_size: got 4, allowed: an odd number"),
    ("pixelcnn", "--data moons", CLASSES),
    ("pixelrnn", "--layers 0", "layers: got 0, allowed: at least 1"),
    ("wavenet", "--seconds 0", "seconds: got 0.0, allowed: a finite number above 0"),
    ("wavenet", "--levels 1", "levels: got 1, allowed: at least 2"),
    (
        "wavenet",
        "--window 256",
        "window: got 256, allowed: at least 257; fewer --layers or --stacks need less",
    ),
    (
        "wavenet",
        "--data noise",
        "data: got 'noise', allowed: a path that ends in .wav, plucked, sines",
    ),
    (
        "wavenet",
        "--data missing.wav",
        "missing.wav: got 'no such file', allowed: a .wav file of 16-bit PCM with one channel",
    ),
]

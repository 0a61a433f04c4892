"""Bad command lines of experiments that look at networks, and of texts and clips."""

from tests.bad_inputs.allowed import INSIDE, METHODS

NOWHERE = (
    "network: got 'nowhere', allowed: a directory with model.json and weights.safetensors, "
    "such as that of a finished run"
)

BAD = [
    (
        "why",
        "--methods gradient lim",
        f"methods: got 'lim', allowed: {METHODS} (did you mean 'lime'?)",
    ),
    ("why", "--samples 10", "samples: got 10, allowed: at least 200"),
    ("why", "--gradients 0", "gradients: got 0, allowed: at least 1"),
    ("why", "--count 0", "count: got 0, allowed: at least 1"),
    ("why", "--strays 1", "strays: got 1.0, allowed: a number in [0, 1)"),
    ("why", "--mark-strength 0", "mark_strength: got 0.0, allowed: a number in (0, 1]"),
    (
        "why",
        "--marked-class 10",
        "marked_class: got 10, allowed: a class in [0, 10)",
    ),
    (
        "why",
        "--mark-size 9",
        "mark: got 9, allowed: a mark whose size and margin add up to at most 8",
    ),
    (
        "why",
        "--mark-color 1 0 0",
        "mark_color: got (1.0, 0.0, 0.0), allowed: one number, or 1, one for each channel",
    ),
    (
        "why",
        "--networks twin twin",
        "networks: got ('twin', 'twin'), allowed: marked, twin, everywhere, each once",
    ),
    ("why", "--images folder", "images: got 'folder', allowed: none without --load; use --data"),
    ("why", "--load nowhere", NOWHERE),
    (
        "text_generation",
        "--test-fraction 1",
        "test_fraction: got 1.0, allowed: a number in (0, 1)",
    ),
    ("video", "--clips 0", "clips: got 0, allowed: at least 5"),
    ("adversarial", "--epsilon -0.1", "epsilon: got -0.1, allowed: a number in [0, inf)"),
    (
        "adversarial",
        "--epsilon 0",
        "epsilon: got 0.0, allowed: above 0; --defences none trains as usual",
    ),
    ("adversarial", "--attack-steps 0", "attack_steps: got 0, allowed: at least 1"),
    ("adversarial", "--starts 0", "starts: got 0, allowed: at least 1"),
    ("adversarial", "--training-steps 0", "training_steps: got 0, allowed: at least 1"),
    ("adversarial", "--attack-warmup 1", "attack_warmup: got 1.0, allowed: a number in [0, 1)"),
    ("adversarial", "--trades -1", "trades: got -1.0, allowed: a number in [0, inf)"),
    (
        "adversarial",
        "--defences pgd pgd",
        "defences: got ('pgd', 'pgd'), allowed: none, fgsm, pgd, trades, each once",
    ),
    (
        "adversarial",
        "--training-epsilon -1",
        "training_epsilon: got -1.0, allowed: a number in [0, inf)",
    ),
    (
        "adversarial",
        "--augment mixup=1",
        "augment: got 'mixup=1', allowed: neither mixup nor cutmix in this experiment",
    ),
    ("adversarial", "--augment shift=8", f"augment: got 'shift=8', allowed: {INSIDE}"),
    *(
        (
            name,
            "--augment flip=0.5 --load runs/mine",
            "augment: got 'flip=0.5', allowed: none with --load, which trains no network",
        )
        for name in ("adversarial", "dream", "style", "what_it_sees", "why")
    ),
    *(
        (
            name,
            f"--{option.replace('_', '-')} {value} --load runs/mine",
            f"{option}: got {shown}, allowed: none with --load, which trains no network",
        )
        for name, option, value, shown in [
            ("adversarial", "seeds", "3", "3"),
            ("adversarial", "defences", "pgd", "('pgd',)"),
            ("adversarial", "trades", "2", "2.0"),
            ("dream", "epochs", "7", "7.0"),
            ("landscape", "networks", "plain", "('plain',)"),
            ("landscape", "batch_size", "7", "7"),
            ("landscape", "hidden", "8", "(8,)"),
            ("style", "learning_rate", "0.5", "0.5"),
            ("what_it_sees", "seeds", "2", "2"),
            ("why", "networks", "twin", "('twin',)"),
            ("why", "seeds", "2", "2"),
            ("why", "strays", "0.5", "0.5"),
        ]
    ),
    ("dream", "--seeds 2 --load nowhere", NOWHERE),
    (
        "fine_tune",
        "--validation 0.1",
        "validation: got 0.1, allowed: 0 in this experiment, whose labels are all trained on",
    ),
    ("why", "--augment shift=8", f"augment: got 'shift=8', allowed: {INSIDE}"),
    ("what_it_sees", "--augment crop=8", f"augment: got 'crop=8', allowed: {INSIDE}"),
    ("style", "--size 0", "size: got 0, allowed: at least 1"),
    ("style", "--evaluations 0", "evaluations: got 0, allowed: at least 1"),
    ("style", "--style-weight -1", "style_weight: got -1.0, allowed: a number in [0, inf)"),
    (
        "style",
        "--content=",
        "content: got '', allowed: temple, flower, painting, or the path of an image",
    ),
    ("dream", "--octaves 0", "octaves: got 0, allowed: at least 1"),
    ("dream", "--ratio 1", "ratio: got 1.0, allowed: a number above 1, such as 1.4"),
    ("dream", "--dream-steps -1", "dream_steps: got -1, allowed: at least 0"),
    ("dream", "--step-size -1", "step_size: got -1.0, allowed: a number in [0, inf)"),
    ("dream", "--size 0", "size: got 0, allowed: at least 1"),
    (
        "dream",
        "--size 8",
        "octaves: got 4, allowed: at most 2; the smallest octave would have 2 × 3 pixels, too few "
        "for the network",
    ),
    (
        "dream",
        "--photograph templ",
        "photograph: got 'templ', allowed: flower, temple, the path of a PNG or JPEG file "
        "(did you mean 'temple'?)",
    ),
    (
        "dream",
        "--layers conv_7",
        "layers: got 'conv_7', allowed: Dropout_0, Dropout_1, Dropout_2, activation_0, "
        "activation_1, activation_2, conv_0, conv_1, conv_2, head, head/Dropout_0, "
        "head/activation_0, head/dense_0, head/out, pool_0, pool_1 (did you mean 'conv_2'?)",
    ),
    ("dream", "--load nowhere", NOWHERE),
    (
        "landscape",
        "--networks plain plain",
        "networks: got ('plain', 'plain'), allowed: small_batch, large_batch, two_seeds, residual, "
        "plain, each once",
    ),
    ("landscape", "--hidden 8 0", "hidden: got 0, allowed: at least 1"),
    ("landscape", "--points 1", "points: got 1, allowed: at least 2"),
    ("landscape", "--span 0", "span: got 0.0, allowed: above 0"),
    ("landscape", "--examples 0", "examples: got 0, allowed: at least 1"),
    ("landscape", "--load nowhere", NOWHERE),
    (
        "word2vec",
        "--method word",
        "invalid choice 'word' for argument '--method'. "
        "Expected one of ('skip_gram', 'cbow', 'glove').",
    ),
    (
        "word2vec",
        "--evaluation nowhere",
        "evaluation: got 'nowhere', allowed: a directory with wordsim353.tsv and "
        "questions-words.txt",
    ),
    ("word2vec", "--data nowhere.txt", "data: got 'nowhere.txt', allowed: a file that exists"),
]

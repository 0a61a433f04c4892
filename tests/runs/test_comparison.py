"""Comparison of two results: what is promised to be equal, and whether it is."""

import copy

import pytest

from jaxdl.runs.comparison import compare_results, report

RESULT = {
    "steps": 20,
    "metrics": {"test/loss": 0.5, "test/accuracy": 0.9},
    "state_sha256": "a" * 64,
    "members": [{"seed": 0, "state_sha256": "b" * 64, "metrics": {"test/loss": 0.5}}],
    "data": {"train": {"name": "moons", "sha256": "c" * 64, "size": 9}},
    "environment": {
        "versions": {"python": "3.11.7", "jax": "0.10.2"},
        **{
            "platform": "cpu",
            "machine": "x86_64",
            "device_kind": "cpu",
            "device_count": 1,
            "processes": 1,
        },
        **{
            "processor": "AMD 1a2b3c4d",
            "cores": 2,
            "cpu_threads": 2,
            "prng": "threefry2x32",
            "xla_flags": "",
        },
    },
    "seconds": {"total": 1.0},
}


def changed(*changes: tuple[str, object]) -> dict:
    """Returns the result with other values at these paths."""
    result = copy.deepcopy(RESULT)
    for path, value in changes:
        *parents, last = path.split(".")
        node = result
        for name in parents:
            node = node[int(name) if isinstance(node, list) else name]
        node[last] = value
    return result


def test_equal_results():
    comparison = compare_results(
        RESULT, changed(("seconds.total", 2.0), ("data.train.name", "elsewhere"))
    )
    assert comparison == (True, True, "bits", {}, {})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("state_sha256", "d" * 64),
        ("steps", 19),
        ("metrics.test/accuracy", 0.9000000000000001),
        ("metrics.test/loss", "nan"),
        ("members.0.state_sha256", "e" * 64),
        ("data.train.sha256", "f" * 64),
        ("feature_classifier", {"sha256": "g" * 64}),
    ],
)
def test_any_difference_breaks_the_promise_of_equal_bits(path, value):
    comparison = compare_results(RESULT, changed((path, value)))
    assert (
        comparison.same,
        comparison.promise_kept,
        comparison.level,
        len(comparison.differences),
    ) == (
        False,
        False,
        "bits",
        1,
    )
    (name,) = comparison.differences
    assert name.startswith(path.replace(".", "/"))
    assert "DIFFERS" in report(RESULT, changed((path, value)), comparison)


@pytest.mark.parametrize(
    ("path", "value", "level"),
    [
        ("device_count", 2, "data"),
        ("processes", 2, "data"),
        ("cpu_threads", 1, "data"),
        ("processor", "AMD 00000000", "data"),
        ("cores", 1, "bits"),
        ("versions", {"python": "3.11.7", "jax": "0.11.0"}, "nothing"),
        ("versions", {"python": "3.12.0", "jax": "0.10.2"}, "bits"),
        ("platform", "tpu", "nothing"),
        ("machine", "aarch64", "nothing"),
        ("device_kind", "another", "nothing"),
        ("xla_flags", "--xla_cpu_enable_fast_math=true", "nothing"),
        (
            "xla_flags",
            "--xla_force_host_platform_device_count=2",
            "bits",
        ),  # the devices are counted instead
    ],
)
def test_the_level_follows_from_the_environment(path, value, level):
    comparison = compare_results(changed((f"environment.{path}", value)), RESULT)
    assert (comparison.level, comparison.same, comparison.promise_kept) == (level, True, True)
    assert bool(comparison.reasons) == (level != "bits")


@pytest.mark.parametrize(("name", "value"), [("cpu_threads", 96), ("processor", "AMD 00000000")])
def test_with_an_accelerator_the_processor_of_the_host_is_ignored(name, value):
    old = changed(("environment.platform", "tpu"))
    assert (
        compare_results(
            old, changed(("environment.platform", "tpu"), (f"environment.{name}", value))
        ).level
        == "bits"
    )


@pytest.mark.parametrize(
    ("flags", "level"), [("--xla_gpu_deterministic_ops=true", "bits"), ("", "nothing")]
)
def test_a_gpu_promises_bits_only_with_the_deterministic_flag(flags, level):
    result = changed(("environment.platform", "gpu"), ("environment.xla_flags", flags))
    assert compare_results(result, result).level == level


@pytest.mark.parametrize(
    ("path", "value", "kept"),
    [
        ("metrics.test/loss", 0.6, True),
        ("members.0.metrics", {"test/loss": 0.6}, True),
        ("state_sha256", "d" * 64, True),
        ("steps", 19, False),
        ("data.train.sha256", "d" * 64, False),
    ],
)
def test_another_number_of_devices_promises_equal_data(path, value, kept):
    new = changed(("environment.device_count", 2), (path, value))
    comparison = compare_results(RESULT, new)
    assert (comparison.level, comparison.same, comparison.promise_kept) == ("data", False, kept)
    verdict = {True: "as promised", False: "NOT reproduced"}[kept]
    assert report(RESULT, new, comparison).splitlines()[-2:] == [
        "promised: the same data and random numbers, but other rounding "
        "(device_count: old 1, new 2)",
        f"{verdict}: 1 of 8 values differ",
    ]


def test_another_version_promises_nothing():
    old = changed(
        ("environment.versions", {"python": "3.11.7", "jax": "0.9.0"}), ("state_sha256", "d" * 64)
    )
    comparison = compare_results(old, RESULT)
    assert (comparison.level, comparison.same, comparison.promise_kept) == ("nothing", False, True)
    assert report(old, RESULT, comparison).splitlines()[-2:] == [
        "promised: nothing (versions/jax: old 0.9.0, new 0.10.2)",
        "as promised: 1 of 8 values differ",
    ]


@pytest.mark.parametrize(
    ("option", "level"),
    [
        ("strategy", "data"),
        ("cpu_threads", "data"),
        ("deterministic", "data"),
        ("debug", "nothing"),
        ("steps", "bits"),
    ],
)
def test_options_that_changed_during_the_run(option, level):
    old = RESULT | {"conversions": {option: [3, 1, 2]}}
    comparison = compare_results(old, changed(("state_sha256", "d" * 64)))
    assert (comparison.level, comparison.promise_kept) == (level, level != "bits")
    expected = {f"{option} during the run": (1, 2)}
    if level == "bits":
        expected = {}
    assert comparison.reasons == expected


@pytest.mark.parametrize(
    ("part", "level"), [("processor", "data"), ("versions/jax", "nothing"), ("cores", "bits")]
)
def test_parts_of_the_environment_that_changed_during_the_run(part, level):
    old = RESULT | {"conversions": {part: ["a", "b"]}}
    assert compare_results(old, RESULT).level == level


def test_with_an_accelerator_a_change_of_threads_is_ignored():
    old = changed(("environment.platform", "tpu")) | {"conversions": {"cpu_threads": [1, 2]}}
    assert compare_results(old, changed(("environment.platform", "tpu"))).level == "bits"


def evaluated(sha256: str, **environment: object) -> dict:
    """Returns a result with generated images that a feature classifier has evaluated."""
    classifier = {"sha256": sha256, "environment": RESULT["environment"] | environment}
    distance = {"a": 1.0, "b": 2.0}[sha256]
    return changed(("feature_classifier", classifier), ("metrics.samples/fid_classifier", distance))


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (
            evaluated("a", cpu_threads=1),
            ("bits", True, {}),
        ),  # an equal classifier may come from anywhere
        (evaluated("b"), ("bits", False, {})),
        (evaluated("b", cpu_threads=1), ("data", True, {"classifier's cpu_threads": (2, 1)})),
        (evaluated("b", cores=1), ("bits", False, {})),
        (
            evaluated("b", prng="rbg"),
            ("nothing", True, {"classifier's prng": ("threefry2x32", "rbg")}),
        ),
    ],
)
def test_another_classifier_gives_other_metrics(new, expected):
    comparison = compare_results(evaluated("a"), new)
    assert (comparison.level, comparison.promise_kept, comparison.reasons) == expected
    assert not any("environment" in name for name in comparison.differences)


@pytest.mark.parametrize(
    "classifier", [None, 3, ["a"], {"sha256": "b"}, {"sha256": "b", "environment": None}]
)
def test_a_classifier_entry_that_no_run_wrote(classifier):
    comparison = compare_results(changed(("feature_classifier", classifier)), evaluated("a"))
    assert (comparison.level, comparison.promise_kept) == ("nothing", True)
    assert "classifier's prng: old not recorded, new threefry2x32" in report(
        evaluated("a"), evaluated("a"), comparison
    )


def test_with_patience_the_number_of_steps_may_differ():
    for patience, kept in ((3, True), (0, False)):
        old = changed(
            ("environment.cpu_threads", 1), ("config", {"patience": patience}), ("steps", 7)
        )
        comparison = compare_results(old, RESULT)
        assert (comparison.level, comparison.promise_kept) == ("data", kept)

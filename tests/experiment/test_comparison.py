"""What is promised of two results, and whether it came out."""

import copy

import pytest

from jaxdl.experiment.comparison import compare_results, report

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
    """The result with other values at these paths."""
    result = copy.deepcopy(RESULT)
    for path, value in changes:
        *way, last = path.split(".")
        place = result
        for name in way:
            place = place[int(name) if isinstance(place, list) else name]
        place[last] = value
    return result


def test_the_same():
    found = compare_results(
        RESULT, changed(("seconds.total", 2.0), ("data.train.name", "elsewhere"))
    )
    assert found == (True, True, "bits", {}, {})


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
def test_one_bit_that_differs_breaks_the_promise(path, value):
    found = compare_results(RESULT, changed((path, value)))
    assert (found.same, found.promise_kept, found.level, len(found.differences)) == (
        False,
        False,
        "bits",
        1,
    )
    (name,) = found.differences
    assert name.startswith(path.replace(".", "/"))
    assert "DIFFERS" in report(RESULT, changed((path, value)), found)


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
        ),  # what they came to is counted
    ],
)
def test_the_level_follows_from_the_environment(path, value, level):
    found = compare_results(changed((f"environment.{path}", value)), RESULT)
    assert (found.level, found.same, found.promise_kept) == (level, True, True)
    assert bool(found.reasons) == (level != "bits")


@pytest.mark.parametrize(("name", "value"), [("cpu_threads", 96), ("processor", "AMD 00000000")])
def test_the_processor_of_the_host_is_not_the_accelerator(name, value):
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
def test_a_gpu_promises_bits_only_if_it_is_asked_to(flags, level):
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
def test_another_number_of_devices_promises_the_data(path, value, kept):
    new = changed(("environment.device_count", 2), (path, value))
    found = compare_results(RESULT, new)
    assert (found.level, found.same, found.promise_kept) == ("data", False, kept)
    assert report(RESULT, new, found).splitlines()[-2:] == [
        "promised: the same data and random numbers; sums are added up in another order: "
        "device_count is 1 there and 2 here",
        f"{'as promised;' if kept else 'NOT reproduced:'} 1 of 8 values differ",
    ]


def test_another_version_promises_nothing():
    old = changed(
        ("environment.versions", {"python": "3.11.7", "jax": "0.9.0"}), ("state_sha256", "d" * 64)
    )
    found = compare_results(old, RESULT)
    assert (found.level, found.same, found.promise_kept) == ("nothing", False, True)
    assert report(old, RESULT, found).splitlines()[-2:] == [
        "promised: nothing: versions/jax is 0.9.0 there and 0.10.2 here",
        "as promised; 1 of 8 values differ",
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
def test_what_changed_on_the_way(option, level):
    old = RESULT | {"conversions": [{"step": 4, "options": {option: [1, 2]}}]}
    found = compare_results(old, changed(("state_sha256", "d" * 64)))
    assert (found.level, found.promise_kept) == (level, level != "bits")
    assert found.reasons == ({f"{option} on the way": (1, 2)} if level != "bits" else {})


def test_threads_on_the_way_are_nothing_to_an_accelerator():
    old = changed(("environment.platform", "tpu")) | {
        "conversions": [{"step": 4, "options": {"cpu_threads": [1, 2]}}]
    }
    assert compare_results(old, changed(("environment.platform", "tpu"))).level == "bits"


def judged(sha256: str, **environment: object) -> dict:
    """The result of a run whose drawn images a classifier has looked at."""
    classifier = {"sha256": sha256, "environment": RESULT["environment"] | environment}
    return changed(
        ("feature_classifier", classifier),
        ("metrics.samples/fid_classifier", 1.0 if sha256 == "a" else 2.0),
    )


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (
            judged("a", cpu_threads=1),
            ("bits", True, {}),
        ),  # the same classifier wherever it was trained
        (judged("b"), ("bits", False, {})),
        (judged("b", cpu_threads=1), ("data", True, {"classifier's cpu_threads": (2, 1)})),
        (judged("b", cores=1), ("bits", False, {})),
        (
            judged("b", prng="rbg"),
            ("nothing", True, {"classifier's prng": ("threefry2x32", "rbg")}),
        ),
    ],
)
def test_another_judge_says_other_numbers(new, expected):
    found = compare_results(judged("a"), new)
    assert (found.level, found.promise_kept, found.reasons) == expected
    assert not any("environment" in name for name in found.differences)


@pytest.mark.parametrize(
    "classifier", [None, 3, ["a"], {"sha256": "b"}, {"sha256": "b", "environment": None}]
)
def test_a_judge_that_no_run_has_written(classifier):
    found = compare_results(changed(("feature_classifier", classifier)), judged("a"))
    assert (found.level, found.promise_kept) == ("nothing", True)
    assert "classifier's prng is not recorded there and threefry2x32 here" in report(
        judged("a"), judged("a"), found
    )


def test_with_patience_it_is_the_losses_that_end_a_run():
    for patience, kept in ((3, True), (0, False)):
        old = changed(
            ("environment.cpu_threads", 1), ("config", {"patience": patience}), ("steps", 7)
        )
        found = compare_results(old, RESULT)
        assert (found.level, found.promise_kept) == ("data", kept)

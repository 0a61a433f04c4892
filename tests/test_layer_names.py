"""Choices of layers by name, against loops over flattened trees."""

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxdl.errors import InputError
from jaxdl.layer_names import (
    Selection,
    check_frozen,
    check_name,
    is_inside,
    keep_statistics,
    layer_and_collection,
    named_leaves,
    select,
    trained,
    with_trained,
)

RNG = np.random.default_rng(0)
NAMES = (
    *("conv_1/kernel", "conv_10/kernel", "head/dense_0/kernel", "head/dense_0/bias"),
    *("head/out/bias", "scale"),
)
PARAMS = unflatten_dict({tuple(name.split("/")): RNG.normal(size=2) for name in NAMES})
CHOICES = (
    (["conv_1"], None),
    (["head"], ["head/out"]),
    (None, ["head/dense_0", "scale"]),
    (["head/dense_0/bias", "conv_10"], None),
    (None, ["conv_1"]),
)


def chosen(name: str, only, skip) -> bool:
    """Returns True if some list of parts of a name is in `only`, and none is in `skip`."""
    parts = name.split("/")
    heads = {"/".join(parts[: i + 1]) for i in range(len(parts))}
    return (only is None or bool(heads & set(only))) and not heads & set(skip or ())


@pytest.mark.parametrize(("only", "skip"), CHOICES)
def test_names_are_compared_by_whole_parts(only, skip):
    selection = select(only, skip)
    assert [selection.has(name) for name in NAMES] == [chosen(name, only, skip) for name in NAMES]


@pytest.mark.parametrize(("only", "skip"), CHOICES)
def test_the_trained_part_is_the_rest(only, skip):
    frozen = select(only, skip)
    part = trained(PARAMS, None, frozen)
    expected = {
        path: x
        for path, x in flatten_dict(PARAMS).items()
        if not chosen("/".join(path), only, skip)
    }
    assert flatten_dict(part) == expected
    changed = with_trained(PARAMS, None, frozen, jax.tree.map(lambda x: x + 1, part))
    assert jax.tree.structure(changed) == jax.tree.structure(PARAMS)
    for name, x in named_leaves(changed).items():
        frozen_here = chosen(name, only, skip)
        np.testing.assert_array_equal(x, named_leaves(PARAMS)[name] + (not frozen_here))


def test_names_in_one_entry_begin_with_it():
    frozen = select(["head/dense_0"], None)
    part = trained(PARAMS, "head", frozen)
    assert list(named_leaves(part)) == ["out/bias"]
    changed = with_trained(PARAMS, "head", frozen, {"out": {"bias": 0.0}})
    assert changed["head"]["out"]["bias"] == 0
    assert changed["head"]["dense_0"] == PARAMS["head"]["dense_0"]
    assert changed["conv_1"] is PARAMS["conv_1"]
    check_frozen(PARAMS, "head", frozen)


def test_without_frozen_layers_the_trees_are_the_same_objects():
    assert trained(PARAMS, None, None) is PARAMS
    assert trained(PARAMS, "head", None) is PARAMS["head"]
    assert with_trained(PARAMS, None, None, 3) == 3


def test_an_array_has_several_names():
    selection = Selection(("batch_stats",), ("head",))
    assert selection.has("norm_0/mean", "batch_stats/norm_0/mean")
    assert not selection.has("head/norm_0/mean", "batch_stats/head/norm_0/mean")
    assert not selection.has("norm_0/mean")


def test_collections_of_one_network_and_of_several():
    one = {"norm_0": {}}
    two = {"generator": {}, "discriminator": {}}
    assert layer_and_collection("carry/body/h", one) == ("body/h", "carry")
    assert layer_and_collection("warmup", one) == ("", "warmup")
    name = "generator/batch_stats/norm_0/var"
    assert layer_and_collection(name, two) == ("generator/norm_0/var", "batch_stats")
    name = "spectral/conv_0/kernel"
    assert layer_and_collection(name, two) == ("conv_0/kernel", "spectral")


def test_only_statistics_of_frozen_layers_are_kept():
    old = {
        "generator": {"batch_stats": {"norm_0": {"mean": 1, "var": 1}, "norm_1": {"mean": 1}}},
        "discriminator": {"batch_stats": {"norm_0": {"mean": 1}}, "carry": {"norm_0": {"h": 1}}},
        "spectral": {"norm_0/kernel": 1},
        "count": 1,
    }
    params = {"generator": {}, "discriminator": {}}
    new = jax.tree.map(lambda x: x + 1, old)
    kept = keep_statistics(select(["generator/norm_0"], None), params, old, new)
    same = {name for name, x in named_leaves(kept).items() if x == 1}
    assert same == {f"generator/batch_stats/norm_0/{part}" for part in ("mean", "var")}
    kept = keep_statistics(select(None, ["generator"]), params, old, new)
    same = {name for name, x in named_leaves(kept).items() if x == 1}
    assert same == {"discriminator/batch_stats/norm_0/mean"}


def test_near_names_are_suggested():
    with pytest.raises(InputError) as caught:
        check_name("skip", "head/dense_1", NAMES)
    known = "conv_1, conv_10, head, head/dense_0, head/out, scale"
    hint = "(did you mean 'head/dense_0'?)"
    assert str(caught.value) == f"skip: got 'head/dense_1', allowed: {known} {hint}"
    check_name("skip", "head/dense_0/bias", NAMES)
    assert not is_inside("conv_10/kernel", "conv_1")


@pytest.mark.parametrize(
    ("only", "skip", "line"),
    [
        ("conv_1", None, "only: got 'conv_1', allowed: None or a list of layers: ['conv_1']"),
        (None, "head", "skip: got 'head', allowed: None or a list of layers: ['head']"),
        ([], None, "only: got [], allowed: None or a list of layers: ['head']"),
        (None, [3], "skip: got [3], allowed: None or a list of layers: ['head']"),
        ({"head": 1}, None, "only: got {'head': 1}, allowed: None or a list of layers: ['head']"),
    ],
)
def test_what_is_no_list_of_names_is_refused(only, skip, line):
    with pytest.raises(InputError) as caught:
        select(only, skip)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("params", "on", "choice", "line"),
    [
        (
            PARAMS,
            None,
            (None, None),
            "freeze: got 'all layers', allowed: fewer layers; some must train",
        ),
        (
            PARAMS,
            "head",
            (["head"], None),
            "freeze: got \"only=['head']\", allowed: fewer layers; some must train",
        ),
        (
            PARAMS,
            "head",
            (["scale"], None),
            "freeze only: got 'scale', allowed: head, head/dense_0, head/out",
        ),
        (
            (1, 2),
            None,
            (["0"], None),
            "params: got 'tuple', allowed: a dictionary by layer, to freeze some",
        ),
    ],
)
def test_frozen_layers_that_cannot_be_are_refused(params, on, choice, line):
    with pytest.raises(InputError) as caught:
        check_frozen(params, on, select(*choice))
    assert str(caught.value) == line

"""Cross-validation: the folds of scikit-learn, and members that equal their runs alone."""

import jax
import numpy as np
import optax
import pytest
from sklearn import model_selection

import jaxdl
from jaxdl.data import standardize
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError
from jaxdl.selection import kfold
from jaxdl.training import Directory, Sharded, evaluate, state_sha256, train
from tests.training.linear import KEY, line, points

RANDOM = np.random.default_rng(3)
ONE = Sharded(jax.devices()[:1])


def labelled(size=47, classes=4, seed=0):
    random = np.random.default_rng(seed)
    label = np.concatenate([np.arange(classes).repeat(3), random.integers(0, classes, size)])
    label = random.permutation(label)[:size].astype(np.int32)
    inputs = random.normal(2, 3, (size, 5)).astype(np.float32)
    return Dataset({"input": inputs, "label": label}, "labelled", classes)


def by_scikit_learn(splitter, size, labels=None, groups=None):
    number = np.empty(size, int)
    for fold, (_, held_out) in enumerate(splitter.split(np.zeros(size), labels, groups)):
        number[held_out] = fold
    return number


@pytest.mark.parametrize("count", [2, 3, 5, 7])
def test_folds_without_a_key_are_those_of_scikit_learn(count):
    for seed in range(5):
        data = labelled(47 + seed, seed=seed)
        size = data.size
        plain = kfold(data, count, stratified=False).number
        assert (plain == by_scikit_learn(model_selection.KFold(count), size)).all()
        if count <= 5:
            expected = by_scikit_learn(model_selection.StratifiedKFold(count), size, data["label"])
            assert (kfold(data, min(count, 3)).number >= 0).all()
            smallest = np.bincount(data["label"]).min()
            if count <= smallest:
                assert (kfold(data, count).number == expected).all()
        groups = RANDOM.integers(0, 9, size)
        expected = by_scikit_learn(model_selection.GroupKFold(count), size, groups=groups)
        assert (kfold(data, count, groups=groups).number == expected).all()


def test_folds_with_a_key():
    data = labelled(60)
    key = jaxdl.root(4)
    for options in ({}, {"stratified": False}, {"groups": RANDOM.integers(0, 12, 60)}):
        folds = kfold(data, 3, key=key, **options)
        again = kfold(data, 3, key=key, **options)
        other = kfold(data, 3, key=jaxdl.root(5), **options)
        assert (folds.number == again.number).all()
        assert (folds.number != other.number).any()
        assert set(folds.number.tolist()) == {0, 1, 2}
        if "groups" not in options:
            assert np.ptp(np.bincount(folds.number)) <= 1
    stratified = kfold(data, 3, key=key)
    for label in range(4):
        assert np.ptp(np.bincount(stratified.number[data["label"] == label], minlength=3)) <= 1
    groups = RANDOM.integers(0, 12, 60)
    grouped = kfold(data, 3, key=key, groups=groups)
    for group in range(12):
        assert len(set(grouped.number[groups == group].tolist())) <= 1


def test_training_sets_and_held_out_examples_are_disjoint_and_complete():
    data = points(23)
    folds = kfold(data, 4, key=KEY)
    for fold in range(4):
        rows = [*folds.train_set(fold)["target"], *folds.held_out_set(fold)["target"]]
        assert sorted(rows) == sorted(data["target"])
    every = np.concatenate([folds.held_out_set(fold)["target"] for fold in range(4)])
    assert sorted(every) == sorted(data["target"])


@pytest.mark.parametrize("scaled", [(), ("input",)])
def test_members_have_the_bits_of_their_runs_alone(scaled):
    """23 examples in 4 folds: training sets of 17 and 18 rows, whose epochs end at other steps."""
    data = points(23)
    folds = kfold(data, 4, key=KEY, scaled=scaled)
    assert {len(rows) for rows in folds.train.rows} == {17, 18}
    net = line(optax.adam(0.1))
    states = train(net, folds.train, key=folds.keys(KEY), steps=20, batch_size=6)
    results = evaluate(net, states, folds.held_out, key=folds.keys(KEY), batch_size=4)
    for fold in range(4):
        alone = train(net, folds.train_set(fold), key=KEY, steps=20, batch_size=6, strategy=ONE)
        assert state_sha256(states.member(fold)) == state_sha256(alone)
        held_out = folds.held_out_set(fold)
        expected = evaluate(net, alone, held_out, key=KEY, batch_size=4, strategy=ONE)
        np.testing.assert_allclose(results["loss"][fold], expected["loss"], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.optimized
def test_members_of_a_network_whose_steps_the_host_repeats():
    """Convolutions that are slow in a loop run one step at a time, one member after the other."""
    random = np.random.default_rng(0)
    data = Dataset(
        {
            "input": random.random((21, 6, 6, 1), np.float32),
            "label": np.arange(21, dtype=np.int32) % 3,
        },
        "images",
        3,
    )
    model = jaxdl.models.CNN((jaxdl.models.Stage(3),), (4,), 3, norm="batch")
    task = jaxdl.tasks.classify(model)
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    folds = kfold(data, 3)
    states = train(net, folds.train, key=folds.keys(KEY), steps=6, batch_size=5)
    for fold in range(3):
        alone = train(net, folds.train_set(fold), key=KEY, steps=6, batch_size=5, strategy=ONE)
        assert state_sha256(states.member(fold)) == state_sha256(alone)
    probabilities = folds.out_of_fold(task.predict, states)
    for row in range(21):
        member = states.member(int(folds.number[row]))
        alone = jaxdl.bind(task.predict, member)(data["input"][row : row + 1])
        np.testing.assert_allclose(probabilities[row], alone[0], rtol=1e-5, atol=1e-6)
    accuracies = evaluate(net, states, folds.held_out)["accuracy"]
    right = probabilities.argmax(1) == data["label"]
    for fold in range(3):
        np.testing.assert_allclose(accuracies[fold], right[folds.number == fold].mean(), rtol=1e-6)


def test_scaling_reads_the_training_set_only():
    data = labelled(20)
    folds = kfold(data, 2, stratified=False, scaled=["input"])
    for fold in range(2):
        train_set = folds.data.take(np.flatnonzero(folds.number != fold))
        held_out = folds.data.take(np.flatnonzero(folds.number == fold))
        expected = standardize(train_set, held_out)
        np.testing.assert_array_equal(folds.train_set(fold)["input"], expected[0]["input"])
        np.testing.assert_array_equal(folds.held_out_set(fold)["input"], expected[1]["input"])
        np.testing.assert_allclose(folds.train_set(fold)["input"].mean(0), 0, atol=1e-6)
        source = folds.train
        np.testing.assert_array_equal(source.data["input"][source.rows[fold]], expected[0]["input"])
    shifts = [each.scaling["input"][0][0] for each in folds.preprocessing]
    assert (np.asarray(shifts[0]) != np.asarray(shifts[1])).all()


def test_an_interrupted_run_continues_with_the_same_rows(tmp_path):
    folds = kfold(points(23), 4)
    net = line(optax.adam(0.1))
    options = {"key": folds.keys(KEY), "batch_size": 6, "save_every": 1}
    whole = train(net, folds.train, steps=17, **options)
    train(net, folds.train, steps=17, store=Directory(tmp_path), stop_after=7, **options)
    resumed = train(net, folds.train, steps=17, store=Directory(tmp_path), **options)
    assert state_sha256(resumed) == state_sha256(whole)


def test_folds_within_a_sweep():
    folds = kfold(points(23), 3)
    rates = [0.01, 0.1]
    both = folds.repeated(2)
    net = jaxdl.sweep(
        lambda rate: line(jaxdl.optimizers.optimizer("sgd", rate)), rate=np.repeat(rates, 3)
    )
    states = train(net, both.train, key=both.keys(KEY), steps=9, batch_size=6)
    losses = evaluate(net, states, both.held_out, key=both.keys(KEY))["loss"].reshape(2, 3)
    for i, rate in enumerate(rates):
        alone = line(jaxdl.optimizers.optimizer("sgd", rate))
        members = train(alone, folds.train, key=folds.keys(KEY), steps=9, batch_size=6)
        expected = evaluate(alone, members, folds.held_out, key=folds.keys(KEY))["loss"]
        np.testing.assert_allclose(losses[i], expected, rtol=1e-4)


def test_keys_of_repeats_and_folds():
    folds = kfold(points(23), 3).repeated(2)
    bits = jax.random.key_data(folds.keys(jaxdl.root([5, 6])))[:, 1]
    assert bits.tolist() == [5, 5, 5, 6, 6, 6]


def test_the_checksum_depends_on_the_folds():
    data = points(23)
    sources = [kfold(data, 3).train, kfold(data, 3, key=KEY).train, kfold(data, 4).train]
    sources += [kfold(data, 3).held_out, kfold(data, 3, scaled=["input"]).train]
    assert len({source.sha256 for source in sources}) == 5
    assert kfold(data, 3).train.sha256 == sources[0].sha256


@pytest.mark.parametrize(
    ("data", "count", "options", "message"),
    [
        (points(6), 1, {}, "count: got 1, allowed: at least 2"),
        (points(6), 2.5, {}, "count: got 2.5, allowed: an integer, at least 2"),
        (points(6), 7, {}, "count: got 7, allowed: at most 6, the number of examples"),
        (
            points(6),
            2,
            {"stratified": True},
            "stratified: got True, allowed: False for a set without integer labels [N]",
        ),
        (
            points(6),
            3,
            {"groups": np.array([0, 0, 0, 1, 1, 1])},
            "count: got 3, allowed: at most 2, the number of groups",
        ),
        (
            points(6),
            2,
            {"groups": np.zeros((6, 1), int)},
            "groups shape: got [6, 1], allowed: [6], one group per example",
        ),
        (
            Dataset({"label": np.array([0, 0, 0, 1])}, "few", 2),
            2,
            {},
            "count: got 2, allowed: at most 1, the examples of class 1; or stratified=False",
        ),
        (
            Dataset({"label": np.array([0, 0, 0, 1])}, "few", 2),
            2,
            {"stratified": False},
            "folds: got 'fold 1 holds out all examples of class 1', allowed: stratified=True,",
        ),
        (
            labelled(20),
            2,
            {"groups": np.arange(20), "stratified": True},
            "stratified: got True, allowed: False with groups, which decide the folds",
        ),
        (
            labelled(20),
            2,
            {"scaled": ["label"]},
            "scaled: got 'label', allowed: a field of floating-point numbers, such as input",
        ),
        (
            points(6),
            2,
            {"groups": np.array([0, 1, np.nan, 0, 1, 1])},
            "groups: got 'float64', allowed: integers or texts, one group per example",
        ),
        (points(6), 2, {"scaled": ["inputs"]}, "scaled: got 'inputs', allowed: input, target"),
    ],
)
def test_bad_folds(data, count, options, message):
    with pytest.raises(InputError) as raised:
        kfold(data, count, **options)
    assert str(raised.value).startswith(message)


def test_one_key_for_several_members():
    folds = kfold(points(23), 3)
    with pytest.raises(InputError) as raised:
        train(line(), folds.train, key=KEY, steps=2, batch_size=4)
    expected = "key: got 'keys of shape []', allowed: 3 keys in a row, one per member, such as"
    assert str(raised.value).startswith(expected)


def test_keys_of_repeats_that_the_folds_do_not_have():
    with pytest.raises(InputError) as raised:
        kfold(points(23), 3).keys(jaxdl.root([0, 1]))
    expected = "key: got 'keys of shape [2]', allowed: one key, or 1 in a row; folds.repeated(n)"
    assert str(raised.value).startswith(expected)


def test_states_and_sets_of_other_folds_are_refused():
    data = points(23)
    folds = kfold(data, 3)
    other = kfold(data, 2)
    net = line()
    states = train(net, folds.train, key=folds.keys(KEY), steps=2, batch_size=4)
    with pytest.raises(InputError, match=r"data: got 'points with rows for 2 runs', allowed"):
        evaluate(net, states, other.held_out)
    with pytest.raises(InputError, match=r"data: got 'points with rows for 2 runs', allowed"):
        train(
            net,
            folds.train,
            key=folds.keys(KEY),
            steps=2,
            batch_size=4,
            save_every=1,
            validation=other.held_out,
        )
    with pytest.raises(InputError, match=r"states: got 'states of shape \[3\]', allowed: \[2\]"):
        other.out_of_fold(lambda params, extra, x: x, states)
    with pytest.raises(InputError, match=r"fold: got 3, allowed: an integer in \[0, 3\)"):
        folds.train_set(3)


def test_a_contiguous_set_is_refused():
    data = Dataset({"input": np.zeros((6, 2))}, "windows", contiguous=True)
    with pytest.raises(InputError, match="data: got 'windows', allowed: a set whose rows can be"):
        kfold(data, 2)

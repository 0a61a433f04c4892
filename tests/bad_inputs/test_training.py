"""Errors of the loop: one line, raised before anything compiles or is written."""

import jax
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.data.dataset import Dataset
from jaxdl.errors import CheckpointError, InputError, NonFinite
from jaxdl.training import Directory, Patience, Sharded, evaluate, train
from jaxdl.training.writers import Memory
from tests.training.linear import KEY, abstract, init, line, loss, points

ONE = Sharded(jax.devices()[:1])


class Untouched:
    """A strategy and a store whose methods must not be called."""

    devices = ONE.devices
    shares = 1

    def fail(self, *args, **kwargs):
        pytest.fail("called before the arguments were checked")

    place = compile = open = save = restore = close = fail


CASES = [
    ({"steps": 0}, "steps: got 0, allowed: at least 1"),
    ({"steps": -3}, "steps: got -3, allowed: at least 1"),
    ({"batch_size": 0}, "batch_size: got 0, allowed: an integer from 1 to 22, the size of points"),
    (
        {"batch_size": 23},
        "batch_size: got 23, allowed: an integer from 1 to 22, the size of points",
    ),
    ({"log_every": 0}, "log_every: got 0, allowed: at least 1"),
    ({"save_every": -1}, "save_every: got -1, allowed: at least 0"),
    ({"stop_after": 0}, "stop_after: got 0, allowed: at least 1"),
    ({"steps": 93.75}, "steps: got 93.75, allowed: an integer, at least 1"),
    ({"steps": "10"}, "steps: got '10', allowed: an integer, at least 1"),
    ({"log_every": 100 / 7}, f"log_every: got {100 / 7}, allowed: an integer, at least 1"),
    ({"save_every": 2.5}, "save_every: got 2.5, allowed: an integer, at least 0"),
    ({"stop_after": 1.5}, "stop_after: got 1.5, allowed: an integer, at least 1"),
    ({"data": {"input": 1}}, "data: got <class 'dict'>, allowed: a jaxdl.data.Dataset or Source"),
    ({"key": 0}, "key: got 0, allowed: root(seed) or root(range(n))"),
    ({"key": jax.random.PRNGKey(0)}, "key: got 'uint32[2]', allowed: root(seed) or root(range(n))"),
    (
        {"learner": 3},
        "learner: got 3, allowed: a Learner, such as jaxdl.learner(task.init, "
        "*task.updates(optax.adam(1e-3)))",
    ),
    ({"strategy": "single"}, "strategy: got 'single', allowed: jaxdl.strategy(name)"),
    ({"store": "runs/x"}, "store: got 'runs/x', allowed: jaxdl.training.Directory(path)"),
    (
        {
            "patience": Patience("acuracy"),
            "validation": points(4),
            "log_every": 1,
            "save_every": 1,
            "strategy": ONE,
        },
        "Patience.metric: got 'acuracy', allowed: one of ['loss']",
    ),
    (
        {"patience": Patience()},
        "validation: got None, allowed: a data set, because patience uses its metrics",
    ),
    (
        {"patience": Patience(times=0), "validation": points(4)},
        "Patience.times: got 0, allowed: at least 1",
    ),
]


@pytest.mark.parametrize(("changes", "message"), CASES)
def test_arguments_of_train(changes, message):
    arguments = {"learner": line(), "data": points(), "key": KEY, "steps": 5, "batch_size": 4}
    arguments |= {"strategy": Untouched(), "store": Untouched()}
    with pytest.raises(InputError) as caught:
        train(**(arguments | changes))
    assert str(caught.value) == message


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, True, "0", None])
def test_seeds(seed):
    with pytest.raises(InputError) as caught:
        jaxdl.root(seed)
    assert (
        str(caught.value)
        == f"seed: got {seed!r}, allowed: an integer in [0, 2**32), or a sequence of them"
    )


def test_an_empty_set():
    with pytest.raises(InputError) as caught:
        Dataset({"input": np.zeros((0, 3), np.float32)}, "none")
    assert str(caught.value) == "input rows: got 0, allowed: at least 1, not an empty set"


def test_a_batch_that_cannot_be_divided_among_the_devices_writes_nothing(tmp_path):
    memory = Memory()
    with pytest.raises(InputError) as caught:
        train(
            line(),
            points(),
            key=KEY,
            steps=5,
            batch_size=6,
            strategy=Sharded(jax.devices()[:4]),
            store=Directory(tmp_path / "run"),
            writers=[memory],
        )
    assert str(caught.value) == "batch_size: got 6, allowed: a multiple of the 4 devices"
    assert not (tmp_path / "run").exists()
    assert memory.records == []


def test_a_store_of_another_run_is_not_changed(tmp_path):
    common = {"key": KEY, "steps": 2, "batch_size": 4, "strategy": ONE}
    train(line(), points(), store=Directory(tmp_path), **common)
    before = contents(tmp_path)
    data = points()
    wider = Dataset({"input": np.tile(data["input"], 2), "target": data["target"]}, "wider")
    with pytest.raises(CheckpointError) as caught:
        train(line(), wider, store=Directory(tmp_path), **common)
    assert (
        str(caught.value)
        == f"{tmp_path / '2'}: params/w is float32[3] in the checkpoint and float32[6] in this run"
    )
    assert contents(tmp_path) == before


def contents(directory):
    """Returns the contents of all files of a directory by path."""
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_nan_leaves_the_last_finite_state_on_disk(tmp_path):
    """The message names the step and the leaf; a mended set is that of another run."""
    with_nan = points(rows={row: float("nan") for row in range(11)})
    arguments = {"key": KEY, "steps": 9, "batch_size": 1, "strategy": ONE, "save_every": 1}
    with pytest.raises(
        NonFinite,
        match=r"^step \d+: input\[0\] of the batch contains nan; loss is not finite; "
        r"first leaf that is not finite: params/b;",
    ):
        train(line(), with_nan, store=Directory(tmp_path), **arguments)
    wanted = abstract(train(line(), points(), **arguments))
    state = Directory(tmp_path).restore(wanted).state
    assert int(state.step) > 0
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(state))
    message = r"^store: data is points \w{16} in the checkpoint and points \w{16} in this run; "
    with pytest.raises(CheckpointError, match=message):
        train(line(), points(), store=Directory(tmp_path), **arguments)


def test_a_store_that_cannot_be_written(tmp_path):
    """It is found before anything compiles, not at the first save."""
    (tmp_path / "run").write_text("a file")
    with pytest.raises(InputError) as caught:
        train(
            line(),
            points(),
            key=KEY,
            steps=1,
            batch_size=4,
            strategy=ONE,
            store=Directory(tmp_path / "run"),
        )
    allowed = "a directory that can be written (File exists)"
    assert str(caught.value) == f"store: got {str(tmp_path / 'run')!r}, allowed: {allowed}"


def test_an_evaluation_of_no_rows():
    with pytest.raises(InputError) as caught:
        evaluate(line(), None, points(), batch_size=0)
    assert str(caught.value) == "batch_size: got 0, allowed: at least 1"


@pytest.mark.parametrize(
    ("updates", "message"),
    [
        ([jaxdl.Update(loss, optax.adam)], "Update.optimizer: got 'adam'.*optax.adam(1e-3)"),
        ([jaxdl.Update(loss, "adam")], "Update.optimizer: got 'adam'.*optax.adam(1e-3)"),
        ([jaxdl.Update(None, optax.sgd(0.1))], "Update.loss: got <class 'NoneType'>.*task.loss"),
        ([optax.sgd(0.1)], "updates: got <class '.*allowed: Updates, as in"),
        ([(jaxdl.Update(loss, optax.sgd(0.1)),)], "updates: got <class 'tuple'>"),
        ([jaxdl.models.MLP()], "updates: got <class '.*MLP'>"),
    ],
)
def test_what_is_no_update_is_refused(updates, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(").replace(")", r"\)")):
        jaxdl.learner(init, *updates)


def test_a_task_in_place_of_its_init_is_refused():
    task = jaxdl.tasks.classify(jaxdl.models.MLP())
    with pytest.raises(InputError, match=r"init: got <class .*Task'>, .*such as task\.init"):
        jaxdl.learner(task, *task.updates(optax.sgd(0.1)))


@pytest.mark.parametrize("learner", ["task", "model", "update", "function"])
@pytest.mark.parametrize("door", ["train", "evaluate"])
def test_what_is_no_learner_is_refused(learner, door):
    task = jaxdl.tasks.classify(jaxdl.models.MLP())
    given = {"task": task, "model": jaxdl.models.MLP(), "update": task.updates(optax.sgd(0.1))}
    net = given.get(learner, task.loss)
    with pytest.raises(InputError, match=r"learner: got <class .*jaxdl\.learner\(task\.init"):
        if door == "train":
            jaxdl.train(net, points(), key=KEY, steps=1)
        else:
            jaxdl.evaluate(net, None, points())


@pytest.mark.parametrize(
    ("writers", "message"),
    [
        ([3], "writers: got <class 'int'>.*write(step, metrics)"),
        (Memory(), "writers: got <class '.*Memory'>, allowed: a list"),
    ],
)
def test_what_is_no_writer_is_refused(writers, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(").replace(")", r"\)")):
        jaxdl.train(line(), points(), key=KEY, steps=1, batch_size=4, writers=writers)


@pytest.mark.parametrize("door", ["train", "evaluate"])
def test_training_inside_of_jit_is_refused(door):
    net = line()
    doors = {
        "train": lambda: jaxdl.train(net, points(), key=KEY, steps=1, batch_size=4),
        "evaluate": lambda: jaxdl.evaluate(net, None, points()),
    }
    with pytest.raises(InputError, match=f"{door}: got 'a call inside of jax.jit', allowed: "):
        jax.jit(doors[door])()

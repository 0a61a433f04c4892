"""The directory of a run: its files, which runs may use it, and the recorded environment."""

import errno
import json
import os
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import jax
import pytest

import jaxdl
from jaxdl import rng
from jaxdl.environment import environment
from jaxdl.errors import InputError, RunError
from jaxdl.runs import run_experiment
from jaxdl.runs.directory import check_out, claim, write_json
from tests.runs.runs import LEARNER, experiment, experiment_sets, options, stop


def test_pmap_is_another_run(tmp_path):
    claim(tmp_path, options(tmp_path))
    with pytest.raises(RunError, match=r"strategy \(stored 'single', given 'pmap'\)"):
        check_out(tmp_path, options(tmp_path, strategy="pmap"))


def test_epochs_are_ignored_if_steps_are_given(tmp_path):
    claim(tmp_path, options(tmp_path, epochs=3.0))
    assert check_out(tmp_path, options(tmp_path, epochs=2.0)) == {}


def test_an_option_that_is_newer_than_the_run_has_its_default(tmp_path):
    claim(tmp_path, options(tmp_path))
    stored = json.loads((tmp_path / "config.json").read_text())
    del stored["debug"], stored["patience"]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert check_out(tmp_path, options(tmp_path)) == {}
    with pytest.raises(RunError, match=r"patience \(stored 0, given 1\)"):
        check_out(tmp_path, options(tmp_path, patience=1))


@pytest.mark.parametrize("text", ['{"strategy": 3}', '{"strategy": ["auto"]}', "[]", "{"])
def test_conversions_that_no_run_wrote(tmp_path, text):
    claim(tmp_path, options(tmp_path))
    (tmp_path / "conversions.json").write_text(text)
    with pytest.raises(RunError, match=r"conversions\.json"):
        claim(tmp_path, options(tmp_path, strategy="auto"))


def test_a_directory_with_unrelated_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError) as raised:
        run_experiment(options(tmp_path), experiment)
    assert (
        str(raised.value)
        == f"out: {tmp_path} holds files but no config.json; choose an empty directory"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_partial_file_of_a_killed_claim_is_ignored(tmp_path):
    (tmp_path / "config.json.partial").write_text('{"batch_')
    check_out(tmp_path, options(tmp_path))
    claim(tmp_path, options(tmp_path))
    check_out(tmp_path, options(tmp_path))
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["config.json", "environment.json"]


@pytest.mark.parametrize("name", ["config.json", "result.json"])
def test_a_damaged_file_is_named(tmp_path, name):
    claim(tmp_path, options(tmp_path))
    (tmp_path / name).write_text('{"seed": ')
    with pytest.raises(RunError, match=f"{name} cannot be read"):
        run_experiment(options(tmp_path), experiment)


def test_an_empty_file_has_a_way_out(tmp_path):
    """The error names it, and it leads to the bits of an undisturbed run."""
    expected = run_experiment(options(tmp_path / "whole"), experiment)["state_sha256"]
    out = tmp_path / "run"
    stop(out, stop_after=4)
    write_json(out / "conversions.json", {})
    for name in ("data.json", "result.json", "conversions.json", "config.json"):
        (out / name).write_text("")
        with pytest.raises(RunError) as raised:
            run_experiment(options(out, strategy="auto"), experiment)
        message = str(raised.value)
        remedy = "remove it; the command of the run writes it again"
        if name == "config.json":
            remedy = "remove its directory to start the run again"
        assert message.startswith(f"{out / name} cannot be read: ")
        assert message.endswith(f"; {remedy}")
        if name != "config.json":
            (out / name).unlink()
    shutil.rmtree(out)
    assert run_experiment(options(out), experiment)["state_sha256"] == expected


def test_left_over_files_do_not_block_a_run(tmp_path):
    """A killed run leaves partial files and a lock; others may have put pipes in their place."""
    claim(tmp_path, options(tmp_path)).close()
    names = [f"{name}.json{form}.partial" for name in ("config", "data") for form in ("", ".1")]
    for name in names:
        os.mkfifo(tmp_path / name)
    (tmp_path / "lock").write_text("process 1 on elsewhere")
    claim(tmp_path, options(tmp_path)).close()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["config.json", "environment.json"]


def test_a_directory_with_an_owner_is_refused_before_anything_is_written(tmp_path):
    owner = claim(tmp_path, options(tmp_path))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunError) as raised:
        run_experiment(options(tmp_path), experiment)
    assert str(raised.value) == (
        f"{tmp_path}: process {os.getpid()} on {platform.node()} is using it; "
        "wait for its end, or choose another directory"
    )
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    owner.close()
    run_experiment(options(tmp_path), experiment)
    assert not (tmp_path / "lock").exists()


def test_a_refused_claim_leaves_no_owner(tmp_path):
    claim(tmp_path, options(tmp_path)).close()
    with pytest.raises(RunError, match="seed") as raised:
        claim(tmp_path, options(tmp_path, seed=3))
    claim(tmp_path, options(tmp_path)).close()
    assert raised.value.__traceback__ is not None  # which still refers to the refused claim


@pytest.mark.parametrize("moment", ["trained", "recorded", "drawn", "tested"])
@pytest.mark.parametrize("removed", [True, False])
def test_a_directory_that_goes_away_ends_the_run(tmp_path, moment, removed):
    """Nothing is made again, and a directory that was moved resumes at its new place."""
    out = tmp_path / "run"

    def goes_away(run):
        state = run.fit(LEARNER, *experiment_sets(run))
        if removed:
            shutil.rmtree(out)
        else:
            out.rename(tmp_path / "elsewhere")
        if moment == "recorded":
            run.records()
        if moment == "drawn":
            run.figure("curves")
        if moment == "tested":
            run.sample("texts.txt")
        return run.finish(state, {})

    with pytest.raises(RunError, match=f"^{out} was moved or removed during the run"):
        run_experiment(options(out), goes_away)
    assert not out.exists()
    if not removed:
        result = run_experiment(options(tmp_path / "elsewhere"), experiment)
        assert result["steps"] == 8


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    out = tmp_path / os.fsdecode(b"\xff")
    with pytest.raises(InputError, match=r"^out: got '.*\\udcff', allowed: a path in UTF-8$"):
        run_experiment(options(out), experiment)
    assert not out.exists()


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_file_that_cannot_be_written_is_an_error_in_one_line(tmp_path, monkeypatch, error):
    write_json(tmp_path / "x.json", {"a": 1})

    def fsync(_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(RunError, match=f"x.json cannot be written: {os.strerror(error)}$"):
        write_json(tmp_path / "x.json", {"a": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}


def test_a_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for out, allowed in [
        (tmp_path / "file", "a directory; this is a file"),
        (tmp_path / "file" / "run", "a directory that can be written (Not a directory)"),
        ("a\0b", "a path without a null byte"),
    ]:
        with pytest.raises(InputError) as raised:
            run_experiment(options(out), experiment)
        assert str(raised.value) == f"out: got {str(out)!r}, allowed: {allowed}"


def test_write_json_keeps_the_old_file_if_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})

    def killed(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}


def test_write_json_leaves_no_other_file(tmp_path):
    write_json(tmp_path / "x.json", [1, {"b": None}])
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    assert json.loads((tmp_path / "x.json").read_text()) == [1, {"b": None}]


def test_environment(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--some_flag=1")
    recorded = environment()
    versions = recorded["versions"]
    assert versions["jax"] == jax.__version__ == version("jax")
    assert versions["jaxdl"] == jaxdl.__version__
    assert versions.keys() >= {"python", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy"}
    assert recorded["platform"] == jax.default_backend()
    assert recorded["device_count"] == jax.device_count()
    assert (recorded["processes"], recorded["xla_flags"]) == (1, "--some_flag=1")
    assert 1 <= recorded["cores"] <= os.cpu_count()
    assert str(jax.random.key_impl(rng.root(0))) == recorded["prng"]
    assert "threefry" in recorded["prng"]
    assert json.loads(json.dumps(recorded)) == recorded


def test_other_data_under_the_same_name_are_refused(tmp_path):
    """The options are equal, so only the checksums differ."""
    stop(tmp_path, stop_after=4)
    hashes = json.loads((tmp_path / "data.json").read_text())
    assert hashes.keys() == {"train", "validation"}
    write_json(tmp_path / "data.json", hashes | {"train": "0" * 64})
    with pytest.raises(RunError) as raised:
        run_experiment(options(tmp_path), experiment)
    assert str(raised.value) == (
        f"out: {tmp_path} was started with other data: "
        f"train (stored 000000000000, given {hashes['train'][:12]})"
    )


def test_the_environment_is_written_at_the_claim(tmp_path):
    stop(tmp_path, stop_after=4)
    assert json.loads((tmp_path / "environment.json").read_text()) == environment()


def test_a_run_under_other_settings_is_refused(tmp_path, monkeypatch):
    """Fast math changes the results, so the resumed run would not be the same run."""
    flags = os.environ["XLA_FLAGS"]
    fast = "--xla_cpu_enable_fast_math=true"
    claim(tmp_path, options(tmp_path))
    before = sorted(path.read_bytes() for path in tmp_path.iterdir())
    monkeypatch.setenv("XLA_FLAGS", f"{flags} {fast}")
    with pytest.raises(RunError) as raised:
        run_experiment(options(tmp_path), experiment)
    message = str(raised.value)
    assert message.startswith(f"out: {tmp_path} was started with other settings")
    assert "XLA_FLAGS (stored " in message and f"{fast}" in message.partition("given ")[2]
    monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to=/nowhere {flags}")
    assert check_out(tmp_path, options(tmp_path)) == {}
    with jax.enable_x64(), pytest.raises(RunError) as raised:
        check_out(tmp_path, options(tmp_path))
    assert "jax_enable_x64 (stored 'the default', given 'True')" in str(raised.value)
    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == before


def test_a_finished_run_is_shown_under_any_settings(tmp_path, monkeypatch):
    claim(tmp_path, options(tmp_path))
    (tmp_path / "result.json").write_text("{}")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert check_out(tmp_path, options(tmp_path)) == {}


def test_another_processor_and_version_are_recorded(tmp_path, monkeypatch, capsys):
    claim(tmp_path, options(tmp_path))
    first = environment()
    monkeypatch.setattr("jaxdl.environment.processor", lambda: "another")
    monkeypatch.setattr("jaxdl.environment.version", lambda name: "9.9")
    claim(tmp_path, options(tmp_path))
    changed = json.loads((tmp_path / "conversions.json").read_text())
    assert changed["processor"] == [first["processor"], "another"]
    assert changed["versions/jax"] == [jax.__version__, "9.9"]
    assert "resuming with processor another instead of" in capsys.readouterr().err
    claim(tmp_path, options(tmp_path))
    assert json.loads((tmp_path / "conversions.json").read_text()) == changed


def test_the_number_of_devices_under_pmap_is_part_of_the_run(tmp_path):
    claim(tmp_path, options(tmp_path, strategy="pmap", cpu_devices=2))
    with pytest.raises(RunError, match=r"cpu_devices \(stored 2, given 4\)"):
        check_out(tmp_path, options(tmp_path, strategy="pmap", cpu_devices=4))

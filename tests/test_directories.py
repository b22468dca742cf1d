"""One training in a directory at a time, drafts with unguessable names, errors that name the file and the reason."""

import contextlib
import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading

import h5py
import numpy as np
import pytest

from deckeras import DEC, dense_autoencoder
from deckeras._train import directories
from deckeras._train.directories import LOCK_FILE, hold_directory, holds
from deckeras._train.whole_files import whole_file


@pytest.fixture
def hold_elsewhere():
    """Hold a directory in another process, of which a fork lives on; return the process."""
    started = []

    def hold(path):
        code = (
            "import os, sys, time, warnings; from deckeras._train.directories import hold_directory\n"
            "warnings.simplefilter('ignore')\n"
            "with hold_directory(sys.argv[1]):\n"
            "    child = os.fork()\n"
            "    if child: print(child, flush=True)\n"
            "    time.sleep(300)"
        )
        process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
        with process.stdout:
            started.extend([process.pid, int(process.stdout.readline())])
        return process

    yield hold
    for number in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


@pytest.mark.programs
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks processes")
def test_another_process_is_kept_out_until_the_first_has_ended(tmp_path, hold_elsewhere, blobs):
    process = hold_elsewhere(tmp_path)
    model = DEC(dense_autoencoder(8, units=(4, 2))[0], 3)
    with pytest.raises(BlockingIOError, match=f"process {process.pid} on the host {socket.gethostname()}"):
        model.fit(blobs[0], max_iterations=2, checkpoint_dir=tmp_path, verbose=0)
    assert os.listdir(tmp_path) == [LOCK_FILE]
    process.send_signal(signal.SIGKILL)
    process.wait()
    with hold_directory(tmp_path):
        assert holds(tmp_path)
    assert not holds(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_thread_may_hold_a_directory_twice_and_another_may_not(tmp_path):
    found = []

    def enter(path):
        try:
            with hold_directory(path):
                found.append("held")
        except BlockingIOError as error:
            found.append(str(error))

    with hold_directory(tmp_path):
        link = tmp_path.parent / "the same directory"
        link.symlink_to(tmp_path)
        enter(link)
        thread = threading.Thread(target=enter, args=(tmp_path,))
        thread.start()
        thread.join()
        assert holds(tmp_path)
    enter(tmp_path)
    assert found[0] == found[2] == "held"
    assert "another thread of this process" in found[1]


def test_an_error_releases_the_directory(tmp_path):
    with pytest.raises(ZeroDivisionError), hold_directory(tmp_path):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []


def test_a_lock_that_its_holder_removes_is_taken_anew(tmp_path, monkeypatch):
    """Between opening the file and locking it, the holder may end and remove it."""
    pytest.importorskip("fcntl")
    lock_file, removed = directories._lock_file, []

    def lock_late(lock):
        if not removed:
            removed.append((tmp_path / LOCK_FILE).unlink())
        lock_file(lock)

    monkeypatch.setattr(directories, "_lock_file", lock_late)
    with hold_directory(tmp_path):
        assert (tmp_path / LOCK_FILE).exists()


def make_link(path):
    path.with_name("other").write_text("of somebody else")
    path.symlink_to(path.with_name("other"))


ODD_FILES = {"link": make_link, "pipe": os.mkfifo, "directory": os.mkdir}


@pytest.mark.parametrize("kind", ODD_FILES)
def test_a_lock_is_a_file_of_its_own(kind, tmp_path):
    ODD_FILES[kind](tmp_path / LOCK_FILE)
    with pytest.raises(OSError, match=f"Cannot lock the directory .*{LOCK_FILE}"), hold_directory(tmp_path):
        pass
    assert kind != "link" or (tmp_path / "other").read_text() == "of somebody else"


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    draft = tmp_path / f"{directories.DRAFT}00.tmp.h5"
    draft.touch()
    with pytest.warns(UserWarning, match="no locks"), hold_directory(tmp_path), whole_file(tmp_path / "a") as name:
        open(name, "w").close()
    assert draft.exists()  # which another process may be writing
    assert (tmp_path / "a").exists()


def test_drafts_of_killed_processes_are_removed(tmp_path):
    stale = [f"{directories.DRAFT}0a1b.tmp.h5", f"{directories.DRAFT}0a1b.tmp", "checkpoint.tmp.h5"]
    others = ["checkpoint.h5", "mine.tmp.h5", ".deckeras-loose-0a1b.tmp.json"]
    for name in stale + others:
        (tmp_path / name).touch()
    make_link(tmp_path / "pretraining.tmp.h5")
    with hold_directory(tmp_path):
        assert sorted(os.listdir(tmp_path)) == sorted([*others, LOCK_FILE, "other", "pretraining.tmp.h5"])


@pytest.mark.parametrize("kind", ODD_FILES)
def test_what_stands_under_an_earlier_name_of_drafts_is_left_alone(kind, tmp_path, blobs):
    ODD_FILES[kind](tmp_path / "checkpoint.tmp.h5")
    model = DEC(dense_autoencoder(8, units=(4, 2))[0], 3)
    model.fit(blobs[0], max_iterations=2, init="kmeans", checkpoint_dir=tmp_path, verbose=0)
    assert h5py.is_hdf5(tmp_path / "checkpoint.h5")
    assert (tmp_path / "checkpoint.tmp.h5").exists()
    assert kind != "link" or (tmp_path / "other").read_text() == "of somebody else"


def test_files_have_the_permissions_of_any_new_file(tmp_path):
    for name in "ours", "any":
        with whole_file(tmp_path / name) if name == "ours" else open(tmp_path / name, "w"):
            pass
    ours, other = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "any"))
    assert ours == other


def remove_directory(path):
    shutil.rmtree(path)


def put_directory(path):
    (path / "checkpoint.h5").unlink()
    (path / "checkpoint.h5").mkdir()


def fail_to_rename(number):
    def spoil(path):
        def replace(*_):
            raise OSError(number, os.strerror(number))

        pytest.MonkeyPatch().setattr(os, "replace", replace)

    return spoil


SPOILED = {
    "gone": (remove_directory, "No such file or directory. .*no checkpoint to resume from"),
    "directory": (put_directory, "Is a directory. .*no checkpoint to resume from"),
    "read-only": (fail_to_rename(errno.EROFS), "Read-only file system. .*iteration 10"),
    "full": (fail_to_rename(errno.ENOSPC), "No space left on device. .*iteration 10"),
}


@pytest.mark.filterwarnings("ignore:No row was assigned")
@pytest.mark.parametrize("kind", SPOILED)
def test_errors_say_what_to_do(kind, tmp_path, blobs, interrupt_after):
    spoil, message = SPOILED[kind]
    directory, replace = tmp_path / "run", os.replace
    options = {"max_iterations": 30, "update_interval": 5, "tol": 0, "init": "kmeans", "verbose": 0}
    options |= {"checkpoint_dir": directory, "checkpoint_every": 2}
    stop = interrupt_after(13)
    stop.on_epoch_end = lambda epoch, logs=None: spoil(directory) if epoch == 2 else None
    stop.left = 10**9
    try:
        with pytest.raises(OSError, match=rf"Cannot write '.*checkpoint.h5': {message}"):
            DEC(dense_autoencoder(8, units=(4, 2))[0], 3).fit(blobs[0], callbacks=[stop], **options)
    finally:
        os.replace = replace
    if kind in ("read-only", "full"):
        resumed, whole = (DEC(dense_autoencoder(8, units=(4, 2))[0], 3) for _ in range(2))
        assert len(resumed.fit(blobs[0], **options).epoch) == 6
        whole.fit(blobs[0], **{**options, "checkpoint_dir": tmp_path / "whole"})
        for found, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
            np.testing.assert_array_equal(found, expected)


FULL_DISK = """
import resource, signal, sys
import keras, numpy as np
import deckeras
from deckeras._train.checkpoint import Checkpoint

model = keras.Sequential([keras.Input((300,)), keras.layers.Dense(300)])
model.compile("sgd", "mse")
checkpoint = Checkpoint(sys.argv[1], model, {})
checkpoint.save({"iteration": 7})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    checkpoint.save({"iteration": 8})
except OSError as error:
    print(error)
print(checkpoint.restore())
"""


@pytest.mark.programs
@pytest.mark.parametrize("size", [1000, 200_000])
def test_a_disk_that_is_full_in_the_middle_of_a_file(size, tmp_path):
    pytest.importorskip("resource")
    path = tmp_path / "checkpoint.h5"
    command = [sys.executable, "-c", FULL_DISK, str(path), str(size)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    error, state = result.stdout.splitlines()
    assert error.startswith(f"Cannot write {str(path)!r}: File too large.")
    assert "iteration 7" in error
    assert state == "{'iteration': 7}"
    assert os.listdir(tmp_path) == ["checkpoint.h5"]

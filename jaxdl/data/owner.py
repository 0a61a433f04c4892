"""The owner of a directory: a lock that the system releases when the process ends.

A killed process leaves no lock behind. The process and host in the lock's file are for messages.
"""

import contextlib
import errno
import functools
import os
import platform
import stat
import sys
import weakref
from pathlib import Path

from jaxdl.errors import RunError

try:
    import fcntl
except ImportError:  # Windows has no `flock`.
    fcntl = None  # type: ignore[assignment]

#: Name of the lock's file in a directory.
LOCK = "lock"

#: Errors of a file system that has no locks.
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)

#: The owners of this process. A forked child closes its copies of their locks.
_owners: "weakref.WeakSet[Owner]" = weakref.WeakSet()


class Owner:
    """The exclusive right of this process to write to a directory; see `own`.

    Attributes:
      directory: the directory.
      waited: True if the call waited for another process.
      locked: False if nothing keeps other processes out.
    """

    def __init__(
        self, directory: Path, handles: tuple[int, ...] = (), name: str = LOCK, waited: bool = False
    ) -> None:
        self.directory = directory
        self.waited = waited
        self.locked = bool(handles)
        self._handles = handles
        self._end = weakref.finalize(self, _release, handles, name, os.getpid())
        _owners.add(self)
        _close_in_children()

    def check(self) -> None:
        """Raises RunError if the directory is no longer at its path."""
        if not self._handles or not self._end.alive:
            return
        try:
            same = os.path.samestat(os.stat(self.directory), os.fstat(self._handles[0]))
        except (FileNotFoundError, NotADirectoryError):
            same = False
        if not same:
            raise RunError(
                f"{self.directory} was moved or removed during the run and is not made again; "
                "a directory that was moved resumes at its new place"
            )

    def close(self) -> None:
        """Ends the ownership and removes the lock's file."""
        self._end()


def own(directory: Path, name: str = LOCK, wait_for: str = "") -> Owner:
    """Makes this process the owner of a directory, until `Owner.close` or the process's end.

    On Windows, and on a network file system without locks, nothing keeps other processes out.

    Args:
      directory: a directory that exists.
      name: name of the lock's file in the directory.
      wait_for: activity of another owner, such as `"trains the classifier"`. The call prints it and
        waits for the end of that owner, unless it is this process. If empty, the directory of
        another owner is refused.

    Raises:
      RunError: the directory has an owner; the message contains its process and host.
      OSError: the directory cannot be written.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     owner = own(Path(directory))
      ...     try:
      ...         own(Path(directory))
      ...     except RunError as error:
      ...         print(error)
      ...     owner.close()
      /...: process ... on ... is using it; wait for its end, or choose another directory
    """
    waited = False
    while fcntl is not None:
        with contextlib.ExitStack() as stack:
            folder = _opened(stack, directory, os.O_RDONLY | os.O_DIRECTORY)
            # Neither does a pipe block the call, nor does a link lead out of the directory.
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            file = _opened(stack, directory / name, flags)
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(errno.EINVAL, "Not a regular file", str(directory / name))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                present = _read(file)
                if not wait_for:
                    raise RunError(
                        f"{directory}: {present} is using it; "
                        "wait for its end, or choose another directory"
                    ) from None
                if present == _this_process():
                    break
                print(f"waiting for {present}, which {wait_for}", file=sys.stderr, flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
                waited = True
            except OSError as error:
                if error.errno not in UNSUPPORTED:
                    raise
                break
            # The previous owner has removed the file of its lock, which then locks nothing.
            if _is_at(directory / name, file):
                os.ftruncate(file, 0)
                os.write(file, _this_process().encode())
                os.fsync(file)
                stack.pop_all()
                return Owner(directory, (folder, file), name, waited)
    return Owner(directory)


def _opened(stack: contextlib.ExitStack, path: Path, flags: int) -> int:
    """Opens a path; the stack closes it."""
    handle = os.open(path, flags, 0o666)
    stack.callback(os.close, handle)
    return handle


def _is_at(path: Path, handle: int) -> bool:
    """Returns True if an open file is the one at a path."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def _read(file: int) -> str:
    """Returns the process and host in a lock's file."""
    return os.pread(file, 300, 0).decode(errors="replace").strip() or "another process"


def _this_process() -> str:
    return f"process {os.getpid()} on {platform.node() or 'this host'}"


def _release(handles: tuple[int, ...], name: str, process: int) -> None:
    """Removes the lock's file, in the process that made it, and closes the handles."""
    if handles and os.getpid() == process:
        with contextlib.suppress(OSError):
            here = os.stat(name, dir_fd=handles[0])
            if os.path.samestat(here, os.fstat(handles[1])):
                os.unlink(name, dir_fd=handles[0])
    for handle in handles:
        os.close(handle)


@functools.cache
def _close_in_children() -> None:
    """Makes forked children close their locks, which would outlast the owner's death."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_release_all)


def _release_all() -> None:
    for owner in list(_owners):
        owner.close()

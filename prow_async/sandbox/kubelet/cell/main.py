"""The program of a cell: enter the namespaces, start the command, outlive it by no process.

Two small processes stay beside the command. The outer one takes signals: SIGTERM is passed on to the command, SIGUSR1
ends everything at once, and so does the kubelet's own end. With a PID namespace the inner one is its first process: the
kernel ends everything in the namespace with it. Without one the outer process adopts whatever loses its parent, and
ends it. The exit code is the command's, 128 + signal for one that a signal ended.
"""

import _signal as signal  # type: ignore[import-not-found]  # `signal` itself costs 5 ms a container: it imports enum
import os
import select

from prow_async.sandbox.kubelet.cell import kernel, root, utility
from prow_async.sandbox.kubelet.cell.order import Order, load

FAILED = 128
_PASSED = (signal.SIGTERM, signal.SIGUSR1)


class _Pipes:
    """The cell's ends of its pipes to the kubelet."""

    def __init__(self, status: int, lifeline: int, ending: int) -> None:
        self.status = status
        """Takes one line when the command cannot be started; closed without one when it runs."""
        self.lifeline = lifeline
        """Its other end is held by the kubelet: when it closes, everything in here ends."""
        self.ending = ending
        """Takes the exit code."""


def run(given: int, output: int, status: int, lifeline: int, ending: int) -> None:
    """Do what the order in the file `given` says, in a process just forked; never return."""
    pipes = _Pipes(status, lifeline, ending)
    target = [0]
    try:
        order = _begin(given, output, target)
        code = _outer(order, pipes, target)
    except OSError as error:
        code = _refuse(pipes, error)
    except BaseException as error:  # whatever it is, the kubelet must hear of it: nobody reads this traceback
        code = _refuse(pipes, OSError(0, f"{type(error).__name__}: {error}"))
    os.write(ending, str(code).encode())
    os._exit(code)


def _begin(given: int, output: int, target: list[int]) -> Order:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED)
    signal.signal(signal.SIGTERM, lambda number, _: _send(target[0], number))
    signal.signal(signal.SIGUSR1, lambda *_: _send(target[0], signal.SIGKILL))
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    with open(given, "rb", buffering=0) as file_given:
        return load(file_given.read())


def _send(pid: int, number: int) -> None:
    if pid:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return


def _refuse(pipes: _Pipes, error: OSError) -> int:
    os.write(pipes.status, (error.strerror or str(error)).encode(errors="replace")[:2000])
    return FAILED


def _outer(order: Order, pipes: _Pipes, target: list[int]) -> int:
    spaces = kernel.NEW_MOUNTS | kernel.NEW_UTS if order.new_mounts else 0
    if order.new_user:
        _enter_user_namespace(order, spaces | (kernel.NEW_PIDS if order.new_pids else 0))
    elif spaces:
        kernel.unshare(spaces | (kernel.NEW_PIDS if order.new_pids else 0))
    if order.new_pids:
        pid = os.fork()
        if pid == 0:
            _inner(order, pipes, target)
    else:
        kernel.adopt_orphans()
        pid = _start(order, pipes)
    target[0] = pid
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED)
    os.close(pipes.status)
    code = _await(pid, pipes.lifeline)
    if not order.new_pids:
        _end_descendants()
    return code


def _enter_user_namespace(order: Order, spaces: int) -> None:
    """Map ids: root sees all users as they are; anybody else is seen as the one user the container runs as.

    The map of more than one user can only be written by a process that stays outside.
    """
    me = os.getpid()
    if os.geteuid() != 0:
        uid, gid = os.geteuid(), os.getegid()
        kernel.unshare(kernel.NEW_USER | spaces)
        _write(f"/proc/{me}/setgroups", "deny")
        _write(f"/proc/{me}/uid_map", f"{order.uid} {uid} 1\n")
        _write(f"/proc/{me}/gid_map", f"{order.gid} {gid} 1\n")
        return
    ready, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.read(ready, 1)
        try:
            for name in ("uid_map", "gid_map"):
                with open(f"/proc/self/{name}") as ours:
                    ranges = [line.split() for line in ours]
                _write(f"/proc/{me}/{name}", "".join(f"{inside} {inside} {count}\n" for inside, _, count in ranges))
        except BaseException:  # the parent sees the exit code; both must not go on
            os._exit(1)
        os._exit(0)
    os.close(ready)
    kernel.unshare(kernel.NEW_USER | spaces)
    os.close(go)
    if os.waitpid(pid, 0)[1] != 0:
        raise PermissionError(1, "the users of this machine cannot be mapped into a user namespace")


def _write(path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def _inner(order: Order, pipes: _Pipes, target: list[int]) -> None:
    """Be the first process of the namespace: start the command, bury the dead, end with the command."""
    code = FAILED
    try:
        kernel.die_with_parent()
        os.close(pipes.lifeline)
        os.close(pipes.ending)
        pid = target[0] = _start(order, pipes)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED)
        os.close(pipes.status)
        while True:
            ended, status = os.waitpid(-1, 0)
            if ended == pid:
                code = _code(status)
                break
    except OSError as error:
        _refuse(pipes, error)
    except BaseException as error:  # as in run
        _refuse(pipes, OSError(0, f"{type(error).__name__}: {error}"))
    os._exit(code)


def _start(order: Order, pipes: _Pipes) -> int:
    """Build the root, fork, execute the command; return its pid. Raises OSError."""
    if order.cgroup:
        _write(order.cgroup, "0")
    if order.new_mounts:
        root.enter(order)
        kernel.set_hostname(order.hostname)
    if order.make_cwd:
        os.makedirs(order.cwd, exist_ok=True)
    pid = os.fork()
    if pid == 0:
        try:
            _execute(order)
        except OSError as error:
            _refuse(pipes, OSError(0, f"cannot start {order.argv[0]!r} in {order.cwd}: {error.strerror}"))
        except BaseException as error:  # as in run
            _refuse(pipes, OSError(0, f"{type(error).__name__}: {error}"))
        os._exit(FAILED)
    return pid


def _execute(order: Order) -> None:
    os.setsid()
    if order.new_mounts:
        kernel.drop_rights()
    if os.geteuid() == 0 and (order.uid or order.gid or order.groups):
        os.setgroups(order.groups)
        os.setgid(order.gid)
        os.setuid(order.uid)
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGPIPE, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED)
    os.chdir(order.cwd)
    ready = utility.loaded(order)
    if ready is not None:
        utility.become(*ready, order.env)
    _replace(order)


def _replace(order: Order) -> None:
    """Execute the command, looked for along its own PATH. Raises OSError.

    os.execvpe would import a module here, as a user who perhaps may not read it.
    """
    name, missing = order.argv[0], None
    if "/" in name:
        os.execve(name, order.argv, order.env)  # noqa: S606 - no shell: the pod's own words
    for folder in order.env.get("PATH", os.defpath).split(":"):
        try:
            os.execve(f"{folder or '.'}/{name}", order.argv, order.env)  # noqa: S606 - as above
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            missing = error
    raise missing or FileNotFoundError(2, os.strerror(2))


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _await(pid: int, lifeline_fd: int) -> int:
    """Wait until the process ends; end it when the kubelet does."""
    watched = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(watched, select.POLLIN)
    poll.register(lifeline_fd, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poll.poll()]
        if watched in ready:
            return _code(os.waitpid(pid, 0)[1])
        poll.unregister(lifeline_fd)
        _send(pid, signal.SIGKILL)


def _end_descendants() -> None:
    """Kill children until there are none: what loses its parent meanwhile becomes our child."""
    while True:
        for pid in _children():
            _send(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    me, found = str(os.getpid()), []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", errors="replace") as file:
                    if file.read().rpartition(")")[2].split()[1] == me:
                        found.append(int(name))
            except OSError:
                continue
    return found

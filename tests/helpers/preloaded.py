"""A Python that has the libraries loaded: its processes start by fork, without seconds of imports.

:func:`start` starts a server, which loads them when it is first asked for a process, and writes a
program ``python``. That has the server fork a process with its arguments, variables, folder, input
and outputs, hands on SIGINT and SIGTERM, and ends as that process does, by a signal, too.

Scripts that it runs find more modules loaded than they import, and were not started with their
variables: what is about either runs in a fresh ``sys.executable``.
"""

import contextlib
import functools
import gc
import importlib.util
import json
import os
import random
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
VARIABLE = 'MMCA_PRELOADED_PYTHON'
LIBRARIES = ['mmca.engine.flow', 'mmca.models', 'mmca.datasets', 'mmca.pictures']
LIBRARIES += ['mmseg.apis', 'mmdet.apis', 'mmpretrain.apis']

CLIENT = """\
#!{python} -IS
import json, os, signal, socket, sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(request).to_bytes(4, 'big')], [0, 1, 2])
    server.sendall(request)
    answer = server.makefile()
    process = int(answer.readline() or sys.exit('the server of preloaded processes has ended'))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(process, number))
    status = int(answer.readline() or 1)
if status < 0:
    if status != -signal.SIGKILL:
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


def python() -> str:
    """The program; the usual one where it is not started."""
    return os.environ.get(VARIABLE, sys.executable)


def start() -> Callable[[], None]:
    """Make it :func:`python` of this process and of those that it starts; returns what ends it."""
    if VARIABLE in os.environ or not hasattr(os, 'pidfd_open'):
        return lambda: None
    resources = contextlib.ExitStack()
    # Not pytest's: the path of a socket is limited to 107 bytes.
    folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix='mmca')))
    program = folder / 'python'
    listener = resources.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(folder / 'socket'))
    listener.listen(64)
    program.write_text(CLIENT.format(python=sys.executable, address=str(folder / 'socket')))
    program.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, __file__, str(listener.fileno())],
        env={**os.environ, 'PYTHONPATH': f'{ROOT}:{ROOT / "tests"}', VARIABLE: str(program)},
        pass_fds=[listener.fileno()],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    listener.close()
    os.environ[VARIABLE] = str(program)

    def end() -> None:
        del os.environ[VARIABLE]
        server.communicate()  # its input ends
        resources.close()

    return end


class Script(NamedTuple):
    """What a process is to run: words of its command, folder, variables, and open files."""

    command: list[str]
    folder: str
    variables: dict[str, str]
    files: list[int]


def receive(client: socket.socket) -> Script:
    size, files, _, _ = socket.recv_fds(client, 4, 3)
    with client.makefile('rb') as request:
        return Script(*json.loads(request.read(int.from_bytes(size, 'big'))), files)


def serve(listener: socket.socket) -> Script | None:
    """Fork a process for each client; returns its script in each, and None when the input ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    return None
                if key.fileobj is not listener:
                    key.data()
                    continue
                client, _ = listener.accept()
                script = receive(client)
                load()
                process = os.fork()
                if process == 0:
                    client.close()
                    listener.close()
                    return script
                for file in script.files:
                    os.close(file)
                watch(process, client, selector)


def watch(process: int, client: socket.socket, selector: selectors.BaseSelector) -> None:
    """Tell the client when the process has ended; end the process if the client is gone."""
    handle = os.pidfd_open(process)

    def gone() -> None:
        selector.unregister(client)
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOWAIT)  # before another one starts

    def ended() -> None:
        _, status = os.waitpid(process, 0)
        with contextlib.suppress(BrokenPipeError):
            client.sendall(f'{os.waitstatus_to_exitcode(status)}\n'.encode())
        selector.unregister(handle)
        with contextlib.suppress(KeyError):
            selector.unregister(client)
        client.close()
        os.close(handle)

    selector.register(client, selectors.EVENT_READ, gone)
    selector.register(handle, selectors.EVENT_READ, ended)
    client.sendall(f'{process}\n'.encode())


@functools.cache
def load() -> None:
    importlib.import_module('torch.distributed.run')
    # tests/ops runs where they are not installed.
    for name in LIBRARIES if importlib.util.find_spec('mmengine') else ():
        importlib.import_module(name)
    # What garbage collection does not touch is not copied, which takes a process a second to end.
    gc.collect()
    gc.freeze()


def run(script: Script) -> None:
    """Be the script, as the interpreter's command line describes it."""
    import numpy as np
    import torch

    for number, file in enumerate(script.files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(script.folder)
    os.environ.clear()
    os.environ.update(script.variables)
    # All forks begin with the same numbers.
    for seed in (random.seed, np.random.seed, torch.seed):
        seed()
    sys.executable, *words = script.command
    added = os.environ.get('PYTHONPATH')
    # Less the folder of this file, and what the server's PYTHONPATH added.
    sys.path[:3] = added.split(os.pathsep) if added else []
    while words[0] in ('-u', '-W'):
        if words.pop(0) == '-W':
            words.pop(0)
        else:
            sys.stdout.reconfigure(write_through=True)
    kind = words.pop(0) if words[0] in ('-c', '-m') else ''
    sys.argv = [kind, *words[1:]] if kind else words
    if kind == '-m':
        sys.path.insert(0, os.getcwd())
        runpy.run_module(words[0], run_name='__main__', alter_sys=True)
    elif kind == '-c':
        sys.path.insert(0, '')
        exec(compile(words[0], '<string>', 'exec'), {'__name__': '__main__'})
    else:
        sys.path.insert(0, str(Path(words[0]).resolve().parent))
        runpy.run_path(words[0], run_name='__main__')


if __name__ == '__main__':
    script = serve(socket.socket(fileno=int(sys.argv[1])))
    if script is not None:
        run(script)

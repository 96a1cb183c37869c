"""Runs one server in a network namespace of its own and relays one loopback port of ours to it.

LocalStack listens on every address of its machine, whatever it is told. In a namespace that has nothing but a loopback of its
own, nobody else can reach it and it can reach nobody. A socket belongs to the namespace it was made in: so the listening one is
made first, outside, and handed on to the process inside.

``python namespace.py PORT INSIDE COMMAND...``: relays 127.0.0.1:PORT out here to 127.0.0.1:INSIDE in there.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys

STOP_SECONDS = 5.0
_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40


def enter(port: int, inside: int, command: list[str]) -> None:
    """Listen out here, then go on as another process in there."""
    listening = socket.create_server(("127.0.0.1", port))
    listening.set_inheritable(True)
    number = str(listening.fileno())
    os.execvp(  # noqa: S606  # no shell is wanted
        "unshare", ["unshare", "-rn", "--", sys.executable, "-I", __file__, "--inside", number, str(inside), *command]
    )  # fmt: skip


def bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP | _IFF_RUNNING))


async def relay(listening: socket.socket, inside: int, server: subprocess.Popen[bytes]) -> int:
    """Hand on connections until the server ends or we are told to stop; give the server's exit code."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", inside)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

    async with await asyncio.start_server(hand_on, sock=listening):
        while server.poll() is None and not told.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), 0.2)
    server.terminate()
    try:
        return server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        return server.wait()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        bring_loopback_up()
        taken_over = socket.socket(fileno=int(sys.argv[2]))
        sys.exit(asyncio.run(relay(taken_over, int(sys.argv[3]), subprocess.Popen(sys.argv[4:]))))
    enter(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

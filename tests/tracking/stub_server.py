"""Servers that are not well: what each does to whoever asks it something."""

import socket
import threading
from contextlib import contextmanager, suppress

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def busy(status, pause):
    """Asks to be left alone, at once."""

    def answer(connection, _stop):
        asked = b"" if pause is None else f"Retry-After: {pause}\r\n".encode()
        connection.sendall(f"HTTP/1.1 {status} Busy\r\nContent-Length: 0\r\n".encode() + asked + b"\r\n")

    return answer


def silent(_connection, stop):
    """Takes the request and says nothing."""
    stop.wait()


def drip_header(connection, stop):
    """Never gets to the end of its header."""
    _drip(connection, b"HTTP/1.1 200 OK\r\nX-", stop)


def drip_body(connection, stop):
    """Sends a byte of its body now and then."""
    _drip(connection, JSON + b"Content-Length: 1000000\r\n\r\n", stop)


def endless(connection, stop):
    """Sends a body that has no end, as quickly as it is taken."""
    connection.sendall(JSON + b"Transfer-Encoding: chunked\r\n\r\n")
    while not stop.is_set():
        connection.sendall(b"10000\r\n" + b" " * 2**16 + b"\r\n")


def redirect(connection, stop):
    """Sends elsewhere, with a body that has no end."""
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not stop.is_set():
        connection.sendall(b"10000\r\n" + b" " * 2**16 + b"\r\n")


def garbage(connection, _stop):
    """Speaks something that is no HTTP."""
    connection.sendall(b"\x00\xff nonsense\r\n" * 20)


def _drip(connection, begin, stop):
    connection.sendall(begin)
    while not stop.wait(0.02):
        connection.sendall(b"x")


@contextmanager
def answering(*answers):
    """Serve on 127.0.0.1: connection by connection ``answers``, the last for all that follow.

    Gives the address, and a list of the first lines of requests.
    """
    stop, asked, left = threading.Event(), [], list(answers)

    def serve(connection, answer):
        with connection, suppress(OSError):
            asked.append(connection.recv(2**16).partition(b"\r\n")[0].decode())
            answer(connection, stop)

    def accept(listener):
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                answer = left.pop(0) if len(left) > 1 else left[0]
                threads.append(threading.Thread(target=serve, args=(connection, answer)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=accept, args=(listener,))]
        threads[0].start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        finally:
            stop.set()
            listener.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()

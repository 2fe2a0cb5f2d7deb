"""A model's process that has been taken over: it says what no engine would, and goes on."""

import os
import pickle
import socket
import struct
import sys
import time


class Gift:
    def __reduce__(self) -> object:
        return (os._exit, (7,))


if __name__ == "__main__":
    data = pickle.dumps(Gift())
    server = socket.socket(fileno=int(sys.argv[1]))
    server.sendall(struct.pack("<I", len(data)) + data)
    time.sleep(1000)

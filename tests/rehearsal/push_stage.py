"""The real registry, a base image of either family in it, and a network in front of it that fails to order."""

from __future__ import annotations

import gzip
import io
import json
import os
import select
import socket
import struct
import tarfile
import threading
from contextlib import suppress
from pathlib import Path

from images.digests import digest_of
from images.media_types import DOCKER, OCI
from images.registry import RegistryClient

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


def base_image(client: RegistryClient, family: str, *, layer_bytes: int = 1000) -> str:
    """Push an image of one layer of noise; its digest."""
    kinds = {"docker": DOCKER, "oci": OCI}[family]
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        member = tarfile.TarInfo("opt/noise")
        member.size = layer_bytes
        archive.addfile(member, io.BytesIO(os.urandom(layer_bytes)))
    layer = gzip.compress(tar.getvalue(), mtime=0)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tar.getvalue())]},
        "history": [{"created_by": "noise"}],
    }
    raw = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": kinds.manifest,
        "config": {"mediaType": kinds.config, "size": len(raw), "digest": client.upload_blob(raw)},
        "layers": [{"mediaType": kinds.layer, "size": len(layer), "digest": client.upload_blob(layer)}],
    }
    return client.put_manifest(f"base-{family}", json.dumps(manifest).encode(), kinds.manifest)


def is_waiting_for(pid: int, port: int) -> bool:
    """Whether the process has a connection to that port of loopback."""
    try:
        rows = [row.split() for row in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
        sockets = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return False
    return any(row[2] == f"0100007F:{port:04X}" and f"socket:[{row[9]}]" in sockets for row in rows)


class CuttingDoor:
    """A port in front of a server. Its next connections are reset after so many bytes from the client, as `cut_after` lists."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._server = (host, int(port))
        self.cut_after: list[int] = []
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.connections += 1
                left = self.cut_after.pop(0) if self.cut_after else None
                threading.Thread(target=self._connect, args=(client, left), daemon=True).start()

    def _connect(self, client: socket.socket, left: int | None) -> None:
        with suppress(OSError), client, socket.create_connection(self._server) as server:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    is_counted = source is client and left is not None
                    block = source.recv(min(left or 1, 65536) if is_counted else 65536)
                    if not block:
                        return
                    (server if source is client else client).sendall(block)
                    if is_counted and left is not None:
                        left -= len(block)
                    if left is not None and left <= 0:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
                        return

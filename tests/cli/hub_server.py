"""A Hugging Face Hub of one process for tests: the listing, HEAD and GET of files, a store on another port for large
files, ranges, and faults on demand. Speaks as much of the protocol as huggingface_hub and Inlay use.
"""

import hashlib
import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

NAME = "org/model"
MODELS = Path(__file__).resolve().parent.parent / "golden" / "models"
CHUNK = 16384
LARGE = 4096  # files of so many bytes lie in the store, as Git LFS has them


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def etag(data):
    return sha256(data) if len(data) >= LARGE else git_sha1(data)


class Request:
    """What a server saw and sent."""

    def __init__(self, server, handler):
        self.server = server  # "hub" or "store"
        self.method = handler.command
        self.path = unquote(urlsplit(handler.path).path)
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.sent = 0
        self.time = time.monotonic()


class FakeHub:
    """`fault(request)` may return a dict that changes the answer to a request:
    status, headers       another answer, without the file
    flip, truncate        one bit of the body at this offset is wrong; the body ends after so many bytes
    length                another Content-Length
    whole                 a Range is answered with 200 and everything
    stall                 after so many bytes nothing more comes
    rate                  bytes a second
    """

    def __init__(self, blobs=True):
        self.repositories = {}  # id -> {"refs": {name: commit}, "commits": {commit: {path: bytes}}}
        self.requests = []
        self.fault = lambda request: None
        self.token = None  # asked for when set
        self.blobs = blobs  # whether listings tell sizes and hashes
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.servers = {name: self._serve(name) for name in ("hub", "store")}

    def _serve(self, name):
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                request = Request(name, self)
                with hub.lock:
                    hub.requests.append(request)
                try:
                    getattr(hub, "_answer_" + name)(self, request)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_HEAD = do_GET

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, client_address):
                pass  # clients are killed in these tests

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def close(self):
        self.closing.set()
        for server in self.servers.values():
            server.shutdown()
            server.server_close()

    def url(self, name="hub"):
        return f"http://127.0.0.1:{self.servers[name].server_address[1]}"

    def add(self, name, files, revision="main"):
        commit = hashlib.sha1(repr((name, sorted(files), [etag(files[f]) for f in sorted(files)])).encode()).hexdigest()
        repository = self.repositories.setdefault(name, {"refs": {}, "commits": {}})
        repository["refs"][revision] = commit
        repository["commits"][commit] = dict(files)
        return commit

    def sent(self, server="store"):
        """Bytes of bodies that a server has sent."""
        with self.lock:
            return sum(request.sent for request in self.requests if request.server == server)

    def gets(self, ending):
        """GETs that were answered with bytes of a file whose path or store name ends so."""
        with self.lock:
            return [r for r in self.requests if r.method == "GET" and r.path.endswith(ending) and r.sent]

    # answers

    def _answer_hub(self, handler, request):
        fault = self.fault(request) or {}
        if "status" in fault:
            return self._plain(handler, fault["status"], fault.get("headers", {}))
        if self.token and request.headers.get("authorization") != "Bearer " + self.token:
            return self._error(handler, 401, "RepoNotFound", "Repository not found")
        parts = request.path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            return self._listing(handler, "/".join(parts[2:4]), parts[4:])
        if len(parts) > 4 and parts[2] == "resolve":
            return self._file(handler, request, "/".join(parts[:2]), parts[3], "/".join(parts[4:]), fault)
        return self._error(handler, 404, "", "no such page")

    def _listing(self, handler, name, rest):
        repository = self.repositories.get(name)
        if repository is None:
            return self._error(handler, 401, "RepoNotFound", "Repository not found")
        folder = rest[2:] if rest[:1] == ["tree"] else []
        asked = "/".join(rest[1 : len(rest) - len(folder)]) or "main"
        commit = repository["refs"].get(asked, asked)
        if commit not in repository["commits"]:
            return self._error(handler, 404, "RevisionNotFound", "Invalid rev id: " + asked)
        files = repository["commits"][commit]
        if rest[:1] == ["tree"]:
            if folder:
                return self._error(handler, 404, "EntryNotFound", "no folder " + "/".join(folder))
            entries = []
            for path, data in files.items():
                entry = {"type": "file", "path": path, "size": len(data), "oid": git_sha1(data)}
                if len(data) >= LARGE:
                    entry["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 130}
                entries.append(entry)
            return self._json(handler, entries)
        siblings = []
        with_blobs = self.blobs and parse_qs(urlsplit(handler.path).query).get("blobs", [""])[0].lower() == "true"
        for path, data in files.items():
            entry = {"rfilename": path}
            if with_blobs:
                entry.update(size=len(data), blobId=git_sha1(data))
                if len(data) >= LARGE:
                    entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 130}
            siblings.append(entry)
        self._json(handler, {"_id": "0", "id": name, "modelId": name, "sha": commit, "siblings": siblings, "tags": []})

    def _file(self, handler, request, name, revision, path, fault):
        repository = self.repositories.get(name, {"refs": {}, "commits": {}})
        commit = repository["refs"].get(revision, revision)
        files = repository["commits"].get(commit, {})
        if path not in files:
            headers = {"X-Repo-Commit": commit} if files else {}
            return self._error(handler, 404, "EntryNotFound" if files else "RevisionNotFound", "not found", headers)
        data = files[path]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag(data)}"'}
        if len(data) >= LARGE:
            headers["ETag"] = '"of-the-redirect"'
            headers["X-Linked-Etag"] = f'"{etag(data)}"'
            headers["X-Linked-Size"] = str(len(data))
            headers["Location"] = f"{self.url('store')}/{sha256(data)}?signature=1"
            return self._plain(handler, 302, headers)
        self._bytes(handler, request, data, headers, fault)

    def _answer_store(self, handler, request):
        fault = self.fault(request) or {}
        if "status" in fault:
            return self._plain(handler, fault["status"], fault.get("headers", {}))
        wanted = request.path.strip("/")
        for repository in self.repositories.values():
            for files in repository["commits"].values():
                for data in files.values():
                    if len(data) >= LARGE and sha256(data) == wanted:
                        return self._bytes(handler, request, data, {"ETag": '"the-stores-own"'}, fault)
        self._error(handler, 404, "", "no such object")

    def _bytes(self, handler, request, data, headers, fault):
        asked = request.headers.get("range")
        start = int(asked.split("=")[1].split("-")[0]) if asked and not fault.get("whole") else 0
        if start >= len(data) and start > 0:
            return self._plain(handler, 416, {"Content-Range": f"bytes */{len(data)}"})
        handler.send_response(206 if start else 200)
        if start:
            headers = {**headers, "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        body = bytearray(data[start:])
        if "flip" in fault and start <= fault["flip"] < len(data):
            body[fault["flip"] - start] ^= 1
        headers["Content-Length"] = str(fault.get("length", len(body)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        end = min(len(body), fault.get("truncate", len(body)))
        stall = fault.get("stall", len(body) + 1)
        begun = time.monotonic()
        for at in range(0, end, CHUNK):
            if at >= stall:
                self.closing.wait()
                break
            piece = bytes(body[at : min(at + CHUNK, end)])
            handler.wfile.write(piece)
            request.sent += len(piece)
            if "rate" in fault:
                time.sleep(max(0, begun + (at + len(piece)) / fault["rate"] - time.monotonic()))
        if end < len(body) or stall <= len(body) or "length" in fault:
            handler.close_connection = True

    def _json(self, handler, value):
        body = json.dumps(value).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    def _error(self, handler, status, code, message, headers=None):
        self._plain(handler, status, {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})})

    def _plain(self, handler, status, headers):
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            handler.send_header(name, value)
        handler.end_headers()


def folder_files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def big_files(size, seed=1):
    """A model's folder with weights of random bytes: fetched, never loaded."""
    files = folder_files(MODELS / "bert-mean")
    files["model.safetensors"] = random.Random(seed).randbytes(size)
    return files


class Cache:
    """One repository in a cache folder, read as the layout says."""

    def __init__(self, folder, name=NAME):
        self.folder = folder
        self.repository = folder / ("models--" + name.replace("/", "--"))

    def snapshot(self, commit):
        return self.repository / "snapshots" / commit

    def blobs(self):
        folder = self.repository / "blobs"
        return {p.name: p for p in folder.iterdir()} if folder.is_dir() else {}

    def check(self, files, commit):
        """Whatever is under a final name is exact. True when every file of the snapshot is there."""
        for name, path in self.blobs().items():
            if len(name) in (40, 64):
                data = path.read_bytes()
                assert name in (sha256(data), git_sha1(data)), f"{path} holds other bytes"
            else:
                assert name.endswith(".inlay-part")
        there = {f: (self.snapshot(commit) / f).exists() for f in files}
        for file, exists in there.items():
            if exists:
                assert (self.snapshot(commit) / file).read_bytes() == files[file]
        return all(there.values())

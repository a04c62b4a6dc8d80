"""A stand-in for the Hugging Face hub on this machine: as much of its HTTP interface as agents need."""

import base64
import contextlib
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPOSITORY = r"(?P<repository>[^/]+/[^/]+)"
REVISION = r"(?P<revision>[^/?]+)"


class Hub:
    """Repositories by name, each a list of revisions: the files of each by name, the newest last."""

    def __init__(self, address):
        self.address = address
        self.repositories = {}

    def files(self, repository, revision="main"):
        """The files of a revision; a KeyError if there is no such."""
        versions = self.repositories[repository]
        return dict([("main", versions[-1]), *((self.sha(repository, v), v) for v in versions)])[revision]

    def sha(self, repository, version=None):
        """The name of a revision, the newest if not given."""
        version = self.repositories[repository][-1] if version is None else version
        told = [(name, hashlib.sha1(content).hexdigest()) for name, content in sorted(version.items())]
        return hashlib.sha1(repr(told).encode()).hexdigest()

    def create(self, body):
        """Make a repository."""
        name = f"{body['organization']}/{body['name']}" if body.get("organization") else f"me/{body['name']}"
        if name in self.repositories:
            return 409, {"url": f"{self.address}/{name}", "error": "exists"}
        self.repositories[name] = [{}]
        return 200, {"url": f"{self.address}/{name}", "name": name}

    def commit(self, repository, lines):
        """Add a revision."""
        new = dict(self.files(repository))
        for line in map(json.loads, lines.splitlines()):
            if line["key"] == "file":
                new[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        self.repositories[repository].append(new)
        oid = self.sha(repository)
        return 200, {
            "commitUrl": f"{self.address}/{repository}/commit/{oid}",
            "commitOid": oid,
            "success": True,
        }


class Handler(BaseHTTPRequestHandler):
    """Answers for the hub of the server."""

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub = self.server.hub
        path = self.path.partition("?")[0]
        found = re.fullmatch(rf"/api/models/{REPOSITORY}(/revision/{REVISION})?", path)
        tree = re.fullmatch(rf"/api/models/{REPOSITORY}/tree/{REVISION}", path)
        file = re.fullmatch(rf"/{REPOSITORY}/resolve/{REVISION}/(?P<name>.+)", path)
        asked = found or tree or file
        if asked is None or asked["repository"] not in hub.repositories:
            return self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        repository = asked["repository"]
        try:
            files = hub.files(repository, asked["revision"] or "main")
        except KeyError:
            return self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        sha = hub.sha(repository, files)
        if file:
            if file["name"] not in files:
                return self._answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
            content = files[file["name"]]
            tag = hashlib.sha1(content).hexdigest()
            return self._answer(200, content, {"ETag": f'"{tag}"', "X-Repo-Commit": sha})
        names = [
            {"type": "file", "path": n, "rfilename": n, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
            for n, c in files.items()
        ]
        if tree:
            return self._json(200, names)
        return self._json(200, {"id": repository, "modelId": repository, "sha": sha, "siblings": names})

    def do_POST(self):
        hub, body = self.server.hub, self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != "Bearer hf_secret":
            return self._json(401, {"error": "log in"})
        if self.path == "/api/repos/create":
            return self._json(*hub.create(json.loads(body)))
        if self.path == "/api/validate-yaml":
            return self._json(200, {"errors": [], "warnings": []})
        if found := re.fullmatch(rf"/api/models/{REPOSITORY}/preupload/{REVISION}", self.path):
            names = [file["path"] for file in json.loads(body)["files"]]
            how = {"uploadMode": "regular", "shouldIgnore": False}
            return self._json(200, {"files": [{"path": name, **how} for name in names]})
        if found := re.fullmatch(rf"/api/models/{REPOSITORY}/commit/{REVISION}", self.path):
            return self._json(*hub.commit(found["repository"], body.decode()))
        return self._json(404, {"error": f"no {self.path}"})

    def _json(self, code, content):
        self._answer(code, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _answer(self, code, content, headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextlib.contextmanager
def serving():
    """Serve an empty hub."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hub = Hub(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

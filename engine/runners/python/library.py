"""Python's library in the runner: the usual modules loaded from the start, the others kept as code until imported."""

import importlib
import importlib.util
import marshal
import os
import sys
import zlib

LOADED = """
abc array base64 binascii bisect calendar collections.abc contextlib copy csv dataclasses datetime decimal enum
fractions functools hashlib heapq hmac html ipaddress itertools json linecache logging math numbers operator pprint
random re secrets statistics string struct textwrap time traceback types typing unicodedata urllib.parse uuid warnings
zlib
""".split()
"""What most rules import. Ready in every instance, and shared between instances as long as it is not changed."""

LEFT_OUT = set(
    """
__phello__ _pydatetime _pydecimal _pyio _pyrepl antigravity bdb ctypes curses doctest ensurepip ftplib idlelib imaplib
lib2to3 multiprocessing pdb pickletools poplib pydoc pydoc_data site-packages smtplib socketserver ssl test this tkinter
turtle turtledemo venv webbrowser wsgiref xmlrpc
""".split()
)
"""What a sandbox without files, processes, terminals, network and native libraries has no use for."""

_kept: "dict[str, tuple[str, bool, bytes]]" = {}


class Library:
    """Finds and loads the modules that are kept as code."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        """The module, if it is kept."""
        if name not in _kept:
            return None
        file, is_package, _ = _kept[name]
        return importlib.util.spec_from_file_location(
            name, file, loader=cls, submodule_search_locations=[] if is_package else None
        )

    @staticmethod
    def create_module(spec):
        """As usual."""
        return None

    @staticmethod
    def exec_module(module):
        """Runs its code."""
        exec(marshal.loads(zlib.decompress(_kept[module.__name__][2])), module.__dict__)


def load() -> None:
    """Loads the usual modules and keeps the others. Runs while the runner is built, when there are files."""
    for name in LOADED:
        importlib.import_module(name)
    root = os.path.dirname(sys.modules["linecache"].__file__)
    for folder, folders, files in os.walk(root):
        inside = os.path.relpath(folder, root).replace(os.sep, ".").lstrip(".")
        folders[:] = [name for name in folders if name.isidentifier() and name not in LEFT_OUT and name != "lib"]
        for file in files:
            stem, ending = os.path.splitext(file)
            if ending == ".py" and stem not in LEFT_OUT:
                _keep(os.path.join(folder, file), f"{inside}.{stem}".lstrip("."))


def _keep(file: str, name: str) -> None:
    is_package = name.endswith("__init__")
    name = name.removesuffix("__init__").rstrip(".")
    if not name or name in sys.modules:
        return
    with open(file, "rb") as opened:
        code = compile(opened.read(), file, "exec", dont_inherit=True)
    _kept[name] = (file, is_package, zlib.compress(marshal.dumps(code), 9))

"""Messages of the library name knobs as Python does; a command writes them as its options."""

import ast
import re
from pathlib import Path

import pytest

import aejax

ROOT = Path(aejax.__file__).parent
MODULES = [path for path in sorted(ROOT.rglob("*.py")) if "cli" not in path.relative_to(ROOT).parts]
OPTION = re.compile(r"(?:^|\s)--[a-z][a-z-]*(?![a-z-]*:)")  # not a variable of a style sheet, `--ink: #1f2430`
OF_COMMANDS = {"--resume", "--data-dir", "--no-", "--serve", "--trust-code"}  # in commands that messages suggest
OF_XLA = "--xla_"


def texts(path: Path) -> list[str]:
    """All strings in a file but its docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings]
    return [node.value for node in constants if isinstance(node.value, str)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_message_of_the_library_names_an_option(path):
    named = [text for text in texts(path) if OPTION.search(text) and text not in OF_COMMANDS and OF_XLA not in text]
    assert named == []

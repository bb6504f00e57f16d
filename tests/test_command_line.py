"""A user's mistake ends in one line and exit code 2; a mistake of ours keeps its traceback."""

from dataclasses import dataclass

import pytest

from aejax import command_line
from aejax.errors import UserError


@dataclass(frozen=True)
class Options:
    """Options of a test."""

    epochs: int = 3
    """How long."""


def parse(*arguments: str) -> Options:
    return command_line.parse(Options, arguments, program="test.py", description="A test.")


def test_options_are_parsed() -> None:
    assert parse("--epochs", "5") == Options(5)
    assert parse() == Options(3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--epoch", "5"), r"^Unrecognized options: --epoch \(perhaps you meant --epochs\)$"),
        (("--epochs", "many"), "--epochs.*'many'"),
        (("--epochs",), "--epochs"),
        (("surplus",), "surplus"),
        (("--nosuch", "3", "--other", "x"), "^Unrecognized options: --nosuch, --other"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse(*arguments)
    assert "\n" not in str(caught.value)
    assert not set(str(caught.value)) & set("╭│╰─")


def test_help_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse("--help")
    assert stop.value.code == 0
    assert "How long." in capsys.readouterr().out


def test_user_errors_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise UserError("the culprit")

    with pytest.raises(SystemExit) as stop:
        command_line.run(main)
    assert stop.value.code == 2
    assert capsys.readouterr().err.endswith("error: the culprit\n")


def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        command_line.run(lambda: 1 / 0)  # type: ignore[arg-type]


def test_what_is_to_be_made_must_be_free_and_have_a_folder(tmp_path):
    command_line.check_free(tmp_path / "new")
    with pytest.raises(UserError, match="exists already; take another name"):
        command_line.check_free(tmp_path)
    with pytest.raises(UserError, match=r"there is no folder .*missing"):
        command_line.check_free(tmp_path / "missing" / "new")

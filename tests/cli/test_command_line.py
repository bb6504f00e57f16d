"""A user's mistake ends in one line and exit code 2; a mistake of ours keeps its traceback."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from aejax.cli import command_line
from aejax.errors import UserError


@dataclass(frozen=True)
class Options:
    """Options of a test."""

    epochs: int = 3
    """How long."""
    likelihood: Literal["bernoulli", "gaussian", "laplace"] = "bernoulli"
    """What the output means."""


def parse(*arguments: str) -> Options:
    return command_line.parse(Options, arguments, description="A test.")


def test_options_are_parsed() -> None:
    assert parse("--epochs", "5") == Options(5)
    assert parse() == Options(3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--epoch", "5"), r"^Unrecognized options: --epoch \(perhaps you meant --epochs\)$"),
        (("--epochs", "many"), "--epochs.*'many'"),
        (
            ("--likelihood", "Gausian"),
            r"^--likelihood: must be one of bernoulli, gaussian, laplace, got 'Gausian'; did you mean gaussian\?$",
        ),
        (("--likelihood", "x"), "^--likelihood: must be one of bernoulli, gaussian, laplace, got 'x'$"),
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


def test_what_is_to_be_made_must_be_free_and_can_have_a_folder(tmp_path, monkeypatch):
    command_line.check_free(tmp_path / "new")
    command_line.check_free(tmp_path / "missing" / "deep" / "new")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for taken in (tmp_path, tmp_path / "file", tmp_path / "link"):
        with pytest.raises(UserError, match="exists already; choose another name"):
            command_line.check_free(taken)
    for new in (tmp_path / "file" / "new", tmp_path / "file" / "deep" / "new", tmp_path / "link" / "new"):
        with pytest.raises(UserError, match=r"new: cannot be created: .*(file|link) is not a folder"):
            command_line.check_free(new)
    monkeypatch.setattr("os.access", lambda folder, mode: False)
    with pytest.raises(UserError, match="is not writable"):
        command_line.check_free(tmp_path / "new")


def test_a_new_folder_or_file_is_whole_or_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with command_line.new_folder(Path("a/b/made")) as folder:
        (folder / "content").write_text("all")
        assert not Path("a/b/made").exists()
    with command_line.new_file(Path("c/made.npy")) as file:
        file.write(b"all")
    assert Path("a/b/made/content").read_text() == Path("c/made.npy").read_text() == "all"
    for failing in (command_line.new_folder(Path("x/failed")), command_line.new_file(Path("x/failed"))):
        with pytest.raises(KeyboardInterrupt), failing:
            raise KeyboardInterrupt
    assert [path for path in tmp_path.rglob("*") if "failed" in path.name] == []


def test_a_name_that_is_near_one_is_suggested():
    names = {"kind": "preset", "kinds": "presets", "default": "digits-vae"}
    assert command_line.take_name([], ("digits-vae",), **names) == ("digits-vae", [])
    with pytest.raises(UserError, match=r"there is no preset 'digit-vae'; did you mean digits-vae\?$"):
        command_line.take_name(["digit-vae"], ("digits-vae", "mnist-deep"), **names)
    with pytest.raises(UserError, match=r"there is no preset 'nothing'; the presets are digits-vae, mnist-deep$"):
        command_line.take_name(["nothing"], ("digits-vae", "mnist-deep"), **names)

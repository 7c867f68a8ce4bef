"""Commands beside a running demo."""

from pathlib import Path

from tanglai.cli.beside import join_demo


def test_the_demo_s_environment_is_taken_over_where_nothing_was_said(tmp_path: Path) -> None:
    file = tmp_path / "env"
    environment: dict[str, str] = {"HOME": "/x", "DEMO_FILES": "mine"}
    assert not join_demo(environment, file)
    file.write_text("TANGLAI_KEY='a b'\nDEMO_FILES=theirs\n# a comment\nnot a name=1\n")
    assert join_demo(environment, file)
    assert environment["TANGLAI_KEY"] == "a b"
    assert environment["DEMO_FILES"] == "mine"


def test_a_configured_node_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("TANGLAI_KEY=demo\n")
    environment = {"TANGLAI_STATE_DIR": "/srv"}
    assert not join_demo(environment, file)
    assert environment == {"TANGLAI_STATE_DIR": "/srv"}
